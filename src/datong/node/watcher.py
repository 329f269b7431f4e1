"""Watching the sources of a node's tasks: whether they changed, and the newest moment in them."""

import time
from collections.abc import Callable, Sequence

from datong.exchange import Connector, SourceReport, Task, TransferMode, WatchWork
from datong.kernel import DatongError, TaskId
from datong.node.hub_client import HubClient
from datong.node.spool import Spool

LAG_INTERVAL_SECONDS = 300.0
"""How often a source that nobody waits for is asked for its newest moment: without an index that reads a table."""
CHANGE_INTERVAL_SECONDS_MIN = 1.0


class SourceWatcher:
    """Looks at each task's source when its time has come, and tells the hub of changes at once."""

    def __init__(
        self,
        *,
        client: HubClient,
        spool: Spool,
        open_source: Callable[[str], Connector],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._spool = spool
        self._open_source = open_source
        self._seconds = seconds
        self._next: dict[TaskId, float] = {}
        self._reports: dict[TaskId, SourceReport] = {}

    def attend(self, watch: Sequence[WatchWork]) -> list[str]:
        """Look at the sources whose time has come; return the failures, which leave the others alone."""
        failed = []
        for work in watch:
            task = work.task
            on_change = task.schedule.on_change_seconds if task.schedule is not None else None
            if self._next.get(task.id, 0.0) > self._seconds() or not (on_change or _has_moments(task)):
                continue
            interval = LAG_INTERVAL_SECONDS if on_change is None else max(on_change, CHANGE_INTERVAL_SECONDS_MIN)
            self._next[task.id] = self._seconds() + interval
            try:
                self._look(work, on_change=on_change is not None and work.idle)
            except DatongError as error:
                failed.append(f"{task.id}: {error.code}")
        return failed

    def reports(self, watch: Sequence[WatchWork]) -> tuple[SourceReport, ...]:
        """Return what is known about the sources, and what lies in the spool for each task, where that is anything."""
        found = []
        for work in watch:
            pending = self._spool.pending(work.task.id)
            report = self._reports.get(work.task.id, SourceReport(task_id=work.task.id)).model_copy(
                update={
                    "spool_batches": len(pending),
                    "spool_bytes": sum(batch.signed.manifest.payload_bytes for batch in pending),
                }
            )
            if report != self._reports.get(work.task.id, SourceReport(task_id=work.task.id)) or report.newest:
                found.append(report)
                self._reports[work.task.id] = report
        return tuple(found)

    def _look(self, work: WatchWork, *, on_change: bool) -> None:
        task = work.task
        source = self._open_source(task.source)
        try:
            newest = source.newest(task.table, task.cursor_column) if task.cursor_column else None
            known = self._reports.get(task.id, SourceReport(task_id=task.id))
            self._reports[task.id] = known.model_copy(update={"newest": newest})
            if not on_change:
                return
            rows = "" if newest is not None and task.mode is TransferMode.INCREMENT else source.count(task.table)
        finally:
            source.close()
        mark = f"{'' if newest is None else newest.isoformat()}/{rows}"
        if mark != work.mark:
            self._client.change_seen(task.id, mark)


def _has_moments(task: Task) -> bool:
    """Whether the task's cursor may be a moment that tells how far behind the target is."""
    return task.cursor_column is not None and task.mode is TransferMode.INCREMENT
