"""The server fixtures themselves: each engine starts, and gives fresh databases."""

import psycopg
import pytest
from sqlalchemy import text

from datong.kernel import Database
from tests.reused_database import ReusedDatabase
from tests.servers import MariadbServer, PostgresqlServer


def test_postgresql_answers_with_logical_decoding(postgresql_server: PostgresqlServer) -> None:
    database = Database(postgresql_server.create_database().replace("postgresql:", "postgresql+psycopg:"))
    with database.snapshot() as connection:
        assert connection.execute(text("SHOW wal_level")).scalar_one() == "logical"
    database.close()


def test_mariadb_gives_distinct_databases(mariadb_server: MariadbServer) -> None:
    first, second = mariadb_server.create_database(), mariadb_server.create_database()
    assert first != second


def test_control_database_has_tables(control_database: Database) -> None:
    with control_database.transaction() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_used_database_is_handed_on_as_new(reused_postgresql: ReusedDatabase) -> None:
    row = b"INSERT INTO ledger_entry (id, kind, subject, at, leaf, leaf_hash) VALUES ('i', 'k', 's', now(), '', '')"
    url = reused_postgresql.take()
    for _ in range(2):
        left_open = psycopg.connect(url, autocommit=True)
        assert left_open.execute(row + b" RETURNING serial").fetchone() == (1,)
        reused_postgresql.give_back()
        assert reused_postgresql.take() == url
        with pytest.raises(psycopg.OperationalError):
            left_open.execute(b"SELECT 1")
        left_open.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"ALTER TABLE ledger_entry ADD COLUMN extra text")
    reused_postgresql.give_back()
    assert reused_postgresql.take() != url
