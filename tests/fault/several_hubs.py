"""Several processes of one hub behind a balancer, and callers who must not notice what becomes of the processes."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
from sqlalchemy import func, select

from datong.adapters.launcher import Launched
from datong.app.fsck import check
from datong.app.hub import Hub
from datong.kernel import PLATFORM_ACTOR, Settings
from datong.kernel.settings import without_settings
from datong.ledger import EntryKind, verify_log
from datong.ledger.tables import ENTRIES
from datong.sharing import Role, tables
from tests.fault.balancer import Balancer
from tests.free_ports import free_port
from tests.processes import datong

CALLERS = 3
PAUSE_SECONDS = 0.03
"""Between two calls of one caller: a drill is about what happens to them, not about how many there are."""
ATTEMPTS_MAX = 40
AGAIN_SECONDS = 0.1
START_SECONDS_MAX = 180
PASSWORD = "operator-of-several-hubs"
Start = Callable[[Path, Mapping[str, str]], Launched]
"""Starts `datong hub serve`, which writes to a file, with settings."""


class Calls(NamedTuple):
    """What callers ask for: bodies of verifications of one resource, by the token of a program of `consumer`."""

    resource_id: str
    consumer: str
    token: str
    bodies: list[str]


class Acknowledged(NamedTuple):
    """What a caller was told to be done."""

    key: str
    access_id: str


class Caller:
    """Verifies citizens and creates applications through the balancer, one after the other, until told to stop.

    A call is repeated with its Idempotency-Key when no answer came, or 502 to 504.
    """

    def __init__(self, number: int, port: int, calls: Calls, session: str, stop: threading.Event) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.appended: list[str] = []
        self.failed: list[str] = []
        self.repeated: list[str] = []
        self._number, self._port, self._calls, self._session, self._stop = number, port, calls, session, stop
        self.thread = threading.Thread(target=self._run, name=f"caller-{number}")

    def _run(self) -> None:
        count = 0
        path = f"/gateway/v1/{self._calls.resource_id}/verify"
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=60, trust_env=False) as client:
            while not self._stop.is_set():
                key = f"caller-{self._number}-{count}"
                headers = {"Authorization": f"Bearer {self._calls.token}", "Idempotency-Key": key}
                body = self._calls.bodies[count % len(self._calls.bodies)]
                answer = self._sent(client, path, body, {**headers, "Content-Type": "application/json"})
                if answer is not None:
                    self.acknowledged.append(Acknowledged(key, answer["access_id"]))
                if count % 5 == 0:
                    self._append(client, key)
                count += 1
                self._stop.wait(PAUSE_SECONDS)

    def _append(self, client: httpx.Client, name: str) -> None:
        """Create an application, in a session that every hub knows; after a lost answer there may be two."""
        body = f'{{"name": "{name}", "department": "{self._calls.consumer}"}}'
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
            self.repeated.append(told)
            time.sleep(AGAIN_SECONDS)
        self.failed.append(told)
        return None


class Callers:
    """Callers at work from here to `stop`."""

    def __init__(self, port: int, calls: Calls, session: str) -> None:
        self._stop = threading.Event()
        self.all = [Caller(number, port, calls, session, self._stop) for number in range(CALLERS)]
        for caller in self.all:
            caller.thread.start()

    @property
    def acknowledged(self) -> int:
        """How many calls were acknowledged until now."""
        return sum(len(caller.acknowledged) for caller in self.all)

    def repeated(self) -> list[str]:
        """Return why calls were sent again."""
        return [told for caller in self.all for told in caller.repeated]

    def failed(self) -> list[str]:
        """Return what callers were told of calls that they gave up."""
        return [told for caller in self.all for told in caller.failed]

    def go_on(self, calls: int) -> None:
        """Return when so many more calls were acknowledged."""
        enough = self.acknowledged + calls
        until = time.monotonic() + START_SECONDS_MAX
        while self.acknowledged < enough:
            assert time.monotonic() < until, self.failed()
            time.sleep(0.02)

    def stop(self) -> None:
        """Let each end the call that it is at."""
        self._stop.set()
        for caller in self.all:
            caller.thread.join()


def _serve(log: Path, environment: Mapping[str, str]) -> Launched:
    return datong("hub", "serve", log=log, environment=environment)


class Hubs:
    """The processes of one hub, by their ports."""

    def __init__(self, settings: Settings, folder: Path, count: int = 2) -> None:
        self.ports = [free_port() for _ in range(count)]
        self._settings, self._folder = settings, folder
        self.balancer = Balancer(settings.port, self.ports)
        self.processes: dict[int, Launched] = {}

    def start(self, port: int, serve: Start | None = None) -> None:
        """Start a hub, of the working tree or by `serve`, and return when the balancer sends it work."""
        environment = {
            **without_settings(os.environ),
            "DATONG_HOME": str(self._settings.home),
            "DATONG_DATABASE_URL": self._settings.database_url,
            "DATONG_PUBLIC_URL": self._settings.base_url,
            "DATONG_PORT": str(port),
            # Thirty looks of the balancer, so that one that is held up is not sent to a closed door.
            "DATONG_DRAIN_SECONDS": "3",
            "DATONG_OBJECT_STORE": self._settings.object_store,
            "DATONG_OBJECT_STORE_ENDPOINT": self._settings.object_store_endpoint,
            "DATONG_OBJECT_STORE_KEY_ID": self._settings.object_store_key_id,
            "DATONG_OBJECT_STORE_SECRET": self._settings.object_store_secret,
        }
        log = self._folder / f"hub-{port}.log"
        self.processes[port] = (serve or _serve)(log, environment)
        until = time.monotonic() + START_SECONDS_MAX
        while port not in self.balancer.ready:
            assert self.processes[port].poll() is None, log.read_text(encoding="utf-8")[-3000:]
            assert time.monotonic() < until
            time.sleep(0.05)

    def end(self, port: int) -> None:
        """End a hub in good order."""
        self.processes[port].terminate()
        assert self.processes[port].wait(START_SECONDS_MAX) == 0

    def kill(self, port: int) -> None:
        """End a hub as a power cut would."""
        self.processes[port].kill()
        self.processes[port].wait(START_SECONDS_MAX)

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.balancer.close()


def open_operator(settings: Settings) -> None:
    """Give the hub an operator."""
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


def signed_in(settings: Settings) -> str:
    """Return the token of a session of the operator."""
    sign_in = {"username": "operator", "password": PASSWORD}
    return str(
        httpx.post(f"{settings.base_url}/api/v1/session", json=sign_in, timeout=60, trust_env=False).json()["token"]
    )


def verify(settings: Settings, callers: Sequence[Caller], folder: Path) -> None:
    """Check that all that was acknowledged is on record, once; that state and log agree; that the log verifies."""
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
