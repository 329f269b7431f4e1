"""The auditor's workbench: samples that nobody could steer, what to check without the platform, and what is open."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from datong.governance import RULES, AlarmState, CaseStage
from datong.kernel import CHINA, DatongError, Value
from datong.ledger import SAMPLE_ENTRIES_MAX, SEED_CHARS_MAX, EntryKind, RecordedEntry, Sample
from datong.sharing import Action
from datong.web.console.charts import Chart, trend
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.evidence import LogHead, read_head
from datong.web.routing import unlisted_routes

router = unlisted_routes()

SAMPLE_DEFAULT = 10
SHOWN = 6
WATCH_DAYS = 30
SENSITIVE = (
    EntryKind.DISCLOSURE,
    EntryKind.RETENTION,
    EntryKind.DEPARTMENT_KEY,
    EntryKind.LOG_KEY,
    EntryKind.SOURCE,
    EntryKind.LIBRARY_DEFINITION,
    EntryKind.WEIGHTS,
)
"""Acts by which rules, keys or what people are told change: few, and each worth a look."""
Seed = Annotated[str, Query(max_length=SEED_CHARS_MAX)]
Count = Annotated[int, Query(ge=1, le=SAMPLE_ENTRIES_MAX)]


class Open(Value):
    """How many findings, alarms and cases are open."""

    findings: int
    alarms: int
    cases: int


@router.get("/audit")
def show_audit(desk: SignedIn, seed: Seed = "", count: Count = SAMPLE_DEFAULT, kind: str = "") -> Response:
    """Show the auditor's workbench with a sample drawn by `seed`, or by the newest checkpoint's root."""
    return page(desk, seed=seed, count=count, kind=kind)


@router.get("/audit/proofs.zip")
def download_proofs(desk: SignedIn, seed: Seed, count: Count = SAMPLE_DEFAULT, kind: str = "") -> Response:
    """Return the proofs of a sample's entries, one file each, for `datong ledger verify`."""
    desk.require(Action.LEDGER_READ)
    sample = desk.services.ledger.sample(seed=seed, count=count, kind=_kind(kind))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in sample.entries:
            proof = desk.services.ledger.proof_bundle(entry.entry_id)
            archive.writestr(f"{entry.index}-{entry.entry_id}.json", json.dumps(proof, ensure_ascii=False, indent=2))
    headers = {"Content-Disposition": 'attachment; filename="datong-sample.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)


def page(desk: Desk, *, seed: str = "", count: int = SAMPLE_DEFAULT, kind: str = "") -> Response:
    """Return the auditor's workbench.

    Raises:
        Refused: the caller may not read every entry of the log.
    """
    desk.require(Action.LEDGER_READ)
    desk.require(Action.FINDING_READ)
    hub = desk.services
    head = _head(desk)
    seed = seed.strip() or ("" if head is None else head.root)
    return desk.page(
        "audit/workbench.html",
        head=head,
        quorum=hub.quorum.state(),
        sample=_sample(desk, seed, count, kind),
        seed=seed,
        count=count,
        kind=kind,
        sample_max=SAMPLE_ENTRIES_MAX,
        seed_max=SEED_CHARS_MAX,
        open=_open(desk),
        findings=hub.monitor.findings(settled=False, limit=SHOWN),
        rules=RULES,
        refusals=hub.ledger.entries(kind=EntryKind.REFUSAL, limit=SHOWN),
        sensitive=_sensitive(desk),
        publications=hub.publications.find(limit=SHOWN),
        calls=_calls(desk),
        watch_days=WATCH_DAYS,
        base_url=hub.settings.base_url,
    )


def _head(desk: Desk) -> LogHead | None:
    try:
        return read_head(desk.services.ledger.checkpoint())
    except DatongError:
        return None


def _kind(kind: str) -> EntryKind | None:
    return EntryKind(kind) if kind in set(EntryKind) else None


def _sample(desk: Desk, seed: str, count: int, kind: str) -> Sample | None:
    return desk.services.ledger.sample(seed=seed, count=count, kind=_kind(kind)) if seed else None


def _open(desk: Desk) -> Open:
    hub = desk.services
    stages = [stage for stage in CaseStage if stage is not CaseStage.CLOSED]
    return Open(
        findings=hub.monitor.findings(settled=False, limit=1).total,
        alarms=hub.alarms.find(state=AlarmState.OPEN, limit=1).total,
        cases=sum(hub.cases.find(stage=stage, limit=1).total for stage in stages),
    )


def _sensitive(desk: Desk) -> tuple[RecordedEntry, ...]:
    """Return the newest acts of the kinds that change rules, keys or what people are told."""
    since = desk.now - timedelta(days=WATCH_DAYS)
    return desk.services.ledger.newest_of(SENSITIVE, since=since, until=desk.now + timedelta(minutes=1), limit=SHOWN)


def _calls(desk: Desk) -> Chart | None:
    """Return by day how often data were called and refused; None: not at all."""
    today = desk.now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in reversed(range(WATCH_DAYS))]
    found = desk.services.call_meter.by_day(days[0].date(), today.date())
    if not found:
        return None
    answered = {name: calls for name, calls, _ in found}
    refused = {name: calls for name, _, calls in found}
    t = desk.speech.t
    return trend(
        "calls",
        t("近 30 天的数据调用", "Calls for data in 30 days"),
        times=[day.strftime("%m-%d") for day in days],
        series={
            t("已答复", "answered"): [answered.get(day.date().isoformat(), 0) for day in days],
            t("已拒绝", "refused"): [refused.get(day.date().isoformat(), 0) for day in days],
        },
        time_name=t("日期", "Date"),
    )
