from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.sharing.masks import MaskKind, apply_mask, mask_for


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (MaskKind.NAME, "张三", "张*"),
        (MaskKind.NAME, "张三丰", "张**"),
        (MaskKind.NAME, "欧阳修", "欧阳*"),
        (MaskKind.NAME, "欧阳", "欧*"),
        (MaskKind.NAME, "张", "***"),
        (MaskKind.NAME, "买买提·吐尔逊", "买***"),
        (MaskKind.NAME, "John Smith", "J***"),
        (MaskKind.ID, "110101199003070011", "1101**********0011"),
        (MaskKind.ID, "114406000000000193", "1144**********0193"),
        (MaskKind.ID, "12345", "***"),
        (MaskKind.ID, "1234567", "12*****"),
        (MaskKind.PHONE, "13812345678", "138****5678"),
        (MaskKind.PHONE, "0757-8222", "*******22"),
        (MaskKind.PHONE, "110", "***"),
        (MaskKind.ADDRESS, "广东省佛山市顺德区大良街道文秀路1号", "广东省佛山市顺德区大良街道***"),
        (MaskKind.ADDRESS, "文秀路1号", "***"),
        (MaskKind.AMOUNT, "4200.50", "3000-5000"),
        (MaskKind.AMOUNT, "3000", "3000-5000"),
        (MaskKind.AMOUNT, "0", "0-1000"),
        (MaskKind.AMOUNT, "12,000", "10000-20000"),
        (MaskKind.AMOUNT, "99999999", "≥1000000"),
        (MaskKind.AMOUNT, "-5", "<0"),
        (MaskKind.AMOUNT, "about 4200", "***"),
        (MaskKind.AMOUNT, "NaN", "***"),
        (MaskKind.HIDDEN, "anything", "***"),
        (MaskKind.NONE, "anything", "anything"),
    ],
)
def test_masks(kind: MaskKind, value: str, shown: str) -> None:
    assert apply_mask(kind, value) == shown


@pytest.mark.parametrize("kind", list(MaskKind))
def test_nothing_stays_nothing(kind: MaskKind) -> None:
    assert apply_mask(kind, None) is None
    assert apply_mask(kind, "") == ""


@given(kind=st.sampled_from(MaskKind), value=st.text())
def test_masks_are_total(kind: MaskKind, value: str) -> None:
    assert isinstance(apply_mask(kind, value), str)


@given(value=st.from_regex(r"[0-9]{17}[0-9X]", fullmatch=True))
def test_a_masked_id_hides_the_birth_date(value: str) -> None:
    shown = apply_mask(MaskKind.ID, value)
    assert shown is not None
    assert len(shown) == 18
    assert shown[4:14] == "*" * 10


@given(amount=st.decimals(0, 10**7, places=2))
def test_an_amount_lies_in_its_band(amount: Decimal) -> None:
    shown = apply_mask(MaskKind.AMOUNT, str(amount)) or ""
    if shown.startswith("≥"):
        assert amount >= int(shown[1:])
    else:
        lower, upper = shown.split("-")
        assert int(lower) <= amount < int(upper)


@pytest.mark.parametrize(
    ("grade", "element_mask", "kind"),
    [
        ("L1", "id", MaskKind.NONE),
        ("L2", "id", MaskKind.NONE),
        ("L3", "id", MaskKind.ID),
        ("L3", "none", MaskKind.NONE),
        ("L4", "amount", MaskKind.AMOUNT),
        ("L4", "none", MaskKind.HIDDEN),
        ("L9", "none", MaskKind.HIDDEN),
        ("L3", "holographic", MaskKind.HIDDEN),
    ],
)
def test_the_grade_decides_the_mask(grade: str, element_mask: str, kind: MaskKind) -> None:
    assert mask_for(grade=grade, element_mask=element_mask) is kind
