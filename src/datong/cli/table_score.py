"""Scores a file by the norms: reads it, finds its data elements by name, judges every value in DuckDB."""

from datetime import date
from pathlib import Path

import duckdb

from datong.adapters import read_table_file
from datong.kernel import Invalid, Text
from datong.norms import (
    JudgedColumn,
    NormPack,
    TableScore,
    match_columns,
    score_table,
    standardised_sql,
    text_literal,
)


def score_file(
    file: Path, pack: NormPack, mapping: dict[str, str], *, today: date, write: Path | None = None
) -> TableScore:
    """Return the conformance of `file`; `mapping` wins over what the columns' names say.

    With `write` the table is written in canonical form, with flag, repairs and doubts beside every column.

    Raises:
        Invalid: the file is not readable, or has no column that `mapping` names.
        NotFound: the pack has no element that `mapping` names.
    """
    connection = duckdb.connect()
    try:
        table = read_table_file(file)
        connection.register("file", table)
        missing = [column for column in mapping if column not in table.column_names]
        if missing:
            names = ", ".join(missing)
            raise Invalid(
                "cli.column_unknown",
                what=Text(zh=f"文件中没有列 {names}。", en=f"The file has no column {names}."),
                remedy=Text(zh="请核对列名。", en="Check the names of the columns."),
                field="--map",
            )
        elements = {**match_columns([name for name in table.column_names if name not in mapping], pack), **mapping}
        score = score_table(connection, "file", elements, pack, today=today)
        if write is not None:
            columns = [JudgedColumn(column=name, element=pack.element(code)) for name, code in elements.items()]
            others = [name for name in table.column_names if name not in elements]
            query = standardised_sql("file", columns, others, today)
            connection.execute(f"COPY ({query}) TO {text_literal(str(write))} (FORMAT parquet, COMPRESSION zstd)")
        return score
    finally:
        connection.close()
