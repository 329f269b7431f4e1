"""The signature of a hub's process under its log's checkpoints, whichever of the log's keys published them."""

from sqlalchemy import Connection

from datong.ledger.key_rows import log_keys, up_to
from datong.ledger.log_keys import LogKeys, open_by
from datong.ledger.notes import Checkpoint, Note, decode_base64, log_key_of, sign_checkpoint
from datong.ledger.signing import Signer


class OwnSignature:
    """Signs for one log with the key of this process."""

    def __init__(self, signer: Signer, origin: str) -> None:
        self._signer, self._origin = signer, origin
        own = log_key_of(origin, signer.public_key)
        self._line = (own.name, own.key_id)

    def keys(self, connection: Connection) -> LogKeys:
        """Return the keys that the log has had up to this process's: a newer one may wait for the next start."""
        return up_to(log_keys(connection, self._origin, self._signer.public_key), self._signer.public_key)

    def under(self, connection: Connection, note: Note) -> Note:
        """Return a checkpoint of the log, which another of its keys signed, under this process's signature.

        Whoever reads it need not know that other key; cosignatures are over the text alone, and stay. A process whose
        key is none of the log's signs nothing.
        """
        if any((one.name, one.key_id) == self._line for one in note.signatures):
            return note
        known = log_keys(connection, self._origin, self._signer.public_key)
        if not known.successions or self._signer.public_key not in known.all:
            return note
        open_by(note, known.all, origin=self._origin)
        signed = sign_checkpoint(Checkpoint.parse(note.text), self._signer)
        cosigned = tuple(one for one in note.signatures if one.name != self._origin)
        return Note(text=note.text, signatures=(*signed.signatures, *cosigned))

    def require_own(self, connection: Connection, key: str) -> None:
        """Pass if a key (base64) is one of the log's.

        Raises:
            Corrupt: it is another's.
        """
        known, public = log_keys(connection, self._origin, self._signer.public_key), decode_base64(key) or b""
        if public not in known.all:
            known.since(public)
