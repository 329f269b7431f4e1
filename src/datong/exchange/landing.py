"""What the hub's own library holds of a task: the rows of its landed batches, the newest version of each key."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from datong.exchange.digest import DigestSum, content_digest
from datong.exchange.payload import read_payload
from datong.exchange.types import arrow_schema
from datong.exchange.values import Column, ContentDigest, Manifest, TransferMode


def landed_digest(
    batches: Sequence[tuple[Manifest, Path]], columns: tuple[Column, ...], key_columns: tuple[str, ...]
) -> ContentDigest:
    """Return the content digest of what a task's batches add up to.

    A snapshot's newest complete run is the table; increments with keys keep the last row of each key, without keys all.
    Batches whose columns are not `columns` belong to an older schema and are skipped.
    """
    chosen = _chosen(batches, columns)
    increments = bool(chosen) and chosen[0][0].mode is TransferMode.INCREMENT
    if not (increments and key_columns):
        total = DigestSum(columns)
        try:
            for _, path in chosen:
                with read_payload(path, columns) as reader:
                    for batch in reader:
                        total.add(batch)
            return total.result()
        finally:
            total.close()
    keys = ", ".join('"' + name.replace('"', '""') + '"' for name in key_columns)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("empty", arrow_schema(columns).empty_table())
        connection.execute("CREATE TABLE landed AS SELECT *, 0::BIGINT AS _sequence, 0::BIGINT AS _number FROM empty")
        for manifest, path in chosen:
            with read_payload(path, columns) as reader:
                table = reader.read_all()
            connection.register("part", table.append_column("_number", pa.array(range(table.num_rows), pa.int64())))
            connection.execute(
                "INSERT INTO landed BY NAME SELECT *, ?::BIGINT AS _sequence FROM part", [manifest.sequence]
            )
            connection.unregister("part")
        rows = connection.execute(
            "SELECT * EXCLUDE (_sequence, _number) FROM landed "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY _sequence DESC, _number DESC) = 1"
        ).to_arrow_reader(100_000)
        schema = arrow_schema(columns)
        batches_out = (
            pa.RecordBatch.from_arrays(
                [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)], schema=schema
            )
            for batch in rows
        )
        return content_digest(batches_out, columns)


def _chosen(batches: Sequence[tuple[Manifest, Path]], columns: tuple[Column, ...]) -> list[tuple[Manifest, Path]]:
    """Return the batches that make up the table now, in order."""
    if not batches or batches[-1][0].mode is TransferMode.INCREMENT:
        schema = arrow_schema(columns)
        return [pair for pair in batches if arrow_schema(pair[0].columns).equals(schema)]
    run = max((manifest.run for manifest, _ in batches if manifest.last), default=0)
    return [pair for pair in batches if pair[0].run == run]
