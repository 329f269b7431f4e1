"""Every value of a column is judged: wrong or not, how it was repaired, what stays in doubt."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from functools import cache

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric
from stdnum.exceptions import InvalidComponent
from stdnum.iso7064 import mod_11_10, mod_37_36

from datong.norms import (
    Doubt,
    IdentifierKind,
    JudgedColumn,
    QualityFlag,
    Repair,
    certificate_check_character,
    check_identifier,
    citizen_check_character,
    doubts_in,
    identifier_valid_sql,
    judged_sql,
    load_pack,
    prepare_divisions,
    repairs_in,
    vin_check_character,
)

PACK = load_pack()
TODAY = date(2026, 11, 26)
Judged = tuple[str | None, str | None, set[str], set[str]]


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """DuckDB, opened by the first test: its threads would not live on in the processes of `tests.whole_run`."""
    made = duckdb.connect()
    prepare_divisions(made, PACK, TODAY)
    return made


def judge(rows: Sequence[dict[str, str | None]]) -> list[list[Judged]]:
    """The judgement of every value of `rows`, each a mapping from element to raw value."""
    codes = list(rows[0])
    values = ", ".join("(" + ", ".join("?" for _ in codes) + ")" for _ in rows)
    names = ", ".join(codes)
    columns = [JudgedColumn(column=code, element=PACK.element(code)) for code in codes]
    query = judged_sql(f"(SELECT * FROM (VALUES {values}) AS v({names}))", columns, TODAY)
    found = connection().execute(query, [row[code] for row in rows for code in codes]).fetchall()
    return [
        [
            (row[5 * i + 1], row[5 * i + 2], set(repairs_in(row[5 * i + 3])), set(doubts_in(row[5 * i + 4])))
            for i in range(len(codes))
        ]
        for row in found
    ]


def one(code: str, raw: str | None) -> Judged:
    return judge([{code: raw}])[0][0]


@pytest.mark.parametrize(
    ("element", "raw", "clean", "repairs"),
    [
        ("citizen_id", "110101199003070011", "110101199003070011", set()),
        ("citizen_id", "110101900307001", "110101199003070011", {Repair.GENERATION}),
        ("citizen_id", " 110101 19900307-0011", "110101199003070011", {Repair.BLANKS, Repair.SEPARATORS}),
        ("citizen_id", "11010519491231002x", "11010519491231002X", {Repair.LETTER_CASE}),
        ("citizen_id", "１１０１０１１９９００３０７００１１", "110101199003070011", {Repair.WIDTH}),
        ("phone", "+86 138-0013-8000", "13800138000", {Repair.SEPARATORS, Repair.PREFIX}),
        ("sex", "男", "1", {Repair.CODE_NAME}),
        ("sex", "1", "1", set()),
        ("birth_date", "1990/3/7", "1990-03-07", {Repair.DATE_FORM}),
        ("annual_income", "3.5万元", "35000.00", {Repair.UNIT}),
        ("annual_income", "12,345", "12345.00", {Repair.NUMBER_FORM}),
        ("annual_income", "12345", "12345.00", set()),
        ("person_name", "阿卜杜拉•买买提", "阿卜杜拉·买买提", {Repair.MIDDLE_DOT}),
        ("person_name", "王 丽", "王丽", {Repair.SEPARATORS}),
        ("address", "示例市——一区", "示例市-一区", {Repair.OTHER}),
        ("plate_number", "粤e·12345", "粤E12345", {Repair.SEPARATORS, Repair.LETTER_CASE}),
        ("remark", "一  二", "一 二", {Repair.BLANKS}),
        ("citizen_id", "不详", None, set()),
    ],
)
def test_repairs_are_named(element: str, raw: str, clean: str | None, repairs: set[Repair]) -> None:
    judged = one(element, raw)
    assert (judged[0], judged[2]) == (clean, repairs)


@pytest.mark.parametrize(
    ("element", "raw", "doubts"),
    [
        ("citizen_id", "110101199003070011", set()),
        ("citizen_id", "110103199003070017", set()),
        ("division_code", "110103", {Doubt.FORMER_REGION}),
        ("division_code", "999999", {Doubt.UNKNOWN_REGION}),
        ("division_code", "440604001", set()),
        ("birth_date", "2027-01-01", {Doubt.FUTURE_DATE}),
        ("expires_on", "2099-01-01", set()),
        ("birth_date", "1899-01-01", {Doubt.EARLY_DATE}),
        ("birth_date", "1900-01-01", {Doubt.DEFAULT_DATE}),
        ("phone", "13000000000", {Doubt.RUN_OF_DIGITS}),
        ("phone", "13800138000", set()),
        ("annual_income", "12.345", {Doubt.ROUNDED}),
        ("annual_income", "12.340", set()),
        ("annual_income", "-12", {Doubt.NEGATIVE}),
        ("temperature", "-12", set()),
        ("temperature", None, set()),
    ],
)
def test_doubts_are_named(element: str, raw: str | None, doubts: set[Doubt]) -> None:
    assert one(element, raw)[3] == doubts


def test_an_unknown_region_is_a_doubt_and_no_error() -> None:
    first_17 = "99999919900307001"
    judged = one("citizen_id", first_17 + citizen_check_character(first_17))
    assert judged[1] is None
    assert judged[3] == {Doubt.UNKNOWN_REGION}


def test_sex_and_birth_are_compared_with_the_citizen_id() -> None:
    rows: list[dict[str, str | None]] = [
        {"citizen_id": "110101199003070011", "sex": "男", "birth_date": "19900307"},
        {"citizen_id": "110101199003070011", "sex": "2", "birth_date": "1990-03-08"},
        {"citizen_id": "110101199003070011", "sex": "9", "birth_date": None},
        {"citizen_id": "110101199003070012", "sex": "2", "birth_date": "1990-03-08"},
    ]
    found = [(row[1][3], row[2][3]) for row in judge(rows)]
    disagrees = {Doubt.DISAGREES_WITH_ID}
    assert found == [(set(), set()), (disagrees, disagrees), (set(), set()), (set(), set())]


TEXTS = st.one_of(
    st.text(max_size=24),
    st.from_regex(r"[0-9XxA-Z/\-年月日.: ]{0,20}", fullmatch=True),
    st.sampled_from(
        ["男", "１", "3.5万元", "1990年3月7日", "110101900307001", "无", " ", "粤E12345", "+8613800138000"]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PACK.elements), TEXTS)
def test_standardising_is_idempotent_and_repairs_tell_when_it_changed(element: object, raw: str) -> None:
    code = str(getattr(element, "code", ""))
    clean, flag, repairs, doubts = one(code, raw)
    assert flag is None or QualityFlag(flag)
    assert {Repair(repair) for repair in repairs} == repairs
    assert {Doubt(doubt) for doubt in doubts} == doubts
    if clean is None:
        assert repairs == set()
        return
    if not repairs and clean != raw:
        assert float(raw) == pytest.approx(float(clean), abs=0.5 * 10 ** -PACK.element(code).decimals)
    again = one(code, clean)
    if flag is None:
        assert (again[0], again[1], again[2]) == (clean, None, set())


DIGITS = st.text("0123456789", min_size=8, max_size=20)
MUTATED = st.tuples(st.integers(0, 30), st.sampled_from("0123456789ABXIOQ"))


def valid_of(kind: IdentifierKind, seed: str) -> str:
    """A valid identifier of `kind` made from digits."""
    digits = (seed * 3)[:19]
    if kind is IdentifierKind.REGISTRATION_NUMBER:
        return digits[:14] + str(mod_11_10.calc_check_digit(digits[:14]))
    if kind is IdentifierKind.BANK_CARD:
        return "6" + digits[:14] + str(luhn.calc_check_digit("6" + digits[:14]))
    if kind is IdentifierKind.VIN:
        blank = "LS" + digits[:6] + "0" + digits[6:14]
        return blank[:8] + vin_check_character(blank) + blank[9:]
    first_17 = "11010119900307" + digits[:3]
    return first_17 + str(ric.calc_check_digit(first_17 + "0"))


KINDS = [
    IdentifierKind.REGISTRATION_NUMBER,
    IdentifierKind.BANK_CARD,
    IdentifierKind.VIN,
    IdentifierKind.CITIZEN_ID,
]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(KINDS), DIGITS, st.none() | MUTATED)
def test_column_and_value_checks_agree_with_each_other_and_with_stdnum(
    kind: IdentifierKind, seed: str, mutation: tuple[int, str] | None
) -> None:
    text = valid_of(kind, seed)
    assert check_identifier(kind, text).valid
    if mutation is not None:
        place = mutation[0] % len(text)
        text = text[:place] + mutation[1] + text[place + 1 :]
    valid = check_identifier(kind, text).valid
    row = (
        connection()
        .execute(f"SELECT {identifier_valid_sql(kind, 'x')} FROM (SELECT ?::VARCHAR AS x)", [text])
        .fetchone()
    )
    assert row == (valid,)
    if kind is IdentifierKind.BANK_CARD and text.isdigit() and text[0] != "0":
        assert luhn.is_valid(text) is valid
    if kind is IdentifierKind.REGISTRATION_NUMBER and text.isdigit():
        assert mod_11_10.is_valid(text) is valid
    if kind is IdentifierKind.CITIZEN_ID and valid:
        # stdnum may refuse the place (by the year of birth), never structure, date or check.
        with suppress(InvalidComponent):
            ric.validate(text)


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=30, max_size=30))
def test_the_certificate_check_is_that_of_iso_7064(payload: str) -> None:
    assert certificate_check_character(payload) == mod_37_36.calc_check_digit(payload)
