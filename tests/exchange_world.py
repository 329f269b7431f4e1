"""A hub and two nodes in one process, over real HTTP and real databases; a node can be stopped at any step."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from datong.adapters.connections import open_connector, open_target
from datong.exchange import ChangeSource, ContentDigest, Task, TransferMode, data_columns
from datong.kernel import PLATFORM_ACTOR, NodeId, Text
from datong.node import NodeProgram, Step
from tests.exchange_hub import TestHub, app_of, task_draft
from tests.exchange_node import program_of
from tests.free_ports import free_port

PARTIES = ("police", "education")


class Killed(BaseException):
    """Stands for a kill: nothing of the node's own may catch it."""


def killed_after(steps: int | None) -> Callable[[Step], None]:
    """Return an observer that raises `Killed` when that many steps were passed; None: never."""
    left = steps

    def passed(_step: Step) -> None:
        nonlocal left
        if left is not None:
            left -= 1
            if left < 0:
                raise Killed

    return passed


class ExchangeWorld:
    """A hub with the nodes of `police` (it provides, from `source`) and `education` (it receives, in `target`)."""

    def __init__(self, folder: Path, port: int, *, source: str, target: str) -> None:
        self.folder = folder
        self.urls = dict(zip(PARTIES, (source, target), strict=True))
        self.hub = TestHub(folder / "hub")
        self.told: list[Text] = []
        for party in PARTIES:
            self.hub.enrol(folder / party, party, port, self.urls[party], writable=party == "education")

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
        draft = task_draft(
            table,
            columns,
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
        return program_of(self.folder / party, passed, changes)

    def work_off(self, party: str, kill_at: int | None = None) -> bool:
        """Let a node do its transfers until it is idle; stop it at step number `kill_at`; return whether it was."""
        program = self.program(party, killed_after(kill_at))
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

    def capture(
        self,
        until: int,
        number_of: Callable[[str], int],
        *,
        kill_at: int | None = None,
        changes: ChangeSource | None = None,
        watch_seconds: float | None = None,
    ) -> bool:
        """Let the providing node capture until its log is read up to the position numbered `until`.

        Stop it at step number `kill_at`; return whether it was stopped.
        """
        program = self.program("police", killed_after(kill_at), changes)
        client = program.client()
        work = self.hub.exchange.work_for(NodeId("node-police")).produce[0]
        try:
            program.capture(client, self.told.append, rest_seconds=0, watch_seconds=watch_seconds).produce(
                work, lambda seen: bool(seen) and number_of(seen) >= until
            )
        except Killed:
            return True
        finally:
            client.close()
        return False

    def modes(self, task: Task) -> list[str]:
        """Return the mode of each committed batch, in order."""
        return [record.manifest.mode.value for record in self.hub.exchange.batches(task.id)]

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

    def digest(self, task: Task) -> ContentDigest:
        """Return the content digest of the target."""
        columns = data_columns(self.hub.exchange.batches(task.id)[-1].manifest.columns)
        target = open_target(self.urls["education"])
        try:
            return target.digest("received", columns)
        finally:
            target.close()

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
