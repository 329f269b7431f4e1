"""The command group `datong govern`: what was published and found, derived again from an exported log alone."""

import json
from pathlib import Path
from typing import Annotated

import typer

from datong.cli.ledger import read_key
from datong.governance import Rederived, rederive_finding, rederive_indicators
from datong.kernel import CHINA, FindingId, Invalid, Text, WorkingCalendar
from datong.ledger import exported_entries
from datong.norms import load_pack

app = typer.Typer(help="治理 · governance", no_args_is_help=True)


@app.callback()
def govern() -> None:
    """治理：重算公布的指标和责任认定 · governance: derive published indicators and findings again."""


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
        typer.echo(json.dumps([one.model_dump() for one in compared], ensure_ascii=False, indent=1))
    else:
        for one in compared:
            mark = "✗" if one.differing else "✓"
            typer.echo(f"{mark} #{one.index} {one.subject} {', '.join(one.differing)}".rstrip())
    if any(one.differing for one in compared):
        raise typer.Exit(1)
