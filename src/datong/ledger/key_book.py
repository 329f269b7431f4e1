"""Replacing and retiring the key with which a hub's log signs, on record.

The log says the same as the table, in entries `ledger.key`, so that who has an exported log alone knows it too.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, select, update

from datong.kernel import Actor, Clock, Conflict, Database, JsonValue, Text
from datong.ledger.entries import EntryContent, EntryKind
from datong.ledger.key_rows import log_keys, require_in_use
from datong.ledger.log import Ledger
from datong.ledger.log_keys import LogKeys, Succession, open_by
from datong.ledger.notes import Note
from datong.ledger.signing import key_id_of
from datong.ledger.state_audit import Area, Held, Stated
from datong.ledger.tables import CHECKPOINTS, COSIGNATURES, LOG_KEYS


class LogKeyBook:
    """The keys of one log; `ledger` may be that of a process that signs with an earlier one."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def keys(self) -> LogKeys:
        """Return every key, the newest last."""
        with self._database.snapshot() as connection:
            return log_keys(connection, self._ledger.origin, self._ledger.public_key)

    def in_use(self) -> tuple[bytes, ...]:
        """Return the keys that may sign: the newest, and those before it that were not retired yet."""
        with self._database.snapshot() as connection:
            rows = connection.execute(select(LOG_KEYS.c.old_key).where(LOG_KEYS.c.retired_at.is_not(None)))
            gone = {bytes.fromhex(row.old_key) for row in rows}
            return tuple(
                key for key in log_keys(connection, self._ledger.origin, self._ledger.public_key).all if key not in gone
            )

    def begun_at(self) -> datetime | None:
        """Return since when the newest key signs: when it took the old one's place, or the first entry's time."""
        with self._database.snapshot() as connection:
            at = connection.scalar(select(LOG_KEYS.c.made_at).order_by(LOG_KEYS.c.made_at.desc()).limit(1))
        return at or self._ledger.first_at()

    def require_usable(self, key: bytes) -> None:
        """Pass if a hub may serve with this key.

        Raises:
            Misconfigured: it was retired. Conflict: it is none of the log's keys.
        """
        with self._database.snapshot() as connection:
            known = log_keys(connection, self._ledger.origin, key)
            require_in_use(connection, key)
        if key not in known.all:
            raise _foreign(key)

    def replace(self, succession: Succession, actor: Actor, reason: str) -> bool:
        """Put on record that a key takes the place of the newest; return False if that stands already.

        Raises:
            Corrupt: it is not signed by both, or by the new one alone in an emergency.
            Conflict: the old key is not the newest.
        """
        succession.check(self._ledger.origin)
        facts: dict[str, JsonValue] = {"old": succession.old.hex(), "new": succession.new.hex()}
        facts |= {"by_old": succession.by_old.hex(), "by_new": succession.by_new.hex()}
        with self._database.transaction() as connection:
            # The sequencer's lock: of two that come at once the second finds what the first did.
            self._ledger.hold(connection)
            known = log_keys(connection, self._ledger.origin, self._ledger.public_key)
            if succession in known.successions:
                return False
            if succession.old != known.newest or succession.new in known.all:
                raise _foreign(succession.old)
            row = {f"{name}_key" if name in ("old", "new") else name: value for name, value in facts.items()}
            connection.execute(LOG_KEYS.insert().values(**row, made_at=self._clock.now()))
            self._record(connection, succession.old, actor, {"action": "replace", **facts, "reason": reason})
        return True

    def retire(self, key: bytes, actor: Actor, reason: str, since: datetime | None = None) -> bool:
        """End the use of a key that was replaced; return False if it was ended before.

        `since`: others may have held it since then.

        Raises:
            Conflict: no other key has taken its place.
        """
        facts: dict[str, JsonValue] = {"action": "retire", "old": key.hex(), "reason": reason}
        if since is not None:
            facts["since"] = since.astimezone(UTC).isoformat()
        with self._database.transaction() as connection:
            self._ledger.hold(connection)
            row = connection.execute(select(LOG_KEYS).where(LOG_KEYS.c.old_key == key.hex())).one_or_none()
            if row is None:
                raise _foreign(key)
            if row.retired_at is not None:
                return False
            connection.execute(
                update(LOG_KEYS).where(LOG_KEYS.c.old_key == key.hex()).values(retired_at=self._clock.now())
            )
            self._record(connection, key, actor, facts)
        return True

    def signed_newest(self) -> bytes | None:
        """Return the key that signed the newest published checkpoint; None before the first."""
        note = self._ledger.published_note()
        return None if note is None else open_by(Note.parse(note.encode()), self.keys().all)[1]

    def cosigned_under(self) -> dict[str, bytes]:
        """Return which key published the checkpoint that each witness cosigned last, by the witness's name."""
        query = select(COSIGNATURES.c.witness_name, CHECKPOINTS.c.note)
        query = query.join(CHECKPOINTS, CHECKPOINTS.c.size == COSIGNATURES.c.size).order_by(COSIGNATURES.c.witness_name)
        known = self.keys().all
        with self._database.snapshot() as connection:
            rows = connection.execute(query).all()
        return {row.witness_name: open_by(Note.parse(row.note.encode()), known)[1] for row in rows}

    def _record(self, connection: Connection, old: bytes, actor: Actor, facts: dict[str, JsonValue]) -> None:
        self._ledger.append(connection, kind=EntryKind.LOG_KEY, subject=key_id_of(old), actor=actor, facts=facts)


def _stated(entry: EntryContent) -> Stated:
    """Say what an entry states of a key that was replaced."""
    if entry.facts["action"] == "retire":
        return Stated(entry.subject, {"retired": True}, adds=True)
    names = ("old", "new", "by_old", "by_new")
    return Stated(entry.subject, {**{name: entry.facts[name] for name in names}, "retired": False})


def _held(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(LOG_KEYS)):
        facts: dict[str, JsonValue] = {"old": row.old_key, "new": row.new_key}
        facts |= {"by_old": row.by_old, "by_new": row.by_new, "retired": row.retired_at is not None}
        yield Held(key_id_of(bytes.fromhex(row.old_key)), {"ledger_key": facts})


LEDGER_AREAS = (
    Area("ledger.key", Text(zh="日志密钥", en="Key of the log"), frozenset({EntryKind.LOG_KEY}), _stated, _held),
)


def _foreign(key: bytes) -> Conflict:
    return Conflict(
        "ledger.key_foreign",
        what=Text(
            zh=f"密钥 {key_id_of(key)} 不是本日志现用的密钥。",
            en=f"The key {key_id_of(key)} is not this log's present one.",
        ),
        remedy=Text(
            zh="请核对 hub.key 与数据库是否属于同一枢纽；datong hub key 列出密钥。",
            en="See that hub.key and the database are of one hub; datong hub key lists the keys.",
        ),
    )
