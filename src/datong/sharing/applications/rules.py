"""The life of a registered application (创新示范应用) as one transition table. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import AgreementId, Conflict, DepartmentCode, EntryId, Invalid, Refused, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX

CONTACTS_MAX = 10
SCENES_MAX = 20


class ApplicationState(StrEnum):
    """Where an application stands. Only an approved one gets real data."""

    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"
    SUSPENDED = "suspended"
    RETIRED = "retired"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _STATES[self]


class ApplicationAction(StrEnum):
    """What can be done with a registered application."""

    SUBMIT = "submit"
    APPROVE = "approve"
    RETURN = "return"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETIRE = "retire"

    @property
    def label(self) -> Text:
        """What the act is called."""
        return _ACTIONS[self]


class ApplicationParty(StrEnum):
    """As what a department acts on an application."""

    OWNER = "owner"
    AUTHORITY = "authority"


_STATES = {
    ApplicationState.SUBMITTED: Text(zh="待审核", en="awaits review"),
    ApplicationState.RETURNED: Text(zh="已退回", en="returned"),
    ApplicationState.APPROVED: Text(zh="已通过", en="approved"),
    ApplicationState.SUSPENDED: Text(zh="已暂停", en="suspended"),
    ApplicationState.RETIRED: Text(zh="已下线", en="retired"),
}
_ACTIONS = {
    ApplicationAction.SUBMIT: Text(zh="重新提交", en="Submit again"),
    ApplicationAction.APPROVE: Text(zh="通过", en="Approve"),
    ApplicationAction.RETURN: Text(zh="退回", en="Return"),
    ApplicationAction.SUSPEND: Text(zh="暂停", en="Suspend"),
    ApplicationAction.RESUME: Text(zh="恢复", en="Resume"),
    ApplicationAction.RETIRE: Text(zh="下线", en="Retire"),
}


class Transition(Value):
    """One row of the table."""

    before: frozenset[ApplicationState]
    after: ApplicationState
    parties: frozenset[ApplicationParty]
    reason_needed: bool = False


_S = ApplicationState
_AUTHORITY = frozenset({ApplicationParty.AUTHORITY})
TRANSITIONS: Mapping[ApplicationAction, Transition] = {
    ApplicationAction.SUBMIT: Transition(
        before=frozenset({_S.RETURNED, _S.SUBMITTED}), after=_S.SUBMITTED, parties=frozenset({ApplicationParty.OWNER})
    ),
    ApplicationAction.APPROVE: Transition(before=frozenset({_S.SUBMITTED}), after=_S.APPROVED, parties=_AUTHORITY),
    ApplicationAction.RETURN: Transition(
        before=frozenset({_S.SUBMITTED}), after=_S.RETURNED, parties=_AUTHORITY, reason_needed=True
    ),
    ApplicationAction.SUSPEND: Transition(
        before=frozenset({_S.APPROVED}), after=_S.SUSPENDED, parties=_AUTHORITY, reason_needed=True
    ),
    ApplicationAction.RESUME: Transition(before=frozenset({_S.SUSPENDED}), after=_S.APPROVED, parties=_AUTHORITY),
    ApplicationAction.RETIRE: Transition(
        before=frozenset(_S) - {_S.RETIRED},
        after=_S.RETIRED,
        parties=frozenset(ApplicationParty),
        reason_needed=True,
    ),
}


class NewRegistration(Value):
    """What a department says of an application: what it is for, in which scenes, whom to ask."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    purpose: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    scenes: tuple[str, ...] = Field(min_length=1, max_length=SCENES_MAX)
    contacts: tuple[str, ...] = Field(min_length=1, max_length=CONTACTS_MAX)
    showcase: bool = False
    """Whether the open portal shows it once it is approved: name, purpose, scenes and department, no contacts."""


class Registration(NewRegistration):
    """A registered application as it stands."""

    client_id: str
    department: DepartmentCode
    state: ApplicationState
    reason: str = ""
    registered_at: datetime
    changed_at: datetime
    revision: int = 1
    agreements: tuple[AgreementId, ...] = ()
    """The agreements that it is bound to: it gets data under no others."""
    entry_id: EntryId | None = None


def possible_actions(registration: Registration, parties: frozenset[ApplicationParty]) -> tuple[ApplicationAction, ...]:
    """Return what a department that acts as `parties` can do now."""
    return tuple(
        action
        for action, row in TRANSITIONS.items()
        if registration.state in row.before and not row.parties.isdisjoint(parties)
    )


def follow(
    registration: Registration,
    action: ApplicationAction,
    *,
    parties: frozenset[ApplicationParty],
    reason: str,
    now: datetime,
) -> Registration:
    """Return the application after an act.

    Raises:
        Refused: the act is for another party. Conflict: the state does not allow it. Invalid: a reason is needed.
    """
    row = TRANSITIONS[action]
    if row.parties.isdisjoint(parties):
        raise Refused(
            "sharing.application_party",
            what=Text(zh="这件事由另一方办理。", en="This is for the other party to do."),
            remedy=Text(
                zh="审核、暂停和恢复由主管部门办理，提交由申报部门办理。",
                en="The authority reviews, suspends and resumes; the owner submits.",
            ),
        )
    if registration.state not in row.before:
        raise Conflict(
            "sharing.application_state",
            what=Text(zh="应用当前的状态不能这样办理。", en="The application is not in a state that allows this."),
            remedy=Text(zh="请刷新后查看最新状态。", en="Reload to see the present state."),
            context={"state": registration.state.value, "action": action.value},
        )
    if len(reason) > TEXT_CHARS_MAX or (row.reason_needed and not reason.strip()):
        raise Invalid(
            "sharing.application_reason",
            what=Text(zh="请说明理由。", en="State the reasons."),
            remedy=Text(zh="请填写后重新提交。", en="Fill them in and submit again."),
            field="/reason",
        )
    update = {
        "state": row.after,
        "reason": reason.strip(),
        "changed_at": now,
        "revision": registration.revision + 1,
    }
    return registration.model_copy(update=update)
