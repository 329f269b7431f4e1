"""The life of a consent as one transition table (《个人信息保护法》 Arts. 13–15, 23). Pure.

A consent is to one department, about items of one resource, for one service item, until a day. It is asked for by the
department and given or declined by the person; or given in person on paper, which staff put down with the paper's
digest. It may be withdrawn at any time, which is as easy as giving it (Art. 15).
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from datong.kernel import AgreementId, Conflict, DepartmentCode, EntryId, ResourceId, Text, Value


class ConsentState(StrEnum):
    """Where a consent stands; that its term is over follows from the time."""

    ASKED = "asked"
    GIVEN = "given"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _STATES[self]


class ConsentAction(StrEnum):
    """What can be done with a consent that was asked for or given."""

    GIVE = "give"
    DECLINE = "decline"
    WITHDRAW = "withdraw"

    @property
    def label(self) -> Text:
        """What the act is called."""
        return _ACTIONS[self]


class ConsentWay(StrEnum):
    """How a consent was given."""

    ON_PAGE = "on_page"
    ON_PAPER = "on_paper"
    ELECTRONIC = "electronic"

    @property
    def label(self) -> Text:
        """The way in words."""
        return _WAYS[self]


_STATES = {
    ConsentState.ASKED: Text(zh="待本人决定", en="waits for the person"),
    ConsentState.GIVEN: Text(zh="已同意", en="given"),
    ConsentState.DECLINED: Text(zh="未同意", en="declined"),
    ConsentState.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
}
_ACTIONS = {
    ConsentAction.GIVE: Text(zh="同意", en="Give consent"),
    ConsentAction.DECLINE: Text(zh="不同意", en="Decline"),
    ConsentAction.WITHDRAW: Text(zh="撤回同意", en="Withdraw"),
}
_WAYS = {
    ConsentWay.ON_PAGE: Text(zh="本人在平台上同意", en="by the person, on the platform"),
    ConsentWay.ON_PAPER: Text(zh="本人签署纸质授权书", en="signed on paper"),
    ConsentWay.ELECTRONIC: Text(zh="本人电子签名", en="signed electronically"),
}
TRANSITIONS: Mapping[ConsentAction, tuple[ConsentState, ConsentState]] = {
    ConsentAction.GIVE: (ConsentState.ASKED, ConsentState.GIVEN),
    ConsentAction.DECLINE: (ConsentState.ASKED, ConsentState.DECLINED),
    ConsentAction.WITHDRAW: (ConsentState.GIVEN, ConsentState.WITHDRAWN),
}
"""From which state each act leads to which."""


class Consent(Value):
    """One consent: to whom, which items, what for, until when, how it was given. Whose it is stands in no value."""

    id: str
    agreement_id: AgreementId
    consumer: DepartmentCode
    provider: DepartmentCode
    resource_id: ResourceId
    resource_title: Text
    service_item: str
    scene: str
    columns: tuple[str, ...]
    names: tuple[Text, ...]
    state: ConsentState
    way: ConsentWay | None = None
    document_sha256: str | None = None
    asked_at: datetime
    given_at: datetime | None = None
    ended_at: datetime | None = None
    valid_until: datetime
    revision: int = 1
    entry_id: EntryId | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it allows anything now."""
        return self.state is ConsentState.GIVEN and now < self.valid_until


def possible_actions(consent: Consent, now: datetime) -> tuple[ConsentAction, ...]:
    """Return what the person can do with a consent now; what is over can be neither given nor withdrawn."""
    if now >= consent.valid_until:
        return ()
    return tuple(action for action, (before, _) in TRANSITIONS.items() if consent.state is before)


def follow(consent: Consent, action: ConsentAction, now: datetime, *, way: ConsentWay = ConsentWay.ON_PAGE) -> Consent:
    """Return the consent after an act.

    Raises:
        Conflict: it is in no state that the act starts from, or its term is over.
    """
    if action not in possible_actions(consent, now):
        raise Conflict(
            "sharing.consent_state",
            what=Text(zh="这项同意当前的状态不能这样办理。", en="This consent is not in a state that allows the act."),
            remedy=Text(zh="请刷新后查看最新状态。", en="Reload to see the present state."),
            context={"state": consent.state.value, "action": action.value},
        )
    state = TRANSITIONS[action][1]
    when: dict[str, object] = {"given_at": now, "way": way} if state is ConsentState.GIVEN else {"ended_at": now}
    return consent.model_copy(update={"state": state, "revision": consent.revision + 1, **when})
