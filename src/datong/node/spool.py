"""Batches that a node has cut and the hub has not yet confirmed: payload files and an index in SQLite.

A batch is in the spool from the moment it is cut, signed and durable, until the hub has committed it. So a kill loses
nothing: what is in the index is uploaded again under the same batch id, what is not was never announced.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from datong.exchange import SignedManifest
from datong.kernel import TaskId, Value

BUSY_SECONDS = 30.0


class SpooledBatch(Value):
    """One batch in the spool."""

    signed: SignedManifest
    path: Path


class Spool:
    """The spool of one node."""

    def __init__(self, *, folder: Path, state_path: Path) -> None:
        self._folder = folder
        self._state_path = state_path
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS spool (task_id TEXT NOT NULL, sequence INTEGER NOT NULL, "
                "signed TEXT NOT NULL, PRIMARY KEY (task_id, sequence))"
            )

    def path(self, batch_id: str) -> Path:
        """Return where a batch's payload lies."""
        return self._folder / f"{batch_id}.arrow"

    def add(self, signed: SignedManifest) -> None:
        """Enter a batch whose payload is complete."""
        manifest = signed.manifest
        with self._open() as connection:
            connection.execute(
                "INSERT INTO spool VALUES (?, ?, ?)", (manifest.task_id, manifest.sequence, signed.model_dump_json())
            )

    def pending(self, task_id: TaskId) -> tuple[SpooledBatch, ...]:
        """Return the task's batches in order."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT signed FROM spool WHERE task_id = ? ORDER BY sequence", (task_id,)
            ).fetchall()
        signed = [SignedManifest.model_validate_json(row[0]) for row in rows]
        return tuple(SpooledBatch(signed=one, path=self.path(one.manifest.batch_id)) for one in signed)

    def remove(self, batch: SpooledBatch) -> None:
        """Forget a batch: the hub has it, or it will never be wanted."""
        manifest = batch.signed.manifest
        with self._open() as connection:
            connection.execute(
                "DELETE FROM spool WHERE task_id = ? AND sequence = ?", (manifest.task_id, manifest.sequence)
            )
        batch.path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete payload files that no batch of the index names (left by a kill between two steps)."""
        with self._open() as connection:
            rows = connection.execute("SELECT signed FROM spool").fetchall()
        known = {f"{SignedManifest.model_validate_json(row[0]).manifest.batch_id}.arrow" for row in rows}
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink(missing_ok=True)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._state_path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            with connection:
                yield connection
