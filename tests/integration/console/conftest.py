"""The seeded city behind a real server, on each control database, and Chromium in front of it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from sqlalchemy.engine import make_url
from starlette.staticfiles import StaticFiles

from datong.kernel import Database
from datong.web.application import create_app
from datong.web.routing import RouteIndex
from tests.integration.console.browser import AXE
from tests.integration.console.city import ConsoleCity
from tests.servers import PostgresqlServer

START_SECONDS_MAX = 120


class ServedCity:
    """The city and the address of its hub."""

    def __init__(self, city: ConsoleCity, url: str) -> None:
        self.city = city
        self.url = url


@contextmanager
def served(city: ConsoleCity) -> Iterator[ServedCity]:
    """Serve the city's hub on a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        app = create_app(city.hub)
        app.mount("/axe", StaticFiles(directory=AXE.parent))
        app.router.middleware_stack = RouteIndex(app.router)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        yield ServedCity(city, f"http://127.0.0.1:{port}")
        server.should_exit = True
        thread.join(START_SECONDS_MAX)


@pytest.fixture(scope="session", params=["sqlite"])
def console(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCity]:
    """The city, once for all tests of a file; one that wants it on PostgreSQL says so by an indirect parameter."""
    home = tmp_path_factory.mktemp(f"console-{request.param}")
    database = None
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        url = make_url(server.create_database()).set(drivername="postgresql+psycopg")
        database = Database(url.render_as_string(hide_password=False))
    city = ConsoleCity(home, database)
    city.build()
    with served(city) as running:
        yield running
    city.database.close()
