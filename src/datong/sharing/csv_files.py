"""Tables as CSV files for people: what a spreadsheet program would carry out is written as text."""

from pathlib import Path

import duckdb

from datong.kernel.formulas import PATTERN, defused
from datong.norms import text_literal
from datong.sharing.mask_columns import quoted

_TEXT = "VARCHAR"


def write_csv(connection: duckdb.DuckDBPyConnection, relation: str, path: Path) -> None:
    """Write the rows of `relation` to a CSV file with a header; texts as `kernel.formulas` says.

    Raises:
        duckdb.Error, OSError: they cannot be read or written.
    """
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    columns = ", ".join(
        f"{_defused(quoted(name)) if kind == _TEXT else quoted(name)} AS {quoted(defused(name))}"
        for name, kind, *_ in described
    )
    connection.execute(f"COPY (SELECT {columns} FROM {relation}) TO {text_literal(str(path))} (FORMAT csv, HEADER)")


def _defused(column: str) -> str:
    return f"CASE WHEN regexp_matches({column}, {text_literal(PATTERN)}) THEN '''' || {column} ELSE {column} END"
