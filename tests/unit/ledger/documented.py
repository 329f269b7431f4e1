"""What docs/ledger.md says about entries: the names of the facts of each kind, read from its table."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from datong.ledger import RecordedEntry
from datong.ledger.entries import ACTING_FOR

PAGE = Path(__file__).parents[3] / "docs/ledger.md"
_ROW = re.compile(r"^\| `([a-z]+\.[a-z_]+)` \|[^|]*\| (.*) \|$", re.MULTILINE)
_NAME = re.compile(r"`([a-z_0-9]+)`")
_LIKE = re.compile(r"as `([a-z]+\.[a-z_]+)`")


def documented_facts() -> Mapping[str, frozenset[str]]:
    """Return the names of the facts that may stand in each kind of entry; numbers at the end are left out."""
    cells = dict(_ROW.findall(PAGE.read_text(encoding="utf-8")))
    own = {kind: {_plain(name) for name in _NAME.findall(cell)} for kind, cell in cells.items()}
    for kind, cell in cells.items():
        for other in _LIKE.findall(cell):
            own[kind] |= own[other]
    return {kind: frozenset(names) for kind, names in own.items()}


def undocumented(entries: Iterable[RecordedEntry]) -> dict[str, list[str]]:
    """Return, by kind, the names of facts that stand in entries and not in the documentation."""
    known, strange = documented_facts(), dict[str, set[str]]()
    for entry in entries:
        names = {_plain(name) for name in entry.facts} - {ACTING_FOR} - known.get(entry.kind.value, frozenset())
        if names:
            strange.setdefault(entry.kind.value, set()).update(names)
    return {kind: sorted(names) for kind, names in sorted(strange.items())}


def _plain(name: str) -> str:
    return re.sub(r"_[0-9]{4}$", "", name)
