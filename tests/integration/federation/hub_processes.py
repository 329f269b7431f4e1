"""Real hub processes with filled catalogues, and people who call them."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import select

from datong.adapters.launcher import Launched
from datong.app.schema import migrate
from datong.catalogue import Departments, Resource, published_among
from datong.catalogue.tables import listing
from datong.kernel import PLATFORM_ACTOR, Database, ResourceId, Settings, SystemClock
from datong.kernel.settings import without_settings
from datong.kernel.tls import tls_context
from datong.ledger import Ed25519Signer, Ledger, MemoryTileStore
from datong.norms import load_pack
from datong.sharing import Identity, Role
from tests.catalogue_filling import Filled, fill
from tests.free_ports import free_port
from tests.processes import datong

PASSWORD = "correct horse battery"
START_SECONDS_MAX = 300
SETTLE_SECONDS_MAX = 600
"""Far beyond what a loaded machine needs: it only ends a test that would never end."""
IDS_AT_ONCE = 500


def settle(done: Callable[[], bool], seconds_max: float = SETTLE_SECONDS_MAX) -> None:
    """Wait until `done` returns true."""
    deadline = time.monotonic() + seconds_max
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@dataclass
class HubProcess:
    """`datong hub serve` in a process of its own, over an SQLite file that a test may read."""

    name: str
    home: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: Launched | None = None
    token: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Database:
        return Database(f"sqlite:///{self.home / 'control.sqlite'}")

    def prepare(self, resources: int, *, seed: int, open_percent: int = 50) -> Filled:
        """Make the schema, an operator's account and so many published resources."""
        self.home.mkdir(parents=True)
        database, clock = self.database, SystemClock()
        migrate(database)
        signer = Ed25519Signer.generate()
        ledger = Ledger(database=database, clock=clock, signer=signer, origin=self.name, tiles=MemoryTileStore())
        departments = Departments(database=database, clock=clock, ledger=ledger)
        identity = Identity(
            database=database, clock=clock, ledger=ledger, departments=departments, signer=signer, issuer=self.url
        )
        identity.create_account(
            username="operator",
            password=PASSWORD,
            name="运维员",
            roles=frozenset({Role.OPERATOR}),
            actor=PLATFORM_ACTOR,
            department=None,
        )
        filled = fill(database, load_pack(), resources, seed=seed, open_percent=open_percent)
        database.close()
        return filled

    def start(self) -> None:
        """Start the process and sign the operator in."""
        environment = without_settings(os.environ) | {
            "DATONG_HOME": str(self.home),
            "DATONG_PORT": str(self.port),
            "DATONG_LOG_ORIGIN": self.name,
            "DATONG_CASCADE_INTERVAL_SECONDS": "0.5",
            **self.environment,
        }
        self.process = datong("hub", "serve", log=self.home / "hub.log", environment=environment)
        settle(self._is_ready, START_SECONDS_MAX)
        answer = httpx.post(
            f"{self.url}/api/v1/session",
            json={"username": "operator", "password": PASSWORD},
            timeout=START_SECONDS_MAX,
            verify=tls_context(self.url),
        )
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "hub.log").read_text()[-4000:]
        try:
            return httpx.get(f"{self.url}/readyz", timeout=60, verify=tls_context(self.url)).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Call the REST interface as the operator."""
        return httpx.request(
            method,
            f"{self.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=600,
            verify=tls_context(self.url),
        )

    def visible(self) -> list[Resource]:
        """Return every resource that everybody sees."""
        database = self.database
        with database.snapshot() as connection:
            ids = [ResourceId(key) for key in connection.execute(select(listing.c.resource_id)).scalars()]
            found: list[Resource] = []
            for start in range(0, len(ids), IDS_AT_ONCE):
                found += published_among(connection, ids[start : start + IDS_AT_ONCE]).values()
        database.close()
        return found


def hub_process(name: str, folder: Path) -> HubProcess:
    """Return a hub that is not running yet."""
    port = free_port()
    return HubProcess(name=f"{name}.example/log", home=folder / name, port=port)


def settings_of(process: HubProcess) -> Settings:
    """Return the settings under which the process runs, for opening its hub in this one."""
    return Settings(home=process.home, port=process.port, log_origin=process.name)
