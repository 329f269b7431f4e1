"""`datong hub fsck`: is what the control database says what the log has evidence of?"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datong.app.hub import Hub
from datong.catalogue import CATALOGUE_AREAS
from datong.exchange import EXCHANGE_AREAS
from datong.governance import GOVERNANCE_AREAS
from datong.governance.coordination import COORDINATION_AREAS
from datong.governance.notifications import NOTIFICATION_AREAS
from datong.governance.satisfaction import SATISFACTION_AREAS
from datong.governance.staff import STAFF_AREAS
from datong.kernel import both
from datong.ledger import LEDGER_AREAS, Area, EntryKind, FsckReport
from datong.library import LIBRARY_AREAS
from datong.sharing import SHARING_AREAS

AREAS: tuple[Area, ...] = (
    *LEDGER_AREAS,
    *CATALOGUE_AREAS,
    *SHARING_AREAS,
    *EXCHANGE_AREAS,
    *LIBRARY_AREAS,
    *GOVERNANCE_AREAS,
    *COORDINATION_AREAS,
    *NOTIFICATION_AREAS,
    *SATISFACTION_AREAS,
    *STAFF_AREAS,
)


NOT_COMPARED = tuple(sorted(set(EntryKind) - {kind for area in AREAS for kind in area.kinds}))
"""Kinds of entries whose rows are not compared yet; the entries themselves are."""


def check(hub: Hub, *, quiet: bool) -> FsckReport:
    """Compare the control database of `hub` with its log, with a bar on the terminal unless `quiet`."""
    with _bar(hidden=quiet) as bar:
        task = bar.add_task("存证条目 · entries", total=None)
        return hub.services.ledger.fsck(AREAS, progress=lambda done, of: bar.update(task, completed=done, total=of))


def lines(report: FsckReport) -> list[str]:
    """Return the report for people, one fault a line."""
    labels = {area.name: area.label for area in AREAS}
    size, pending, signed, cosigned = report.size, report.pending, report.checkpoints, report.cosignatures
    told = [
        f"存证 {size} 条（待入日志 {pending} 条）、检查点 {signed} 个、见证签名 {cosigned} 个",
        f"{size} entries ({pending} pending), {signed} checkpoints, {cosigned} cosignatures",
    ]
    told += [f"{both(labels[name])}  {count}" for name, count in report.compared.items()]
    for fault in report.faults:
        place = "" if fault.index is None else f" [#{fault.index}]"
        told.append(f"✗ {fault.code}{place} {both(fault.what)}")
    if report.omitted:
        told.append(f"另有 {report.omitted} 处未列出 · {report.omitted} more are not listed")
    told.append(f"只核对存证本身 · only their entries were checked: {', '.join(NOT_COMPARED)}")
    number = len(report.faults) + report.omitted
    told.append(
        f"✗ {number} 处与日志不符 · {number} things differ from the log"
        if number
        else "✓ 数据库的状态与日志一致 · the database says what the log says"
    )
    return told


@contextmanager
def _bar(*, hidden: bool) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=hidden) as bar:
        yield bar
