"""Whether a MariaDB or MySQL server tells every change of a table in its binary log; if not, what can be done."""

import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pymysql

from datong.adapters.binlog import KeyPart
from datong.adapters.binlog_connection import LOG_ERROR
from datong.adapters.conversion import changes_lost
from datong.exchange import Column
from datong.kernel import Conflict, DatongError, Misconfigured, Text, Unavailable

Ask = Callable[[str, Sequence[object]], list[tuple[object, ...]]]
"""Runs a statement with `?` places and returns its rows."""

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})
_VARIABLES = """
SHOW GLOBAL VARIABLES WHERE Variable_name IN
    ('log_bin', 'binlog_format', 'binlog_transaction_compression', 'log_slave_updates', 'wsrep_on')
"""
_TABLE = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, c.COLUMN_NAME, c.ORDINAL_POSITION, c.DATA_TYPE, c.COLUMN_TYPE,
       c.CHARACTER_SET_NAME, c.COLLATION_NAME, c.COLUMN_KEY
FROM information_schema.COLUMNS c JOIN information_schema.TABLES t
     ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME AND t.ENGINE = 'InnoDB'
WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = ? ORDER BY c.ORDINAL_POSITION
"""
_CASCADES = """
SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = DATABASE() AND TABLE_NAME = ?
      AND (DELETE_RULE NOT IN ('RESTRICT', 'NO ACTION') OR UPDATE_RULE NOT IN ('RESTRICT', 'NO ACTION'))
"""
_PURGED = frozenset({LOG_ERROR, 1220, 1373})
_DENIED = frozenset({1044, 1045, 1227})
_CHANGED = frozenset({1054, 1146, 1412})
"""No such column, no such table, the table's definition has changed."""
_OTHER = Text(zh="表的结构发生了变化", en="the table's definition changed")


class Watched(NamedTuple):
    """A table whose changes are followed."""

    schema: str
    table: str
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...]
    parts: tuple[KeyPart, ...]
    """The key columns as row events have them."""
    layout: str
    """Names and types of all columns, as a digest."""


def watched_table(ask: Ask, table: str, columns: tuple[Column, ...], key_columns: tuple[str, ...]) -> Watched:
    """Return how the log describes a table.

    Raises:
        Conflict: `adapters.log_key`, `adapters.log_cascades`: the log does not tell all its changes.
    """
    rows = ask(_TABLE, (table,))
    known = {str(row[2]): row for row in rows}
    parts = []
    for key in key_columns:
        row = known.get(key)
        kind, full, letters = ("", "", "") if row is None else (str(row[4]), str(row[5]), str(row[6]))
        text = kind in {"char", "varchar"}
        if row is None or row[8] != "PRI" or not (kind in _INTEGERS or (text and letters in _UTF8)):
            raise _bad_key(table, key)
        parts.append(KeyPart(place=int(str(row[3])) - 1, text=text, unsigned="unsigned" in full))
    if {name for name, row in known.items() if row[8] == "PRI"} != set(key_columns):
        raise _bad_key(table, ", ".join(key_columns))
    cascades = ask(_CASCADES, (table,))
    if cascades:
        raise _cascades(table, str(cascades[0][0]))
    return Watched(str(rows[0][0]), str(rows[0][1]), columns, key_columns, tuple(parts), _layout(rows))


def check_layout(ask: Ask, table: str, expected: str) -> None:
    """Check that the table is still the one whose changes were followed.

    Raises:
        ChangesLost: its columns are not the same, or it is gone.
    """
    if _layout(ask(_TABLE, (table,))) != expected:
        raise changes_lost(_OTHER)


def check_server(ask: Ask, database: str) -> None:
    """Check that the server logs every change of the database, row by row.

    Raises:
        Misconfigured: `adapters.binlog`.
    """
    found = {str(name): str(value).upper() for name, value in ask(_VARIABLES, ())}
    replica = ask("SHOW GLOBAL STATUS LIKE 'Slaves_running'", ())
    copies = found.get("wsrep_on") == "ON" or any(str(value) not in {"0", "OFF"} for _, value in replica)
    for holds, name, wanted in (
        (found.get("log_bin") in {"1", "ON"}, "log_bin", "ON"),
        (found.get("binlog_format", "ROW") == "ROW", "binlog_format", "ROW"),
        (found.get("binlog_transaction_compression", "OFF") == "OFF", "binlog_transaction_compression", "OFF"),
        (found.get("log_slave_updates", "ON") == "ON" or not copies, "log_slave_updates", "ON"),
    ):
        if not holds:
            raise wrong_setting(name, wanted)
    status = log_status(ask)
    only, never = ({name for name in str(text or "").split(",") if name} for text in status[2:4])
    if (only and database not in only) or database in never:
        name = "binlog_do_db" if only else "binlog_ignore_db"
        raise Misconfigured(
            "adapters.binlog",
            what=Text(
                zh=f"数据库 {database} 被 {name} 排除在二进制日志之外，不能捕获变更。",
                en=f"{name} keeps the database {database} out of the binary log: changes cannot be captured.",
            ),
            remedy=Text(
                zh=f"请由数据库管理员修改 {name} 并重启数据库，或改用比对增量方式。",
                en=f"Have {name} changed and the server restarted, or use the mode diff.",
            ),
        )


def log_status(ask: Ask) -> tuple[object, ...]:
    """Return the log's file and place, and the databases that alone or never are logged.

    Raises:
        Misconfigured: `adapters.binlog`: there is no log.
    """
    try:
        rows = ask("SHOW MASTER STATUS", ())
    except pymysql.ProgrammingError:
        # MySQL 8.4 has it under its new name alone.
        rows = ask("SHOW BINARY LOG STATUS", ())
    if not rows:
        raise wrong_setting("log_bin", "ON")
    return rows[0]


def failure(error: pymysql.MySQLError, source: str) -> DatongError:
    """Return what an error of the server means for the capture."""
    code = error.args[0] if error.args else 0
    said = str(error.args[-1]) if error.args else ""
    if code in _PURGED and "same server" not in said:
        return changes_lost(
            Text(zh="数据库已清除所需的二进制日志", en="the server has purged the binary log that is needed")
        )
    if code in _CHANGED:
        return changes_lost(_OTHER)
    if code in _DENIED:
        return Misconfigured(
            "adapters.replication_role",
            what=Text(
                zh="节点的数据库账号无权读取二进制日志，不能捕获变更。",
                en="The node's database account may not read the binary log: changes cannot be captured.",
            ),
            remedy=Text(
                zh="请由管理员执行 GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO …（MySQL：GRANT REPLICATION "
                "SLAVE, REPLICATION CLIENT, RELOAD, XA_RECOVER_ADMIN ON *.* TO …）；或改用比对增量方式。",
                en="Have GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO … run (MySQL: GRANT REPLICATION SLAVE, "
                "REPLICATION CLIENT, RELOAD, XA_RECOVER_ADMIN ON *.* TO …), or use the mode diff.",
            ),
        )
    return Unavailable(
        "adapters.source_unavailable",
        what=Text(zh=f"数据源 {source} 无法访问。", en=f"The source {source} does not answer."),
        remedy=Text(zh="请检查数据库及网络。", en="Check the database and the network."),
    )


def wrong_setting(name: str, wanted: str) -> Misconfigured:
    """Return the error of a server's setting with which the log does not tell every change."""
    return Misconfigured(
        "adapters.binlog",
        what=Text(
            zh=f"数据库的 {name} 不是 {wanted}，不能捕获变更。",
            en=f"The server's {name} is not {wanted}: changes cannot be captured.",
        ),
        remedy=Text(
            zh=f"请由数据库管理员设置 {name} = {wanted}，或改用比对增量方式。",
            en=f"Have {name} = {wanted} set, or use the mode diff.",
        ),
    )


def _layout(rows: Sequence[tuple[object, ...]]) -> str:
    # Indexes come and go; only the primary key belongs to how the log describes a row.
    return f"{zlib.crc32(repr([(*row[2:8], row[8] == 'PRI') for row in rows]).encode()):x}"


def _bad_key(table: str, key: str) -> Conflict:
    return Conflict(
        "adapters.log_key",
        what=Text(
            zh=f"表 {table} 的列 {key} 不能用来从日志中认出行：须为 InnoDB 表的主键，整数或 UTF-8 文本。",
            en=f"Rows of table {table} cannot be named from the log by {key}: the keys must be the primary key of an "
            "InnoDB table, integers or UTF-8 texts.",
        ),
        remedy=Text(zh="请以主键作为任务的主键列，或改用比对增量方式。", en="Use the primary key, or the mode diff."),
        context={"table": table},
        field="/key_columns",
    )


def _cascades(table: str, constraint: str) -> Conflict:
    return Conflict(
        "adapters.log_cascades",
        what=Text(
            zh=f"外键 {constraint} 会连带改动表 {table} 的行，而这些改动不写入二进制日志。",
            en=f"The foreign key {constraint} changes rows of table {table}, and the binary log does not tell it.",
        ),
        remedy=Text(
            zh="请改用比对增量方式，或将该外键改为 RESTRICT。",
            en="Use the mode diff, or make the foreign key RESTRICT.",
        ),
        context={"table": table},
    )


def prepared_for_long() -> Conflict:
    """Return the error of a server on which transactions are always prepared."""
    return Conflict(
        "adapters.prepared_transactions",
        what=Text(
            zh="数据库中一直有已准备而未提交的 XA 事务，无法开始捕获变更。",
            en="The server has prepared XA transactions all the time: no capture can begin.",
        ),
        remedy=Text(
            zh="请用 XA RECOVER 查看并提交或回滚遗留的 XA 事务，或改用比对增量方式。",
            en="Commit or roll back those that XA RECOVER shows, or use the mode diff.",
        ),
    )
