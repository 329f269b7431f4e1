"""The command group `datong govern`: what a hub measures, finds and recommends; derived again from a log."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer
from pydantic import TypeAdapter

from datong.cli import govern_cases, govern_ratings
from datong.cli.hub_call import HubOption, TokenOption, call_hub, fetch_from_hub
from datong.cli.ledger import read_key
from datong.cli.shell import say_json
from datong.governance import (
    ALARM_NAMES,
    GUARDS,
    RECOMMENDATION_NAMES,
    STATE_NAMES,
    STEP_NAMES,
    AlarmDecision,
    AlarmKind,
    AlarmRecord,
    AlarmState,
    Benefit,
    FlowMap,
    Performance,
    Recommendation,
    Rederived,
    rederive_finding,
    rederive_indicators,
)
from datong.kernel import CHINA, FindingId, Invalid, Page, Text, WorkingCalendar, both
from datong.ledger import exported_entries
from datong.norms import load_pack

DAY_SECONDS = 86_400

app = typer.Typer(help="治理 · governance", no_args_is_help=True)


for command in (*govern_cases.COMMANDS, *govern_ratings.COMMANDS):
    app.command()(command)


@app.callback()
def govern() -> None:
    """治理：指标、认定、协调、评价、预警；凭日志重算 · indicators, findings, cases; derived from the log again."""


@app.command()
def alarms(
    hub: HubOption,
    token: TokenOption,
    state: Annotated[AlarmState | None, typer.Option(help="只列某一状态 · only those in one state")] = None,
    kind: Annotated[AlarmKind | None, typer.Option(help="只列某一类 · only those of one kind")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="最多条数 · at most so many")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """列出异常预警，附数据 · list what was out of the ordinary, with the figures."""
    wanted = {"limit": str(limit), "state": state, "kind": kind}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    answer = call_hub(hub, token, "GET", f"/alarms?{query}")
    page = Page[AlarmRecord].model_validate(answer)
    if as_json:
        say_json(answer)
        return
    for record in page.rows:
        name, state_name = both(ALARM_NAMES[record.alarm.kind]), both(STATE_NAMES[record.state])
        typer.echo(f"{record.alarm.tally.day} {name} [{state_name}] {record.id}")
        typer.echo(f"  {record.alarm.tally.series}\n  {record.said.zh}\n  {record.said.en}")


@app.command()
def decide(
    alarm: Annotated[str, typer.Argument(help="预警编号 · id of an alarm")],
    decision: Annotated[AlarmDecision, typer.Argument(help="确认或排除 · acknowledge or dismiss")],
    hub: HubOption,
    token: TokenOption,
    reason: Annotated[str, typer.Option(help="理由 · why")],
) -> None:
    """确认或排除一条预警，须说明理由 · acknowledge or dismiss an alarm, with a reason."""
    body = {"decision": decision.value, "reason": reason}
    record = AlarmRecord.model_validate(call_hub(hub, token, "POST", f"/alarms/{alarm}/decisions", body))
    typer.echo(f"{record.id}: {both(STATE_NAMES[record.state])}")


@app.command()
def flow(
    hub: HubOption,
    token: TokenOption,
    period: Annotated[str, typer.Option(help="统计期，如 2026-11 · a period")] = "",
    department: Annotated[str, typer.Option(help="部门代码 · code of a department")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """申请走过的步骤：多少件、等了多久（工作日）· steps of requests: how many, how long waited (working days)."""
    query = urlencode({name: value for name, value in (("period", period), ("department", department)) if value})
    answer = call_hub(hub, token, "GET", f"/request-flow?{query}")
    found = FlowMap.model_validate(answer)
    if as_json:
        say_json(answer)
        return
    typer.echo(f"{found.requests} ({found.delivered} ✓, {found.turned_back} ↩)")
    for edge in found.edges:
        before, step = STEP_NAMES[edge.before], STEP_NAMES[edge.step]
        typer.echo(f"{before.zh} → {step.zh} · {before.en} → {step.en}: {edge.requests}")
        typer.echo(f"  {edge.median_seconds / DAY_SECONDS:.2f} / {edge.ninetieth_seconds / DAY_SECONDS:.2f}")


@app.command()
def benefit(
    hub: HubOption,
    token: TokenOption,
    period: Annotated[str, typer.Option(help="统计期，如 2026 · a period")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """共享成效：省下的材料、跑动、小时和金额 · what sharing spared: documents, trips, hours, yuan."""
    answer = call_hub(hub, token, "GET", f"/benefit?{urlencode({'period': period} if period else {})}")
    found = Benefit.model_validate(answer)
    if as_json:
        say_json(answer)
        return
    names = (("办件", "cases"), ("材料", "documents"), ("跑动", "trips"), ("小时", "hours"), ("元", "yuan"))
    for zh, en in names:
        typer.echo(f"{zh} · {en}: {getattr(found.total, en):,}")


@app.command()
def guards(
    hub: HubOption,
    token: TokenOption,
    period: Annotated[str, typer.Option(help="统计期，如 2026-11 · a period")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """防注水规则的发现，及对指标的影响 · what guards against gaming found, and what that did to the indicators."""
    answer = call_hub(hub, token, "GET", f"/indicators?{urlencode({'period': period} if period else {})}")
    found = Performance.model_validate(answer)
    if as_json:
        lines = [line.model_dump(mode="json") for line in found.departments if line.suspicions]
        say_json(lines)
        return
    for line in found.departments:
        for one in line.suspicions:
            typer.echo(f"{line.department} {both(GUARDS[one.guard].name)}: {one.subject}")
            cuts = [(value.key, cut) for value in line.values for cut in value.discounts]
            for key, cut in cuts:
                if (cut.guard, cut.subject) == (one.guard, one.subject):
                    typer.echo(f"  {key}: −{cut.counted} / −{cut.base}")


@app.command()
def recommendations(
    hub: HubOption,
    token: TokenOption,
    department: Annotated[str, typer.Option(help="部门代码 · code of a department")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """供需建议：该编目、该放宽、该申请什么，附理由和计数 · what to publish, to share, to request, with reasons."""
    query = urlencode({"department": department} if department else {})
    answer = call_hub(hub, token, "GET", f"/recommendations?{query}")
    if as_json:
        say_json(answer)
        return
    for one in TypeAdapter(tuple[Recommendation, ...]).validate_python(answer):
        typer.echo(f"{one.department} {both(RECOMMENDATION_NAMES[one.kind])}: {both(one.title)} {one.subject}")
        typer.echo(f"  {one.reason.zh}\n  {one.reason.en}")


@app.command()
def report(
    hub: HubOption,
    token: TokenOption,
    year: Annotated[str, typer.Option(help="年份，如 2026 · a year")],
    output: Annotated[Path, typer.Option(help="PDF 文件 · where the PDF goes")],
) -> None:
    """年度报告（PDF，中英文）· the annual report as PDF in both languages."""
    output.write_bytes(fetch_from_hub(hub, token, f"/annual-reports/{year}"))
    typer.echo(f"✓ {output}")


@app.command()
def dispose(
    agreement: Annotated[str, typer.Argument(help="已结束的协议编号 · id of an agreement that is over")],
    hub: HubOption,
    token: TokenOption,
    statement: Annotated[
        str, typer.Option(help="如何处置：删了哪些、依法留存哪些 · what was deleted, what is kept by law")
    ],
) -> None:
    """告知协议结束后数据如何处置（第二十七条）· say how the data of an ended agreement was disposed of (Art. 27)."""
    body = {"action": "dispose", "reason": statement}
    call_hub(hub, token, "POST", f"/agreements/{agreement}/actions", body)
    typer.echo(f"✓ {agreement}")


@app.command()
def rederive(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="导出的日志目录 · an exported log")],
    period: Annotated[str, typer.Option(help="已公布的月份，如 2026-10 · a published month")] = "",
    finding: Annotated[str, typer.Option(help="责任认定编号 · id of a finding")] = "",
    key: Annotated[str | None, typer.Option(help="可信的日志公钥 · the log's public key that you trust")] = None,
    pack: Annotated[list[Path] | None, typer.Option(help="地方规范包，可重复 · local norm packs, may repeat")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """只凭导出的日志重算，不同则以 1 退出 · Derive again from the log alone; ends with 1 where it differs."""
    if bool(period) == bool(finding):
        raise Invalid(
            "cli.rederive_what",
            what=Text(zh="须给出 --period 或 --finding 之一。", en="Either --period or --finding is needed."),
            remedy=Text(zh="例如 --period 2026-10。", en="For example --period 2026-10."),
            field="--period",
        )
    entries = list(exported_entries(folder, log_key=None if key is None else read_key(key)))
    norms = load_pack(*(pack or ()), on=entries[-1].at.astimezone(CHINA).date() if entries else None)
    calendar = WorkingCalendar(norms.calendar)
    compared: tuple[Rederived, ...]
    if period:
        compared = rederive_indicators(entries, period, pack=norms, calendar=calendar)
    else:
        compared = rederive_finding(entries, FindingId(finding), calendar=calendar)
    if as_json:
        say_json([one.model_dump() for one in compared])
    else:
        for one in compared:
            mark = "✗" if one.differing else "✓"
            typer.echo(f"{mark} #{one.index} {one.subject} {', '.join(one.differing)}".rstrip())
    if any(one.differing for one in compared):
        raise typer.Exit(1)
