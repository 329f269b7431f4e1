"""Which part of a task is moved again, and whether that may be."""

from sqlalchemy import Connection

from datong.exchange import store
from datong.exchange.apply_modes import ApplyMode
from datong.exchange.run_span import RunSpan
from datong.exchange.run_values import RunAgain
from datong.exchange.table_values import Cursor
from datong.exchange.values import Manifest, Task, TransferMode
from datong.kernel import Conflict, Invalid, NotFound, TaskId, Text

PAGE_BATCHES = 200


def check(task: Task) -> None:
    """Check that a part of the task can be moved again now without doubling a row.

    Raises:
        Conflict: `exchange.run_under_way`, `exchange.again_mode`.
    """
    if task.run_requested > task.run_done:
        raise Conflict(
            "exchange.run_under_way",
            what=Text(
                zh=f"第 {task.run_requested} 次运行尚未送达。", en=f"Run {task.run_requested} is not delivered yet."
            ),
            remedy=Text(zh="请等它送达，或先取消。", en="Wait until it is, or cancel it."),
        )
    if task.mode is not TransferMode.INCREMENT or task.apply_mode not in (ApplyMode.UPSERT, ApplyMode.MIRROR):
        raise Conflict(
            "exchange.again_mode",
            what=Text(
                zh="只有按主键更新的增量任务可以重放或回补：追加和历史方式会使行重复，全量每次都传全部。",
                en="Only an increment that updates by key can be replayed or backfilled: appending and history would "
                "double rows, and a snapshot moves everything at each run.",
            ),
            remedy=Text(zh="请运行一次全量任务。", en="Run a snapshot instead."),
        )


def span_of(connection: Connection, task_id: TaskId, wanted: RunAgain) -> RunSpan:
    """Return the rows that are meant.

    Raises:
        Invalid: `exchange.again_start`: start or end are named in two ways. NotFound: `exchange.no_such_batch`.
    """
    starts = [wanted.from_sequence, wanted.since, wanted.after]
    if sum(one is not None for one in starts) > 1 or (wanted.until_sequence and wanted.until):
        raise Invalid(
            "exchange.again_start",
            what=Text(zh="起点或终点重复指定。", en="The start, or the end, is named in two ways."),
            remedy=Text(zh="请各只用一种方式。", en="Name each in one way only."),
            field="/from_sequence",
        )
    after = wanted.after
    if wanted.from_sequence is not None:
        after = _batch(connection, task_id, wanted.from_sequence).cursor_from
    if wanted.since is not None:
        after = _since(connection, task_id, wanted)
    until = wanted.until
    if wanted.until_sequence is not None:
        until = _batch(connection, task_id, wanted.until_sequence).cursor_to
    return RunSpan(after=after, until=until)


def _batch(connection: Connection, task_id: TaskId, sequence: int) -> Manifest:
    found = store.batches(connection, task_id, after_sequence=sequence - 1, limit=1)
    if not found:
        raise _no_batch(Text(zh=f"任务没有第 {sequence} 批。", en=f"The task has no batch {sequence}."))
    return found[0].manifest


def _since(connection: Connection, task_id: TaskId, wanted: RunAgain) -> Cursor | None:
    after = 0
    while records := store.batches(connection, task_id, after_sequence=after, limit=PAGE_BATCHES):
        for record in records:
            if wanted.since is not None and record.manifest.produced_at >= wanted.since:
                return record.manifest.cursor_from
        after = records[-1].manifest.sequence
    raise _no_batch(Text(zh="该时刻之后没有批次。", en="There is no batch since that moment."))


def _no_batch(what: Text) -> NotFound:
    remedy = Text(zh="请查看任务的批次。", en="See the batches of the task.")
    return NotFound("exchange.no_such_batch", what=what, remedy=remedy)
