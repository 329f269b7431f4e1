"""PostgreSQL's change log by logical decoding: a publication and a slot per task, a snapshot exported with the slot.

The stream is the replication protocol over psycopg's plain connection (`START_REPLICATION`, output plugin `pgoutput`).
A position is the end of a transaction, `X/Y`; `X/Y+n` means that n changes of the next transaction are past, which
happens only in transactions larger than a batch. The slot is advanced by `confirm` alone.
"""

import os
import select
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus

from datong.adapters.conversion import changes_lost
from datong.adapters.pgoutput import (
    ChangeDecoder,
    Relation,
    commit_end,
    relation_id_of,
    relation_of,
    truncated,
)
from datong.adapters.postgresql import PostgresqlDatabase
from datong.adapters.postgresql_catalog import literal, quoted, relation
from datong.adapters.postgresql_copy import READERS_MAX
from datong.exchange import Beginning, ChangePiece, Column, Following, ReadQuery
from datong.kernel import Conflict, Misconfigured, Text, Unavailable

LINGER_SECONDS = 0.2
"""How long committed changes may wait for others to share a batch with."""
PIECE_BYTES_MAX = 32 * 1024 * 1024
STATUS_INTERVAL_SECONDS = 10.0
SLOT_BUSY_ATTEMPTS_MAX = 20
SLOT_BUSY_SECONDS = 0.5
_EPOCH_SECONDS = 946_684_800
"""2000-01-01, from which the protocol counts its microseconds."""
_SETTINGS = (
    "-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=3 -c bytea_output=hex "
    "-c client_encoding=UTF8 -c standard_conforming_strings=on"
)
"""What makes a replication session print values as a snapshot reads them."""


def position_number(position: str) -> int:
    """Return a position's place in the log, without the count behind `+`."""
    high, low = position.partition("+")[0].split("/")
    return int(high, 16) << 32 | int(low, 16)


def position_text(number: int) -> str:
    """Return a place in the log as PostgreSQL writes it."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


class PostgresqlChanges:
    """The change log of one PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def begin(self, name: str, query: ReadQuery, columns: tuple[Column, ...]) -> Iterator[Beginning]:
        """Make slot and publication anew; yield the table as of the slot's first position.

        Raises:
            Misconfigured: `adapters.wal_level`, `adapters.replication_role`, `adapters.publication`.
            Conflict: `adapters.replica_identity`. Unavailable: the database does not answer.
        """
        with self._opened() as connection:
            self._check_server(connection)
            self._check_table(connection, query, columns)
            self._publish(connection, name, query.table)
            self._drop_slot(connection, name)
        with self._opened(replication=True) as session:
            command = f"CREATE_REPLICATION_SLOT {quoted(name)} LOGICAL pgoutput EXPORT_SNAPSHOT"
            made = session.pgconn.exec_(command.encode())
            if made.status != ExecStatus.TUPLES_OK:
                raise Unavailable(
                    "adapters.slot_not_made",
                    what=Text(
                        zh=f"无法创建复制槽：{_said(made.error_message)}",
                        en=f"The replication slot could not be made: {_said(made.error_message)}",
                    ),
                    remedy=Text(
                        zh="请检查 max_replication_slots 与 pg_hba.conf。",
                        en="Check max_replication_slots and pg_hba.conf.",
                    ),
                )
            position, snapshot = (bytes(made.get_value(0, place) or b"").decode() for place in (1, 2))
            # The snapshot lives as long as this session says nothing more.
            # All cores: the log is kept until the copy is made.
            readers = min(READERS_MAX, os.cpu_count() or 1)
            rows = PostgresqlDatabase(self._url).copy(query, columns, snapshot, readers=readers)
            yield Beginning(position=position, rows=rows)

    def follow(self, name: str, following: Following) -> "PostgresqlStream":
        """Return the changes after a position.

        Raises:
            ChangesLost: slot or publication are gone, were advanced by others, or the log was cut off.
            Unavailable: the database does not answer, or the slot is in use.
        """
        with self._opened() as connection:
            row = connection.execute(
                b"SELECT wal_status, confirmed_flush_lsn::text, active FROM pg_replication_slots "
                b"WHERE slot_name = %s AND database = current_database()",
                (name,),
            ).fetchone()
            published = connection.execute(b"SELECT 1 FROM pg_publication WHERE pubname = %s", (name,)).fetchone()
            if row is None or published is None:
                raise changes_lost(Text(zh="复制槽或发布已不存在", en="its replication slot or publication is gone"))
            if row[0] == "lost":
                raise changes_lost(
                    Text(zh="数据库已清除所需日志", en="the database has removed the log that is needed")
                )
            if position_number(str(row[1])) > position_number(following.confirmed):
                raise changes_lost(
                    Text(zh="复制槽的位置比平台确认的更靠后", en="its slot is further than the hub has confirmed")
                )
            expected = self._column_types(connection, following)
        session = self._connect(replication=True)
        try:
            return PostgresqlStream(session, name, following, expected)
        except BaseException:
            session.close()
            raise

    def kept_bytes(self, name: str) -> int:
        """Return how much of its log the database keeps for the slot."""
        with self._opened() as connection:
            row = connection.execute(
                b"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots "
                b"WHERE slot_name = %s",
                (name,),
            ).fetchone()
        return 0 if row is None or row[0] is None else int(str(row[0]))

    def forget(self, name: str) -> None:
        """Drop slot and publication; what is gone already is fine."""
        with self._opened() as connection:
            self._drop_slot(connection, name)
            connection.execute(f"DROP PUBLICATION IF EXISTS {quoted(name)}".encode())

    # Inside

    def _connect(self, *, replication: bool = False) -> "psycopg.Connection[tuple[object, ...]]":
        settings = {"options": _SETTINGS} | ({"replication": "database"} if replication else {})
        try:
            return psycopg.connect(make_conninfo(self._url, **settings), autocommit=True)
        except psycopg.OperationalError as error:
            if replication and "replication" in str(error):
                raise _no_right() from error
            raise self._unavailable() from error

    @contextmanager
    def _opened(self, *, replication: bool = False) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        connection = self._connect(replication=replication)
        try:
            yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise self._unavailable() from error
        finally:
            connection.close()

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            "adapters.source_unavailable",
            what=Text(zh="数据源无法访问。", en="The source does not answer."),
            remedy=Text(zh="请检查数据库及网络。", en="Check the database and the network."),
        )

    def _check_server(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        row = connection.execute(
            b"SELECT current_setting('wal_level'), rolreplication OR rolsuper FROM pg_roles "
            b"WHERE rolname = current_user"
        ).fetchone()
        level, allowed = ("", False) if row is None else row
        if level != "logical":
            raise Misconfigured(
                "adapters.wal_level",
                what=Text(
                    zh=f"数据库的 wal_level 为 {level}，不能捕获变更。",
                    en=f"The database's wal_level is {level}: changes cannot be captured.",
                ),
                remedy=Text(
                    zh="请由数据库管理员设置 wal_level = logical 并重启数据库，或改用比对增量方式。",
                    en="Have wal_level = logical set and the server restarted, or use the mode diff.",
                ),
            )
        if not allowed:
            raise _no_right()

    def _check_table(
        self, connection: "psycopg.Connection[tuple[object, ...]]", query: ReadQuery, columns: tuple[Column, ...]
    ) -> None:
        """Check that every change can be told without loss: by the keys, and with all values."""
        row = connection.execute(
            b"SELECT c.relkind::text, c.relreplident::text, c.reltoastrelid <> 0, "
            b"coalesce((SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid "
            b"AND a.attnum = ANY(i.indkey) WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN "
            b"i.indisreplident ELSE i.indisprimary END), '{}'), "
            b"coalesce((SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = c.oid "
            b"AND a.attnum > 0 AND a.attstorage <> 'p'), '{}') FROM pg_class c WHERE c.oid = %s::regclass",
            (relation(query.table),),
        ).fetchone()
        kind, identity, toasted, identifying, large = row if row is not None else ("v", "n", False, [], [])
        if kind not in {"r", "p"}:
            raise Conflict(
                "adapters.no_log_of_view",
                what=Text(zh=f"{query.table} 不是表，没有变更日志。", en=f"{query.table} is no table: it has no log."),
                remedy=Text(zh="请改用比对增量方式。", en="Use the mode diff."),
            )
        by_key = identity in {"d", "i"} and set(query.key_columns) == set(_names(identifying))
        may_miss = bool(toasted or kind == "p") and bool(
            set(_names(large)) & {column.name for column in columns} - set(query.key_columns)
        )
        if identity != "f" and (not by_key or may_miss):
            raise _identity_needed(query.table, by_key=by_key)

    def _publish(self, connection: "psycopg.Connection[tuple[object, ...]]", name: str, table: str) -> None:
        found = connection.execute(
            b"SELECT 1 FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid "
            b"WHERE p.pubname = %s AND r.prrelid = %s::regclass",
            (name, relation(table)),
        ).fetchone()
        if found is not None:
            return
        statement = (
            f"CREATE PUBLICATION {quoted(name)} FOR TABLE {relation(table)} WITH (publish_via_partition_root = true)"
        )
        try:
            connection.execute(f"DROP PUBLICATION IF EXISTS {quoted(name)}".encode())
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise Misconfigured(
                "adapters.publication",
                what=Text(
                    zh=f"节点账号无权为表 {table} 创建发布。",
                    en=f"The node's account may not publish the table {table}.",
                ),
                remedy=Text(
                    zh=f"请由表的所有者执行：{statement};",
                    en=f"Have the table's owner run: {statement};",
                ),
            ) from error

    def _drop_slot(self, connection: "psycopg.Connection[tuple[object, ...]]", name: str) -> None:
        """Drop the slot; a stream of a node that was killed may hold it for some moments yet."""
        for _ in range(SLOT_BUSY_ATTEMPTS_MAX):
            try:
                connection.execute(
                    b"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                    (name,),
                )
            except psycopg.errors.ObjectInUse:
                time.sleep(SLOT_BUSY_SECONDS)
            except psycopg.errors.InsufficientPrivilege as error:
                raise _no_right() from error
            else:
                return
        raise slot_busy()

    def _column_types(
        self, connection: "psycopg.Connection[tuple[object, ...]]", following: Following
    ) -> dict[str, tuple[int, int]]:
        rows = connection.execute(
            b"SELECT attname::text, atttypid::bigint, atttypmod FROM pg_attribute WHERE attrelid = to_regclass(%s) "
            b"AND attnum > 0 AND NOT attisdropped",
            (relation(following.table),),
        ).fetchall()
        known = {str(name): (int(str(kind)), int(str(modifier))) for name, kind, modifier in rows}
        return {column.name: known[column.name] for column in following.columns if column.name in known}


class PostgresqlStream:
    """The changes of one table from one position on, in the order of their commits."""

    def __init__(
        self,
        session: "psycopg.Connection[tuple[object, ...]]",
        name: str,
        following: Following,
        expected: dict[str, tuple[int, int]],
    ) -> None:
        self._session = session
        self._connection = session.pgconn
        self._following = following
        self._expected = expected
        self._decoder: ChangeDecoder | None = None
        self._relation: Relation | None = None
        base, _, skip = following.after.partition("+")
        self._skip = int(skip or 0)
        self._start = position_number(base)
        """The end of the last transaction that was handed out whole."""
        self._past = self._skip
        """How many changes of the transaction after it were handed out."""
        self._messages: list[bytes] = []
        self._bytes = 0
        self._whole = 0
        """How many of the messages belong to transactions that are complete, and where the last of these ends."""
        self._end = self._start
        self._seen = self._start
        self._confirmed = self._start
        self._told_at = 0.0
        command = (
            f"START_REPLICATION SLOT {quoted(name)} LOGICAL {position_text(self._start)} "
            f"(proto_version '1', publication_names {literal(quoted(name))})"
        )
        started = self._connection.exec_(command.encode())
        if started.status != ExecStatus.COPY_BOTH:
            if b"is active" in started.error_message:
                raise slot_busy()
            raise changes_lost(Text(zh=_said(started.error_message), en=_said(started.error_message)))

    @property
    def seen(self) -> str:
        """How far the log was read."""
        return position_text(self._seen)

    @property
    def resting(self) -> str | None:
        """A position that may be confirmed because nothing up to it concerns the table; None while changes wait."""
        return None if self._messages else position_text(max(self._seen, self._end))

    def next(self, rows_max: int, wait_seconds: float) -> ChangePiece | None:
        """Return the next changes, or None when none came within `wait_seconds`.

        A piece holds whole transactions, or a part of one that is larger than `rows_max`.

        Raises:
            ChangesLost: the table was emptied, or its columns changed. Conflict: `node.source_changed`.
            Unavailable: the database does not answer.
        """
        deadline = time.monotonic() + wait_seconds
        first = None
        while True:
            open_rows = len(self._messages) - self._whole
            if open_rows >= rows_max or self._bytes >= PIECE_BYTES_MAX:
                return self._piece(self._whole or open_rows)
            if self._whole >= rows_max:
                return self._piece(self._whole)
            message = self._received()
            if message is not None:
                self._take(message)
                continue
            now = time.monotonic()
            if self._whole:
                first = first or now
                if now - first >= min(LINGER_SECONDS, wait_seconds):
                    return self._piece(self._whole)
            elif now >= deadline:
                return None
            self._tell(now)
            self._wait(min(deadline, now + LINGER_SECONDS) - now if not self._whole else LINGER_SECONDS / 4)

    def confirm(self, position: str) -> None:
        """Let the database forget its log up to `position`."""
        self._confirmed = max(self._confirmed, position_number(position))
        self._tell(time.monotonic(), always=True)

    def close(self) -> None:
        """End the stream; the slot stays where it was confirmed."""
        self._session.close()

    # Inside

    def _received(self) -> bytes | None:
        """Return the next message that is here already, None when there is none."""
        try:
            size, data = self._connection.get_copy_data(1)
            if size == 0:
                self._connection.consume_input()
                size, data = self._connection.get_copy_data(1)
        except psycopg.OperationalError as error:
            raise self._ended() from error
        if size == -1:
            raise self._ended()
        return bytes(data) if size > 0 else None

    def _ended(self) -> Unavailable:
        return Unavailable(
            "adapters.stream_ended",
            what=Text(zh="数据库结束了变更流。", en="The database ended the stream of changes."),
            remedy=Text(zh="节点会自动重新连接。", en="The node connects again by itself."),
        )

    def _wait(self, seconds: float) -> None:
        select.select([self._connection.socket], [], [], max(0.0, seconds))

    def _take(self, data: bytes) -> None:
        """Take in one message of the replication protocol."""
        if data[:1] == b"k":
            self._seen = max(self._seen, int.from_bytes(data[1:9]))
            if data[17:18] == b"\x01":
                self._tell(time.monotonic(), always=True)
            return
        message = data[25:]
        kind = message[:1]
        if kind in {b"I", b"U", b"D"}:
            if self._relation is not None and relation_id_of(message) == self._relation.id:
                if self._skip:
                    self._skip -= 1
                else:
                    self._messages.append(message)
                    self._bytes += len(message)
        elif kind == b"C":
            self._end = commit_end(message)
            self._seen = max(self._seen, self._end)
            self._whole = len(self._messages)
        elif kind == b"R":
            self._meet(relation_of(message))
        elif kind == b"T" and self._relation is not None and self._relation.id in truncated(message):
            raise changes_lost(Text(zh="表被清空（TRUNCATE）", en="the table was emptied (TRUNCATE)"))

    def _meet(self, found: Relation) -> None:
        """Look at the table as the log describes it from here on."""
        types = {column.name: (column.type_id, column.type_modifier) for column in found.columns}
        missing = [column.name for column in self._following.columns if column.name not in types]
        if missing or any(types[name] != kind for name, kind in self._expected.items()):
            raise changes_lost(Text(zh="表的列发生了变化", en="the table's columns changed"))
        if self._relation is None or self._relation != found:
            if self._messages and self._relation is not None and self._relation.columns != found.columns:
                raise changes_lost(Text(zh="表的列发生了变化", en="the table's columns changed"))
            self._relation = found
            self._decoder = ChangeDecoder(found, self._following.columns, self._following.key_columns)

    def _piece(self, count: int) -> ChangePiece:
        """Hand out the first `count` messages."""
        if self._decoder is None:
            raise AssertionError("changes came before their relation")
        rows = self._decoder.decode(self._messages[:count])
        if self._whole:
            self._start, self._past = self._end, 0
            position = position_text(self._start)
        else:
            self._past += count
            position = f"{position_text(self._start)}+{self._past}"
        del self._messages[:count]
        self._bytes = sum(map(len, self._messages))
        self._whole = 0
        return ChangePiece(rows=rows, position=position)

    def _tell(self, now: float, *, always: bool = False) -> None:
        """Tell the database how far its log may be forgotten."""
        if not always and now - self._told_at < STATUS_INTERVAL_SECONDS:
            return
        self._told_at = now
        microseconds = int((time.time() - _EPOCH_SECONDS) * 1_000_000)
        seen = max(self._seen, self._confirmed)
        status = struct.pack(">cQQQqB", b"r", seen, self._confirmed, self._confirmed, microseconds, 0)
        try:
            self._connection.put_copy_data(status)
            self._connection.flush()
        except psycopg.OperationalError as error:
            raise self._ended() from error


def slot_busy() -> Unavailable:
    """Return the error of a slot that another session holds."""
    return Unavailable(
        "adapters.slot_busy",
        what=Text(zh="复制槽正被另一会话占用。", en="Another session holds the replication slot."),
        remedy=Text(
            zh="请确认没有第二个节点使用同一目录；节点会重试。",
            en="See that no second node runs with the same folder; the node tries again.",
        ),
    )


def _no_right() -> Misconfigured:
    return Misconfigured(
        "adapters.replication_role",
        what=Text(
            zh="节点的数据库账号没有 REPLICATION 权限，不能捕获变更。",
            en="The node's database account lacks REPLICATION: changes cannot be captured.",
        ),
        remedy=Text(
            zh="请由管理员执行 ALTER ROLE … REPLICATION，并在 pg_hba.conf 中放行；或改用比对增量方式。",
            en="Have ALTER ROLE … REPLICATION run and the account let in by pg_hba.conf, or use the mode diff.",
        ),
    )


def _identity_needed(table: str, *, by_key: bool) -> Conflict:
    why = (
        Text(zh="大字段未改动时不随变更给出", en="large values that do not change do not come with a change")
        if by_key
        else Text(zh="变更不按任务的主键列标识行", en="changes do not name rows by the task's key columns")
    )
    return Conflict(
        "adapters.replica_identity",
        what=Text(
            zh=f"表 {table} 的变更无法无损捕获：{why.zh}。", en=f"Changes of table {table} lose values: {why.en}."
        ),
        remedy=Text(
            zh=f"请由表的所有者执行 ALTER TABLE {table} REPLICA IDENTITY FULL，或改用比对增量方式。",
            en=f"Have its owner run ALTER TABLE {table} REPLICA IDENTITY FULL, or use the mode diff.",
        ),
        context={"table": table},
    )


def _names(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list) else []


def _said(message: bytes | None) -> str:
    return (message or b"").decode(errors="replace").strip().splitlines()[0][:200] if message else ""
