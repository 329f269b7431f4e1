"""A consent's life as a state machine: no act leads anywhere but where the table says, and nothing after its term."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datong.kernel import AgreementId, Conflict
from datong.sharing.consent.rules import TRANSITIONS, Consent, ConsentAction, ConsentState, follow, possible_actions
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE, RESOURCE, text


def consent() -> Consent:
    return Consent(
        id="consent-1",
        agreement_id=AgreementId("agreement-1"),
        consumer=EDUCATION,
        provider=POLICE,
        resource_id=RESOURCE,
        resource_title=text("常住人口"),
        service_item="school-admission",
        scene="核验",
        columns=("xm",),
        names=(text("姓名"),),
        state=ConsentState.ASKED,
        asked_at=NOW,
        valid_until=NOW + timedelta(days=10),
    )


class Life(RuleBasedStateMachine):
    """Any acts at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.consent = consent()
        self.acts: list[ConsentAction] = []

    @rule(days=st.integers(0, 4))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule(action=st.sampled_from(ConsentAction))
    def act(self, action: ConsentAction) -> None:
        possible = possible_actions(self.consent, self.now)
        try:
            after = follow(self.consent, action, self.now)
        except Conflict:
            assert action not in possible
            return
        assert action in possible
        assert (self.consent.state, after.state) == TRANSITIONS[action]
        self.consent = after
        self.acts.append(action)

    @invariant()
    def it_holds_only_between_giving_and_withdrawal(self) -> None:
        given = self.acts == [ConsentAction.GIVE] and self.now < self.consent.valid_until
        assert self.consent.holds(self.now) == given


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=8)
TestLife = Life.TestCase
