"""The stages of a dispute (Art. 28): the parties negotiate, the authority coordinates, its government decides.

One table says which act is possible at which stage, by whom, and where it leads. The Regulations set no deadlines for
the stages, so they are configurable, in working days.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Self

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


class CaseAction(StrEnum):
    """What can be done with a case."""

    OPEN = "open"
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

ACTION_NAMES: Mapping[CaseAction, Text] = {
    CaseAction.OPEN: Text(zh="立案", en="open"),
    CaseAction.STATE: Text(zh="陈述", en="make a statement"),
    CaseAction.SETTLE: Text(zh="达成一致", en="settle"),
    CaseAction.ESCALATE: Text(zh="提请上一级", en="escalate"),
    CaseAction.DECIDE: Text(zh="作出决定", en="decide"),
}

_PARTIES = frozenset({CaseSide.PARTY})
_AUTHORITY = frozenset({CaseSide.AUTHORITY})
_ANYBODY_INVOLVED = frozenset({CaseSide.PARTY, CaseSide.AUTHORITY})

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


class CaseAct(Value):
    """One act in a case, with its evidence."""

    number: int
    action: CaseAction
    stage_before: CaseStage | None
    stage_after: CaseStage
    actor: Actor
    at: datetime
    statement: str
    entry_id: EntryId


class Case(Value):
    """A coordination case, opened from a finding. `acts` are filled in when one case is read, oldest first."""

    id: CaseId
    finding_id: FindingId
    stage: CaseStage
    provider: DepartmentCode
    consumer: DepartmentCode | None
    opened_at: datetime
    stage_due_at: datetime | None
    closed_at: datetime | None
    version: int
    outcome: str | None
    acts: tuple[CaseAct, ...] = ()

    @property
    def actions(self) -> tuple[CaseAction, ...]:
        """The acts possible at this stage, by whoever may."""
        return tuple(action for stage, action in TRANSITIONS if stage is self.stage)


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
    if (case.stage, action) not in TRANSITIONS:
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
