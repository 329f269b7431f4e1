"""A city's year through the real rules: are findings, league table and alarms what the simulation knows to be true?

A generator (`year_city`, `year_tasks`, `year_use`) draws a year of 40 departments of known diligence, with the official
holidays, outages of hub, lines and nodes, and odd days. Its acts become entries of a real ledger in a real control
database, the monitor runs at the end of each month as a hub's does, months are published, alarms are raised day by
day. What came out is compared with what was drawn.
"""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from benchmarks import report
from benchmarks.year_alarms import compared_alarms
from benchmarks.year_city import Act, City
from benchmarks.year_ends import Ends
from benchmarks.year_games import Games, compared_games
from benchmarks.year_tasks import Tasks
from benchmarks.year_time import CALENDAR, DAY
from benchmarks.year_use import Calls
from datong.app.schema import migrate
from datong.governance import (
    Alarm,
    AlarmWatch,
    Cases,
    DutyKind,
    Finding,
    Indicators,
    LedgerEvidence,
    Monitor,
    Publications,
)
from datong.governance.tables import TALLY
from datong.kernel import CHINA, Database, DepartmentCode, FixedClock, Text
from datong.ledger import Ed25519Signer, Ledger, MemoryTileStore
from datong.norms import load_pack

APPENDED_AT_ONCE = 2000
SETTLED_AFTER = 60 * DAY
"""So long after the year everything that began in it is over; then it is judged for the last time."""


class Judged(NamedTuple):
    """How findings compare with the known culprits."""

    right: int
    confused: Counter[tuple[str, str, str]]
    """Kind, truth and finding of those that differ; `-` where there is no breach or no finding."""
    whole: bool

    @property
    def accuracy(self) -> float:
        """The share of breaches, found or true, whose finding gives the largest share to the culprit."""
        return self.right / max(1, self.right + sum(self.confused.values()))


class Governed:
    """Governance over a ledger of its own, with a clock that follows the acts."""

    def __init__(self, folder: Path, city: City) -> None:
        self.database = Database(f"sqlite:///{folder / 'control.sqlite'}")
        migrate(self.database)
        self.clock = FixedClock(city.start)
        self.ledger = Ledger(
            database=self.database,
            clock=self.clock,
            signer=Ed25519Signer.generate(),
            origin="year.datong/log",
            tiles=MemoryTileStore(),
        )

        def authorities() -> frozenset[DepartmentCode]:
            return frozenset({city.bureau.code})

        evidence = LedgerEvidence(
            ledger=self.ledger,
            calendar=CALENDAR,
            authorities=authorities,
            title_of=lambda resource_id: Text(zh=f"资源 {resource_id}", en=f"resource {resource_id}"),
        )
        cases = Cases(
            database=self.database, clock=self.clock, calendar=CALENDAR, ledger=self.ledger, authorities=authorities
        )
        self.monitor = Monitor(
            database=self.database,
            clock=self.clock,
            calendar=CALENDAR,
            ledger=self.ledger,
            evidence=evidence,
            cases=cases,
        )
        names = {one.code: Text(zh=one.code, en=one.code) for one in city.departments}
        self.indicators = Indicators(
            clock=self.clock,
            pack=load_pack(None),
            evidence=evidence,
            monitor=self.monitor,
            departments=lambda: names,
        )
        self.publications = Publications(
            database=self.database, clock=self.clock, ledger=self.ledger, indicators=self.indicators
        )

        self.alarm_watch = AlarmWatch(database=self.database, clock=self.clock, calendar=CALENDAR, ledger=self.ledger)

    def move_to(self, at: datetime) -> None:
        """Let time pass."""
        self.clock.advance(max(timedelta(0), at - self.clock.now()))

    def record(self, acts: Sequence[Act]) -> None:
        """Put acts on record, each at its time."""
        for first in range(0, len(acts), APPENDED_AT_ONCE):
            drafts = []
            for act in acts[first : first + APPENDED_AT_ONCE]:
                self.move_to(act.at)
                drafts.append(self.ledger.draft(kind=act.kind, subject=act.subject, actor=act.actor, facts=act.facts))
            with self.database.transaction() as connection:
                self.ledger.append_drafts(connection, drafts)

    def alarms(self) -> Iterator[Alarm]:
        """Return every alarm."""
        offset: int | None = 0
        while offset is not None:
            page = self.alarm_watch.find(offset=offset, limit=500)
            yield from (record.alarm for record in page.rows)
            offset = page.next_offset

    def series_days(self) -> int:
        """Return how many days of series were looked at."""
        with self.database.snapshot() as connection:
            return connection.scalar(select(func.count()).select_from(TALLY).where(TALLY.c.series != "")) or 0

    def findings(self) -> Iterator[Finding]:
        """Return every finding as it stands."""
        offset: int | None = 0
        while offset is not None:
            page = self.monitor.findings(offset=offset, limit=500)
            yield from (record.finding for record in page.rows)
            offset = page.next_offset


def drawn(*, seed: int, departments: int, resources: int, start: datetime, end: datetime) -> tuple[City, Games]:
    """Return a city with all its acts, in order, and who games what."""
    city = City(seed=seed, departments=departments, resources=resources, start=start, end=end)
    Tasks(city).run_all()
    Calls(city).run_all()
    Ends(city).run_all()
    games = Games(city)
    games.play()
    city.acts.sort(key=lambda act: (act.at, act.subject))
    return city, games


def live_through(governed: Governed, city: City) -> None:
    """Record the acts month by month, judging at the end of each and publishing it, and once when all is settled."""
    for month, acts in groupby(city.acts, key=lambda act: f"{act.at.astimezone(CHINA):%Y-%m}"):
        first = datetime.fromisoformat(f"{month}-01T00:11:00+08:00")
        if first > city.start + DAY:
            judge_now(governed, first)
        governed.record(list(acts))
    if governed.clock.now() < city.end:
        judge_now(governed, city.end + timedelta(minutes=11))
    judge_now(governed, city.end + SETTLED_AFTER)


def judge_now(governed: Governed, at: datetime) -> None:
    """Let a hub's sweep run once."""
    governed.move_to(at)
    governed.monitor.run()
    governed.publications.publish_due()
    while governed.alarm_watch.run():
        pass
    report.say(f"judged as of {governed.clock.now():%Y-%m-%d}")


def compared(city: City, findings: Sequence[Finding]) -> Judged:
    """Compare findings with the known culprits."""
    confused: Counter[tuple[str, str, str]] = Counter()
    right, whole = 0, True
    open_truth = dict(city.truth)
    for finding in findings:
        whole = whole and sum(share.basis_points for share in finding.parties) == 10_000
        subject = finding.subject
        if finding.kind in {DutyKind.REVIEW, DutyKind.CATALOGUE_UPDATE}:
            subject = str(finding.resource_id)
        culprit = open_truth.pop((finding.kind, subject), None)
        most = max(share.basis_points for share in finding.parties)
        leading = [share.party for share in finding.parties if share.basis_points == most]
        if culprit is not None and leading == [culprit]:
            right += 1
        else:
            found = "+".join(leading)
            confused[finding.kind.value, culprit.value if culprit else "-", found] += 1
    for (kind, _), culprit in open_truth.items():
        confused[kind.value, culprit.value, "-"] += 1
    return Judged(right, confused, whole)


def by_kind(city: City, judged: Judged) -> dict[str, float]:
    """Return the accuracy of each kind of duty."""
    wrong: Counter[str] = Counter()
    spurious: Counter[str] = Counter()
    for (kind, culprit, _), number in judged.confused.items():
        wrong[kind] += number
        spurious[kind] += number if culprit == "-" else 0
    true = Counter(kind.value for kind, _ in city.truth)
    return {
        kind: report.rounded(1 - wrong[kind] / (true[kind] + spurious[kind])) for kind in sorted(true.keys() | spurious)
    }


def order_agreement(city: City, governed: Governed, period: str) -> float:
    """Return Spearman's rank correlation of the league table's scores with the departments' diligence."""
    scores = {line.department: line.score for line in governed.indicators.compute(period).departments}
    known = [(one.diligence, score) for one in city.departments if (score := scores[one.code]) is not None]
    return statistics.correlation(ranks([one for one, _ in known]), ranks([score for _, score in known]))


def ranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank, the mean of their places for equal ones."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--departments", type=int, default=40)
    parser.add_argument("--resources", type=int, default=4, help="of each department")
    parser.add_argument("--seed", type=int, default=2025)
    chosen = parser.parse_args()
    start = datetime(2025, 1, 1, tzinfo=CHINA)
    end = datetime(2025, 4, 1, tzinfo=CHINA) if chosen.quick else datetime(2026, 1, 1, tzinfo=CHINA)
    departments, resources = (6, 1) if chosen.quick else (chosen.departments, chosen.resources)
    city, games = drawn(seed=chosen.seed, departments=departments, resources=resources, start=start, end=end)
    report.say(f"{len(city.acts)} acts of {departments} departments")
    with report.folder() as folder:
        governed = Governed(folder, city)
        began = time.process_time()
        live_through(governed, city)
        seconds = time.process_time() - began
        findings = list(governed.findings())
        judged = compared(city, findings)
        alarms = compared_alarms(city, list(governed.alarms())).figures(governed.series_days())
        tables = [one.performance for one in governed.publications.find(limit=24).rows]
        caught = compared_games(games, [*tables, governed.indicators.compute("2025")])
        spearman = order_agreement(city, governed, "2025")
        governed.database.close()
    for (kind, culprit, found), number in judged.confused.most_common(20):
        report.say(f"{kind}: {culprit} taken for {found}: {number}")
    for guard, department in (*caught.missed, *caught.wrong):
        report.say(f"{guard}: {department} {'missed' if (guard, department) in games.truth else 'wrongly struck'}")
    report.finish(
        "year",
        sizes={
            "departments": departments,
            "entries": len(city.acts),
            "breaches": len(city.truth),
            "findings": len(findings),
        },
        runs=1,
        figures={
            "culprit_accuracy": report.rounded(judged.accuracy),
            "accuracy_by_kind": by_kind(city, judged),
            "shares_sum_to_one": judged.whole,
            "alarms": alarms,
            "guards": caught.figures(),
            "spearman": report.rounded(spearman),
            "cpu_seconds": report.rounded(seconds),
            "peak_rss_mb": report.peak_rss_mb(),
        },
    )


if __name__ == "__main__":
    main()
