"""Canonical row texts and range digests computed by PostgreSQL, exactly as `datong.exchange.digest` defines them.

A value whose canonical text cannot be written in SQL (a float outside the common span, an infinite date) makes the
text of its row NULL; such rows are read and digested by the node, and both sums are added.
"""

from datong.adapters.postgresql_catalog import literal, quoted, relation
from datong.exchange import Column, RangeQuery, decimal_parameters

FUNCTION_ARGUMENTS_MAX = 100
NEVER = "false"
FLOAT_LOW = "1e-4"
"""From here up to `_FLOAT_HIGH` PostgreSQL and DuckDB write a float alike, without an exponent."""
_FLOAT_HIGH = {"float32": "1e6", "float64": "1e15"}
# Whole seconds and the rest apart: both are exact where `extract` still answers a double.
_MICROSECONDS = (
    "(extract(epoch FROM date_trunc('second', {x}))::bigint * 1000000 + extract(microseconds FROM {x})::bigint "
    "% 1000000)::text"
)
_TEXTS = {
    "boolean": ("CASE WHEN {x} THEN 'true' ELSE 'false' END", NEVER),
    "int64": ("{x}::bigint::text", NEVER),
    "uint64": ("{x}::text", "{x} < 0 OR {x} > 18446744073709551615"),
    "string": ("{x}::text", NEVER),
    "binary": ("encode({x}, 'hex')", NEVER),
    "date": ("({x} - DATE '1970-01-01')::text", "NOT isfinite({x})"),
    "time": ("{x}::text", "{x} = TIME '24:00:00'"),
    "timestamp": (_MICROSECONDS, "NOT isfinite({x})"),
    "timestamp_utc": (_MICROSECONDS, "NOT isfinite({x})"),
}
"""A value's text, and the condition under which it has none."""
_LENGTHS = {
    "boolean": "CASE WHEN {x} THEN 4 ELSE 5 END",
    "string": "octet_length({text})",
    "binary": "2 * octet_length({x})",
}
"""How many bytes the text has, where that is not simply its length."""


def canonical_text(column: Column, actual: Column) -> tuple[str, str, str] | None:
    """Return a value's text, the length of that text, and the condition under which there is none; or None at all.

    `actual` is the column as it is in this database. Texts follow what reading it as `column.type` would give.
    """
    if column.type not in {actual.type, "string"} and not _convertible(column.type, actual.type):
        return None
    x = quoted(column.name)
    if column.type in _FLOAT_HIGH:
        text, never = _float_text(x, column.type)
    elif decimal_parameters(column.type) is not None:
        text, never = _decimal_text(x, column.type), f"{x} = 'NaN'::numeric"
    else:
        text, never = (part.replace("{x}", x) for part in _TEXTS[column.type])
    length = _LENGTHS.get(column.type, "length({text})").replace("{text}", text).replace("{x}", x)
    return text, length, never


def row_text(columns: tuple[Column, ...], actual: dict[str, Column]) -> str | None:
    """Return the expression of a row's canonical text, NULL where there is none; None when a column never has one."""
    parts, nevers = [], []
    for column in columns:
        found = canonical_text(column, actual[column.name]) if column.name in actual else None
        if found is None:
            return None
        text, length, never = found
        parts.append(f"CASE WHEN {quoted(column.name)} IS NULL THEN 'n;' ELSE {length} || ':' || {text} END")
        if never != NEVER:
            nevers.append(f"coalesce({never}, false)")
    whole = _concatenated(parts)
    return f"CASE WHEN {' OR '.join(nevers)} THEN NULL ELSE {whole} END" if nevers else whole


class RangeStatements:
    """The statements that answer a query; `newer` is the condition of a row after the query's cursor."""

    def __init__(self, query: RangeQuery, row: str, key: str, newer: str) -> None:
        self._query = query
        self._row = row
        self._place = f"md5({literal(query.salt)} || {key})"
        self._newer = newer
        self.unwritten = f"({row}) IS NULL OR ({key}) IS NULL"
        """The rows that the node has to read."""

    def ranges(self) -> str:
        """Return the statement whose rows are prefix, rows, both halves' sums, newer rows, and rows left to be read."""
        digits = self._query.prefix_digits + self._query.digits
        # OFFSET 0 keeps PostgreSQL from writing the row's text out once for each byte of its digest.
        inner = (
            f"SELECT {self._place} AS place, {self._newer} AS newer, decode(md5({self._row}), 'hex') AS d "
            f"FROM {relation(self._query.table)} WHERE {self._where()} OFFSET 0"
        )
        counted = "NOT newer AND d IS NOT NULL AND place IS NOT NULL"
        return (
            f"SELECT substr(place, 1, {digits}), count(*) FILTER (WHERE {counted}), "
            f"coalesce(sum({_number('d', UPPER_BYTES)}) FILTER (WHERE {counted}), 0)::text, "
            f"coalesce(sum({_number('d', LOWER_BYTES)}) FILTER (WHERE {counted}), 0)::text, "
            "count(*) FILTER (WHERE newer AND d IS NOT NULL AND place IS NOT NULL), "
            "count(*) FILTER (WHERE d IS NULL OR place IS NULL) "
            f"FROM ({inner}) AS s GROUP BY 1"
        )

    def rows(self) -> str:
        """Return the statement whose rows are place, digest, whether newer, of the rows that have a text."""
        digest = f"md5({literal(self._query.salt)} || ({self._row}))"
        return (
            f"SELECT place, digest, newer FROM (SELECT {self._place} AS place, {digest} AS digest, {self._newer} AS "
            f"newer FROM {relation(self._query.table)} WHERE {self._where()} OFFSET 0) AS s"
        )

    def chosen(self) -> str:
        """Return the condition of the rows of the query's ranges."""
        return self._where()

    def _where(self) -> str:
        digits = self._query.prefix_digits
        if digits == 0:
            return "true"
        places = ", ".join(literal(prefix) for prefix in self._query.prefixes)
        place = self._place if digits >= 32 else f"substr({self._place}, 1, {digits})"
        return f"({place} IN ({places}) OR ({self._place}) IS NULL)"


UPPER_BYTES = tuple(range(8))
LOWER_BYTES = tuple(range(8, 16))


def _number(name: str, places: tuple[int, ...]) -> str:
    """Return eight bytes of a digest as a number, the first of them the least."""
    return "(" + " | ".join(f"(get_byte({name}, {place})::bigint << {8 * n})" for n, place in enumerate(places)) + ")"


def _decimal_text(name: str, kind: str) -> str:
    precision, scale = decimal_parameters(kind) or (0, 0)
    # DuckDB writes no zero before the point of a decimal that has no place for one.
    return f"replace({name}::text, '0.', '.')" if precision == scale else f"{name}::text"


def _float_text(name: str, kind: str) -> tuple[str, str]:
    text = (
        f"CASE WHEN {name} = 0 THEN '0.0' WHEN {name} = 'NaN' THEN 'nan' WHEN {name} = 'Infinity' THEN 'inf' "
        f"WHEN {name} = '-Infinity' THEN '-inf' WHEN strpos({name}::text, '.') > 0 THEN {name}::text "
        f"ELSE {name}::text || '.0' END"
    )
    plain = f"abs({name}) >= {FLOAT_LOW} AND abs({name}) < {_FLOAT_HIGH[kind]}"
    special = f"{name} IN (0, 'NaN', 'Infinity', '-Infinity')"
    return text, f"NOT ({special} OR ({plain}))"


def _convertible(kind: str, actual: str) -> bool:
    """Whether values of `actual` have the same text as `kind` whenever they fit into it."""
    wanted, found = decimal_parameters(kind), decimal_parameters(actual)
    if wanted is not None and found is not None:
        return wanted[1] == found[1] and found[0] <= wanted[0]
    return kind == "uint64" and (actual == "int64" or (found is not None and found[1] == 0))


def _concatenated(parts: list[str]) -> str:
    """Return `concat` over any number of parts."""
    while len(parts) > FUNCTION_ARGUMENTS_MAX:
        groups = [parts[n : n + FUNCTION_ARGUMENTS_MAX] for n in range(0, len(parts), FUNCTION_ARGUMENTS_MAX)]
        parts = [f"concat({', '.join(group)})" for group in groups]
    return f"concat({', '.join(parts)})"
