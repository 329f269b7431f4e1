"""Judges every value of a column: what is wrong with it, how it was repaired, what stays in doubt.

A value is repaired when its canonical form differs from what the source wrote; each way of repairing has a name. A
value is in doubt when it is well formed and still suspicious: a region that no list knows, a sex that the citizen ID
beside it denies, a date that systems fill in by default. Doubts are for people to look at; no value is wrong by them.

Repairs and doubts are bit masks in SQL (`Repair.bit`, `Doubt.bit`): a column is judged and counted in one pass.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from itertools import zip_longest

import duckdb
import pyarrow as pa

from datong.kernel import Text, Value
from datong.norms.entries import DataElement
from datong.norms.identifier_sql import let_sql, text_literal
from datong.norms.identifiers import IdentifierKind
from datong.norms.pack import NormPack
from datong.norms.standardise import (
    FOLDABLE,
    INVISIBLE,
    MIDDLE_DOTS,
    NUMBERS,
    PHONES,
    clean_known_sql,
    flag_case_sql,
    flag_steps,
    fold_text_sql,
    known_folded_sql,
    plain_sql,
)
from datong.norms.terms import DataType, Mask

DIVISIONS_TABLE = "datong_divisions"
EARLIEST_BIRTH = "1900-01-01"
CITIZEN_ELEMENT = "citizen_id"
OWNED_ELEMENTS = ("sex", "birth_date")
"""Elements of a person that the citizen ID beside them implies."""
_COUNTED = (DataType.CURRENCY, DataType.INTEGER)
_BIRTH_PARTS = ((7, 4), (11, 2), (13, 2))
DEFAULT_DATES = ("1900-01-01", "1970-01-01", "1899-12-30", "1899-12-31", "9999-12-31", "2099-12-31", "0001-01-01")
_PLAIN_NUMBER = r"-?[0-9]+(\.[0-9]+)?"
_RUNS = "|".join(f"{digit}{{7}}" for digit in range(10)) + "|12345678|87654321"


class Repair(StrEnum):
    """One way in which a value was brought into its canonical form."""

    WIDTH = "width"
    BLANKS = "blanks"
    SEPARATORS = "separators"
    LETTER_CASE = "letter_case"
    GENERATION = "generation"
    PREFIX = "prefix"
    CODE_NAME = "code_name"
    DATE_FORM = "date_form"
    UNIT = "unit"
    NUMBER_FORM = "number_form"
    MIDDLE_DOT = "middle_dot"
    OTHER = "other"

    @property
    def bit(self) -> int:
        """The member's bit in a mask."""
        return 1 << list(Repair).index(self)

    @property
    def label(self) -> Text:
        """The repair in words."""
        return _REPAIRS[self]


class Doubt(StrEnum):
    """Why a well-formed value is still suspicious."""

    UNKNOWN_REGION = "unknown_region"
    FORMER_REGION = "former_region"
    FUTURE_DATE = "future_date"
    EARLY_DATE = "early_date"
    DEFAULT_DATE = "default_date"
    RUN_OF_DIGITS = "run_of_digits"
    ROUNDED = "rounded"
    NEGATIVE = "negative"
    DISAGREES_WITH_ID = "disagrees_with_id"

    @property
    def bit(self) -> int:
        """The member's bit in a mask."""
        return 1 << list(Doubt).index(self)

    @property
    def label(self) -> Text:
        """The doubt in words."""
        return _DOUBTS[self]


class JudgedColumn(Value):
    """A column and the data element by which it is judged."""

    column: str
    element: DataElement


def repairs_in(mask: int) -> tuple[Repair, ...]:
    """Return the repairs whose bits are set in `mask`."""
    return tuple(repair for repair in Repair if mask & repair.bit)


def doubts_in(mask: int) -> tuple[Doubt, ...]:
    """Return the doubts whose bits are set in `mask`."""
    return tuple(doubt for doubt in Doubt if mask & doubt.bit)


def prepare_divisions(connection: duckdb.DuckDBPyConnection, pack: NormPack, today: date) -> None:
    """Create the temporary table of division codes that judging regions needs."""
    register = pack.division_register
    codes = register.codes()
    current = [register.lookup(code, today.year) is not None for code in codes]
    table = pa.table({"code": pa.array(codes, pa.string()), "current": pa.array(current, pa.bool_())})
    connection.register("datong_divisions_view", table)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {DIVISIONS_TABLE} AS SELECT * FROM datong_divisions_view")
    connection.unregister("datong_divisions_view")


def judged_sql(
    relation: str, columns: Sequence[JudgedColumn], today: date, *, kept: Sequence[tuple[str, str]] = ()
) -> str:
    """A query that gives, for each of `columns` by its number i: `raw_i`, `clean_i`, `flag_i`, `repairs_i`, `doubts_i`.

    `relation` is a table name or a parenthesised query; `kept` are expressions that are carried along under a name.
    The connection needs `prepare_divisions`.
    """
    places = range(len(columns))
    elements = [column.element for column in columns]
    owner = next((i for i in places if elements[i].code == CITIZEN_ELEMENT), None)
    regions = [text for i in places for text in _region_columns(elements[i], i)]
    query = _staged_sql(relation, columns, regions, kept)
    judged = [
        f"raw_{i}, clean_{i}, flag_{i},"
        f" {repairs_sql(elements[i], f'raw_{i}', f'known_{i}', f'clean_{i}')} AS repairs_{i},"
        f" {doubts_sql(elements[i], i, today, owner)} AS doubts_{i}"
        for i in places
    ]
    return f"SELECT {', '.join([*(name for _, name in kept), *judged])} FROM ({query})"


def flagged_sql(relation: str, columns: Sequence[JudgedColumn], *, kept: Sequence[tuple[str, str]] = ()) -> str:
    """A query that gives, for each of `columns` by its number i: `raw_i`, `clean_i` and `flag_i`, and nothing in doubt.

    It is `clean_sql` and `flag_sql` of every column, with nothing computed twice; see `judged_sql` for the rest.
    """
    query = _staged_sql(relation, columns, [], kept)
    shown = [f"raw_{i}, clean_{i}, flag_{i}" for i in range(len(columns))]
    return f"SELECT {', '.join([*(name for _, name in kept), *shown])} FROM ({query})"


def _staged_sql(
    relation: str, columns: Sequence[JudgedColumn], regions: list[str], kept: Sequence[tuple[str, str]]
) -> str:
    places = range(len(columns))
    elements = [column.element for column in columns]
    raw = [f"CAST({quoted(columns[i].column)} AS VARCHAR) AS raw_{i}" for i in places]
    plain = [plain_sql(element, f"raw_{i}") for i, element in enumerate(elements)]

    def unless_plain(place: int, standardised: str) -> str:
        """The value itself where it is plain, else what `standardised` makes of it."""
        if plain[place] is None:
            return standardised
        return f"(CASE WHEN its_{place}_plain THEN raw_{place} ELSE {standardised} END)"

    # Each stage names what the next one reads, so that nothing is computed twice.
    stages = [
        [f"{plain[i] or 'false'} AS its_{i}_plain" for i in places],
        [f"{unless_plain(i, fold_text_sql(f'raw_{i}'))} AS folded_{i}" for i in places],
        [f"{unless_plain(i, known_folded_sql(elements[i], f'folded_{i}'))} AS known_{i}" for i in places],
        [f"{unless_plain(i, clean_known_sql(elements[i], f'known_{i}'))} AS clean_{i}" for i in places],
        *([regions] if regions else []),
        *_flag_stages(elements),
        [f"{flag_case_sql(elements[i], f'known_{i}', f'clean_{i}', f'its_{i}')} AS flag_{i}" for i in places],
    ]
    carried = [f"{expression} AS {name}" for expression, name in kept]
    query = f"SELECT {', '.join([*carried, *raw])} FROM {relation}"
    for stage in stages:
        query = f"SELECT {', '.join(['*', *stage])} FROM ({query})"
    return query


def _flag_stages(elements: Sequence[DataElement]) -> list[list[str]]:
    steps = [flag_steps(element, f"clean_{i}", f"its_{i}") for i, element in enumerate(elements)]
    return [
        [f"{value} AS {name}" for step in at_once if step is not None for name, value in step.items()]
        for at_once in zip_longest(*steps)
    ]


def standardised_sql(relation: str, columns: Sequence[JudgedColumn], others: Sequence[str], today: date) -> str:
    """A query that gives the table in canonical form: each column clean, with its flag, repairs and doubts beside it.

    `others` are the columns that are carried along as they are. A column `x` brings `x__flag`, `x__repairs` and
    `x__doubts`, lists of words.
    """
    kept = [(quoted(name), f"kept_{place}") for place, name in enumerate(others)]
    judged = judged_sql(relation, columns, today, kept=kept)
    shown = [f"kept_{place} AS {quoted(name)}" for place, name in enumerate(others)]
    for place, column in enumerate(columns):
        name = column.column
        shown += [
            f"clean_{place} AS {quoted(name)}",
            f"flag_{place} AS {quoted(name + '__flag')}",
            f"{_words_sql(f'repairs_{place}', Repair)} AS {quoted(name + '__repairs')}",
            f"{_words_sql(f'doubts_{place}', Doubt)} AS {quoted(name + '__doubts')}",
        ]
    return f"SELECT {', '.join(shown)} FROM ({judged})"


def _words_sql(mask: str, members: type[Repair] | type[Doubt]) -> str:
    """The words of the bits that are set in `mask`, as a list."""
    words = ", ".join(
        f"CASE WHEN {mask} & {member.bit} <> 0 THEN {text_literal(member.value)} END" for member in members
    )
    return f"list_filter([{words}], lambda word: word IS NOT NULL)"


def repairs_sql(element: DataElement, raw: str, known: str, clean: str) -> str:
    """The mask of repairs between the text `raw` and its canonical form `clean`."""
    bits = [
        (f"regexp_matches({raw}, '{FOLDABLE}')", Repair.WIDTH),
        (f"regexp_matches({raw}, '^\\s|\\s$|{INVISIBLE}')", Repair.BLANKS),
        *_kind_repairs(element, known, clean),
    ]
    total = " + ".join(f"(CASE WHEN {condition} THEN {repair.bit} ELSE 0 END)" for condition, repair in bits)
    found = let_sql(f"({total})", "bits", f"CASE WHEN bits = 0 THEN {Repair.OTHER.bit} ELSE bits END")
    same = f"{raw} = {clean}"
    if element.data_type in NUMBERS and not element.codes:
        # A plain number is conform however many decimals it has.
        same = f"({same} OR regexp_full_match({raw}, '{_PLAIN_NUMBER}'))"
    return f"(CASE WHEN {clean} IS NULL OR {same} THEN 0 ELSE {found} END)"


def _kind_repairs(element: DataElement, known: str, clean: str) -> list[tuple[str, Repair]]:
    if element.codes:
        return [(f"{known} <> {clean}", Repair.CODE_NAME)]
    if element.identifier is not None or element.mask is Mask.ID:
        conditions = [
            (f"regexp_matches({known}, '[-\\s·.]') AND NOT regexp_matches({clean}, '[-\\s·]')", Repair.SEPARATORS)
        ]
        if element.identifier in PHONES:
            prefix = f"regexp_matches({known}, '^(\\+|00)?86') AND NOT starts_with({clean}, '86')"
            return [*conditions, (prefix, Repair.PREFIX)]
        if element.identifier is IdentifierKind.CITIZEN_ID:
            old = f"regexp_full_match(regexp_replace({known}, '[\\s-]+', '', 'g'), '[0-9]{{15}}')"
            conditions.append((old, Repair.GENERATION))
        return [*conditions, (f"{known} <> upper({known})", Repair.LETTER_CASE)]
    if element.data_type in (DataType.DATE, DataType.DATETIME):
        return [(f"{known} <> {clean}", Repair.DATE_FORM)]
    if element.data_type in NUMBERS:
        unit = f"regexp_matches({known}, '[\\p{{Han}}㎡¥￥]|m2$')"
        return [(unit, Repair.UNIT), (f"NOT {unit}", Repair.NUMBER_FORM)]
    conditions = [(f"regexp_matches({known}, '\\s')", Repair.BLANKS)]
    if element.mask is Mask.NAME:
        dots = f"regexp_matches({known}, '{MIDDLE_DOTS}') AND contains({clean}, '·')"
        return [
            (f"regexp_matches({known}, '\\s') AND NOT regexp_matches({clean}, '\\s')", Repair.SEPARATORS),
            (dots, Repair.MIDDLE_DOT),
            (f"{known} <> upper({known}) AND {clean} = upper({clean})", Repair.LETTER_CASE),
        ]
    return conditions


def doubts_sql(element: DataElement, place: int, today: date, owner: int | None = None) -> str:
    """The mask of doubts about the canonical form `clean_<place>`; 0 where there is no value.

    `owner` is the place of the citizen ID of the same person, if the table has one.
    """
    clean, known = f"clean_{place}", f"known_{place}"
    bits = [
        *(_owner_doubts(element, clean, owner) if owner is not None and element.code in OWNED_ELEMENTS else ()),
        *_identifier_doubts(element, place, today),
        *_date_doubts(element, clean, today),
        *_number_doubts(element, known, clean),
    ]
    if not bits:
        return "0"
    total = " + ".join(f"(CASE WHEN {condition} THEN {doubt.bit} ELSE 0 END)" for condition, doubt in bits)
    return f"(CASE WHEN {clean} IS NULL THEN 0 ELSE {total} END)"


def _owner_doubts(element: DataElement, clean: str, owner: int) -> list[tuple[str, Doubt]]:
    """A sex or a date of birth that a valid citizen ID in the same row denies."""
    identity = f"clean_{owner}"
    implied = {
        "sex": f"(CASE WHEN (ascii(substr({identity}, 17, 1)) - 48) % 2 = 1 THEN '1' ELSE '2' END)",
        "birth_date": " || '-' || ".join(f"substr({identity}, {start}, {size})" for start, size in _BIRTH_PARTS),
    }[element.code]
    comparable = f"flag_{owner} IS NULL AND {clean} NOT IN ('0', '9')"
    return [(f"{comparable} AND {clean} <> {implied}", Doubt.DISAGREES_WITH_ID)]


def _identifier_doubts(element: DataElement, place: int, today: date) -> list[tuple[str, Doubt]]:
    clean = f"clean_{place}"
    if element.identifier in PHONES:
        return [(f"regexp_matches({clean}, '{_RUNS}')", Doubt.RUN_OF_DIGITS)]
    unknown = (f"length({clean}) >= 6 AND NOT listed_{place}", Doubt.UNKNOWN_REGION)
    if element.identifier is IdentifierKind.DIVISION_CODE:
        # A citizen keeps the number of a region that was abolished; a division of today must exist today.
        return [unknown, (f"listed_{place} AND NOT current_{place}", Doubt.FORMER_REGION)]
    if element.identifier is IdentifierKind.CITIZEN_ID:
        born, is_id = f"substr({clean}, 7, 8)", f"length({clean}) = 18"
        return [
            unknown,
            (f"{is_id} AND {born} > '{today:%Y%m%d}'", Doubt.FUTURE_DATE),
            (f"{is_id} AND {born} < '{EARLIEST_BIRTH.replace('-', '')}'", Doubt.EARLY_DATE),
        ]
    return []


def _date_doubts(element: DataElement, clean: str, today: date) -> list[tuple[str, Doubt]]:
    if element.data_type not in (DataType.DATE, DataType.DATETIME) or element.codes:
        return []
    day = f"substr({clean}, 1, 10)"
    defaults = ", ".join(text_literal(known_date) for known_date in DEFAULT_DATES)
    future = [] if element.future else [(f"{day} > '{today.isoformat()}'", Doubt.FUTURE_DATE)]
    return [
        *future,
        (f"{day} < '{EARLIEST_BIRTH}'", Doubt.EARLY_DATE),
        (f"{day} IN ({defaults})", Doubt.DEFAULT_DATE),
    ]


def _number_doubts(element: DataElement, known: str, clean: str) -> list[tuple[str, Doubt]]:
    if element.data_type not in NUMBERS or element.codes or element.identifier is not None:
        return []
    lost = f"regexp_matches({known}, '^[^万]*\\.[0-9]{{{element.decimals}}}[0-9]*[1-9]')"
    negative = [(f"starts_with({clean}, '-')", Doubt.NEGATIVE)]
    return [(lost, Doubt.ROUNDED), *(negative if element.data_type in _COUNTED else [])]


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _region_columns(element: DataElement, place: int) -> list[str]:
    """Whether the region of a code is listed, and whether it is one of today: joins, computed once for the column."""
    if element.identifier not in (IdentifierKind.CITIZEN_ID, IdentifierKind.DIVISION_CODE):
        return []
    region = f"coalesce(substr(clean_{place}, 1, 6), '')"
    found = [f"{region} IN (SELECT code FROM {DIVISIONS_TABLE}) AS listed_{place}"]
    if element.identifier is IdentifierKind.DIVISION_CODE:
        found.append(f"{region} IN (SELECT code FROM {DIVISIONS_TABLE} WHERE current) AS current_{place}")
    return found


_REPAIRS: Mapping[Repair, Text] = {
    Repair.WIDTH: Text(zh="全角转半角", en="full width folded"),
    Repair.BLANKS: Text(zh="去除空白或不可见字符", en="blanks or invisible characters removed"),
    Repair.SEPARATORS: Text(zh="去除分隔符", en="separators removed"),
    Repair.LETTER_CASE: Text(zh="统一大小写", en="letter case unified"),
    Repair.GENERATION: Text(zh="15 位转 18 位", en="15 digits made 18"),
    Repair.PREFIX: Text(zh="去除国家代码", en="country code removed"),
    Repair.CODE_NAME: Text(zh="名称转代码", en="name turned into code"),
    Repair.DATE_FORM: Text(zh="统一日期写法", en="form of the date unified"),
    Repair.UNIT: Text(zh="换算单位", en="unit converted"),
    Repair.NUMBER_FORM: Text(zh="统一数值写法", en="form of the number unified"),
    Repair.MIDDLE_DOT: Text(zh="统一间隔号", en="middle dot unified"),
    Repair.OTHER: Text(zh="其他整理", en="otherwise tidied"),
}
_DOUBTS: Mapping[Doubt, Text] = {
    Doubt.UNKNOWN_REGION: Text(zh="地区代码不在历年区划表中", en="region in no year's list"),
    Doubt.FORMER_REGION: Text(zh="行政区划已撤销", en="division abolished"),
    Doubt.FUTURE_DATE: Text(zh="日期在未来", en="date in the future"),
    Doubt.EARLY_DATE: Text(zh="日期早于 1900 年", en="date before 1900"),
    Doubt.DEFAULT_DATE: Text(zh="疑为系统默认日期", en="looks like a default date"),
    Doubt.RUN_OF_DIGITS: Text(zh="号码疑为随意填写", en="number looks made up"),
    Doubt.ROUNDED: Text(zh="小数位数超出，已舍入", en="more decimals than allowed, rounded"),
    Doubt.NEGATIVE: Text(zh="数值为负", en="negative amount"),
    Doubt.DISAGREES_WITH_ID: Text(zh="与身份证号不一致", en="disagrees with the citizen ID"),
}
