"""What the hub learns of dead letters: counts, signed by the consumer, put on record once; the task's sums follow."""

from datetime import timedelta
from pathlib import Path

import pytest

from datong.exchange import (
    Confirmed,
    LetterCounts,
    LetterReason,
    RejectRecord,
    RejectReport,
    Task,
    signed_receipt,
    signed_reject_report,
)
from datong.kernel import Corrupt, Database, Refused
from datong.ledger import EntryKind
from tests.unit.exchange.test_hub import CONSUMER, NOW, Scene


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> Scene:
    return Scene(tmp_path, control_database)


def received(scene: Scene, rejected: int) -> Task:
    task = scene.task()
    signed, payload = scene.cut(task, Confirmed(), range(10))
    scene.upload(signed, payload)
    receipt = scene.receipt(signed.manifest, rows_applied=10 - rejected, rows_rejected=rejected)
    scene.exchange.record_receipt(signed_receipt(receipt, scene.education), actor=CONSUMER)
    return task


def report(scene: Scene, counts: LetterCounts, *, minutes: int = 0) -> RejectRecord:
    at = NOW + timedelta(minutes=minutes)
    content = RejectReport(counts=counts, department=CONSUMER.department or "", at=at)
    return scene.exchange.rejects.report(signed_reject_report(content, scene.education), actor=CONSUMER)


def test_corrected_and_superseded_rows_are_rejected_no_more(scene: Scene) -> None:
    task = received(scene, rejected=5)
    open_ones = LetterCounts(task_id=task.id, open={LetterReason.TOO_LONG: 4, LetterReason.DUPLICATE: 1})
    report(scene, open_ones)
    assert scene.exchange.progress(task.id).rows_rejected == 5
    later = LetterCounts(task_id=task.id, open={LetterReason.TOO_LONG: 1}, corrected=2, superseded=1, discarded=1)
    first = report(scene, later, minutes=1)
    assert report(scene, later, minutes=2) == first
    assert report(scene, open_ones, minutes=0) == first
    progress = scene.exchange.progress(task.id)
    assert (progress.rows_applied, progress.rows_rejected) == (7, 2)
    assert scene.entries(EntryKind.DEAD_LETTERS) == 2
    facts = scene.hub.ledger.entry(first.entry_id).facts
    assert (facts["open"], facts["corrected"], facts["discarded"]) == ({"too_long": 1}, 2, 1)
    assert scene.exchange.rejects.newest(task.id) == first


def test_only_the_consumer_reports(scene: Scene) -> None:
    task = received(scene, rejected=1)
    assert scene.exchange.rejects.newest(task.id) is None
    content = RejectReport(counts=LetterCounts(task_id=task.id), department=task.consumer, at=NOW)
    with pytest.raises(Refused):
        scene.exchange.rejects.report(signed_reject_report(content, scene.police), actor=CONSUMER)
    signed = signed_reject_report(content, scene.education)
    forged = content.model_copy(update={"counts": LetterCounts(task_id=task.id, corrected=9)})
    with pytest.raises(Corrupt):
        scene.exchange.rejects.report(signed.model_copy(update={"report": forged}), actor=CONSUMER)
