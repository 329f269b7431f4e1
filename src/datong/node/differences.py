"""Snapshot difference: what changed in a table since the last confirmed look at it, for sources that keep no log.

Per task the node keeps a *state*, a Parquet file of keys and row digests (no other value), named by the digest of the
batch after which the consumer has exactly these rows. So no step of its own makes a state current: it is the one of
the batch that the hub has confirmed last, whenever the process was killed. Without such a state (the first run, a lost
folder, a run that could not be completed) the run is a snapshot.

One run: the whole table is read in one statement to a Parquet file beside the state; DuckDB, with bounded memory and
spilling to disk, finds what is new, changed and gone; all batches are cut and spooled; then they are sent.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from datong.exchange import (
    DELETED_COLUMN,
    Column,
    Confirmed,
    Connector,
    Manifest,
    ProduceWork,
    ReadQuery,
    Task,
    TransferMode,
    arrow_schema,
    canonical_expression,
    confirmed_after,
    schema_fingerprint,
)
from datong.kernel import Conflict, Text
from datong.kernel.files import flush
from datong.node.outbox import Cut, Outbox, Pace, source_columns, with_last
from datong.node.spool import SpooledBatch
from datong.node.steps import Passed, Step, unobserved

COMPARE_MEMORY_MEGABYTES = 256
FINGERPRINT_CHARS = 16


class States:
    """The states of one task: files named by the batch after which they hold."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str, columns: tuple[Column, ...]) -> Path:
        """Return where the state after the batch `digest` lies; other columns have other states."""
        return self._folder / f"{digest}-{schema_fingerprint(columns)[:FINGERPRINT_CHARS]}.state"

    def after(self, digest: str, columns: tuple[Column, ...]) -> Path | None:
        """Return the state after the batch `digest`, if there is a sound one; delete all others."""
        wanted = self.path(digest, columns)
        for path in self._folder.glob("*.state"):
            if path != wanted:
                path.unlink()
        try:
            pq.read_metadata(wanted)
        except (FileNotFoundError, OSError, pa.ArrowException):
            return None
        return wanted

    def adopt(self, path: Path, digest: str, columns: tuple[Column, ...]) -> None:
        """Make the file at `path` the state after the batch `digest`, durably."""
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        path.replace(self.path(digest, columns))
        flush(self._folder)


class Comparison:
    """One look at a table, compared with the state before it."""

    def __init__(self, folder: Path, task: Task, columns: tuple[Column, ...]) -> None:
        self._task = task
        self._columns = columns
        self._rows = folder / "rows.parquet"
        self.state = folder / "next.parquet"
        """The state of this look, once `digest_rows` has run."""
        self._connection = duckdb.connect(
            config={
                "threads": 1,
                "memory_limit": f"{COMPARE_MEMORY_MEGABYTES}MB",
                "temp_directory": str(folder / "spill"),
            }
        )
        self._keys = [_quoted(name) for name in task.key_columns]

    def close(self) -> None:
        """Free the engine."""
        self._connection.close()

    def gather(self, source: Connector) -> None:
        """Read the whole table into a file, in one statement and so in one state of the source."""
        query = ReadQuery(
            table=self._task.table,
            columns=tuple(column.name for column in self._columns),
            batch_rows=self._task.batch_rows,
        )
        schema = arrow_schema(self._columns)
        with pq.ParquetWriter(self._rows, schema, compression="zstd", store_schema=True) as writer:
            for batch in source.read(query):
                writer.write_batch(batch)

    def digest_rows(self) -> None:
        """Write the state: every key with its row's digest.

        Raises:
            Conflict: `node.keys_not_unique`, `node.key_null`.
        """
        keys = ", ".join(self._keys)
        text = " || ".join(canonical_expression(column) for column in self._columns)
        self._connection.execute(
            f"COPY (SELECT {keys}, md5_number_upper(t) AS _upper, md5_number_lower(t) AS _lower "
            f"FROM (SELECT {keys}, {text} AS t FROM {_file(self._rows)})) TO {_literal(self.state)} (FORMAT parquet)"
        )
        empty = " OR ".join(f"{key} IS NULL" for key in self._keys)
        if self._finds(f"SELECT 1 FROM {_file(self.state)} WHERE {empty} LIMIT 1"):
            raise _bad_keys(self._task, "key_null", Text(zh="含有空值", en="hold NULL: such rows cannot be told apart"))
        if self._finds(f"SELECT 1 FROM {_file(self.state)} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"):
            raise _bad_keys(self._task, "keys_not_unique", Text(zh="不唯一", en="are not unique"))

    def whole(self) -> Iterator[pa.RecordBatch]:
        """Yield every row."""
        names = ", ".join(_quoted(column.name) for column in self._columns)
        yield from self._read(f"SELECT {names} FROM {_file(self._rows)}", self._columns)

    def changes(self, before: Path) -> Iterator[pa.RecordBatch]:
        """Yield what changed since the state `before`: deletes first, then the new and changed rows."""
        keys = ", ".join(self._keys)
        columns = (DELETED_COLUMN, *self._columns)
        names = ", ".join(_quoted(column.name) for column in self._columns)
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE changed AS SELECT {keys} FROM {_file(self.state)} AS now "
            f"ANTI JOIN {_file(before)} AS before USING ({keys}, _upper, _lower)"
        )
        deleted = (
            f"SELECT true, {keys} FROM {_file(before)} AS before ANTI JOIN {_file(self.state)} AS now USING ({keys})"
        )
        present = f"SELECT false, {names} FROM {_file(self._rows)} AS rows SEMI JOIN changed USING ({keys})"
        key_columns = tuple(column for column in columns if column.name in self._task.key_columns)
        ordered = tuple(sorted(key_columns, key=lambda column: self._task.key_columns.index(column.name)))
        for batch in self._read(deleted, (DELETED_COLUMN, *ordered)):
            yield _padded(batch, columns)
        yield from self._read(present, columns)

    def _read(self, query: str, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
        schema = arrow_schema(columns)
        for batch in self._connection.execute(query).to_arrow_reader(self._task.batch_rows):
            if batch.num_rows:
                arrays = [values.cast(field.type) for values, field in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _finds(self, query: str) -> bool:
        return self._connection.execute(query).fetchone() is not None


class Differences:
    """Produces the runs of tasks of the mode DIFF."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        folder: Path,
        open_source: Callable[[str], Connector],
        passed: Passed = unobserved,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._open_source = open_source
        self._passed = passed

    def produce(self, work: ProduceWork, pace: Pace) -> int | None:
        """Move what changed since the confirmed state; return the number of the run that is complete then.

        None when the task's time window closed before its end: what is cut stays spooled, and goes on when it opens.
        """
        task, confirmed = work.task, work.confirmed
        batches = self._outbox.pending(task, confirmed)
        if not (_continues(batches, confirmed) and batches[-1].signed.manifest.last):
            # Cut for another state of the chain, or only in part: look again.
            self._outbox.drop(batches)
            batches = self._cut(work)
        for batch in batches:
            confirmed = self._outbox.send(batch, pace)
            if not batch.signed.manifest.last and self._outbox.is_past(work.until):
                return None
        return confirmed.run if batches else work.run

    def _cut(self, work: ProduceWork) -> tuple[SpooledBatch, ...]:
        """Compare the table with the confirmed state, and cut and spool the whole run."""
        task, confirmed = work.task, work.confirmed
        folder = self._folder / task.id
        states = States(folder)
        with _scratch(folder) as scratch:
            source = self._open_source(task.source)
            try:
                columns = source_columns(source, task)
                comparison = Comparison(scratch, task, columns)
                comparison.gather(source)
            finally:
                source.close()
            self._passed(Step.ROWS_GATHERED)
            try:
                comparison.digest_rows()
                before = states.after(confirmed.digest, columns) if confirmed.run_ended else None
                # A run that cannot be completed is given up: the snapshot after it has a number of its own.
                run = work.run if confirmed.run_ended else work.run + 1
                rows = comparison.whole() if before is None else comparison.changes(before)
                batches = []
                for batch, last in with_last(rows):
                    if batch is None and before is not None:
                        break
                    cut = Cut(
                        run=run,
                        mode=TransferMode.SNAPSHOT if before is None else TransferMode.DIFF,
                        columns=columns if before is None else (DELETED_COLUMN, *columns),
                        cursor_to=None,
                        last=last,
                    )
                    adopt = self._adopter(comparison, states, columns) if last else None
                    spooled = self._outbox.add(work, confirmed, cut, [] if batch is None else [batch], signed_now=adopt)
                    batches.append(spooled)
                    confirmed = confirmed_after(spooled.signed.manifest)
            finally:
                comparison.close()
        return tuple(batches)

    def _adopter(
        self, comparison: Comparison, states: States, columns: tuple[Column, ...]
    ) -> Callable[[Manifest], None]:
        """Return what keeps the new state under the name of the run's last batch, before that batch can be sent."""

        def adopt(manifest: Manifest) -> None:
            states.adopt(comparison.state, manifest.digest, columns)
            self._passed(Step.STATE_WRITTEN)

        return adopt


def _continues(batches: tuple[SpooledBatch, ...], confirmed: Confirmed) -> bool:
    """Whether spooled batches go on where the hub's chain ends; a chain of digests leaves no other way to fit."""
    if not batches:
        return False
    first = batches[0].signed.manifest
    return (first.sequence, first.previous_digest) == (confirmed.sequence + 1, confirmed.digest)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for one comparison beside the task's states, emptied before and after."""
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _padded(batch: pa.RecordBatch, columns: tuple[Column, ...]) -> pa.RecordBatch:
    """Return deleted keys as rows of all `columns`, NULL where a delete says nothing."""
    schema = arrow_schema(columns)
    arrays = [
        batch.column(0)
        if number == 0
        else batch.column(field.name)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for number, field in enumerate(schema)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _bad_keys(task: Task, code: str, why: Text) -> Conflict:
    names = "、".join(task.key_columns)
    return Conflict(
        f"node.{code}",
        what=Text(
            zh=f"表 {task.table} 的主键列（{names}）{why.zh}，无法比对。",
            en=f"The key columns ({', '.join(task.key_columns)}) of table {task.table} {why.en}.",
        ),
        remedy=Text(
            zh="请修正数据，或为任务选择唯一的主键列。", en="Correct the data, or give the task unique key columns."
        ),
        field="/key_columns",
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _file(path: Path) -> str:
    return f"read_parquet({_literal(path)})"
