"""kill -9 of a process that applies to MariaDB, when its rows are in and its cursor is not: nothing, then once."""

import multiprocessing
import signal
import time
from datetime import UTC, datetime

import pytest
from pymysql.connections import Connection
from sqlalchemy.engine import make_url

from datong.adapters.connections import open_target
from datong.exchange import ApplyMode, Column, TargetPlan, TransferMode
from datong.kernel import TaskId
from tests.integration.exchange.samples import manifest_of, reader_of, record_batch

COLUMNS = (Column(name="id", type="int64"), Column(name="v", type="string"))
TASK = TaskId("task-1")
AT = datetime(2026, 1, 5, tzinfo=UTC)
ROWS = 300
WAIT_SECONDS_MAX = 240.0


def apply(url: str, sequence: int, value: str, mode: ApplyMode) -> bool:
    """Apply a batch; return whether the target held it before."""
    batch = record_batch([{"id": number, "v": value} for number in range(ROWS)], COLUMNS)
    manifest = manifest_of(batch, COLUMNS, sequence=sequence, run=sequence, mode=TransferMode.INCREMENT)
    plan = TargetPlan(table="t", mode=mode, key_columns=("id",) if mode.needs_keys else ())
    target = open_target(url)
    target.prepare(plan, COLUMNS)
    return target.apply(manifest, reader_of(batch), plan=plan, applied_at=AT).repeated


def connect(url: str) -> Connection:
    parts = make_url(url)
    assert parts.host
    assert parts.database
    return Connection(
        host=parts.host,
        port=parts.port or 0,
        user=parts.username,
        password=parts.password or "",
        database=parts.database,
        autocommit=True,
    )


def told(connection: Connection, query: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


@pytest.mark.parametrize("mode", [ApplyMode.APPEND, ApplyMode.UPSERT, ApplyMode.HISTORY])
def test_a_kill_before_the_commit_leaves_nothing_and_the_next_try_applies_once(mariadb: str, mode: ApplyMode) -> None:
    apply(mariadb, 1, "a", mode)
    looking, other = connect(mariadb), connect(mariadb)
    # Under this lock rows go in, and what is kept of the table beside them, the cursor included, waits.
    told(other, "LOCK TABLES _datong_digest READ")
    process = multiprocessing.get_context("fork").Process(target=apply, args=(mariadb, 2, "b", mode))
    process.start()
    waiting = "SELECT count(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE '%metadata lock%'"
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while told(looking, waiting) != [(1,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid is not None
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    other.close()
    versions = "SELECT v, count(*) FROM t GROUP BY v ORDER BY v"
    assert told(looking, versions) == [("a", ROWS)]
    assert [apply(mariadb, 2, "b", mode), apply(mariadb, 2, "b", mode)] == [False, True]
    assert told(looking, versions) == [("b", ROWS)] if mode is ApplyMode.UPSERT else [("a", ROWS), ("b", ROWS)]
    looking.close()
    applied = open_target(mariadb).last_applied(TASK)
    assert applied is not None
    assert applied.sequence == 2
