"""Real database servers for tests: PostgreSQL and MariaDB, each with its own data, port and socket.

Both refuse to run as root, so as root they run as the user their Debian package made. Durability is off unless a
benchmark asks for it: a test server never outlives its data. A server is stopped by its own process id.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psycopg
import pymysql

from tests.free_ports import free_port

POSTGRESQL_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
START_SECONDS = 120.0


def _as_user(user: str, command: Sequence[str]) -> list[str]:
    """Return `command` such that it runs as `user` when we are root, and as ourselves when not."""
    if os.geteuid() != 0:
        return list(command)
    account = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--", *command]


def _data_folder(user: str, prefix: str) -> Path:
    """Return a new folder under the system's temporary folder that `user` owns (short, for the socket's path)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o700)
    if os.geteuid() == 0:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def _stop(process: subprocess.Popen[bytes], first: signal.Signals) -> None:
    """End `process` by signal `first`; kill it when it does not follow."""
    if process.poll() is None:
        process.send_signal(first)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class DatabaseServer:
    """A running server; `create_database` returns the URL of a new empty database."""

    scheme: str
    port: int
    user: str
    password: str
    folder: Path
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals
    command: Sequence[str]
    log: Path
    _count: int = field(default=0)

    def url(self, database: str) -> str:
        """Return the URL of `database` on this server."""
        return f"{self.scheme}://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_name(self) -> str:
        """Return a database name not used before."""
        self._count += 1
        return f"t{self._count}_{os.getpid()}"

    def create_database(self) -> str:
        """Create an empty database and return its URL."""
        raise NotImplementedError

    def drop_database(self, url: str) -> None:
        """Drop the database that `create_database` made."""
        raise NotImplementedError

    def execute(self, statement: str) -> None:
        """Run one statement as the administrator."""
        raise NotImplementedError

    def kill(self) -> None:
        """End the server as a power cut would; its data stay."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start a killed server on its data and port, and return once it answers.

        Raises:
            RuntimeError: it did not answer in time; the message holds its log.
        """
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self.process = _launch(self.command, self.log)
            if _answers(self):
                return
            # Orphans of the killed server hold its shared memory until they notice that it is gone.
            time.sleep(0.2)
        raise RuntimeError(_silence(self))

    def stop(self) -> None:
        """Stop the server and remove its data."""
        _stop(self.process, self.stop_signal)
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgresqlServer(DatabaseServer):
    """PostgreSQL with logical decoding switched on."""

    def execute(self, statement: str) -> None:
        """Run one statement in the maintenance database, outside a transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def create_database(self, *, template: str | None = None) -> str:
        """Create a UTF-8 database, empty or a copy of the one at the URL `template`, and return its URL."""
        name = self.new_name()
        copied = f' TEMPLATE "{template.rsplit("/", 1)[1]}"' if template else ""
        self.execute(f'CREATE DATABASE "{name}"{copied}')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop the database, ending whoever is still connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{url.rsplit("/", 1)[1]}" WITH (FORCE)')


class MariadbServer(DatabaseServer):
    """MariaDB with utf8mb4 and a strict SQL mode."""

    def execute(self, statement: str) -> None:
        """Run one statement as the administrator."""
        connection = pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            autocommit=True,
            ssl_disabled=True,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def create_database(self) -> str:
        """Create an empty utf8mb4 database and return its URL."""
        name = self.new_name()
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop the database."""
        self.execute(f"DROP DATABASE IF EXISTS `{url.rsplit('/', 1)[1]}`")


Server = TypeVar("Server", bound=DatabaseServer)


def start_postgresql(*, durable: bool = False) -> PostgresqlServer:
    """Start a PostgreSQL server of our own and return it once it answers; `durable`: commits reach the disk.

    Raises:
        RuntimeError: it did not answer in time; the message holds its log.
    """
    folder = _data_folder("postgres", "dt-pg-")
    password = "only-for-tests"
    password_file = folder / "password"
    password_file.write_text(password)
    password_file.chmod(0o644)
    data = folder / "data"
    command = [str(POSTGRESQL_BIN / "initdb"), "-D", str(data), "-U", "datong", "--encoding=UTF8", "--locale=C.UTF-8"]
    command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync"]
    subprocess.run(_as_user("postgres", command), check=True, stdout=subprocess.DEVNULL, cwd="/")
    port = free_port()
    durability = "on" if durable else "off"
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "wal_level": "logical",
        "max_wal_senders": 8,
        "max_replication_slots": 8,
        "fsync": durability,
        "synchronous_commit": durability,
        "full_page_writes": durability,
        # A killed server syncs its data when it starts again: in one call, since 1,500 files took 2 to 5 s one by one.
        "recovery_init_sync_method": "syncfs",
        "shared_buffers": "64MB",
        "max_connections": 120,
    }
    command = [str(POSTGRESQL_BIN / "postgres"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    command, log = _as_user("postgres", command), folder / "server.log"
    process = _launch(command, log)
    server = PostgresqlServer("postgresql", port, "datong", password, folder, process, signal.SIGINT, command, log)
    return _ready(server)


def start_mariadb() -> MariadbServer:
    """Start a MariaDB server of our own and return it once it answers.

    Raises:
        RuntimeError: it did not answer in time; the message holds its log.
    """
    folder = _data_folder("mysql", "dt-my-")
    password = "only-for-tests"
    data = folder / "data"
    command = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    command += ["--skip-test-db"]
    subprocess.run(
        _as_user("mysql", command), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    port = free_port()
    start = folder / "start.sql"
    start.write_text(
        f"CREATE USER 'datong'@'%' IDENTIFIED BY '{password}';"
        "\nGRANT ALL ON *.* TO 'datong'@'%' WITH GRANT OPTION;\nDROP USER IF EXISTS ''@'localhost';\n"
        "FLUSH PRIVILEGES;\n"
    )
    start.chmod(0o644)
    command = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}"]
    command += [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}", f"--init-file={start}"]
    command += ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--skip-name-resolve"]
    command += ["--character-set-server=utf8mb4", "--log-bin=binlog", "--binlog-format=ROW", "--server-id=1"]
    command += ["--max-allowed-packet=64M", "--sync-binlog=0", f"--tmpdir={folder}"]
    command, log = _as_user("mysql", command), folder / "server.log"
    process = _launch(command, log)
    server = MariadbServer("mysql", port, "datong", password, folder, process, signal.SIGTERM, command, log)
    return _ready(server)


def _launch(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd="/", start_new_session=True)


def _ready(server: Server) -> Server:
    """Return `server` once it answers; stop it when it does not in time.

    Raises:
        RuntimeError: the message holds its log.
    """
    if _answers(server):
        return server
    text = _silence(server)
    server.stop()
    raise RuntimeError(text)


def _answers(server: DatabaseServer) -> bool:
    """Return whether the server answers in time."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        with suppress(psycopg.Error, pymysql.Error, OSError):
            server.execute("SELECT 1")
            return True
        time.sleep(0.1)
    return False


def _silence(server: DatabaseServer) -> str:
    return f"{server.scheme} server did not start:\n{server.log.read_text(errors='replace')[-4000:]}"
