"""What uploads leave behind is deleted with evidence; what is on its way stays."""

from pathlib import Path

import pytest

from datong.exchange import Confirmed, SignedManifest
from datong.kernel import PLATFORM_ACTOR, Database, NodeId, sha256_hex
from datong.ledger import EntryKind
from tests.unit.exchange.test_hub import NODE, Scene


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> Scene:
    return Scene(tmp_path, control_database)


def begun(scene: Scene) -> tuple[SignedManifest, int]:
    """Upload a first piece of a batch."""
    task = scene.task()
    signed, payload = scene.cut(task, Confirmed(), range(100))
    piece, node = payload[:50], NodeId(NODE.id)
    scene.exchange.open_upload(signed, node=node)
    scene.exchange.put_chunk(signed.manifest.batch_id, 0, piece, sha256_hex(piece), node=node)
    return signed, len(piece)


def test_parts_that_nobody_goes_on_with_are_deleted_with_evidence(scene: Scene) -> None:
    kept, _ = begun(scene)
    left, size = begun(scene)
    part = scene.exchange._files.part(left.manifest)
    scene.exchange.runs.cancel(left.manifest.task_id, 1, actor=PLATFORM_ACTOR)
    before = scene.entries(EntryKind.TASK)
    scene.exchange.leftovers.sweep()
    assert not part.exists()
    assert scene.exchange._files.part(kept.manifest).exists()
    (entry,) = (one for one in scene.hub.ledger.entries(kind=EntryKind.TASK).rows if one.facts["action"] == "sweep")
    assert entry.subject == left.manifest.task_id
    assert entry.facts["batches"] == [left.manifest.batch_id]
    assert (entry.facts["parts"], entry.facts["payload_bytes"]) == (1, size)
    scene.exchange.leftovers.sweep()
    assert scene.entries(EntryKind.TASK) == before + 1


def test_parts_of_a_task_that_this_hub_does_not_know_are_deleted(scene: Scene) -> None:
    signed, _ = begun(scene)
    part = scene.exchange._files.part(signed.manifest)
    strange = part.parent.parent / "unknown" / "batch.part"
    strange.parent.mkdir()
    strange.write_bytes(b"x")
    scene.exchange.leftovers.sweep()
    assert not strange.exists()
    assert part.exists()
