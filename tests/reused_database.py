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
SELECT 'relation', n.nspname, c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'routine', n.nspname, p.proname, p.oid::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'column', a.attrelid::regclass::text, a.attname, a.atttypid::text FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND a.attnum > 0
ORDER BY 1, 2, 3, 4
"""
_FILLED = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
_SEQUENCES = "SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences"

Things = list[tuple[object, ...]]


class ReusedDatabase:
    """Copies of the database at the URL `template`, each in use until something other than rows was changed in it."""

    def __init__(self, server: PostgresqlServer, template: str) -> None:
        self._server, self._template = server, template
        self._url = ""
        self._things = _things(template)
        with psycopg.connect(template, autocommit=True) as connection:
            tables = [str(row[0]) for row in connection.execute(_FILLED.encode())]
            # What the template's tables hold, such as the schema's version, stays.
            self._emptied = [name for name in tables if not _has_rows(connection, name)]
            kept = set(tables) - set(self._emptied)
        if kept != {"alembic_version"}:
            raise RuntimeError(f"tests would change rows that the template has: {sorted(kept)}")

    def take(self) -> str:
        """Return the URL of a database that equals the template."""
        if not self._url:
            self._url = self._server.create_database(template=self._template)
        return self._url

    def give_back(self) -> None:
        """Empty the database for the next test; one whose tables were changed is dropped instead."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_OTHERS.encode())
            whole = _things(self._url) == self._things
            if whole:
                connection.execute(b"SET session_replication_role = replica")
                for name in self._emptied:
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
                connection.execute(_SEQUENCES.encode())
        if not whole:
            self._server.drop_database(self._url)
            self._url = ""


def _things(url: str) -> Things:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(_THINGS.encode()).fetchall()


def _has_rows(connection: "psycopg.Connection[tuple[object, ...]]", table: str) -> bool:
    statement = sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(table))
    found = connection.execute(statement).fetchone()
    return bool(found and found[0])
