"""What the linkage of people looks at: ASCII columns derived from conformed records.

DuckDB's string distances work on bytes and Spark's on characters, so no Chinese text reaches them: a name becomes its
pinyin and one hexadecimal column per character, an address its last road characters in hexadecimal and its numbers.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datong import catalogue
from datong.library.address_conform import is_part
from datong.library.conform import ConformedSource
from datong.library.definition import Definition
from datong.library.engine import Workspace, sql_name
from datong.norms import citizen_id_valid_sql

NAME_CHARACTERS = 4
_IDENTIFIER_RAW = "citizen_id|raw"
PERSON_ELEMENTS = ("person_name", "citizen_id", "sex", "birth_date", "phone", "household_id")

_SURNAME_TEXT = (
    "曾 zeng 单 shan 仇 qiu 区 ou 解 xie 查 zha 任 ren 朴 piao 尉 yu 乐 yue 纪 ji 盖 ge "
    "缪 miao 秘 bi 翟 zhai 华 hua 覃 qin 繁 po 召 shao 折 she 洗 xian 冼 xian 尹 yin 俞 "
    "yu 柏 bai 卜 bu 车 che 种 chong 重 chong 都 du 葛 ge 哈 ha 黑 he 宓 mi 燕 yan 应 "
    "ying 臧 zang 祭 zhai 员 yun 贠 yun 万 wan 石 shi 沈 shen 隗 wei 牟 mu "
)
_SURNAME_TABLE = _SURNAME_TEXT.split()
_SURNAME_READINGS = dict(zip(_SURNAME_TABLE[::2], _SURNAME_TABLE[1::2], strict=True))
"""Readings that a character has as a surname, where pypinyin gives another."""


def compared_names(path: Path) -> list[str]:
    """Return the columns of the conformed file at `path` that any linkage may read; of raw values, the identifier's."""
    return [
        name
        for name in pq.read_schema(path).names
        if name == _IDENTIFIER_RAW
        or not (name.endswith("|raw") or is_part(name) or name in ("batch_id", "sequence", "observed_at"))
    ]


def reading(name: str) -> str:
    """Return the toneless pinyin of a name, syllables joined by a space; characters without one stay out."""
    syllables = [
        _SURNAME_READINGS[character] if position == 0 and character in _SURNAME_READINGS else _syllable(character)
        for position, character in enumerate(name)
    ]
    return " ".join(syllable for syllable in syllables if syllable)


@cache
def _syllable(character: str) -> str:
    return "".join(catalogue.toneless_syllables(character))


def register_readings(work: Workspace, names: Iterable[str]) -> None:
    """Create the table `readings` (name, pinyin) for the distinct `names`."""
    ordered = sorted(set(names))
    table = pa.table({"name": pa.array(ordered, pa.string()), "pinyin": pa.array(map(reading, ordered), pa.string())})
    work.lend("reading_rows", table)
    work.create("readings", "FROM reading_rows")
    work.drop("reading_rows")


def create_records(work: Workspace, definition: Definition, sources: tuple[ConformedSource, ...], folder: Path) -> None:
    """Create the table `records`: one row per conformed record of every source, with its features.

    Columns: unique_id (number), source, row_key, first_sequence, rank (of the role as authority for identity), name,
    pinyin, character_1…4, birth, sex, identifier (18 characters, valid), checked (it came with its check character),
    identifier_text (any id, valid or not), phone, address, household.
    """
    ranks = definition.authority("person_name")
    parts = " UNION ALL ".join(
        f"""SELECT {source.number} AS source, {ranks[source.role.key]} AS rank, row_key, first_sequence,
            {", ".join(_column(source, element) for element in PERSON_ELEMENTS)},
            {_address(source)} AS address_text,
            {sql_name(_IDENTIFIER_RAW) if source.has("citizen_id") else "NULL::VARCHAR"} AS identifier_raw
        FROM {source.sql(folder)}"""
        for source in sources
    )
    work.create("people", parts)
    names = work.rows("SELECT DISTINCT person_name FROM people WHERE person_name IS NOT NULL")
    register_readings(work, (name for (name,) in names))
    work.create("records", _records_sql())
    work.drop("people", "readings")


def claims_sql(source: ConformedSource, rows: str) -> str:
    """Return the query for the identifiers that the source's conformed `rows` claim, as `records` would have them."""
    if not source.has("citizen_id"):
        return f"SELECT NULL::VARCHAR AS claimed FROM {rows} r WHERE false"
    valid = citizen_id_valid_sql("citizen_id")
    return f"SELECT DISTINCT CASE WHEN {valid} THEN citizen_id END AS claimed FROM {rows} r"


def _column(source: ConformedSource, element: str) -> str:
    """Return the element's clean value where it has no flaw; the name and the id are kept as they are."""
    if not source.has(element):
        return f"NULL::VARCHAR AS {element}"
    if element in ("person_name", "citizen_id"):
        return f"{sql_name(element)} AS {element}"
    return f"CASE WHEN {sql_name(element + '|flag')} IS NULL THEN {sql_name(element)} END AS {element}"


def _address(source: ConformedSource) -> str:
    held = [sql_name(element) for element in ("address", "property_address") if source.has(element)]
    return f"coalesce({', '.join(held)})" if held else "NULL::VARCHAR"


def _hex_character(position: int) -> str:
    return f"nullif(hex(substr(person_name, {position}, 1)), '') AS character_{position}"


def _records_sql() -> str:
    characters = ", ".join(_hex_character(position) for position in range(1, NAME_CHARACTERS + 1))
    valid = citizen_id_valid_sql("citizen_id")
    numbers = "regexp_extract_all(address_text, '[0-9]+')"
    road = r"regexp_extract(address_text, '([^0-9]{1,3})[0-9]', 1)"
    return f"""
        WITH typed AS (
            SELECT *, coalesce({valid}, false) AS valid FROM people
        )
        SELECT row_number() OVER (ORDER BY source, row_key) - 1 AS unique_id, source, row_key, first_sequence, rank,
            person_name AS name, pinyin, {characters},
            CASE WHEN regexp_matches(birth_date, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$')
                 THEN replace(birth_date, '-', '') END AS own_birth,
            CASE WHEN sex IN ('1', '2') THEN sex END AS own_sex,
            CASE WHEN valid THEN citizen_id END AS identifier,
            valid AND length(regexp_replace(identifier_raw, '\\s', '', 'g')) >= 18 AS checked,
            CASE WHEN regexp_matches(citizen_id, '^[0-9A-Z]{{10,20}}$') THEN citizen_id END AS identifier_text,
            CASE WHEN regexp_matches(phone, '^[0-9+-]+$') THEN phone END AS phone,
            CASE WHEN len({numbers}) >= 2 THEN hex({road}) || ':' || array_to_string({numbers}, '-') END AS address,
            CASE WHEN regexp_matches(household_id, '^[ -~]+$') THEN household_id END AS household
        FROM typed LEFT JOIN readings ON readings.name = typed.person_name
        ORDER BY unique_id
    """
