"""Store and forward, and then no longer: payloads that every consumer has acknowledged are deleted, with evidence."""

from datetime import timedelta

from sqlalchemy import RowMapping

from datong.exchange import replay_store, store, subscription_store
from datong.exchange.facts import task_facts
from datong.exchange.uploads import UploadFiles
from datong.kernel import PLATFORM_ACTOR, Clock, Database, TaskId
from datong.ledger import EntryKind, Ledger

SWEEP_TASKS_MAX = 200
"""Tasks that one sweep looks at."""


class Retention:
    """Deletes payloads of tasks between nodes. What the library has landed is its archive, and stays."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, files: UploadFiles, keep: timedelta
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._files, self._keep = files, keep

    def sweep(self) -> bool:
        """Dispose of every payload whose receipts are all older than the retention; return False: no more is due now.

        Bytes are deleted after the transaction that says so; those that a crash left behind go with the next sweep.
        """
        with self._database.snapshot() as connection:
            rows = subscription_store.tasks_to_clear(connection, limit=SWEEP_TASKS_MAX)
        for row in rows:
            self._clear(row)
        return False

    def _clear(self, row: RowMapping) -> None:
        task_id, before = TaskId(row["id"]), self._clock.now() - self._keep
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            further = subscription_store.subscriptions(connection, task_id)
            through = subscription_store.acknowledged_through(connection, row, further, before)
            needed = replay_store.needed_from(connection, task_id)
            if needed is not None:
                # A replay that has set the target back must find everything up to its end.
                through = min(through, needed - 1)
            gone = row["disposed_sequence"]
            if through > gone:
                size = subscription_store.bytes_between(connection, task_id, gone, through)
                self._ledger.append(
                    connection,
                    kind=EntryKind.TASK,
                    subject=task_id,
                    actor=PLATFORM_ACTOR,
                    facts=task_facts(store.task_of(row), "dispose")
                    | {"first_sequence": gone + 1, "last_sequence": through, "payload_bytes": size},
                )
                store.set_task(connection, task_id, disposed_sequence=through)
                gone = through
        self._files.delete_through(task_id, gone)
