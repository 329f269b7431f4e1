"""Statements that a department's own people run on a database of any engine, beside the platform."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pymysql
from sqlalchemy.engine import make_url

GOING_SECONDS_MAX = 240.0


def run(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run `statements` one by one, each committed; return the rows of the last one."""
    parts = make_url(url)
    engine = parts.get_backend_name()
    rows: list[tuple[object, ...]] = []
    if engine == "sqlite":
        with closing(sqlite3.connect(Path(parts.database or ""))) as connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
                connection.commit()
        return rows
    if engine == "postgresql":
        with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as postgresql:
            for statement in statements:
                cursor = postgresql.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows
    with closing(
        pymysql.connect(
            ssl_disabled=True,
            host=parts.host or "",
            port=parts.port or 0,
            user=parts.username or "",
            password=str(parts.password),
            database=parts.database,
            autocommit=True,
            charset="utf8mb4",
        )
    ) as mariadb:
        for statement in statements:
            with mariadb.cursor() as cursor:
                cursor.execute(statement)
                rows = list(cursor.fetchall())
    return rows


def connections_left(url: str) -> int:
    """Return how many clients besides this one the PostgreSQL database of `url` still has once those that go are gone.

    A server notices that a client went when it next reads or writes, and its own workers (autovacuum) are no clients.
    """
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    give_up_at = time.monotonic() + GOING_SECONDS_MAX
    while True:
        ((left,),) = run(url, others)
        assert isinstance(left, int)
        if left == 0 or time.monotonic() > give_up_at:
            return left
        time.sleep(0.05)
