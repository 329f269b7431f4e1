"""`datong exchange status` in a terminal of eighty columns: one line a task, and errors in words below."""

import io
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from datong.cli.exchange_status import table
from datong.exchange import NotedFailure, Task, TaskState, TaskStatus, TransferEnd
from datong.kernel import Language, TaskId, Text
from tests.exchange_hub import task_draft

AT = datetime(2026, 1, 5, tzinfo=UTC)
FULL = Text(zh="目标库磁盘已满。", en="The target's disk is full.")
ROOM = Text(zh="请腾出空间。", en="Make room.")


def standing(name: str, state: TaskState) -> TaskStatus:
    draft = task_draft("resident", ("id",))
    task = Task(**draft.model_dump(exclude={"name"}), name=name, id=TaskId("t" * 36), state=state, created_at=AT)
    error = NotedFailure(end=TransferEnd.CONSUMER, code="adapters.full", what=FULL, remedy=ROOM, transient=True, at=AT)
    return TaskStatus(
        task=task,
        run=None,
        at=AT,
        batches=9,
        rows=123_456_789,
        rows_applied=123_456_789,
        rows_rejected=0,
        queue_batches=1_234,
        queue_bytes=0,
        queue_since=AT,
        spool_batches=0,
        spool_bytes=0,
        rows_per_second=581_000.0,
        applied_rows_per_second=0.0,
        source_newest=None,
        confirmed_newest=None,
        applied_newest=None,
        lag_seconds=7_260.0,
        last_success_at=AT,
        next_due_at=None,
        eta_seconds=None,
        consumer_error=error,
    )


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("width", [80, 120, 160])
def test_a_task_stands_in_one_line_and_its_errors_below(language: Language, width: int) -> None:
    written = io.StringIO()
    console = Console(file=written, width=width)
    tasks = [standing("户籍人口共享到教育局的每日增量", TaskState.BLOCKED), standing("resident", TaskState.ACTIVE)]
    console.print(table(tasks, language, width))
    lines = written.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert all("2h01m" in line for line in lines[1:3])
    assert "123,456,789" in lines[1]
    remarks = "".join(lines[3:]).replace(" ", "")
    for one in (FULL, ROOM, TaskState.BLOCKED.label):
        assert one.render(language).replace(" ", "") in remarks
