"""Everything that the command line asks of a node, put together from a node's folder."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from datong.catalogue import CrawlOptions, CrawlWatch, Department, Inventory, RecipientKey, SourcePlan
from datong.exchange import ChangeSource, Connector, FileId, FileRecord, Target, TransferEnd
from datong.kernel import AgreementId, Clock, NotFound, TaskId, Text
from datong.ledger import Signer
from datong.node.capture import REST_INTERVAL_SECONDS, WATCH_INTERVAL_SECONDS, Capture, Streams, no_changes
from datong.node.consumer import Consumer
from datong.node.dead_letters import DeadLetters
from datong.node.differences import Differences
from datong.node.failures import reported
from datong.node.files import FileReceiver, FileSender, Progressed
from datong.node.gossiping import Gossiping, gossip_of, pinned_keys, witness_of
from datong.node.home import NodeIdentity, SourceEntry
from datong.node.hub_client import HubClient
from datong.node.inventory import Crawler, send_plan
from datong.node.journal import InventoryJournal
from datong.node.key_change import accept_hub_key, change_key
from datong.node.keyring import Keyring
from datong.node.live import LiveAnswerer
from datong.node.loop import NodeLoop, Tell
from datong.node.matching import Matcher
from datong.node.outbox import Outbox
from datong.node.producer import Producer
from datong.node.reconciler import Reconciler
from datong.node.replaying import Replaying
from datong.node.schedule import InventorySchedule
from datong.node.setup import NodeSetup
from datong.node.sketching import Sketcher, SketchKeyring
from datong.node.source_watch import SourceWatch
from datong.node.spool import Spool
from datong.node.steps import Passed, Step, unobserved
from datong.node.watcher import SourceWatcher
from datong.norms import NormPack

FETCHED = "fetched"
DIFFERENCES = "differences"
FILES = "files"
CAPTURES = "captures"
INVENTORY = "inventory"
Sleep = Callable[[float], None]
STOP_CHECK_SECONDS = 0.2
LIVE_STOP_SECONDS = 1.0


class Stopped(Exception):
    """The node was told to stop, and is at a point where it may end."""


class NodeProgram(NodeSetup):
    """One node, as its operator uses it. Adapters are given by whoever composes it."""

    def __init__(
        self,
        *,
        directory: Path,
        clock: Clock,
        load_signer: Callable[[Path], Signer],
        open_connector: Callable[[str], Connector],
        open_target: Callable[[str], Target],
        load_pack: Callable[[], NormPack],
        open_changes: Callable[[str], ChangeSource] | None = None,
        passed: Passed = unobserved,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(
            directory=directory, load_signer=load_signer, open_connector=open_connector, open_target=open_target
        )
        self._clock = clock
        self._load_pack = load_pack
        self._open_log = open_changes
        self._passed = passed
        self._sleep = sleep

    def plan_inventory(
        self,
        source: str | None,
        *,
        options: CrawlOptions,
        progress: CrawlWatch,
        stop: Callable[[], bool] = lambda: False,
    ) -> tuple[SourcePlan, ...]:
        """Crawl one source, or every source that is not only a target, and return what would be sent; send nothing."""
        identity = self._home.identity()
        client = self.client()
        try:
            department = _department(client, identity)
        finally:
            client.close()
        crawler = Crawler(
            pack=self._load_pack(),
            clock=self._clock,
            department=department,
            node_id=identity.node_id,
            options=options,
            progress=progress,
            stop=stop,
        )
        plans = []
        for entry in self._inventoried(source):
            connector = self._open_connector(entry.url)
            try:
                engine = entry.url.split(":", 1)[0]
                plans.append(crawler.plan(entry.name, engine, connector, self._journal(entry.name)))
            finally:
                connector.close()
        return tuple(plans)

    def send_inventory(self, plans: Sequence[SourcePlan]) -> tuple[Inventory, ...]:
        """Draft what `plans` hold and report it to the hub; what a source's journal holds is then forgotten."""
        client = self.client()
        try:
            sent = []
            for plan in plans:
                sent.append(send_plan(plan, client))
                self._journal(plan.source).clear()
            return tuple(sent)
        finally:
            client.close()

    def _inventoried(self, source: str | None) -> list[SourceEntry]:
        if source is not None:
            return [self._home.source(source)]
        return [entry for entry in self._home.config().sources if not entry.writable]

    def _schedule(self, hours: float, tell: Tell) -> InventorySchedule:
        def take(stop: Callable[[], bool]) -> None:
            plans = self.plan_inventory(None, options=CrawlOptions(again=True), progress=lambda _: None, stop=stop)
            if not stop():
                self.send_inventory(plans)

        path = self._home.directory / INVENTORY / "schedule.json"
        return InventorySchedule(path=path, clock=self._clock, hours=hours, take=take, tell=tell)

    def _journal(self, source: str) -> InventoryJournal:
        return InventoryJournal(self._home.directory / INVENTORY, source)

    def run(self, *, stop: Callable[[], bool], tell: Tell, inventory_hours: float = 0) -> None:
        """Work until `stop` is true; that is asked after every durable step and while the node waits to try again.

        So a node ends within moments in the middle of a long run, or while the hub does not answer: it goes on from
        what is durable after its next start, as after a kill.
        """

        def sleep(seconds: float) -> None:
            while seconds > 0 and not stop():
                self._sleep(min(seconds, STOP_CHECK_SECONDS))
                seconds -= STOP_CHECK_SECONDS
            if stop():
                raise Stopped

        def passed(step: Step) -> None:
            self._passed(step)
            if stop():
                raise Stopped

        schedule = self._schedule(inventory_hours, tell) if inventory_hours > 0 else None
        live_client = self._client(sleep)
        live = self.live_answerer(live_client, tell, sleep)
        self._start_live(live, stop)
        client = self._client(sleep)
        try:
            with suppress(Stopped):
                self._loop(client, tell, sleep=sleep, passed=passed, schedule=schedule).run(stop)
        finally:
            live.finish(LIVE_STOP_SECONDS)
            client.close()
            live_client.close()
            if schedule is not None:
                schedule.stop()

    @staticmethod
    def _start_live(live: LiveAnswerer, stop: Callable[[], bool]) -> None:
        """Answer live calls beside the loop: somebody waits for each, and a transfer may take hours."""

        def answer() -> None:
            with suppress(Stopped):
                live.run(stop)

        threading.Thread(target=answer, name="live", daemon=True).start()

    def live_answerer(self, client: HubClient, tell: Tell, sleep: Sleep) -> LiveAnswerer:
        """Return what answers live calls over `client`."""
        return LiveAnswerer(
            client=client,
            signer=self._load_signer(self._home.key_path),
            clock=self._clock,
            open_source=self.open_source,
            tell=tell,
            sleep=sleep,
        )

    def status(self) -> dict[str, object]:
        """Return who the node is and what lies in its spool; no credential is among it."""
        config = self._home.config()
        spool = list(self._home.spool.glob("*.arrow")) if self._home.spool.is_dir() else []
        return {
            "enrolled": config.identity is not None,
            "node_id": config.identity.node_id if config.identity else None,
            "department": config.identity.department if config.identity else None,
            "hub_url": config.identity.hub_url if config.identity else None,
            "sources": self.sources(),
            "spooled_batches": len(spool),
            "spooled_bytes": sum(path.stat().st_size for path in spool),
        }

    def client(self) -> HubClient:
        """Return a client of the hub in this node's name."""
        return self._client(self._sleep)

    def loop(self, client: HubClient, tell: Tell) -> NodeLoop:
        """Return the node's loop over `client`."""
        return self._loop(client, tell, sleep=self._sleep, passed=self._passed)

    def capture(
        self,
        client: HubClient,
        tell: Tell,
        *,
        rest_seconds: float = REST_INTERVAL_SECONDS,
        watch_seconds: float | None = None,
    ) -> Capture:
        """Return what captures changes over `client`, for whoever runs one task by itself.

        `watch_seconds`: how often it has the hub judge the structure of the table; None: never.
        """
        spool = Spool(folder=self._home.spool, state_path=self._home.state_path)
        spool.sweep()
        signer = self._load_signer(self._home.key_path)
        outbox = Outbox(
            client=client,
            spool=spool,
            signer=signer,
            clock=self._clock,
            keyring=self._keyring(signer),
            passed=self._passed,
        )
        return self._capture(
            outbox,
            tell,
            sleep=self._sleep,
            passed=self._passed,
            watch=None if watch_seconds is None else self._watch(client, signer, self._passed),
            rest_seconds=rest_seconds,
            watch_seconds=watch_seconds or WATCH_INTERVAL_SECONDS,
        )

    def sketcher(self, client: HubClient) -> Sketcher:
        """Return what sketches this node's tables over `client`."""
        keyring = SketchKeyring(
            folder=self._home.directory,
            signer=self._load_signer(self._home.key_path),
            clock=self._clock,
            node_id=self._home.identity().node_id,
        )
        return Sketcher(client=client, keyring=keyring, open_source=self.open_source, load_pack=self._load_pack)

    def matcher(self, client: HubClient, passed: Callable[[str], None] = lambda _: None) -> Matcher:
        """Return what takes part in private matchings over `client`."""
        identity = self._home.identity()
        return Matcher(
            client=client,
            folder=self._home.directory,
            signer=self._load_signer(self._home.key_path),
            clock=self._clock,
            department=identity.department,
            node_id=identity.node_id,
            open_source=self.open_source,
            load_pack=self._load_pack,
            passed=passed,
        )

    def match(self) -> int:
        """Do what can be done now in private matchings; return in how many something was done."""
        with self._calling() as client:
            return self.matcher(client).attend()

    def matchings(self) -> list[dict[str, object]]:
        """Return what this node has learned by private matchings."""
        with self._calling() as client:
            return self.matcher(client).results()

    def replay(self, task_id: TaskId, from_sequence: int) -> int:
        """Apply batches that the hub still stores once more; return how many. See `Replaying.order`."""
        signer = self._load_signer(self._home.key_path)
        with self._calling() as client:
            consumer = self._consumer(client, signer, self._passed)
            return self._replaying(client, consumer, signer, self._sleep).order(task_id, from_sequence)

    def _replaying(self, client: HubClient, consumer: Consumer, signer: Signer, sleep: Sleep) -> Replaying:
        return Replaying(
            client=client,
            consumer=consumer,
            signer=signer,
            clock=self._clock,
            department=self._home.identity().department,
            node_id=self._home.identity().node_id,
            sleep=sleep,
        )

    def _consumer(self, client: HubClient, signer: Signer, passed: Passed) -> Consumer:
        return Consumer(
            client=client,
            folder=self._home.directory / FETCHED,
            signer=signer,
            clock=self._clock,
            open_target=self.open_writable,
            keyring=self._keyring(signer),
            passed=passed,
        )

    def rotate_recipient_key(self, *, revoke_others: bool) -> RecipientKey:
        """Make a new key to which others seal for this node, and register it; see `Keyring.rotate`."""
        client = self.client()
        try:
            return self._keyring(self._load_signer(self._home.key_path)).rotate(client, revoke_others=revoke_others)
        finally:
            client.close()

    def accept_hub_key(self, key: str) -> str:
        """Take a key (hexadecimal) for the hub's from now on, without anybody vouching for it; return its id.

        Raises:
            Invalid: `node.hub_key_malformed`.
        """
        return accept_hub_key(self._home, key)

    def rotate_key(self) -> tuple[str, str]:
        """Replace the key with which this node signs; return the ids of the old and the new one; see `change_key`."""
        with self._calling() as client:
            return change_key(self._home, client, load_signer=self._load_signer, passed=self._passed)

    def send_file(self, path: Path, agreement_id: AgreementId, *, seal: bool, progress: Progressed) -> FileRecord:
        """Send one file; see `FileSender.send`."""
        with self._calling() as client:
            return self.file_sender(client).send(path, agreement_id, seal=seal, progress=progress)

    def files(self) -> tuple[FileRecord, ...]:
        """Return the files that this department sends or receives, newest first."""
        with self._calling() as client:
            return client.files()

    def waiting_files(self) -> tuple[FileRecord, ...]:
        """Return the files that were sent to this department and not acknowledged."""
        with self._calling() as client:
            return self.file_receiver(client).waiting()

    def receive_file(self, file_id: FileId, target: Path, *, progress: Progressed) -> Path:
        """Receive one file into a folder; see `FileReceiver.receive`."""
        with self._calling() as client:
            return self.file_receiver(client).receive(file_id, target, progress=progress)

    @contextmanager
    def dead_letters(self) -> Iterator[DeadLetters]:
        """Yield this node's dead letters, over a client of the hub."""
        with self._calling() as client:
            yield self._dead_letters(client, self._passed)

    def gossiping(self) -> Gossiping:
        """Return what this node heard of the other witnesses, for who sits beside it."""
        identity, keys = self._home.identity(), pinned_keys(self._home)
        return Gossiping(
            gossip=gossip_of(self._home, identity, self._clock, keys),
            witness=witness_of(self._home, identity, self._load_signer(self._home.key_path), self._clock, keys),
            client=self.client,
        )

    @contextmanager
    def _calling(self) -> Iterator[HubClient]:
        client = self.client()
        try:
            yield client
        finally:
            client.close()

    def file_sender(self, client: HubClient) -> FileSender:
        """Return what sends files over `client`."""
        identity = self._home.identity()
        return FileSender(
            client=client,
            folder=self._home.directory / FILES,
            signer=self._load_signer(self._home.key_path),
            clock=self._clock,
            department=identity.department,
            node_id=identity.node_id,
            passed=self._passed,
        )

    def file_receiver(self, client: HubClient) -> FileReceiver:
        """Return what receives files over `client`."""
        identity = self._home.identity()
        signer = self._load_signer(self._home.key_path)
        return FileReceiver(
            client=client,
            folder=self._home.directory / FILES,
            signer=signer,
            keyring=self._keyring(signer),
            clock=self._clock,
            department=identity.department,
            node_id=identity.node_id,
            passed=self._passed,
        )

    def _dead_letters(self, client: HubClient, passed: Passed) -> DeadLetters:
        return DeadLetters(
            client=client,
            signer=self._load_signer(self._home.key_path),
            clock=self._clock,
            department=self._home.identity().department,
            writable=lambda: [entry.name for entry in self._home.config().sources if entry.writable],
            open_target=self.open_writable,
            passed=passed,
        )

    def _keyring(self, signer: Signer) -> Keyring:
        identity = self._home.identity()
        return Keyring(
            folder=self._home.directory, signer=signer, node_id=identity.node_id, department=identity.department
        )

    def open_source(self, name: str) -> Connector:
        """Open the source called `name`."""
        return self._open_connector(self._home.source(name).url)

    def open_changes(self, name: str) -> ChangeSource:
        """Open the log of changes of the source called `name`.

        Raises:
            Invalid: `node.no_change_log`, `adapters.no_change_log`.
        """
        return no_changes(name) if self._open_log is None else self._open_log(self._home.source(name).url)

    def open_writable(self, name: str) -> Target:
        """Open the writable source called `name`, or the only one."""
        return self._open_target(self._home.writable_source(name).url)

    def _client(self, sleep: Sleep) -> HubClient:
        identity = self._home.identity()
        return HubClient(
            hub_url=identity.hub_url,
            node_id=identity.node_id,
            signer=self._load_signer(self._home.key_path),
            clock=self._clock,
            sleep=sleep,
        )

    def _capture(
        self,
        outbox: Outbox,
        tell: Tell,
        *,
        sleep: Sleep,
        passed: Passed,
        watch: SourceWatch | None = None,
        rest_seconds: float = REST_INTERVAL_SECONDS,
        watch_seconds: float = WATCH_INTERVAL_SECONDS,
    ) -> Capture:
        return Capture(
            outbox=outbox,
            folder=self._home.directory / CAPTURES,
            open_source=self.open_source,
            open_changes=self.open_changes,
            tell=tell,
            watch=watch,
            sleep=sleep,
            passed=passed,
            rest_seconds=rest_seconds,
            watch_seconds=watch_seconds,
        )

    def _watch(self, client: HubClient, signer: Signer, passed: Passed) -> SourceWatch:
        return SourceWatch(client=client, signer=signer, clock=self._clock, open_source=self.open_source, passed=passed)

    def _loop(
        self,
        client: HubClient,
        tell: Tell,
        *,
        sleep: Sleep,
        passed: Passed,
        schedule: InventorySchedule | None = None,
    ) -> NodeLoop:
        identity, keys = self._home.identity(), pinned_keys(self._home)
        signer = self._load_signer(self._home.key_path)
        spool = Spool(folder=self._home.spool, state_path=self._home.state_path)
        spool.sweep()
        keyring = self._keyring(signer)
        outbox = Outbox(client=client, spool=spool, signer=signer, clock=self._clock, keyring=keyring, passed=passed)
        differences = Differences(
            outbox=outbox,
            folder=self._home.directory / DIFFERENCES,
            open_source=self.open_source,
            passed=passed,
        )
        watch = self._watch(client, signer, passed)
        capture = self._capture(outbox, tell, watch=watch, sleep=sleep, passed=passed)
        producer = Producer(
            outbox=outbox, open_source=self.open_source, differences=differences, watch=watch, sleep=sleep
        )
        consumer = self._consumer(client, signer, passed)
        reconciler = Reconciler(
            client=client,
            signer=signer,
            clock=self._clock,
            department=identity.department,
            open_source=self.open_source,
            open_target=self.open_writable,
            keyring=keyring,
        )
        return NodeLoop(
            client=client,
            signer=signer,
            department=identity.department,
            node_id=identity.node_id,
            producer=producer,
            consumer=consumer,
            replaying=self._replaying(client, consumer, signer, sleep),
            reconciler=reconciler,
            watcher=SourceWatcher(client=client, spool=spool, open_source=self.open_source),
            witness=witness_of(self._home, identity, signer, self._clock, keys),
            gossip=gossip_of(self._home, identity, self._clock, keys),
            keyring=keyring,
            sketcher=self.sketcher(client),
            schedule=schedule,
            streams=Streams(
                capture,
                state_of=client.task_state,
                reporting=lambda work: reported(client, work.task, work.run, TransferEnd.PRODUCER),
                stopped=(Stopped,),
            ),
            dead_letters=self._dead_letters(client, passed),
            tell=tell,
            matcher=self.matcher(client),
            sleep=sleep,
        )


def _department(client: HubClient, identity: NodeIdentity) -> Department:
    found = next((one for one in client.departments() if one.code == identity.department), None)
    if found is None:
        raise NotFound(
            "node.department_unknown",
            what=Text(zh="平台上没有本节点的部门。", en="The hub does not know this node's department."),
            remedy=Text(zh="请联系平台运维。", en="Call the operator of the hub."),
        )
    return found
