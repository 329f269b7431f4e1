"""Substitutes while somebody is away: who may appoint whom, for which days, and how that ends. Pure rules.

A delegation lends the roles of one account to another of the same department. It is in force once accepted (a head's
appointment needs no acceptance), from its first day to its last in China time, and ends by itself, or at once when one
of those concerned withdraws it. Nothing is lent on: an act of delegation is never done as a substitute, and a
substitute has the roles that the other's account has, not those that were lent to it.
"""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from datong.kernel import CHINA, Conflict, DepartmentCode, Invalid, PersonId, Refused, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing.principals import Role

DAYS_MAX = 92
"""A longer absence is no holiday: somebody else gets the post, and the roles with it."""
AHEAD_DAYS_MAX = 366
REASON_CHARS_MAX = NAME_CHARS_MAX
LENT_ROLES = frozenset(Role) - {Role.CITIZEN}
"""What somebody does for themselves as a citizen, nobody does for them here."""


class DelegationState(StrEnum):
    """Where a delegation stands; whether its days have come is a question of time."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _STATES[self]


class DelegationAction(StrEnum):
    """What can be done with a delegation that was proposed."""

    ACCEPT = "accept"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


class DelegationParty(StrEnum):
    """As what somebody acts on a delegation: the one who is away, the substitute, or the head of their department."""

    DELEGATOR = "delegator"
    SUBSTITUTE = "substitute"
    HEAD = "head"


class Holder(Value):
    """An account as the rules see it."""

    id: PersonId
    name: str
    department: DepartmentCode | None
    roles: frozenset[Role]
    disabled: bool


class Delegation(Value):
    """Whose roles whom is lent from when until when; `begins_at` is inclusive, `ends_at` is not."""

    id: str
    delegator: PersonId
    delegator_name: str
    substitute: PersonId
    substitute_name: str
    department: DepartmentCode
    begins_at: AwareDatetime
    ends_at: AwareDatetime
    reason: str
    state: DelegationState
    proposed_by: PersonId
    proposed_at: AwareDatetime
    changed_at: AwareDatetime

    @property
    def first_day(self) -> date:
        """The first day, in China time."""
        return self.begins_at.astimezone(CHINA).date()

    @property
    def last_day(self) -> date:
        """The last day, in China time."""
        return (self.ends_at.astimezone(CHINA) - timedelta(microseconds=1)).date()

    def in_force(self, now: datetime) -> bool:
        """Whether the substitute may act now."""
        return self.state is DelegationState.ACCEPTED and self.begins_at <= now < self.ends_at

    def is_over(self, now: datetime) -> bool:
        """Whether nothing comes of it any more."""
        return self.state not in _LIVE or now >= self.ends_at


_S, _A, _P = DelegationState, DelegationAction, DelegationParty
_LIVE = frozenset({_S.PROPOSED, _S.ACCEPTED})
TRANSITIONS = {
    (_S.PROPOSED, _A.ACCEPT): (_S.ACCEPTED, frozenset({_P.SUBSTITUTE})),
    (_S.PROPOSED, _A.DECLINE): (_S.DECLINED, frozenset({_P.SUBSTITUTE})),
    (_S.PROPOSED, _A.WITHDRAW): (_S.WITHDRAWN, frozenset({_P.DELEGATOR, _P.HEAD})),
    (_S.ACCEPTED, _A.WITHDRAW): (_S.WITHDRAWN, frozenset(_P)),
}
"""The whole life after the proposal: the state that follows, and who may bring it about."""
_STATES = {
    _S.PROPOSED: Text(zh="待代办人接受", en="waits for the substitute"),
    _S.ACCEPTED: Text(zh="已接受", en="accepted"),
    _S.DECLINED: Text(zh="已谢绝", en="declined"),
    _S.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
}


def span_of(first_day: date, last_day: date, now: datetime) -> tuple[datetime, datetime]:
    """Return when a delegation of these days begins and ends.

    Raises:
        Invalid: the days are in the wrong order, over, too many or too far ahead.
    """
    today = now.astimezone(CHINA).date()
    if last_day < first_day:
        raise _invalid("last_day", zh="最后一天不能早于第一天。", en="The last day comes before the first.")
    if first_day < today:
        raise _invalid("first_day", zh="不能从过去的日子开始。", en="It cannot begin in the past.")
    if (last_day - first_day).days >= DAYS_MAX:
        raise _invalid("last_day", zh=f"一次至多委托 {DAYS_MAX} 天。", en=f"At most {DAYS_MAX} days at a time.")
    if (first_day - today).days > AHEAD_DAYS_MAX:
        raise _invalid("first_day", zh="至多提前一年委托。", en="At most a year ahead.")
    midnight = time(0, tzinfo=CHINA)
    return datetime.combine(first_day, midnight), datetime.combine(last_day + timedelta(days=1), midnight)


def require_fit(delegator: Holder, substitute: Holder, *, by: PersonId) -> None:
    """Let a pair pass that may stand in for one another.

    Raises:
        Invalid: they are the same person, of different departments, an account is closed, the delegator has nothing to
            lend, or an auditor's duties would go to somebody who is audited, or theirs to an auditor.
        Refused: somebody appoints themselves.
    """
    if substitute.id == delegator.id:
        raise _invalid("substitute", zh="不能委托给自己。", en="Nobody is their own substitute.")
    if by == substitute.id:
        raise Refused(
            "sharing.delegation_to_oneself",
            what=Text(zh="不能指定自己为代办人。", en="Nobody appoints themselves as a substitute."),
            remedy=Text(zh="请由本人委托，或请部门负责人指定。", en="Ask the person, or another head, to appoint."),
        )
    if delegator.department is None or delegator.department != substitute.department:
        raise _invalid("substitute", zh="代办人须在同一部门。", en="A substitute is of the same department.")
    if delegator.disabled or substitute.disabled:
        raise _invalid("substitute", zh="账号已停用。", en="The account is closed.")
    if not delegator.roles & LENT_ROLES:
        raise _invalid("delegator", zh="该账号没有可以委托的角色。", en="The account has no role to lend.")
    if (Role.AUDITOR in delegator.roles) != (Role.AUDITOR in substitute.roles):
        raise _invalid(
            "substitute",
            zh="审计与其他职责须分开：审计员只能由审计员代办，也只代办审计员的职责。",
            en="Audit stays apart: auditors stand in for auditors only, and nobody else does.",
        )


def require_free(
    others: Iterable[Delegation], *, delegator: PersonId, substitute: PersonId, begins_at: datetime, ends_at: datetime
) -> None:
    """Let a span pass in which the delegator has no other substitute, and the substitute is there.

    `others` are the delegations that may still come to something, of both.

    Raises:
        Conflict: one of the two is not so.
    """
    for other in others:
        if other.ends_at <= begins_at or ends_at <= other.begins_at:
            continue
        if other.delegator == delegator:
            raise Conflict(
                "sharing.delegation_overlaps",
                what=Text(
                    zh=f"{other.first_day} 至 {other.last_day} 已委托 {other.substitute_name}。",
                    en=f"{other.substitute_name} is the substitute from {other.first_day} to {other.last_day}.",
                ),
                remedy=Text(zh="请另选日期，或先撤回那次委托。", en="Choose other days, or withdraw that one first."),
            )
        if other.delegator == substitute:
            raise Conflict(
                "sharing.substitute_away",
                what=Text(
                    zh=f"代办人本人 {other.first_day} 至 {other.last_day} 不在岗，委托不能转委托。",
                    en=f"The substitute is away from {other.first_day} to {other.last_day}; nothing is lent on.",
                ),
                remedy=Text(zh="请选择其他同事。", en="Choose another colleague."),
            )


def after(
    delegation: Delegation, action: DelegationAction, *, parties: frozenset[DelegationParty], now: datetime
) -> Delegation:
    """Return the delegation after `action`.

    Raises:
        Conflict: it is over, or its state does not admit the act. Refused: none of `parties` may do it.
    """
    row = None if delegation.is_over(now) else TRANSITIONS.get((delegation.state, action))
    if row is None:
        raise Conflict(
            "sharing.delegation_settled",
            what=Text(zh="这次委托已经结束或已有答复。", en="The delegation is over, or was answered."),
            remedy=Text(zh="请刷新页面。", en="Reload the page."),
            context={"state": delegation.state.value},
        )
    state, who = row
    if who.isdisjoint(parties):
        raise Refused(
            "sharing.delegation_not_yours",
            what=Text(zh="这一步不由您办理。", en="This step is not yours."),
            remedy=Text(zh="请由委托双方或部门负责人办理。", en="The two persons or the head of the department may."),
        )
    return delegation.model_copy(update={"state": state, "changed_at": now})


def possible(
    delegation: Delegation, *, parties: frozenset[DelegationParty], now: datetime
) -> tuple[DelegationAction, ...]:
    """Return what somebody can do with a delegation now."""
    if delegation.is_over(now):
        return ()
    return tuple(
        action
        for (state, action), (_, who) in TRANSITIONS.items()
        if state is delegation.state and not who.isdisjoint(parties)
    )


def _invalid(field: str, *, zh: str, en: str) -> Invalid:
    return Invalid(
        "sharing.delegation_invalid",
        what=Text(zh=zh, en=en),
        remedy=Text(zh="请修改后重新提交。", en="Correct it and submit again."),
        field=f"/{field}",
    )
