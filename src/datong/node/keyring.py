"""The node's own secrets for sealed tasks: the recipient keys to which others seal for it, and the key of its cursors.

They lie in one file that only its owner may read. Old recipient keys stay in it after a rotation, since what was sealed
to them may still be on its way. A sealed task's cursors go to the hub, which must hand them back to the node, encrypted
under a key that never leaves the node: a cursor is made of the values of a row.
"""

import base64
import binascii
import json
import secrets
import threading
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field, TypeAdapter, ValidationError

from datong.catalogue import RecipientKey, recipient_key_message
from datong.exchange import ContentKey, Cursor, Manifest, Sealing
from datong.kernel import Base64Bytes, Conflict, DepartmentCode, Misconfigured, NodeId, TaskId, Text, Value
from datong.ledger import Signer, key_id_of
from datong.node.owned_files import write_owned

FILE_NAME = "recipient-keys.json"
NONCE_BYTES = 12
KEY_BYTES = 32
_SEALED = "sealed:"
_VALUES = TypeAdapter(tuple[str, ...])


class KeyringHub(Protocol):
    """What the keyring needs of the hub; `HubClient` is one."""

    def recipient_keys(self, department: DepartmentCode) -> tuple[RecipientKey, ...]:
        """Return a department's recipient keys."""
        ...

    def register_recipient_key(self, public_key: bytes, signature: bytes) -> RecipientKey:
        """Register a recipient key of this node."""
        ...

    def revoke_recipient_key(self, key_id: str, reason: str) -> RecipientKey:
        """Revoke a recipient key of this node."""
        ...


class _Secrets(Value):
    """The content of the file: raw private X25519 keys, newest last, and the raw key of the cursors."""

    private_keys: tuple[Base64Bytes, ...] = ()
    cursor_key: Base64Bytes = Field(min_length=KEY_BYTES, max_length=KEY_BYTES)


class Keyring:
    """The secrets of one node, in its folder."""

    def __init__(self, *, folder: Path, signer: Signer, node_id: NodeId, department: DepartmentCode) -> None:
        self._path = folder / FILE_NAME
        self._signer, self._node_id, self._department = signer, node_id, department
        self._registered = False
        self._lock = threading.Lock()

    def attend(self, hub: KeyringHub) -> None:
        """Have a recipient key, and have it registered; once a process, since the hub forgets nothing."""
        if not self._registered:
            self._register(hub)
            self._registered = True

    def rotate(self, hub: KeyringHub, *, revoke_others: bool) -> RecipientKey:
        """Make a new recipient key and register it; revoke the others when nothing sealed to them is on its way."""
        held = self._secrets()
        fresh = X25519PrivateKey.generate().private_bytes_raw()
        self._keep(held.model_copy(update={"private_keys": (*held.private_keys, fresh)}))
        newest = self._register(hub)
        if revoke_others:
            for key in hub.recipient_keys(self._department):
                if key.node_id == self._node_id and key.revoked_at is None and key.key_id != newest.key_id:
                    hub.revoke_recipient_key(key.key_id, "rotation")
        return newest

    def strangers(self, hub: KeyringHub) -> tuple[str, ...]:
        """Return the keys in force that the hub lists for this node and that this node does not hold."""
        own = self._private_keys()
        listed = hub.recipient_keys(self._department)
        return tuple(
            key.key_id
            for key in listed
            if key.node_id == self._node_id and key.revoked_at is None and key.key_id not in own
        )

    def content_key(self, manifest: Manifest) -> ContentKey | None:
        """Return the key that opens the payload of a batch, or None for one that is not sealed.

        Raises:
            Refused: it is sealed to others. Corrupt: its key was made for another batch.
        """
        if manifest.sealing is None:
            return None
        return self.key_of(manifest.sealing, manifest.sealing_context)

    def key_of(self, sealing: Sealing, context: bytes) -> ContentKey:
        """Return the key that opens what is sealed so, and bound to `context`.

        Raises:
            Refused: it is sealed to others. Corrupt: its key was made for something else.
        """
        return ContentKey.unwrap(sealing, context, self._private_keys())

    def sealed_cursor(self, task_id: TaskId, cursor: Cursor) -> Cursor:
        """Return a cursor that only this node can read."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        plain = _VALUES.dump_json(cursor.values)
        sealed = AESGCM(self._secrets().cursor_key).encrypt(nonce, plain, task_id.encode())
        return Cursor(values=(_SEALED + base64.b64encode(nonce + sealed).decode(),))

    def opened_cursor(self, task_id: TaskId, cursor: Cursor) -> Cursor:
        """Return what `sealed_cursor` was given.

        Raises:
            Conflict: `node.cursor_not_ours` when another node, or this one before it lost its keys, sealed it.
        """
        try:
            text = "".join(cursor.values)
            raw = base64.b64decode(text.removeprefix(_SEALED), validate=True)
            plain = AESGCM(self._secrets().cursor_key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], task_id.encode())
            return Cursor(values=_VALUES.validate_json(plain))
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise Conflict(
                "node.cursor_not_ours",
                what=Text(
                    zh="加密任务的游标是用另一把密钥加密的，本节点读不出上次同步到哪里。",
                    en="The sealed task's cursor was sealed under another key: this node cannot tell where it stopped.",
                ),
                remedy=Text(
                    zh=f"请从备份恢复 {FILE_NAME}，或结束该任务并另建任务重新全量同步。",
                    en=f"Restore {FILE_NAME} from a backup, or end the task and begin anew with another.",
                ),
            ) from error

    def _register(self, hub: KeyringHub) -> RecipientKey:
        held = self._secrets()
        if not held.private_keys:
            held = held.model_copy(update={"private_keys": (X25519PrivateKey.generate().private_bytes_raw(),)})
            self._keep(held)
        public_key = X25519PrivateKey.from_private_bytes(held.private_keys[-1]).public_key().public_bytes_raw()
        signature = self._signer.sign(recipient_key_message(self._department, self._node_id, public_key))
        return hub.register_recipient_key(public_key, signature)

    def _private_keys(self) -> dict[str, X25519PrivateKey]:
        keys = (X25519PrivateKey.from_private_bytes(raw) for raw in self._secrets().private_keys)
        return {key_id_of(key.public_key().public_bytes_raw()): key for key in keys}

    def _secrets(self) -> _Secrets:
        try:
            return _Secrets.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return self._first()
        except (ValidationError, OSError) as error:
            raise Misconfigured(
                "node.keyring_unreadable",
                what=Text(zh=f"无法读取 {self._path}。", en=f"{self._path} cannot be read."),
                remedy=Text(zh="请从备份恢复该文件。", en="Restore the file from a backup."),
            ) from error

    def _first(self) -> _Secrets:
        """Make the file; of several threads that miss it, the first one's secrets count."""
        with self._lock:
            if not self._path.exists():
                self._keep(_Secrets(cursor_key=secrets.token_bytes(KEY_BYTES)))
        return self._secrets()

    def _keep(self, content: _Secrets) -> None:
        write_owned(self._path, json.dumps(content.model_dump(mode="json")).encode())
