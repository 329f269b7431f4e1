"""Going out of service without a failed request: what a process still answers, and how it says that it soon will not.

From the first SIGTERM on `/readyz` answers 503, so that a balancer sends new work elsewhere; every answer closes its
connection, so that no client's next request meets a closed one; requests that wait for something to happen are answered
at once, and streams end. The port is closed `drain_seconds` later, and what is then on its way is answered.
"""

import time
from collections.abc import Callable


class Draining:
    """Whether this process is going out of service."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._began: float | None = None

    @property
    def begun(self) -> bool:
        """Whether it has been asked to end."""
        return self._began is not None

    def begin(self) -> None:
        """Begin to go out of service."""
        if self._began is None:
            self._began = self._seconds()

    def over(self, drain_seconds: float) -> bool:
        """Whether balancers have had `drain_seconds` to notice."""
        return self._began is not None and self._seconds() - self._began >= drain_seconds
