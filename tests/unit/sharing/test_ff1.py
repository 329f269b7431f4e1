"""FF1 against the samples that NIST publishes (FF1samples.pdf), and the column form against the scalar one."""

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import Invalid
from datong.sharing.ff1 import decrypt, encrypt, encrypt_number
from datong.sharing.ff1_columns import encrypt_numbers

ALPHABET = string.digits + string.ascii_lowercase
KEY_128 = "2B7E151628AED2A6ABF7158809CF4F3C"
KEY_192 = KEY_128 + "EF4359D8D580AA4F"
KEY_256 = KEY_192 + "7F036D6F04FC6A94"
TEN, THIRTY_SIX = ("0123456789", 10), ("0123456789abcdefghi", 36)
DIGITS_TWEAK, LETTERS_TWEAK = "39383736353433323130", "3737373770717273373737"


@pytest.mark.parametrize(
    ("key", "tweak", "plain", "cipher"),
    [
        (KEY_128, "", TEN, "2433477484"),
        (KEY_128, DIGITS_TWEAK, TEN, "6124200773"),
        (KEY_128, LETTERS_TWEAK, THIRTY_SIX, "a9tv40mll9kdu509eum"),
        (KEY_192, "", TEN, "2830668132"),
        (KEY_192, DIGITS_TWEAK, TEN, "2496655549"),
        (KEY_192, LETTERS_TWEAK, THIRTY_SIX, "xbj3kv35jrawxv32ysr"),
        (KEY_256, "", TEN, "6657667009"),
        (KEY_256, DIGITS_TWEAK, TEN, "1001623463"),
        (KEY_256, LETTERS_TWEAK, THIRTY_SIX, "xs8a0azh2avyalyzuwd"),
    ],
)
def test_the_samples_of_nist(key: str, tweak: str, plain: tuple[str, int], cipher: str) -> None:
    text, radix = plain
    digits = tuple(ALPHABET.index(character) for character in text)
    found = encrypt(bytes.fromhex(key), bytes.fromhex(tweak), digits, radix=radix)
    assert "".join(ALPHABET[digit] for digit in found) == cipher
    assert decrypt(bytes.fromhex(key), bytes.fromhex(tweak), found, radix=radix) == digits


@settings(max_examples=12, deadline=None)
@given(
    key=st.binary(min_size=32, max_size=32),
    tweak=st.binary(max_size=11),
    digits=st.integers(6, 18),
    values=st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=4),
)
def test_a_column_is_enciphered_as_its_values_are(key: bytes, tweak: bytes, digits: int, values: list[int]) -> None:
    column = [value % 10**digits for value in values]
    told = encrypt_numbers(key, tweak, np.array(column, np.uint64), digits)
    assert told.tolist() == [encrypt_number(key, tweak, value, digits) for value in column]


@settings(max_examples=12, deadline=None)
@given(digits=st.lists(st.integers(0, 9), min_size=6, max_size=56), tweak=st.binary(max_size=20))
def test_what_is_enciphered_can_be_deciphered(digits: list[int], tweak: bytes) -> None:
    key = bytes(32)
    assert decrypt(key, tweak, encrypt(key, tweak, digits)) == tuple(digits)


@pytest.mark.parametrize(
    ("digits", "radix"), [((1, 2, 3), 10), ((1,) * 57, 10), ((10,) * 8, 10), ((0,) * 6, 1), ((-1,) * 8, 10)]
)
def test_what_could_be_searched_through_is_refused(digits: tuple[int, ...], radix: int) -> None:
    with pytest.raises(Invalid, match="million"):
        encrypt(bytes(32), b"", digits, radix=radix)
    with pytest.raises(Invalid, match="million"):
        encrypt_numbers(bytes(32), b"", np.zeros(1, np.uint64), 5)
