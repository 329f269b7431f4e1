"""Where the gateway reads from: current records by key, whatever keeps them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from datong.kernel import ResourceId


class Record(NamedTuple):
    """One current record of a resource; values are text, by item column or by data element."""

    values: Mapping[str, str | None]


class RecordSource(Protocol):
    """Looks up current records of a published resource."""

    def lookup(
        self, resource_id: ResourceId, key_element: str, key_values: Sequence[str]
    ) -> Sequence[tuple[Record, ...]]:
        """Return for each of `key_values` the records whose data element (or column) `key_element` has that value.

        Raises:
            NotFound: nothing of that resource has been published for reading yet.
            Unavailable: it cannot be read now.
        """
        ...


class FixedRecords:
    """Records held in memory, for tests and for trying things out."""

    def __init__(self, records: Mapping[ResourceId, tuple[Mapping[str, str | None], ...]]) -> None:
        self._records = records

    def lookup(
        self, resource_id: ResourceId, key_element: str, key_values: Sequence[str]
    ) -> Sequence[tuple[Record, ...]]:
        """Return the matching records; a resource without any has none."""
        rows = self._records.get(resource_id, ())
        return [
            tuple(Record(values=values) for values in rows if values.get(key_element) == key_value)
            for key_value in key_values
        ]
