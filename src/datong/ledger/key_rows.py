"""Which keys the log has had, as the control database holds it."""

from sqlalchemy import Connection, select

from datong.kernel import Misconfigured, Text
from datong.ledger.log_keys import LogKeys, Succession
from datong.ledger.signing import key_id_of
from datong.ledger.tables import LOG_KEYS


def log_keys(connection: Connection, origin: str, own: bytes) -> LogKeys:
    """Return the keys of the log; `own` alone where none was ever replaced."""
    rows = {row.old_key: row for row in connection.execute(select(LOG_KEYS))}
    first = set(rows) - {row.new_key for row in rows.values()}
    successions: list[Succession] = []
    key = min(first, default="")
    while key in rows:
        row = rows.pop(key)
        successions.append(
            Succession(
                old=bytes.fromhex(row.old_key),
                new=bytes.fromhex(row.new_key),
                by_old=bytes.fromhex(row.by_old),
                by_new=bytes.fromhex(row.by_new),
            )
        )
        key = row.new_key
    newest = successions[-1].new if successions else own
    return LogKeys(origin=origin, newest=newest, successions=tuple(successions))


def up_to(keys: LogKeys, own: bytes) -> LogKeys:
    """Return the keys up to `own`, with which this process signs; a newer one may wait for the next start."""
    if own not in keys.all:
        return LogKeys(origin=keys.origin, newest=own)
    return LogKeys(origin=keys.origin, newest=own, successions=keys.successions[: keys.all.index(own)])


def require_in_use(connection: Connection, key: bytes) -> None:
    """Pass if a key may still sign for the log.

    Raises:
        Misconfigured: `ledger.key_retired`.
    """
    at = connection.scalar(select(LOG_KEYS.c.retired_at).where(LOG_KEYS.c.old_key == key.hex()))
    if at is not None:
        raise Misconfigured(
            "ledger.key_retired",
            what=Text(
                zh=f"日志密钥 {key_id_of(key)} 已停用（{at.isoformat()}），不再签名。",
                en=f"The log's key {key_id_of(key)} was retired ({at.isoformat()}) and signs no more.",
            ),
            remedy=Text(
                zh="请用新的 hub.key 重新启动本进程；恢复备份时须用其后的密钥。",
                en="Start this process anew with the new hub.key; after a restore, use the key that came after it.",
            ),
        )
