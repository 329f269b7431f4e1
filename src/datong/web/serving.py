"""The HTTP server of a hub process, which goes out of service before it ends (`Draining`)."""

from types import FrameType

import uvicorn

from datong.web.draining import Draining

GRACE_SECONDS = 60
"""So long requests that are on their way are waited for."""


class DrainingServer(uvicorn.Server):
    """A server that goes out of service when it is first asked to end; asked again, it ends."""

    def __init__(self, config: uvicorn.Config, draining: Draining, drain_seconds: float) -> None:
        super().__init__(config)
        self._draining, self._drain_seconds = draining, drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, or end."""
        if self._draining.begun:
            super().handle_exit(sig, frame)
        self._draining.begin()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end now."""
        if self._draining.over(self._drain_seconds):
            self.should_exit = True
        return await super().on_tick(counter)
