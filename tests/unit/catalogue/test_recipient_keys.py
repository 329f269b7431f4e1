"""Recipient keys: registered by the node that vouches for them, several in force, revoked for good, all in evidence."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from datong.catalogue import RecipientKeys, check_recipient_key, recipient_key_message
from datong.catalogue.recipient_keys import KEYS_IN_FORCE_MAX
from datong.kernel import Actor, ActorKind, Conflict, Corrupt, Invalid, NodeId, NotFound, Refused
from datong.ledger import Ed25519Signer, EntryKind
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, POLICE, Office

NODE = Actor(kind=ActorKind.NODE, id="node-police", department=POLICE)


class Registry:
    """The register, and a node with its signing key."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.keys = RecipientKeys(database=office.database, clock=office.clock, ledger=office.ledger)
        self.signer = Ed25519Signer.generate()
        self.signing = office.departments.register_key(POLICE, self.signer.public_key, NodeId(NODE.id), AUTHORITY_ACTOR)

    def public_key(self) -> bytes:
        return X25519PrivateKey.generate().public_key().public_bytes_raw()

    def signature(self, public_key: bytes, node: str = NODE.id) -> bytes:
        return self.signer.sign(recipient_key_message(POLICE, node, public_key))

    def in_force(self) -> list[str]:
        return [key.key_id for key in self.keys.in_force(POLICE, NodeId(NODE.id))]


@pytest.fixture
def registry(office: Office) -> Registry:
    return Registry(office)


def test_a_node_registers_keys_and_several_are_in_force(registry: Registry) -> None:
    first, second = registry.public_key(), registry.public_key()
    one = registry.keys.register(NODE, first, registry.signature(first))
    assert registry.keys.register(NODE, first, registry.signature(first)) == one
    two = registry.keys.register(NODE, second, registry.signature(second))
    assert set(registry.in_force()) == {one.key_id, two.key_id}
    check_recipient_key(one)
    facts = registry.office.ledger.entries(kind=EntryKind.DEPARTMENT_KEY).rows[0].facts
    assert facts["action"] == "register_recipient_key"
    assert facts["public_key"] == second.hex()
    revoked = registry.keys.revoke(one.key_id, AUTHORITY_ACTOR, "丢失")
    assert registry.keys.revoke(one.key_id, AUTHORITY_ACTOR, "丢失") == revoked
    assert registry.in_force() == [two.key_id]
    assert set(registry.keys.of_department(POLICE)) == {revoked, two}
    assert registry.keys.key(one.key_id) == revoked
    with pytest.raises(Conflict):
        registry.keys.register(NODE, first, registry.signature(first))


def test_a_key_whose_signing_key_is_revoked_is_not_in_force(registry: Registry) -> None:
    public_key = registry.public_key()
    registry.keys.register(NODE, public_key, registry.signature(public_key))
    registry.office.departments.revoke_key(registry.signing.key_id, AUTHORITY_ACTOR, "丢失")
    assert registry.in_force() == []


def test_what_no_node_vouches_for_is_not_registered(registry: Registry) -> None:
    public_key = registry.public_key()
    for signature in (bytes(64), registry.signature(public_key, "another"), registry.signature(registry.public_key())):
        with pytest.raises(Corrupt, match="recipient_key_forged"):
            registry.keys.register(NODE, public_key, signature)
    with pytest.raises(Refused):
        registry.keys.register(
            Actor(kind=ActorKind.PLATFORM, id="platform"), public_key, registry.signature(public_key)
        )
    for malformed in (b"short", bytes(32)):
        with pytest.raises(Invalid, match="recipient_key_malformed"):
            registry.keys.register(NODE, malformed, registry.signature(malformed))
    with pytest.raises(NotFound):
        registry.keys.key("0" * 16)


def test_a_node_has_a_bounded_number_of_keys(registry: Registry) -> None:
    for _ in range(KEYS_IN_FORCE_MAX):
        public_key = registry.public_key()
        registry.keys.register(NODE, public_key, registry.signature(public_key))
    last = registry.public_key()
    with pytest.raises(Conflict, match="recipient_keys_too_many"):
        registry.keys.register(NODE, last, registry.signature(last))
