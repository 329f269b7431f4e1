"""The circuit breaker as a state machine: whatever the calls do, nobody is sent into an open circuit."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datong.sharing.breaker import FAILURES_MAX, OPEN_FOR, Breaker, CircuitState, admit, after, retry_after


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin and end in any order while time passes; a model counts failures in a row by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.breaker = Breaker()
        self.running = 0
        self.in_a_row = 0
        self.probe_began: datetime | None = None

    @rule(seconds=st.integers(0, 90))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def a_call_begins(self) -> None:
        before = self.breaker
        admitted = admit(before, self.now)
        if before.state is CircuitState.CLOSED:
            assert admitted == before
        elif before.since is not None and self.now - before.since < OPEN_FOR:
            assert admitted is None
            assert 1 <= retry_after(before, self.now) <= OPEN_FOR.total_seconds() + 1
        else:
            assert admitted is not None
            assert (admitted.state, admitted.since) == (CircuitState.HALF_OPEN, self.now)
            assert admit(admitted, self.now) is None
        if admitted is not None:
            self.breaker = admitted
            self.running += 1

    @rule(succeeded=st.booleans())
    def a_call_ends(self, succeeded: bool) -> None:
        if not self.running:
            return
        self.running -= 1
        self.in_a_row = 0 if succeeded else self.in_a_row + 1
        before = self.breaker
        self.breaker = after(before, self.now, succeeded=succeeded)
        if succeeded:
            assert self.breaker == Breaker()
        elif before.state is not CircuitState.CLOSED:
            assert (self.breaker.state, self.breaker.since) == (CircuitState.OPEN, self.now)

    @invariant()
    def it_is_closed_exactly_while_few_have_failed_in_a_row(self) -> None:
        assert self.breaker.failures == self.in_a_row
        assert (self.breaker.state is CircuitState.CLOSED) == (self.in_a_row < FAILURES_MAX)
        assert (self.breaker.since is None) == (self.breaker.state is CircuitState.CLOSED)


BreakerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBreaker = BreakerMachine.TestCase
