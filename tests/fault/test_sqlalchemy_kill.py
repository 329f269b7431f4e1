"""kill -9 of a process that applies over SQLAlchemy, when its rows are in and its cursor is not: nothing, then once."""

import multiprocessing
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from datong.adapters.connections import open_target
from datong.exchange import ApplyMode, Column, TargetPlan, TransferMode
from datong.kernel import TaskId
from tests.integration.exchange.samples import manifest_of, reader_of, record_batch
from tests.servers import PostgresqlServer

COLUMNS = (Column(name="id", type="int64"), Column(name="v", type="string"))
PLAN = TargetPlan(table="t", mode=ApplyMode.HISTORY, key_columns=("id",))
TASK = TaskId("task-1")
AT = datetime(2026, 1, 5, tzinfo=UTC)
WAIT_SECONDS_MAX = 240.0


@pytest.fixture
def database(postgresql_server: PostgresqlServer) -> Iterator[str]:
    url = postgresql_server.create_database()
    yield url
    postgresql_server.drop_database(url)


def apply(url: str, sequence: int, value: str) -> bool:
    """Apply a batch of a thousand rows; return whether the target held it before."""
    batch = record_batch([{"id": number, "v": value} for number in range(1_000)], COLUMNS)
    manifest = manifest_of(batch, COLUMNS, sequence=sequence, run=sequence, mode=TransferMode.INCREMENT)
    target = open_target(url.replace("postgresql:", "postgresql+psycopg:", 1))
    target.prepare(PLAN, COLUMNS)
    return target.apply(manifest, reader_of(batch), plan=PLAN, applied_at=AT).repeated


def test_a_kill_before_the_commit_leaves_nothing_and_the_next_try_applies_once(database: str) -> None:
    apply(database, 1, "a")
    with psycopg.connect(database) as other:
        # Whoever holds this lets rows in, and stops the cursor that follows them.
        other.execute("SELECT 1 FROM _datong_applied FOR KEY SHARE")
        process = multiprocessing.get_context("fork").Process(target=apply, args=(database, 2, "b"))
        process.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE 'DELETE FROM %'"
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        with psycopg.connect(database, autocommit=True) as looking:
            while looking.execute(waiting).fetchone() != (1,):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert process.pid is not None
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    versions = "SELECT v, count(*), count(*) FILTER (WHERE _datong_current) FROM t GROUP BY v ORDER BY v"
    with psycopg.connect(database, autocommit=True) as looking:
        assert looking.execute(versions).fetchall() == [("a", 1_000, 1_000)]
        assert [apply(database, 2, "b"), apply(database, 2, "b")] == [False, True]
        assert looking.execute(versions).fetchall() == [("a", 1_000, 0), ("b", 1_000, 1_000)]
    applied = open_target(database).last_applied(TASK)
    assert applied is not None
    assert applied.sequence == 2
