"""The hub's side of witnessing: takes cosignatures in, and puts them under the checkpoints they are for."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.kernel import Clock, Conflict, Database, Text, Value
from datong.ledger.faults import corrupt
from datong.ledger.key_rows import log_keys
from datong.ledger.log_keys import open_by
from datong.ledger.notes import (
    Checkpoint,
    Cosignature,
    Note,
    cosignature_by,
    decode_base64,
    encode_base64,
    witness_key_of,
)
from datong.ledger.signing import key_id_of
from datong.ledger.tables import CHECKPOINTS, COSIGNATURES

WITNESS_NAME_CHARS_MAX = 200


class WitnessState(Value):
    """A witness and the newest checkpoint it has cosigned."""

    name: str
    key_id: str
    size: int
    signed_at: datetime
    received_at: datetime


class Witnesses:
    """The witnesses of one log, by name."""

    def __init__(self, *, database: Database, clock: Clock, origin: str, log_key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._origin = origin
        self._log_key = log_key

    def store(self, *, witness_name: str, witness_key: bytes, note: Note) -> None:
        """Verify and keep the cosignature that `witness_name` put under a checkpoint of this log."""
        with self._database.snapshot() as connection:
            known = log_keys(connection, self._origin, self._log_key)
        keys = known.all if self._log_key in known.all else (self._log_key,)
        checkpoint, _ = open_by(note, keys, origin=self._origin)
        cosignature = cosignature_by(note, witness_key_of(witness_name, witness_key))
        if cosignature is None or len(witness_name) > WITNESS_NAME_CHARS_MAX:
            raise corrupt(
                "cosignature_missing",
                zh=f"检查点上没有见证方 {witness_name[:200]} 的签名。",
                en=f"The checkpoint bears no cosignature of the witness {witness_name[:200]}.",
                witness=witness_name[:200],
            )
        with self._database.transaction() as connection:
            self._check_published(connection, checkpoint)
            newest = connection.scalar(
                select(COSIGNATURES.c.size).where(COSIGNATURES.c.witness_name == witness_name).with_for_update()
            )
            if newest is None or newest <= checkpoint.size:
                self._keep(connection, witness_key, checkpoint, cosignature)

    def states(self) -> list[WitnessState]:
        """Return every witness, by name."""
        with self._database.snapshot() as connection:
            return [
                WitnessState(
                    name=row.witness_name,
                    key_id=key_id_of(decode_base64(row.witness_key) or b""),
                    size=row.size,
                    signed_at=row.signed_at,
                    received_at=row.received_at,
                )
                for row in connection.execute(select(COSIGNATURES).order_by(COSIGNATURES.c.witness_name))
            ]

    def last_words(self) -> dict[str, str]:
        """Return the newest checkpoint of each witness as a note that the log and it alone signed, by name."""
        query = (
            select(COSIGNATURES.c.witness_name, COSIGNATURES.c.line, CHECKPOINTS.c.note)
            .join(CHECKPOINTS, CHECKPOINTS.c.size == COSIGNATURES.c.size)
            .order_by(COSIGNATURES.c.witness_name)
        )
        with self._database.snapshot() as connection:
            return {row.witness_name: row.note + row.line for row in connection.execute(query)}

    def cosigned(self, connection: Connection, note: Note) -> Note:
        """Return the log's note with the cosignatures that were received for it."""
        size = Checkpoint.parse(note.text).size
        lines = connection.scalars(
            select(COSIGNATURES.c.line).where(COSIGNATURES.c.size == size).order_by(COSIGNATURES.c.witness_name)
        )
        return Note.parse(note.encode() + "".join(lines).encode())

    def most_witnessed(self, connection: Connection, *, above: int) -> Note | None:
        """Return the note, without cosignatures, that most witnesses cosigned and that covers the entry `above`."""
        text = connection.scalar(
            select(CHECKPOINTS.c.note)
            .join(COSIGNATURES, COSIGNATURES.c.size == CHECKPOINTS.c.size)
            .where(CHECKPOINTS.c.size > above)
            .group_by(CHECKPOINTS.c.size, CHECKPOINTS.c.note)
            .order_by(func.count().desc(), CHECKPOINTS.c.size.desc())
            .limit(1)
        )
        return None if text is None else Note.parse(text.encode())

    def cosigned_earlier(self, connection: Connection) -> list[Note]:
        """Return the cosigned checkpoints before the newest checkpoint, with their cosignatures, by size."""
        newest = select(func.max(CHECKPOINTS.c.size)).scalar_subquery()
        texts = connection.scalars(
            select(CHECKPOINTS.c.note)
            .where(CHECKPOINTS.c.size.in_(select(COSIGNATURES.c.size)), CHECKPOINTS.c.size < newest)
            .order_by(CHECKPOINTS.c.size)
        ).all()
        return [self.cosigned(connection, Note.parse(text.encode())) for text in texts]

    def keys(self, connection: Connection, *notes: Note) -> Mapping[str, bytes]:
        """Return the public keys of the witnesses that cosigned these notes, by name."""
        sizes = [Checkpoint.parse(note.text).size for note in notes]
        rows = connection.execute(
            select(COSIGNATURES.c.witness_name, COSIGNATURES.c.witness_key).where(COSIGNATURES.c.size.in_(sizes))
        )
        return {row.witness_name: decode_base64(row.witness_key) or b"" for row in rows}

    def _check_published(self, connection: Connection, checkpoint: Checkpoint) -> None:
        published = connection.scalar(select(CHECKPOINTS.c.note).where(CHECKPOINTS.c.size == checkpoint.size))
        if published is None:
            raise Conflict(
                "ledger.checkpoint_forgotten",
                what=Text(
                    zh=f"日志没有保存大小为 {checkpoint.size} 的检查点，它可能已过旧。",
                    en=f"The log keeps no checkpoint of size {checkpoint.size}; it may be too old.",
                ),
                remedy=Text(zh="请重新获取最新检查点并签名。", en="Fetch the newest checkpoint and cosign that."),
                context={"size": checkpoint.size},
            )
        if Checkpoint.parse(Note.parse(published.encode()).text) != checkpoint:
            raise corrupt(
                "fork",
                zh=f"本日志的密钥曾对大小 {checkpoint.size} 签过两个不同的根：日志被分叉。",
                en=f"This log's key has signed two roots for size {checkpoint.size}: the log was forked.",
                size=checkpoint.size,
            )

    def _keep(
        self, connection: Connection, witness_key: bytes, checkpoint: Checkpoint, cosignature: Cosignature
    ) -> None:
        values = {
            "witness_key": encode_base64(witness_key),
            "size": checkpoint.size,
            "line": cosignature.signature.line(),
            "signed_at": cosignature.signed_at,
            "received_at": self._clock.now(),
        }
        dialect = sqlite if self._database.is_sqlite else postgresql
        connection.execute(
            dialect.insert(COSIGNATURES)
            .values(witness_name=cosignature.witness, **values)
            .on_conflict_do_update(index_elements=[COSIGNATURES.c.witness_name], set_=values)
        )


def bears_cosignature(note: bytes, witness: str, public_key: bytes) -> bool:
    """Whether a checkpoint has a line of a witness with this key; whether the line verifies is looked at elsewhere.

    Raises:
        Corrupt: it is no checkpoint.
    """
    key = witness_key_of(witness, public_key)
    return any((one.name, one.key_id) == (key.name, key.key_id) for one in Note.parse(note).signatures)
