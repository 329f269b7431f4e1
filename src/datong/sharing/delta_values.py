"""Values of Delta Sharing: what a consumer may read as whole tables, and what is prepared of them."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from pydantic import Field

from datong.kernel import AgreementId, DepartmentCode, ResourceId, Text, Value, sha256_hex
from datong.sharing.masks import ColumnMask, MaskKind
from datong.sharing.row_filters import RowCondition
from datong.sharing.terms import Agreement

DELTA_SHARING_PATH = "/delta-sharing"
"""Below it the hub speaks the protocol; it stands in every profile."""
PROFILE_PREFIX = "dtds_"
"""What a profile's token begins with, so that scanners of source code know one when they see it."""


class TableVersion(Value):
    """One published version of a resource's table; `columns` maps a source's columns to the published ones."""

    version: int
    published_at: datetime
    rows: int
    digest: str
    columns: Mapping[str, str]


class TableSource(Protocol):
    """Where shared tables come from; bound by the composition root to the library."""

    def versions(self, resource_id: ResourceId) -> tuple[TableVersion, ...]:
        """Return the versions that can be read, oldest first; none if the resource was never published as a table."""
        ...

    def files(self, resource_id: ResourceId, version: int) -> tuple[Path, ...]:
        """Return the Parquet files of a version, in a stable order.

        Each row has the published columns and `_row_key`, which no other row of the version has.

        Raises:
            NotFound: there is no such version.
            Unavailable: it cannot be read now.
        """
        ...


class FixedTables:
    """Tables that are what they were told to be, for tests: versions and their files by resource."""

    def __init__(self) -> None:
        self.tables: dict[ResourceId, list[tuple[TableVersion, tuple[Path, ...]]]] = {}

    def versions(self, resource_id: ResourceId) -> tuple[TableVersion, ...]:
        """Return the versions, oldest first."""
        return tuple(one for one, _ in self.tables.get(resource_id, ()))

    def files(self, resource_id: ResourceId, version: int) -> tuple[Path, ...]:
        """Return the files of a version."""
        return next(files for one, files in self.tables[resource_id] if one.version == version)


class PlannedColumn(Value):
    """A column that is handed out: its published name, and how its values are masked, under which key.

    The key stays in the process that uses it; `key_digest` tells one from another.
    """

    name: str
    mask: MaskKind
    key_digest: str = ""
    key: bytes | None = Field(None, exclude=True, repr=False)

    @classmethod
    def masked(cls, name: str, mask: ColumnMask) -> Self:
        """Return the column `name` under `mask`."""
        return cls(name=name, mask=mask.kind, key=mask.key, key_digest="" if mask.key is None else sha256_hex(mask.key))

    @property
    def column_mask(self) -> ColumnMask:
        """How values are masked, with the key."""
        return ColumnMask(self.mask, self.key)


class ReleasePlan(Value):
    """All that decides what is in a release: the same plan makes the same files. `conditions` name published columns.

    `former` is the version before, if the release holds the changes since then; `citizens` are the columns with
    citizens' numbers, agreed or not, by which the release knows whom it concerns. Rows keep the table's order, that of
    their keys, only if it is `in_order`: where keys are masked or left out, their order would tell of them.
    """

    resource_id: ResourceId
    version: int
    former: int | None = None
    table_digest: str
    columns: tuple[PlannedColumn, ...]
    citizens: tuple[str, ...]
    conditions: tuple[RowCondition, ...] = ()
    in_order: bool = False


class Bound(Value):
    """The least and the greatest value of a column in a file, as text; None: it has no values, or cannot say."""

    least: str | None
    greatest: str | None


class ReleaseFile(Value):
    """One prepared Parquet file: its digest, and the number and digest of the citizens whom its rows concern."""

    name: str
    bytes: int
    sha256: str
    rows: int
    subjects: int
    subjects_sha256: str
    bounds: Mapping[str, Bound]


class Release(Value):
    """Prepared files of one plan; `types` are the columns' types in Delta Lake's names."""

    id: str
    plan: ReleasePlan
    types: Mapping[str, str]
    files: tuple[ReleaseFile, ...]

    @property
    def rows(self) -> int:
        """How many rows the files hold."""
        return sum(file.rows for file in self.files)


class SharedTableName(Value):
    """A table as a client names it: the provider, the service item it is used for, and the resource."""

    share: str
    schema_name: str
    table: str


class SharedTable(Value):
    """A table that a consumer has agreements about; `purpose` is the service item that they were made for."""

    name: SharedTableName
    provider: DepartmentCode
    resource_id: ResourceId
    purpose: str
    title: Text
    agreements: tuple[Agreement, ...]


class AgreedTable(Value):
    """A table as far as the policy lets it be read now: its columns by source column, each under an agreement."""

    table: SharedTable
    masks: Mapping[str, ColumnMask]
    agreements: tuple[Agreement, ...]

    @property
    def agreement_ids(self) -> tuple[AgreementId, ...]:
        """The agreements it is read under."""
        return tuple(agreement.id for agreement in self.agreements)
