"""Who may join a stream, when it goes on, and who gets what of it."""

from pathlib import Path

import pytest

from datong.exchange import (
    Confirmed,
    DiskReserve,
    SignedReceipt,
    SubscriptionDraft,
    SubscriptionState,
    signed_receipt,
)
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    AgreementId,
    Conflict,
    Database,
    DepartmentCode,
    NodeId,
    NotFound,
    Refused,
    StorageFull,
    TaskId,
    Text,
)
from datong.ledger import Ed25519Signer
from tests.unit.exchange.test_hub import NODE, Scene

HEALTH = DepartmentCode("health")
JOIN = SubscriptionDraft(agreement_id=AgreementId("second"), consumer=HEALTH, consumer_node=NodeId("node-health"))
HEALTH_NODE = Actor(kind=ActorKind.NODE, id="node-health", department=HEALTH)


class Terms:
    """Terms under which some agreements are over."""

    def __init__(self) -> None:
        self.over: set[str] = set()

    def check(self, *, agreement_id: AgreementId, **_facts: object) -> None:
        if agreement_id in self.over:
            text = Text(zh="协议已终止", en="terminated")
            raise Refused("tests.over", what=text, remedy=text)


class FanScene(Scene):
    """A hub with a third department."""

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder, database)
        self.health = Ed25519Signer.generate()
        self.hub.keys.register(self.health.key_id, self.health.public_key, "health", "node-health")
        self.terms = Terms()
        self.exchange._terms = self.terms

    def further_receipt(self, sequence: int, task_id: TaskId, **changes: object) -> SignedReceipt:
        manifest = self.exchange.batches(task_id)[sequence - 1].manifest
        return signed_receipt(self.receipt(manifest, consumer=HEALTH, **changes), self.health)


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> FanScene:
    return FanScene(tmp_path, control_database)


def test_a_further_consumer_acknowledges_in_its_own_order(scene: FanScene) -> None:
    task = scene.task()
    confirmed = scene.upload(*scene.cut(task, Confirmed(), range(10), last=False))
    scene.upload(*scene.cut(task, confirmed, range(10, 20)))
    scene.exchange.subscriptions.join(task.id, JOIN, actor=PLATFORM_ACTOR)
    (work,) = scene.exchange.work_for(NodeId("node-health")).consume
    assert (work.task.consumer, work.task.agreement_id, work.first, work.newest) == (HEALTH, "second", 1, 2)
    with pytest.raises(Conflict, match="receipt_order"):
        scene.exchange.record_receipt(scene.further_receipt(2, task.id), actor=HEALTH_NODE)
    first = scene.exchange.record_receipt(scene.further_receipt(1, task.id), actor=HEALTH_NODE)
    assert scene.exchange.record_receipt(scene.further_receipt(1, task.id), actor=HEALTH_NODE) == first
    assert scene.exchange.progress(task.id).receipted_batches == 0
    assert scene.exchange.subscriptions.of_task(task.id)[0].receipted_sequence == 1
    forged = signed_receipt(scene.further_receipt(2, task.id).receipt, scene.education)
    with pytest.raises(Refused, match="wrong_consumer"):
        scene.exchange.record_receipt(forged, actor=HEALTH_NODE)


def test_the_stream_goes_on_while_anybody_may_have_it_and_only_they_get_it(scene: FanScene) -> None:
    task = scene.task()
    scene.exchange.subscriptions.join(task.id, JOIN, actor=PLATFORM_ACTOR)
    check = scene.exchange.subscriptions.check_delivery
    scene.terms.over = {"agreement"}
    scene.upload(*scene.cut(task, Confirmed(), range(10)))
    check(task, HEALTH)
    with pytest.raises(Refused):
        check(task, task.consumer)
    scene.terms.over = {"second"}
    check(task, task.consumer)
    with pytest.raises(Refused):
        check(task, HEALTH)
    scene.terms.over = {"agreement", "second"}
    scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    with pytest.raises(Refused):
        scene.upload(*scene.cut(scene.task(), Confirmed(), range(10)))


def test_whom_the_agreement_does_not_cover_does_not_join(scene: FanScene) -> None:
    task = scene.task()
    scene.terms.over = {"second"}
    with pytest.raises(Refused):
        scene.exchange.subscriptions.join(task.id, JOIN, actor=PLATFORM_ACTOR)
    scene.terms.over = set()
    for own in (task.consumer, task.provider):
        draft = JOIN.model_copy(update={"consumer": own})
        with pytest.raises(Conflict, match="subscribed"):
            scene.exchange.subscriptions.join(task.id, draft, actor=PLATFORM_ACTOR)
    with pytest.raises(NotFound, match="not_subscribed"):
        scene.exchange.subscriptions.leave(task.id, HEALTH, actor=PLATFORM_ACTOR)
    scene.exchange.pause(task.id, actor=PLATFORM_ACTOR)
    with pytest.raises(Conflict, match="task_not_active"):
        scene.exchange.subscriptions.join(task.id, JOIN, actor=PLATFORM_ACTOR)


def test_who_joins_before_the_first_batch_begins_with_it(scene: FanScene) -> None:
    task = scene.task()
    assert scene.exchange.subscriptions.join(task.id, JOIN, actor=PLATFORM_ACTOR).state is SubscriptionState.WAITING
    work = scene.exchange.work_for(NodeId(NODE.id)).produce[0]
    scene.upload(*scene.cut(task, Confirmed(), range(10), run=work.run))
    (joined,) = scene.exchange.subscriptions.of_task(task.id)
    assert (joined.state, joined.first_sequence) == (SubscriptionState.ACTIVE, 1)


def test_a_batch_is_turned_away_before_the_disk_is_full(scene: FanScene) -> None:
    task = scene.task()
    scene.exchange._intake._disk = DiskReserve(scene.folder, 1000, lambda _folder: 1000)
    with pytest.raises(StorageFull):
        scene.upload(*scene.cut(task, Confirmed(), range(10)))
    scene.exchange._intake._disk = DiskReserve(scene.folder, 0)
    scene.upload(*scene.cut(task, Confirmed(), range(10)))
