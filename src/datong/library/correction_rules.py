"""校核 as a state machine: who may do what to the report of a wrong value, and what becomes of it. Pure.

《政务数据共享条例》 Art. 26: whoever finds data wrong may ask its source department, which verifies it, corrects it and
reports back within ten working days. Nothing but the department itself writes its database, so the platform does not
correct: it sees that the value has changed, in a batch that came after the report.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from datong.kernel import Conflict, Refused, Text

DISPUTES_MAX = 2
"""So often may a reporter send one report back; what is still disputed then is a case for coordination (Art. 28)."""


class CorrectionState(StrEnum):
    """Where a report stands. Overdue is not a state: it follows from the deadline and the time."""

    REPORTED = "reported"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CORRECTED = "corrected"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _STATES[self]

    @property
    def is_waiting(self) -> bool:
        """Whether the source department still owes something."""
        return self in {CorrectionState.REPORTED, CorrectionState.ACCEPTED}


class CorrectionAction(StrEnum):
    """What is done about a report."""

    REPORT = "report"
    ACCEPT = "accept"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    SEE = "see"
    """The platform finds another value in a batch that came after the report."""
    CLOSE = "close"
    DISPUTE = "dispute"

    @property
    def label(self) -> Text:
        """What the act is called."""
        return _ACTIONS[self]


class CorrectionSide(StrEnum):
    """On whose side somebody acts."""

    REPORTER = "reporter"
    SOURCE = "source"
    PLATFORM = "platform"


class _Step(NamedTuple):
    after: CorrectionState
    sides: frozenset[CorrectionSide]


_REPORTER = frozenset({CorrectionSide.REPORTER})
_SOURCE = frozenset({CorrectionSide.SOURCE})
_PLATFORM = frozenset({CorrectionSide.PLATFORM})

TRANSITIONS: Mapping[tuple[CorrectionState, CorrectionAction], _Step] = {
    (CorrectionState.REPORTED, CorrectionAction.ACCEPT): _Step(CorrectionState.ACCEPTED, _SOURCE),
    (CorrectionState.REPORTED, CorrectionAction.REJECT): _Step(CorrectionState.REJECTED, _SOURCE),
    (CorrectionState.REPORTED, CorrectionAction.WITHDRAW): _Step(CorrectionState.WITHDRAWN, _REPORTER),
    (CorrectionState.REPORTED, CorrectionAction.SEE): _Step(CorrectionState.CORRECTED, _PLATFORM),
    (CorrectionState.ACCEPTED, CorrectionAction.REJECT): _Step(CorrectionState.REJECTED, _SOURCE),
    (CorrectionState.ACCEPTED, CorrectionAction.WITHDRAW): _Step(CorrectionState.WITHDRAWN, _REPORTER),
    (CorrectionState.ACCEPTED, CorrectionAction.SEE): _Step(CorrectionState.CORRECTED, _PLATFORM),
    (CorrectionState.CORRECTED, CorrectionAction.CLOSE): _Step(CorrectionState.CLOSED, _REPORTER | _PLATFORM),
    (CorrectionState.CORRECTED, CorrectionAction.DISPUTE): _Step(CorrectionState.REPORTED, _REPORTER),
    (CorrectionState.REJECTED, CorrectionAction.CLOSE): _Step(CorrectionState.CLOSED, _REPORTER),
    (CorrectionState.REJECTED, CorrectionAction.DISPUTE): _Step(CorrectionState.REPORTED, _REPORTER),
}
"""The one table of transitions; a report begins in `reported` and ends in `closed` or `withdrawn`."""

REASONED = frozenset({CorrectionAction.REPORT, CorrectionAction.REJECT, CorrectionAction.DISPUTE})
"""Acts that need a statement: what is wrong and how one knows, or why not."""


def next_state(
    state: CorrectionState, action: CorrectionAction, sides: frozenset[CorrectionSide], *, disputes: int
) -> CorrectionState:
    """Return the state after `action` by somebody who stands on `sides`; `disputes` is how often it was sent back.

    Raises:
        Conflict: the state does not admit the act, or it was sent back too often.
        Refused: nobody on these sides may do it.
    """
    step = TRANSITIONS.get((state, action))
    if step is None:
        raise Conflict(
            "library.correction_step_illegal",
            what=Text(
                zh=f"“{state.label.zh}”的校核不能“{action.label.zh}”。",
                en=f"A report that is “{state.label.en}” does not admit “{action.label.en}”.",
            ),
            remedy=Text(zh="请刷新页面，按当前状态办理。", en="Reload, and act on what it is now."),
            context={"state": state.value, "action": action.value},
        )
    if step.sides.isdisjoint(sides):
        raise Refused(
            "library.correction_other_side",
            what=Text(zh=f"“{action.label.zh}”由另一方办理。", en=f"“{action.label.en}” is for the other side to do."),
            remedy=Text(
                zh="校核由数源部门答复，由提出人撤回、确认或退回。",
                en="The source department answers; whoever reported withdraws, confirms or sends back.",
            ),
            context={"action": action.value},
        )
    if action is CorrectionAction.DISPUTE and disputes >= DISPUTES_MAX:
        raise Conflict(
            "library.correction_disputed_enough",
            what=Text(
                zh=f"该校核已退回 {DISPUTES_MAX} 次，不能再退回。", en=f"It was sent back {DISPUTES_MAX} times already."
            ),
            remedy=Text(zh="请提请主管部门协调（第二十八条）。", en="Ask the authority to coordinate (Art. 28)."),
        )
    return step.after


def actions_of(
    state: CorrectionState, sides: frozenset[CorrectionSide], *, disputes: int
) -> tuple[CorrectionAction, ...]:
    """Return the acts that `state` admits to somebody on `sides`."""
    return tuple(
        action
        for (before, action), step in TRANSITIONS.items()
        if before is state
        and not step.sides.isdisjoint(sides)
        and not (action is CorrectionAction.DISPUTE and disputes >= DISPUTES_MAX)
    )


_STATES = {
    CorrectionState.REPORTED: Text(zh="待数源部门核实", en="awaiting the source department"),
    CorrectionState.ACCEPTED: Text(zh="已认可，待更正", en="accepted, to be corrected"),
    CorrectionState.REJECTED: Text(zh="不予更正", en="rejected"),
    CorrectionState.CORRECTED: Text(zh="已更正，待确认", en="corrected, to be confirmed"),
    CorrectionState.CLOSED: Text(zh="已办结", en="closed"),
    CorrectionState.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
}
_ACTIONS = {
    CorrectionAction.REPORT: Text(zh="提出校核", en="Report"),
    CorrectionAction.ACCEPT: Text(zh="认可有误", en="Accept"),
    CorrectionAction.REJECT: Text(zh="不予更正", en="Reject"),
    CorrectionAction.WITHDRAW: Text(zh="撤回", en="Withdraw"),
    CorrectionAction.SEE: Text(zh="平台见到更正", en="Correction seen"),
    CorrectionAction.CLOSE: Text(zh="确认办结", en="Confirm and close"),
    CorrectionAction.DISPUTE: Text(zh="退回重核", en="Send back"),
}
