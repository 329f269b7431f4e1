"""The journal of a crawl: one line of JSON per profiled table, written as it is done. It holds profiles, no values."""

import os
import threading
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from datong.catalogue import TableProfile
from datong.kernel import Value, sha256_hex

_OWNER_ONLY = 0o600


class JournalLine(Value):
    """One profiled table: when, from a sample of how many rows."""

    at: AwareDatetime
    sample_rows: int
    profile: TableProfile


class InventoryJournal:
    """What crawls of one source have found, so that the next one need not look again."""

    def __init__(self, folder: Path, source: str) -> None:
        # Names of sources may hold anything; a digest makes a file name of every one of them.
        self._path = folder / f"{sha256_hex(source.encode())[:16]}.jsonl"
        self._lock = threading.Lock()

    def read(self, *, since: datetime, sample_rows: int) -> dict[str, TableProfile]:
        """Return the newest profile of each table, not older than `since` and of samples of that size.

        A line that a crash cut short is passed over: its table is profiled again.
        """
        found: dict[str, TableProfile] = {}
        if not self._path.exists():
            return found
        for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = JournalLine.model_validate_json(text)
            except ValidationError:
                continue
            if line.at >= since and line.sample_rows == sample_rows:
                found[line.profile.table] = line.profile
        return found

    def write(self, profile: TableProfile, *, at: datetime, sample_rows: int) -> None:
        """Append a profile; safe from several threads."""
        line = JournalLine(at=at, sample_rows=sample_rows, profile=profile).model_dump_json()
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write(f"\n{line}" if file.tell() else line)

    def clear(self) -> None:
        """Forget everything: after an inventory has been sent, or to begin anew."""
        with self._lock:
            self._path.unlink(missing_ok=True)
