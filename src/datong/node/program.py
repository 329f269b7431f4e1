"""Everything that the command line asks of a node, put together from a node's folder."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from datong.catalogue import CrawlOptions, CrawlWatch, Department, Inventory, RecipientKey, SourcePlan
from datong.exchange import FileId, FileRecord
from datong.kernel import AgreementId, NotFound, TaskId, Text
from datong.node.dead_letters import DeadLetters
from datong.node.files import Progressed
from datong.node.home import NodeIdentity, SourceEntry
from datong.node.hub_client import HubClient
from datong.node.inventory import Crawler, send_plan
from datong.node.journal import InventoryJournal
from datong.node.key_change import accept_hub_key, change_key
from datong.node.live import LiveAnswerer
from datong.node.loop import Tell
from datong.node.parts import NodeParts, Stopped
from datong.node.schedule import InventorySchedule
from datong.node.steps import Step

INVENTORY = "inventory"
STOP_CHECK_SECONDS = 0.2
LIVE_STOP_SECONDS = 1.0


class NodeProgram(NodeParts):
    """One node, as its operator uses it."""

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


def _department(client: HubClient, identity: NodeIdentity) -> Department:
    found = next((one for one in client.departments() if one.code == identity.department), None)
    if found is None:
        raise NotFound(
            "node.department_unknown",
            what=Text(zh="平台上没有本节点的部门。", en="The hub does not know this node's department."),
            remedy=Text(zh="请联系平台运维。", en="Call the operator of the hub."),
        )
    return found
