"""The rules of amendments: how the terms of an agreement in force become others, signed anew by both sides.

The proposed version is an agreement like any other: drawn up, confirmed by both officers, signed by both keys. Until
then the version before holds; at that moment it is replaced, under the same id.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import (
    AgreementId,
    DepartmentCode,
    Invalid,
    PersonId,
    Refused,
    Text,
    Value,
)
from datong.kernel.limits import GATEWAY_ITEMS_MAX, TEXT_CHARS_MAX
from datong.norms import ShareMode
from datong.sharing import agreement_rules
from datong.sharing.agreement_rules import ENDED, ActingDepartment
from datong.sharing.quotas import CallQuota
from datong.sharing.request_rules import conflict
from datong.sharing.row_filters import RowCondition, faults
from datong.sharing.terms import TOLD_AFTER_DAYS_MAX, Agreement, AgreementState, PartySignature, ServiceLevels


class AmendmentKind(StrEnum):
    """What a version of an agreement is."""

    ORIGINAL = "original"
    AMEND = "amend"
    RENEW = "renew"

    @property
    def label(self) -> Text:
        """The kind's name."""
        return _KINDS[self]


class AmendmentState(StrEnum):
    """Where a version stands."""

    OPEN = "open"
    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    LAPSED = "lapsed"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


class AmendmentAction(StrEnum):
    """What a party can do with an open amendment."""

    CONFIRM = "confirm"
    WITHDRAW = "withdraw"
    DECLINE = "decline"

    @property
    def label(self) -> Text:
        """What the action is called."""
        return _ACTIONS[self]


_KINDS = {
    AmendmentKind.ORIGINAL: Text(zh="原协议", en="original"),
    AmendmentKind.AMEND: Text(zh="变更", en="amendment"),
    AmendmentKind.RENEW: Text(zh="续签", en="renewal"),
}
_STATES = {
    AmendmentState.OPEN: Text(zh="待双方签署", en="to be signed by both"),
    AmendmentState.IN_FORCE: Text(zh="现行", en="present version"),
    AmendmentState.SUPERSEDED: Text(zh="已被新版本取代", en="superseded"),
    AmendmentState.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
    AmendmentState.DECLINED: Text(zh="对方不同意", en="declined"),
    AmendmentState.LAPSED: Text(zh="随协议终止失效", en="lapsed with the agreement"),
}
_ACTIONS = {
    AmendmentAction.CONFIRM: Text(zh="确认新条款", en="Confirm the new terms"),
    AmendmentAction.WITHDRAW: Text(zh="撤回提议", en="Take the proposal back"),
    AmendmentAction.DECLINE: Text(zh="不同意", en="Decline"),
}


class TermsChange(Value):
    """What is to become different; None means that it stays. Items and modes can be dropped, not added."""

    valid_until: datetime | None = None
    columns: tuple[str, ...] | None = Field(None, max_length=GATEWAY_ITEMS_MAX)
    row_filter: tuple[RowCondition, ...] | None = None
    modes: tuple[ShareMode, ...] | None = None
    scene: str | None = Field(None, max_length=TEXT_CHARS_MAX)
    scope: str | None = Field(None, max_length=TEXT_CHARS_MAX)
    legal_basis: str | None = Field(None, max_length=TEXT_CHARS_MAX)
    levels: ServiceLevels | None = None
    calls: CallQuota | None = None
    consent: bool | None = None
    """Whether the use is to depend on the consent of each person."""
    told_after_days: int | None = Field(None, ge=0, le=TOLD_AFTER_DAYS_MAX)
    """How many days after a use the person is to be told of it."""


class Amendment(Value):
    """A version of an agreement that is proposed, was in force, or came to nothing."""

    agreement_id: AgreementId
    version: int
    kind: AmendmentKind
    state: AmendmentState
    reason: str
    proposed_by: DepartmentCode
    proposed_at: datetime
    closed_reason: str = ""
    proposal: Agreement
    revision: int = 1


def propose(
    agreement: Agreement,
    change: TermsChange,
    *,
    by: ActingDepartment,
    officer: PersonId,
    reason: str,
    code: str,
    now: datetime,
) -> Amendment:
    """Return the amendment that a party proposes; its officer has thereby confirmed the new terms.

    Raises:
        Refused: the department is not a party.
        Conflict: the agreement is not in force (or suspended), or its term is over.
        Invalid: no reason, nothing changes, or a change goes beyond what was requested.
    """
    _require_party(agreement, by)
    if agreement.state not in {AgreementState.ACTIVE, AgreementState.SUSPENDED} or now >= agreement.valid_until:
        raise conflict(
            "sharing.amendment_impossible",
            Text(
                zh=f"协议处于“{agreement.state.label.zh}”状态或时限已过，不能变更或续签。",
                en=f"The agreement is {agreement.state.label.en} or its term is over: its terms cannot change.",
            ),
        )
    if not reason.strip():
        raise _invalid("/reason", Text(zh="变更或续签须说明理由。", en="A change of terms needs reasons."))
    proposal = _changed_terms(agreement, change, now).model_copy(
        update={
            "version": agreement.version + 1,
            "state": AgreementState.DRAFT,
            "state_reason": "",
            "cause": None,
            "suspended_by": None,
            "confirmations": (),
            "signatures": (),
            "code": code,
            "reminded_at": None,
            "revision": 1,
        }
    )
    same = proposal.model_copy(update={"version": agreement.version})
    if same.terms() == agreement.terms():
        raise _invalid("/change", Text(zh="新条款与现行条款相同。", en="The new terms are those in force."))
    longer = same.model_copy(
        update={
            "valid_until": agreement.valid_until,
            "purpose": proposal.purpose.model_copy(update={"valid_until": agreement.purpose.valid_until}),
        }
    )
    only_longer = longer.terms() == agreement.terms() and proposal.valid_until > agreement.valid_until
    return Amendment(
        agreement_id=agreement.id,
        version=proposal.version,
        kind=AmendmentKind.RENEW if only_longer else AmendmentKind.AMEND,
        state=AmendmentState.OPEN,
        reason=reason.strip(),
        proposed_by=by.code,
        proposed_at=now,
        proposal=agreement_rules.confirm(proposal, by, officer, now),
    )


def original(agreement: Agreement) -> Amendment:
    """Return the first version of an agreement, for the list of its versions."""
    return Amendment(
        agreement_id=agreement.id,
        version=agreement.version,
        kind=AmendmentKind.ORIGINAL,
        state=AmendmentState.IN_FORCE,
        reason="",
        proposed_by=agreement.consumer,
        proposed_at=agreement.drawn_up_at,
        proposal=agreement,
    )


def confirm(amendment: Amendment, by: ActingDepartment, officer: PersonId, now: datetime) -> Amendment:
    """Return the amendment with a department's confirmation.

    Raises:
        Refused, Conflict: not a party; not open.
    """
    _require_open(amendment)
    return _with(amendment, agreement_rules.confirm(amendment.proposal, by, officer, now))


def sign(amendment: Amendment, signature: PartySignature, now: datetime) -> Amendment:
    """Return the amendment with a verified signature; with both it is in force.

    Raises:
        Refused, Conflict: not a party; not open, or not yet confirmed by both.
    """
    _require_open(amendment)
    signed = _with(amendment, agreement_rules.sign(amendment.proposal, signature, now))
    if signed.proposal.state is not AgreementState.ACTIVE:
        return signed
    return signed.model_copy(update={"state": AmendmentState.IN_FORCE})


def close(amendment: Amendment, action: AmendmentAction, by: ActingDepartment, reason: str) -> Amendment:
    """Return the amendment taken back by who proposed it, or declined with reasons by the other party.

    Raises:
        Refused: the other party is the one who may. Conflict: not open. Invalid: declined without reasons.
    """
    _require_open(amendment)
    _require_party(amendment.proposal, by)
    proposer = by.code == amendment.proposed_by
    if proposer != (action is AmendmentAction.WITHDRAW):
        raise Refused(
            "sharing.amendment_other_party",
            what=Text(
                zh=f"“{action.label.zh}”由另一方办理。", en=f"The other party is the one to “{action.label.en}”."
            ),
            remedy=Text(zh="提议方可以撤回，另一方可以不同意。", en="The proposer takes back, the other declines."),
        )
    if action is AmendmentAction.DECLINE and not reason.strip():
        raise _invalid("/reason", Text(zh="不同意须说明理由。", en="To decline needs reasons."))
    state = AmendmentState.WITHDRAWN if action is AmendmentAction.WITHDRAW else AmendmentState.DECLINED
    return _closed(amendment, state, reason.strip())


def lapse(amendment: Amendment) -> Amendment:
    """Return an open amendment as lapsed: its agreement has ended."""
    return _closed(amendment, AmendmentState.LAPSED, "")


def supersede(amendment: Amendment, agreement: Agreement) -> Amendment:
    """Return the version that was in force, as it stood at the end, replaced by a newer one."""
    return _closed(amendment.model_copy(update={"proposal": agreement}), AmendmentState.SUPERSEDED, "")


def take_effect(agreement: Agreement, amendment: Amendment) -> Agreement:
    """Return the agreement with the new version's terms, confirmations and signatures; a suspension goes on.

    Raises:
        Conflict: the agreement has ended meanwhile.
    """
    if agreement.state in ENDED:
        raise conflict(
            "sharing.amendment_impossible", Text(zh="协议已经终止。", en="The agreement has ended meanwhile.")
        )
    return amendment.proposal.model_copy(
        update={
            "state": agreement.state,
            "state_reason": agreement.state_reason,
            "cause": agreement.cause,
            "suspended_by": agreement.suspended_by,
            "drawn_up_at": agreement.drawn_up_at,
            "revision": agreement.revision + 1,
        }
    )


def possible_actions(amendment: Amendment, department: DepartmentCode | None) -> tuple[AmendmentAction, ...]:
    """Return what a department can do with an amendment."""
    proposal = amendment.proposal
    if amendment.state is not AmendmentState.OPEN or department not in proposal.parties:
        return ()
    close_by = AmendmentAction.WITHDRAW if department == amendment.proposed_by else AmendmentAction.DECLINE
    if any(done.department == department for done in proposal.confirmations):
        return (close_by,)
    return (AmendmentAction.CONFIRM, close_by)


def _changed_purpose(change: TermsChange) -> dict[str, object]:
    """Return what becomes different of the purpose; an empty text changes nothing."""
    texts = {name: (getattr(change, name) or "").strip() for name in ("scene", "scope", "legal_basis")}
    others = {name: getattr(change, name) for name in ("consent", "told_after_days")}
    return {
        **{name: text for name, text in texts.items() if text},
        **{name: value for name, value in others.items() if value is not None},
    }


def _changed_terms(agreement: Agreement, change: TermsChange, now: datetime) -> Agreement:
    """Return the agreement with the terms that `change` names, or say what goes too far."""
    update: dict[str, object] = {}
    purpose = _changed_purpose(change)
    if change.valid_until is not None:
        if change.valid_until.tzinfo is None or change.valid_until <= max(now, agreement.valid_from):
            raise _invalid("/change/valid_until", Text(zh="新的终点须晚于现在。", en="The new end must lie ahead."))
        update["valid_until"] = purpose["valid_until"] = change.valid_until
    if change.modes is not None:
        if not change.modes or not set(change.modes) <= set(agreement.purpose.modes):
            raise _invalid("/change/modes", _ONLY_LESS)
        purpose["modes"] = tuple(dict.fromkeys(change.modes))
    if change.columns is not None:
        if not change.columns or not set(change.columns) <= agreement.columns:
            raise _invalid("/change/columns", _ONLY_LESS)
        update["items"] = tuple(item for item in agreement.items if item.column in change.columns)
    if change.row_filter is not None:
        known = agreement.columns | {condition.column for condition in agreement.row_filter}
        for place, text in faults(change.row_filter, known):
            raise _invalid(f"/change/row_filter/{place}", text)
        update["row_filter"] = change.row_filter
    update.update(_changed_service(change))
    return agreement.model_copy(update={**update, "purpose": agreement.purpose.model_copy(update=purpose)})


def _changed_service(change: TermsChange) -> dict[str, object]:
    """Return what changes of the service: its levels, and how many calls it covers (without limits: any number)."""
    update: dict[str, object] = {} if change.levels is None else {"levels": change.levels}
    if change.calls is not None:
        update["calls"] = change.calls if any(change.calls.limits()) else None
    return update


_ONLY_LESS = Text(
    zh="变更只能减少信息项和共享方式；需要更多的，请重新提出申请。",
    en="A change can drop items and modes; for more of them submit a new request.",
)


def _with(amendment: Amendment, proposal: Agreement) -> Amendment:
    if proposal == amendment.proposal:
        return amendment
    return amendment.model_copy(update={"proposal": proposal, "revision": amendment.revision + 1})


def _closed(amendment: Amendment, state: AmendmentState, reason: str) -> Amendment:
    return amendment.model_copy(update={"state": state, "closed_reason": reason, "revision": amendment.revision + 1})


def _require_open(amendment: Amendment) -> None:
    if amendment.state is not AmendmentState.OPEN:
        raise conflict(
            "sharing.amendment_closed",
            Text(zh=f"该版本{amendment.state.label.zh}。", en=f"This version is {amendment.state.label.en}."),
        )


def _require_party(agreement: Agreement, by: ActingDepartment) -> None:
    if by.code not in agreement.parties:
        raise Refused(
            "sharing.not_a_party",
            what=Text(zh="本部门不是协议的一方。", en="This department is not a party to the agreement."),
            remedy=Text(zh="请由协议双方办理。", en="Leave it to the parties."),
            context={"agreement_id": agreement.id},
        )


def _invalid(field: str, what: Text) -> Invalid:
    return Invalid(
        "sharing.amendment_invalid", what=what, remedy=Text(zh="请修改后再提交。", en="Correct it."), field=field
    )
