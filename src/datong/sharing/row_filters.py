"""Row filters: which rows of a resource an agreement is about. All conditions hold, or the row is left out.

Values are compared as text except by `at_least` and `below`, which compare numbers as numbers and dates (ISO 8601) in
their order; a value that is neither fails. What cannot be decided is left out: a filter never lets more through.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from pydantic import Field

from datong.kernel import Text, Value
from datong.kernel.limits import NAME_CHARS_MAX

CONDITIONS_MAX = 10
VALUES_MAX = 200


class RowOperator(StrEnum):
    """How a row's value is compared."""

    IS = "is"
    ONE_OF = "one_of"
    STARTS_WITH = "starts_with"
    AT_LEAST = "at_least"
    BELOW = "below"

    @property
    def label(self) -> Text:
        """The comparison in words."""
        return _LABELS[self]


_LABELS = {
    RowOperator.IS: Text(zh="等于", en="is"),
    RowOperator.ONE_OF: Text(zh="属于", en="is one of"),
    RowOperator.STARTS_WITH: Text(zh="以此开头", en="starts with"),
    RowOperator.AT_LEAST: Text(zh="不小于", en="is at least"),
    RowOperator.BELOW: Text(zh="小于", en="is below"),
}


class RowCondition(Value):
    """One condition on a column of the resource."""

    column: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    operator: RowOperator
    values: tuple[str, ...] = Field(min_length=1, max_length=VALUES_MAX)

    def holds(self, value: str | None) -> bool:
        """Whether a row with this value meets the condition."""
        return value is not None and _TESTS[self.operator](value.strip(), self.values)


def passes(conditions: Iterable[RowCondition], value_of: Callable[[str], str | None]) -> bool:
    """Whether the row whose column values `value_of` returns meets every condition."""
    return all(condition.holds(value_of(condition.column)) for condition in conditions)


def faults(conditions: tuple[RowCondition, ...], columns: Iterable[str]) -> Iterable[tuple[int, Text]]:
    """Yield the place of each condition that cannot be meant, and what is wrong with it."""
    known = frozenset(columns)
    for place, condition in enumerate(conditions):
        if condition.column not in known:
            yield place, Text(zh=f"资源没有列 {condition.column}", en=f"the resource has no column {condition.column}")
        if condition.operator is not RowOperator.ONE_OF and len(condition.values) != 1:
            yield (
                place,
                Text(
                    zh=f"“{condition.operator.label.zh}”只能比较一个值",
                    en=f"“{condition.operator.label.en}” takes one value",
                ),
            )
        if any(not value.strip() for value in condition.values):
            yield place, Text(zh="比较的值不能为空", en="a value to compare with is empty")
    if len(conditions) > CONDITIONS_MAX:
        yield CONDITIONS_MAX, Text(zh=f"最多 {CONDITIONS_MAX} 个条件", en=f"at most {CONDITIONS_MAX} conditions")


def _order(value: str) -> Decimal | str | None:
    """Return what a number or an ISO date is ordered by; None: it is neither."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value if len(value) >= len("2026-01-01") and value[:4].isdigit() and value[4] == "-" else None
    return number if number.is_finite() else None


def _at_least(value: str, than: str) -> bool | None:
    """Whether `value` does not lie below `than`; None: the two cannot be compared."""
    mine, other = _order(value), _order(than)
    if isinstance(mine, Decimal) and isinstance(other, Decimal):
        return mine >= other
    if isinstance(mine, str) and isinstance(other, str):
        return mine >= other
    return None


_TESTS: dict[RowOperator, Callable[[str, tuple[str, ...]], bool]] = {
    RowOperator.IS: lambda value, wanted: value == wanted[0],
    RowOperator.ONE_OF: lambda value, wanted: value in wanted,
    RowOperator.STARTS_WITH: lambda value, wanted: value.startswith(wanted[0]),
    RowOperator.AT_LEAST: lambda value, wanted: _at_least(value, wanted[0]) is True,
    RowOperator.BELOW: lambda value, wanted: _at_least(value, wanted[0]) is False,
}
