"""A registered application's life as a state machine: the table and nothing else."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datong.kernel import Conflict, Invalid, Refused
from datong.sharing.applications.rules import (
    TRANSITIONS,
    ApplicationAction,
    ApplicationParty,
    ApplicationState,
    Registration,
    follow,
    possible_actions,
)
from tests.unit.sharing.samples import EDUCATION, NOW


class Life(RuleBasedStateMachine):
    """Any party tries any act, with a reason or without."""

    def __init__(self) -> None:
        super().__init__()
        self.approvals = 0
        self.registration = Registration(
            name="入学一件事",
            purpose="入学核验",
            scenes=("入学",),
            contacts=("张三",),
            client_id="app-1",
            department=EDUCATION,
            state=ApplicationState.SUBMITTED,
            registered_at=NOW,
            changed_at=NOW,
        )

    @rule(
        action=st.sampled_from(ApplicationAction),
        parties=st.frozensets(st.sampled_from(ApplicationParty)),
        reason=st.sampled_from(("", " ", "不符合要求")),
    )
    def act(self, action: ApplicationAction, parties: frozenset[ApplicationParty], reason: str) -> None:
        before, row = self.registration, TRANSITIONS[action]
        possible = possible_actions(before, parties)
        if action not in possible or (row.reason_needed and not reason.strip()):
            with pytest.raises((Refused, Conflict) if action not in possible else Invalid):
                follow(before, action, parties=parties, reason=reason, now=NOW)
            return
        self.registration = follow(before, action, parties=parties, reason=reason, now=NOW)
        assert self.registration.state is row.after
        assert self.registration.revision == before.revision + 1
        if action is ApplicationAction.APPROVE:
            assert ApplicationParty.AUTHORITY in parties
            self.approvals += 1

    @invariant()
    def nothing_is_approved_without_an_approval(self) -> None:
        if self.registration.state in {ApplicationState.APPROVED, ApplicationState.SUSPENDED}:
            assert self.approvals

    @invariant()
    def what_is_retired_stays_so(self) -> None:
        if self.registration.state is ApplicationState.RETIRED:
            assert possible_actions(self.registration, frozenset(ApplicationParty)) == ()


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=10)
TestLife = Life.TestCase
