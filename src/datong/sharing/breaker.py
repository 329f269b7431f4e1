"""Circuit breaking of a live service: after failures in a row nobody is sent there, until one probe succeeds. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from datong.kernel import Text, Value

FAILURES_MAX = 5
"""Failures in a row that open the circuit."""
OPEN_FOR = timedelta(seconds=30)
"""How long an open circuit refuses before it lets one probe through, and how long a probe may take."""


class CircuitState(StrEnum):
    """Whether calls are let through: closed all, half open one probe, open none."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _LABELS[self]


_LABELS = {
    CircuitState.CLOSED: Text(zh="正常", en="Working"),
    CircuitState.OPEN: Text(zh="已熔断", en="Circuit open"),
    CircuitState.HALF_OPEN: Text(zh="试探恢复中", en="Probing"),
}


class Breaker(Value):
    """The state of one circuit; `since` is when it was entered, or when the running probe began."""

    state: CircuitState = CircuitState.CLOSED
    failures: int = Field(0, ge=0)
    since: datetime | None = None


def admit(breaker: Breaker, now: datetime) -> Breaker | None:
    """Return the state with one more call under way, or None when the call is refused."""
    if breaker.state is CircuitState.CLOSED:
        return breaker
    if breaker.since is not None and now - breaker.since < OPEN_FOR:
        return None
    # Open long enough, or the last probe never came back: this call is the probe.
    return breaker.model_copy(update={"state": CircuitState.HALF_OPEN, "since": now})


def after(breaker: Breaker, now: datetime, *, succeeded: bool) -> Breaker:
    """Return the state once a call has come to its end."""
    if succeeded:
        return Breaker()
    failures = breaker.failures + 1
    if breaker.state is CircuitState.CLOSED and failures < FAILURES_MAX:
        return breaker.model_copy(update={"failures": failures})
    return Breaker(state=CircuitState.OPEN, failures=failures, since=now)


def retry_after(breaker: Breaker, now: datetime) -> int:
    """Return in how many seconds a refused caller may try again."""
    if breaker.since is None:
        return 1
    return max(1, int((breaker.since + OPEN_FOR - now).total_seconds()) + 1)
