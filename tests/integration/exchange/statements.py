"""Statements that a department's own people run on a database of any engine, beside the platform."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pymysql
from sqlalchemy.engine import make_url


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
