"""The history of signing keys, from entries alone."""

from datetime import UTC, datetime, timedelta

from datong.catalogue import rotation_message, signing_keys
from datong.kernel import PLATFORM_ACTOR, DepartmentCode, EntryId, JsonValue, NodeId
from datong.ledger import Ed25519Signer, EntryKind, RecordedEntry

POLICE, NODE = DepartmentCode("12440600456000017N"), NodeId("node-1")
START = datetime(2026, 11, 28, tzinfo=UTC)


def entry(hours: int, kind: EntryKind, subject: str, **facts: JsonValue) -> RecordedEntry:
    return RecordedEntry(
        entry_id=EntryId(str(hours)),
        index=None,
        leaf_hash="",
        kind=kind,
        at=START + timedelta(hours=hours),
        subject=subject,
        actor=PLATFORM_ACTOR,
        facts=facts,
    )


def registered(hours: int, signer: Ed25519Signer, by: Ed25519Signer | None = None, node: str = NODE) -> RecordedEntry:
    more: dict[str, JsonValue] = {}
    if by is not None:
        message = rotation_message(POLICE, NODE, by.key_id, signer.public_key)
        more = {"replaces": by.key_id, "signature": by.sign(message).hex()}
    return entry(
        hours,
        EntryKind.DEPARTMENT_KEY,
        signer.key_id,
        action="register_key",
        department=POLICE,
        public_key=signer.public_key.hex(),
        node_id=node,
        **more,
    )


def test_what_a_stolen_key_signed_from_the_stated_moment_on_is_in_doubt() -> None:
    first, second = Ed25519Signer.generate(), Ed25519Signer.generate()
    since = (START + timedelta(hours=2)).isoformat()
    found = signing_keys(
        [
            registered(0, first),
            entry(1, EntryKind.RECEIPT, "before", key_id=first.key_id),
            entry(3, EntryKind.RECEIPT, "after", key_id=first.key_id),
            registered(4, second, by=first),
            entry(5, EntryKind.RECEIPT, "other", key_id=second.key_id),
            entry(6, EntryKind.DEPARTMENT_KEY, first.key_id, action="revoke_key", department=POLICE, since=since),
        ]
    )
    assert [record.key_id for record in found] == [first.key_id, second.key_id]
    assert [act.subject for act in found[0].in_doubt] == ["after"]
    assert (found[1].replaces, found[1].fault, found[1].in_doubt) == (first.key_id, None, ())


def test_a_key_that_nobody_could_vouch_for_is_a_fault() -> None:
    first, second, stranger = (Ed25519Signer.generate() for _ in range(3))
    revoked = entry(1, EntryKind.DEPARTMENT_KEY, first.key_id, action="revoke_key", department=POLICE)
    wrong = registered(1, second, by=first)
    wrong = wrong.model_copy(update={"facts": {**wrong.facts, "signature": "00" * 64}})
    for entries in (
        [registered(0, first), registered(1, second, by=stranger)],
        [registered(0, first), revoked, registered(2, second, by=first)],
        [registered(0, first, node="another"), registered(1, second, by=first)],
        [registered(0, first), wrong],
    ):
        assert signing_keys(entries)[-1].fault is not None
