"""A hub and two nodes in one process, over real HTTP and real databases; a node can be stopped at any step."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from datong.adapters.connections import open_changes, open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.exchange import ChangeSource, ColumnMap, Task, TaskDraft, TransferMode, data_columns
from datong.kernel import PLATFORM_ACTOR, AgreementId, DepartmentCode, NodeId, ResourceId, SystemClock, Text
from datong.node import NodeHome, NodeIdentity, NodeProgram, SourceEntry, Step
from datong.norms import load_pack
from tests.exchange_hub import TestHub, app_of
from tests.servers import free_port

PARTIES = ("police", "education")


class Killed(BaseException):
    """Stands for a kill: nothing of the node's own may catch it."""


class ExchangeWorld:
    """A hub with the nodes of `police` (it provides, from `source`) and `education` (it receives, in `target`)."""

    def __init__(self, folder: Path, port: int, *, source: str, target: str) -> None:
        self.folder = folder
        self.urls = dict(zip(PARTIES, (source, target), strict=True))
        self.hub = TestHub(folder / "hub")
        self.told: list[Text] = []
        key = base64.b64encode(self.hub.signer.public_key).decode()
        for party in PARTIES:
            home = NodeHome(folder / party)
            signer = load_or_create_signer(home.key_path)
            self.hub.keys.register(signer.key_id, signer.public_key, party, f"node-{party}")
            home.save_identity(
                NodeIdentity(
                    hub_url=f"http://127.0.0.1:{port}",
                    node_id=NodeId(f"node-{party}"),
                    name=party,
                    department=DepartmentCode(party),
                    log_origin="test.local/log",
                    log_key=key,
                    hub_public_key=key,
                )
            )
            home.add_source(SourceEntry(name="main", url=self.urls[party], writable=party == "education"))

    def task(
        self,
        table: str,
        columns: tuple[str, ...],
        keys: tuple[str, ...],
        mode: TransferMode,
        rows: int,
        *,
        cursor: str | None = None,
    ) -> Task:
        """Create a task with its first run requested."""
        draft = TaskDraft(
            agreement_id=AgreementId("agreement"),
            resource_id=ResourceId("resource"),
            resource_version=1,
            provider=DepartmentCode("police"),
            consumer=DepartmentCode("education"),
            producer_node=NodeId("node-police"),
            consumer_node=NodeId("node-education"),
            source="main",
            table=table,
            columns=tuple(ColumnMap(column=name, item=name) for name in columns),
            key_columns=keys,
            cursor_column=cursor,
            target_table="received",
            mode=mode,
            batch_rows=rows,
        )
        task = self.hub.exchange.create_task(draft, actor=PLATFORM_ACTOR)
        return self.request(task)

    def request(self, task: Task) -> Task:
        """Request one more run."""
        return self.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)

    def program(self, party: str, passed: Callable[[Step], None], changes: ChangeSource | None = None) -> NodeProgram:
        """Return a node's program as a new process would make it."""
        return NodeProgram(
            directory=self.folder / party,
            clock=SystemClock(),
            load_signer=load_or_create_signer,
            open_connector=open_connector,
            open_changes=lambda url: changes or open_changes(url),
            open_target=open_target,
            load_pack=lambda: load_pack(None),
            passed=passed,
            sleep=lambda seconds: time.sleep(min(seconds, 0.05)),
        )

    def work_off(self, party: str, kill_at: int | None = None) -> bool:
        """Let a node do its transfers until it is idle; stop it at step number `kill_at`; return whether it was."""
        left = kill_at

        def passed(_step: Step) -> None:
            nonlocal left
            if left is not None:
                left -= 1
                if left < 0:
                    raise Killed

        program = self.program(party, passed)
        client = program.client()
        try:
            loop = program.loop(client, self.told.append)
            while not client.work(0).is_empty:
                loop.round(0)
        except Killed:
            return True
        finally:
            client.close()
        return False

    def consume(self) -> None:
        """Let the receiving node apply everything that the hub holds."""
        assert not self.work_off("education")

    def round(self, party: str) -> None:
        """Let a node do one round of its work."""
        program = self.program(party, lambda _: None)
        client = program.client()
        try:
            program.loop(client, self.told.append).round(0)
        finally:
            client.close()

    def equal(self, task: Task) -> bool:
        """Whether source and target hold the same rows, by count and content digest."""
        columns = data_columns(self.hub.exchange.batches(task.id)[-1].manifest.columns)
        source, target = open_connector(self.urls["police"]), open_target(self.urls["education"])
        try:
            return source.digest(task.table, columns) == target.digest("received", columns)
        finally:
            source.close()
            target.close()


@contextmanager
def exchange_world(folder: Path, *, source: str, target: str) -> Iterator[ExchangeWorld]:
    """Serve a world's hub beside the block."""
    port = free_port()
    world = ExchangeWorld(folder, port, source=source, target=target)
    server = uvicorn.Server(uvicorn.Config(app_of(world.hub), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield world
    finally:
        server.should_exit = True
        thread.join(20)
