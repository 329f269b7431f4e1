"""Canonical row texts and range digests computed by MariaDB or MySQL itself, exactly as the exchange defines them.

A value whose canonical text cannot be written in SQL (a float outside the common span, a zero date, a row longer than
`max_allowed_packet`) makes the text of its row NULL; such rows are read and digested by the node, and the sums added.
"""

from datong.adapters.mariadb_catalog import quoted
from datong.exchange import Column, RangeQuery, decimal_parameters

ROWS_KEPT_MAX = 1 << 63
"""A LIMIT no table reaches: with one, the server computes each digest once, in a derived table."""
_PLAIN = "CAST({x} AS CHAR CHARACTER SET utf8mb4)"
_SPAN = "ABS({x}) >= 1e-4 AND ABS({x}) < 1e15"
_POINTED = f"IF(LOCATE('.', {_PLAIN}) = 0, CONCAT({_PLAIN}, '.0'), {_PLAIN})"
_MOMENT = "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {x}) AS CHAR)"
_CLOCK = "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM TIME_FORMAT({x}, '%H:%i:%s.%f')))"
_TEXTS = {
    "boolean": ({"int64"}, "CASE {x} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
    "int64": ({"int64"}, _PLAIN),
    "uint64": ({"uint64"}, _PLAIN),
    "float64": ({"double"}, f"CASE WHEN {{x}} = 0 THEN '0.0' WHEN {_SPAN} THEN {_POINTED} END"),
    # The server writes a FLOAT with six digits: where these are not all, the row is read.
    "float32": (
        {"float"},
        f"CASE WHEN {{x}} = 0 THEN '0.0' WHEN {_SPAN} AND CAST({_PLAIN} AS FLOAT) = {{x}} THEN {_POINTED} END",
    ),
    "string": (set(), _PLAIN),
    "binary": ({"binary"}, "LOWER(HEX({x}))"),
    "date": ({"date"}, "CAST(DATEDIFF({x}, '1970-01-01') AS CHAR)"),
    "time": ({"time"}, f"IF({{x}} >= '00:00:00' AND {{x}} < '24:00:00', {_CLOCK}, NULL)"),
    "timestamp": ({"datetime", "timestamp"}, _MOMENT),
    "timestamp_utc": ({"datetime", "timestamp"}, _MOMENT),
}
"""Of which columns (by type, declaration or kind) a value's text can be written, and how."""
_NO_TEXT = {
    "float", "bit", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point",
    "linestring", "polygon",
}  # fmt: skip
"""What is not written as text here although reading it as text may go."""


def canonical_text(column: Column, actual: Column) -> str | None:
    """Return the expression of a value's text, which is NULL where it cannot be written; None when it never can.

    `actual` is the column as it is in this database. Texts follow what reading it as `column.type` would give.
    """
    x = quoted(column.name)
    declared = actual.source_type.lower()
    kind = declared.split("(")[0].split(" ")[0]
    if "zerofill" in declared:
        return None
    wanted, found = decimal_parameters(column.type), decimal_parameters(actual.type)
    if wanted is not None:
        if found is None or wanted[1] != found[1] or found[0] > wanted[0]:
            return None
        # DuckDB writes no zero before the point of a decimal that has no place for one.
        return (f"REPLACE({_PLAIN}, '0.', '.')" if wanted[0] == wanted[1] else _PLAIN).replace("{x}", x)
    if kind == "bit":
        return f"CAST(CAST({x} AS UNSIGNED) AS CHAR CHARACTER SET utf8mb4)" if column.type == "uint64" else None
    kinds, text = _TEXTS[column.type]
    # A float declared with a number of places, as in DOUBLE(8,2), is written with as many.
    own = declared if actual.type in {"float32", "float64"} else kind
    suits = kind not in _NO_TEXT if column.type == "string" else actual.type in kinds or own in kinds
    return text.replace("{x}", x) if suits else None


def row_text(columns: tuple[Column, ...], actual: dict[str, Column]) -> str | None:
    """Return the expression of a row's canonical text, NULL where there is none; None when a column never has one."""
    parts = []
    for column in columns:
        text = canonical_text(column, actual[column.name]) if column.name in actual else None
        if text is None:
            return None
        parts.append(f"IF({quoted(column.name)} IS NULL, 'n;', CONCAT(LENGTH({text}), ':', {text}))")
    return f"CONCAT({', '.join(parts)})"


class RangeStatements:
    """The statements that answer a query; `newer` is the condition of a row after the query's cursor."""

    def __init__(self, query: RangeQuery, row: str, key: str, newer: str) -> None:
        self._query = query
        self._row = row
        self._place = f"MD5(CONCAT('{query.salt}', {key}))"
        self._newer = newer
        self.unwritten = f"({row}) IS NULL OR ({key}) IS NULL"
        """The rows that the node has to read."""

    def ranges(self) -> str:
        """Return the statement whose rows are prefix, rows, both halves' sums, newer rows, and rows left to be read."""
        digits = self._query.prefix_digits + self._query.digits
        inner = (
            f"SELECT {self._place} AS place, {self._newer} AS newer, MD5({self._row}) AS d "
            f"FROM {quoted(self._query.table)} WHERE {self.chosen()} LIMIT {ROWS_KEPT_MAX}"
        )
        whole = "d IS NOT NULL AND place IS NOT NULL"
        return (
            f"SELECT SUBSTR(place, 1, {digits}), SUM({whole} AND NOT newer), "
            f"SUM(IF({whole} AND NOT newer, {_number('d', 1)}, 0)), "
            f"SUM(IF({whole} AND NOT newer, {_number('d', 17)}, 0)), "
            f"SUM({whole} AND newer), SUM(NOT ({whole})) FROM ({inner}) AS s GROUP BY 1"
        )

    def rows(self) -> str:
        """Return the statement whose rows are place, digest (NULL: to be read), whether newer."""
        return (
            f"SELECT {self._place}, MD5(CONCAT('{self._query.salt}', {self._row})), {self._newer} "
            f"FROM {quoted(self._query.table)} WHERE {self.chosen()}"
        )

    def chosen(self) -> str:
        """Return the condition of the rows of the query's ranges."""
        digits = self._query.prefix_digits
        if digits == 0:
            return "TRUE"
        places = ", ".join(f"'{prefix}'" for prefix in self._query.prefixes)
        return f"(SUBSTR({self._place}, 1, {digits}) IN ({places}) OR {self._place} IS NULL)"


def _number(name: str, first: int) -> str:
    """Return sixteen digits of a digest as a number, the first byte the least.

    Reversing the bytes (`REVERSE(UNHEX(…))`) would be shorter, but under GROUP BY MariaDB 10.11 then loses all but one.
    """
    pairs = ", ".join(f"SUBSTR({name}, {place}, 2)" for place in range(first + 14, first - 1, -2))
    return f"CAST(CONV(CONCAT({pairs}), 16, 10) AS UNSIGNED)"
