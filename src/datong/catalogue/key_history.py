"""The history of departments' signing keys, from the log alone: which held when, who vouched for it, what is in doubt.

A key is replaced by one that the key before it signs for, so that who believes a first key learns the others from an
exported log. A key that others may hold is revoked *since* a moment: what the log recorded before then stays valid;
what it recorded between then and the revocation is in doubt, and is listed.
"""

from collections.abc import Iterable
from datetime import datetime

from datong.catalogue.key_rotation import rotation_message
from datong.kernel import Corrupt, DepartmentCode, NodeId, Text, Value
from datong.ledger import EntryKind, RecordedEntry, verify_signature


class DoubtfulAct(Value):
    """An entry (by its place in the log) that a key signed after others may have held it."""

    index: int
    kind: str
    subject: str
    at: datetime


class KeyRecord(Value):
    """One signing key: its place in the log, what it replaced, until when it held. `fault`: nobody vouched for it."""

    key_id: str
    department: str
    node_id: str | None
    index: int
    registered_at: datetime
    replaces: str = ""
    revoked_at: datetime | None = None
    compromised_since: datetime | None = None
    fault: Text | None = None
    in_doubt: tuple[DoubtfulAct, ...] = ()


def signing_keys(entries: Iterable[RecordedEntry]) -> tuple[KeyRecord, ...]:
    """Return every signing key of a log's entries, given in their order, oldest first."""
    found: dict[str, KeyRecord] = {}
    public: dict[str, bytes] = {}
    acts: dict[str, list[DoubtfulAct]] = {}
    for place, entry in enumerate(entries):
        facts = entry.facts
        if entry.kind is EntryKind.DEPARTMENT_KEY and facts["action"] == "register_key":
            public[entry.subject] = bytes.fromhex(str(facts["public_key"]))
            found[entry.subject] = KeyRecord(
                key_id=entry.subject,
                department=str(facts["department"]),
                node_id=None if facts["node_id"] is None else str(facts["node_id"]),
                index=place,
                registered_at=entry.at,
                replaces=str(facts.get("replaces", "")),
                fault=_fault(entry, public, found),
            )
        elif entry.kind is EntryKind.DEPARTMENT_KEY and facts["action"] == "revoke_key" and entry.subject in found:
            since = facts.get("since")
            moment = datetime.fromisoformat(str(since)) if since else None
            done = acts.get(entry.subject, [])
            found[entry.subject] = found[entry.subject].model_copy(
                update={
                    "revoked_at": entry.at,
                    "compromised_since": moment,
                    "in_doubt": tuple(act for act in done if moment is not None and act.at >= moment),
                }
            )
        elif isinstance(facts.get("key_id"), str):
            act = DoubtfulAct(index=place, kind=entry.kind.value, subject=entry.subject, at=entry.at)
            acts.setdefault(str(facts["key_id"]), []).append(act)
    return tuple(found.values())


def _fault(entry: RecordedEntry, public: dict[str, bytes], found: dict[str, KeyRecord]) -> Text | None:
    """Return what is wrong with how a key took another's place; None: nothing, or it took none's."""
    facts = entry.facts
    old = str(facts.get("replaces", ""))
    if not old:
        return None
    before = found.get(old)
    if before is None or before.revoked_at is not None:
        return Text(zh="由未登记或已撤销的密钥背书", en="vouched for by a key that is unknown or was revoked")
    if (before.department, before.node_id) != (facts["department"], facts["node_id"]):
        return Text(zh="由别的前置机的密钥背书", en="vouched for by another node's key")
    message = rotation_message(
        DepartmentCode(before.department), NodeId(before.node_id or ""), old, public[entry.subject]
    )
    try:
        verify_signature(public[old], message, bytes.fromhex(str(facts["signature"])))
    except (Corrupt, KeyError, ValueError):
        return Text(zh="旧密钥的签名不对", en="the old key's signature is wrong")
    return None
