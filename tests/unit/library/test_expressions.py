"""The expression language: what it says, what it refuses, and that nothing escapes it."""

from functools import cache

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Invalid
from datong.library.expressions import Kind, compile_expression

SCOPE = {"income": Kind.NUMBER, "members": Kind.NUMBER, "state": Kind.TEXT, "born": Kind.DATE, "listed": Kind.BOOLEAN}
ROW = (
    "SELECT 2400.0::DECIMAL(24,4) AS income, 0::DECIMAL(24,4) AS members, '1' AS state, DATE '2020-02-29' AS born, "
    "NULL::BOOLEAN AS listed"
)
WORDS = [*SCOPE, "and", "or", "not", "in", "is", "missing", "known", "true", "coalesce", "if", "date", "round", "drop"]
SIGNS = [
    "(",
    ")",
    ",",
    "+",
    "-",
    "*",
    "/",
    "<",
    "<=",
    "=",
    "<>",
    "'1'",
    "'; --'",
    "12.5",
    "1e9",
    ";",
    "--",
    '"',
    "\x00",
]


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """DuckDB, opened by the first test: its threads would not live on in the processes of `tests.whole_run`."""
    return duckdb.connect()


def value(text: str) -> object:
    compiled = compile_expression(text, SCOPE, field="/x")
    found = connection().execute(f"SELECT {compiled.sql} FROM ({ROW})").fetchone()
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("income / 12 + 1 * 2", 202),
        ("(1 + 2) * 3 - -4", 13),
        ("income / members", None),
        ("coalesce(income / members, 0) = 0", True),
        ("state in ('1', '2') and not listed is known", True),
        ("state not in ('1')", False),
        ("born >= date('2020-02-29') or listed", True),
        ("if(income > 100, 'rich', 'poor')", "rich"),
        ("round(greatest(1.5, 2.4999, least(9, 3))) = 3", True),
        ("abs(-1) <> 1", False),
        ("listed = true", None),
    ],
)
def test_expressions_mean_what_they_say(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "breaks off"),
        ("income +", "breaks off"),
        ("income income", "not expected at character 8"),
        ("salary > 1", "there is no salary"),
        ("income > 'much'", "a number is needed here, not a text"),
        ("state and listed", "a true or false is needed here"),
        ("read_csv('/etc/passwd')", "there is no function read_csv"),
        ("income; drop table x", "cannot be read from character 7"),
        ("date('2025-02-30') = born", "is no date"),
        ("abs(1, 2)", "takes 1 to 1"),
        ("listed < true", "equal or not"),
        ("(" * 40 + "1" + ")" * 40, "nested too deeply"),
        ("1 + " * 200 + "1", "longer than"),
        ("income is not missing", "not expected"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=r"library\.expression_invalid") as refused:
        compile_expression(text, SCOPE, field="/derivation/rules/0/value")
    assert problem in refused.value.what.en
    assert refused.value.field == "/derivation/rules/0/value"


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS + SIGNS), max_size=14).map(" ".join)))
def test_whatever_is_written_is_refused_in_words_or_runs(text: str) -> None:
    try:
        compiled = compile_expression(text, SCOPE, field="/x")
    except Invalid:
        return
    assert compiled.names <= set(SCOPE)
    connection().execute(f"SELECT {compiled.sql} FROM ({ROW})").fetchone()
