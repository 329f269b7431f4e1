"""The record of an access: one row, the marks of the citizens it concerns, and one entry of the log each.

The records of many calls are written in one transaction; each keeps an entry of its own, so that a citizen can prove
one access without the others.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from datong.kernel import (
    AccessId,
    AgreementId,
    CommonMembers,
    JsonText,
    JsonValue,
    Part,
    insert_together,
    new_id,
    random_bytes,
    sha256_hex,
)
from datong.ledger import CommonFacts, EntryDraft, EntryKind, Ledger, commitment
from datong.sharing import tables
from datong.sharing.evidence import item_facts, subject_fact
from datong.sharing.gateway_calls import Call, Shape
from datong.sharing.subjects import SALT_BYTES, SubjectMark
from datong.sharing.terms import Agreement

_ROW = CommonMembers({})
"""How a row is written: as `canonical_json` does, with its names put in order once."""


class Alike(NamedTuple):
    """What the records of all calls say that have one shape and were decided alike."""

    allowed: bool
    agreement_ids: tuple[AgreementId, ...]
    kind: str
    facts: CommonFacts
    content: CommonMembers


class Outcome(NamedTuple):
    """What the record of one call says beyond that: whom it concerned, how many rows, a commitment to the answer."""

    alike: Alike
    subjects: tuple[SubjectMark, ...] = ()
    rows: int = 0
    answer: str = ""


class AccessDraft(NamedTuple):
    """A record on its way into the control database."""

    id: AccessId
    entry: EntryDraft
    row: Mapping[str, object]
    subjects: tuple[SubjectMark, ...]


def alike(shape: Shape, agreements: Sequence[Agreement], *, allowed: bool, policy_ids: Sequence[str]) -> Alike:
    """Return what the records of calls of a shape say that were decided so."""
    agreement_ids = tuple(agreement.id for agreement in agreements)
    purpose = agreements[0].purpose if agreements else None
    resource = shape.resource
    facts: dict[str, JsonValue] = {
        "kind": shape.action.value.removeprefix("data."),
        "allowed": allowed,
        "consumer": shape.principal.department,
        "provider": resource.department,
        "resource_id": resource.id,
        "resource_version": resource.published_version or resource.version,
        "agreement_ids": list(agreement_ids),
        "service_item": shape.purpose,
        "policies": list(policy_ids),
        **item_facts(shape.columns),
    }
    content: dict[str, JsonValue] = {
        "resource_title": resource.content.title.model_dump(),
        "items": [item.name.model_dump() for item in shape.items.values()],
        "agreement_ids": list(agreement_ids),
        "service_item": shape.purpose,
        "scene": purpose.scene if purpose else "",
        "legal_basis": purpose.legal_basis if purpose else "",
        "policies": list(policy_ids),
    }
    kind = EntryKind.ACCESS if allowed else EntryKind.REFUSAL
    common = CommonFacts(kind, shape.principal.actor, facts)
    return Alike(allowed, agreement_ids, str(facts["kind"]), common, CommonMembers(content))


def answer_commitment(salt: bytes, rows: Sequence[Mapping[str, str | None]]) -> str:
    """Return the commitment to what a caller was told."""
    told = ",".join([_ROW.text_with(row) for row in rows])
    return commitment(salt, sha256_hex(f"[{told}]".encode()))


def draft(ledger: Ledger, call: Call, outcome: Outcome, now: datetime) -> AccessDraft:
    """Return the record of a call; the personal values are in the log as salted commitments only.

    `now` tells how long the call took: from when it was taken up to its record, a node's answer included.

    Raises:
        Invalid, TooLarge: see `Ledger.append`.
    """
    access_id = AccessId(new_id())
    case_salt = random_bytes(SALT_BYTES)
    said = outcome.alike
    facts: dict[str, str | int] = {
        "access_id": access_id,
        "case_commitment": commitment(case_salt, call.case_number),
        "rows": outcome.rows,
        "subjects": len(outcome.subjects),
        "answer_commitment": outcome.answer,
        "milliseconds": max(0, round((now - call.at).total_seconds() * 1000)),
    }
    for position, mark in enumerate(outcome.subjects):
        facts[subject_fact(position)] = mark.commitment
    entry = ledger.draft_like(said.facts, at=now, subject=access_id, facts=facts)
    row = {
        "id": access_id,
        "kind": said.kind,
        "allowed": said.allowed,
        "at": call.at,
        "consumer": call.shape.principal.department,
        "provider": call.shape.resource.department,
        "resource_id": call.shape.resource.id,
        "entry_id": entry.id,
        "content": JsonText(
            said.content.text_with(
                {"case_number": call.case_number, "case_salt": case_salt.hex(), "rows": outcome.rows}
            )
        ),
    }
    return AccessDraft(access_id, entry, row, outcome.subjects)


def write(ledger: Ledger, connection: Connection, drafts: Sequence[AccessDraft]) -> None:
    """Write records and their evidence in the caller's transaction."""
    subjects = [
        {"access_id": one.id, "subject_index": mark.subject_index, "position": position, "salt": mark.salt}
        for one in drafts
        for position, mark in enumerate(one.subjects)
    ]
    insert_together(
        connection,
        (
            *ledger.parts([one.entry for one in drafts]),
            Part(tables.access, [one.row for one in drafts]),
            Part(tables.access_subject, subjects),
        ),
    )
