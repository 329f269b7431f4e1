"""Private matchings at the hub: proposing, approving, and handing sealed parts from node to node.

The hub sees terms, signatures, digests and numbers of elements. Parts lie sealed under `lake/matchings` until the
matching ends, and are then deleted.
"""

import base64
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, or_, select, update

from datong.catalogue import Item, Resource
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    Clock,
    Conflict,
    Corrupt,
    Database,
    DepartmentCode,
    Invalid,
    JsonValue,
    NodeId,
    NotFound,
    Page,
    Refused,
    ResourceId,
    Text,
    canonical_json,
    new_id,
    page_of,
    sha256_hex,
)
from datong.kernel.files import replace_file
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, verify_signature
from datong.sharing import tables
from datong.sharing.matching_terms import (
    SEALED_BYTES_MAX,
    TERM_DAYS,
    Matching,
    MatchingAction,
    MatchingDraft,
    MatchingPart,
    MatchingReport,
    MatchingSide,
    MatchingState,
    MatchingStep,
    MatchingTerms,
    NodeWord,
    expired,
    follow,
    require_quota,
    with_part,
    with_report,
    with_word,
)
from datong.sharing.ports import DepartmentBook, PublishedResources
from datong.sharing.private_sets import new_token

WAITING_MAX = 50
"""Matchings that a node is told of at once."""
MATCHED_ELEMENTS = frozenset({"citizen_id", "uscc", "phone", "student_id", "household_id", "plate_number"})
"""What sets may be made of: identifiers. Of values with few possibilities all could be tried."""
_TABLE = tables.matching
_FACTS: dict[str, Callable[[Matching], Any]] = {
    "proposer": lambda one: one.terms.proposer.department,
    "other": lambda one: one.terms.other.department,
    "state": lambda one: one.state.value,
    "reveal": lambda one: one.terms.reveal.value,
    "element": lambda one: one.terms.element,
    "size_min": lambda one: one.terms.size_min,
    "common_min": lambda one: one.terms.common_min,
    "terms_sha256": lambda one: sha256_hex(canonical_json(one.terms.model_dump(mode="json"))),
}


class Matchings:
    """The matchings of all departments."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        catalogue: PublishedResources,
        departments: DepartmentBook,
        folder: Path,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._catalogue = catalogue
        self._departments = departments
        self._folder = folder

    # Officers

    def propose(self, draft: MatchingDraft, actor: Actor) -> Matching:
        """Propose a matching of one of the own department's columns with one of another's.

        Raises:
            NotFound, Invalid, Refused: no such published resources or columns, they are not of one identifying element,
                not of two departments, or were matched too often.
        """
        own, own_item = self._column(draft.own_resource, draft.own_column)
        other, other_item = self._column(draft.other_resource, draft.other_column)
        if own.department != actor.department or other.department == own.department:
            raise _invalid("own_resource", "须一方为本部门、另一方为其他部门。", "One is to be your own, one not.")
        if own_item.element != other_item.element or own_item.element not in MATCHED_ELEMENTS:
            raise _invalid("own_column", "两列须是同一种标识类数据元。", "Both columns must hold the same identifier.")
        now = self._clock.now()
        terms = MatchingTerms(
            id=new_id(),
            context=new_token(),
            proposer=_side(own, own_item),
            other=_side(other, other_item),
            element=own_item.element or "",
            purpose=draft.purpose,
            legal_basis=draft.legal_basis,
            reveal=draft.reveal,
            size_min=draft.size_min,
            common_min=draft.common_min,
            valid_until=now + timedelta(days=TERM_DAYS),
        )
        made = Matching(terms=terms, state=MatchingState.PROPOSED, proposed_by=actor.id, proposed_at=now)
        sides = sorted([side.resource_id, side.column] for side in (terms.proposer, terms.other))
        pair = sha256_hex(canonical_json([*sides]))
        with self._database.transaction() as connection:
            earlier = select(_TABLE.c.proposed_at).where(
                _TABLE.c.pair == pair, _TABLE.c.state.not_in([MatchingState.REFUSED, MatchingState.WITHDRAWN])
            )
            require_quota(list(connection.execute(earlier).scalars()), now)
            connection.execute(insert(_TABLE).values({**_row(made), "pair": pair, "proposed_at": now}))
            self._record(connection, made, "propose", actor)
        return made

    def act(self, matching_id: str, action: MatchingAction, actor: Actor) -> Matching:
        """Approve, refuse or withdraw; see `matching_terms.follow`."""
        if actor.department is None:
            raise _invalid("department", "该账号不代表任何部门。", "This account acts for no department.")
        by, now = actor.department, self._clock.now()
        return self._change(matching_id, action.value, actor, lambda one: follow(one, action, by, actor.id, now))

    def get(self, matching_id: str) -> Matching:
        """Return a matching, or raise NotFound."""
        with self._database.snapshot() as connection:
            return _matching(self._found(connection, matching_id))

    def find(self, department: DepartmentCode | None, *, offset: int, limit: int) -> Page[Matching]:
        """Return matchings, newest first; with `department`, those in which it takes part."""
        where = [] if department is None else [or_(_TABLE.c.proposer == department, _TABLE.c.other == department)]
        with self._database.snapshot() as connection:
            total = int(connection.execute(select(func.count()).select_from(_TABLE).where(*where)).scalar_one())
            rows = connection.execute(
                select(_TABLE)
                .where(*where)
                .order_by(_TABLE.c.proposed_at.desc(), _TABLE.c.id)
                .offset(offset)
                .limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            return page_of(tuple(_matching(row) for row in rows), total=total, offset=offset)

    # Nodes

    def work(self, node: NodeId, department: DepartmentCode) -> tuple[Matching, ...]:
        """Return the approved matchings in which a node takes part, oldest first."""
        query = (
            select(_TABLE)
            .where(
                _TABLE.c.state == MatchingState.APPROVED,
                or_(_TABLE.c.proposer == department, _TABLE.c.other == department),
            )
            .order_by(_TABLE.c.proposed_at)
            .limit(WAITING_MAX)
        )
        with self._database.snapshot() as connection:
            found = [_matching(row) for row in connection.execute(query).mappings()]
        now = self._clock.now()
        return tuple(one for one in found if one.terms.side(department).node_id == node and not expired(one, now))

    def sign(self, matching_id: str, word: NodeWord, actor: Actor) -> Matching:
        """Take a node's signature of the terms.

        Raises:
            Refused, Corrupt: the node does not take part, or the signature is not its own.
            Conflict: see `matching_terms.with_word`.
        """
        terms = self._own_terms(matching_id, actor, word.department)
        self._verify(actor, word.key_id, terms.signing_bytes(word.sealing_key), word.signature)
        return self._change(matching_id, "sign", actor, lambda one: with_word(one, word))

    def hand_in(self, part: MatchingPart, sealed: bytes, actor: Actor) -> Matching:
        """Keep a sealed part for the other node; its bytes are on disk before it counts as there.

        Raises:
            Refused, Corrupt: the node does not take part, or signature or digest is wrong.
            Conflict, Invalid: see `matching_terms.with_part`.
        """
        self._own_terms(part.matching_id, actor, part.department)
        self._verify(actor, part.key_id, part.signing_bytes(), part.signature)
        if not 0 < len(sealed) <= SEALED_BYTES_MAX or sha256_hex(sealed) != part.sha256:
            raise Corrupt(
                "sharing.matching_part_damaged",
                what=Text(zh="求交数据在途中损坏。", en="The part was damaged on its way."),
                remedy=Text(zh="请重新发送。", en="Send it again."),
            )
        with_part(self.get(part.matching_id), part)
        path = self._path(part.matching_id, part.department, part.step, part.number)
        replace_file(path, sealed, several_writers=True)
        return self._change(part.matching_id, part.step.value, actor, lambda one: with_part(one, part))

    def part(self, matching_id: str, step: MatchingStep, number: int, actor: Actor) -> bytes:
        """Return a sealed part that the other node handed in.

        Raises:
            NotFound: it is not there (any more). Refused: the node does not take part.
        """
        matching = self.get(matching_id)
        terms = self._own_terms(matching_id, actor, actor.department)
        theirs = next(one for one in terms.departments if one != actor.department)
        known = {one.number for one in matching.sent(theirs, step)}
        path = self._path(matching_id, theirs, step, number)
        if number not in known or not path.is_file():
            raise _unknown(matching_id)
        return path.read_bytes()

    def report(self, report: MatchingReport, actor: Actor) -> Matching:
        """Take a node's word on how it ended; when the matching is over its parts are deleted.

        Raises:
            Refused, Corrupt: the node does not take part, or the signature is not its own.
            Conflict, Invalid: see `matching_terms.with_report`.
        """
        self._own_terms(report.matching_id, actor, report.department)
        self._verify(actor, report.key_id, report.signing_bytes(), report.signature)
        return self._change(report.matching_id, "report", actor, lambda one: with_report(one, report))

    def sweep(self) -> bool:
        """End what is too old, and delete the parts of what is over."""
        now = self._clock.now()
        with self._database.snapshot() as connection:
            old = connection.execute(
                select(_TABLE.c.id).where(
                    _TABLE.c.state.in_([MatchingState.PROPOSED, MatchingState.APPROVED]), _TABLE.c.valid_until <= now
                )
            ).scalars()
            ended = list(old)
        for matching_id in ended:
            self._change(matching_id, "expire", PLATFORM_ACTOR, lambda one: _expire(one, now))
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if not self.get(folder.name).state.open:
                shutil.rmtree(folder, ignore_errors=True)
        return False

    # The rest

    def _column(self, resource_id: ResourceId, column: str) -> tuple[Resource, Item]:
        resource = self._catalogue.published(resource_id)
        item = next((one for one in resource.content.items if one.column == column), None)
        if item is None or resource.content.binding is None:
            raise _invalid("column", f"资源没有可用的列 {column}。", f"The resource has no usable column {column}.")
        return resource, item

    def _own_terms(self, matching_id: str, actor: Actor, department: DepartmentCode | None) -> MatchingTerms:
        terms = self.get(matching_id).terms
        own = department in terms.departments and department == actor.department
        if not own or department is None or terms.side(department).node_id != actor.id:
            raise Refused(
                "sharing.matching_not_ours",
                what=Text(zh="该前置机不参与这次求交。", en="This node takes no part in the matching."),
                remedy=Text(zh="请由资源挂接的前置机办理。", en="It is for the node to which the resource is bound."),
            )
        return terms

    def _verify(self, actor: Actor, key_id: str, message: bytes, signature: str) -> None:
        key = self._departments.key(key_id)
        if key.department != actor.department or key.revoked_at is not None or key.node_id != actor.id:
            raise _forged()
        try:
            verify_signature(key.public_key, message, base64.b64decode(signature, validate=True))
        except ValueError as error:
            raise _forged() from error

    def _change(self, matching_id: str, step: str, actor: Actor, change: Callable[[Matching], Matching]) -> Matching:
        """Change a matching and record it in one transaction; what changes nothing records nothing."""
        with self._database.transaction() as connection:
            before = _matching(self._found(connection, matching_id, lock=True))
            after = change(before)
            if after is before:
                return before
            changed = connection.execute(
                update(_TABLE)
                .where(_TABLE.c.id == matching_id, _TABLE.c.revision == before.revision)
                .values(_row(after))
            )
            if changed.rowcount != 1:
                raise Conflict(
                    "sharing.matching_changed",
                    what=Text(zh="求交刚刚被他人更改。", en="Somebody else has just changed the matching."),
                    remedy=Text(zh="请刷新后再试。", en="Look again and try again."),
                )
            self._record(connection, after, step, actor)
        if not after.state.open:
            shutil.rmtree(self._folder / matching_id, ignore_errors=True)
        return after

    def _record(self, connection: Connection, matching: Matching, step: str, actor: Actor) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.MATCHING,
            subject=matching.terms.id,
            actor=actor,
            facts={**matching_facts(matching), "step": step},
        )

    @staticmethod
    def _found(connection: Connection, matching_id: str, *, lock: bool = False) -> RowMapping:
        query = select(_TABLE).where(_TABLE.c.id == matching_id)
        row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
        if row is None:
            raise _unknown(matching_id)
        return row

    def _path(self, matching_id: str, department: DepartmentCode, step: MatchingStep, number: int) -> Path:
        # Ids and departments are the hub's own by now: nothing of the caller's is in the path.
        return self._folder / matching_id / f"{department}-{step.value}-{number:02d}"


def _expire(matching: Matching, now: datetime) -> Matching:
    if not expired(matching, now):
        return matching
    return matching.model_copy(update={"state": MatchingState.EXPIRED, "revision": matching.revision + 1})


def _side(resource: Resource, item: Item) -> MatchingSide:
    binding = resource.content.binding
    if binding is None:
        raise TypeError("a resource without a binding was let through")
    return MatchingSide(
        department=resource.department,
        resource_id=resource.id,
        column=item.column,
        node_id=binding.node_id,
        source=binding.source,
        table=binding.table,
    )


def _row(matching: Matching) -> dict[str, Any]:
    return {
        "id": matching.terms.id,
        "proposer": matching.terms.proposer.department,
        "other": matching.terms.other.department,
        "state": matching.state.value,
        "valid_until": matching.terms.valid_until,
        "revision": matching.revision,
        "content": matching.model_dump(mode="json"),
    }


def matching_facts(matching: Matching) -> dict[str, JsonValue]:
    """Return how a matching stands, for the ledger: numbers, never a value."""
    sizes = {one.department: one.elements for one in matching.parts if one.step is MatchingStep.BLINDED}
    common = {one.common for one in matching.reports}
    return {
        **{name: of(matching) for name, of in _FACTS.items()},
        "proposer_size": sizes.get(matching.terms.proposer.department),
        "other_size": sizes.get(matching.terms.other.department),
        "common": next(iter(common)) if matching.state is MatchingState.DONE else None,
        "reason": matching.reason,
    }


def _matching(row: RowMapping) -> Matching:
    return Matching.model_validate(row["content"])


def _unknown(matching_id: str) -> NotFound:
    return NotFound(
        "sharing.matching_unknown",
        what=Text(zh=f"没有求交 {matching_id}，或其数据已删除。", en=f"No matching {matching_id}, or no such part."),
        remedy=Text(zh="请核对编号。", en="Check the id."),
    )


def _forged() -> Corrupt:
    return Corrupt(
        "sharing.matching_signature_wrong",
        what=Text(zh="签名不是该前置机的。", en="The signature is not that node's."),
        remedy=Text(zh="请核查前置机的密钥。", en="Look into the node's key."),
    )


def _invalid(field: str, zh: str, en: str) -> Invalid:
    return Invalid(
        "sharing.matching_invalid",
        what=Text(zh=zh, en=en),
        remedy=Text(zh="请修改后再提交。", en="Change it and submit again."),
        field=f"/{field}",
    )
