"""Two hubs on one PostgreSQL and one bucket behind a balancer, restarted one after the other and killed under load:
every request is answered, after the client's retries at most, everything that was acknowledged is on record, once, and
the log verifies.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from benchmarks.gateway import World, bodies_of, prepare
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from datong.adapters import ObjectStoreAccess
from datong.adapters.launcher import Launched
from datong.app.fsck import check
from datong.app.hub import Hub
from datong.kernel import PLATFORM_ACTOR, Settings
from datong.kernel.settings import without_settings
from datong.ledger import EntryKind, verify_log
from datong.ledger.tables import ENTRIES
from datong.sharing import Role, tables
from tests.fault.balancer import Balancer
from tests.object_server import start_object_server
from tests.processes import datong
from tests.servers import free_port, start_postgresql

SEED = int(os.environ.get("DATONG_FAULT_SEED", "20261128"))
HUBS = 2
CALLERS = 3
PAUSE_SECONDS = 0.03
"""Between two calls of one caller: the drill is about what happens to them, not about how many there are."""
ATTEMPTS_MAX = 40
AGAIN_SECONDS = 0.1
START_SECONDS_MAX = 60
PUBLISHED_SECONDS_MAX = 30
PASSWORD = "operator-of-several-hubs"


class Acknowledged(NamedTuple):
    """What a caller was told to be done."""

    key: str
    access_id: str


class Caller:
    """Verifies citizens and creates applications through the balancer, one after the other, until told to stop.

    A call is repeated with its Idempotency-Key when no answer came, or 502 to 504.
    """

    def __init__(self, number: int, port: int, world: World, session: str, stop: threading.Event) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.appended: list[str] = []
        self.failed: list[str] = []
        self.repeated = 0
        self._number, self._port, self._world, self._session, self._stop = number, port, world, session, stop
        self._bodies = bodies_of(world, "verify")
        self.thread = threading.Thread(target=self._run, name=f"caller-{number}")

    def _run(self) -> None:
        count = 0
        path = f"/gateway/v1/{self._world.agreement.resource_id}/verify"
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=20, trust_env=False) as client:
            while not self._stop.is_set():
                key = f"caller-{self._number}-{count}"
                headers = {"Authorization": f"Bearer {self._world.token}", "Idempotency-Key": key}
                body = self._bodies[count % len(self._bodies)]
                answer = self._sent(client, path, body, {**headers, "Content-Type": "application/json"})
                if answer is not None:
                    self.acknowledged.append(Acknowledged(key, answer["access_id"]))
                if count % 5 == 0:
                    self._append(client, key)
                count += 1
                self._stop.wait(PAUSE_SECONDS)

    def _append(self, client: httpx.Client, name: str) -> None:
        """Create an application, in a session that every hub knows; after a lost answer there may be two."""
        body = f'{{"name": "{name}", "department": "{self._world.agreement.consumer}"}}'
        headers = {"Authorization": f"Bearer {self._session}", "Content-Type": "application/json"}
        if self._sent(client, "/api/v1/applications", body, headers) is not None:
            self.appended.append(name)

    def _sent(self, client: httpx.Client, path: str, body: str, headers: dict[str, str]) -> dict[str, str] | None:
        told = ""
        for _ in range(ATTEMPTS_MAX):
            try:
                answer = client.post(path, content=body, headers=headers)
            except httpx.TransportError as error:
                told = repr(error)
            else:
                if answer.is_success:
                    found: dict[str, str] = answer.json()
                    return found
                told = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code not in (502, 503, 504):
                    break
            self.repeated += 1
            time.sleep(AGAIN_SECONDS)
        self.failed.append(told)
        return None


class Hubs:
    """The processes of one hub, by their ports."""

    def __init__(self, settings: Settings, folder: Path, balancer_port: int) -> None:
        self.ports = [free_port() for _ in range(HUBS)]
        self._settings, self._folder = settings, folder
        self.balancer = Balancer(balancer_port, self.ports)
        self.processes: dict[int, Launched] = {}

    def start(self, port: int) -> None:
        """Start a hub, and return when the balancer sends it work."""
        environment = {
            **without_settings(os.environ),
            "DATONG_HOME": str(self._settings.home),
            "DATONG_DATABASE_URL": self._settings.database_url,
            "DATONG_PUBLIC_URL": self._settings.base_url,
            "DATONG_PORT": str(port),
            "DATONG_DRAIN_SECONDS": "0.5",
            "DATONG_OBJECT_STORE": self._settings.object_store,
            "DATONG_OBJECT_STORE_ENDPOINT": self._settings.object_store_endpoint,
            "DATONG_OBJECT_STORE_KEY_ID": self._settings.object_store_key_id,
            "DATONG_OBJECT_STORE_SECRET": self._settings.object_store_secret,
        }
        log = self._folder / f"hub-{port}.log"
        self.processes[port] = datong("hub", "serve", log=log, environment=environment)
        until = time.monotonic() + START_SECONDS_MAX
        while port not in self.balancer.ready:
            assert self.processes[port].poll() is None, log.read_text(encoding="utf-8")[-3000:]
            assert time.monotonic() < until
            time.sleep(0.05)

    def restart(self, port: int) -> None:
        """End a hub in good order, and start it again."""
        self.processes[port].terminate()
        assert self.processes[port].wait(START_SECONDS_MAX) == 0
        self.start(port)

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.balancer.close()


@pytest.fixture
def url() -> Iterator[str]:
    server = start_postgresql(durable=True)
    made = make_url(server.create_database()).set(drivername="postgresql+psycopg")
    yield made.render_as_string(hide_password=False)
    server.stop()


@pytest.fixture
def bucket() -> Iterator[ObjectStoreAccess]:
    server = start_object_server()
    yield server.access()
    server.stop()


def test_hubs_are_restarted_and_killed_and_no_request_fails(
    url: str, bucket: ObjectStoreAccess, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    port = free_port()
    settings = Settings(
        home=tmp_path / "hub",
        port=port,
        database_url=url,
        token_seconds=3600,
        object_store=bucket.address,
        object_store_endpoint=bucket.endpoint,
        object_store_key_id=bucket.key_id,
        object_store_secret=bucket.secret,
    )
    world = prepare(settings, tmp_path, 60)
    _open_operator(settings)
    hubs = Hubs(settings, tmp_path, port)
    stop = threading.Event()
    callers: list[Caller] = []
    try:
        for one in hubs.ports:
            hubs.start(one)
        sign_in = {"username": "operator", "password": PASSWORD}
        session = httpx.post(f"{settings.base_url}/api/v1/session", json=sign_in, trust_env=False).json()["token"]
        callers = [Caller(number, port, world, session, stop) for number in range(CALLERS)]
        for caller in callers:
            caller.thread.start()
        # 1. One after the other ends in good order, and comes back. Nobody even has to repeat a call.
        for one in hubs.ports:
            hubs.restart(one)
        assert [caller.failed for caller in callers] == [[]] * CALLERS
        in_good_order = sum(caller.repeated for caller in callers)
        # 2. One is killed. The other takes over what it did, the log included, without it.
        time.sleep(dice.random())
        killed = dice.choice(hubs.ports)
        hubs.processes[killed].send_signal(signal.SIGKILL)
        hubs.processes[killed].wait(START_SECONDS_MAX)
        before = sum(len(caller.acknowledged) for caller in callers)
        (left,) = set(hubs.ports) - {killed}
        _await_published(left)
        # 3. It comes back.
        hubs.start(killed)
        stop.set()
        for caller in callers:
            caller.thread.join()
        assert sum(len(caller.acknowledged) for caller in callers) > before
    finally:
        stop.set()
        for caller in callers:
            caller.thread.join()
        hubs.close()
    assert [caller.failed for caller in callers] == [[]] * CALLERS
    assert in_good_order == 0, "a call had to be repeated although its hub ended in good order"
    _verify(settings, callers, tmp_path / "export")


def _open_operator(settings: Settings) -> None:
    hub = Hub(settings)
    hub.services.identity.create_account(
        username="operator",
        password=PASSWORD,
        name="operator",
        department=None,
        roles=frozenset({Role.OPERATOR}),
        actor=PLATFORM_ACTOR,
    )
    hub.close()


def _await_published(port: int) -> None:
    """Return when the log has a newer checkpoint than now."""
    url = f"http://127.0.0.1:{port}/log/checkpoint"
    first = httpx.get(url, trust_env=False).text.splitlines()[1]
    until = time.monotonic() + PUBLISHED_SECONDS_MAX
    while httpx.get(url, trust_env=False).text.splitlines()[1] == first:
        assert time.monotonic() < until, "nobody took the log over"
        time.sleep(0.1)


def _verify(settings: Settings, callers: Sequence[Caller], folder: Path) -> None:
    hub = Hub(settings)
    try:
        while hub.services.ledger.integrate():
            pass
        acknowledged = [one for caller in callers for one in caller.acknowledged]
        assert acknowledged
        with hub.database.snapshot() as connection:
            recorded = set(connection.scalars(select(tables.access.c.id)))
            entered = connection.scalar(
                select(func.count()).select_from(ENTRIES).where(ENTRIES.c.kind == EntryKind.ACCESS.value)
            )
            names = set(connection.scalars(select(tables.application.c.name)))
        # Every call that was acknowledged is on record, and each was carried out once, however often it was sent.
        assert {one.access_id for one in acknowledged} == recorded
        assert len(recorded) == len(acknowledged) == entered
        assert {name for caller in callers for name in caller.appended} <= names
        report = check(hub, quiet=True)
        assert (report.faults, report.pending) == ((), 0)
        hub.services.ledger.export(folder)
        assert verify_log(folder, log_key=hub.signer.public_key).size == report.size
    finally:
        hub.close()
