"""Two hubs on one PostgreSQL and one bucket behind a balancer, restarted one after the other and killed under load:
every request is answered, after the client's retries at most, everything that was acknowledged is on record, once, and
the log verifies.
"""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from benchmarks.gateway import bodies_of, prepare
from sqlalchemy.engine import make_url

from datong.adapters import ObjectStoreAccess
from datong.kernel import Settings
from tests.fault.several_hubs import Callers, Calls, Hubs, open_operator, signed_in, verify
from tests.free_ports import free_port
from tests.object_server import start_object_server
from tests.servers import start_postgresql

SEED = int(os.environ.get("DATONG_FAULT_SEED", "20261128"))
PUBLISHED_SECONDS_MAX = 120


@pytest.fixture
def url() -> Iterator[str]:
    server = start_postgresql(durable=True)
    made = make_url(server.create_database()).set(drivername="postgresql+psycopg")
    yield made.render_as_string(hide_password=False)
    server.stop()


@pytest.fixture
def bucket() -> Iterator[ObjectStoreAccess]:
    server = start_object_server()
    yield server.access()
    server.stop()


def test_hubs_are_restarted_and_killed_and_no_request_fails(
    url: str, bucket: ObjectStoreAccess, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    settings = Settings(
        home=tmp_path / "hub",
        port=free_port(),
        database_url=url,
        token_seconds=3600,
        object_store=bucket.address,
        object_store_endpoint=bucket.endpoint,
        object_store_key_id=bucket.key_id,
        object_store_secret=bucket.secret,
    )
    world = prepare(settings, tmp_path, 60)
    calls = Calls(world.agreement.resource_id, world.agreement.consumer, world.token, bodies_of(world, "verify"))
    open_operator(settings)
    hubs = Hubs(settings, tmp_path)
    callers = None
    try:
        for one in hubs.ports:
            hubs.start(one)
        callers = Callers(settings.port, calls, signed_in(settings))
        # 1. One after the other ends in good order, and comes back. Nobody even has to repeat a call.
        for one in hubs.ports:
            hubs.end(one)
            hubs.start(one)
        assert callers.failed() == []
        in_good_order = callers.repeated()
        # 2. One is killed. The other takes over what it did, the log included, without it.
        time.sleep(dice.random())
        killed = dice.choice(hubs.ports)
        hubs.kill(killed)
        before = callers.acknowledged
        (left,) = set(hubs.ports) - {killed}
        _await_published(left)
        # 3. It comes back.
        hubs.start(killed)
        callers.stop()
        assert callers.acknowledged > before
    finally:
        if callers is not None:
            callers.stop()
        hubs.close()
    assert callers.failed() == []
    assert in_good_order == [], "a call had to be repeated although its hub ended in good order"
    verify(settings, callers.all, tmp_path / "export")


def _await_published(port: int) -> None:
    """Return when the log has a newer checkpoint than now."""
    url = f"http://127.0.0.1:{port}/log/checkpoint"
    first = httpx.get(url, timeout=60, trust_env=False).text.splitlines()[1]
    until = time.monotonic() + PUBLISHED_SECONDS_MAX
    while httpx.get(url, timeout=60, trust_env=False).text.splitlines()[1] == first:
        assert time.monotonic() < until, "nobody took the log over"
        time.sleep(0.1)
