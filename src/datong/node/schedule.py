"""The inventory that a running node takes by itself, every so many hours, beside its other work."""

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from datong.kernel import Clock, DatongError, Text
from datong.node.owned_files import write_owned

RETRY_HOURS = 1.0
"""After a failure the next inventory is tried this much later, or after the interval if that is shorter."""

Take = Callable[[Callable[[], bool]], None]
"""Takes one inventory; what it is given says whether to stop."""


class InventorySchedule:
    """Starts an inventory in a thread of its own when one is due; when the last one was taken outlives the process."""

    def __init__(self, *, path: Path, clock: Clock, hours: float, take: Take, tell: Callable[[Text], None]) -> None:
        self._path, self._clock, self._hours = path, clock, hours
        self._take, self._tell = take, tell
        self._stopping = threading.Event()
        self._running: threading.Thread | None = None

    def attend(self) -> None:
        """Begin an inventory if one is due and none is under way."""
        if self._running is not None and self._running.is_alive():
            return
        due = self._due_at()
        if due is not None and self._clock.now() < due:
            return
        self._running = threading.Thread(target=self._run, name="inventory", daemon=True)
        self._running.start()

    def stop(self) -> None:
        """Let the inventory under way end after the tables at hand; what it has profiled is kept."""
        self._stopping.set()
        if self._running is not None:
            self._running.join()

    def _run(self) -> None:
        hours = self._hours
        try:
            self._take(self._stopping.is_set)
        except DatongError as error:
            self._tell(error.what)
            hours = min(hours, RETRY_HOURS)
        if not self._stopping.is_set():
            self._remember(self._clock.now() + timedelta(hours=hours))

    def _due_at(self) -> datetime | None:
        """When the next inventory is due; None: at once, for none was taken or the note is not readable."""
        try:
            return datetime.fromisoformat(json.loads(self._path.read_text())["due_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, due_at: datetime) -> None:
        write_owned(self._path, json.dumps({"due_at": due_at.isoformat()}).encode())
