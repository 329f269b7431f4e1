"""What each stage of a transfer costs by itself: one batch, stage after stage, in one process, nothing overlapping.

A transfer's processes overlap their stages, so what a process used says nothing of a stage. Here each stage has the
processor to itself; what it costs there is what it takes from the others in a transfer. The hub's own share is what
its process uses: storing (a copy and its SHA-256), requests, control database, evidence.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from tests.integration.exchange.samples import manifest_of

from benchmarks.report import rounded
from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.exchange import (
    ReadQuery,
    TargetPlan,
    content_digest,
    digest_file,
    read_payload,
    signed_manifest,
    write_payload,
)

PER_ROWS = 1_000_000
Value = TypeVar("Value")


class Clock:
    """Processor seconds of this process, by stage."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def of(self, stage: str, act: Callable[[], Value]) -> Value:
        """Do what belongs to a stage."""
        started = time.process_time()
        result = act()
        self.spent[stage] = time.process_time() - started
        return result


def stages(source_url: str, target_url: str, table: str, folder: Path) -> dict[str, float]:
    """Return the processor seconds of each stage for a million rows, taken from a table that is one batch."""
    clock, path, plan = Clock(), folder / "stages.arrow", TargetPlan(table="stages")
    source, target = open_connector(source_url), open_target(target_url)
    found = source.schema(table)
    if found is None:
        raise RuntimeError(f"{table} is not there")
    columns = found.columns
    pieces: list[pa.RecordBatch] = []

    def read() -> None:
        names = tuple(column.name for column in columns)
        with source.read(ReadQuery(table=table, columns=names, key_columns=names[:1])) as reader:
            pieces.extend(reader)

    def apply() -> None:
        with read_payload(path, columns) as payload:
            target.apply(manifest, payload, plan=plan, applied_at=datetime.now(UTC))

    clock.of("read", read)
    clock.of("digest", lambda: content_digest(pieces, columns))
    clock.of("pack", lambda: write_payload(path, pieces, columns))
    clock.of("hash", lambda: digest_file(path))
    (whole,) = pa.Table.from_batches(pieces).combine_chunks().to_batches()
    manifest = manifest_of(whole, columns, task="stages")
    signer = load_or_create_signer(folder / "stages.key")
    clock.of("sign", lambda: signed_manifest(manifest, signer))
    target.prepare(plan, columns)
    clock.of("apply", apply)
    for end in (source, target):
        end.close()
    path.unlink()
    # The payload is digested and hashed while it is packed.
    clock.spent["pack"] -= clock.spent["digest"] + clock.spent["hash"]
    return {f"stage_{name}_seconds": rounded(spent / whole.num_rows * PER_ROWS) for name, spent in clock.spent.items()}
