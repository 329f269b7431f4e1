"""Open releases: a published table is checked, made coarser, written once and kept with its evidence."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, insert, select

from datong.kernel import (
    CHINA,
    Actor,
    Clock,
    Conflict,
    Database,
    EntryId,
    Invalid,
    JsonValue,
    NotFound,
    Page,
    Text,
    Value,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.library import PLACE_ELEMENTS, PUBLISHED, Dataset, DatasetColumn, has_one_row_each, published_table
from datong.norms import Grade, IdentifierKind, Mask, NormPack
from datong.sharing import tables
from datong.sharing.anonymity import LEVELS_TRIED_MAX, Anonymity, AnonymityReport, ReleasePlan, combinations
from datong.sharing.csv_files import write_csv

PARQUET, CSV = "data.parquet", "data.csv"
IDENTIFYING = frozenset({Mask.NAME, Mask.ID, Mask.PHONE, Mask.ADDRESS})
"""What elements with these masks hold names people, however coarse the rest is; and so do identifiers of any kind."""


class Datasets(Protocol):
    """The published tables, as the library hands them out."""

    def dataset(self, name: str) -> Dataset:
        """Return the current version of a dataset, or raise NotFound."""
        ...

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the current version of every dataset."""
        ...


class Suggestion(Value):
    """The plan with the levels of least loss, and what the rule then finds."""

    plan: ReleasePlan
    report: AnonymityReport


class OpenRelease(Value):
    """A table that was released: from which version, by which plan, with which result; the files never change."""

    id: str
    plan: ReleasePlan
    version: int
    title: Text
    report: AnonymityReport
    rows: int
    parquet_sha256: str
    csv_sha256: str
    released_at: datetime
    released_by: Actor
    entry_id: EntryId | None = None


class OpenReleases:
    """Checks, suggests and makes releases; their files lie in `folder`, one folder for each."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, pack: NormPack, library: Datasets, folder: Path
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._pack = pack
        self._library = library
        self._folder = folder

    def releasable(self) -> tuple[Dataset, ...]:
        """Return the published tables of entities that have columns which may be released."""
        return tuple(
            dataset for dataset in self._library.datasets() if dataset.name == dataset.library and self.columns(dataset)
        )

    def columns(self, dataset: Dataset) -> tuple[DatasetColumn, ...]:
        """Return the columns of a table that may be released: known elements below L4 that name nobody and no place."""
        return tuple(column for column in dataset.columns if self._may_leave(dataset, column))

    def check(self, plan: ReleasePlan) -> AnonymityReport:
        """Return what the rule of `plan` finds in the table at the plan's levels.

        Raises:
            NotFound: there is no such dataset.
            Invalid: `sharing.release_columns`: a column may not be released.
            Unavailable: the table cannot be read.
        """
        dataset = self._dataset(plan)
        with self._counted(dataset, plan) as counted:
            return counted.judge(plan.levels)

    def suggest(self, plan: ReleasePlan) -> Suggestion:
        """Return the plan with the levels that keep its rule with the least loss.

        Raises:
            NotFound, Invalid, Unavailable: as in `check`; Invalid also if there are too many combinations to try.
            Conflict: `sharing.release_impossible`: not even the coarsest levels keep the rule.
        """
        dataset = self._dataset(plan)
        if combinations(plan) > LEVELS_TRIED_MAX:
            raise Invalid(
                "sharing.release_levels",
                what=Text(zh="可能的级别组合过多。", en="There are too many combinations of levels."),
                remedy=Text(zh="请减少准标识列。", en="Release fewer quasi-identifiers."),
                field="/quasi",
            )
        with self._counted(dataset, plan) as counted:
            found = counted.least_loss()
        if found is None:
            raise _breaks_rule()
        levels, report = found
        return Suggestion(plan=plan.at(levels), report=report)

    def release(self, plan: ReleasePlan, actor: Actor) -> OpenRelease:
        """Write the table as the plan says and record it; a plan that breaks its own rule writes nothing.

        Raises:
            NotFound, Invalid, Unavailable: as in `check`.
            Conflict: `sharing.release_impossible`: more rows offend than may be left out.
        """
        dataset = self._dataset(plan)
        release_id = new_id()
        folder = self._folder / release_id
        with self._counted(dataset, plan) as counted:
            report = counted.judge(plan.levels)
            if not report.releasable:
                raise _breaks_rule()
            folder.mkdir(parents=True)
            try:
                rows = _write(counted, counted.released_sql(PUBLISHED, _day(dataset)), folder)
                return self._record(release_id, dataset, plan, report, rows, actor)
            except BaseException:
                # Nobody was told of these files; a kill here leaves a folder that no row names.
                shutil.rmtree(folder, ignore_errors=True)
                raise

    def releases(self, *, offset: int = 0, limit: int = 20) -> Page[OpenRelease]:
        """Return releases, newest first."""
        table = tables.release
        query = select(table.c.content, table.c.entry_id).order_by(table.c.released_at.desc(), table.c.id)
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(table)).scalar_one()
            rows = connection.execute(query.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).all()
        found = tuple(OpenRelease.model_validate({**row.content, "entry_id": row.entry_id}) for row in rows)
        return page_of(found, total=total, offset=offset)

    def get(self, release_id: str) -> OpenRelease:
        """Return a release, or raise NotFound."""
        table = tables.release
        with self._database.snapshot() as connection:
            row = connection.execute(select(table.c.content, table.c.entry_id).where(table.c.id == release_id)).first()
        if row is None:
            raise NotFound(
                "sharing.release_unknown",
                what=Text(zh="没有这个开放数据集。", en="There is no such release."),
                remedy=Text(zh="请从列表中选择。", en="Choose one from the list."),
            )
        return OpenRelease.model_validate({**row.content, "entry_id": row.entry_id})

    def file(self, release_id: str, name: str) -> Path:
        """Return a file of a release (`data.parquet`, `data.csv`), or raise NotFound."""
        found = self.get(release_id)
        return self._folder / found.id / (CSV if name == CSV else PARQUET)

    def _dataset(self, plan: ReleasePlan) -> Dataset:
        dataset = self._library.dataset(plan.dataset)
        allowed = {column.name for column in self.columns(dataset)}
        unfit = sorted({*(one.column for one in plan.quasi), *plan.sensitive} - allowed)
        if unfit:
            raise Invalid(
                "sharing.release_columns",
                what=Text(
                    zh=f"以下列不能开放：{'、'.join(unfit)}。",
                    en=f"These columns may not be released: {', '.join(unfit)}.",
                ),
                remedy=Text(
                    zh="能指认个人的列、L4 级的列和未对应数据元的列不得开放。",
                    en="Columns that name people, of grade L4, or without a data element stay closed.",
                ),
                field="/quasi",
            )
        return dataset

    def _may_leave(self, dataset: Dataset, column: DatasetColumn) -> bool:
        if column.element is None or not self._pack.has_element(column.element):
            return False
        if column.element in dataset.key_elements or column.element in PLACE_ELEMENTS:
            return False
        element = self._pack.element(column.element)
        names_one = element.identifier not in {None, IdentifierKind.DIVISION_CODE} or element.mask in IDENTIFYING
        return element.grade is not Grade.L4 and not names_one

    @contextmanager
    def _counted(self, dataset: Dataset, plan: ReleasePlan) -> Iterator[Anonymity]:
        with published_table(dataset) as connection:
            if not has_one_row_each(connection):
                raise Invalid(
                    "sharing.release_rows",
                    what=Text(
                        zh="该表不是每个实体一行，行数不等于人数。",
                        en="The table has not one row per entity: rows alike need not be people alike.",
                    ),
                    remedy=Text(zh="请选择资源库的实体表。", en="Choose a library's table of entities."),
                    field="/dataset",
                )
            yield Anonymity.of(connection, PUBLISHED, plan, _day(dataset))

    def _record(
        self, release_id: str, dataset: Dataset, plan: ReleasePlan, report: AnonymityReport, rows: int, actor: Actor
    ) -> OpenRelease:
        folder = self._folder / release_id
        release = OpenRelease(
            id=release_id,
            plan=plan,
            version=dataset.version,
            title=dataset.title,
            # The groups that were left out are named nowhere.
            report=report.without_values(),
            rows=rows,
            parquet_sha256=_digest(folder / PARQUET),
            csv_sha256=_digest(folder / CSV),
            released_at=self._clock.now(),
            released_by=actor,
        )
        with self._database.transaction() as connection:
            entry_id = self._ledger.append(
                connection, kind=EntryKind.RELEASE, subject=release_id, actor=actor, facts=_facts(release)
            )
            connection.execute(
                insert(tables.release).values(
                    id=release_id,
                    dataset=plan.dataset,
                    released_at=release.released_at,
                    entry_id=entry_id,
                    content=release.model_dump(mode="json", exclude={"entry_id"}),
                )
            )
        return release.model_copy(update={"entry_id": entry_id})


def _day(dataset: Dataset) -> str:
    """Return the day on which the ages of a version are told: that of its publication."""
    return dataset.published_at.astimezone(CHINA).date().isoformat()


def _write(counted: Anonymity, query: str, folder: Path) -> int:
    """Write both files, so that they are on the disk when they are recorded; return their rows."""
    connection = counted.connection
    connection.execute(f"CREATE OR REPLACE TEMP TABLE released AS {query}")
    parquet = str(folder / PARQUET).replace("'", "''")
    connection.execute(f"COPY released TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")
    write_csv(connection, "released", folder / CSV)
    for name in (PARQUET, CSV):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
    found = connection.execute("SELECT count(*) FROM released").fetchone()
    return int(found[0]) if found else 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        said = sha256()
        while piece := file.read(1 << 20):
            said.update(piece)
    return said.hexdigest()


def _facts(release: OpenRelease) -> dict[str, JsonValue]:
    plan, report = release.plan, release.report
    return {
        "dataset": plan.dataset,
        "version": release.version,
        "quasi": [{"column": one.column, "kind": one.kind.value, "level": one.level} for one in plan.quasi],
        "sensitive": list(plan.sensitive),
        "rule": plan.rule.model_dump(),
        "rows": release.rows,
        "left_out": report.offending_rows,
        "groups": report.groups - report.offending_groups,
        "loss_permille": report.loss_permille,
        "parquet_sha256": release.parquet_sha256,
        "csv_sha256": release.csv_sha256,
    }


def _breaks_rule() -> Conflict:
    return Conflict(
        "sharing.release_impossible",
        what=Text(
            zh="违反规则的行多于可以舍去的行，不能开放。",
            en="More rows break the rule than may be left out: no release.",
        ),
        remedy=Text(
            zh="请提高级别、减少列，或舍去更多的行。",
            en="Choose coarser levels, fewer columns, or leave out more rows.",
        ),
    )
