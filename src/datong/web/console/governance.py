"""Performance: the league table of departments, the acts behind each number, and the findings with their shares."""

from contextlib import suppress
from datetime import timedelta

from fastapi.responses import Response

from datong.governance import GUARDS, PARTY_NAMES, RULES, RULING_NAMES, DutyKind, Performance, Publication
from datong.kernel import CHINA, DepartmentCode, FindingId, NotFound
from datong.ledger import RecordedEntry
from datong.norms import IndicatorGroup
from datong.sharing import Action, Target
from datong.web.api.governance import finding_target
from datong.web.api.scope import department_in_scope
from datong.web.api.wrong_values import reports_of_finding
from datong.web.console.charts import Chart, heat, trend
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

TREND_MONTHS, TREND_MONTHS_MIN = 6, 3
LOW_SCORE = 60
PUBLICATIONS_SHOWN = 12


@router.get("/governance")
def show_ranking(desk: SignedIn, period: str = "", kind: str = "month") -> Response:
    """Show the league table of a period with its trend; of a published one, what was published."""
    desk.require(Action.INDICATOR_READ)
    names = _periods(desk)
    chosen = period or names[kind if kind in names else "month"]
    publications = desk.services.publications.find(limit=PUBLICATIONS_SHOWN)
    publication = _published(desk, chosen)
    performance = publication.performance if publication else desk.services.indicators.compute(chosen)
    findings = desk.services.monitor.findings(department=_findings_scope(desk), limit=8)
    return desk.page(
        "governance/ranking.html",
        performance=performance,
        names=names,
        chosen=chosen,
        publication=publication,
        publications=publications,
        low=LOW_SCORE,
        last_day=performance.period.until - timedelta(days=1),
        groups=groups_in(performance),
        averages=_averages(performance),
        findings=findings,
        scores=_trend(desk, performance),
        map=_map(desk, performance),
        may_run=desk.may(Action.MONITOR_RUN),
    )


@router.get("/governance/indicators/{key}")
def show_indicator(desk: SignedIn, offset: Offset, key: str, department: str, period: str = "") -> Response:
    """Show the acts behind one number of one department."""
    desk.require(Action.INDICATOR_READ)
    performance = desk.services.indicators.compute(period or None)
    definition = desk.services.pack.indicator(key)
    code = DepartmentCode(department)
    line = next((line for line in performance.departments if line.department == code), None)
    value = None if line is None else next((value for value in line.values if value.key == key), None)
    page = desk.services.indicators.evidence(key, code, period=period or None, offset=offset, limit=PAGE_ROWS)
    readable = desk.may(Action.LEDGER_READ, Target(id=code, department=code))
    entries: list[RecordedEntry] = [desk.services.ledger.entry(entry_id) for entry_id in page.rows] if readable else []
    return desk.page(
        "governance/indicator.html",
        definition=definition,
        department=code,
        guards=GUARDS,
        performance=performance,
        value=value,
        page=page,
        entries=entries,
        readable=readable,
        offset=offset,
        step=PAGE_ROWS,
    )


@router.get("/governance/guards")
def show_guards(desk: SignedIn, period: str = "", department: str = "") -> Response:
    """Show the guards against gaming, what each found in a period, what that did to the numbers, and the acts."""
    desk.require(Action.INDICATOR_READ)
    chosen = period or _periods(desk)["month"]
    performance = _performance(desk, chosen)
    lines = [line for line in performance.departments if department in {"", line.department}]
    return desk.page(
        "governance/guards.html",
        performance=performance,
        chosen=chosen,
        department=department,
        guards=GUARDS,
        definitions={definition.key: definition for definition in performance.definitions},
        lines=[line for line in lines if line.suspicions],
        readable={
            line.department: desk.may(Action.LEDGER_READ, Target(id=line.department, department=line.department))
            for line in lines
        },
    )


@router.get("/governance/findings")
def list_findings(desk: SignedIn, offset: Offset, kind: str = "") -> Response:
    """List the findings that the caller may read."""
    if view := desk.opening_view():
        return desk.go(view)
    chosen = DutyKind(kind) if kind in set(DutyKind) else None
    scope = department_in_scope(desk.services, desk.caller, Action.FINDING_READ)
    page = desk.services.monitor.findings(kind=chosen, department=scope, offset=offset, limit=PAGE_ROWS)
    return desk.page(
        "governance/findings.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        kind=kind,
        rules=RULES,
        may_run=desk.may(Action.MONITOR_RUN),
    )


@router.get("/governance/findings/{finding_id}")
def show_finding(desk: SignedIn, finding_id: FindingId) -> Response:
    """Show one finding: the duty, the clause, the shares, who held the ball when, and the evidence."""
    record = desk.services.monitor.finding(finding_id)
    finding = record.finding
    desk.require(Action.FINDING_READ, finding_target(finding))
    entries = [desk.services.ledger.entry(entry_id) for entry_id in finding.evidence]
    return desk.page(
        "governance/finding.html",
        record=record,
        finding=finding,
        rule=RULES[finding.kind],
        parties=PARTY_NAMES,
        entries=entries,
        reports=reports_of_finding(desk.services, desk.caller, finding),
        case=desk.services.cases.of_finding(finding_id),
        ruling_names=RULING_NAMES,
    )


@router.post("/governance/monitor")
def run_monitor(desk: SignedIn) -> Response:
    """Judge every duty as of now."""
    desk.require(Action.MONITOR_RUN)
    desk.services.monitor.run()
    return desk.go("/governance/findings", done="monitor")


def _findings_scope(desk: Desk) -> DepartmentCode | None:
    """Return the department to whose findings the caller is narrowed; the ranking itself is for all staff."""
    return None if desk.may(Action.FINDING_READ) else desk.caller.department or DepartmentCode("-")


def _published(desk: Desk, period: str) -> Publication | None:
    with suppress(NotFound):
        return desk.services.publications.published(period)
    return None


def _performance(desk: Desk, period: str) -> Performance:
    """Return a period's table as it was published, or else as it is now."""
    publication = _published(desk, period)
    return publication.performance if publication else desk.services.indicators.compute(period)


def _periods(desk: Desk) -> dict[str, str]:
    """Return the names of the present month, quarter and year."""
    today = desk.now.astimezone(CHINA)
    quarter = (today.month + 2) // 3
    return {"month": f"{today:%Y-%m}", "quarter": f"{today.year}-Q{quarter}", "year": str(today.year)}


def groups_in(performance: Performance) -> tuple[IndicatorGroup, ...]:
    """Return the groups that the period's indicators belong to, in their usual order."""
    present = {definition.group for definition in performance.definitions}
    return tuple(group for group in IndicatorGroup if group in present)


def _averages(performance: Performance) -> dict[str, float]:
    """Return the mean score of each group of indicators over the departments that have one."""
    sums: dict[str, list[float]] = {}
    for line in performance.departments:
        for group, score in line.groups.items():
            if score is not None:
                sums.setdefault(group.value, []).append(score)
    return {group: sum(scores) / len(scores) for group, scores in sums.items()}


def _trend(desk: Desk, performance: Performance) -> Chart:
    """Return the departments' scores over the last months, from the first with evidence; others without are gaps.

    A published month stays as it was published.
    """
    months = []
    start = performance.period.until.astimezone(CHINA) - timedelta(days=1)
    for _ in range(TREND_MONTHS):
        months.append(f"{start:%Y-%m}")
        start = start.replace(day=1) - timedelta(days=1)
    months.reverse()
    series: dict[str, list[int | None]] = {
        desk.department_name(line.department): [] for line in performance.departments
    }
    for month in months:
        known = performance if month == performance.period.name else _performance(desk, month)
        scores = {line.department: line.score for line in known.departments}
        for line in performance.departments:
            series[desk.department_name(line.department)].append(_whole(scores.get(line.department)))
    first = next(
        (place for place in range(TREND_MONTHS) if any(line[place] is not None for line in series.values())), 0
    )
    first = min(first, TREND_MONTHS - TREND_MONTHS_MIN)
    months, series = months[first:], {name: line[first:] for name, line in series.items()}
    t = desk.speech.t
    return trend(
        "scores",
        t("综合得分趋势", "Scores over time"),
        times=months,
        series=series,
        time_name=t("月份", "Month"),
        filled=False,
    )


def _whole(score: float | None) -> int | None:
    return None if score is None else round(score)


def _map(desk: Desk, performance: Performance) -> Chart | None:
    """Return the heat map of scores: departments down, indicators with evidence across."""
    measured = [
        (place, definition)
        for place, definition in enumerate(performance.definitions)
        if any(line.values[place].score is not None for line in performance.departments)
    ]
    if not measured:
        return None
    lines = [line for line in performance.departments if any(value.score is not None for value in line.values)]
    cells: dict[tuple[int, int], float] = {}
    for y, line in enumerate(lines):
        for x, (place, _) in enumerate(measured):
            score = line.values[place].score
            if score is not None:
                cells[x, y] = round(100 - score, 1)
    t, say = desk.speech.t, desk.speech.say
    return heat(
        "gaps",
        t("差距热力图：距满分的分数（越深差距越大）", "Gaps: points missing to full marks (darker is worse)"),
        across=[say(definition.name) for _, definition in measured],
        down=[desk.department_name(line.department) for line in lines],
        cells=cells,
        corner=t("部门", "Department"),
        unit="",
    )
