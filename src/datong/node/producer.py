"""The providing side: read from the confirmed cursor, cut, sign, spool, upload, in an order that no kill can break."""

import time
from collections.abc import Callable, Iterator
from functools import partial

from datong.exchange import (
    DELETED_COLUMN,
    Confirmed,
    Connector,
    Manifest,
    ProduceWork,
    RepairOrder,
    Task,
    TransferMode,
    confirmed_after,
    rows_until,
)
from datong.kernel import Conflict, Corrupt, Refused
from datong.kernel.limits import FIRST_PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX
from datong.node.ahead import ahead
from datong.node.differences import Differences
from datong.node.groups import grouped
from datong.node.outbox import Cut, Outbox, Pace, source_columns
from datong.node.repairing import rows_to_send
from datong.node.source_watch import SourceWatch
from datong.node.spool import SpooledBatch

READ_AHEAD = 3
"""Pieces of rows that are read while a batch is digested and packed."""
SPOOLED_AHEAD = 1
"""Batches that wait in the spool while one is uploaded and one is cut."""
PACED_SECONDS = 10


class Producer:
    """Produces the runs of tasks."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        open_source: Callable[[str], Connector],
        differences: Differences,
        watch: SourceWatch | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._outbox = outbox
        self._open_source = open_source
        self._differences = differences
        self._watch = watch
        self._sleep = sleep

    def produce(self, work: ProduceWork) -> None:
        """Move everything of the run that the hub does not have yet, and finish the run.

        Raises:
            Unavailable: hub or source do not answer; calling again goes on where this stopped.
            Conflict: `node.schema_blocked`, before a row moves.
            Refused, Conflict, Corrupt: the hub did not accept a batch; its spooled batches are dropped and will be cut
                anew from the confirmed cursor.
        """
        task, run = work.task, work.run
        if work.confirmed.run == run and work.confirmed.run_ended:
            # A kill between a run's last commit and its end leaves a run that only needs to be ended, and what the
            # hub has already may still lie in the spool.
            self._outbox.pending(task, work.confirmed)
        else:
            if self._watch is not None:
                if not self._watch.stands(task):
                    return
                if _copies_all(work):
                    self._watch.announce(task, run)
            try:
                moved = self._move(work)
            except (Refused, Conflict, Corrupt):
                self._outbox.drop_all(task)
                raise
            if moved is None:
                return
            run = moved
        self._outbox.finish_run(task, run)

    def _move(self, work: ProduceWork) -> int | None:
        """Move what the hub does not have yet; return the run that is complete by it, or None when its time is up."""
        pace = Pace(work.task.rate_limit_rows_per_second, self._sleep)
        if work.repair is not None:
            self._repair(work, work.repair, pace)
            return work.run
        if work.task.mode is TransferMode.DIFF:
            return self._differences.produce(work, pace)
        confirmed, complete = self._send_pending(work, pace)
        return work.run if complete or self._send_new(work, confirmed, pace) else None

    def _repair(self, work: ProduceWork, order: RepairOrder, pace: Pace) -> None:
        """Send the rows that a repair names, as they are now, in one batch that is a run of its own."""
        task, confirmed = work.task, work.confirmed
        fresh = self._outbox.pending(task, confirmed)
        if fresh and _follows(fresh[0].signed.manifest, confirmed, work):
            self._outbox.send(fresh[0], pace)
            return
        self._outbox.drop(fresh)
        source = self._open_source(task.source)
        try:
            columns = source_columns(source, task)
            rows = rows_to_send(source, task, columns, self._outbox.opened_order(task, order))
        finally:
            source.close()
        cut = Cut(
            run=work.run,
            mode=TransferMode.DIFF,
            columns=(DELETED_COLUMN, *columns),
            cursor_to=None,
            last=True,
            repair=order.reconciliation_id,
        )
        self._outbox.send(self._outbox.add(work, confirmed, cut, [rows] if rows.num_rows else []), pace)

    def _send_pending(self, work: ProduceWork, pace: Pace) -> tuple[Confirmed, bool]:
        """Upload what was cut before a restart; return the end of the chain and whether the run is complete."""
        confirmed = work.confirmed
        fresh = self._outbox.pending(work.task, confirmed)
        follows = bool(fresh) and _follows(fresh[0].signed.manifest, confirmed, work)
        whole = bool(work.task.order) or any(batch.signed.manifest.last for batch in fresh)
        if not (follows and whole):
            # Cut for another state of the chain, or only a part of a copy that cannot be resumed in the middle.
            self._outbox.drop(fresh)
            return confirmed, False
        for batch in fresh:
            confirmed = self._outbox.send(batch, pace)
        return confirmed, confirmed.run_ended

    def _send_new(self, work: ProduceWork, confirmed: Confirmed, pace: Pace) -> bool:
        """Cut the rest of the run and upload it; without an order, only once everything is cut.

        Returns False when the task's time window closed before the end; the run goes on when it opens again.
        """
        resumable = bool(work.task.order)
        waiting: list[SpooledBatch] = []
        closed = False
        with ahead(self._cut(work, confirmed), SPOOLED_AHEAD) as batches:
            for batch in batches:
                if resumable:
                    self._outbox.send(batch, pace)
                else:
                    waiting.append(batch)
                if not batch.signed.manifest.last and self._outbox.is_past(work.until):
                    closed = True
                    break
        if closed:
            if not resumable:
                self._outbox.drop_all(work.task)
            return False
        for batch in waiting:
            self._outbox.send(batch, pace)
        return True

    def _cut(self, work: ProduceWork, confirmed: Confirmed) -> Iterator[SpooledBatch]:
        """Yield the run's next batches, each signed and spooled; the last one says so."""
        task = work.task
        source = self._open_source(task.source)
        try:
            columns = source_columns(source, task)
            reader = source.read(task.query(self._outbox.opened_cursor(task, confirmed.cursor)))
            until = None if work.span is None else self._outbox.opened_cursor(task, work.span.until)
            wanted = reader if until is None else rows_until(reader, task.order, until)
            with ahead(wanted, READ_AHEAD) as pieces:
                first = FIRST_PAYLOAD_BYTES_MAX if confirmed.part == 0 or confirmed.run_ended else PAYLOAD_BYTES_MAX
                cut = Cut(run=work.run, mode=task.mode, columns=columns)
                for rows in grouped(pieces, rows_max=_rows_of_a_batch(task), first_bytes_max=first):
                    if rows.is_empty and task.mode is TransferMode.INCREMENT and confirmed.part == 0:
                        return
                    batch = self._outbox.add(work, confirmed, cut, rows, end=partial(rows.end, task.order))
                    confirmed = confirmed_after(batch.signed.manifest)
                    yield batch
        finally:
            source.close()


def _copies_all(work: ProduceWork) -> bool:
    """Whether a run begins now that brings every row of the table."""
    begins = work.confirmed.run != work.run
    return begins and work.task.mode is TransferMode.SNAPSHOT and work.repair is None and work.span is None


def _rows_of_a_batch(task: Task) -> int:
    """Return how many rows a batch may have: of a slowed task no more than go out in a few seconds."""
    if task.rate_limit_rows_per_second is None:
        return task.batch_rows
    return min(task.batch_rows, task.rate_limit_rows_per_second * PACED_SECONDS)


def _follows(manifest: Manifest, confirmed: Confirmed, work: ProduceWork) -> bool:
    """Whether a spooled batch continues the hub's chain in the run that is wanted."""
    return (
        manifest.sequence == confirmed.sequence + 1
        and manifest.previous_digest == confirmed.digest
        and (manifest.run, manifest.part) == (work.run, confirmed.part + 1)
        and manifest.cursor_from == confirmed.cursor
    )
