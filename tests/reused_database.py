"""A PostgreSQL database that test after test gets empty: emptying takes 5 ms, a copy of the template 0.4 s."""

import psycopg
from psycopg import sql

from tests.servers import PostgresqlServer

OTHERS_END_MS = 10_000
_OTHERS = f"""
SELECT pg_terminate_backend(pid, {OTHERS_END_MS}) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_THINGS = """
WITH spaces AS (
    SELECT oid FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
), relations AS (
    SELECT oid, relname, relkind FROM pg_class WHERE relnamespace IN (SELECT oid FROM spaces)
)
SELECT
    (SELECT md5(string_agg(oid || relname || relkind::text, ',' ORDER BY oid)) FROM relations),
    (SELECT md5(string_agg(oid || proname, ',' ORDER BY oid)) FROM pg_proc
     WHERE pronamespace IN (SELECT oid FROM spaces)),
    (SELECT md5(string_agg(attrelid || attname || atttypid, ',' ORDER BY attrelid, attnum)) FROM pg_attribute
     WHERE attnum > 0 AND attrelid IN (SELECT oid FROM relations))
"""
"""What is in the database but for rows: relations, routines and columns, by their numbers and names."""
_FILLED = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
_SEQUENCES = "SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences"

Things = tuple[object, ...]


class ReusedDatabase:
    """Copies of the database at the URL `template`, each in use until something other than rows was changed in it."""

    def __init__(self, server: PostgresqlServer, template: str) -> None:
        self._server, self._template = server, template
        self._url = ""
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        with psycopg.connect(template, autocommit=True) as connection:
            self._things = _things(connection)
            tables = [str(row[0]) for row in connection.execute(_FILLED.encode())]
            # What the template's tables hold, such as the schema's version, stays.
            emptied = [name for name in tables if not _has_rows(connection, name)]
            kept = set(tables) - set(emptied)
            deletions = sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name in emptied)
            self._emptying = deletions.as_bytes(connection)
        if kept != {"alembic_version"}:
            raise RuntimeError(f"tests would change rows that the template has: {sorted(kept)}")

    def take(self) -> str:
        """Return the URL of a database that equals the template."""
        if not self._url:
            self._url = self._server.create_database(template=self._template)
        return self._url

    def give_back(self) -> None:
        """Empty the database for the next test; one whose tables were changed is dropped instead."""
        if self._connection is None:
            # Kept from test to test: to connect takes as long as to empty.
            self._connection = psycopg.connect(self._url, autocommit=True)
            self._connection.execute(b"SET session_replication_role = replica")
        self._connection.execute(_OTHERS.encode())
        if _things(self._connection) == self._things:
            # All in one go: of a hundred statements, each on its own, only the ways there and back took time.
            self._connection.execute(self._emptying)
            self._connection.execute(_SEQUENCES.encode())
        else:
            self.close()
            self._server.drop_database(self._url)
            self._url = ""

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _things(connection: "psycopg.Connection[tuple[object, ...]]") -> Things | None:
    return connection.execute(_THINGS.encode()).fetchone()


def _has_rows(connection: "psycopg.Connection[tuple[object, ...]]", table: str) -> bool:
    statement = sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(table))
    found = connection.execute(statement).fetchone()
    return bool(found and found[0])
