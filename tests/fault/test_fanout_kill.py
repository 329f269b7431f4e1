"""One stream for several consumers: read once, each at its own pace, and kept until all of them have it."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from datong.adapters.connections import open_connector, open_target
from datong.exchange import (
    Subscription,
    SubscriptionDraft,
    SubscriptionState,
    Task,
    TransferMode,
)
from datong.kernel import PLATFORM_ACTOR, AgreementId, Conflict, DepartmentCode, NodeId, NotFound
from datong.ledger import EntryKind
from datong.node import Step
from tests.fault.test_exchange_kill import ROWS, World
from tests.fault.test_sealed_kill import one_round

HEALTH = DepartmentCode("health")


class FanWorld(World):
    """Police send; education and, later, health receive."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.add("health")

    def join(self, task: Task) -> Subscription:
        draft = SubscriptionDraft(
            agreement_id=AgreementId("agreement-health"), consumer=HEALTH, consumer_node=NodeId("node-health")
        )
        return self.hub.exchange.subscriptions.join(task.id, draft, actor=PLATFORM_ACTOR)

    def subscription(self, task: Task) -> Subscription:
        return self.hub.exchange.subscriptions.of_task(task.id)[0]

    def check_copy(self, task: Task, party: str, rows: int) -> None:
        columns = self.hub.exchange.batches(task.id)[0].manifest.columns
        source = open_connector(f"sqlite:///{self.database('police')}").digest("people", columns)
        copy = open_target(f"sqlite:///{self.database(party)}").digest("received", columns)
        assert copy == source
        assert copy.rows == rows

    def run(self, task: Task) -> None:
        self.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
        assert self.node("police") == 0

    def payloads(self, task: Task) -> list[str]:
        folder = self.folder / "hub" / "lake" / "batches" / task.id
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def dispose(self, *, after: timedelta = timedelta(0)) -> None:
        self.hub.exchange.retention._keep = after
        self.hub.exchange.retention.sweep()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[FanWorld]:
    world = FanWorld(tmp_path)
    world.start_hub()
    yield world
    world.stop_hub()


@pytest.mark.parametrize("mode", [TransferMode.SNAPSHOT, TransferMode.INCREMENT])
def test_a_later_consumer_gets_a_whole_copy_and_what_follows_and_nobody_waits(
    world: FanWorld, mode: TransferMode
) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(mode)
    assert world.node("police") == 0
    batches = world.hub.exchange.progress(task.id).batches
    joined = world.join(task)
    assert (joined.state, joined.first_sequence) == (SubscriptionState.ACTIVE, 1)
    with pytest.raises(Conflict, match="subscribed"):
        world.join(task)
    # Education is away: health receives everything, killed in between or not.
    assert world.node("health", Step.BATCH_APPLIED, 3) == -signal.SIGKILL
    assert world.node("health") == 0
    world.check_copy(task, "health", ROWS)
    assert world.hub.exchange.progress(task.id).receipted_batches == 0
    assert world.subscription(task).receipted_sequence == batches
    world.fill(ROWS, ROWS + 100, "2026-02-01")
    world.run(task)
    assert world.node("education") == 0
    world.check_copy(task, "education", ROWS + 100)
    assert world.node("health") == 0
    world.check_copy(task, "health", ROWS + 100)
    receipts = world.hub.ledger.entries(kind=EntryKind.RECEIPT).rows
    assert {entry.facts["consumer"] for entry in receipts} == {"education", "health"}
    assert {entry.facts["agreement"] for entry in receipts} == {"agreement", "agreement-health"}


def test_payloads_stay_until_every_consumer_has_them_and_go_with_evidence(world: FanWorld) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert world.node("police") == 0
    world.join(task)
    kept = world.payloads(task)
    assert world.node("education") == 0
    world.dispose()
    assert world.payloads(task) == kept
    assert world.node("health") == 0
    world.dispose(after=timedelta(days=1))
    assert world.payloads(task) == kept
    world.dispose()
    assert world.payloads(task) == []
    disposal = world.hub.ledger.entries(kind=EntryKind.TASK).rows[0].facts
    assert (disposal["action"], disposal["last_sequence"]) == ("dispose", len(kept))
    with pytest.raises(NotFound, match="payload_disposed"):
        world.hub.exchange.payload(world.hub.exchange.batches(task.id)[0].manifest.batch_id)


def test_when_nothing_whole_is_kept_the_next_run_reads_everything_once_more(world: FanWorld) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert world.node("police") == 0
    assert world.node("education") == 0
    world.dispose()
    before = world.hub.exchange.progress(task.id).batches
    assert world.join(task).state is SubscriptionState.WAITING
    assert world.node("police") == 0
    assert world.subscription(task).first_sequence == before + 1
    assert world.node("health") == 0
    assert world.node("education") == 0
    world.check_copy(task, "health", ROWS)
    world.check_copy(task, "education", ROWS)


def test_who_leaves_holds_nothing_and_may_come_back(world: FanWorld) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert world.node("police") == 0
    world.join(task)
    assert world.node("health") == 0
    exchange = world.hub.exchange
    left = exchange.subscriptions.leave(task.id, HEALTH, actor=PLATFORM_ACTOR)
    assert left.state is SubscriptionState.LEFT
    assert exchange.subscriptions.leave(task.id, HEALTH, actor=PLATFORM_ACTOR) == left
    assert exchange.work_for(NodeId("node-health")).is_empty
    world.fill(ROWS, ROWS + 50, "2026-02-01")
    world.run(task)
    back = world.join(task)
    assert (back.state, back.receipted_sequence) == (SubscriptionState.ACTIVE, left.receipted_sequence)
    assert world.node("health") == 0
    world.check_copy(task, "health", ROWS + 50)
    exchange.subscriptions.leave(task.id, HEALTH, actor=PLATFORM_ACTOR)
    world.fill(ROWS + 50, ROWS + 90, "2026-03-01")
    world.run(task)
    assert world.node("education") == 0
    world.dispose()
    assert world.join(task).state is SubscriptionState.WAITING
    assert world.node("police") == 0
    assert world.node("health") == 0
    world.check_copy(task, "health", ROWS + 90)


def test_a_sealed_stream_opens_for_each_consumer_from_the_run_that_was_sealed_for_it(world: FanWorld) -> None:
    world.fill(0, ROWS, "1987-06-05")
    for party in ("education", "health"):
        one_round(world, party)
    task = world.task(TransferMode.SNAPSHOT, sealed=True)
    assert world.node("police") == 0
    assert world.join(task).state is SubscriptionState.WAITING
    assert world.node("police") == 0
    newest = world.hub.exchange.batches(task.id)[-1].manifest
    assert newest.sealing is not None
    assert len(newest.sealing.key_ids) == 2
    assert world.node("health") == 0
    assert world.node("education") == 0
    world.check_copy(task, "health", ROWS)
    world.check_copy(task, "education", ROWS)
    for path in (world.folder / "hub").rglob("*"):
        assert not path.is_file() or b"1987-06-05" not in path.read_bytes(), path
