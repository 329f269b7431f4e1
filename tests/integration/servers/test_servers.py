"""The server fixtures themselves: each engine starts, and gives fresh databases."""

from sqlalchemy import text

from datong.kernel import Database
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
