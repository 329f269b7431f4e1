"""Commands of `datong govern` about indicators, findings and cases: read, open, object, act."""

from typing import Annotated
from urllib.parse import urlencode

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import say_json
from datong.governance import (
    ACTION_NAMES,
    ORIGIN_NAMES,
    PARTY_NAMES,
    RULES,
    RULING_NAMES,
    STAGE_NAMES,
    Case,
    CaseAction,
    CaseOrigin,
    CaseStage,
    DutyKind,
    FindingRecord,
    Performance,
    Ruling,
)
from datong.kernel import Page, both, minute

StatementOption = Annotated[str, typer.Option(help="事实和理由 · facts and reasons")]
EvidenceOption = Annotated[list[str] | None, typer.Option(help="佐证的存证编号，可重复 · ids of entries, may repeat")]
LimitOption = Annotated[int, typer.Option(min=1, max=500, help="最多条数 · at most so many")]
CaseArgument = Annotated[str, typer.Argument(help="协调事项编号 · id of a case")]


def indicators(
    hub: HubOption,
    token: TokenOption,
    period: Annotated[str, typer.Option(help="统计期，如 2026-11 · a period")] = "",
    department: Annotated[str, typer.Option(help="部门代码，列出每项指标 · a department, with each indicator")] = "",
    as_json: JsonOption = False,
) -> None:
    """部门排名和指标 · the league table of departments, and a department's indicators."""
    answer = call_hub(hub, token, "GET", f"/indicators?{urlencode({'period': period} if period else {})}")
    if as_json:
        say_json(answer)
        return
    found = Performance.model_validate(answer)
    for line in found.departments:
        if department in {"", line.department}:
            score = "—" if line.score is None else f"{line.score:.1f}"
            typer.echo(f"{line.rank or '—'}. {both(line.name)} {line.department} {score} (−{line.points / 100:g})")
        if department == line.department:
            for definition, value in zip(found.definitions, line.values, strict=True):
                told = "—" if value.value is None else f"{value.value:.4g} ({value.counted}/{value.base})"
                typer.echo(f"  {both(definition.name)}: {told}")


def findings(
    hub: HubOption,
    token: TokenOption,
    kind: Annotated[DutyKind | None, typer.Option(help="只列某一类 · only those of one kind")] = None,
    department: Annotated[str, typer.Option(help="部门代码 · code of a party")] = "",
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """列出责任认定：谁、违反哪一条、几成责任 · list findings: who, under which clause, in which shares."""
    wanted = {"kind": kind, "department": department, "limit": str(limit)}
    answer = call_hub(hub, token, "GET", f"/findings?{urlencode({name: one for name, one in wanted.items() if one})}")
    if as_json:
        say_json(answer)
        return
    for record in Page[FindingRecord].model_validate(answer).rows:
        _tell(record)


def finding(
    finding: Annotated[str, typer.Argument(help="责任认定编号 · id of a finding")],
    hub: HubOption,
    token: TokenOption,
    as_json: JsonOption = False,
) -> None:
    """一件责任认定：条款、份额、各时段由谁办理、证据 · one finding: clause, shares, who held the ball, evidence."""
    answer = call_hub(hub, token, "GET", f"/findings/{finding}")
    if as_json:
        say_json(answer)
        return
    record = FindingRecord.model_validate(answer)
    _tell(record)
    typer.echo(f"  {record.finding.clause.text.zh}\n  {record.finding.clause.text.en}")
    for span in record.finding.spans:
        typer.echo(f"  {minute(span.since)} {both(PARTY_NAMES[span.party])}: {both(span.why)} {span.entry_id}")
    for entry_id in record.finding.evidence:
        typer.echo(f"  # {entry_id}")


def cases(
    hub: HubOption,
    token: TokenOption,
    stage: Annotated[CaseStage | None, typer.Option(help="只列某一阶段 · only those at one stage")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """列出协调事项 · list coordination cases."""
    query = urlencode({"limit": str(limit), **({} if stage is None else {"stage": stage.value})})
    answer = call_hub(hub, token, "GET", f"/cases?{query}")
    if as_json:
        say_json(answer)
        return
    for one in Page[Case].model_validate(answer).rows:
        typer.echo(_line(one))


def case(case: CaseArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """一件协调事项的经过 · the course of one case."""
    _show(call_hub(hub, token, "GET", f"/cases/{case}"), as_json=as_json)


def open_case(
    origin: Annotated[CaseOrigin, typer.Argument(help="因何立案 · what it is about")],
    origin_id: Annotated[str, typer.Argument(help="该事项的编号 · the id of that")],
    hub: HubOption,
    token: TokenOption,
    statement: StatementOption,
    evidence: EvidenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """提请协调，或对责任认定提出异议（随即复核）· open a case, or object to a finding (judged again at once)."""
    body = {"origin": origin.value, "origin_id": origin_id, "statement": statement, "evidence": evidence or []}
    _show(call_hub(hub, token, "POST", "/cases", body), as_json=as_json)


def act_in_case(
    case: CaseArgument,
    action: Annotated[CaseAction, typer.Argument(help="办理 · what is done")],
    hub: HubOption,
    token: TokenOption,
    statement: StatementOption,
    evidence: EvidenceOption = None,
    ruling: Annotated[
        Ruling | None, typer.Option(help="决定对认定的处理 · what a decision makes of the finding")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """陈述、异议、和解、提请上一级、决定 · state, object, settle, escalate, decide."""
    body = {
        "action": action.value,
        "statement": statement,
        "evidence": evidence or [],
        "ruling": None if ruling is None else ruling.value,
    }
    _show(call_hub(hub, token, "POST", f"/cases/{case}/actions", body), as_json=as_json)


def _tell(record: FindingRecord) -> None:
    one = record.finding
    state = "已了结 · settled" if one.settled else "持续中 · continuing"
    typer.echo(f"{one.due_at.date()} {both(RULES[one.kind].name)} [{state}] −{one.points / 100:g} {one.id}")
    typer.echo(f"  {one.summary.zh}\n  {one.summary.en}")


def _show(answer: object, *, as_json: bool) -> None:
    if as_json:
        say_json(answer)
        return
    found = Case.model_validate(answer)
    typer.echo(_line(found))
    for act in found.acts:
        said = act.statement if act.recheck is None else both(act.recheck.said)
        who = act.actor.department or "平台 · platform"
        typer.echo(f"  {minute(act.at)} {both(ACTION_NAMES[act.action])} {who}: {said} {act.entry_id}")


def _line(one: Case) -> str:
    parties = f"{one.provider} ← {one.consumer or '—'}"
    ruled = "" if one.ruling is None else f" [{both(RULING_NAMES[one.ruling])}]"
    stage, origin = both(STAGE_NAMES[one.stage]), both(ORIGIN_NAMES[one.origin])
    return f"{minute(one.opened_at)} [{stage}]{ruled} {origin} {parties} {one.id}"


COMMANDS = (indicators, findings, finding, cases, case, open_case, act_in_case)
"""What `datong govern` takes in from here."""
