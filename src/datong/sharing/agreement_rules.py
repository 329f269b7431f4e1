"""The rules of agreements as pure functions: how one is drawn up and what may follow what."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from datong.kernel import (
    AgreementId,
    Conflict,
    DepartmentCode,
    Invalid,
    PersonId,
    Refused,
    Text,
    Value,
    WorkingCalendar,
)
from datong.sharing.obligations import Obligation
from datong.sharing.request_rules import ReplyLimits
from datong.sharing.terms import (
    Agreement,
    AgreementState,
    Confirmation,
    EndCause,
    LiabilityWeights,
    PartySignature,
    Request,
    ServiceLevels,
)

LATENCY_MS_P95 = 500
AVAILABILITY_PERMILLE = 990
COMPLETENESS_PERMILLE = 950
FRESHNESS_DAYS_UNKNOWN_CYCLE = 365
REMIND_BEFORE = timedelta(days=30)
"""So long before its end a term is brought to mind."""
LIABILITY = LiabilityWeights(provider_permille=400, consumer_permille=400, platform_permille=200)


class AgreementAction(StrEnum):
    """What can be done with an agreement."""

    CONFIRM = "confirm"
    SIGN = "sign"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    WITHDRAW = "withdraw"
    DISPOSE = "dispose"
    EXPIRE = "expire"
    REMIND = "remind"

    @property
    def label(self) -> Text:
        """What the action is called."""
        return _LABELS[self]


_LABELS = {
    AgreementAction.CONFIRM: Text(zh="确认", en="confirm"),
    AgreementAction.SIGN: Text(zh="签署", en="sign"),
    AgreementAction.SUSPEND: Text(zh="中止", en="suspend"),
    AgreementAction.RESUME: Text(zh="恢复", en="resume"),
    AgreementAction.TERMINATE: Text(zh="终止", en="terminate"),
    AgreementAction.WITHDRAW: Text(zh="退出", en="give up"),
    AgreementAction.DISPOSE: Text(zh="告知数据处置", en="tell of the disposal"),
    AgreementAction.EXPIRE: Text(zh="到期", en="let expire"),
    AgreementAction.REMIND: Text(zh="提醒续签", en="remind of renewal"),
}

ENDED = frozenset({AgreementState.TERMINATED, AgreementState.EXPIRED})
_ALIVE = frozenset(AgreementState) - ENDED
ALLOWED_IN: Mapping[AgreementAction, frozenset[AgreementState]] = {
    AgreementAction.CONFIRM: frozenset({AgreementState.DRAFT}),
    AgreementAction.SIGN: frozenset({AgreementState.CONFIRMED}),
    AgreementAction.SUSPEND: frozenset({AgreementState.ACTIVE}),
    AgreementAction.RESUME: frozenset({AgreementState.SUSPENDED}),
    AgreementAction.TERMINATE: _ALIVE,
    AgreementAction.WITHDRAW: _ALIVE,
    AgreementAction.DISPOSE: ENDED,
    AgreementAction.EXPIRE: _ALIVE,
    AgreementAction.REMIND: frozenset({AgreementState.ACTIVE, AgreementState.SUSPENDED}),
}
"""In which states each action is possible. Confirming leads on once both departments have, and so does signing."""


class ActingDepartment(Value):
    """In whose name an action is taken, and whether that is the authority."""

    code: DepartmentCode
    is_authority: bool = False


def draw_up(
    request: Request,
    *,
    agreement_id: AgreementId,
    now: datetime,
    calendar: WorkingCalendar,
    limits: ReplyLimits,
) -> Agreement:
    """Return the agreement that a granted request leads to; data is due in the working days of Art. 22 from `now`."""
    days = request.update_cycle.days
    freshness_days = FRESHNESS_DAYS_UNKNOWN_CYCLE if days is None else max(days, 1)
    return Agreement(
        id=agreement_id,
        request_id=request.id,
        provider=request.provider,
        consumer=request.consumer,
        resource_id=request.resource_id,
        resource_version=request.resource_version,
        resource_title=request.resource_title,
        items=request.items,
        row_filter=request.row_filter,
        calls=request.calls,
        purpose=request.purpose,
        levels=ServiceLevels(
            provide_within_working_days=limits.provision,
            freshness_hours=freshness_days * 24,
            latency_ms_p95=LATENCY_MS_P95,
            availability_permille=AVAILABILITY_PERMILLE,
            completeness_permille=COMPLETENESS_PERMILLE,
        ),
        liability=LIABILITY,
        obligations=tuple(Obligation),
        valid_from=request.purpose.valid_from,
        valid_until=request.purpose.valid_until,
        provide_due_at=calendar.deadline(now, limits.provision),
        drawn_up_at=now,
    )


def confirm(agreement: Agreement, by: ActingDepartment, officer: PersonId, now: datetime) -> Agreement:
    """Return the agreement with a department's confirmation; once both have confirmed it awaits their signatures.

    Confirming twice changes nothing.

    Raises:
        Refused: the department is not a party.
        Conflict: the agreement is past confirming, or its term is over.
    """
    _require_party(agreement, by)
    if any(done.department == by.code for done in agreement.confirmations):
        return agreement
    _require_state(agreement, AgreementAction.CONFIRM, now)
    confirmations = (*agreement.confirmations, Confirmation(department=by.code, by=officer, at=now))
    complete = {done.department for done in confirmations} == set(agreement.parties)
    return _changed(
        agreement,
        confirmations=confirmations,
        state=AgreementState.CONFIRMED if complete else AgreementState.DRAFT,
    )


def sign(agreement: Agreement, signature: PartySignature, now: datetime) -> Agreement:
    """Return the agreement with a verified signature of a department; with both it is in force.

    A second signature of the same department changes nothing.

    Raises:
        Refused: the department is not a party.
        Conflict: the agreement does not await signatures, or its term is over.
    """
    _require_party(agreement, ActingDepartment(code=signature.department))
    if any(done.department == signature.department for done in agreement.signatures):
        return agreement
    _require_state(agreement, AgreementAction.SIGN, now)
    signatures = (*agreement.signatures, signature)
    complete = {done.department for done in signatures} == set(agreement.parties)
    return _changed(
        agreement,
        signatures=signatures,
        state=AgreementState.ACTIVE if complete else AgreementState.CONFIRMED,
    )


def suspend(
    agreement: Agreement, by: ActingDepartment, reason: str, now: datetime, cause: EndCause = EndCause.OTHER
) -> Agreement:
    """Return the suspended agreement; either party or the authority may, with reasons (Arts. 25, 27).

    Raises:
        Refused, Conflict, Invalid: not a party, not in force, no reason, or not the one to state that cause.
    """
    _require_party_or_authority(agreement, by)
    _require_state(agreement, AgreementAction.SUSPEND, now)
    _require_cause(agreement, by, cause)
    return _changed(
        agreement,
        state=AgreementState.SUSPENDED,
        state_reason=_reason(AgreementAction.SUSPEND, reason),
        cause=cause,
        suspended_by=by.code,
    )


def suspend_by_rule(agreement: Agreement, reason: str, now: datetime) -> Agreement:
    """Return the agreement suspended by the platform for a breach that its own records show (Art. 27).

    Raises:
        Conflict: it is not in force.
    """
    _require_state(agreement, AgreementAction.SUSPEND, now)
    return _changed(
        agreement, state=AgreementState.SUSPENDED, state_reason=reason, cause=EndCause.BREACH, suspended_by=None
    )


def resume(agreement: Agreement, by: ActingDepartment, now: datetime) -> Agreement:
    """Return the agreement in force again; only who suspended it, or the authority, may.

    What the platform suspended by rule, the provider may resume: it is the one whose trust was breached.

    Raises:
        Refused, Conflict: somebody else suspended it, or it is not suspended.
    """
    _require_state(agreement, AgreementAction.RESUME, now)
    if by.code != (agreement.suspended_by or agreement.provider) and not by.is_authority:
        raise _not_a_party(agreement)
    return _changed(agreement, state=AgreementState.ACTIVE, state_reason="", cause=None, suspended_by=None)


def terminate(agreement: Agreement, by: ActingDepartment, reason: str, cause: EndCause = EndCause.OTHER) -> Agreement:
    """Return the terminated agreement; either party or the authority may, with reasons.

    For a breach it must have been suspended for it before: the consumer gets the chance to put things right (Art. 27).

    Raises:
        Refused, Conflict, Invalid: not a party, already ended, no reason, or a breach that was not suspended first.
    """
    _require_party_or_authority(agreement, by)
    _require_state(agreement, AgreementAction.TERMINATE, None)
    _require_cause(agreement, by, cause)
    if cause is EndCause.BREACH and agreement.cause is not EndCause.BREACH:
        raise Conflict(
            "sharing.breach_suspends_first",
            what=Text(
                zh="因违约终止前，须先因违约中止，给予整改机会（第二十七条）。",
                en="A breach suspends first, so that it can be put right; only then may it end all (Art. 27).",
            ),
            remedy=Text(zh="请先以“违反约定使用”中止。", en="Suspend for the breach first."),
        )
    return _changed(
        agreement,
        state=AgreementState.TERMINATED,
        state_reason=_reason(AgreementAction.TERMINATE, reason),
        cause=cause,
    )


def withdraw(agreement: Agreement, by: ActingDepartment, reason: str) -> Agreement:
    """Return the agreement that its consumer gives up, with reasons: nobody has to use what was granted.

    Raises:
        Refused, Conflict, Invalid: not the consumer, already ended, or no reason.
    """
    if by.code != agreement.consumer:
        raise _not_a_party(agreement)
    _require_state(agreement, AgreementAction.WITHDRAW, None)
    return _changed(
        agreement,
        state=AgreementState.TERMINATED,
        state_reason=_reason(AgreementAction.WITHDRAW, reason),
        cause=EndCause.WITHDRAWN,
    )


def dispose(agreement: Agreement, by: ActingDepartment, statement: str, now: datetime) -> Agreement:
    """Return the ended agreement whose consumer says how it disposed of the data (Art. 27); once, else unchanged.

    Raises:
        Refused, Conflict, Invalid: not the consumer, still in force, or nothing said.
    """
    if by.code != agreement.consumer:
        raise _not_a_party(agreement)
    _require_state(agreement, AgreementAction.DISPOSE, None)
    if agreement.disposed_at is not None:
        return agreement
    return _changed(agreement, disposed_at=now, disposal=_reason(AgreementAction.DISPOSE, statement))


def end_purpose(agreement: Agreement, reason: str) -> Agreement:
    """Return the agreement ended because its service item is no more (Art. 27), else unchanged."""
    if agreement.state in ENDED:
        return agreement
    return _changed(agreement, state=AgreementState.TERMINATED, state_reason=reason, cause=EndCause.PURPOSE_GONE)


def remind(agreement: Agreement, now: datetime) -> Agreement:
    """Return the agreement whose consumer is told that the term ends soon; once a version, else unchanged."""
    soon = now < agreement.valid_until <= now + REMIND_BEFORE
    if agreement.state not in ALLOWED_IN[AgreementAction.REMIND] or agreement.reminded_at or not soon:
        return agreement
    return _changed(agreement, reminded_at=now)


def expire(agreement: Agreement, now: datetime) -> Agreement:
    """Return the agreement as expired if its term is over, else unchanged."""
    if agreement.state in ENDED or now < agreement.valid_until:
        return agreement
    return _changed(agreement, state=AgreementState.EXPIRED, cause=EndCause.TERM_OVER)


def _changed(agreement: Agreement, **change: object) -> Agreement:
    return agreement.model_copy(update={**change, "revision": agreement.revision + 1})


def _require_state(agreement: Agreement, action: AgreementAction, now: datetime | None) -> None:
    if agreement.state not in ALLOWED_IN[action]:
        raise Conflict(
            "sharing.agreement_state",
            what=Text(
                zh=f"协议处于“{agreement.state.label.zh}”状态，不能{action.label.zh}。",
                en=f"The agreement is {agreement.state.label.en}: it cannot be {_PARTICIPLES[action]}.",
            ),
            remedy=Text(zh="请刷新后查看最新状态。", en="Reload to see the present state."),
            context={"state": agreement.state.value, "action": action.value},
        )
    if now is not None and now >= agreement.valid_until:
        raise Conflict(
            "sharing.agreement_over",
            what=Text(zh="协议的使用时限已过。", en="The agreed term is over."),
            remedy=Text(zh="请重新提出共享申请。", en="Submit a new request."),
        )


_PARTICIPLES = {
    AgreementAction.CONFIRM: "confirmed",
    AgreementAction.SIGN: "signed",
    AgreementAction.SUSPEND: "suspended",
    AgreementAction.RESUME: "resumed",
    AgreementAction.TERMINATE: "terminated",
    AgreementAction.WITHDRAW: "given up",
    AgreementAction.DISPOSE: "told to be disposed of",
    AgreementAction.EXPIRE: "let expire",
    AgreementAction.REMIND: "reminded of",
}


def _require_cause(agreement: Agreement, by: ActingDepartment, cause: EndCause) -> None:
    """A breach is for the provider or the authority to state; some causes follow from rules alone."""
    if cause in {EndCause.TERM_OVER, EndCause.WITHDRAWN}:
        raise Invalid(
            "sharing.cause_by_rule",
            what=Text(zh=f"“{cause.label.zh}”由规则认定。", en=f"That {cause.label.en} follows from a rule."),
            remedy=Text(zh="请选择其他原因。", en="Choose another cause."),
            field="/cause",
        )
    if cause is EndCause.BREACH and by.code != agreement.provider and not by.is_authority:
        raise _not_a_party(agreement)


def _require_party(agreement: Agreement, by: ActingDepartment) -> None:
    if by.code not in agreement.parties:
        raise _not_a_party(agreement)


def _require_party_or_authority(agreement: Agreement, by: ActingDepartment) -> None:
    if not by.is_authority:
        _require_party(agreement, by)


def _not_a_party(agreement: Agreement) -> Refused:
    return Refused(
        "sharing.not_a_party",
        what=Text(zh="本部门无权对该协议办理此事。", en="This department may not do that to this agreement."),
        remedy=Text(zh="请由协议双方或主管部门办理。", en="Leave it to the parties or to the authority."),
        context={"agreement_id": agreement.id},
    )


def _reason(action: AgreementAction, reason: str) -> str:
    if not reason.strip():
        raise Invalid(
            "sharing.reason_missing",
            what=Text(zh=f"“{action.label.zh}”须说明理由。", en=f"To {action.label.en} needs reasons."),
            remedy=Text(zh="请填写理由。", en="State them."),
            field="/reason",
        )
    return reason.strip()
