"""Uploads that are corrupted, truncated, reordered, replayed or forged: each refused by its own error, none counts."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from datong.adapters.file_keys import load_or_create_signer
from datong.exchange import Manifest, SignedManifest, signed_manifest
from datong.kernel import BatchId, DatongError, SystemClock, new_id
from datong.ledger import Ed25519Signer
from datong.node import HubClient, NodeHome, Step
from datong.node.spool import Spool
from tests.exchange_node import work_off
from tests.fault.exchange_world import World
from tests.processes import PROCESSES

TABLE = "followed"


class Forger:
    """Somebody with the producing node's access, a batch that it cut and the hub does not have yet, and its keys."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.task = world.tasks[TABLE]
        self.keys = {name: load_or_create_signer(NodeHome(world.folder / name).key_path) for name in world.nodes}
        self.clients = {name: self._client(name) for name in world.nodes}
        home = NodeHome(world.folder / "producer")
        batch = Spool(folder=home.spool, state_path=home.state_path).pending(self.task.id)[0]
        self.signed = batch.signed
        self.payload = batch.path.read_bytes()

    def _client(self, name: str) -> HubClient:
        return HubClient(
            hub_url=self.world.links["hub"].url,
            node_id=self.world.nodes[name].id,
            signer=self.keys[name],
            clock=SystemClock(),
            sleep=lambda _: None,
        )

    def manifest(self, signer: Ed25519Signer | None = None, **changes: object) -> SignedManifest:
        """The batch's manifest with changes, under an id of its own, signed anew."""
        fields = self.signed.manifest.model_dump() | {"batch_id": new_id()} | changes
        return signed_manifest(Manifest.model_validate(fields), signer or self.keys["producer"])

    def for_payload(self, payload: bytes) -> SignedManifest:
        """The batch's manifest, but for `payload`."""
        return self.manifest(payload_digest=hashlib.sha256(payload).hexdigest(), payload_bytes=len(payload))

    def send(self, signed: SignedManifest, payload: bytes, *, client: str = "producer") -> None:
        """Announce, upload and commit."""
        hub = self.clients[client]
        hub.open_upload(signed)
        hub.put_chunk(signed.manifest.batch_id, 0, payload)
        hub.commit(signed.manifest.batch_id)


def altered(payload: bytes) -> bytes:
    """The payload with one bit changed in its middle."""
    middle = len(payload) // 2
    return payload[:middle] + bytes([payload[middle] ^ 1]) + payload[middle + 1 :]


def reordered(forger: Forger) -> None:
    """The second half comes first."""
    half = len(forger.payload) // 2
    forger.clients["producer"].open_upload(forger.signed)
    forger.clients["producer"].put_chunk(forger.signed.manifest.batch_id, half, forger.payload[half:])


def truncated(forger: Forger) -> None:
    """The end never comes."""
    forger.send(forger.signed, forger.payload[:-100])


def altered_signature(forger: Forger) -> None:
    """A manifest that says more rows than were signed."""
    signed = forger.manifest()
    manifest = signed.manifest.model_copy(update={"rows": signed.manifest.rows + 1})
    forger.clients["producer"].open_upload(signed.model_copy(update={"manifest": manifest}))


def longer(forger: Forger) -> None:
    """More bytes come than were signed."""
    forger.send(forger.signed, forger.payload + b"x")


ATTACKS: dict[str, tuple[Callable[[Forger], None], str]] = {
    "a bit flips on the way": (lambda f: f.send(f.signed, altered(f.payload)), "exchange.payload_digest"),
    "the end is missing": (truncated, "exchange.payload_digest"),
    "bytes are added": (longer, "exchange.payload_too_large"),
    "chunks change places": (reordered, "exchange.chunk_offset"),
    "the payload is no Arrow stream": (
        lambda f: f.send(f.for_payload(b"rows"), b"rows"),
        "exchange.payload_unreadable",
    ),
    "the rows are others than the manifest says": (
        lambda f: f.send(f.manifest(content_digest="0" * 32), f.payload),
        "exchange.content_digest",
    ),
    "the manifest was changed": (altered_signature, "exchange.bad_signature"),
    "a stranger's key": (
        lambda f: f.send(f.manifest(signer=Ed25519Signer.generate()), f.payload),
        "catalogue.key_not_found",
    ),
    "another department's key": (
        lambda f: f.send(f.manifest(signer=f.keys["consumer"]), f.payload),
        "exchange.wrong_signer",
    ),
    "another node sends it": (lambda f: f.send(f.signed, f.payload, client="consumer"), "sharing.not_permitted"),
    "a batch is left out": (lambda f: f.send(f.manifest(sequence=2), f.payload), "exchange.gap"),
    "another history": (lambda f: f.send(f.manifest(previous_digest="f" * 64), f.payload), "exchange.fork"),
    "a run nobody asked for": (lambda f: f.send(f.manifest(run=7), f.payload), "exchange.run_not_requested"),
}


@pytest.fixture(scope="module")
def forger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forger]:
    world = World(tmp_path_factory.mktemp("forgery"), control="sqlite", seed=1)
    world.change(rows=1000)
    world.programs["hub"].start()
    world.wait_for_hub()
    world.request(TABLE)
    process = PROCESSES.Process(target=work_off, args=(world.folder / "producer", Step.BATCH_SPOOLED))
    process.start()
    process.join()
    process.close()
    forger = Forger(world)
    yield forger
    for client in forger.clients.values():
        client.close()
    world.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_bad_upload_is_refused_by_its_own_error(forger: Forger, name: str) -> None:
    attack, code = ATTACKS[name]
    with pytest.raises(DatongError) as caught:
        attack(forger)
    assert caught.value.code == code
    assert caught.value.what.zh
    assert caught.value.remedy.zh
    progress = forger.world.progress(TABLE)
    assert (progress.batches, progress.rows) == (0, 0)


def test_a_replayed_batch_counts_once_and_an_old_one_under_a_new_name_not_at_all(forger: Forger) -> None:
    with suppress(DatongError):
        forger.send(forger.signed, altered(forger.payload))
    for _ in range(2):
        forger.send(forger.signed, forger.payload)
    with pytest.raises(DatongError, match=r"exchange\.replay"):
        forger.send(forger.manifest(batch_id=BatchId(new_id())), forger.payload)
    progress = forger.world.progress(TABLE)
    assert (progress.batches, progress.rows) == (1, forger.signed.manifest.rows)
