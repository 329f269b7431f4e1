"""What is kept between looks changes nothing: a city's months looked at step by step, and each time anew, are alike."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.year import Governed, drawn
from benchmarks.year_time import CALENDAR

from datong.governance import Duty, LedgerEvidence, judge
from datong.kernel import CHINA, DepartmentCode, ResourceId, Text

START, END = datetime(2025, 1, 1, tzinfo=CHINA), datetime(2025, 3, 1, tzinfo=CHINA)
LOOKS = (12, 40, 41, 59, 100)
"""Days after the beginning at which somebody looks; behind the last act there is nothing new but the time."""


class Looker:
    """Evidence of a city's ledger, under names that can change."""

    def __init__(self, governed: Governed, authority: DepartmentCode) -> None:
        self.named = "资源"
        self.evidence = LedgerEvidence(
            ledger=governed.ledger,
            calendar=CALENDAR,
            authorities=lambda: frozenset({authority}),
            title_of=self.title_of,
        )

    def title_of(self, resource_id: ResourceId) -> Text:
        return Text(zh=f"{self.named}{resource_id}", en=f"{self.named} {resource_id}")


def test_what_is_kept_between_looks_changes_nothing(tmp_path: Path) -> None:
    city, _ = drawn(seed=7, departments=3, resources=1, start=START, end=END)
    governed = Governed(tmp_path, city)
    looker = Looker(governed, city.bureau.code)
    left = list(city.acts)
    for days in LOOKS:
        now = START + timedelta(days=days)
        governed.record([act for act in left if act.at < now])
        left = [act for act in left if act.at >= now]
        governed.move_to(now)
        governed.monitor.run()
        if days == LOOKS[-1]:
            looker.named = "目录"
        kept = looker.evidence.duties(until=now)
        again = looker.evidence.duties(until=now)
        anew = Looker(governed, city.bureau.code)
        anew.named = looker.named
        assert told(kept) == told(again) == told(anew.evidence.duties(until=now)), days
        seen = [one.evidence.observations(since=START, until=now) for one in (looker, anew)]
        assert list(seen[0]) == list(seen[1]), days

    # The monitor, which judged only what could have changed, found what judging everything at once finds.
    duties = anew.evidence.duties(until=now)
    judged = [finding for duty in duties if (finding := judge(duty, now=now, calendar=CALENDAR)) is not None]
    found = {one.id: one.facts() for one in governed.findings()}
    assert len(judged) > 5
    for finding in judged:
        known = {name: value for name, value in found[finding.id].items() if name != "evidence_leaves"}
        assert known == finding.facts()
    assert governed.monitor.run().revised == ()
    governed.database.close()


def told(duties: Sequence[Duty]) -> list[str]:
    """Return duties as text, in order."""
    return sorted(duty.model_dump_json() for duty in duties)
