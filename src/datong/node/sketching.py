"""The node's part in 一数一源: it shares the sketch secret with the other nodes, and sketches its own tables.

The hub hands envelopes on and cannot open them. What leaves the node are sketches, never values (`catalogue.sketches`).
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from datong.catalogue import (
    ColumnSketch,
    Envelope,
    Recipient,
    SketchKey,
    SketchKeyWork,
    SketchRequest,
    commitment_to,
    envelope_message,
    new_epoch_name,
    sealing_key_message,
    sketch_columns,
)
from datong.exchange import Connector, ReadQuery
from datong.kernel import Clock, Corrupt, Misconfigured, NodeId, Text
from datong.ledger import Signer, verify_signature
from datong.node.hub_client import HubClient
from datong.node.owned_files import write_owned
from datong.norms import NormPack

SECRET_BYTES = 32
READ_BATCH_ROWS = 50_000
ATTEND_INTERVAL_SECONDS = 30.0
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
FILE_NAME = "sketch-keys.json"


class SketchKeyHub(Protocol):
    """What a node needs of its hub to share the secret; `HubClient` is one."""

    def sketch_key_work(self) -> SketchKeyWork:
        """Return what this node must do."""
        ...

    def register_sealing_key(self, public_key: bytes, signature: bytes) -> None:
        """Register the key to which other nodes seal the secret."""
        ...

    def open_sketch_epoch(self, epoch: str, commitment: str, envelopes: Sequence[Envelope]) -> None:
        """Begin an epoch, unless one is running."""
        ...

    def hand_in_envelopes(self, epoch: str, envelopes: Sequence[Envelope]) -> None:
        """Hand in the secret sealed to other nodes."""
        ...


class SketchKeyring:
    """The node's sealing key and the secrets it shares, in a file that only its owner may read."""

    def __init__(self, *, folder: Path, signer: Signer, clock: Clock, node_id: NodeId) -> None:
        self._path = folder / FILE_NAME
        self._signer, self._clock, self._node_id = signer, clock, node_id

    def attend(self, client: SketchKeyHub) -> SketchKey | None:
        """Do this node's next part in sharing the secret; return the running epoch's key once this node has it.

        Raises:
            Corrupt: an envelope does not open, was not signed by a node, or holds another secret than was committed to.
        """
        work = client.sketch_key_work()
        if not work.registered:
            self._register(client)
            work = client.sketch_key_work()
        if work.epoch is None:
            self._begin(client, work)
            work = client.sketch_key_work()
        if work.epoch is None:
            return None
        secret = self._secrets().get(work.epoch.id) or self._opened(work)
        if secret is None:
            return None
        if work.waiting:
            envelopes = [
                self._seal(secret, work.epoch.id, work.epoch.commitment, recipient) for recipient in work.waiting
            ]
            client.hand_in_envelopes(work.epoch.id, envelopes)
        return SketchKey(epoch=work.epoch.id, secret=secret)

    def _register(self, client: SketchKeyHub) -> None:
        public_key = self._sealing_key().public_key().public_bytes_raw()
        signature = self._signer.sign(sealing_key_message(self._node_id, public_key))
        client.register_sealing_key(public_key, signature)

    def _begin(self, client: SketchKeyHub, work: SketchKeyWork) -> None:
        """Make the secret of a new epoch. Another node may be quicker: then its secret counts."""
        epoch, secret = new_epoch_name(self._clock.now()), secrets.token_bytes(SECRET_BYTES)
        commitment = commitment_to(epoch, secret)
        # Kept before it is announced: a node that dies in between must not begin an epoch whose secret nobody has.
        self._remember(epoch, secret)
        envelopes = [self._seal(secret, epoch, commitment, recipient) for recipient in work.waiting]
        client.open_sketch_epoch(epoch, commitment, envelopes)

    def _seal(self, secret: bytes, epoch: str, commitment: str, recipient: Recipient) -> Envelope:
        verify_signature(
            recipient.signing_key,
            sealing_key_message(recipient.node_id, recipient.public_key),
            recipient.signature,
        )
        public_key = X25519PublicKey.from_public_bytes(recipient.public_key)
        sealed = SUITE.encrypt(secret, public_key, _info(epoch, recipient.node_id))
        signature = self._signer.sign(envelope_message(epoch, commitment, recipient.node_id, sealed))
        return Envelope(node_id=recipient.node_id, sealed=sealed, signature=signature)

    def _opened(self, work: SketchKeyWork) -> bytes | None:
        epoch, envelope = work.epoch, work.envelope
        if epoch is None or envelope is None:
            return None
        message = envelope_message(epoch.id, epoch.commitment, self._node_id, envelope.sealed)
        verify_signature(envelope.signing_key, message, envelope.signature)
        try:
            secret = SUITE.decrypt(envelope.sealed, self._sealing_key(), _info(epoch.id, self._node_id))
        except (InvalidTag, ValueError) as error:
            raise _wrong_envelope() from error
        if len(secret) != SECRET_BYTES or commitment_to(epoch.id, secret) != epoch.commitment:
            raise _wrong_envelope()
        self._remember(epoch.id, secret)
        return secret

    def _sealing_key(self) -> X25519PrivateKey:
        kept = self._kept()
        if "sealing_key" not in kept:
            kept["sealing_key"] = X25519PrivateKey.generate().private_bytes_raw().hex()
            self._keep(kept)
        return X25519PrivateKey.from_private_bytes(bytes.fromhex(str(kept["sealing_key"])))

    def _secrets(self) -> dict[str, bytes]:
        found = self._kept().get("secrets", {})
        return {epoch: bytes.fromhex(secret) for epoch, secret in found.items()} if isinstance(found, dict) else {}

    def _remember(self, epoch: str, secret: bytes) -> None:
        known = {name: found.hex() for name, found in self._secrets().items()}
        self._keep({**self._kept(), "secrets": {**known, epoch: secret.hex()}})

    def _kept(self) -> dict[str, object]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise self._unreadable() from error
        if not isinstance(found, dict):
            raise self._unreadable()
        return found

    def _unreadable(self) -> Misconfigured:
        return Misconfigured(
            "node.sketch_keys_unreadable",
            what=Text(zh=f"无法读取 {self._path}。", en=f"{self._path} cannot be read."),
            remedy=Text(zh="请从备份恢复，或删除后重启前置机。", en="Restore it, or delete it and restart the node."),
        )

    def _keep(self, content: dict[str, object]) -> None:
        write_owned(self._path, json.dumps(content).encode())


class Sketcher:
    """Sketches the tables that the hub asks for, once this node has the secret."""

    def __init__(
        self,
        *,
        client: HubClient,
        keyring: SketchKeyring,
        open_source: Callable[[str], Connector],
        load_pack: Callable[[], NormPack],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._keyring = client, keyring
        self._open_source, self._load_pack = open_source, load_pack
        self._ticks = ticks
        self._next_at = 0.0
        self._pack: NormPack | None = None

    def attend(self) -> int:
        """Do what waits, at most every half minute; return how many tables were sketched."""
        if self._ticks() < self._next_at:
            return 0
        self._next_at = self._ticks() + ATTEND_INTERVAL_SECONDS
        return self.sketch_all()

    def sketch_all(self) -> int:
        """Sketch every table that waits; return how many there were."""
        key = self._keyring.attend(self._client)
        if key is None:
            return 0
        tables = 0
        while work := self._client.sketch_work():
            for one in work:
                sketches = self.sketch(one.source, one.table, one.requests, key)
                self._client.send_sketches(one.resource_id, sketches)
                tables += 1
        return tables

    def sketch(
        self, source: str, table: str, requests: tuple[SketchRequest, ...], key: SketchKey
    ) -> tuple[ColumnSketch, ...]:
        """Sketch one table, reading only the columns that are asked for."""
        if self._pack is None:
            self._pack = self._load_pack()
        connector = self._open_source(source)
        try:
            columns = dict.fromkeys(
                name for request in requests for name in (request.column, request.key_column) if name
            )
            if not columns:
                return ()
            query = ReadQuery(table=table, columns=tuple(columns), batch_rows=READ_BATCH_ROWS)
            return sketch_columns(connector.read(query), requests, pack=self._pack, key=key)
        finally:
            connector.close()


def _info(epoch: str, node_id: str) -> bytes:
    return f"datong sketch secret 1\x1f{epoch}\x1f{node_id}".encode()


def _wrong_envelope() -> Corrupt:
    return Corrupt(
        "node.sketch_envelope_wrong",
        what=Text(
            zh="收到的草图密钥打不开，或与存证中的承诺不符。",
            en="The sketch key that arrived does not open, or is not the one committed to in the log.",
        ),
        remedy=Text(
            zh="请主管部门结束当前密钥周期，由前置机重新生成。",
            en="Let the authority end the epoch, so that the nodes make a new secret.",
        ),
    )
