"""Parts of uploads that nobody goes on with: a run was cancelled, or a node cut its batches anew."""

import logging
from pathlib import Path

from sqlalchemy import Connection, select

from datong.exchange import store
from datong.exchange.facts import task_facts
from datong.exchange.tables import UPLOADS
from datong.exchange.uploads import UploadFiles
from datong.kernel import PLATFORM_ACTOR, Database, NotFound, TaskId
from datong.ledger import EntryKind, Ledger

_LOG = logging.getLogger(__name__)
TOLD_MAX = 50
"""Batches that one entry names; it counts all of them."""


class Leftovers:
    """Deletes what uploads left behind, with evidence of which batches and how many bytes."""

    def __init__(self, *, database: Database, ledger: Ledger, files: UploadFiles) -> None:
        self._database, self._ledger, self._files = database, ledger, files

    def sweep(self) -> bool:
        """Delete every part whose upload is announced no more; return False: no more is due now.

        An upload is announced before its first byte, so a part without announcement is never one on its way. Bytes are
        deleted after the transaction that says so; those that a crash left behind go with the next sweep.
        """
        for task_id, parts in self._files.parts().items():
            gone = self._recorded(task_id, parts)
            for path in gone:
                path.unlink(missing_ok=True)
        return False

    def _recorded(self, task_id: TaskId, parts: tuple[Path, ...]) -> list[Path]:
        """Put on record which of the parts are deleted, and return them."""
        with self._database.transaction() as connection:
            try:
                task = store.task_of(store.task_row(connection, task_id, lock=True))
            except NotFound:
                # No transfer of this hub's: nothing that an entry could be about.
                _LOG.warning("parts of the unknown task %s: %s", task_id, [path.name for path in parts])
                return list(parts)
            announced = _announced(connection, task_id)
            gone = [path for path in parts if path.stem not in announced]
            if gone:
                sizes = [path.stat().st_size for path in gone if path.exists()]
                self._ledger.append(
                    connection,
                    kind=EntryKind.TASK,
                    subject=task_id,
                    actor=PLATFORM_ACTOR,
                    facts=task_facts(task, "sweep")
                    | {
                        "batches": [path.stem for path in gone[:TOLD_MAX]],
                        "parts": len(gone),
                        "payload_bytes": sum(sizes),
                    },
                )
        return gone


def _announced(connection: Connection, task_id: TaskId) -> set[str]:
    query = select(UPLOADS.c.batch_id).where(UPLOADS.c.task_id == task_id)
    return set(connection.execute(query).scalars())
