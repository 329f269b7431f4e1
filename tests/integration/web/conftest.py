"""A real hub behind a real uvicorn server on a free port, over each control database."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from datong.app.composition import compose
from datong.catalogue import Department
from datong.kernel import PLATFORM_ACTOR, Database, DepartmentCode, Settings, SystemClock, Text
from datong.kernel.tls import tls_context
from datong.ledger import Ed25519Signer
from datong.sharing import Role
from datong.web.application import HubApplication, create_app
from datong.web.hot_protocol import HotProtocol
from datong.web.routing import RouteIndex
from datong.web.services import Services
from tests.integration.console.browser import AXE
from tests.quick_passwords import HASHER

BUREAU = DepartmentCode("114406000000000193")
POLICE = DepartmentCode("12440600456000017N")
EDUCATION = DepartmentCode("524406005000000158")
PASSWORD = "correct horse battery"
START_SECONDS_MAX = 120


class RunningHub:
    """A hub that answers at `url`, and the clients of the people who use it."""

    def __init__(self, services: Services, url: str) -> None:
        self.services = services
        self.url = url
        self.opened = ExitStack()

    def client(self, **headers: str) -> httpx.Client:
        """Return a client without credentials."""
        client = httpx.Client(base_url=self.url, headers=headers, timeout=120, verify=tls_context(self.url))
        self.opened.callback(client.close)
        return client

    def person(self, username: str) -> httpx.Client:
        """Open an account and return a client that has signed in with it, by bearer token."""
        department, roles = PEOPLE[username]
        self.services.identity.create_account(
            username=username,
            password=PASSWORD,
            name=username,
            roles=frozenset(roles),
            actor=PLATFORM_ACTOR,
            department=department,
        )
        with self.client() as visitor:
            answer = visitor.post("/api/v1/session", json={"username": username, "password": PASSWORD})
            assert answer.status_code == 201, answer.text
        return self.client(Authorization=f"Bearer {answer.json()['token']}")


PEOPLE: dict[str, tuple[DepartmentCode | None, set[Role]]] = {
    "operator": (None, {Role.OPERATOR}),
    "authority": (BUREAU, {Role.AUTHORITY}),
    "police": (POLICE, {Role.DATA_OFFICER, Role.DEPARTMENT_HEAD}),
    "education": (EDUCATION, {Role.DATA_OFFICER}),
    "auditor": (BUREAU, {Role.AUDITOR}),
}


def with_axe(app: ASGIApp) -> ASGIApp:
    """Have the hub hand out axe, too."""
    assert isinstance(app, HubApplication)
    app.mount("/axe", StaticFiles(directory=AXE.parent))
    app.router.middleware_stack = RouteIndex(app.router)
    return app


@contextmanager
def running_hub(
    database: Database,
    home: Path,
    watched: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    host: str = "127.0.0.1",
    **chosen: Any,
) -> Iterator[RunningHub]:
    """Run a hub with three departments and nobody yet; `watched` may stand between the server and the hub.

    `host` is how it is reached (passkeys are bound to a name), `chosen` are further settings.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        url = f"http://{host}:{port}"
        settings = Settings(home=home, port=port, public_url=url, **chosen)
        settings.home.mkdir()
        services = compose(
            settings, clock=SystemClock(), signer=Ed25519Signer.generate(), database=database, hasher=HASHER
        )
        _populate(services)
        app = watched(create_app(services))
        server = uvicorn.Server(uvicorn.Config(app, http=HotProtocol, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started
        running = RunningHub(services, url)
        with running.opened:
            yield running
        server.should_exit = True
        thread.join()


@pytest.fixture
def hub(control_database: Database, tmp_path: Path) -> Iterator[RunningHub]:
    """A hub with three departments and nobody yet, on each control database."""
    with running_hub(control_database, tmp_path / "hub") as running:
        yield running


def _populate(services: Services) -> None:
    for code, name in ((BUREAU, "政数局"), (POLICE, "公安局"), (EDUCATION, "教育局")):
        text = Text(zh=name, en=name)
        services.departments.register(
            Department(code=code, name=text, short_name=text, is_authority=code == BUREAU), PLATFORM_ACTOR
        )
