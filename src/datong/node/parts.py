"""A node's parts, put together from its folder: what the program, the command line and the tests then use."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datong.exchange import ChangeSource, Connector, Target, TransferEnd
from datong.kernel import Clock
from datong.ledger import Signer
from datong.node.capture import REST_INTERVAL_SECONDS, WATCH_INTERVAL_SECONDS, Capture, Streams, no_changes
from datong.node.consumer import Consumer
from datong.node.dead_letters import DeadLetters
from datong.node.differences import Differences
from datong.node.failures import reported
from datong.node.files import FileReceiver, FileSender
from datong.node.gossiping import Gossiping, gossip_of, pinned_keys, witness_of
from datong.node.hub_client import HubClient
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
from datong.node.steps import Passed, unobserved
from datong.node.watcher import SourceWatcher
from datong.norms import NormPack

FETCHED = "fetched"
DIFFERENCES = "differences"
FILES = "files"
CAPTURES = "captures"
Sleep = Callable[[float], None]


class Stopped(Exception):
    """The node was told to stop, and is at a point where it may end."""


class NodeParts(NodeSetup):
    """What a node is made of. Adapters are given by whoever composes it."""

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

    def gossiping(self) -> Gossiping:
        """Return what this node heard of the other witnesses, for who sits beside it."""
        identity, keys = self._home.identity(), pinned_keys(self._home)
        return Gossiping(
            gossip=gossip_of(self._home, identity, self._clock, keys),
            witness=witness_of(self._home, identity, self._load_signer(self._home.key_path), self._clock, keys),
            client=self.client,
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

    @contextmanager
    def _calling(self) -> Iterator[HubClient]:
        client = self.client()
        try:
            yield client
        finally:
            client.close()

    def _client(self, sleep: Sleep) -> HubClient:
        identity = self._home.identity()
        return HubClient(
            hub_url=identity.hub_url,
            node_id=identity.node_id,
            signer=self._load_signer(self._home.key_path),
            clock=self._clock,
            sleep=sleep,
        )

    def _keyring(self, signer: Signer) -> Keyring:
        identity = self._home.identity()
        return Keyring(
            folder=self._home.directory, signer=signer, node_id=identity.node_id, department=identity.department
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

    def _watch(self, client: HubClient, signer: Signer, passed: Passed) -> SourceWatch:
        return SourceWatch(client=client, signer=signer, clock=self._clock, open_source=self.open_source, passed=passed)

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
