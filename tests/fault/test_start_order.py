"""A hub that starts before its control database waits for it; one that is let nobody in says so at once."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from datong.app.waiting import wait_for_database
from datong.kernel import Database, Misconfigured, Unavailable
from tests.processes import datong
from tests.servers import PostgresqlServer, start_postgresql

DOWN_SECONDS = 1.0
DEAD_SECONDS_MAX = 0.5


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    started = start_postgresql()
    yield started
    started.stop()


def url_of(server: PostgresqlServer) -> str:
    url = make_url(server.create_database()).set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


@pytest.fixture
def later(server: PostgresqlServer) -> Iterator[threading.Thread]:
    """Starts the killed server again, a moment later."""

    def start() -> None:
        time.sleep(DOWN_SECONDS)
        server.start_again()

    thread = threading.Thread(target=start)
    yield thread
    thread.join()


def test_a_hub_waits_for_its_database(server: PostgresqlServer, later: threading.Thread, tmp_path: Path) -> None:
    url = url_of(server)
    server.kill()
    environment = {"DATONG_HOME": str(tmp_path), "DATONG_DATABASE_URL": url, "PATH": ""}
    hub = datong("hub", "init", log=tmp_path / "log", environment=environment)
    later.start()
    assert hub.wait(180) == 0, (tmp_path / "log").read_text(encoding="utf-8")


def test_a_database_that_stays_silent_is_named_without_its_password(
    server: PostgresqlServer, later: threading.Thread
) -> None:
    database = Database(url_of(server))
    server.kill()
    with pytest.raises(Unavailable, match=r"app\.database_silent") as caught:
        wait_for_database(database, seconds=DEAD_SECONDS_MAX)
    assert caught.value.field == "DATONG_DATABASE_URL"
    assert caught.value.__cause__ is None
    later.start()
    later.join()
    wait_for_database(database)
    database.close()


def test_a_database_that_lets_nobody_in_is_not_waited_for(server: PostgresqlServer) -> None:
    url = make_url(url_of(server))
    for wrong in (url.set(database="no_such_database"), url.set(username="nobody", password="wrong")):
        database = Database(wrong.render_as_string(hide_password=False))
        with pytest.raises(Misconfigured, match=r"app\.database_refused"):
            wait_for_database(database, seconds=3600)
        database.close()
