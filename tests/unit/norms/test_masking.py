import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.norms import Mask, mask_value


@pytest.mark.parametrize(
    ("mask", "value", "shown"),
    [
        (Mask.NAME, "王丽丽", "王**"),
        (Mask.NAME, "王", "王*"),
        (Mask.ID, "110101199003070011", "110101**********11"),
        (Mask.PHONE, "13800138000", "138******00"),
        (Mask.PHONE, "123", "***"),
        (Mask.ADDRESS, "示例市一区人民路12号", "示例市一区人*****"),
        (Mask.AMOUNT, "12345.60", "10000-20000"),
        (Mask.AMOUNT, "不少", "*"),
        (Mask.AMOUNT, "NaN", "*"),
        (Mask.NONE, "男", "男"),
        (Mask.NAME, None, None),
        (Mask.NAME, "", ""),
    ],
)
def test_masks(mask: Mask, value: str | None, shown: str | None) -> None:
    assert mask_value(mask, value) == shown


@given(st.sampled_from([Mask.ID, Mask.PHONE]), st.text(min_size=1, max_size=40))
def test_a_masked_number_never_shows_all_of_itself(mask: Mask, value: str) -> None:
    assert "*" in str(mask_value(mask, value))
    assert len(str(mask_value(mask, value))) == len(value)
