"""Live calls from end to end: application, gateway, the process of a node, its database; and a node that is killed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from datong.adapters.file_keys import load_or_create_signer
from datong.adapters.launcher import Launched
from datong.ledger import EntryKind
from datong.node import NodeHome, NodeIdentity, SourceEntry
from tests.integration.web.conftest import EDUCATION, POLICE, RunningHub
from tests.integration.web.test_story import Node, agree, posted, publish
from tests.processes import datong
from tests.servers import PostgresqlServer

CITIZEN = "110101199003070011"
TIMEOUT_MILLISECONDS = 8_000
START_SECONDS_MAX = 240


class Town:
    """A police resource that is answered live, its node's folder, and an application that may ask."""

    def __init__(self, hub: RunningHub, folder: Path, source: str) -> None:
        self.hub, self.folder = hub, folder
        home = NodeHome(folder)
        operator, police, education = hub.person("operator"), hub.person("police"), hub.person("education")
        producer = Node(hub, operator, POLICE, load_or_create_signer(home.key_path))
        known = ("node_id", "department", "log_origin", "log_key", "hub_public_key")
        identity = {name: producer.answer[name] for name in known}
        home.save_identity(NodeIdentity.model_validate({"hub_url": hub.url, "name": "police"} | identity))
        home.add_source(SourceEntry(name="main", url=source, writable=False))
        self.resource = publish(producer, police, hub.person("authority"))
        agree(self.resource, police, education, (producer, Node(hub, operator, EDUCATION)))
        terms = {"timeout_milliseconds": TIMEOUT_MILLISECONDS, "calls_at_once_max": 4, "rows_max": 5}
        offered = police.put(f"/api/v1/resources/{self.resource}/live", json={"terms": terms})
        assert offered.status_code == 200, offered.text
        issued = posted(education, "/api/v1/applications", {"name": "招生系统", "department": EDUCATION})
        application = issued["application"]
        assert isinstance(application, dict)
        credentials = (str(application["client_id"]), str(issued["client_secret"]))
        with hub.client() as visitor:
            form = {"grant_type": "client_credentials"}
            token = visitor.post("/api/v1/oauth/token", data=form, auth=credentials).json()["access_token"]
        self.application = hub.client(Authorization=f"Bearer {token}")

    @contextmanager
    def node(self) -> Iterator[Launched]:
        """Run the node as its operators do, until the end of the block."""
        run, told = ("node", "run", "--home", str(self.folder)), os.environ | {"DATONG_LANGUAGE": "en"}
        process = datong(*run, log=self.folder / "node.log", environment=told)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(120)

    def ask(self, name: str) -> httpx.Response:
        """Verify a name."""
        body = {"key": {"citizen_id": CITIZEN}, "claims": {"name": name}, "purpose": "义务教育入学", "case_number": "1"}
        return self.application.post(f"/gateway/v1/{self.resource}/verify", json=body)

    def ask_until_answered(self, name: str) -> httpx.Response:
        """Verify a name as soon as the node is there and the service is let through again.

        On a busy machine a node that has only just begun answers too late at first.
        """
        until = time.monotonic() + START_SECONDS_MAX
        while (answer := self.ask(name)).status_code in {503, 504} and time.monotonic() < until:
            time.sleep(0.2)
        return answer


@pytest.fixture
def town(hub: RunningHub, tmp_path: Path, postgresql_server: PostgresqlServer) -> Iterator[tuple[Town, str]]:
    url = postgresql_server.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE people (id varchar(18) PRIMARY KEY, name text)")
        connection.execute("INSERT INTO people VALUES (%s, '王丽')", (CITIZEN,))
    yield Town(hub, tmp_path / "police", url), url
    postgresql_server.drop_database(url)


def test_a_node_killed_in_the_middle_is_a_timeout_and_its_successor_answers(town: tuple[Town, str]) -> None:
    world, url = town
    with world.node() as first:
        answer = world.ask_until_answered("王丽")
        assert (answer.status_code, answer.json()["results"]) == (200, {"name": "match"})
        with psycopg.connect(url) as holder, ThreadPoolExecutor(1) as pool:
            holder.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
            waiting = wait_for_reader(holder, lambda: pool.submit(world.ask, "王丽"))
            first.send_signal(signal.SIGKILL)
            first.wait(120)
            refused = waiting.result()
    assert (refused.status_code, refused.json()["code"]) == (504, "sharing.live_timeout")
    with world.node():
        answer = world.ask_until_answered("张伟")
        assert (answer.status_code, answer.json()["results"]) == (200, {"name": "no_match"})
    while world.hub.services.ledger.integrate():
        pass
    # Nothing was told by the call that failed: it left no access behind, and no row with anybody's key.
    assert world.hub.services.ledger.entries(kind=EntryKind.ACCESS).total == 2


def wait_for_reader(holder: psycopg.Connection, ask: Callable[[], Future[httpx.Response]]) -> Future[httpx.Response]:
    """Ask, again where a call is over before the node takes it up, until one waits for the lock that `holder` has."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'people'::regclass"
    until, asked = time.monotonic() + START_SECONDS_MAX, ask()
    while time.monotonic() < until:
        row = holder.execute(query).fetchone()
        if row is not None and row[0] and not asked.done():
            return asked
        if asked.done() and not (row is not None and row[0]):
            asked = ask()
        time.sleep(0.02)
    raise AssertionError("the node did not ask its database")
