"""What of the sharing system `fsck` compares with the log: accounts, requests, agreements, who was given what."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, func, select

from datong.kernel import EntryId, JsonValue, Text
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Area, EntryContent, EntryKind, Held, Stated, commitment, of_subject, streamed
from datong.sharing import tables
from datong.sharing.agreement_store import select_agreements
from datong.sharing.block_evidence import BLOCK_KIND
from datong.sharing.delegations import delegation_facts, delegations_of
from datong.sharing.delta_evidence import SHARE_KIND
from datong.sharing.evidence import agreement_facts, instant, request_facts
from datong.sharing.requests import request_of
from datong.sharing.rights_state import RIGHTS_AREAS
from datong.sharing.sign_in_state import SIGN_IN_AREAS

_STEP = "step"
_NOT_STANDING = frozenset({_STEP, "levels", "liability"})
"""What says how something came about; levels and liability are in the digest of the terms, and not in old entries."""


def _requests(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(tables.request)):
        facts = _standing(request_facts(request_of(row), _STEP))
        yield Held(row["id"], {"sharing_request": facts})


def _agreements(connection: Connection) -> Iterator[Held]:
    columns = ("request_id", "provider", "consumer", "resource_id", "state")
    rows = {row["id"]: row for row in connection.execute(select(tables.agreement)).mappings()}
    offset = 0
    while found := select_agreements(connection, [], limit=PAGE_ROWS_MAX, offset=offset):
        offset += len(found)
        for agreement in found:
            row = rows[agreement.id]
            own = {name: row[name] for name in columns} | {"valid_until": instant(row["valid_until"])}
            facts = _standing(agreement_facts(agreement, _STEP))
            yield Held(agreement.id, {"sharing_agreement": own, "sharing_agreement.content": facts})


def _delegations(connection: Connection) -> Iterator[Held]:
    for one in delegations_of(connection):
        yield Held(one.id, {"sharing_delegation": delegation_facts(one)})


def _standing(facts: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the facts that say how something stands, not which step made it so."""
    return {name: value for name, value in facts.items() if name not in _NOT_STANDING}


def _access(entry: EntryContent) -> Stated | None:
    # A refused batch leaves an entry of the same kind, and no row.
    return of_subject(entry) if "access_id" in entry.facts else None


def _accesses(connection: Connection) -> Iterator[Held]:
    concerned = (
        select(func.count())
        .select_from(tables.access_subject)
        .where(tables.access_subject.c.access_id == tables.access.c.id)
        .scalar_subquery()
    )
    query = select(tables.access, concerned.label("concerned"))
    for row in streamed(connection, query):
        content = row["content"]
        own: dict[str, JsonValue] = {name: row[name] for name in ("kind", "allowed", "consumer")}
        told: dict[str, JsonValue] = {"policies": content["policies"]}
        if row["kind"] != BLOCK_KIND:
            own |= {"provider": row["provider"], "resource_id": row["resource_id"]}
            told |= {name: content[name] for name in ("service_item", "agreement_ids")}
        if "case_number" in content:
            told["case_commitment"] = commitment(bytes.fromhex(content["case_salt"]), content["case_number"])
        if row["kind"] != SHARE_KIND:
            # Whom the files of a shared table concern stands in lists of the release.
            own["subjects"] = row["concerned"]
        yield Held(row["id"], {"sharing_access": own, "sharing_access.content": told}, EntryId(row["entry_id"]))


SHARING_AREAS = (
    *RIGHTS_AREAS,
    *SIGN_IN_AREAS,
    Area(
        "sharing.delegation",
        Text(zh="代办委托", en="Delegation"),
        frozenset({EntryKind.DELEGATION}),
        of_subject,
        _delegations,
    ),
    Area(
        "sharing.request",
        Text(zh="共享申请", en="Request"),
        frozenset({EntryKind.REQUEST, EntryKind.DECISION}),
        of_subject,
        _requests,
    ),
    Area(
        "sharing.agreement",
        Text(zh="共享协议", en="Agreement"),
        frozenset({EntryKind.AGREEMENT}),
        of_subject,
        _agreements,
    ),
    Area(
        "sharing.access",
        Text(zh="数据使用记录", en="Access"),
        frozenset({EntryKind.ACCESS, EntryKind.REFUSAL}),
        _access,
        _accesses,
        own_entry=True,
    ),
)
