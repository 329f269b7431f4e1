"""The form of a new transfer task: every choice that a task has, checked as a file of tasks is."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from starlette.datastructures import FormData

from datong.exchange import (
    PRIORITY_DEFAULT,
    ApplyMode,
    Days,
    Misfire,
    Retry,
    Schedule,
    TaskOffer,
    TransferMode,
)
from datong.kernel import AgreementId, DatongError, JsonValue, Text
from datong.kernel.limits import BATCH_ROWS_DEFAULT, ITEMS_PER_RESOURCE_MAX
from datong.web.api.task_files import permit_of, read_task_offer
from datong.web.console.desk import Desk, SignedIn
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

FIELDS: Mapping[str, Text] = {
    "name": Text(zh="名称", en="Name"),
    "agreement": Text(zh="协议", en="Agreement"),
    "from.source": Text(zh="数据源", en="Source"),
    "from.table": Text(zh="源表", en="Source table"),
    "to.node": Text(zh="接收节点", en="Receiving node"),
    "to.source": Text(zh="目标库", en="Target database"),
    "to.table": Text(zh="目标表", en="Target table"),
    "columns": Text(zh="交换列", en="Columns to move"),
    "keys": Text(zh="主键列", en="Key columns"),
    "cursor": Text(zh="游标列", en="Cursor column"),
    "mode": Text(zh="方式", en="Mode"),
    "apply": Text(zh="应用方式", en="Apply mode"),
    "sealed": Text(zh="端到端加密", en="Sealed end to end"),
    "schedule.cron": Text(zh="定时（cron，北京时间）", en="Schedule (cron, China time)"),
    "schedule.misfire": Text(zh="错过的时刻", en="Due times that went by"),
    "schedule.on_change_seconds": Text(zh="每隔多少秒查看数据源是否变化", en="Seconds between looks for changes"),
    "window.start": Text(zh="时间窗：自", en="Window: from"),
    "window.end": Text(zh="时间窗：至", en="Window: until"),
    "window.days": Text(zh="时间窗：哪些日子", en="Window: on which days"),
    "priority": Text(zh="优先级（0–9）", en="Priority (0–9)"),
    "rate_limit_rows_per_second": Text(zh="限速（行/秒）", en="Rate limit (rows/s)"),
    "batch_rows": Text(zh="每批行数", en="Rows a batch"),
    "retry.attempts_max": Text(zh="最多尝试次数", en="Attempts at most"),
    "retry.delay_seconds": Text(zh="首次重试前等待（秒）", en="Seconds before the first retry"),
    "retry.delay_seconds_max": Text(zh="重试等待上限（秒）", en="Seconds between retries at most"),
}
"""What each field is called: its label in the form, and its name in an error."""
_LISTS = ("columns", "keys")
_NUMBERS = (
    "schedule.on_change_seconds",
    "priority",
    "rate_limit_rows_per_second",
    "batch_rows",
    "retry.attempts_max",
    "retry.delay_seconds",
    "retry.delay_seconds_max",
)
_LIBRARY = "library"
"""The choice of no node: rows go to the hub's own library."""


@router.get("/transfers/new")
def show_form(desk: SignedIn, agreement: Annotated[str, Query(max_length=64)]) -> Response:
    """Show the form for a task of an agreement, filled in with what stands to reason."""
    offer = read_task_offer(AgreementId(agreement), desk.caller, desk.services)
    return _form(desk, offer, first_values(offer))


@router.post("/transfers/new")
async def use_form(desk: SignedIn) -> Response:
    """Create the task, or show everything that is wrong with it beside what was filled in."""
    form = await desk.request.form(max_fields=2 * ITEMS_PER_RESOURCE_MAX + len(FIELDS))
    values = values_of(form)
    offer = read_task_offer(AgreementId(str(values["agreement"])), desk.caller, desk.services)
    try:
        task = desk.services.planning.create(
            declared(values), permit_of(desk.services, desk.caller), actor=desk.caller.actor
        )
    except DatongError as error:
        return _form(desk, offer, values, error=error)
    return desk.go(f"/transfers/{task.id}", done="task")


Values = dict[str, str | list[str]]


def first_values(offer: TaskOffer) -> Values:
    """Return what the form holds at first: the agreement's columns and binding, the defaults of everything else."""
    consumers = [node.id for node in offer.nodes if node.department == offer.consumer]
    schedule, retry = Schedule(), Retry()
    return {
        **dict.fromkeys(FIELDS, ""),
        "name": f"{offer.table or 'task'}-{offer.agreement_id[:8]}",
        "agreement": offer.agreement_id,
        "from.source": offer.source,
        "from.table": offer.table,
        "to.node": consumers[0] if consumers else _LIBRARY,
        "to.table": offer.table,
        "columns": [pair.column for pair in offer.columns],
        "keys": list(offer.key_columns),
        "cursor": offer.cursor_column or "",
        "mode": (TransferMode.INCREMENT if offer.cursor_column else TransferMode.SNAPSHOT).value,
        "schedule.misfire": schedule.misfire.value,
        "window.days": Days.ALL.value,
        "priority": str(PRIORITY_DEFAULT),
        "batch_rows": str(BATCH_ROWS_DEFAULT),
        "retry.attempts_max": str(retry.attempts_max),
        "retry.delay_seconds": str(retry.delay_seconds),
        "retry.delay_seconds_max": str(retry.delay_seconds_max),
    }


def values_of(form: FormData) -> Values:
    """Return the fields of a sent form as texts; what was not sent is empty."""
    return {
        name: _texts(form.getlist(name)) if name in _LISTS else next(iter(_texts(form.getlist(name))), "").strip()
        for name in FIELDS
    }


def declared(values: Values) -> dict[str, JsonValue]:
    """Return the task as a file would declare it; fields that are empty are left out, so that defaults hold."""
    library = values["to.node"] == _LIBRARY
    document: dict[str, JsonValue] = {"sealed": values["sealed"] == "on", "cursor": str(values["cursor"])}
    for name, value in values.items():
        if name in {"sealed", "cursor"} or (library and name.startswith("to.")):
            continue
        if name in _LISTS:
            document[name] = list(value)
        elif value:
            _put(document, name, _number(str(value)) if name in _NUMBERS else str(value))
    if not (values["schedule.cron"] or values["schedule.on_change_seconds"]):
        document.pop("schedule", None)
    if not (values["window.start"] or values["window.end"]) and values["window.days"] in ("", Days.ALL.value):
        document.pop("window", None)
    return document


def _put(document: dict[str, JsonValue], name: str, value: JsonValue) -> None:
    group, _, field = name.rpartition(".")
    if not group:
        document[field] = value
        return
    inner = document.setdefault(group, {})
    if isinstance(inner, dict):
        inner[field] = value


def _number(text: str) -> int | str:
    """Return a whole number; anything else as it is, for the check to say what is wrong with it."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else text


def _texts(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _form(desk: Desk, offer: TaskOffer, values: Values, *, error: DatongError | None = None) -> Response:
    found = problem_of(error) if error is not None else None
    errors = [] if error is None else error.context.get("errors", [])
    resource = desk.services.catalogue.get(offer.resource_id)
    shown = {item.column: desk.speech.say(item.name) for item in resource.content.items}
    return desk.page(
        "transfers/new.html",
        status=found.status if found else 200,
        found=found,
        faults=errors if isinstance(errors, list) else [],
        offer=offer,
        values=values,
        labels=FIELDS,
        shown=shown,
        options=_options(desk, offer, shown),
    )


def _options(desk: Desk, offer: TaskOffer, shown: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Return what may be chosen, by the name of the choice: its value and how it is shown."""
    say, t = desk.speech.say, desk.speech.t
    nodes = [(str(node.id), node.name) for node in offer.nodes if node.department == offer.consumer]
    return {
        "nodes": [*nodes, (_LIBRARY, t("统一资源库", "The hub's library"))],
        "columns": [(pair.column, f"{shown.get(pair.column, pair.item)} ({pair.column})") for pair in offer.columns],
        "modes": [(one.value, say(one.label)) for one in TransferMode],
        "applies": [(one.value, say(one.label)) for one in ApplyMode],
        "misfires": [(one.value, say(one.label)) for one in Misfire],
        "days": [(one.value, say(one.label)) for one in Days],
    }
