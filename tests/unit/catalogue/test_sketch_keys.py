"""The nodes' shared secret: the hub hands it on, and neither it nor a stranger comes to know or replace it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from datong.catalogue import Envelope, SketchKey, SketchKeys, SketchKeyWork, commitment_to
from datong.kernel import Actor, ActorKind, Corrupt, Database, DepartmentCode, Invalid, NodeId, NotFound, Refused, Text
from datong.ledger import Ed25519Signer, EntryKind
from datong.node import SketchKeyring
from datong.norms import NormPack
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, CIVIL, POLICE, Office, make_office

_STOP = Text(zh="停", en="stop")


class DirectHub:
    """The hub's service without HTTP, in the name of one node; `passed` is everything that went through it."""

    def __init__(self, keys: SketchKeys, actor: Actor) -> None:
        self.keys, self.actor = keys, actor
        self.passed: list[bytes] = []

    def sketch_key_work(self) -> SketchKeyWork:
        work = self.keys.work(self.actor)
        self.passed.append(work.model_dump_json().encode())
        return work

    def register_sealing_key(self, public_key: bytes, signature: bytes) -> None:
        self.keys.register(self.actor, public_key, signature)

    def open_sketch_epoch(self, epoch: str, commitment: str, envelopes: Sequence[Envelope]) -> None:
        self.passed += [envelope.sealed for envelope in envelopes]
        self.keys.open_epoch(self.actor, epoch, commitment, envelopes)

    def hand_in_envelopes(self, epoch: str, envelopes: Sequence[Envelope]) -> None:
        self.passed += [envelope.sealed for envelope in envelopes]
        self.keys.hand_in(self.actor, epoch, envelopes)


class Lying(DirectHub):
    """A hub that answers something of its own."""

    def __init__(self, honest: DirectHub, answer: SketchKeyWork) -> None:
        super().__init__(honest.keys, honest.actor)
        self.answer = answer

    def sketch_key_work(self) -> SketchKeyWork:
        return self.answer


class Place:
    """An office with sketch keys, and nodes that join it."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.office, self.folder = office, folder
        self.keys = SketchKeys(database=office.database, clock=office.clock, ledger=office.ledger)

    def node(self, name: str, department: DepartmentCode = POLICE) -> "Joined":
        signer = Ed25519Signer.generate()
        self.office.departments.register_key(department, signer.public_key, NodeId(name), AUTHORITY_ACTOR)
        return Joined(self, name, department, signer)


class Joined:
    """One node."""

    def __init__(self, place: Place, name: str, department: DepartmentCode, signer: Ed25519Signer) -> None:
        self.signer = signer
        self.folder = place.folder / name
        self.hub = DirectHub(place.keys, Actor(kind=ActorKind.NODE, id=name, department=department))
        self.keyring = SketchKeyring(folder=self.folder, signer=signer, clock=place.office.clock, node_id=NodeId(name))

    def attend(self) -> SketchKey | None:
        return self.keyring.attend(self.hub)


@pytest.fixture
def place(control_database: Database, pack: NormPack, tmp_path: Path) -> Place:
    return Place(make_office(control_database, pack), tmp_path)


def test_nodes_come_to_share_one_secret_that_never_passes_the_hub(place: Place) -> None:
    first, second = place.node("one"), place.node("two", CIVIL)
    key = first.attend()
    assert key is not None
    assert second.attend() is None  # registered, but nobody has sealed the secret to it yet
    assert first.attend() == key
    assert second.attend() == key
    late = place.node("three", CIVIL)
    assert late.attend() is None
    assert second.attend() == key  # whoever has it seals it to those who come later
    assert late.attend() == key
    passed = b"".join(first.hub.passed + second.hub.passed + late.hub.passed)
    assert key.secret not in passed
    assert key.secret.hex().encode() not in passed
    with place.office.database.snapshot() as connection:
        for table in ("catalogue_sketch_envelope", "catalogue_sketch_epoch", "catalogue_sealing_key"):
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}"):
                assert all(key.secret not in bytes(value) for value in row if isinstance(value, bytes | memoryview))


def test_every_step_of_the_key_is_evidence(place: Place) -> None:
    first, second = place.node("one"), place.node("two", CIVIL)
    first.attend()
    second.attend()
    first.attend()
    place.keys.end_epoch(AUTHORITY_ACTOR, "前置机遗失")
    entries = place.office.ledger.entries(kind=EntryKind.SKETCH_KEY).rows
    actions = sorted(str(entry.facts["action"]) for entry in entries)
    assert actions == ["end_epoch", "open_epoch", "register_sealing_key", "register_sealing_key", "seal", "seal"]
    (opened,) = [entry for entry in entries if entry.facts["action"] == "open_epoch"]
    kept = json.loads((first.folder / "sketch-keys.json").read_text())
    ((epoch, secret),) = kept["secrets"].items()
    assert opened.facts["commitment"] == commitment_to(epoch, bytes.fromhex(secret))
    assert all("遗失" not in str(entry.facts) for entry in entries)


def test_a_new_epoch_has_another_secret(place: Place) -> None:
    node = place.node("one")
    before = node.attend()
    place.keys.end_epoch(AUTHORITY_ACTOR, "周期届满")
    after = node.attend()
    assert before is not None
    assert after is not None
    assert after.epoch != before.epoch
    assert after.secret != before.secret
    assert [epoch.ended_at is None for epoch in place.keys.epochs()] == [True, False]
    assert len({epoch.commitment for epoch in place.keys.epochs()}) == 2


def test_only_one_of_two_nodes_that_begin_together_wins(place: Place) -> None:
    first, second = place.node("one"), place.node("two", CIVIL)
    for node in (first, second):
        node.hub.register_sealing_key(*_sealing_key(node))
    waiting = second.hub.sketch_key_work()
    assert waiting.epoch is None
    key = first.attend()
    opened = place.keys.open_epoch(second.hub.actor, "2026-other", "0" * 64, ())
    assert key is not None
    assert opened.id == key.epoch
    assert second.attend() == key


def test_a_key_that_the_node_did_not_sign_is_refused(place: Place) -> None:
    node, other = place.node("one"), place.node("two", CIVIL)
    public_key, signature = _sealing_key(other)
    with pytest.raises(Corrupt, match="signature_wrong"):
        place.keys.register(node.hub.actor, public_key, signature)
    with pytest.raises(Invalid, match="sealing_key_malformed"):
        place.keys.register(node.hub.actor, b"short", signature)
    stranger = Actor(kind=ActorKind.NODE, id="nobody", department=POLICE)
    with pytest.raises(NotFound, match="node_key_missing"):
        place.keys.register(stranger, public_key, signature)
    with pytest.raises(Refused, match="not_a_node"):
        place.keys.work(Actor(kind=ActorKind.PERSON, id="x"))


def test_a_hub_that_exchanges_keys_or_envelopes_is_found_out(place: Place) -> None:
    first, second = place.node("one"), place.node("two", CIVIL)
    second.attend()
    place.keys.end_epoch(AUTHORITY_ACTOR, "重来")
    first.attend()
    place.node("three", CIVIL).attend()
    work = first.hub.sketch_key_work()
    mine = Ed25519Signer.generate().public_key
    forged = tuple(one.model_copy(update={"public_key": mine}) for one in work.waiting)
    with pytest.raises(Corrupt, match="signature_wrong"):
        first.keyring.attend(Lying(first.hub, work.model_copy(update={"waiting": forged})))

    first.attend()
    answer = second.hub.sketch_key_work()
    assert answer.envelope is not None
    for change in (
        {"sealed": answer.envelope.sealed[:-1] + bytes([answer.envelope.sealed[-1] ^ 1])},
        {"signing_key": Ed25519Signer.generate().public_key},
    ):
        tampered = answer.model_copy(update={"envelope": answer.envelope.model_copy(update=change)})
        with pytest.raises(Corrupt):
            second.keyring.attend(Lying(second.hub, tampered))


def test_a_lost_file_means_a_new_sealing_key_and_the_secret_again(place: Place) -> None:
    first, second = place.node("one"), place.node("two", CIVIL)
    key = first.attend()
    second.attend()
    first.attend()
    assert second.attend() == key
    (second.folder / "sketch-keys.json").unlink()
    second.hub.register_sealing_key(*_sealing_key(second))
    assert second.attend() is None
    first.attend()
    assert second.attend() == key


def test_a_revoked_node_gets_no_secret(place: Place) -> None:
    first, second = place.node("one"), place.node("two", CIVIL)
    second.attend()
    for key in place.office.departments.keys(CIVIL):
        place.office.departments.revoke_key(key.key_id, AUTHORITY_ACTOR, "遗失")
    place.keys.end_epoch(AUTHORITY_ACTOR, "遗失")
    assert first.attend() is not None
    with place.office.database.snapshot() as connection:
        rows = connection.exec_driver_sql("SELECT node_id FROM catalogue_sketch_envelope").scalars().all()
    assert "two" not in rows[1:]


def test_the_file_is_its_owners_only(place: Place) -> None:
    node = place.node("one")
    node.attend()
    assert (node.folder / "sketch-keys.json").stat().st_mode & 0o077 == 0
    (node.folder / "sketch-keys.json").write_text("not json")
    with pytest.raises(Exception, match="sketch_keys_unreadable"):
        node.attend()


def _sealing_key(node: Joined) -> tuple[bytes, bytes]:
    """Let the node make its sealing key, and return what it registers."""
    noted: list[tuple[bytes, bytes]] = []

    class Listening(DirectHub):
        def register_sealing_key(self, public_key: bytes, signature: bytes) -> None:
            noted.append((public_key, signature))
            raise Refused("test.stop", what=_STOP, remedy=_STOP)

        def sketch_key_work(self) -> SketchKeyWork:
            return SketchKeyWork(registered=False, epoch=None, envelope=None, waiting=())

    with pytest.raises(Refused):
        node.keyring.attend(Listening(node.hub.keys, node.hub.actor))
    return noted[0]
