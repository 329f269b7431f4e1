"""Format-preserving encryption FF1 (NIST SP 800-38G): a text of n digits becomes another text of n digits, one to one.

It takes any radix and length and is checked against the sample vectors of NIST. `ff1_columns` does whole columns of
decimal numbers.
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from datong.kernel import Invalid, Text

ROUNDS = 10
BLOCK_BYTES = 16
DOMAIN_MIN = 1_000_000
"""SP 800-38G, revision 1: fewer possible texts can be searched through."""
RADIX_MAX = 1 << 16
DIGITS_MAX = 56
DECIMAL = 10


def encrypt(key: bytes, tweak: bytes, digits: Sequence[int], *, radix: int = DECIMAL) -> tuple[int, ...]:
    """Return the digits (each from 0 to radix - 1) that `digits` become under an AES `key` of 16, 24 or 32 bytes.

    Raises:
        Invalid: `sharing.cipher_domain`: too few possible texts, too many digits, or a digit outside the radix.
    """
    rounds = _Rounds(key, tweak, digits, radix)
    left, right = rounds.split(digits)
    for number in range(ROUNDS):
        width = rounds.width(number)
        left, right = right, (left + rounds.value(number, right)) % radix**width
    return rounds.joined(left, right)


def decrypt(key: bytes, tweak: bytes, digits: Sequence[int], *, radix: int = DECIMAL) -> tuple[int, ...]:
    """Return the digits that `encrypt` made `digits` of.

    Raises:
        Invalid: as in `encrypt`.
    """
    rounds = _Rounds(key, tweak, digits, radix)
    left, right = rounds.split(digits)
    for number in reversed(range(ROUNDS)):
        width = rounds.width(number)
        left, right = (right - rounds.value(number, left)) % radix**width, left
    return rounds.joined(left, right)


def encrypt_number(key: bytes, tweak: bytes, value: int, digits: int) -> int:
    """Return the number of at most `digits` decimal digits that `value` becomes."""
    texts = [int(character) for character in str(value).zfill(digits)]
    return int("".join(map(str, encrypt(key, tweak, texts))))


class _Rounds:
    """The round function of one text; the names in comments are those of SP 800-38G, algorithm 7."""

    def __init__(self, key: bytes, tweak: bytes, digits: Sequence[int], radix: int) -> None:
        length = len(digits)
        if not 2 <= radix <= RADIX_MAX or not 2 <= length <= DIGITS_MAX or radix**length < DOMAIN_MIN:
            raise outside_domain()
        if any(not 0 <= digit < radix for digit in digits):
            raise outside_domain()
        self._tweak, self._radix = tweak, radix
        self._head, self._tail = length // 2, length - length // 2  # u, v
        self._number_bytes = bytes_of(radix, self._tail)  # b
        self._used_bytes = 4 * -(-self._number_bytes // 4) + 4  # d
        self._block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # CIPH
        self._first = int.from_bytes(self._block(prefix_of(radix, length, len(tweak))), "big")  # of P, the first block

    def split(self, digits: Sequence[int]) -> tuple[int, int]:
        return self._number(digits[: self._head]), self._number(digits[self._head :])

    def joined(self, left: int, right: int) -> tuple[int, ...]:
        return (*self._digits(left, self._head), *self._digits(right, self._tail))

    def width(self, number: int) -> int:
        return self._head if number % 2 == 0 else self._tail  # m

    def value(self, number: int, right: int) -> int:
        """Return y of round `number`."""
        padding = bytes(-(len(self._tweak) + self._number_bytes + 1) % BLOCK_BYTES)
        block = self._tweak + padding + bytes([number]) + right.to_bytes(self._number_bytes, "big")  # Q
        chained = self._first  # CBC-MAC of P and Q
        for start in range(0, len(block), BLOCK_BYTES):
            mixed = chained ^ int.from_bytes(block[start : start + BLOCK_BYTES], "big")
            stream = self._block(mixed.to_bytes(BLOCK_BYTES, "big"))
            chained = int.from_bytes(stream, "big")  # R
        for place in range(1, -(-self._used_bytes // BLOCK_BYTES)):
            stream += self._block((chained ^ place).to_bytes(BLOCK_BYTES, "big"))
        return int.from_bytes(stream[: self._used_bytes], "big")

    def _number(self, digits: Sequence[int]) -> int:
        value = 0
        for digit in digits:
            value = value * self._radix + digit
        return value

    def _digits(self, value: int, width: int) -> tuple[int, ...]:
        found = []
        for _ in range(width):
            value, digit = divmod(value, self._radix)
            found.append(digit)
        return tuple(reversed(found))


def bytes_of(radix: int, width: int) -> int:
    """Return how many bytes hold any number of `width` digits."""
    highest: int = radix**width - 1
    return -(-highest.bit_length() // 8)


def prefix_of(radix: int, length: int, tweak_bytes: int) -> bytes:
    """Return P, the first block of every round: what is enciphered, but neither its value nor the tweak's."""
    head = bytes([1, 2, 1]) + radix.to_bytes(3, "big") + bytes([ROUNDS, length // 2 % 256])
    return head + length.to_bytes(4, "big") + tweak_bytes.to_bytes(4, "big")


def outside_domain() -> Invalid:
    """Return the error for texts that FF1 does not take."""
    return Invalid(
        "sharing.cipher_domain",
        what=Text(
            zh="保留格式加密只能用于可能取值不少于一百万的数字串。",
            en="Format-preserving encryption needs digits with at least a million possible values.",
        ),
        remedy=Text(zh="请改用假名或不显示。", en="Use a pseudonym, or hide the value."),
    )
