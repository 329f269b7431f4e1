"""Row filters as SQL that DuckDB reads: the rows that pass `row_filters.passes`, by the table.

Where the two could differ, this one leaves the row out: numbers of more than 28 digits before or 10 after the point,
and years that only Python reads as digits. A filter never lets more through.
"""

import re
from collections.abc import Iterable, Mapping

from datong.norms import text_literal
from datong.sharing.mask_columns import quoted, trimmed_sql
from datong.sharing.row_filters import RowCondition, RowOperator

_NUMBER = r"[+-]?([0-9]{1,28}(\.[0-9]{0,10})?|\.[0-9]{1,10})"
_DAY = r"[0-9]{4}-"
_DAY_CHARS = len("2026-01-01")
NOTHING = "false"


def filter_sql(conditions: Iterable[RowCondition], types: Mapping[str, str]) -> str:
    """Return SQL that is true for the rows that meet every condition; `types` are DuckDB's, by the table's columns."""
    tests = [f"coalesce({_test(one, types[one.column])}, false)" for one in conditions if one.column in types]
    # A condition on a column that the table does not have is met by no row.
    missing = [NOTHING for one in conditions if one.column not in types]
    return " AND ".join([*tests, *missing]) or "true"


def _test(condition: RowCondition, kind: str) -> str:
    name = quoted(condition.column)
    if kind == "TIMESTAMP WITH TIME ZONE":
        # The text of a time is that of the norms, in China's time.
        name = f"strftime(timezone('Asia/Shanghai', {name}), '%Y-%m-%d %H:%M:%S')"
    text = trimmed_sql(f"CAST({name} AS VARCHAR)")
    wanted = condition.values[0]
    if condition.operator is RowOperator.IS:
        return f"{text} = {text_literal(wanted)}"
    if condition.operator is RowOperator.ONE_OF:
        return f"{text} IN ({', '.join(text_literal(value) for value in condition.values)})"
    if condition.operator is RowOperator.STARTS_WITH:
        return f"starts_with({text}, {text_literal(wanted)})"
    return _ordered(text, ">=" if condition.operator is RowOperator.AT_LEAST else "<", wanted)


def _ordered(text: str, sign: str, wanted: str) -> str:
    """Return the comparison of numbers with a number, of days with a day; of anything else, one that nothing meets."""
    number = f"regexp_full_match({text}, '{_NUMBER}')"
    figure = wanted.strip()
    if re.fullmatch(_NUMBER, figure, re.ASCII):
        cast = f"TRY_CAST(CASE WHEN {number} THEN {text} END AS DECIMAL(38, 10))"
        return f"{cast} {sign} CAST('{figure}' AS DECIMAL(38, 10))"
    if re.match(_DAY, wanted, re.ASCII) and len(wanted) >= _DAY_CHARS:
        day = f"regexp_matches({text}, '^{_DAY}') AND length({text}) >= {_DAY_CHARS}"
        return f"{day} AND {text} {sign} {text_literal(wanted)}"
    return NOTHING
