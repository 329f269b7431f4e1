"""Records in JSON as a table: one parser for JSON and JSONL files and for the answers of web interfaces.

Rules: a missing name and `null` are both NULL. Whole numbers are `int64` or `uint64`, others `float64` (as RFC 8259
reads them) unless a decimal is declared; whole numbers beyond 64 bits travel as their digits. A column of nested
values, or of values of several kinds, travels as JSON text. What these rules would change is refused with the number
of the record.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from datong.adapters.conversion import not_lossless, parsed_texts
from datong.adapters.file_errors import NOWHERE, damaged, line, record
from datong.exchange import Column, arrow_schema, arrow_type, decimal_parameters
from datong.kernel import Invalid, Text
from datong.kernel.files import one_file

JSON_TEXT = "JSON text"
"""The source type of a column whose values travel as JSON text."""
RECORD_BYTES_MAX = 256 * 1024 * 1024
EXACT_INTEGER = 2**53
"""Beyond it a double leaves whole numbers out."""
_LONG_FRACTION = r"[0-9]\.[0-9]{16,}"
_MANY_DIGITS = 15
"""So many significant digits survive a double and back."""
_NESTED = frozenset({"OBJECT", "ARRAY"})
_WHOLE = frozenset({"BIGINT", "UBIGINT"})
_NUMBERS = _WHOLE | {"DOUBLE"}


class JsonRecords:
    """Records loaded into an engine of their own; close it after use."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_rewritten_long = False
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("CREATE TABLE records (n BIGINT, j VARCHAR)")

    def close(self) -> None:
        """Free the engine."""
        self._connection.close()

    def __enter__(self) -> "JsonRecords":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load_file(self, path: Path, *, lines: bool) -> None:
        """Load a UTF-8 file of one object per line, or of one array of objects.

        Raises:
            Invalid: `adapters.file_damaged`, with the line.
        """
        reader = "read_ndjson_objects(?" if lines else "read_json_objects(?, format='array'"
        try:
            self._connection.execute(
                f"INSERT INTO records SELECT row_number() OVER (), json::VARCHAR FROM {reader}, "
                f"maximum_object_size={RECORD_BYTES_MAX})",
                [one_file(path)],
            )
        except (duckdb.Error, UnicodeDecodeError) as error:
            # The engine's message quotes the file, at times in the middle of a character.
            raise _malformed(self._name, path, lines=lines) from error
        self._check_objects()

    def load_text(self, body: str, where: str) -> int:
        """Add the records at `where` (a JSON path such as `$.data.items`) of a document; return how many there were.

        Raises:
            Invalid: `adapters.file_damaged`: it is no JSON, or there is no array there.
        """
        kind = self._value("SELECT CASE WHEN json_valid(?) THEN json_type(?, ?) ELSE '?' END", [body, body, where])
        if kind == "?":
            raise damaged(self._name, NOWHERE, Text(zh="应答不是 JSON。", en="the answer is no JSON."))
        if kind != "ARRAY":
            place = where.removeprefix("$.")
            reason = Text(zh=f"{place} 处没有记录数组。", en=f"there is no array of records at {place}.")
            raise damaged(self._name, NOWHERE, reason)
        before = self._value("SELECT count(*) FROM records", [])
        # Taking a record out of its document writes its numbers anew.
        self._is_rewritten_long |= re.search(_LONG_FRACTION, body) is not None
        self._connection.execute(
            "INSERT INTO records SELECT ? + row_number() OVER (), one::VARCHAR "
            "FROM (SELECT unnest(json_extract(?, ?)) AS one)",
            [before, body, f"{where}[*]"],
        )
        self._check_objects()
        return int(str(self._value("SELECT count(*) FROM records", []))) - int(str(before))

    def text_at(self, body: str, place: str) -> str:
        """Return the text at `place` (as `meta.next`) of a document that was loaded; empty when there is none."""
        path = _path(place, {place: place})
        found = self._value(
            "SELECT CASE WHEN json_type($b, $p) = 'NULL' THEN NULL ELSE json_extract_string($b, $p) END",
            {"b": body, "p": path},
        )
        return "" if found is None else str(found)

    def columns(
        self, declared: Mapping[str, str], places: Mapping[str, str], *, json_text: tuple[str, ...] | None = None
    ) -> tuple[Column, ...]:
        """Return the columns in the order of first appearance; `declared` types win over those found.

        `places` maps a column to where in a record it is found, as a path like `profile.name`; with it, only the
        columns named in it are taken. `json_text` names the columns that are JSON text; None: those that have to be.
        """
        names = list(places) or self._names()
        columns = []
        for name in names:
            path = _path(name, places)
            kind = declared.get(name) or self._found_type(path)
            mixed = kind == "string" and self._is_mixed(path)
            as_text = mixed if json_text is None else name in json_text
            columns.append(Column(name=name, type=kind, source_type=JSON_TEXT if as_text else "JSON"))
        return tuple(columns)

    def table(self, columns: tuple[Column, ...], places: Mapping[str, str]) -> pa.Table:
        """Return the records as a table of these columns.

        Raises:
            Invalid: `adapters.value_not_lossless`, `adapters.file_damaged`.
        """
        arrays = [self._array(column, _path(column.name, places)) for column in columns]
        return pa.table(arrays, schema=arrow_schema(columns))

    def _names(self) -> list[str]:
        rows = self._connection.execute(
            "SELECT k FROM (SELECT unnest(json_keys(j)) AS k, n, generate_subscripts(json_keys(j), 1) AS place "
            "FROM records) GROUP BY k ORDER BY min(n), min(place)"
        ).fetchall()
        return [str(row[0]) for row in rows]

    def _is_mixed(self, path: str) -> bool:
        """Whether a column holds nested values, or values of several kinds."""
        kinds = self._kinds(path)
        return bool(kinds & _NESTED) or len({"NUMBER" if kind in _NUMBERS else kind for kind in kinds}) > 1

    def _array(self, column: Column, path: str) -> Any:
        as_text = column.source_type == JSON_TEXT
        if not as_text and column.type == "string" and self._is_mixed(path):
            reason = Text(zh="含有嵌套或多种类型的值。", en="it holds nested values, or values of several kinds.")
            raise not_lossless(self._name, column.name, reason)
        if as_text or decimal_parameters(column.type) is not None:
            self._refuse_long_numbers(column, path)
        function = "json_extract" if as_text else "json_extract_string"
        values = self._connection.execute(
            f"SELECT CASE WHEN json_type(j, $p) = 'NULL' THEN NULL ELSE {function}(j, $p)::VARCHAR END AS v "
            "FROM records ORDER BY n",
            {"p": path},
        ).to_arrow_table()
        texts = values.column("v").cast(pa.string())
        try:
            result = parsed_texts(texts, arrow_type(column.type))
        except pa.ArrowInvalid as error:
            reason = Text(zh=f"不是 {column.type} 类型能表示的值。", en=f"it does not fit the type {column.type}.")
            raise not_lossless(self._name, column.name, reason) from error
        return result

    def _found_type(self, path: str) -> str:
        kinds = self._kinds(path)
        if kinds == {"BOOLEAN"}:
            return "boolean"
        if kinds and kinds <= _WHOLE:
            largest = self._value("SELECT max(TRY_CAST(json_extract_string(j, ?) AS HUGEINT)) FROM records", [path])
            return "uint64" if int(str(largest)) >= 2**63 else "int64"
        if kinds and kinds <= _NUMBERS:
            # A whole number that a double cannot hold, or one beyond 64 bits, keeps its digits as text.
            inexact = self._value(
                "SELECT count(*) FROM records WHERE regexp_full_match(json_extract_string(j, $p), '-?[0-9]+') "
                f"AND abs(TRY_CAST(json_extract_string(j, $p) AS DOUBLE)) > {EXACT_INTEGER}",
                {"p": path},
            )
            return "string" if inexact else "float64"
        return "string"

    def _kinds(self, path: str) -> set[str]:
        rows = self._connection.execute("SELECT DISTINCT json_type(j, ?) FROM records", [path]).fetchall()
        return {str(row[0]) for row in rows if row[0] not in (None, "NULL")}

    def _refuse_long_numbers(self, column: Column, path: str) -> None:
        """Refuse a number with more digits than the parser keeps, where every digit counts.

        Raises:
            Invalid: `adapters.file_damaged`.
        """
        number = self._value(
            "SELECT min(n) FROM records WHERE json_type(j, $p) IN ('DOUBLE', 'OBJECT', 'ARRAY') AND ("
            f"$long OR regexp_matches(j, '{_LONG_FRACTION}') OR (json_type(j, $p) = 'DOUBLE' AND "
            f"length(regexp_replace(json_extract_string(j, $p), '[^0-9]', '', 'g')) > {_MANY_DIGITS}))",
            {"p": path, "long": self._is_rewritten_long},
        )
        if number is not None:
            reason = Text(
                zh=f"列 {column.name} 中的数超过 {_MANY_DIGITS} 位有效数字；请写成字符串。",
                en=f"a number of column {column.name} has over {_MANY_DIGITS} digits; write it as a string.",
            )
            raise damaged(self._name, record(int(str(number))), reason)

    def _check_objects(self) -> None:
        """Check that every record is an object that names nothing twice.

        Raises:
            Invalid: `adapters.file_damaged`.
        """
        number = self._value("SELECT min(n) FROM records WHERE json_type(j) <> 'OBJECT'", [])
        if number is not None:
            raise damaged(self._name, record(int(str(number))), Text(zh="不是对象。", en="it is no object."))
        number = self._value(
            "SELECT min(n) FROM records WHERE len(json_keys(j)) <> len(list_distinct(json_keys(j)))", []
        )
        if number is not None:
            reason = Text(zh="同一名称出现两次。", en="it has one name twice.")
            raise damaged(self._name, record(int(str(number))), reason)

    def _value(self, statement: str, values: list[object] | dict[str, object]) -> object:
        row = self._connection.execute(statement, values).fetchone()
        return None if row is None else row[0]


def _path(name: str, places: Mapping[str, str]) -> str:
    """Return the JSON path of a column; in a place every dot steps into an object."""
    steps = places[name].split(".") if name in places else [name]
    return "$" + "".join('."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"' for step in steps)


def _malformed(name: str, path: Path, *, lines: bool) -> Invalid:
    """Return the error of a file that is no JSON, with the line of the first fault."""
    reason = Text(zh="不是 JSON，文件可能被截断。", en="it is no JSON; the file may be cut off.")
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            if not lines:
                json.load(file)
            for number, text in enumerate(file, start=1):
                if text.strip():
                    try:
                        json.loads(text)
                    except ValueError:
                        return damaged(name, line(number), reason)
        except json.JSONDecodeError as error:
            return damaged(name, line(error.lineno), reason)
        except (ValueError, RecursionError):
            return damaged(name, NOWHERE, reason)
    kind = Text(zh="应为对象数组，或每行一个对象。", en="it should be one array of objects, or one object a line.")
    return damaged(name, NOWHERE, kind)
