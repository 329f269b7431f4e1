"""The life of a citizen's objection to a use of their data (《个人信息保护法》 Arts. 44, 50), as one table. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from datong.kernel import AccessId, AgreementId, Conflict, DepartmentCode, EntryId, Invalid, Text, Value
from datong.kernel.limits import TEXT_CHARS_MAX


class ObjectionState(StrEnum):
    """Where an objection stands."""

    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _STATES[self]


class ObjectionAction(StrEnum):
    """What can be done with an open objection; only withdrawing is the citizen's."""

    UPHOLD = "uphold"
    DISMISS = "dismiss"
    WITHDRAW = "withdraw"

    @property
    def label(self) -> Text:
        """What the act is called."""
        return _ACTIONS[self]


_STATES = {
    ObjectionState.OPEN: Text(zh="待答复", en="awaits its answer"),
    ObjectionState.UPHELD: Text(zh="异议成立", en="upheld"),
    ObjectionState.DISMISSED: Text(zh="异议不成立", en="dismissed"),
    ObjectionState.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
}
_ACTIONS = {
    ObjectionAction.UPHOLD: Text(zh="异议成立", en="Uphold"),
    ObjectionAction.DISMISS: Text(zh="异议不成立", en="Dismiss"),
    ObjectionAction.WITHDRAW: Text(zh="撤回异议", en="Withdraw"),
}
OUTCOMES: Mapping[ObjectionAction, ObjectionState] = {
    ObjectionAction.UPHOLD: ObjectionState.UPHELD,
    ObjectionAction.DISMISS: ObjectionState.DISMISSED,
    ObjectionAction.WITHDRAW: ObjectionState.WITHDRAWN,
}
"""Every act starts from OPEN and ends the objection."""
REASONED = frozenset({ObjectionAction.UPHOLD, ObjectionAction.DISMISS})
"""Whoever refuses a person's right says why (Art. 50); whoever grants it says what is done."""


class Objection(Value):
    """An objection to one use; who objects is known to the department by the case number only."""

    id: str
    access_id: AccessId
    consumer: DepartmentCode
    provider: DepartmentCode | None
    agreement_ids: tuple[AgreementId, ...]
    resource_title: Text
    case_number: str
    statement: str
    state: ObjectionState
    answer: str = ""
    made_at: datetime
    due_at: datetime
    ended_at: datetime | None = None
    entry_id: EntryId | None = None


def follow(objection: Objection, action: ObjectionAction, answer: str, now: datetime) -> Objection:
    """Return the objection after an act.

    Raises:
        Conflict: it has ended. Invalid: the answer is missing or too long.
    """
    if objection.state is not ObjectionState.OPEN:
        raise Conflict(
            "sharing.objection_ended",
            what=Text(zh="该异议已办结。", en="This objection has ended."),
            remedy=Text(zh="请刷新后查看。", en="Reload to see the present state."),
        )
    require_words(answer, "answer", needed=action in REASONED)
    update = {"state": OUTCOMES[action], "answer": answer.strip(), "ended_at": now}
    return objection.model_copy(update=update)


def require_words(words: str, field: str, *, needed: bool) -> None:
    """Let a statement or an answer pass.

    Raises:
        Invalid: it is missing or longer than TEXT_CHARS_MAX characters.
    """
    if (needed and not words.strip()) or len(words) > TEXT_CHARS_MAX:
        raise Invalid(
            f"sharing.objection_{field}",
            what=Text(
                zh=f"请写明理由，不超过 {TEXT_CHARS_MAX} 字。",
                en=f"State the reasons in 1 to {TEXT_CHARS_MAX} characters.",
            ),
            remedy=Text(zh="请填写后重新提交。", en="Fill it in and submit again."),
            field=f"/{field}",
        )
