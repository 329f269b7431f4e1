"""A private matching between two departments (隐私求交): its terms, its life, and what the nodes hand each other.

Pure: who may do what when, and what is a proper part, report or signature. The hub keeps terms, sizes and digests.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from datong.kernel import (
    PLAIN_ID,
    Base64Bytes,
    Conflict,
    DepartmentCode,
    Invalid,
    JsonValue,
    NodeId,
    Refused,
    ResourceId,
    Text,
    Value,
    canonical_json,
)
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX

SIZE_MIN_LEAST = 100
"""Terms may not let a set be smaller: a set of one is the question whether somebody is on the other's list."""
COMMON_MIN_LEAST = 10
"""Fewer in common are not told, and nothing is revealed."""
SIZE_MAX = 2_000_000
PAIR_DAYS = 30
PAIR_MATCHINGS_MAX = 4
"""Matchings of one pair of columns in PAIR_DAYS days: who varies a set by one member needs many."""
TERM_DAYS = 14
PART_BYTES_MAX = 6_400_000
"""Of a part before it is sealed: 200,000 points."""
SEALED_BYTES_MAX = PART_BYTES_MAX + 1024
PARTS_MAX = 16


class MatchingState(StrEnum):
    """Where a matching stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _LABELS[self]

    @property
    def open(self) -> bool:
        """Whether something can still happen."""
        return self in {MatchingState.PROPOSED, MatchingState.APPROVED}


_LABELS = {
    MatchingState.PROPOSED: Text(zh="待对方同意", en="proposed"),
    MatchingState.APPROVED: Text(zh="前置机计算中", en="nodes at work"),
    MatchingState.DONE: Text(zh="已完成", en="done"),
    MatchingState.REFUSED: Text(zh="对方不同意", en="refused"),
    MatchingState.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
    MatchingState.FAILED: Text(zh="未完成", en="ended without a result"),
    MatchingState.EXPIRED: Text(zh="已过期", en="expired"),
}


class MatchingAction(StrEnum):
    """What data officers do about a matching."""

    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


class Reveal(StrEnum):
    """Who learns which of its own values are common; everybody learns how many, if they are enough."""

    NOBODY = "nobody"
    PROPOSER = "proposer"
    OTHER = "other"
    BOTH = "both"

    @property
    def label(self) -> Text:
        """Who learns it, in words."""
        return _REVEALS[self]


_REVEALS = {
    Reveal.NOBODY: Text(zh="双方只得到交集数量", en="both learn the number only"),
    Reveal.PROPOSER: Text(zh="发起方得到交集明细", en="the proposer learns which"),
    Reveal.OTHER: Text(zh="对方得到交集明细", en="the other side learns which"),
    Reveal.BOTH: Text(zh="双方得到交集明细", en="both learn which"),
}


class MatchingSide(Value):
    """One side's set: the values of one column of one of its resources, read by its node."""

    department: DepartmentCode
    resource_id: ResourceId
    column: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    node_id: NodeId
    source: str
    table: str


class MatchingDraft(Value):
    """What a data officer proposes."""

    own_resource: ResourceId
    own_column: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    other_resource: ResourceId
    other_column: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    purpose: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    legal_basis: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    reveal: Reveal = Reveal.NOBODY
    size_min: int = Field(SIZE_MIN_LEAST, ge=SIZE_MIN_LEAST, le=SIZE_MAX)
    common_min: int = Field(COMMON_MIN_LEAST, ge=COMMON_MIN_LEAST, le=SIZE_MAX)


class MatchingTerms(Value):
    """What both departments approve and both nodes sign. `context` makes points of this matching like no others."""

    id: str = Field(pattern=PLAIN_ID)
    context: str
    proposer: MatchingSide
    other: MatchingSide
    element: str
    purpose: str
    legal_basis: str
    reveal: Reveal
    size_min: int
    common_min: int
    valid_until: datetime

    @property
    def departments(self) -> tuple[DepartmentCode, DepartmentCode]:
        """Both sides, the proposer first."""
        return self.proposer.department, self.other.department

    def side(self, department: DepartmentCode) -> MatchingSide:
        """Return a department's side."""
        return self.proposer if department == self.proposer.department else self.other

    def learns(self, department: DepartmentCode) -> bool:
        """Whether a department learns which of its values are common."""
        own = Reveal.PROPOSER if department == self.proposer.department else Reveal.OTHER
        return self.reveal in {own, Reveal.BOTH}

    def signing_bytes(self, sealing_key: bytes) -> bytes:
        """Return what a node signs: the terms, and the key to which the other node seals for it."""
        said: dict[str, JsonValue] = {"v": 1, "type": "matching", "sealing_key": sealing_key.hex()}
        return canonical_json({**said, "terms": self.model_dump(mode="json")})


class NodeWord(Value):
    """A node's signature of the terms, with its X25519 key for this matching."""

    department: DepartmentCode
    sealing_key: Base64Bytes = Field(min_length=32, max_length=32)
    key_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    signature: str = Field(max_length=200)


class MatchingStep(StrEnum):
    """What the nodes hand each other, in order."""

    BLINDED = "blinded"
    """One's own points under one's own secret."""
    DOUBLED = "doubled"
    """The other's points under both secrets, in an order of one's own."""
    ORDER = "order"
    """That order, if the other side learns which of its values are common."""


class MatchingPart(Value):
    """The signed head of one sealed part; `elements` of the whole step are points, or places of an order."""

    matching_id: str
    department: DepartmentCode
    step: MatchingStep
    number: int = Field(ge=0, lt=PARTS_MAX)
    parts: int = Field(ge=1, le=PARTS_MAX)
    elements: int = Field(ge=1, le=SIZE_MAX)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    key_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    signature: str = Field("", max_length=200)

    def signing_bytes(self) -> bytes:
        """Return what the sending node signs."""
        said: Mapping[str, JsonValue] = self.model_dump(mode="json", exclude={"signature"})
        return canonical_json({"v": 1, "type": "matching part", **said})


class MatchingReport(Value):
    """A node's signed word on how it ended: sizes only. `common` is None below what the terms let be told."""

    matching_id: str
    department: DepartmentCode
    outcome: Literal["done", "failed"]
    own_size: int = Field(0, ge=0, le=SIZE_MAX)
    other_size: int = Field(0, ge=0, le=SIZE_MAX)
    common: int | None = Field(None, ge=0, le=SIZE_MAX)
    revealed: bool = False
    reason: str = Field("", max_length=NAME_CHARS_MAX)
    """A code of an error, never a value."""
    key_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    signature: str = Field("", max_length=200)

    def signing_bytes(self) -> bytes:
        """Return what the node signs."""
        said: Mapping[str, JsonValue] = self.model_dump(mode="json", exclude={"signature"})
        return canonical_json({"v": 1, "type": "matching report", **said})


class Matching(Value):
    """A matching as the hub knows it."""

    terms: MatchingTerms
    state: MatchingState
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None = None
    reason: str = ""
    words: tuple[NodeWord, ...] = ()
    parts: tuple[MatchingPart, ...] = ()
    reports: tuple[MatchingReport, ...] = ()
    revision: int = 1

    @property
    def signed(self) -> bool:
        """Whether both nodes have signed."""
        return len(self.words) == 2

    def word_of(self, department: DepartmentCode) -> NodeWord | None:
        """Return a department's node's signature, once it is there."""
        return next((word for word in self.words if word.department == department), None)

    def sent(self, department: DepartmentCode, step: MatchingStep) -> tuple[MatchingPart, ...]:
        """Return the parts of a step that a department has handed in; all of them, or none."""
        found = tuple(one for one in self.parts if (one.department, one.step) == (department, step))
        return found if found and len(found) == found[0].parts else ()


def follow(matching: Matching, action: MatchingAction, by: DepartmentCode, actor: str, now: datetime) -> Matching:
    """Return a matching after an officer's act.

    Raises:
        Refused: the act belongs to the other side. Conflict: its time is over.
    """
    proposer, other = matching.terms.departments
    if by != (proposer if action is MatchingAction.WITHDRAW else other):
        raise Refused(
            "sharing.matching_other_side",
            what=Text(zh="应由另一方办理。", en="That is the other side's to do."),
            remedy=Text(zh="请由另一方的数据管理员办理。", en="Let the other side's data officer do it."),
        )
    allowed = {MatchingState.PROPOSED}
    if action is MatchingAction.WITHDRAW:
        allowed |= {MatchingState.APPROVED}
    if matching.state not in allowed or now >= matching.terms.valid_until:
        raise _conflict(matching.state)
    after = {
        MatchingAction.APPROVE: MatchingState.APPROVED,
        MatchingAction.REFUSE: MatchingState.REFUSED,
        MatchingAction.WITHDRAW: MatchingState.WITHDRAWN,
    }[action]
    changed: dict[str, object] = {"state": after, "revision": matching.revision + 1}
    if action is MatchingAction.APPROVE:
        changed["approved_by"] = actor
    return matching.model_copy(update=changed)


def with_word(matching: Matching, word: NodeWord) -> Matching:
    """Return a matching that a node has signed; the same word twice is the same word.

    Raises:
        Conflict: it is not approved, or the node has signed with another key: a secret is for one try only.
    """
    known = matching.word_of(word.department)
    if known is not None and known.sealing_key == word.sealing_key:
        return matching
    if known is not None or matching.state is not MatchingState.APPROVED:
        raise _conflict(matching.state)
    return matching.model_copy(update={"words": (*matching.words, word), "revision": matching.revision + 1})


_NEEDED = {MatchingStep.DOUBLED: MatchingStep.BLINDED, MatchingStep.ORDER: MatchingStep.DOUBLED}
"""What the other side must have handed in before."""


def with_part(matching: Matching, part: MatchingPart) -> Matching:
    """Return a matching with one more part; the same part twice is the same part.

    Raises:
        Conflict: another part stands in its place, or it comes before what it rests on.
        Invalid: it is smaller than agreed, or does not fit the parts before it.
    """
    terms, place = matching.terms, (part.department, part.step, part.number)
    known = next((one for one in matching.parts if (one.department, one.step, one.number) == place), None)
    if known is not None and known.sha256 == part.sha256:
        return matching
    if known is not None or matching.state is not MatchingState.APPROVED or not matching.signed:
        raise _conflict(matching.state)
    theirs = next(one for one in terms.departments if one != part.department)
    needed = _NEEDED.get(part.step)
    before = () if needed is None else matching.sent(theirs, needed)
    if (needed is not None and not before) or (part.step is MatchingStep.ORDER and not terms.learns(theirs)):
        raise _conflict(matching.state)
    basis = matching.sent(theirs, MatchingStep.BLINDED)
    fellows = [one for one in matching.parts if (one.department, one.step) == (part.department, part.step)]
    fits = all((one.parts, one.elements) == (part.parts, part.elements) for one in fellows)
    if (
        part.number >= part.parts
        or not fits
        or part.elements < terms.size_min
        or (needed is not None and part.elements != basis[0].elements)
    ):
        raise Invalid(
            "sharing.matching_part_invalid",
            what=Text(zh="求交数据的数量不符合约定。", en="The number of elements is not what was agreed."),
            remedy=Text(zh="请核对集合大小与约定的下限。", en="Compare the set's size with the agreed minimum."),
        )
    return matching.model_copy(update={"parts": (*matching.parts, part), "revision": matching.revision + 1})


def with_report(matching: Matching, report: MatchingReport) -> Matching:
    """Return a matching of which a node has said how it ended: done when both say so, failed as soon as one does.

    Raises:
        Conflict: it is over, or the node has said something else.
        Invalid: what it says is not possible under the terms.
    """
    known = next((one for one in matching.reports if one.department == report.department), None)
    if known is not None and known.signing_bytes() == report.signing_bytes():
        return matching
    if known is not None or matching.state is not MatchingState.APPROVED:
        raise _conflict(matching.state)
    terms = matching.terms
    told = report.common is not None
    if (told and (report.common or 0) < terms.common_min) or (report.revealed and not told):
        raise Invalid(
            "sharing.matching_report_invalid",
            what=Text(zh="交集数量低于可告知的下限。", en="The number in common is below what may be told."),
            remedy=Text(zh="低于下限时应留空。", en="Leave it out below the minimum."),
        )
    reports = (*matching.reports, report)
    state, reason = MatchingState(matching.state), ""
    if report.outcome == "failed":
        state, reason = MatchingState.FAILED, report.reason
    elif len(reports) == 2:
        agree = len({one.common for one in reports}) == 1
        state = MatchingState.DONE if agree else MatchingState.FAILED
        reason = "" if agree else "results_differ"
    changed = {"reports": reports, "state": state, "reason": reason, "revision": matching.revision + 1}
    return matching.model_copy(update=changed)


def expired(matching: Matching, now: datetime) -> bool:
    """Whether an open matching's time is over."""
    return matching.state.open and now >= matching.terms.valid_until


def require_quota(earlier: Collection[datetime], now: datetime) -> None:
    """Refuse one matching too many of the same pair of columns.

    Raises:
        Refused: `sharing.matching_quota`.
    """
    recent = [at for at in earlier if now - at < timedelta(days=PAIR_DAYS)]
    if len(recent) >= PAIR_MATCHINGS_MAX:
        raise Refused(
            "sharing.matching_quota",
            what=Text(
                zh=f"同一对数据项在 {PAIR_DAYS} 天内最多求交 {PAIR_MATCHINGS_MAX} 次。",
                en=f"The same pair of columns is matched at most {PAIR_MATCHINGS_MAX} times in {PAIR_DAYS} days.",
            ),
            remedy=Text(zh="请稍后再试。", en="Wait until an earlier one is old enough."),
        )


def _conflict(state: MatchingState) -> Conflict:
    return Conflict(
        "sharing.matching_state",
        what=Text(zh=f"求交“{state.label.zh}”，现在不能这样做。", en=f"Not now: the matching is {state.label.en}."),
        remedy=Text(zh="请查看求交的状态。", en="Look at the state of the matching."),
    )
