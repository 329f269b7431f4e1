import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.exc import StatementError

from datong.kernel import Database, UtcDateTime

PREPARED_AFTER = 5
"""Psycopg prepares a statement when it was asked so often on a connection."""
TABLE = Table("moment", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime, nullable=False))


def test_opening_a_database_loads_the_orm_before_any_thread_can() -> None:
    script = (
        "import sys; from datong.kernel import Database; Database('sqlite://'); print('sqlalchemy.orm' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "True"


def test_times_come_back_aware_in_utc_and_naive_ones_are_refused(control_database: Database) -> None:
    at = datetime.fromisoformat("2026-11-24T08:00:00.123456+08:00")
    with control_database.transaction() as connection:
        TABLE.create(connection)
        connection.execute(insert(TABLE).values(id=1, at=at))
    with control_database.snapshot() as connection:
        found = connection.execute(select(TABLE.c.at)).scalar_one()
    assert found == at
    assert found.tzinfo is UTC
    with pytest.raises(StatementError, match="naive"), control_database.transaction() as connection:
        connection.execute(insert(TABLE).values(id=2, at=at.replace(tzinfo=None)))


def test_a_transaction_that_raises_leaves_nothing(control_database: Database) -> None:
    with control_database.transaction() as connection:
        TABLE.create(connection)
    with pytest.raises(StatementError), control_database.transaction() as connection:
        connection.execute(insert(TABLE), [{"id": 1, "at": datetime.now(UTC)}, {"id": 1, "at": datetime.now(UTC)}])
    with control_database.snapshot() as connection:
        assert connection.execute(select(TABLE)).all() == []


def test_a_snapshot_leaves_statements_prepared(control_database: Database) -> None:
    with control_database.transaction() as connection:
        TABLE.create(connection)
    if control_database.is_sqlite:
        return
    for _ in range(PREPARED_AFTER + 1):
        with control_database.reading() as connection:
            connection.execute(select(TABLE.c.at)).all()
        with control_database.snapshot() as connection:
            connection.execute(select(TABLE.c.id)).all()
    with control_database.reading() as connection:
        prepared = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements").scalars().all()
    assert {statement.split(" ")[1] for statement in prepared} >= {"moment.at", "moment.id"}


def test_the_mark_changes_with_every_commit_and_with_nothing_else(tmp_path: Path) -> None:
    database, other = (Database(f"sqlite:///{tmp_path / 'hub.db'}") for _ in range(2))
    with other.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n)")
    mark = database.change_mark()
    assert mark is not None
    with database.snapshot() as connection:
        connection.exec_driver_sql("SELECT * FROM t")
    assert database.change_mark() == mark
    for changed in (database, other):
        with changed.transaction() as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert database.change_mark() != mark
        mark = database.change_mark()
    database.close()
    other.close()


def test_errors_of_the_database_do_not_repeat_what_was_bound(control_database: Database) -> None:
    """They are logged; what is bound to statements are people's values and the hashes of secrets."""
    people = Table("people", MetaData(), Column("citizen_id", String(18), primary_key=True), Column("n", Integer))
    with control_database.transaction() as connection:
        people.create(connection)
    with pytest.raises(StatementError) as met, control_database.transaction() as connection:
        connection.execute(insert(people), [{"citizen_id": "440604199107120012", "n": n} for n in (987654, 987655)])
    assert "98765" not in str(met.value)
    assert "hidden" in str(met.value)
