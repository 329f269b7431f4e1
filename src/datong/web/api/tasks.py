"""Transfer tasks: create, run, pause, reconcile, follow."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import Field

from datong.exchange import (
    BatchRecord,
    Failure,
    Progress,
    ReceiptRecord,
    ReconcileEnd,
    Reconciliation,
    Run,
    RunAgain,
    RunState,
    SignedEndDigest,
    Task,
    TaskDraft,
    TransferEnd,
)
from datong.kernel import Actor, AgreementId, DepartmentCode, Page, TaskId, Value
from datong.kernel.limits import PAGE_ROWS_MAX, POLL_WAIT_SECONDS_MAX
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services
from datong.web.waiting import await_change

router = api_routes("/tasks", tag="exchange")

RunNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the run, from 1.")]


class TaskAction(StrEnum):
    """What can be done to a task."""

    RUN = "run"
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"
    RECONCILE = "reconcile"


class TaskActRequest(Value):
    """An act on a task."""

    action: TaskAction


class RunBeginning(Value):
    """What the producer knows when it begins a run: how many rows it expects, None when it cannot tell."""

    expected_rows: int | None = Field(None, ge=0)


class SeenChange(Value):
    """What a source looks like now, in a text that changes with it and holds no value of anybody's row."""

    mark: str = Field(max_length=200)


class TaskView(Value):
    """A task and how far it is."""

    task: Task
    progress: Progress


def task_target(task: TaskDraft, *, task_id: str = "new") -> Target:
    """Return a task as the policy sees it."""
    return Target(id=task_id, department=task.provider, provider=task.provider, consumer=task.consumer)


@router.post("", status_code=201)
def create_task(body: TaskDraft, caller: Caller, hub: Hub) -> Task:
    """Create a transfer task under an agreement in force."""
    hub.policy.require(caller, Action.TASK_CREATE, task_target(body))
    return hub.exchange.create_task(body, actor=caller.actor)


@router.get("")
def list_tasks(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    agreement_id: AgreementId | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Task]:
    """Return tasks: all of them, or those of the caller's department."""
    scope = department_in_scope(hub, caller, Action.TASK_READ, department)
    return hub.exchange.tasks(department=scope, agreement_id=agreement_id, offset=offset, limit=limit)


@router.get("/{task_id}")
def read_task(task_id: TaskId, caller: Caller, hub: Hub) -> TaskView:
    """Return a task and how far it is."""
    task = readable_task(hub, caller, task_id)
    return TaskView(task=task, progress=hub.exchange.progress(task_id))


@router.post("/{task_id}/actions")
def act_on_task(task_id: TaskId, body: TaskActRequest, caller: Caller, hub: Hub) -> Task:
    """Run, pause, resume or reconcile a task."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_CONTROL, task_target(task, task_id=task_id))
    _acts(hub)[body.action](task_id, caller.actor)
    hub.bell.ring()
    return hub.exchange.task(task_id)


@router.post("/{task_id}/runs/{run}/done")
def finish_run(task_id: TaskId, run: RunNumber, caller: Caller, hub: Hub) -> Task:
    """Record that the producer's node has delivered a whole run."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_PRODUCE, task_target(task, task_id=task_id))
    return hub.exchange.finish_run(task_id, run, actor=caller.actor)


@router.post("/{task_id}/changes")
def report_change(task_id: TaskId, body: SeenChange, caller: Caller, hub: Hub) -> Task:
    """Report that the task's source has changed; a task that runs on change is run, unless it is under way."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_PRODUCE, task_target(task, task_id=task_id))
    return hub.exchange.observation.change_seen(task_id, body.mark, actor=caller.actor)


@router.get("/{task_id}/runs")
def list_runs(
    task_id: TaskId,
    caller: Caller,
    hub: Hub,
    state: RunState | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Run]:
    """Return a task's runs, newest first: who asked and why, what was moved, what failed."""
    readable_task(hub, caller, task_id)
    return hub.exchange.runs.history(task_id, state=state, offset=offset, limit=limit)


@router.post("/{task_id}/again", status_code=201)
def run_again(task_id: TaskId, body: RunAgain, caller: Caller, hub: Hub) -> Run:
    """Replay a task from a point, or backfill a range: the producer reads that part once more."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_CONTROL, task_target(task, task_id=task_id))
    return hub.exchange.runs.again(task_id, body, actor=caller.actor)


@router.get("/{task_id}/runs/{run}")
def read_run(task_id: TaskId, run: RunNumber, caller: Caller, hub: Hub) -> Run:
    """Return one run of a task."""
    readable_task(hub, caller, task_id)
    return hub.exchange.runs.run(task_id, run)


@router.post("/{task_id}/runs/{run}/cancellation")
def cancel_run(task_id: TaskId, run: RunNumber, caller: Caller, hub: Hub) -> Run:
    """Cancel a run that is not delivered yet; what it has delivered stays delivered."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_CONTROL, task_target(task, task_id=task_id))
    return hub.exchange.runs.cancel(task_id, run, actor=caller.actor)


@router.post("/{task_id}/runs/{run}/begin")
def begin_run(task_id: TaskId, run: RunNumber, body: RunBeginning, caller: Caller, hub: Hub) -> Run:
    """Note that the producer's node has begun a run, and how many rows it expects."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_PRODUCE, task_target(task, task_id=task_id))
    return hub.exchange.runs.begin(task_id, run, expected_rows=body.expected_rows, actor=caller.actor)


@router.post("/{task_id}/runs/{run}/failures", status_code=201)
def report_failure(task_id: TaskId, run: RunNumber, body: Failure, caller: Caller, hub: Hub) -> Run:
    """Report that a node's part of a run failed; the hub decides when it is tried again."""
    task = hub.exchange.task(task_id)
    needed = Action.TASK_PRODUCE if body.end is TransferEnd.PRODUCER else Action.TASK_CONSUME
    hub.policy.require(caller, needed, task_target(task, task_id=task_id))
    return hub.exchange.runs.fail(task_id, run, body, actor=caller.actor)


@router.get("/{task_id}/batches")
async def list_batches(
    task_id: TaskId,
    request: Request,
    caller: Caller,
    hub: Hub,
    after: Annotated[int, Query(ge=0, description="Sequence number after which to begin.")] = 0,
    limit: Limit = PAGE_ROWS_MAX,
    wait: Annotated[float, Query(ge=0, le=POLL_WAIT_SECONDS_MAX, description="Seconds to wait for a batch.")] = 0,
) -> tuple[BatchRecord, ...]:
    """Return the committed batches after a sequence number, in order; wait for one up to `wait` seconds."""

    def look() -> tuple[tuple[BatchRecord, ...], bool]:
        readable_task(hub, caller, task_id)
        found = hub.exchange.batches(task_id, after_sequence=after, limit=limit)
        return found, bool(found)

    return await await_change(request, hub.bell, wait, look)


@router.get("/{task_id}/receipts")
def list_receipts(
    task_id: TaskId,
    caller: Caller,
    hub: Hub,
    after: Annotated[int, Query(ge=0, description="Sequence number after which to begin.")] = 0,
    limit: Limit = PAGE_ROWS_MAX,
) -> tuple[ReceiptRecord, ...]:
    """Return the consumer's receipts after a sequence number, in order."""
    readable_task(hub, caller, task_id)
    return hub.exchange.receipts(task_id, after_sequence=after, limit=limit)


@router.post("/{task_id}/digests", status_code=201)
def report_digest(task_id: TaskId, body: SignedEndDigest, caller: Caller, hub: Hub) -> Reconciliation:
    """Report one end's count and digest for a reconciliation."""
    task = hub.exchange.task(task_id)
    needed = Action.TASK_PRODUCE if body.end_digest.end is ReconcileEnd.PRODUCER else Action.TASK_CONSUME
    hub.policy.require(caller, needed, task_target(task, task_id=task_id))
    return hub.exchange.reconciliations.report(body, actor=caller.actor)


@router.get("/{task_id}/reconciliation")
def read_reconciliation(task_id: TaskId, caller: Caller, hub: Hub) -> Reconciliation | None:
    """Return the newest reconciliation, or null."""
    readable_task(hub, caller, task_id)
    return hub.exchange.reconciliations.newest(task_id)


def readable_task(hub: Services, caller: Principal, task_id: TaskId) -> Task:
    """Return a task that `caller` may read.

    Raises:
        NotFound: there is no such task.
        Refused: it concerns other departments.
    """
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_READ, target_for(hub, caller, task))
    return task


def target_for(hub: Services, caller: Principal, task: Task) -> Target:
    """Return a task as the policy sees it for `caller`: to a further consumer, as its own."""
    target = task_target(task, task_id=task.id)
    department = caller.department
    if department is None or department in (task.provider, task.consumer):
        return target
    if hub.exchange.subscriptions.of_consumer(task.id, department) is None:
        return target
    return target.model_copy(update={"consumer": department})


def _acts(hub: Services) -> dict[TaskAction, Callable[[TaskId, Actor], object]]:
    exchange = hub.exchange
    return {
        TaskAction.RUN: lambda task_id, actor: exchange.request_run(task_id, actor=actor),
        TaskAction.PAUSE: lambda task_id, actor: exchange.pause(task_id, actor=actor),
        TaskAction.RESUME: lambda task_id, actor: exchange.resume(task_id, actor=actor),
        TaskAction.END: lambda task_id, actor: exchange.end(task_id, actor=actor),
        TaskAction.RECONCILE: lambda task_id, actor: exchange.reconciliations.request(task_id, actor=actor),
    }
