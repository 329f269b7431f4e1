"""Free Chinese addresses → division, road, number and the rest (GB/T 23705), by the names of real divisions.

Whole columns at once: the beginnings of all addresses walk down the levels of the divisions together, one join per
level on the next few characters, and every reading that is possible is kept. The longest reading wins; readings that
explain equally much are alternatives, and share the confidence. Levels may be left out, as people do.
"""

import json
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from datong.kernel import sha256_hex
from datong.library.engine import sql_text

HEAD_CHARS = 40
"""Characters in which the divisions of an address stand."""
NAME_CHARS_MAX = 32
NAMESAKES_MAX = 40
"""Streets of one name in the country beyond which the name alone says nothing."""
ALTERNATIVES_MAX = 5
LEVELS = (1, 2, 3, 4)
_NO_NAMES = ("市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划")
_FOLDED = "".join(chr(point) for point in range(0xFF01, 0xFF5F))
_PLAIN = "".join(chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F))
_PEOPLES = (
    "壮族|回族|维吾尔|蒙古族?|藏族|羌族|彝族|苗族|侗族|土家族|布依族|傣族|景颇族|哈尼族|白族|傈僳族|朝鲜族|哈萨克|柯尔克孜|"
    "黎族|瑶族|畲族|满族|仡佬族|水族|各族|土族|撒拉族|保安族|东乡族"
)
_GOES_ON = "路街道巷大里弄镇乡东西南北中一二三"
"""What follows the beginning of a road's name rather than a division that was cut short."""


class DivisionName(NamedTuple):
    """A division as the gazetteer needs it; `code` has 6 digits, 9 for a street."""

    code: str
    name: str
    level: int


class AddressRepair(StrEnum):
    """What was done to an address to read it."""

    TIDIED = "tidied"
    """Spaces and commas went, wide characters became plain ones."""
    EXPANDED = "expanded"
    """A division was written short."""
    COMPLETED = "completed"
    """Divisions above were left out."""
    PASSED_OVER = "passed_over"
    """A town that nobody knows stood between."""
    CHOSEN = "chosen"
    """Other divisions would have explained as much."""


class Gazetteer:
    """The names of divisions, as people write them, ready for joins."""

    def __init__(self, divisions: Iterable[tuple[str, str, int]]) -> None:
        named = map(DivisionName._make, divisions)
        rows = sorted(row for row in named if row.level in LEVELS and row.name and row.name not in _NO_NAMES)
        self.digest = sha256_hex(json.dumps(rows, ensure_ascii=False).encode())
        division_rows = pa.table(
            {
                "code": pa.array([row.code for row in rows], pa.string()),
                "name": pa.array([row.name for row in rows], pa.string()),
                "level": pa.array([row.level for row in rows], pa.int8()),
            }
        )
        with _engine() as connection:
            connection.register("division_rows", division_rows)
            self.names: pa.Table = connection.execute(_NAMES).to_arrow_table()


@lru_cache(maxsize=4)
def gazetteer_of(divisions: tuple[tuple[str, str, int], ...]) -> Gazetteer:
    """Return the gazetteer of `divisions` (code, name, level), made once."""
    return Gazetteer(divisions)


def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})


def parse_addresses(addresses: "pa.Array[Any]", gazetteer: Gazetteer, *, home: str = "") -> pa.Table:
    """Return, for each address, what it says; the order is that of `addresses`.

    `home` is the beginning of the division codes of the place where the addresses were written: of equal readings the
    one at home is preferred. Columns: division_code (null: none was read), level, road, number, building, unit, room,
    rest (all behind the divisions), confidence (0 to 1), alternatives (other codes that explain as much).
    """
    with _engine() as connection:
        _read(connection, addresses, gazetteer, home)
        return connection.execute(_parts_sql()).to_arrow_table()


def divide_addresses(addresses: "pa.Array[Any]", gazetteer: Gazetteer, *, home: str = "") -> pa.Table:
    """Return, for each address, the code of its division, its street with the house number, what comes behind, and what
    was done to read it; the order is that of `addresses`, and `home` is that of `parse_addresses`.

    Columns: division, street, rest, repairs (values of `AddressRepair`, by commas). What is not there is null.
    """
    with _engine() as connection:
        _read(connection, addresses, gazetteer, home)
        return connection.execute(_divided_sql()).to_arrow_table()


def _read(connection: duckdb.DuckDBPyConnection, addresses: "pa.Array[Any]", gazetteer: Gazetteer, home: str) -> None:
    """Create `texts`, the tidied addresses by place, `heads`, their beginnings, and `chosen`, what those say."""
    connection.register("addresses", pa.table({"address": addresses.cast(pa.string())}))
    connection.register("names", gazetteer.names)
    connection.execute(f"""
        CREATE TABLE texts AS SELECT place, text, text <> address AS tidied, {_HEAD} AS head FROM (
            SELECT row_number() OVER () AS place, address,
                translate(regexp_replace(address, '[\\s,，。;；]+', '', 'g'), {sql_text(_FOLDED)}, {sql_text(_PLAIN)})
                    AS text
            FROM addresses)""")
    connection.execute("""
        CREATE TABLE heads AS SELECT head, row_number() OVER (ORDER BY head) AS id FROM (
            SELECT DISTINCT head FROM texts WHERE text IS NOT NULL)""")
    _walk(connection)
    connection.execute(_chosen_sql(home))


_HEAD = f"regexp_extract(substr(text, 1, {HEAD_CHARS}), '^[^0-9]*')"
_CORE = {
    1: "(特别行政区|(壮族|回族|维吾尔)?自治区|省|市)$",
    2: f"(市|地区|盟|({_PEOPLES})*自治州)$",
    3: f"(特区|新区|林区|({_PEOPLES})*自治县|({_PEOPLES})*自治旗|市|区|县|旗)$",
}
_NAMES = f"""
    WITH own AS (
        SELECT code, level, name, CASE WHEN level = 1 THEN substr(code, 1, 2) WHEN level = 2 THEN substr(code, 1, 4)
            WHEN level = 3 THEN substr(code, 1, 6) ELSE substr(code, 1, 9) END AS stem
        FROM division_rows
    ), written AS (
        SELECT code, level, stem, name, false AS bare FROM own
        UNION ALL SELECT code, level, stem, regexp_replace(name, '{_CORE[1]}', ''), true FROM own WHERE level = 1
        UNION ALL SELECT code, level, stem, regexp_replace(name, '{_CORE[2]}', ''), true FROM own WHERE level = 2
        UNION ALL SELECT code, level, stem, regexp_replace(name, '{_CORE[3]}', ''), true FROM own WHERE level = 3
        UNION ALL SELECT code, level, stem, regexp_replace(name, '街道$', ending.text), false
            FROM own, (VALUES ('街道办事处'), ('街道办'), ('街')) AS ending(text) WHERE level = 4 AND name LIKE '%街道'
        UNION ALL SELECT code, level, stem, regexp_replace(name, '镇街道$', ending.text), false
            FROM own, (VALUES ('镇'), ('街道')) AS ending(text) WHERE level = 4 AND name LIKE '%镇街道'
    )
    SELECT code, level, stem, name, bool_and(bare) AS bare,
        count(DISTINCT code) OVER (PARTITION BY level, name) AS namesakes
    FROM written WHERE length(name) BETWEEN 2 AND {NAME_CHARS_MAX} GROUP BY code, level, stem, name
"""


def _walk(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `readings`: every way to read the beginning of a head as divisions, from the top down."""
    connection.execute("""
        CREATE TABLE readings AS SELECT id, head, 0 AS ends, NULL::VARCHAR AS code, '' AS stem, 0 AS level,
            0 AS written, 0 AS cut, false AS bare, 0 AS unknown, 0 AS namesakes FROM heads""")
    for level in LEVELS:
        limit = f"AND (readings.code IS NOT NULL OR names.namesakes <= {NAMESAKES_MAX})"
        connection.execute(f"""
            INSERT INTO readings
            WITH spans AS (
                SELECT readings.*, size, substr(head, ends + 1, size) AS span
                FROM readings, (SELECT DISTINCT length(name) AS size FROM names WHERE level = {level})
                WHERE ends + size <= length(head)
            )
            SELECT readings.id, readings.head, readings.ends + size, names.code, names.stem, {level},
                readings.written + CASE WHEN names.bare THEN 0 ELSE 1 END,
                readings.cut + CASE WHEN names.bare THEN 1 ELSE 0 END, names.bare, readings.unknown, names.namesakes
            FROM spans readings JOIN names ON names.level = {level} AND names.name = span
                AND starts_with(names.stem, readings.stem) {limit}""")
        if level == 1:
            # A town that the register does not know, 示例市 say, is passed over between province and district.
            connection.execute("""
                INSERT INTO readings
                SELECT id, head, ends + length(town), code, stem, level, written, cut, false, 1, namesakes FROM (
                    SELECT *, regexp_extract(substr(head, ends + 1), '^[^省市区县路街道]{1,6}市') AS town FROM readings)
                WHERE town <> '' AND NOT EXISTS (FROM names WHERE names.level = 2 AND names.name = town)""")


def _chosen_sql(home: str) -> str:
    """Return the statement that fills `chosen`: per head the best reading, its confidence and what rivals it."""
    at_home = f"starts_with(stem, {sql_text(home)})" if home else "false"
    return f"""
        CREATE TABLE chosen AS
        WITH sound AS (
            SELECT *, {at_home} AS at_home, substr(head, ends + 1, 1) AS following FROM readings WHERE code IS NOT NULL
                AND NOT (bare AND CASE WHEN following = '' THEN level = 3 ELSE strpos('{_GOES_ON}', following) > 0 END)
        ), best AS (
            SELECT id, code, any_value(level) AS level, max(ends) AS ends, max(written) AS written, min(cut) AS cut,
                min(unknown) AS unknown, any_value(at_home) AS at_home
            FROM sound GROUP BY id, code
            QUALIFY rank() OVER (PARTITION BY id ORDER BY max(ends) DESC, max(written) DESC, min(unknown),
                                 any_value(level) DESC) = 1
        ), ordered AS (
            SELECT *, row_number() OVER (PARTITION BY id ORDER BY at_home DESC, code) AS standing,
                count(*) OVER (PARTITION BY id) AS rivals,
                count(*) FILTER (at_home) OVER (PARTITION BY id) AS home_rivals
            FROM best
        )
        SELECT id, max(code) FILTER (standing = 1) AS code, max(level) FILTER (standing = 1) AS level,
            max(ends) FILTER (standing = 1) AS ends,
            max(written) FILTER (standing = 1) AS written, max(cut) FILTER (standing = 1) AS cut,
            max(unknown) FILTER (standing = 1) AS unknown,
            max(({_CONFIDENCE}) / CASE WHEN home_rivals = 1 THEN 1 + (rivals - 1) * 0.02 ELSE rivals END)
                FILTER (standing = 1) AS confidence,
            coalesce(list(code ORDER BY standing) FILTER (standing BETWEEN 2 AND {ALTERNATIVES_MAX + 1}), [])
                AS alternatives
        FROM ordered GROUP BY id"""


_CONFIDENCE = """CASE WHEN written >= 3 THEN 0.99 WHEN written = 2 THEN 0.98 WHEN written = 1 AND cut > 0 THEN 0.95
    WHEN written = 1 THEN 0.9 ELSE 0.6 END - 0.05 * unknown"""


def _parts_sql() -> str:
    """Return the query for the result: behind the divisions come road, number, and the numbers of a home."""
    # RE2 knows no look-ahead: an address has a house number before 号, or it has none and all numbers come behind.
    numbered, loose = sql_text(_NUMBERED), sql_text(_LOOSE)
    return f"""
        WITH cut AS (
            SELECT place, code, level, confidence, alternatives, substr(text, coalesce(ends, 0) + 1) AS rest
            FROM texts LEFT JOIN heads USING (head) LEFT JOIN chosen USING (id)
        ), split AS (
            SELECT *, CASE WHEN regexp_matches(rest, {numbered})
                THEN regexp_extract(rest, {numbered}, ['road', 'number', 'tail'])
                ELSE regexp_extract(rest, {loose}, ['road', 'number', 'tail']) END AS parts
            FROM cut
        ), counted AS (SELECT *, regexp_extract_all(parts.tail, '[0-9]+') AS numbers FROM split)
        SELECT code AS division_code, level, nullif(parts.road, '') AS road, nullif(parts.number, '') AS number,
            CASE WHEN len(numbers) >= 2 THEN numbers[1] END AS building,
            CASE WHEN len(numbers) >= 3 THEN numbers[2] END AS unit,
            CASE WHEN len(numbers) >= 1 THEN numbers[least(len(numbers), 3)] END AS room,
            nullif(rest, '') AS rest, coalesce(confidence, 0.0) AS confidence,
            coalesce(alternatives, []) AS alternatives
        FROM counted ORDER BY place"""


def _divided_sql() -> str:
    """Return the query for what `divide_addresses` returns."""
    numbered, loose = sql_text(_STREET_NUMBERED), sql_text(_STREET_LOOSE)
    # A municipality's districts are written without the level between.
    levels = f"(level - CASE WHEN level >= 3 AND substr(code, 1, 2) IN ({_MUNICIPALITIES}) THEN 1 ELSE 0 END)"
    repairs = ", ".join(
        f"CASE WHEN {condition} THEN {sql_text(repair.value)} END"
        for repair, condition in (
            (AddressRepair.TIDIED, "tidied"),
            (AddressRepair.EXPANDED, "cut > 0"),
            (AddressRepair.COMPLETED, f"written + cut < {levels}"),
            (AddressRepair.PASSED_OVER, "unknown > 0"),
            (AddressRepair.CHOSEN, "len(alternatives) > 0"),
        )
    )
    return f"""
        WITH cut AS (
            SELECT place, code, level, written, cut, unknown, alternatives, tidied,
                substr(text, coalesce(ends, 0) + 1) AS behind
            FROM texts LEFT JOIN heads USING (head) LEFT JOIN chosen USING (id)
        ), split AS (
            SELECT *, coalesce(nullif(regexp_extract(behind, {numbered}), ''), regexp_extract(behind, {loose}))
                AS street
            FROM cut
        )
        SELECT code AS division, nullif(street, '') AS street,
            nullif(substr(behind, length(coalesce(street, '')) + 1), '') AS rest,
            nullif(concat_ws(',', {repairs}), '') AS repairs
        FROM split ORDER BY place"""


_MUNICIPALITIES = "'11', '12', '31', '50'"
_STREET_NUMBERED = r"^\D{0,30}?\d{1,6}(?:-\d{1,4})?(?:号|號)"
_STREET_LOOSE = r"^\D{0,30}?(?:路|街|巷|道|弄|里)"
_NUMBERED = r"^(\D{0,30}?)(\d{1,6}(?:-\d{1,4})?)(?:号|號)(.*)$"
_LOOSE = r"^(\D{0,30}?(?:路|街|巷|道|弄|里))()(.*)$"
