"""The source table of a transfer: what changed, what stopped the task, and how it goes on."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.exchange import SchemaFindingKind, SchemaRecord, SchemaState, Task, TaskState, decision_of
from datong.kernel import TaskId, Value
from datong.kernel.limits import ITEMS_PER_RESOURCE_MAX
from datong.sharing import Action
from datong.web.api.task_schemas import accept_schema
from datong.web.api.tasks import readable_task, task_target
from datong.web.console.desk import SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

Names = Annotated[list[str] | None, Form(max_length=ITEMS_PER_RESOURCE_MAX)]


class LostColumn(Value):
    """A moved column that the source does not have any more, and what it may be called now."""

    column: str
    suspected: tuple[str, ...]
    needed: bool
    """Whether it is a key or the cursor, so that it cannot be left out."""


@router.get("/transfers/{task_id}/schema")
def show_schema(desk: SignedIn, task_id: TaskId) -> Response:
    """Show what is on record about a task's source table, and the form to go on when it stopped."""
    task = readable_task(desk.services, desk.caller, task_id)
    records = desk.services.exchange.schemas.records(task_id)
    blocked = blocking(task, records)
    free = () if blocked is None or blocked.shape is None else blocked.shape.columns
    moved = {pair.column for pair in task.columns}
    return desk.page(
        "transfers/schema.html",
        task=task,
        title=desk.resource_title(task.resource_id),
        records=records,
        blocked=blocked,
        lost=() if blocked is None else _lost(task, blocked),
        choices=[column.name for column in free if column.name not in moved],
        may_accept=blocked is not None
        and blocked.shape is not None
        and desk.may(Action.TASK_CONTROL, task_target(task, task_id=task.id)),
    )


@router.post("/transfers/{task_id}/schema")
def accept(desk: SignedIn, task_id: TaskId, lost: Names = None, now: Names = None) -> Response:
    """Accept what stopped the task: each lost column is called otherwise now, or is left out (empty)."""
    task = readable_task(desk.services, desk.caller, task_id)
    renamed = dict(zip(lost or (), now or (), strict=False))
    accept_schema(task_id, decision_of(task, renamed), desk.caller, desk.services)
    return desk.go(f"/transfers/{task_id}/schema", done="schema")


def blocking(task: Task, records: tuple[SchemaRecord, ...]) -> SchemaRecord | None:
    """The record of what stopped the task, None while it is not stopped."""
    if task.state is not TaskState.BLOCKED:
        return None
    return next((record for record in records if record.state is SchemaState.BLOCKED), None)


def _lost(task: Task, blocked: SchemaRecord) -> tuple[LostColumn, ...]:
    needed = {*task.key_columns, task.cursor_column}
    return tuple(
        LostColumn(
            column=finding.column,
            suspected=tuple(name for name in finding.after.split(", ") if name),
            needed=finding.column in needed,
        )
        for finding in blocked.findings
        if finding.kind is SchemaFindingKind.COLUMN_GONE
    )
