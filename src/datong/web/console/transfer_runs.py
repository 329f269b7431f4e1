"""Runs of a transfer: how it stands and moves, the history of its runs; and tasks as a file, planned before applied."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.exchange import PlanStep, TaskStatus, ThroughputPoint
from datong.kernel import CHINA, AgreementId, DatongError, TaskId
from datong.sharing import Action
from datong.web.api.task_files import (
    FILE_CHARS_MAX,
    FileToApply,
    FileToPlan,
    apply_task_file,
    export_task_file,
    plan_task_file,
    read_task_offer,
)
from datong.web.api.tasks import cancel_run, readable_task, task_target
from datong.web.console.charts import Chart, trend
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

CHART_MINUTES = 60
SPARK_WIDTH, SPARK_HEIGHT = 96, 22


@router.get("/transfers/{task_id}/runs")
def show_runs(desk: SignedIn, task_id: TaskId, offset: Offset) -> Response:
    """Show how a task stands, what it moved in the last hour, and its runs."""
    task = readable_task(desk.services, desk.caller, task_id)
    exchange = desk.services.exchange
    status = exchange.observation.status(task_id)
    points = exchange.observation.throughput([task_id], minutes=CHART_MINUTES)[task_id]
    return desk.page(
        "transfers/runs.html",
        task=task,
        title=desk.services.catalogue.get(task.resource_id).content.title,
        stands=status,
        chart=throughput_chart(desk, points),
        page=exchange.runs.history(task_id, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        may_control=desk.may(Action.TASK_CONTROL, task_target(task, task_id=task_id)),
    )


@router.post("/transfers/{task_id}/runs/{run}/cancel")
def cancel(desk: SignedIn, task_id: TaskId, run: int) -> Response:
    """Cancel a run that is not delivered yet."""
    cancel_run(task_id, run, desk.caller, desk.services)
    return desk.go(f"/transfers/{task_id}/runs", done="task")


@router.get("/transfers/file")
def show_file(desk: SignedIn, agreement: str = "") -> Response:
    """Show the present tasks as a file, or a first file for an agreement, to be changed and planned."""
    text = first_file(desk, AgreementId(agreement)) if agreement else export_task_file(desk.caller, desk.services).text
    return _file(desk, text)


@router.post("/transfers/file")
def use_file(
    desk: SignedIn,
    text: Annotated[str, Form(max_length=FILE_CHARS_MAX)] = "",
    act: Annotated[str, Form()] = "plan",
    replace: Annotated[str, Form()] = "",
) -> Response:
    """Plan a file, or apply it, or say what is wrong with it and where."""
    plain = text.replace("\r\n", "\n")
    try:
        if act == "apply":
            apply_task_file(FileToApply(text=plain, allow_replace=bool(replace)), desk.caller, desk.services)
            return desk.go("/transfers", done="task")
        steps = plan_task_file(FileToPlan(text=plain), desk.caller, desk.services)
    except DatongError as error:
        return _file(desk, plain, error=error)
    return _file(desk, plain, steps=steps)


def first_file(desk: Desk, agreement_id: AgreementId) -> str:
    """Return a file with one task of an agreement, everything that can be chosen written out."""
    offer = read_task_offer(agreement_id, desk.caller, desk.services)
    consumers = [node.name for node in offer.nodes if node.department == offer.consumer]
    lines = [
        "tasks:",
        f"  - name: {offer.table or 'task'}-{offer.agreement_id[:8]}",
        f"    agreement: {offer.agreement_id}",
        f"    from: {{source: {offer.source or '?'}, table: {offer.table or '?'}}}",
        *([f"    to: {{node: {consumers[0]}, table: {offer.table}}}"] if consumers else []),
        f"    columns: [{', '.join(pair.column for pair in offer.columns)}]",
        f"    keys: [{', '.join(offer.key_columns)}]",
        f"    mode: {'increment' if offer.cursor_column else 'snapshot'}",
        '    schedule: {cron: "0 2 * * *"}',
    ]
    return "\n".join(lines) + "\n"


def throughput_chart(desk: Desk, points: tuple[ThroughputPoint, ...]) -> Chart:
    """Return rows by the minute as a chart."""
    t = desk.speech.t
    return trend(
        "throughput",
        t("近一小时每分钟的行数", "Rows a minute in the last hour"),
        times=[point.at.astimezone(CHINA).strftime("%H:%M") for point in points],
        series={
            t("已提交", "committed"): [point.rows for point in points],
            t("已应用", "applied"): [point.rows_applied for point in points],
        },
        time_name=t("时间", "Time"),
    )


def spark(points: tuple[ThroughputPoint, ...]) -> str:
    """Return rows by the minute as the points of a small line (`SPARK_WIDTH` by `SPARK_HEIGHT`)."""
    most = max((point.rows for point in points), default=0) or 1
    step = SPARK_WIDTH / max(len(points) - 1, 1)
    return " ".join(
        f"{place * step:.1f},{SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * point.rows / most:.1f}"
        for place, point in enumerate(points)
    )


def standing(desk: Desk, task_ids: list[TaskId]) -> dict[TaskId, tuple[TaskStatus, str]]:
    """Return how tasks stand, each with its small line."""
    observation = desk.services.exchange.observation
    lines = observation.throughput(task_ids, minutes=CHART_MINUTES)
    return {task_id: (observation.status(task_id), spark(lines[task_id])) for task_id in task_ids}


def _file(desk: Desk, text: str, *, steps: tuple[PlanStep, ...] = (), error: DatongError | None = None) -> Response:
    found = problem_of(error) if error is not None else None
    return desk.page("transfers/file.html", status=found.status if found else 200, found=found, text=text, steps=steps)
