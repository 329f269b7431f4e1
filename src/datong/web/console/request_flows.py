"""The ways of requests: a map of steps with the times between them, variants, and the requests behind an arrow."""

from contextlib import suppress

from fastapi.responses import Response

from datong.governance import PARTY_NAMES, STEP_NAMES, FlowMap, FlowStep
from datong.kernel import CHINA, DepartmentCode, NotFound
from datong.sharing import Action
from datong.web.api.scope import department_in_scope
from datong.web.console.charts import Chart, Place, Way, ways
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

DAY_SECONDS = 86_400
PLACES: dict[FlowStep, tuple[float, float]] = {
    FlowStep.SUBMIT: (0, 2),
    FlowStep.AMEND: (0.6, 3.4),
    FlowStep.EXTEND: (0.8, 0.6),
    FlowStep.CONSENT_EXTENSION: (1.9, 0),
    FlowStep.DENY_EXTENSION: (1.6, 1.1),
    FlowStep.APPROVE: (2, 2),
    FlowStep.GRANT_UNCONDITIONAL: (1.8, 3),
    FlowStep.REFUSE: (2.8, 0.7),
    FlowStep.WITHDRAW: (1.4, 4),
    FlowStep.CONFIRM: (3, 2),
    FlowStep.CONFIRMED: (4, 2),
    FlowStep.SIGN: (5, 2),
    FlowStep.IN_FORCE: (6, 2),
    FlowStep.GIVEN_UP: (4.6, 3.6),
    FlowStep.DELIVER: (7, 2),
}
"""Where each step stands on the map: forward to the right, what turns back above and below."""


@router.get("/governance/flow")
def show_flow(desk: SignedIn, period: str = "", department: str = "") -> Response:
    """Show the map of a period and department."""
    desk.require(Action.INDICATOR_READ)
    chosen = DepartmentCode(department) if department else None
    found = desk.services.request_flows.map(period=period or None, department=chosen)
    return desk.page(
        "governance/flow.html",
        found=found,
        drawing=_drawing(desk, found),
        steps=STEP_NAMES,
        parties=PARTY_NAMES,
        wait=lambda seconds: shown_wait(desk, seconds),
        period=period,
        periods=_periods(desk),
        department=department,
        departments=desk.services.departments.all(),
    )


@router.get("/governance/flow/requests")
def list_requests(
    desk: SignedIn, offset: Offset, before: FlowStep, step: FlowStep, period: str = "", department: str = ""
) -> Response:
    """List the requests behind an arrow, the slowest first, with the reasons that were given."""
    wanted = DepartmentCode(department) if department else None
    scope = department_in_scope(desk.services, desk.caller, Action.REQUEST_READ, wanted)
    page = desk.services.request_flows.requests(
        before, step, period=period or None, department=scope, offset=offset, limit=PAGE_ROWS
    )
    reasons: dict[str, str] = {}
    for row in page.rows:
        with suppress(NotFound):
            request = desk.services.requests.get(row.request_id)
            reasons[row.request_id] = request.reason or request.extension_reason
    return desk.page(
        "governance/flow_requests.html",
        page=page,
        offset=offset,
        step_size=PAGE_ROWS,
        before=before,
        step=step,
        steps=STEP_NAMES,
        parties=PARTY_NAMES,
        reasons=reasons,
        wait=lambda seconds: shown_wait(desk, seconds),
        period=period,
        department=department,
    )


def shown_wait(desk: Desk, seconds: int) -> str:
    """Return a time of so many working seconds in words: hours, or working days of 24 hours."""
    t = desk.speech.t
    if seconds < DAY_SECONDS:
        return t("{hours} 小时", "{hours} h", hours=f"{seconds / 3600:.1f}")
    return t("{days} 个工作日", "{days} working days", days=f"{seconds / DAY_SECONDS:.1f}")


def _drawing(desk: Desk, found: FlowMap) -> Chart:
    """Return the map, and its arrows as a table."""
    t, say = desk.speech.t, desk.speech.say
    seen: dict[FlowStep, int] = {}
    for edge in found.edges:
        seen[edge.step] = seen.get(edge.step, 0) + edge.requests
    if found.requests:
        seen[FlowStep.SUBMIT] = found.requests
    longest = max((edge.median_seconds for edge in found.edges), default=0) or 1
    name = {step: say(text) for step, text in STEP_NAMES.items()}
    return ways(
        "flow",
        t(
            "申请流程图：箭头粗细为件数，标注为等待时间中位数",
            "Map of requests: arrows as thick as frequent, with the median wait",
        ),
        places=[
            Place(name=name[step], x=PLACES[step][0] * 150, y=PLACES[step][1] * 90, amount=amount)
            for step, amount in seen.items()
        ],
        edges=[
            Way(
                source=name[edge.before],
                target=name[edge.step],
                amount=edge.requests,
                text=shown_wait(desk, edge.median_seconds),
                heat=edge.median_seconds / longest,
            )
            for edge in found.edges
        ],
        header=(
            t("从", "From"),
            t("到", "To"),
            t("件数", "Requests"),
            t("中位数", "Median"),
            t("九成以内", "90th percentile"),
        ),
        rows=[
            (
                name[edge.before],
                name[edge.step],
                f"{edge.requests:,}",
                shown_wait(desk, edge.median_seconds),
                shown_wait(desk, edge.ninetieth_seconds),
            )
            for edge in found.edges
        ],
    )


def _periods(desk: Desk) -> list[str]:
    """Return the periods to choose from: this year and the last, and their months so far, newest first."""
    today = desk.now.astimezone(CHINA)
    months = [f"{today.year - (today.month - back < 1)}-{(today.month - back - 1) % 12 + 1:02}" for back in range(12)]
    return [str(today.year), str(today.year - 1), *months]
