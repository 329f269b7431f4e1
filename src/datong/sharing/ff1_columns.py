"""FF1 of whole columns of decimal numbers of at most 18 digits.

Then both halves fit 64-bit arithmetic and the round function is one AES block, so that a round of a whole column is one
call of AES. A property test holds it equal to the scalar form.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from datong.sharing.ff1 import BLOCK_BYTES, DECIMAL, DOMAIN_MIN, ROUNDS, bytes_of, outside_domain, prefix_of

COLUMN_DIGITS_MAX = 18
COLUMN_TWEAK_BYTES_MAX = 11
"""With at most four bytes of number and one of round, a longer tweak would need a second block."""


def encrypt_numbers(key: bytes, tweak: bytes, values: NDArray[np.uint64], digits: int) -> NDArray[np.uint64]:
    """Return what `encrypt_number` makes of every value of a column; `digits` from 6 to 18, a tweak of up to 11 bytes.

    Raises:
        Invalid: `sharing.cipher_domain`: other lengths.
    """
    if not len(str(DOMAIN_MIN - 1)) <= digits <= COLUMN_DIGITS_MAX or len(tweak) > COLUMN_TWEAK_BYTES_MAX:
        raise outside_domain()
    head, tail = digits // 2, digits - digits // 2
    number_bytes = bytes_of(DECIMAL, tail)
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    first = np.frombuffer(cipher.update(prefix_of(DECIMAL, digits, len(tweak))), np.uint8)
    blocks = np.empty((len(values), BLOCK_BYTES), np.uint8)
    constant = np.zeros(BLOCK_BYTES, np.uint8)
    constant[: len(tweak)] = np.frombuffer(tweak, np.uint8)
    left, right = np.divmod(values, np.uint64(DECIMAL**tail))
    for number in range(ROUNDS):
        constant[BLOCK_BYTES - 1 - number_bytes] = number
        blocks[:] = constant ^ first
        told = right.astype(">u8").view(np.uint8).reshape(-1, 8)
        blocks[:, BLOCK_BYTES - number_bytes :] ^= told[:, 8 - number_bytes :]
        macs = np.frombuffer(cipher.update(blocks.tobytes()), ">u8").reshape(-1, 2)
        modulus = np.uint64(DECIMAL ** (head if number % 2 == 0 else tail))
        # Both sums stay below 2 × 10⁹: nothing wraps.
        left, right = right, (left + macs[:, 0].astype(np.uint64) % modulus) % modulus
    return left * np.uint64(DECIMAL**tail) + right
