"""Two versions of a hub over one PostgreSQL, upgraded under load: no call fails, none is lost or done twice."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from datong.app.schema import revision_of
from datong.kernel import Database, Settings
from datong.ledger import EntryKind
from tests.fault.code_trees import NEXT_REVISION, of_next, of_released
from tests.fault.several_hubs import PASSWORD, Callers, Calls, Hubs, signed_in, verify
from tests.free_ports import free_port
from tests.servers import start_postgresql

VERSION = "import json, datong; print(json.dumps(datong.__version__))"
ANSWER_SECONDS_MAX = 60
CALLS = 25
"""Of each step, before the next: so many are acknowledged with the processes as they are."""
NEW_EACH = httpx.Limits(max_keepalive_connections=0)
"""Each request by a connection of its own, which the balancer sends to the next process."""
PREPARE = """
import json, sys
from pathlib import Path
from benchmarks.gateway import bodies_of, prepare
from datong.app.hub import Hub
from datong.kernel import PLATFORM_ACTOR, Settings
from datong.sharing import Role

home, port, url, password = sys.argv[1:]
settings = Settings(home=Path(home), port=int(port), database_url=url, token_seconds=3600)
world = prepare(settings, Path(home).parent, 60)
hub = Hub(settings)
hub.services.identity.create_account(
    username="operator", password=password, name="operator", department=None,
    roles=frozenset({Role.OPERATOR}), actor=PLATFORM_ACTOR,
)
hub.close()
agreement = world.agreement
print(json.dumps([agreement.resource_id, agreement.consumer, world.token, bodies_of(world, "verify")]))
"""
"""Run by the old version: its tables, its library, its agreement, its tokens."""


@pytest.fixture
def url() -> Iterator[str]:
    server = start_postgresql(durable=True)
    made = make_url(server.create_database()).set(drivername="postgresql+psycopg")
    yield made.render_as_string(hide_password=False)
    server.stop()


def answer(settings: Settings, *versions: str) -> None:
    """Return when each of these versions has answered behind the balancer, and no other."""
    seen: set[str] = set()
    until = time.monotonic() + ANSWER_SECONDS_MAX
    with httpx.Client(base_url=settings.base_url, trust_env=False, timeout=60, limits=NEW_EACH) as client:
        while seen != set(versions):
            assert time.monotonic() < until, seen
            seen |= {client.get("/healthz").json()["version"] for _ in range(4)}
            assert seen <= set(versions)


def test_a_hub_is_upgraded_process_by_process_and_no_call_fails(url: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "hub", port=free_port(), database_url=url, token_seconds=3600)
    old, new = of_released(tmp_path / "old"), of_next(tmp_path / "new")
    with closing(old), closing(new):
        made = old.told(PREPARE, str(settings.home), str(settings.port), url, PASSWORD, scratch=tmp_path)
        assert isinstance(made, list)
        calls = Calls(*made)
        before, was = _revision(url), str(old.told(VERSION, scratch=tmp_path))
        hubs = Hubs(settings, tmp_path)
        first, second = hubs.ports
        callers = None
        try:
            hubs.start(first, old.serve)
            hubs.start(second, old.serve)
            callers = Callers(settings.port, calls, signed_in(settings))
            callers.go_on(CALLS)
            answer(settings, was)
            # 1. One process ends; the new version brings the tables forward under the other, which goes on.
            hubs.end(first)
            hubs.start(first, new.serve)
            assert before < _revision(url) == NEXT_REVISION
            callers.go_on(CALLS)
            answer(settings, was, NEXT_REVISION)
            # 2. The old one dies, and the service starts it again, on tables that are newer than it knows.
            hubs.kill(second)
            callers.go_on(CALLS)
            hubs.start(second, old.serve)
            callers.go_on(CALLS)
            answer(settings, was, NEXT_REVISION)
            # 3. It is upgraded, too.
            hubs.end(second)
            hubs.start(second, new.serve)
            callers.go_on(CALLS)
            answer(settings, NEXT_REVISION)
        finally:
            if callers is not None:
                callers.stop()
            hubs.close()
    assert callers.failed() == []
    verify(settings, callers.all, tmp_path / "export")
    with closing(Database(url)) as database, database.snapshot() as connection:
        # What old processes wrote into grown tables has the default.
        weights = text("SELECT DISTINCT drill_weight FROM ledger_entry WHERE kind = :kind")
        assert connection.scalars(weights, {"kind": EntryKind.ACCESS.value}).all() == [1]


def _revision(url: str) -> str:
    with closing(Database(url)) as database, database.snapshot() as connection:
        found = revision_of(connection)
        assert found is not None
        return found
