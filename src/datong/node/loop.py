"""The node's life: ask the hub for work, do it, sign, witness, and begin again. One failing task stops no other."""

import sqlite3
import time
from collections.abc import Callable
from functools import partial

from datong.exchange import ConsumeWork, NodeWork, ProduceWork, ReplayWork, Task, TransferEnd, TransferMode
from datong.kernel import DatongError, DepartmentCode, Text
from datong.ledger import Gossip, GossipTrouble, Signer, Witness
from datong.node.agreements import sign_confirmed
from datong.node.capture import Streams
from datong.node.consumer import Consumer
from datong.node.dead_letters import DeadLetters
from datong.node.failures import reported
from datong.node.hub_calls import delay_seconds
from datong.node.hub_client import HubClient
from datong.node.keyring import Keyring
from datong.node.matching import Matcher
from datong.node.producer import Producer
from datong.node.reconciler import Reconciler
from datong.node.replaying import Replaying
from datong.node.schedule import InventorySchedule
from datong.node.sketching import Sketcher
from datong.node.transfers import Transfer, Transfers
from datong.node.trouble import trouble_of
from datong.node.watcher import SourceWatcher

POLL_WAIT_SECONDS = 20.0
WITNESS_INTERVAL_SECONDS = 2.0
GOSSIP_INTERVAL_SECONDS = 30.0
BUSY_LOOK_SECONDS = 1.0
"""How often the hub is asked for more work while transfers are under way."""
FAILURE_PAUSE_SECONDS = 0.5
"""When a failed transfer is tried again is the hub's word; this only keeps what nobody paces from spinning."""
DELAY_ATTEMPT_MAX = 13
SWEEP_INTERVAL_SECONDS = 3600.0

Tell = Callable[[Text], None]
"""Told in a sentence what the node does or what went wrong."""


class NodeLoop:
    """Runs a node until `stop` says so."""

    def __init__(
        self,
        *,
        client: HubClient,
        signer: Signer,
        department: DepartmentCode,
        node_id: str,
        producer: Producer,
        consumer: Consumer,
        replaying: Replaying,
        reconciler: Reconciler,
        watcher: SourceWatcher,
        witness: Witness,
        tell: Tell,
        gossip: Gossip | None = None,
        keyring: Keyring | None = None,
        sketcher: Sketcher | None = None,
        matcher: Matcher | None = None,
        schedule: InventorySchedule | None = None,
        streams: Streams | None = None,
        dead_letters: DeadLetters | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._streams = streams
        self._signer = signer
        self._department = department
        self._keyring = keyring
        self._sketcher = sketcher
        self._matcher = matcher
        self._schedule = schedule
        self._dead_letters = dead_letters
        self._node_id = node_id
        self._producer = producer
        self._consumer = consumer
        self._replaying = replaying
        self._reconciler = reconciler
        self._watcher = watcher
        self._witness = witness
        self._gossip = gossip
        self._gossip_at = 0.0
        self._gossip_told: tuple[GossipTrouble, ...] = ()
        self._tell = tell
        self._sleep = sleep
        self._transfers = Transfers(lambda name, error: self._failed(name, trouble_of(error)))
        self._chores_at = 0.0
        self._sweep_at = 0.0
        self._began_at = time.monotonic()
        self._unanswered = 0

    def run(self, stop: Callable[[], bool], *, wait_seconds: float = POLL_WAIT_SECONDS) -> None:
        """Work until `stop` is true; it is asked after every round.

        Whatever the hub answers and whatever its own disk does, the node stays: what it cannot do now it tries again,
        ever more slowly.
        """
        waited = 0.0
        try:
            while not stop():
                try:
                    self._turn(waited, to_the_end=False)
                    self._unanswered = 0
                    waited = min(wait_seconds, WITNESS_INTERVAL_SECONDS)
                except (DatongError, OSError, sqlite3.Error) as error:
                    self._tell(trouble_of(error).what)
                    self._sleep(delay_seconds(min(self._unanswered, DELAY_ATTEMPT_MAX)))
                    self._unanswered += 1
        finally:
            self.close()

    def close(self) -> None:
        """Stop what runs beside the rounds; transfers under way come to their end."""
        self._transfers.close()
        if self._streams is not None:
            self._streams.close()

    def round(self, wait_seconds: float) -> None:
        """Do everything that waits for this node now, to its end; wait for some up to `wait_seconds`.

        Raises:
            DatongError: the hub does not answer, or does not accept this node.
        """
        self._turn(wait_seconds, to_the_end=True)

    def _turn(self, wait_seconds: float, *, to_the_end: bool) -> None:
        """Ask for work and begin it; without `to_the_end` transfers go on beside the turns that follow."""
        if self._transfers.under_way:
            # The hub offers what is under way as well, so it would not wait.
            self._transfers.rest(BUSY_LOOK_SECONDS)
        failed = list(self._transfers.collected())
        under_way = self._transfers.under_way
        # While transfers are under way, what is none waits for its turn: batches must not grow old meanwhile.
        chores = not under_way or time.monotonic() - self._chores_at >= WITNESS_INTERVAL_SECONDS
        if chores:
            failed += self._attend("recipient key", self._keys)
        work = self._client.work(0.0 if under_way else wait_seconds)
        if chores:
            failed += self._attend("agreements", self._sign)
        failed += self._captured([one for one in work.produce if one.task.mode is TransferMode.CAPTURE])
        self._transfers.begin(self._offered(work), under_way, every=to_the_end)
        if to_the_end:
            self._transfers.rest(None)
            failed += self._transfers.collected()
        if chores:
            failed += self._chores()
            failed += self._watcher.attend(work.watch)
        if chores or failed:
            self._beat(failed, work)
        if failed:
            self._sleep(FAILURE_PAUSE_SECONDS)

    def _beat(self, failed: list[str], work: NodeWork) -> None:
        """Tell the hub that the node lives, what failed, and how wrong its clock is."""
        told = list(failed)
        if self._client.clock_error_seconds:
            told.append(f"clock: {-self._client.clock_error_seconds:+.0f} s")
        told += [f"gossip: {trouble.kind} {trouble.peer}" for trouble in self._gossip_told]
        self._client.heartbeat(
            "; ".join(told)[:1000] or "ok",
            self._watcher.reports(work.watch),
            running_seconds=int(time.monotonic() - self._began_at),
            unanswered=self._unanswered,
        )

    def _chores(self) -> list[str]:
        """Do what is not a transfer; return the failures."""
        failed = self._attend("witness", self._witnessed)
        failed += self._attend("sketches", self._sketched)
        failed += self._attend("matchings", self._matched)
        failed += self._attend("dead letters", self._letters_told)
        if self._schedule is not None:
            failed += self._attend("inventory", self._schedule.attend)
        failed += self._attend("fetched payloads", self._swept)
        self._chores_at = time.monotonic()
        return failed

    def _swept(self) -> None:
        """Delete payloads that were left behind, once an hour, and say which."""
        if time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + SWEEP_INTERVAL_SECONDS
        for name in self._consumer.sweep():
            self._tell(Text(zh=f"已删除遗留的批次文件 {name}。", en=f"Deleted the left-over payload {name}."))

    def _offered(self, work: NodeWork) -> list[Transfer]:
        """Return what the hub offers, in its order; of a task one thing at a time is done at the node's either end."""
        producing = [one for one in work.produce if one.task.mode is not TransferMode.CAPTURE]
        return [
            *(self._transfer("produce", one.task, partial(self._produce, one)) for one in producing),
            *(self._transfer("apply", one.task, partial(self._replay, one)) for one in work.replay),
            *(self._transfer("apply", one.task, partial(self._consume, one)) for one in work.consume),
            *(self._transfer("reconcile", one.task, partial(self._reconciler.report, one)) for one in work.reconcile),
        ]

    def _transfer(self, kind: str, task: Task, job: Callable[[], None]) -> Transfer:
        return Transfer((kind, task.id), task.id, partial(self._attend, task.id, job))

    def _failed(self, name: str, error: DatongError) -> list[str]:
        self._tell(error.what)
        return [f"{name}: {error.code}"]

    def _captured(self, works: list[ProduceWork]) -> list[str]:
        """See that changes are captured beside the rounds; return what failed since the last round."""
        failures = [] if self._streams is None else self._streams.attend(works)
        return [line for task_id, error in failures for line in self._failed(task_id, error)]

    def _produce(self, work: ProduceWork) -> None:
        with reported(self._client, work.task, work.run, TransferEnd.PRODUCER):
            self._producer.produce(work)

    def _consume(self, work: ConsumeWork) -> None:
        with reported(self._client, work.task, work.run, TransferEnd.CONSUMER):
            self._consumer.consume(work)

    def _replay(self, work: ReplayWork) -> None:
        applied = self._replaying.attend(work)
        if applied is not None:
            name = work.task.name or work.task.id
            self._tell(
                Text(
                    zh=f"任务 {name}：已重新应用 {applied} 批。",
                    en=f"Task {name}: {applied} batches applied once more.",
                )
            )

    def _attend(self, name: str, job: Callable[[], None]) -> list[str]:
        """Do one job; tell and return its failure, which leaves the other jobs alone."""
        try:
            job()
        except (DatongError, OSError, sqlite3.Error) as error:
            return self._failed(name, trouble_of(error))
        return []

    def _sign(self) -> None:
        for agreement_id in sign_confirmed(self._client, self._signer, self._department):
            self._tell(Text(zh=f"已签署协议 {agreement_id}。", en=f"Signed the agreement {agreement_id}."))

    def _keys(self) -> None:
        if self._keyring is not None:
            self._keyring.attend(self._client)

    def _letters_told(self) -> None:
        if self._dead_letters is not None:
            self._dead_letters.attend()

    def _sketched(self) -> None:
        if self._sketcher is not None and (tables := self._sketcher.attend()):
            self._tell(Text(zh=f"已为 {tables} 张表生成草图。", en=f"Sketched {tables} tables."))

    def _matched(self) -> None:
        if self._matcher is not None and (done := self._matcher.attend()):
            self._tell(Text(zh=f"{done} 次隐私求交有进展。", en=f"{done} private matchings went on."))

    def _witnessed(self) -> None:
        """Cosign what continues the log as this node knows it, and now and then compare it with what others know."""
        heard = None
        if self._gossip is not None:
            self._gossip.require_one_view()
            if time.monotonic() >= self._gossip_at:
                # Asked for before looking at the log: it must show at least what others have cosigned by now.
                heard = self._client.witness_notes()
        note = self._witness.update(self._client.log_file)
        if note is not None:
            self._client.cosign(note)
        own = self._witness.remembered()
        if self._gossip is not None and heard is not None and own is not None:
            troubles = self._gossip.hear(own, heard, self._client.log_file)
            self._gossip_at = time.monotonic() + GOSSIP_INTERVAL_SECONDS
            for trouble in troubles:
                if trouble not in self._gossip_told:
                    self._tell(trouble.what)
            self._gossip_told = troubles
