"""A filled hub, once for each control database."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from datong.app.schema import migrate
from datong.kernel import Database
from tests.catalogue_filling import Filled, fill
from tests.conftest import sqlalchemy_url
from tests.integration.open.serving import OpenHub, served
from tests.servers import PostgresqlServer

RESOURCES = 420
OPEN_PERCENT = 55


@dataclass
class FilledHub:
    """A hub and what was put into its catalogue."""

    hub: OpenHub
    filled: Filled


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def filled_hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilledHub]:
    """A hub with some pages of open resources and others that are not, for tests that only read."""
    home = tmp_path_factory.mktemp(f"open-{request.param}")
    if request.param == "sqlite":
        database = Database(f"sqlite:///{home / 'control.sqlite'}")
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        database = Database(sqlalchemy_url(server.create_database()))
    migrate(database)
    with served(database, home / "hub") as hub:
        filled = fill(database, hub.services.pack, RESOURCES, open_percent=OPEN_PERCENT)
        yield FilledHub(hub, filled)
    database.close()
