"""A source's record as the versions had it that were served at given moments: what whoever asked then was told.

The gateway answers from the version that is current; its table stays readable until the version is disposed of.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import Field

from datong.kernel import BatchId, ResourceId, Value
from datong.library.inputs import RECORD_KEY
from datong.library.retention_rules import VersionTime, version_at, version_times
from datong.library.values import Dataset

if TYPE_CHECKING:
    from datong.library.service import Library

VERSIONS_READ_MAX = 60
"""Versions that one look reads, the newest; of older ones nothing is said."""
_BATCH, _OBSERVED = "_batch_id", "_observed_at"
_COLUMN = "column:"


class PastState(StrEnum):
    """What could be found out about a record in a version."""

    READ = "read"
    ABSENT = "absent"
    UNREADABLE = "unreadable"
    """The version was disposed of, or lies too far back."""


class PastRecord(Value):
    """A source's record in one version, which was served from a moment to another (None: still).

    `values` are by element, or `column:` and the column, as far as a table has them as the library says them.
    """

    library: str
    version: int
    served_from: datetime
    served_until: datetime | None
    state: PastState
    batch_id: BatchId | None = None
    observed_at: str | None = None
    values: Mapping[str, str | None] = Field(default_factory=dict)

    def covers(self, moment: datetime) -> bool:
        """Whether the version was the one that was served at `moment`."""
        return self.served_from <= moment and (self.served_until is None or moment < self.served_until)

    def says(self, element: str, value: str | None, batch_id: BatchId) -> bool:
        """Whether the record had `value`; where the table has another form of it, whether it came with `batch_id`."""
        if self.state is not PastState.READ:
            return False
        if element not in self.values:
            return self.batch_id == batch_id
        said = self.values[element]
        return said == value or (said is not None and value is not None and _same_number(said, value))


def past_records(
    library: "Library", resource_id: ResourceId, row_key: str, moments: Collection[datetime]
) -> tuple[PastRecord, ...]:
    """Return a source's record in each version that was served at one of `moments`, the newest version first.

    A moment before the first version has none.

    Raises:
        Unavailable: a table cannot be read.
    """
    published = {one.version: one for one in library.dataset_versions(f"resource:{resource_id}")}
    if not published:
        return ()
    times = version_times(sorted((one.version, one.published_at) for one in published.values()))
    served = {version_at(times, moment) for moment in moments}
    wanted = [one for one in reversed(times) if one.version in served]
    kept = {name: library.versions.readable(name) for name in {one.library for one in published.values()}}
    return tuple(
        _record(published[one.version], one, row_key)
        if place < VERSIONS_READ_MAX and one.version in kept[published[one.version].library]
        else _bare(published[one.version], one, PastState.UNREADABLE)
        for place, one in enumerate(wanted)
    )


def _record(dataset: Dataset, time: VersionTime, row_key: str) -> PastRecord:
    # Delta Lake takes half a second to import: only who looks back pays for it.
    files = import_module("datong.library.version_files")
    with files.told_unreadable(dataset.library):
        rows = files.rows_of(dataset.delta_path, dataset.delta_version, RECORD_KEY, [row_key]).to_pylist()
    if not rows:
        return _bare(dataset, time, PastState.ABSENT)
    row = rows[0]
    values = {
        column.element or f"{_COLUMN}{column.name}": _text(row[column.name])
        for column in dataset.columns
        if isinstance(row[column.name], str | int | Decimal | date | None)
        and not isinstance(row[column.name], datetime)
    }
    observed = row[_OBSERVED]
    return _bare(dataset, time, PastState.READ).model_copy(
        update={
            "batch_id": BatchId(row[_BATCH]),
            "observed_at": None if observed is None else str(observed),
            "values": values,
        }
    )


def _bare(dataset: Dataset, time: VersionTime, state: PastState) -> PastRecord:
    return PastRecord(
        library=dataset.library,
        version=time.version,
        served_from=time.published_at,
        served_until=time.superseded_at,
        state=state,
    )


def _text(value: str | int | Decimal | date | None) -> str | None:
    return None if value is None else value.isoformat() if isinstance(value, date) else str(value)


def _same_number(said: str, value: str) -> bool:
    """Whether two texts are one number: a table holds decimals with a fixed scale."""
    try:
        return Decimal(said) == Decimal(value) and "." in said
    except InvalidOperation:
        return False
