"""Two departments that exchange over a real hub: five processes and three links, each of which may fail at any time."""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psycopg
from benchmarks import agreed

from datong.adapters.launcher import Launched
from datong.app.hub import Hub
from datong.exchange import Progress, Retry, Task, TransferMode
from datong.kernel import BatchId, DepartmentCode, Settings, TaskId
from datong.kernel.settings import without_settings
from datong.ledger import verify_log
from tests.fault.proxy import FaultProxy
from tests.free_ports import free_port
from tests.processes import datong
from tests.servers import start_postgresql

ROWS = 1500
BATCH_ROWS = 300
SETTLE_SECONDS_MAX = 240.0
POLL_SECONDS = 0.2
RETRY = Retry(delay_seconds=1)
TABLES = {"followed": TransferMode.INCREMENT, "copied": TransferMode.SNAPSHOT}
"""One table is followed by its high-water mark, one is copied whole in each run."""
DEFINITION = (
    "id bigint PRIMARY KEY, name text, note text, amount numeric(18,4), born date, at timestamptz NOT NULL, mark bytea"
)
COLUMNS = ("id", "name", "note", "amount", "born", "at", "mark")
CHANGE = """
INSERT INTO {table} SELECT n, '人' || n, CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE md5('{seed}' || n) || '𠮷' END,
  ({seed} % 1000) + n / 7.0, date '1950-01-01' + (n % 20000)::int, clock_timestamp(), decode(md5(n::text), 'hex')
FROM (SELECT DISTINCT (random() * {span})::bigint AS n FROM generate_series(1, {rows})) AS chosen
ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.note, amount = EXCLUDED.amount, at = EXCLUDED.at
"""
SUM = "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM (SELECT {columns} FROM {table}) AS t"


class Part(NamedTuple):
    """A process or a server that can be killed and started again."""

    kill: Callable[[], None]
    start: Callable[[], None]


class Program:
    """One `datong` process below a folder; `environment` is all that it is told besides its arguments."""

    def __init__(self, arguments: tuple[str, ...], *, log: Path, environment: dict[str, str]) -> None:
        self._arguments = arguments
        self._log = log
        self.environment = environment
        self._running: Launched | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Start it."""
        self._running = datong(*self._arguments, log=self._log, environment=self.environment)

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None


class World:
    """The hub, the producing and the consuming node, their databases, and a proxy before each server.

    `control` is the engine of the hub's control database; on PostgreSQL it lives on the target's server, so that
    killing this server takes the hub's memory too.
    """

    def __init__(self, folder: Path, *, control: str, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.servers = {end: start_postgresql(durable=True) for end in ("source", "target")}
        self.links = {end: FaultProxy(free_port(), server.port, seed=seed) for end, server in self.servers.items()}
        self.databases = {end: server.create_database() for end, server in self.servers.items()}
        port = free_port()
        self.links["hub"] = FaultProxy(free_port(), port, seed=seed)
        settings = {
            "home": folder / "hub",
            "port": port,
            "public_url": self.links["hub"].url,
            # A disk that is full is to be met here, not the refusal that usually comes before.
            "disk_reserve_mb": 0,
        }
        if control == "postgresql":
            settings["database_url"] = "postgresql+psycopg" + self.servers["target"].create_database()[10:]
        self.hub = Hub(Settings.model_validate(settings))
        agreed.register_departments(self.hub)
        self.nodes = {
            "producer": self._enrol("producer", agreed.PROVIDER, "source", writable=False),
            "consumer": self._enrol("consumer", agreed.CONSUMER, "target", writable=True),
        }
        told = {f"DATONG_{name.upper()}": str(value) for name, value in settings.items()}
        own = without_settings(os.environ)
        self.programs = {"hub": Program(("hub", "serve"), log=folder / "hub.log", environment={**own, **told})}
        for name in self.nodes:
            run = ("node", "run", "--home", str(folder / name))
            self.programs[name] = Program(run, log=folder / f"{name}.log", environment=dict(own))
        self.tasks = {table: self._prepare(table) for table in TABLES}
        self._seen: dict[TaskId, list[BatchId]] = {}

    @property
    def parts(self) -> dict[str, Part]:
        """Everything that can be killed, by name."""
        programs = {name: Part(program.kill, program.start) for name, program in self.programs.items()}
        return programs | {end: Part(server.kill, server.start_again) for end, server in self.servers.items()}

    def start(self) -> None:
        """Start the three programs."""
        for program in self.programs.values():
            program.start()

    def wait_for_hub(self) -> None:
        """Wait until the hub answers."""
        agreed.wait_healthy(f"{self.links['hub'].url}/healthz", self.folder / "hub.log")

    def close(self) -> None:
        """Stop everything and remove the databases."""
        for program in self.programs.values():
            program.kill()
        self.hub.close()
        for link in self.links.values():
            link.close()
        for server in self.servers.values():
            server.stop()

    def change(self, rows: int = ROWS) -> None:
        """Change, add and, in the copied table, delete rows at the source."""
        with self.connect("source") as connection:
            for table, mode in TABLES.items():
                seed = self.random.randrange(1 << 30)
                connection.execute(f"SELECT setseed({self.random.random()})".encode())
                connection.execute(CHANGE.format(table=table, seed=seed, span=2 * rows, rows=rows).encode())
                if mode is TransferMode.SNAPSHOT:
                    connection.execute(f"DELETE FROM {table} WHERE id % 11 = {self.random.randrange(11)}".encode())

    def request(self, *tables: str) -> None:
        """Ask for a run of the tasks of `tables`, or of every task."""
        for task in [self.tasks[table] for table in tables or TABLES]:
            self.hub.services.exchange.request_run(task.id, actor=agreed.officer(task.consumer))

    def settle(self) -> None:
        """Wait until every requested run is done and receipted.

        Raises:
            AssertionError: it does not come to that in time; the message says where it stands.
        """
        until = time.monotonic() + SETTLE_SECONDS_MAX
        while time.monotonic() < until:
            if all(self._settled(task) for task in self.tasks.values()):
                return
            time.sleep(POLL_SECONDS)
        raise AssertionError(self.state())

    def check(self) -> None:
        """Check that both ends hold the same rows, each batch once, and that the log accounts for all of it."""
        for table, task in self.tasks.items():
            assert self.sum("source", table) == self.sum("target", table), self.state()
            ids = self._batch_ids(task)
            assert len(set(ids)) == len(ids)
            progress = self.hub.services.exchange.progress(task.id)
            assert progress.rows == progress.rows_applied, self.state()
            with self.connect("target") as connection:
                cursors = connection.execute(
                    b"SELECT sequence FROM _datong_applied WHERE task_id = %s", (task.id,)
                ).fetchall()
            assert cursors == [(len(ids),)], (cursors, len(ids), self.state())
        left = list((self.folder / "producer" / "spool").iterdir())
        assert not left, (left, self.state())

    def check_log(self) -> None:
        """Check the transparency log from its public files, as anybody can."""
        ledger, public = self.hub.services.ledger, self.folder / "public-log"
        ledger.integrate()
        ledger.export(public)
        report = verify_log(public, log_key=self.hub.signer.public_key)
        assert report.size >= sum(self.progress(table).batches for table in TABLES)

    def progress(self, table: str) -> Progress:
        """How far the task of a table has come."""
        return self.hub.services.exchange.progress(self.tasks[table].id)

    def sum(self, end: str, table: str) -> tuple[object, ...]:
        """Return the number of rows and an order-independent sum over their texts."""
        with self.connect(end) as connection:
            found = connection.execute(SUM.format(columns=", ".join(COLUMNS), table=table).encode()).fetchone()
        assert found is not None
        return tuple(found)

    def connect(self, end: str) -> "psycopg.Connection[tuple[object, ...]]":
        """Connect to a database directly, past its proxy."""
        return psycopg.connect(self.databases[end], autocommit=True, options="-c TimeZone=UTC")

    def state(self) -> str:
        """Return where everything stands, for the message of a failure."""
        facts = {table: self.progress(table).model_dump(mode="json") for table in TABLES}
        logs = [f"--- {name}\n{_end_of(self.folder / f'{name}.log')}" for name in self.programs]
        return "\n".join([json.dumps(facts, ensure_ascii=False, indent=1), *logs])

    def _batch_ids(self, task: Task) -> list[BatchId]:
        """Return the ids of a task's committed batches, whose numbers have no gap; those seen before are not read."""
        seen = self._seen.setdefault(task.id, [])
        while page := self.hub.services.exchange.batches(task.id, after_sequence=len(seen)):
            assert [one.manifest.sequence for one in page] == list(range(len(seen) + 1, len(seen) + len(page) + 1))
            seen += [one.manifest.batch_id for one in page]
        return seen

    def _settled(self, task: Task) -> bool:
        now = self.hub.services.exchange.task(task.id)
        progress = self.hub.services.exchange.progress(task.id)
        return now.run_done == now.run_requested and progress.receipted_batches == progress.batches

    def _enrol(self, name: str, department: DepartmentCode, end: str, *, writable: bool) -> agreed.Node:
        """Enrol a node that reaches its database through the proxy."""
        url = self.databases[end].replace(f":{self.servers[end].port}/", f":{self.links[end].port}/")
        return agreed.enrol_folder(self.hub, self.folder / name, department, url, writable=writable)

    def _prepare(self, table: str) -> Task:
        """Create the source table, and publish and agree on it, and make the task."""
        with self.connect("source") as connection:
            connection.execute(f"CREATE TABLE {table} ({DEFINITION})".encode())
        resource = agreed.publish(self.hub, self.nodes["producer"], table, [(name, None) for name in COLUMNS])
        agreement = agreed.agree(self.hub, resource, self.nodes["producer"], self.nodes["consumer"])
        mode = TABLES[table]
        draft = agreed.draft(
            agreement,
            self.nodes["producer"],
            self.nodes["consumer"],
            table,
            COLUMNS,
            cursor_column="at" if mode is TransferMode.INCREMENT else None,
            mode=mode,
            batch_rows=BATCH_ROWS,
            retry=RETRY,
        )
        return self.hub.services.exchange.create_task(draft, actor=agreed.officer(agreement.consumer))


def _end_of(path: Path) -> str:
    return path.read_text(errors="replace")[-1500:] if path.exists() else ""
