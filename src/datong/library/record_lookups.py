"""Looking up one record after another: which version is current is looked up seldom, files stay open per thread.

A lookup file never changes; a newer version is another file, which takes the place of the one that was open.
"""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from datong.kernel import Remembered
from datong.library.lookup import LOOKUP_ROWS_MAX, LookupFile, connect_file
from datong.library.published import ENTITY_KEYS, Published, key_unknown
from datong.library.values import Dataset

FILES_OPEN_MAX = 64
"""Lookup files that one thread keeps open."""
DATASETS_MAX = 10_000
FRESH_SECONDS = 0.05
"""A new version is served at most so long after it was published."""


class _Files(threading.local):
    """The lookup files that this thread has open, by dataset, the one used last at the end."""

    def __init__(self) -> None:
        self.opened: dict[str, tuple[sqlite3.Connection, LookupFile]] = {}

    def of(self, name: str, path: Path) -> LookupFile:
        """Return the open file of a dataset whose current file is at `path`."""
        known = self.opened.pop(name, None)
        if known is not None and known[1].path != path:
            known[0].close()
            known = None
        if known is None:
            if len(self.opened) >= FILES_OPEN_MAX:
                self.opened.pop(next(iter(self.opened)))[0].close()
            connection = connect_file(path)
            known = (connection, LookupFile(connection, path))
        self.opened[name] = known
        return known[1]


class RecordLookups:
    """Reads current records by key for the gateway: the same records as `Published.lookup`, their values only."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._datasets: Remembered[str, Dataset] = Remembered(
            published.dataset_stamps, published.dataset, most=DATASETS_MAX, fresh_seconds=FRESH_SECONDS
        )
        self._files = _Files()

    def values(
        self, name: str, key_element: str, key_values: Sequence[str]
    ) -> list[Sequence[Mapping[str, str | None]]]:
        """Return for each of `key_values` the records of dataset `name` whose `key_element` has that value, by field.

        Raises:
            NotFound: no such dataset, or it is not looked up by that element.
            Unavailable: the version was replaced at this moment.
        """
        self._datasets.refresh([name])
        found = self._datasets.get(name)
        if key_element not in (*found.key_elements, "row_key"):
            raise key_unknown(found, key_element)
        values = self._files.of(name, found.lookup_path).values(key_element, key_values, LOOKUP_ROWS_MAX)
        if key_element not in ENTITY_KEYS:
            return list(values)
        return [rows or self._elsewhere(name, key_element, key) for rows, key in zip(values, key_values, strict=True)]

    def _elsewhere(self, name: str, key_element: str, key_value: str) -> Sequence[Mapping[str, str | None]]:
        """Return the records of an entity that is known by another id by now."""
        rows = self._published.lookup(name, key_element, key_value)
        return [{field: cell.value for field, cell in row.cells.items()} for row in rows]
