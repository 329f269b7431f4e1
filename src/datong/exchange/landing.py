"""What the hub's own library holds of a task: the rows of its landed batches, the newest version of each key."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from datong.exchange.payload import read_payload
from datong.exchange.table_values import DELETED_COLUMN, Column, data_columns
from datong.exchange.types import arrow_schema
from datong.exchange.values import Manifest, TransferMode

READ_ROWS = 100_000


def landed_rows(
    batches: Sequence[tuple[Manifest, Path]], columns: tuple[Column, ...], key_columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that a task's batches add up to.

    A snapshot's newest complete run is the table; increments with keys keep the last row of each key, without keys all;
    changes do so on top of the newest complete snapshot, and drop the keys whose last change is a delete. Batches whose
    data columns are not `columns` belong to an older schema and are skipped.
    """
    chosen = _chosen(batches, columns)
    merged = any(manifest.mode is not TransferMode.SNAPSHOT for manifest, _ in chosen)
    if merged and key_columns:
        yield from _merged(chosen, columns, key_columns)
        return
    yield from _rows(chosen, columns)


def _merged(
    chosen: Sequence[tuple[Manifest, Path]], columns: tuple[Column, ...], key_columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Yield the last version of each key that is not deleted."""
    keys = ", ".join('"' + name.replace('"', '""') + '"' for name in key_columns)
    schema = arrow_schema(columns)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("empty", arrow_schema((DELETED_COLUMN, *columns)).empty_table())
        connection.execute("CREATE TABLE landed AS SELECT *, 0::BIGINT AS _sequence, 0::BIGINT AS _number FROM empty")
        for manifest, path in chosen:
            with read_payload(path, manifest.columns) as reader:
                table = reader.read_all()
            connection.register("part", table.append_column("_number", pa.array(range(table.num_rows), pa.int64())))
            connection.execute(
                "INSERT INTO landed BY NAME SELECT *, ?::BIGINT AS _sequence FROM part", [manifest.sequence]
            )
            connection.unregister("part")
        rows = connection.execute(
            f"SELECT * EXCLUDE (_sequence, _number, {DELETED_COLUMN.name}) FROM (SELECT * FROM landed "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY _sequence DESC, _number DESC) = 1) "
            f"WHERE {DELETED_COLUMN.name} IS NOT TRUE"
        ).to_arrow_reader(READ_ROWS)
        for batch in rows:
            arrays = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _rows(batches: Sequence[tuple[Manifest, Path]], columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
    for _, path in batches:
        with read_payload(path, columns) as reader:
            yield from reader


def _chosen(batches: Sequence[tuple[Manifest, Path]], columns: tuple[Column, ...]) -> list[tuple[Manifest, Path]]:
    """Return the batches that make up the table now, in order: the newest complete snapshot, and what came after."""
    schema = arrow_schema(columns)
    snapshot = max((one.run for one, _ in batches if one.last and one.mode is TransferMode.SNAPSHOT), default=0)
    return [
        (one, path)
        for one, path in batches
        if (one.run == snapshot if one.mode is TransferMode.SNAPSHOT else one.run > snapshot)
        and arrow_schema(data_columns(one.columns)).equals(schema)
    ]
