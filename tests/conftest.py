"""Fixtures that every package's tests share: real servers, and a control database on each engine."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from datong.kernel import METADATA, Database
from tests.servers import MariadbServer, PostgresqlServer, start_mariadb, start_postgresql

PACKAGES_WITH_TABLES = ("ledger", "norms", "catalogue", "exchange", "library", "sharing", "governance", "adapters")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL 15 server for the whole session."""
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


@pytest.fixture(params=["sqlite", "postgresql"])
def control_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh control database with every package's tables, on each engine in turn."""
    for package in PACKAGES_WITH_TABLES:
        if find_spec(f"datong.{package}.tables") is not None:
            import_module(f"datong.{package}.tables")
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'control.sqlite'}")
        METADATA.create_all(database.engine)
        yield database
        database.close()
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    url = server.create_database()
    database = Database(make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False))
    METADATA.create_all(database.engine)
    yield database
    database.close()
    server.drop_database(url)
