"""Masking: what is left of a value when its grade forbids to show it whole.

Every function is pure and total: it takes the text of a value and shows no more of a malformed value than of a
well-formed one. Masks keep the length of identifiers, so that a form shows where the hidden part is.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from datong.kernel import Text

STAR = "*"
HIDDEN = "***"


class MaskKind(StrEnum):
    """How a value is masked."""

    NONE = "none"
    NAME = "name"
    ID = "id"
    PHONE = "phone"
    ADDRESS = "address"
    AMOUNT = "amount"
    HIDDEN = "hidden"

    @property
    def label(self) -> Text:
        """What the mask does, in words."""
        return _LABELS[self]


_LABELS = {
    MaskKind.NONE: Text(zh="原值", en="as it is"),
    MaskKind.NAME: Text(zh="仅显示姓", en="surname only"),
    MaskKind.ID: Text(zh="保留前四位后四位", en="first and last four characters"),
    MaskKind.PHONE: Text(zh="保留前三位后四位", en="first three and last four digits"),
    MaskKind.ADDRESS: Text(zh="保留到区县或街道", en="down to district or street"),
    MaskKind.AMOUNT: Text(zh="金额分档", en="amount band"),
    MaskKind.HIDDEN: Text(zh="不显示，仅供核验", en="not shown, for verification only"),
}

_SURNAMES = (
    "欧阳太史端木上官司马东方独孤南宫万俟闻人夏侯诸葛尉迟公羊赫连澹台皇甫宗政濮阳公冶"
    "太叔申屠公孙慕容仲孙钟离长孙宇文司徒鲜于司空闾丘子车亓官司寇巫马公西颛孙壤驷公良"
    "漆雕乐正宰父谷梁拓跋夹谷轩辕令狐段干百里呼延东郭南门羊舌微生梁丘左丘东门西门第五"
)
COMPOUND_SURNAMES = frozenset(_SURNAMES[start : start + 2] for start in range(0, len(_SURNAMES), 2))
AMOUNT_BANDS = (1_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
"""Upper ends of the amount bands, in yuan; each band includes its lower end and excludes its upper end."""

_PLACE = re.compile(
    r"^(?:[\u4e00-\u9fff]{2,8}?(?:省|自治区))?(?:[\u4e00-\u9fff]{2,8}?(?:市|自治州|地区|盟))?"
    r"(?:[\u4e00-\u9fff]{1,8}?(?:区|县|市|旗))?(?:[\u4e00-\u9fff]{1,8}?(?:街道|镇|乡))?"
)


def mask_name(value: str) -> str:
    """Return the surname and one star per hidden character (张三丰 → 张**); of letters, the first one (John → J***).

    A one-character name is hidden altogether.
    """
    name = value.strip()
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
    text = value.strip()
    if not text:
        return ""
    if len(text) < 6:
        return HIDDEN
    if len(text) < 12:
        return text[:2] + STAR * (len(text) - 2)
    return text[:4] + STAR * (len(text) - 8) + text[-4:]


def mask_phone(value: str) -> str:
    """Return the first three and last four digits: 138****5678; of anything but eleven digits the last two only."""
    text = value.strip()
    if not text:
        return ""
    if len(text) == 11 and text.isascii() and text.isdigit():
        return f"{text[:3]}****{text[-4:]}"
    if len(text) < 7:
        return HIDDEN
    return STAR * (len(text) - 2) + text[-2:]


def mask_address(value: str) -> str:
    """Return the address down to its street or township, else as far as divisions are recognised; the rest as ***."""
    text = value.strip()
    if not text:
        return ""
    found = _PLACE.match(text)
    return (found.group(0) if found else "") + HIDDEN


def mask_amount(value: str) -> str:
    """Return the band of yuan an amount lies in: 4200.50 → 3000-5000; a value that is no amount is hidden."""
    text = value.strip().replace(",", "")
    if not text:
        return ""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return HIDDEN
    if not amount.is_finite():
        return HIDDEN
    if amount < 0:
        return "<0"
    lower = 0
    for upper in AMOUNT_BANDS:
        if amount < upper:
            return f"{lower}-{upper}"
        lower = upper
    return f"≥{lower}"


def mask_hidden(value: str) -> str:
    """Return the same three stars for any value: neither content nor length shows."""
    return HIDDEN if value.strip() else ""


def _whole(value: str) -> str:
    return value


_MASKS: Mapping[MaskKind, Callable[[str], str]] = {
    MaskKind.NONE: _whole,
    MaskKind.NAME: mask_name,
    MaskKind.ID: mask_id,
    MaskKind.PHONE: mask_phone,
    MaskKind.ADDRESS: mask_address,
    MaskKind.AMOUNT: mask_amount,
    MaskKind.HIDDEN: mask_hidden,
}


def apply_mask(kind: MaskKind, value: str | None) -> str | None:
    """Return what may be shown of `value` under `kind`."""
    return None if value is None else _MASKS[kind](value)


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
