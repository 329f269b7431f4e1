from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.sharing.row_filters import CONDITIONS_MAX, RowCondition, RowOperator, faults, passes


def condition(operator: RowOperator, *values: str) -> RowCondition:
    return RowCondition(column="c", operator=operator, values=values)


@pytest.mark.parametrize(
    ("operator", "values", "meets", "fails"),
    [
        (RowOperator.IS, ("440604",), ["440604", " 440604 "], ["4406040", "", None]),
        (RowOperator.ONE_OF, ("1", "2"), ["1", "2"], ["3", None]),
        (RowOperator.STARTS_WITH, ("4406",), ["440604", "4406"], ["44", None]),
        (RowOperator.AT_LEAST, ("10",), ["10", "9999", "10.0"], ["9", "-100", "x", "NaN", "2026-01-01", None]),
        (RowOperator.BELOW, ("2026-01-01",), ["2025-12-31", "1999-01-01"], ["2026-01-01", "20251231", "", None]),
    ],
)
def test_operators(operator: RowOperator, values: tuple[str, ...], meets: list[str], fails: list[str | None]) -> None:
    one = condition(operator, *values)
    assert [value for value in meets if not one.holds(value)] == []
    assert [value for value in fails if one.holds(value)] == []


@given(number=st.decimals(allow_nan=False, allow_infinity=False), than=st.integers(-(10**9), 10**9))
def test_numbers_lie_on_one_side(number: Decimal, than: int) -> None:
    at_least = condition(RowOperator.AT_LEAST, str(than)).holds(str(number))
    assert at_least == (number >= than)
    assert condition(RowOperator.BELOW, str(than)).holds(str(number)) != at_least


@given(value=st.text(), than=st.text(min_size=1), operator=st.sampled_from(RowOperator))
def test_any_text_gets_an_answer(value: str, than: str, operator: RowOperator) -> None:
    assert condition(operator, than).holds(value) in {True, False}


def test_every_condition_must_hold() -> None:
    row = {"a": "1", "b": "2"}
    both = [RowCondition(column=column, operator=RowOperator.IS, values=(row[column],)) for column in row]
    assert passes(both, row.get)
    assert not passes([*both, condition(RowOperator.IS, "1")], row.get)
    assert passes([], row.get)


def test_faults_are_named_by_place() -> None:
    wrong = (
        condition(RowOperator.IS, "1", "2"),
        RowCondition(column="unknown", operator=RowOperator.ONE_OF, values=(" ",)),
        *[condition(RowOperator.IS, "1")] * CONDITIONS_MAX,
    )
    assert [place for place, _ in faults(wrong, ["c"])] == [0, 1, 1, CONDITIONS_MAX]
    assert list(faults(wrong[2:], ["c"])) == []
