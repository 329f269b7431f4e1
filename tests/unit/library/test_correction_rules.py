"""校核 as a state machine: whatever is tried in whatever order, only what the table says happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Conflict, DatongError, Refused
from datong.library import CorrectionAction, CorrectionSide, CorrectionState, actions_of
from datong.library.correction_rules import DISPUTES_MAX, TRANSITIONS, next_state

ENDED = {CorrectionState.CLOSED, CorrectionState.WITHDRAWN}
SIDES = st.frozensets(st.sampled_from(CorrectionSide))
STEPS = st.lists(st.tuples(st.sampled_from(CorrectionAction), SIDES), max_size=30)


@given(STEPS)
def test_every_play_obeys_the_table_and_ends(steps: list[tuple[CorrectionAction, frozenset[CorrectionSide]]]) -> None:
    state, disputes = CorrectionState.REPORTED, 0
    for action, sides in steps:
        offered = actions_of(state, sides, disputes=disputes)
        try:
            after = next_state(state, action, sides, disputes=disputes)
        except DatongError:
            assert action not in offered
            continue
        assert action in offered
        assert after is TRANSITIONS[state, action].after
        disputes += action is CorrectionAction.DISPUTE
        assert disputes <= DISPUTES_MAX
        assert state not in ENDED, "what has ended stays so"
        if action in {CorrectionAction.ACCEPT, CorrectionAction.REJECT}:
            assert CorrectionSide.SOURCE in sides
        if action is CorrectionAction.SEE:
            assert CorrectionSide.PLATFORM in sides, "nobody can say that it was corrected: it has to be seen"
        state = after


def test_every_state_is_reached_and_every_path_can_end() -> None:
    reached = {CorrectionState.REPORTED} | {step.after for step in TRANSITIONS.values()}
    assert reached == set(CorrectionState)
    for state in set(CorrectionState) - ENDED:
        assert any(before is state for before, _ in TRANSITIONS)


def test_refusals_say_why() -> None:
    source, reporter = frozenset({CorrectionSide.SOURCE}), frozenset({CorrectionSide.REPORTER})
    with pytest.raises(Conflict, match=r"library\.correction_step_illegal"):
        next_state(CorrectionState.CLOSED, CorrectionAction.ACCEPT, source, disputes=0)
    with pytest.raises(Refused, match=r"library\.correction_other_side"):
        next_state(CorrectionState.REPORTED, CorrectionAction.ACCEPT, reporter, disputes=0)
    with pytest.raises(Conflict, match=r"library\.correction_disputed_enough"):
        next_state(CorrectionState.REJECTED, CorrectionAction.DISPUTE, reporter, disputes=DISPUTES_MAX)
