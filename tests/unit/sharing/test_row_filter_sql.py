"""Filters over whole tables let through what filters of single records do, and never more."""

from functools import cache

import duckdb
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from datong.sharing.row_filter_sql import filter_sql
from datong.sharing.row_filters import RowCondition, RowOperator

VALUES = (
    st.none()
    | st.text("0123456789.-+", max_size=6)
    | st.dates().map(str)
    | st.sampled_from(["", " 12 ", "禅城区", "禅城区街道", "O'Neil", "2026-01-01 08:00:00", "NaN"])
)
CONDITIONS = st.builds(
    RowCondition,
    column=st.just("v"),
    operator=st.sampled_from(RowOperator),
    values=st.lists(VALUES.filter(bool), min_size=1, max_size=2).map(tuple),
)


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """DuckDB, opened by the first test: its threads would not live on in the processes of `tests.whole_run`."""
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'")
    return made


@examples(max_examples=80)
@given(st.lists(VALUES, min_size=1, max_size=12), CONDITIONS)
@example(["9.999", "10", "10.0", "禅"], RowCondition(column="v", operator=RowOperator.AT_LEAST, values=("10",)))
@example(["12"], RowCondition(column="v", operator=RowOperator.AT_LEAST, values=(" 12 ",)))
@example([".0", "-.5", "+.5", "1.", "."], RowCondition(column="v", operator=RowOperator.BELOW, values=("1",)))
def test_the_same_rows_pass(values: list[str | None], condition: RowCondition) -> None:
    query = f"SELECT v FROM (SELECT unnest(?::VARCHAR[]) AS v) WHERE {filter_sql([condition], {'v': 'VARCHAR'})}"
    found = [row[0] for row in connection().execute(query, [values]).fetchall()]
    assert found == [value for value in values if condition.holds(value)]


def test_times_are_compared_in_chinas_time() -> None:
    condition = RowCondition(column="v", operator=RowOperator.AT_LEAST, values=("2026-01-02",))
    where = filter_sql([condition], {"v": "TIMESTAMP WITH TIME ZONE"})
    query = f"SELECT count(*) FROM (SELECT '2026-01-01 17:00:00+00'::TIMESTAMPTZ AS v) WHERE {where}"
    assert connection().execute(query).fetchone() == (1,)


def test_all_conditions_hold_and_an_unknown_column_is_met_by_nothing() -> None:
    known = RowCondition(column="v", operator=RowOperator.STARTS_WITH, values=("1",))
    unknown = RowCondition(column="w", operator=RowOperator.IS, values=("1",))
    for conditions, expected in (([], 2), ([known], 1), ([known, unknown], 0), ([unknown], 0)):
        query = f"SELECT count(*) FROM (VALUES ('1'), ('2')) t(v) WHERE {filter_sql(conditions, {'v': 'VARCHAR'})}"
        assert connection().execute(query).fetchone() == (expected,)
