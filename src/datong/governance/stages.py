"""The stages of a dispute (Art. 28): the parties negotiate, the authority coordinates, its government decides.

A case is opened about a finding, by the platform or by a party that objects to it, or about something else that two
departments, or one and the authority, cannot settle between them. One table says which act is possible at which stage,
by whom, and where it leads. The Regulations set no deadlines for the stages, so they are configurable, in working days.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import field_validator

from datong.kernel import (
    Actor,
    ActorKind,
    CaseId,
    Conflict,
    DepartmentCode,
    EntryId,
    FindingId,
    Refused,
    Text,
    Value,
)
from datong.norms import NormPack


class CaseStage(StrEnum):
    """Where a case stands."""

    NEGOTIATE = "negotiate"
    AUTHORITY = "authority"
    GOVERNMENT = "government"
    CLOSED = "closed"


class CaseOrigin(StrEnum):
    """What a case is about."""

    FINDING = "finding"
    REFUSAL = "refusal"
    AGREEMENT = "agreement"
    CORRECTION = "correction"
    SOURCE = "source"
    DEMAND = "demand"
    WISH = "wish"


class Ruling(StrEnum):
    """What a decision makes of the finding that a case is about: it stands, or its points are not charged."""

    STANDS = "stands"
    SET_ASIDE = "set_aside"


class CaseAction(StrEnum):
    """What can be done with a case."""

    OPEN = "open"
    OBJECT = "object"
    RECHECK = "recheck"
    STATE = "state"
    SETTLE = "settle"
    ESCALATE = "escalate"
    DECIDE = "decide"


class CaseSide(StrEnum):
    """On which side somebody stands in a case."""

    PARTY = "party"
    AUTHORITY = "authority"
    PLATFORM = "platform"
    OUTSIDER = "outsider"


STAGE_NAMES: Mapping[CaseStage, Text] = {
    CaseStage.NEGOTIATE: Text(zh="双方协商", en="negotiation"),
    CaseStage.AUTHORITY: Text(zh="主管部门协调", en="coordination by the authority"),
    CaseStage.GOVERNMENT: Text(zh="本级政府决定", en="decision of the government"),
    CaseStage.CLOSED: Text(zh="已办结", en="closed"),
}

ORIGIN_NAMES: Mapping[CaseOrigin, Text] = {
    CaseOrigin.FINDING: Text(zh="责任认定", en="finding"),
    CaseOrigin.REFUSAL: Text(zh="不予共享的申请", en="refused request"),
    CaseOrigin.AGREEMENT: Text(zh="协议争议", en="dispute under an agreement"),
    CaseOrigin.CORRECTION: Text(zh="数据有误而未更正", en="data error"),
    CaseOrigin.SOURCE: Text(zh="数源认定争议", en="contested source"),
    CaseOrigin.DEMAND: Text(zh="未满足的需求", en="unmet demand"),
    CaseOrigin.WISH: Text(zh="公众需求", en="wish of the public"),
}
RULING_NAMES: Mapping[Ruling, Text] = {
    Ruling.STANDS: Text(zh="认定维持", en="the finding stands"),
    Ruling.SET_ASIDE: Text(zh="认定不计分", en="the finding is not charged"),
}
ACTION_NAMES: Mapping[CaseAction, Text] = {
    CaseAction.OPEN: Text(zh="立案", en="open"),
    CaseAction.OBJECT: Text(zh="提出异议", en="object to the finding"),
    CaseAction.RECHECK: Text(zh="按规则复核", en="judge again by the rules"),
    CaseAction.STATE: Text(zh="陈述", en="make a statement"),
    CaseAction.SETTLE: Text(zh="达成一致", en="settle"),
    CaseAction.ESCALATE: Text(zh="提请上一级", en="escalate"),
    CaseAction.DECIDE: Text(zh="作出决定", en="decide"),
}

_PARTIES = frozenset({CaseSide.PARTY})
_AUTHORITY = frozenset({CaseSide.AUTHORITY})
_ANYBODY_INVOLVED = frozenset({CaseSide.PARTY, CaseSide.AUTHORITY})

_PLATFORM = frozenset({CaseSide.PLATFORM})
_OPEN = (CaseStage.NEGOTIATE, CaseStage.AUTHORITY, CaseStage.GOVERNMENT)

TRANSITIONS: Mapping[tuple[CaseStage, CaseAction], tuple[CaseStage, frozenset[CaseSide]]] = {
    (CaseStage.NEGOTIATE, CaseAction.STATE): (CaseStage.NEGOTIATE, _ANYBODY_INVOLVED),
    (CaseStage.NEGOTIATE, CaseAction.SETTLE): (CaseStage.CLOSED, _PARTIES),
    (CaseStage.NEGOTIATE, CaseAction.ESCALATE): (CaseStage.AUTHORITY, _PARTIES | {CaseSide.PLATFORM}),
    (CaseStage.AUTHORITY, CaseAction.STATE): (CaseStage.AUTHORITY, _ANYBODY_INVOLVED),
    (CaseStage.AUTHORITY, CaseAction.SETTLE): (CaseStage.CLOSED, _ANYBODY_INVOLVED),
    (CaseStage.AUTHORITY, CaseAction.DECIDE): (CaseStage.CLOSED, _AUTHORITY),
    (CaseStage.AUTHORITY, CaseAction.ESCALATE): (CaseStage.GOVERNMENT, _ANYBODY_INVOLVED | {CaseSide.PLATFORM}),
    (CaseStage.GOVERNMENT, CaseAction.STATE): (CaseStage.GOVERNMENT, _ANYBODY_INVOLVED),
    (CaseStage.GOVERNMENT, CaseAction.DECIDE): (CaseStage.CLOSED, _AUTHORITY),
    **{(stage, CaseAction.OBJECT): (stage, _ANYBODY_INVOLVED) for stage in _OPEN},
    **{(stage, CaseAction.RECHECK): (stage, _PLATFORM) for stage in _OPEN},
}
"""(stage, action) → (next stage, who may). The authority's office records what the government decided."""


class StageLimits(Value):
    """Working days for each stage; None: no deadline, and no automatic escalation."""

    negotiate: int | None = 10
    authority: int | None = 10
    government: int | None = 20

    @classmethod
    def of_pack(cls, pack: NormPack) -> Self:
        """Return the limits that a norm pack sets."""
        return cls(
            negotiate=pack.time_limit("dispute_negotiation"),
            authority=pack.time_limit("dispute_authority"),
            government=pack.time_limit("dispute_government"),
        )

    def of(self, stage: CaseStage) -> int | None:
        """Return the working days that `stage` may last."""
        return {
            CaseStage.NEGOTIATE: self.negotiate,
            CaseStage.AUTHORITY: self.authority,
            CaseStage.GOVERNMENT: self.government,
        }.get(stage)


class Recheck(Value):
    """What came of judging a finding again: its revision, whether that is the one there was, and what of the cited
    entries the rules go by (`considered`) and what they do not read (`beside`); `judged` is False where the rules
    find no duty any more."""

    revision: int
    unchanged: bool
    judged: bool
    considered: tuple[EntryId, ...]
    beside: tuple[EntryId, ...]

    @property
    def said(self) -> Text:
        """The result in words."""
        cited = len(self.considered) + len(self.beside)
        zh = "结论不变" if self.unchanged else f"认定已修订为第 {self.revision} 版"
        en = "the result is the same" if self.unchanged else f"the finding now has revision {self.revision}"
        if not self.judged:
            zh, en = (
                "按现在的存证已没有这项职责，认定保持原样",
                "by today's evidence there is no such duty; it stays as it was",
            )
        if not cited:
            return Text(zh=f"按现有存证重新计算：{zh}。", en=f"Judged again by the evidence on record: {en}.")
        return Text(
            zh=f"按现有存证重新计算：{zh}。所列 {cited} 条佐证中，规则已用到 {len(self.considered)} 条，"
            "其余由裁决者判断。",
            en=f"Judged again by the evidence on record: {en}. Of {cited} cited entries the rules go by "
            f"{len(self.considered)}; whoever decides weighs the others.",
        )


class CaseAct(Value):
    """One act in a case, with its own entry; `evidence` are entries it cites, `recheck` what judging again gave."""

    number: int
    action: CaseAction
    stage_before: CaseStage | None
    stage_after: CaseStage
    actor: Actor
    at: datetime
    statement: str
    entry_id: EntryId
    evidence: tuple[EntryId, ...] = ()
    recheck: Recheck | None = None

    @field_validator("evidence", mode="before")
    @classmethod
    def _of_older_releases(cls, given: object) -> object:
        return () if given is None else given


class Case(Value):
    """A coordination case. `acts` are filled in when one case is read, oldest first.

    `origin_id` is the id of what it is about; of a finding that is `finding_id`. `ruling` is what a decision made of
    that.
    """

    id: CaseId
    finding_id: FindingId | None
    origin: CaseOrigin = CaseOrigin.FINDING
    origin_id: str = ""
    stage: CaseStage
    provider: DepartmentCode
    consumer: DepartmentCode | None
    opened_at: datetime
    stage_due_at: datetime | None
    closed_at: datetime | None
    version: int
    outcome: str | None
    ruling: Ruling | None = None
    acts: tuple[CaseAct, ...] = ()

    @property
    def actions(self) -> tuple[CaseAction, ...]:
        """The acts of people that are possible at this stage, by whoever may."""
        return tuple(
            action
            for stage, action in TRANSITIONS
            if stage is self.stage and action is not CaseAction.RECHECK and self.admits(action)
        )

    def admits(self, action: CaseAction) -> bool:
        """Whether an act suits what the case is about: only to a finding one objects."""
        return self.finding_id is not None or action not in {CaseAction.OBJECT, CaseAction.RECHECK}


def first_stage(
    provider: DepartmentCode, consumer: DepartmentCode | None, *, owed_by: DepartmentCode | None
) -> CaseStage:
    """Return where a case begins: with nobody to negotiate with at the authority; where the authority itself is at
    fault (`owed_by`) at the government, since nobody decides about themselves."""
    if owed_by is not None:
        return CaseStage.GOVERNMENT
    return CaseStage.AUTHORITY if consumer is None or consumer == provider else CaseStage.NEGOTIATE


def side_of(case: Case, actor: Actor, *, authorities: frozenset[DepartmentCode]) -> CaseSide:
    """Return on which side `actor` stands in `case`; while negotiating, an authority that is a party stands as one."""
    if actor.kind is ActorKind.PLATFORM:
        return CaseSide.PLATFORM
    is_party = actor.department is not None and actor.department in {case.provider, case.consumer}
    is_authority = actor.department is not None and actor.department in authorities
    if is_authority and not (is_party and case.stage is CaseStage.NEGOTIATE):
        return CaseSide.AUTHORITY
    return CaseSide.PARTY if is_party else CaseSide.OUTSIDER


def next_stage(case: Case, action: CaseAction, side: CaseSide) -> CaseStage:
    """Return the stage that `action` by `side` leads to.

    Raises:
        Conflict: the stage does not admit the action.
        Refused: it does, but not by this side.
    """
    stage, act = STAGE_NAMES[case.stage], ACTION_NAMES[action]
    if (case.stage, action) not in TRANSITIONS or not case.admits(action):
        raise Conflict(
            "governance.action_not_at_stage",
            what=Text(
                zh=f"该事项处于“{stage.zh}”阶段，不能“{act.zh}”。",
                en=f"The case is at the stage “{stage.en}”, which does not admit “{act.en}”.",
            ),
            remedy=Text(zh="请按当前阶段可用的操作办理。", en="Use one of the acts that the stage admits."),
            field="/action",
            context={"stage": case.stage.value, "actions": [action.value for action in case.actions]},
        )
    after, sides = TRANSITIONS[case.stage, action]
    if side not in sides:
        raise Refused(
            "governance.not_your_act",
            what=Text(
                zh=f"在“{stage.zh}”阶段，您不在可以“{act.zh}”的一方。",
                en=f"At the stage “{stage.en}” you are not on a side that may “{act.en}”.",
            ),
            remedy=Text(zh="请由当事部门或主管部门办理。", en="A party to the case or the authority can do it."),
            context={"stage": case.stage.value, "side": side.value},
        )
    return after
