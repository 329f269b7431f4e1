"""A MariaDB database that tests change while a node captures it."""

import time
from contextlib import closing

import pymysql

from datong.adapters.binlog_connection import LogPlace
from tests.servers import MariadbServer


class MariadbSource:
    """A database of a test server."""

    def __init__(self, server: MariadbServer) -> None:
        self.server = server
        self.url = server.create_database()
        self.name = self.url.rsplit("/", 1)[1]

    def connect(self) -> "pymysql.connections.Connection":
        """Return a connection that commits at every statement."""
        return pymysql.connect(
            ssl_disabled=True,
            host="127.0.0.1",
            port=self.server.port,
            user=self.server.user,
            password=self.server.password,
            database=self.name,
            autocommit=True,
        )

    def run(self, *statements: str) -> None:
        """Run statements over one connection."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def values(self, statement: str) -> list[object]:
        """Return the first value of each row."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return [row[0] for row in cursor.fetchall()]

    def place(self) -> LogPlace:
        """Return the end of the log, without its mark."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW MASTER STATUS")
            (row,) = cursor.fetchall()
        return LogPlace(str(row[0]), int(row[1]), "")

    def purge(self) -> None:
        """Remove every file of the log but the newest; a reader that has just gone may hold one for a moment."""
        newest = self.place().file
        while len(self.values("SHOW BINARY LOGS")) > 1:
            self.run(f"PURGE BINARY LOGS TO '{newest}'")
            time.sleep(0.05)
