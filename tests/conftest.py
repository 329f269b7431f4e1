"""What all tests share: real servers, a control database on each engine, and the order and pace of a whole run."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import make_url
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from datong.app.schema import migrate
from datong.kernel import Database
from datong.kernel.collector import start
from tests.new_control import new_control
from tests.reused_database import ReusedDatabase
from tests.scheduling import order_of, scheduling
from tests.servers import MariadbServer, PostgresqlServer, start_mariadb, start_postgresql

EXAMPLES = {"datong": 40, "thorough": 500}
"""Of each property without a number of its own. Those of `make test-long`, the second, differ from run to run; the
first are the same in every run until the test changes, so that a run fails by what was changed."""
for _profile, _examples in EXAMPLES.items():
    settings.register_profile(
        _profile,
        deadline=None,
        max_examples=_examples,
        derandomize=_profile == "datong",
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("datong")
# Tests never assert on time: on a loaded machine an example may take as long as it likes.

COLLECTOR_THRESHOLDS = (20_000, 20, 20)

start()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first and the short ones of `LAST` last; within a file the order stays."""
    ranks = order_of([item.nodeid.partition("::")[0] for item in items])
    items.sort(key=lambda item: ranks[item.nodeid.partition("::")[0]])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Send files that share a world to one process."""
    return scheduling(config, log)


def pytest_collection_finish() -> None:
    """Set aside what was imported: looking through it again and again took a sixth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server for the whole session."""
    server = start_postgresql()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A MariaDB server for the whole session."""
    server = start_mariadb()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def mariadb(mariadb_server: MariadbServer) -> Iterator[str]:
    """The URL of an empty database of a MariaDB server."""
    url = mariadb_server.create_database()
    yield url
    mariadb_server.drop_database(url)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the newest schema, to be copied."""
    folder = tmp_path_factory.mktemp("control")
    new_control(folder).close()
    return folder / "control.sqlite"


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgresqlServer) -> str:
    """The URL of a PostgreSQL database with the newest schema, to be copied."""
    url = postgresql_server.create_database()
    database = Database(sqlalchemy_url(url))
    migrate(database)
    database.close()
    return url


@pytest.fixture(scope="session")
def reused_postgresql(postgresql_server: PostgresqlServer, migrated_postgresql: str) -> Iterator[ReusedDatabase]:
    """The PostgreSQL database that one test after the other has to itself."""
    reused = ReusedDatabase(postgresql_server, migrated_postgresql)
    yield reused
    reused.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def control_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh control database with the newest schema, on each engine in turn."""
    if request.param == "sqlite":
        database = new_control(tmp_path)
        yield database
        database.close()
        return
    reused: ReusedDatabase = request.getfixturevalue("reused_postgresql")
    database = Database(sqlalchemy_url(reused.take()))
    yield database
    database.close()
    reused.give_back()


def sqlalchemy_url(url: str) -> str:
    """Return the URL by which SQLAlchemy reaches the PostgreSQL database at `url`."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
