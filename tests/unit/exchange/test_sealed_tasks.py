"""What the hub takes for a sealed task: manifests of payloads that are sealed, and to its consumer only."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from datong.catalogue import RecipientKey, recipient_key_message
from datong.exchange import Confirmed, ContentKey, Manifest, SignedManifest, Task, signed_manifest, write_payload
from datong.kernel import PLATFORM_ACTOR, Actor, Corrupt, Database, NodeId, Refused, sha256_hex
from datong.ledger import EntryKind
from tests.unit.exchange.test_hub import COLUMNS, CONSUMER, NODE, Scene

START = Confirmed()


class SealedScene(Scene):
    """A hub with a sealed task and the consumer's recipient key."""

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder, database)
        self.recipient = self.add_recipient(CONSUMER)

    def add_recipient(self, actor: Actor) -> RecipientKey:
        public = X25519PrivateKey.generate().public_key().public_bytes_raw()
        message = recipient_key_message(str(actor.department), actor.id, public)
        signer = self.education if actor == CONSUMER else self.police
        return self.hub.recipients.register(actor, signer.public_key, public, signer.sign(message))

    def seal(self, task: Task, *recipients: RecipientKey) -> tuple[SignedManifest, bytes]:
        plain, _ = self.cut(task, START, range(10))
        key = ContentKey.generate(plain.manifest.sealing_context)
        path = self.folder / "sealed"
        facts = write_payload(path, [], COLUMNS, key)
        manifest = plain.manifest.model_copy(
            update={
                "sealing": key.sealing(recipients),
                "rows": 0,
                "content_digest": key.commitment(facts.content),
                "payload_digest": facts.digest,
                "payload_bytes": facts.bytes,
            }
        )
        return signed_manifest(manifest, self.police), path.read_bytes()


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> SealedScene:
    return SealedScene(tmp_path, control_database)


def test_a_sealed_batch_is_committed_with_the_names_of_its_keys(scene: SealedScene) -> None:
    task = scene.task(sealed=True)
    work = scene.exchange.work_for(NodeId(NODE.id)).produce[0]
    assert work.recipients == (scene.recipient,)
    scene.upload(*scene.seal(task, scene.recipient))
    entry = scene.hub.ledger.entries(kind=EntryKind.BATCH).rows[0]
    assert entry.facts["sealed_to"] == [scene.recipient.key_id]
    assert Manifest.model_validate_json(scene.exchange.batches(task.id)[0].manifest.model_dump_json()).sealing


def test_batch_and_task_agree_about_being_sealed(scene: SealedScene) -> None:
    sealed, plain = scene.task(sealed=True), scene.task()
    with pytest.raises(Refused, match="not_sealed"):
        scene.upload(*scene.cut(sealed, START, range(10)))
    with pytest.raises(Refused, match="sealed_unasked"):
        scene.upload(*scene.seal(plain, scene.recipient))
    assert plain.model_dump()["sealed"] is False


def test_nothing_may_be_sealed_to_others_or_to_revoked_keys(scene: SealedScene) -> None:
    task = scene.task(sealed=True)
    stranger = scene.add_recipient(NODE)
    for recipients in ((stranger,), (scene.recipient, stranger), (scene.recipient, scene.recipient)):
        with pytest.raises(Refused, match="wrong_recipient"):
            scene.upload(*scene.seal(task, *recipients))
    signed, payload = scene.seal(task, scene.recipient)
    scene.exchange.open_upload(signed, node=NodeId(NODE.id))
    scene.exchange.put_chunk(signed.manifest.batch_id, 0, payload, sha256_hex(payload), node=NodeId(NODE.id))
    scene.hub.recipients.revoke(scene.recipient.key_id)
    with pytest.raises(Refused, match="wrong_recipient"):
        scene.exchange.commit(signed.manifest.batch_id, actor=NODE)


def test_a_payload_in_the_clear_is_deleted_although_its_manifest_says_sealed(scene: SealedScene) -> None:
    task = scene.task(sealed=True)
    sealed, _ = scene.seal(task, scene.recipient)
    plain, payload = scene.cut(task, START, range(10))
    facts = {name: getattr(plain.manifest, name) for name in ("payload_digest", "payload_bytes")}
    lying = signed_manifest(sealed.manifest.model_copy(update=facts), scene.police)
    with pytest.raises(Corrupt, match="payload_not_sealed"):
        scene.upload(lying, payload)
    assert not list((scene.folder / "hub" / "lake").rglob("*.part"))
    refusal = scene.hub.ledger.entries(kind=EntryKind.REFUSAL).rows[0]
    assert refusal.facts["refused"] == "exchange.payload_not_sealed"


def test_the_library_cannot_be_the_consumer_of_a_sealed_task(scene: SealedScene) -> None:
    with pytest.raises(Refused, match="sealed_library") as refusal:
        scene.exchange.create_task(scene.draft(sealed=True, consumer_node=None), actor=PLATFORM_ACTOR)
    assert "资源库" in refusal.value.what.zh
