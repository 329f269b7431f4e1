from datetime import date
from functools import cache

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.iso7064 import mod_37_36

from datong.norms import (
    IdentifierKind,
    IdProblem,
    certificate_check_character,
    check_identifier,
    citizen_birth_date,
    citizen_check_character,
    citizen_sex,
    citizen_to_18_sql,
    identifier_valid_sql,
    organisation_check_character,
    to_18,
    uscc_check_character,
)
from datong.norms.identifiers import ALPHANUMERIC, USCC_ALPHABET

VALID = {
    IdentifierKind.CITIZEN_ID: [
        "110101199003070011",
        "110101200002290042",
        "370102198502150024",
        "11010519491231002X",
    ],
    IdentifierKind.USCC: [
        "114406000000000193",
        "12440600456000017N",
        "91440604MA0000015B",
        "92440604MA00000QXA",
        "524406005000000158",
        "N2440604MF0000013Y",
    ],
    IdentifierKind.CERTIFICATE_ID: [
        "1.2.156.3005.2.114406000000000193001.114406000000000193.20250801000000000001.001.E",
    ],
    IdentifierKind.REAL_ESTATE_UNIT: ["440604001001GB00001F00010001", "440604002003JC00012W00000000"],
    IdentifierKind.DIVISION_CODE: ["440604", "440604001", "440604001001"],
    IdentifierKind.MOBILE: ["13800138000"],
}
CASES = [(kind, text) for kind, texts in VALID.items() for text in texts]


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """DuckDB, opened by the first test: its threads would not live on in the processes of `tests.whole_run`."""
    return duckdb.connect()


@st.composite
def citizen_ids(draw: st.DrawFn) -> str:
    day = draw(st.dates(min_value=date(1800, 1, 1), max_value=date(2099, 12, 31)))
    region = draw(st.integers(100000, 999999))
    first_17 = f"{region}{day:%Y%m%d}{draw(st.integers(0, 999)):03d}"
    return first_17 + draw(st.sampled_from([citizen_check_character(first_17), "X", "5"]))


@st.composite
def credit_codes(draw: st.DrawFn) -> str:
    head = draw(st.text(USCC_ALPHABET, min_size=2, max_size=2)) + f"{draw(st.integers(0, 999999)):06d}"
    body = draw(st.text(USCC_ALPHABET, min_size=8, max_size=8))
    first_17 = head + body + organisation_check_character(body)
    return first_17 + uscc_check_character(first_17)


@st.composite
def certificates(draw: st.DrawFn) -> str:
    letters = st.text(ALPHANUMERIC, min_size=18, max_size=18)
    parts = [draw(letters) + "001", draw(letters), draw(st.text(ALPHANUMERIC, min_size=1, max_size=30)), "001"]
    check = draw(st.sampled_from([certificate_check_character("".join(parts)), "0"]))
    return ".".join(["1.2.156.3005.2", *parts, check])


def mutated(ids: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def change(text: str, place: int, letter: str) -> str:
        place %= len(text)
        return text[:place] + letter + text[place + 1 :]

    letters = st.sampled_from(ALPHANUMERIC + "xIOSVZ.１é男\n")
    return st.one_of(ids, st.builds(change, ids, st.integers(0, 99), letters))


ANY = st.one_of(
    mutated(citizen_ids()),
    mutated(credit_codes()),
    mutated(certificates()),
    mutated(st.sampled_from([text for _, text in CASES])),
    st.text(max_size=40),
)


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_the_standards_examples_are_valid(kind: IdentifierKind, text: str) -> None:
    assert check_identifier(kind, text).valid


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (IdentifierKind.CITIZEN_ID, "110101199003070012", IdProblem.CHECK),
        (IdentifierKind.CITIZEN_ID, "110101190002290042", IdProblem.DATE),
        (IdentifierKind.CITIZEN_ID, "11010119900307001", IdProblem.FORMAT),
        (IdentifierKind.CITIZEN_ID, "11010519491231002x", IdProblem.FORMAT),
        (IdentifierKind.USCC, "114406000000000194", IdProblem.CHECK),
        (IdentifierKind.USCC, "I14406000000000193", IdProblem.FORMAT),
        (IdentifierKind.MOBILE, "12800138000", IdProblem.FORMAT),
        (IdentifierKind.REAL_ESTATE_UNIT, "440604001001AB00001F00010001", IdProblem.FORMAT),
        (IdentifierKind.ORGANISATION_CODE, "12345678A", IdProblem.FORMAT),
    ],
)
def test_what_is_wrong_is_named(kind: IdentifierKind, text: str, problem: IdProblem) -> None:
    assert check_identifier(kind, text).problem is problem


@settings(max_examples=30, deadline=None)
@given(st.lists(ANY, min_size=10, max_size=20))
def test_python_and_sql_agree(texts: list[str]) -> None:
    columns = ", ".join(identifier_valid_sql(kind, "value") for kind in IdentifierKind)
    # Many at once: an engine takes as long to plan the query as to judge a thousand values.
    query = f"SELECT {columns}, {citizen_to_18_sql('value')} FROM (SELECT unnest(?::VARCHAR[]) AS value)"
    rows = connection().execute(query, [texts]).fetchall()
    for text, row in zip(texts, rows, strict=True):
        assert dict(zip(IdentifierKind, row, strict=False)) == {
            kind: check_identifier(kind, text).valid for kind in IdentifierKind
        }
        assert row[-1] == to_18(text)


def test_an_absent_value_is_not_valid() -> None:
    for kind in IdentifierKind:
        row = connection().execute(f"SELECT {identifier_valid_sql(kind, 'NULL::VARCHAR')}").fetchone()
        assert row == (False,)


@given(citizen_ids())
def test_the_check_character_agrees_with_stdnum(text: str) -> None:
    assert (ric.calc_check_digit(text) == text[-1]) == (citizen_check_character(text[:17]) == text[17])


@given(st.text(ALPHANUMERIC, min_size=1, max_size=60))
def test_the_certificate_check_agrees_with_stdnum(payload: str) -> None:
    assert certificate_check_character(payload) == mod_37_36.calc_check_digit(payload)


@given(credit_codes())
def test_a_made_credit_code_is_valid_and_one_wrong_check_is_not(text: str) -> None:
    assert check_identifier(IdentifierKind.USCC, text).valid
    other = USCC_ALPHABET[(USCC_ALPHABET.index(text[-1]) + 1) % 31]
    assert not check_identifier(IdentifierKind.USCC, text[:-1] + other).valid


def test_first_generation_numbers_and_what_an_id_tells() -> None:
    assert to_18("110101900307001") == "110101199003070011"
    assert to_18("110101199003070011") == "110101199003070011"
    assert citizen_birth_date("110101199003070011") == date(1990, 3, 7)
    assert citizen_birth_date("110101190002290042") is None
    assert (citizen_sex("110101199003070011"), citizen_sex("110101200002290042")) == ("1", "2")
