"""How a reconciliation is told in one line."""

from datetime import UTC, datetime

from datong.cli.reconciling import line
from datong.exchange import Difference, DifferenceKind, Findings, Reconciliation, ReconciliationState
from datong.kernel import TaskId


def test_counts_and_what_was_not_searched_are_said_in_both_languages() -> None:
    findings = Findings(
        differences=(Difference(place="0" * 32, kind=DifferenceKind.EXTRA),), unresolved_ranges=2, unresolved_rows=9
    )
    found = Reconciliation(
        id="r",
        task_id=TaskId("t"),
        state=ReconciliationState.DIFFERENT,
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
        findings=findings,
    )
    told = line(found)
    assert told.zh == "不一致：0 行；目标缺少 0，目标多出 1，内容不同 0；另有 2 个区间未逐行查找"
    assert told.en.endswith("extra at the target 1, different 0; 2 more ranges were not searched")
