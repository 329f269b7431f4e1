"""Masking: what is left of a value when its grade forbids to show it whole.

Every function is pure and total: it takes the text of a value and shows no more of a malformed value than of a
well-formed one. Masks keep the length of identifiers, so that a form shows where the hidden part is. `mask_columns`
says the same as SQL; a property test holds the two equal, so what is read here must be plain enough for both: spaces,
digits and letters are the listed ones, not whatever Unicode counts among them.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from datong.kernel import Text
from datong.sharing.enciphering import HIDDEN, encipher_digits, encipher_id, encipher_phone

STAR = "*"
SPACES = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003"
    "\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What is trimmed at both ends before a value is looked at."""
PSEUDONYM_CHARS = 32
"""Hexadecimal digits of a pseudonym: 128 bits, so that two values in 2⁶⁴ would have to meet by chance."""


class MaskKind(StrEnum):
    """How a value is masked."""

    NONE = "none"
    NAME = "name"
    ID = "id"
    PHONE = "phone"
    ADDRESS = "address"
    AMOUNT = "amount"
    DATE = "date"
    PSEUDONYM = "pseudonym"
    CIPHER_ID = "cipher_id"
    CIPHER_PHONE = "cipher_phone"
    CIPHER_DIGITS = "cipher_digits"
    HIDDEN = "hidden"

    @property
    def label(self) -> Text:
        """What the mask does, in words."""
        return _LABELS[self]

    @property
    def keyed(self) -> bool:
        """Whether the mask needs a key: equal values stay equal under it, and it shows nothing else of them."""
        return self in KEYED


_LABELS = {
    MaskKind.NONE: Text(zh="原值", en="as it is"),
    MaskKind.NAME: Text(zh="仅显示姓", en="surname only"),
    MaskKind.ID: Text(zh="保留前四位后四位", en="first and last four characters"),
    MaskKind.PHONE: Text(zh="保留前三位后四位", en="first three and last four digits"),
    MaskKind.ADDRESS: Text(zh="保留到区县或街道", en="down to district or street"),
    MaskKind.AMOUNT: Text(zh="金额分档", en="amount band"),
    MaskKind.DATE: Text(zh="仅显示年份", en="year only"),
    MaskKind.PSEUDONYM: Text(zh="假名（同一用途内一致）", en="pseudonym, constant within the purpose"),
    MaskKind.CIPHER_ID: Text(zh="保留格式加密的身份证号", en="citizen ID enciphered as another citizen ID"),
    MaskKind.CIPHER_PHONE: Text(zh="保留格式加密的电话号码", en="telephone number enciphered as another one"),
    MaskKind.CIPHER_DIGITS: Text(zh="保留格式加密其中的数字", en="digits enciphered as other digits"),
    MaskKind.HIDDEN: Text(zh="不显示，仅供核验", en="not shown, for verification only"),
}
KEYED = frozenset({MaskKind.PSEUDONYM, MaskKind.CIPHER_ID, MaskKind.CIPHER_PHONE, MaskKind.CIPHER_DIGITS})

_SURNAMES = (
    "欧阳太史端木上官司马东方独孤南宫万俟闻人夏侯诸葛尉迟公羊赫连澹台皇甫宗政濮阳公冶"
    "太叔申屠公孙慕容仲孙钟离长孙宇文司徒鲜于司空闾丘子车亓官司寇巫马公西颛孙壤驷公良"
    "漆雕乐正宰父谷梁拓跋夹谷轩辕令狐段干百里呼延东郭南门羊舌微生梁丘左丘东门西门第五"
)
COMPOUND_SURNAMES = frozenset(_SURNAMES[start : start + 2] for start in range(0, len(_SURNAMES), 2))
AMOUNT_BANDS = (1_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
"""Upper ends of the amount bands, in yuan; each band includes its lower end and excludes its upper end."""

PLACE_PATTERN = (
    "^(?:[\u4e00-\u9fff]{2,8}?(?:省|自治区))?(?:[\u4e00-\u9fff]{2,8}?(?:市|自治州|地区|盟))?"
    "(?:[\u4e00-\u9fff]{1,8}?(?:区|县|市|旗))?(?:[\u4e00-\u9fff]{1,8}?(?:街道|镇|乡))?"
)
AMOUNT_PATTERN = r"([+-]?)0*([0-9]*)(\.[0-9]*)?"
"""Sign, whole yuan without leading zeros, fraction; at least one digit must be among them."""
DATE_PATTERN = r"(?s)([12][0-9]{3})(?:[0-9]{4}|[-/.年].*)"
"""Patterns that Python and RE2 (DuckDB) read alike."""
AMOUNT_DIGITS_MAX = 7
"""Whole yuan of more digits lie in the last band in any case."""
_PLACE = re.compile(PLACE_PATTERN)
_AMOUNT = re.compile(AMOUNT_PATTERN)
_DATE = re.compile(DATE_PATTERN)
_TO_CAPITALS = {ord("a") + place: ord("A") + place for place in range(26)}


def mask_name(value: str) -> str:
    """Return the surname and one star per hidden character (张三丰 → 张**); of letters, the first one (John → J***).

    A one-character name is hidden altogether.
    """
    name = value.strip(SPACES)
    if not name:
        return ""
    if "·" in name or name.isascii():
        return name[0] + HIDDEN if len(name) > 1 else HIDDEN
    if len(name) == 1:
        return HIDDEN
    shown = 2 if name[:2] in COMPOUND_SURNAMES and len(name) > 2 else 1
    return name[:shown] + STAR * (len(name) - shown)


def mask_id(value: str) -> str:
    """Return the first and last four characters of an identifier: 1101**********0011.

    An identifier shorter than twelve characters shows its first two only, and one shorter than six nothing.
    """
    text = value.strip(SPACES)
    if not text:
        return ""
    if len(text) < 6:
        return HIDDEN
    if len(text) < 12:
        return text[:2] + STAR * (len(text) - 2)
    return text[:4] + STAR * (len(text) - 8) + text[-4:]


def mask_phone(value: str) -> str:
    """Return the first three and last four digits: 138****5678; of anything but eleven digits the last two only."""
    text = value.strip(SPACES)
    if not text:
        return ""
    if len(text) == 11 and text.isascii() and text.isdigit():
        return f"{text[:3]}****{text[-4:]}"
    if len(text) < 7:
        return HIDDEN
    return STAR * (len(text) - 2) + text[-2:]


def mask_address(value: str) -> str:
    """Return the address down to its street or township, else as far as divisions are recognised; the rest as ***."""
    text = value.strip(SPACES)
    if not text:
        return ""
    found = _PLACE.match(text)
    return (found.group(0) if found else "") + HIDDEN


def mask_amount(value: str) -> str:
    """Return the band of yuan an amount lies in: 4200.50 → 3000-5000; a value that is no plain amount is hidden."""
    text = value.strip(SPACES).replace(",", "")
    if not text:
        return ""
    found = _AMOUNT.fullmatch(text)
    if found is None or not any(character.isdigit() for character in text):
        return HIDDEN
    sign, whole, fraction = found.groups(default="")
    if sign == "-" and (whole or fraction.strip(".0")):
        return "<0"
    if len(whole) > AMOUNT_DIGITS_MAX:
        return f"≥{AMOUNT_BANDS[-1]}"
    lower, yuan = 0, int(whole or "0")
    for upper in AMOUNT_BANDS:
        if yuan < upper:
            return f"{lower}-{upper}"
        lower = upper
    return f"≥{lower}"


def mask_date(value: str) -> str:
    """Return the year of a date: 1990-03-07 → 1990-**-**; a value that begins with no year is hidden."""
    text = value.strip(SPACES)
    if not text:
        return ""
    found = _DATE.fullmatch(text)
    return f"{found.group(1)}-**-**" if found else HIDDEN


def mask_hidden(value: str) -> str:
    """Return the same three stars for any value: neither content nor length shows."""
    return HIDDEN if value.strip(SPACES) else ""


def pseudonym(key: bytes, value: str) -> str:
    """Return the keyed pseudonym (HMAC-SHA256, 32 hexadecimal digits) of a trimmed value with capital ASCII letters.

    Who does not hold `key` can neither tell whether two pseudonyms under different keys belong to one value, nor test
    a guess.
    """
    text = value.strip(SPACES).translate(_TO_CAPITALS)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_CHARS] if text else ""


def _whole(value: str) -> str:
    return value


_MASKS: Mapping[MaskKind, Callable[[str], str]] = {
    MaskKind.NONE: _whole,
    MaskKind.NAME: mask_name,
    MaskKind.ID: mask_id,
    MaskKind.PHONE: mask_phone,
    MaskKind.ADDRESS: mask_address,
    MaskKind.AMOUNT: mask_amount,
    MaskKind.DATE: mask_date,
    MaskKind.HIDDEN: mask_hidden,
}
_KEYED_MASKS: Mapping[MaskKind, Callable[[bytes, str], str]] = {
    MaskKind.PSEUDONYM: pseudonym,
    MaskKind.CIPHER_ID: lambda key, value: encipher_id(key, value.strip(SPACES)),
    MaskKind.CIPHER_PHONE: lambda key, value: encipher_phone(key, value.strip(SPACES)),
    MaskKind.CIPHER_DIGITS: lambda key, value: encipher_digits(key, value.strip(SPACES)),
}


def apply_mask(kind: MaskKind, value: str | None, key: bytes | None = None) -> str | None:
    """Return what may be shown of `value` under `kind`; a keyed kind without its key (32 bytes) shows nothing.

    A text that UTF-8 cannot hold is hidden by a keyed kind.
    """
    if value is None:
        return None
    if kind not in _KEYED_MASKS:
        return _MASKS[kind](value)
    if key is None:
        return mask_hidden(value)
    try:
        return _KEYED_MASKS[kind](key, value)
    except UnicodeEncodeError:
        return HIDDEN


class ColumnMask(NamedTuple):
    """How one column is masked: the kind, and its key if it is a keyed one. It is never printed with its key."""

    kind: MaskKind
    key: bytes | None = None

    def apply(self, value: str | None) -> str | None:
        """Return what may be shown of `value`."""
        return apply_mask(self.kind, value, self.key)

    def __repr__(self) -> str:
        return f"ColumnMask({self.kind.value})"


SHOWN, UNSHOWN = ColumnMask(MaskKind.NONE), ColumnMask(MaskKind.HIDDEN)


def stricter_than(kind: MaskKind) -> frozenset[MaskKind]:
    """Return the masks that may be agreed on where the grade calls for `kind`: itself, and those that show less.

    Keyed masks keep equal values equal. Where the grade hides a value altogether, even that would tell too much: few
    possible values can be recognised by how often each occurs.
    """
    if kind is MaskKind.HIDDEN:
        return frozenset({kind})
    if kind is MaskKind.NONE:
        return frozenset(MaskKind)
    return frozenset({kind, MaskKind.HIDDEN}) | KEYED


def mask_for(*, grade: str, element_mask: str) -> MaskKind:
    """Return how an item of `grade` (L1 … L4) is masked whose data element has the mask kind `element_mask`.

    L1 and L2 are shown. L3 is masked as its element says. L4 likewise, and hidden where the element knows no mask.
    An unknown grade counts as L4, an unknown mask kind as hidden.
    """
    if grade in {"L1", "L2"}:
        return MaskKind.NONE
    try:
        kind = MaskKind(element_mask)
    except ValueError:
        return MaskKind.HIDDEN
    if kind is MaskKind.NONE:
        return MaskKind.NONE if grade == "L3" else MaskKind.HIDDEN
    return kind
