"""A connector: a folder of `*.jsonl` files, one record a line; each file is a table, its first field the key."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.json

from datong.adapters.conversion import chosen_columns, no_table, null_in_order, rebatched, rows_after
from datong.exchange import Column, ContentDigest, ReadQuery, TableKind, TableSchema, arrow_schema, content_digest


class LinesFolder:
    """A folder of files of JSON lines, as Connector; every value travels as the text that the file has for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"lines:{self._folder.name}"

    def close(self) -> None:
        """Nothing stays open between calls."""

    def inspect(self) -> list[TableSchema]:
        """Return a table for each file."""
        return [self._schema(path) for path in sorted(self._folder.glob("*.jsonl"))]

    def schema(self, table: str) -> TableSchema | None:
        """Return the table of one file."""
        path = self._folder / f"{table}.jsonl"
        return self._schema(path) if path.is_file() else None

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order."""
        rows = self._rows(query.table)
        columns = self._columns(rows)
        order = chosen_columns(query.table, columns, query.order)
        if any(rows.column(column.name).null_count for column in order):
            raise null_in_order(query.table, query.order)
        if order:
            rows = rows.sort_by([(column.name, "ascending") for column in order])
        if query.after is not None:
            rows = rows.filter(rows_after(rows, order, query.after.values))
        chosen = chosen_columns(query.table, columns, query.columns)
        return rebatched(rows.select(query.columns).to_batches(), arrow_schema(chosen), query.batch_rows)

    def sample(self, schema: TableSchema, rows_max: int) -> pa.RecordBatchReader:
        """Return the first rows."""
        rows = self._rows(schema.table).select([column.name for column in schema.columns]).slice(0, rows_max)
        return rebatched(rows.to_batches(), rows.schema, rows_max)

    def newest(self, table: str, column: str) -> datetime | None:
        """Return None: texts are no moments."""
        self._rows(table).column(column)
        return None

    def count(self, table: str) -> int:
        """Return the number of lines."""
        return self._rows(table).num_rows

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`."""
        rows = self._rows(table)
        chosen = chosen_columns(table, self._columns(rows), [column.name for column in columns])
        return content_digest(rows.select([column.name for column in chosen]).to_batches(), columns)

    def _schema(self, path: Path) -> TableSchema:
        columns = self._columns(self._rows(path.stem))
        return TableSchema(
            table=path.stem, columns=columns, key_columns=(columns[0].name,), kind=TableKind.FILE,
            bytes=path.stat().st_size,
        )  # fmt: skip

    def _columns(self, rows: pa.Table) -> tuple[Column, ...]:
        return tuple(Column(name=name, type="string") for name in rows.column_names)

    def _rows(self, table: str) -> pa.Table:
        path = self._folder / f"{table}.jsonl"
        if not path.is_file():
            raise no_table(table)
        rows = pa.json.read_json(path)
        return rows.cast(pa.schema([(name, pa.string()) for name in rows.column_names]))
