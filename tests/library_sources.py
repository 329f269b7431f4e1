"""Landed sources for the library's tests: small ones by hand, and whole cities from the demo's generator."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from datong.demo.city import CityPlan
from datong.demo.databases import Departments
from datong.demo.records import COLUMNS, Source
from datong.exchange import DELETED_COLUMN
from datong.kernel import BatchId, DepartmentCode, ResourceId, Text
from datong.library import LandedBatch, LandedSource, LandingMode

Row = Sequence[object]
Truth = dict[tuple[str, str], int]

DIVISIONS = {
    "code": "division_code",
    "name": "division_name",
    "level": "division_level",
    "parent": "parent_division_code",
}
DIVISION_ROWS: tuple[Row, ...] = (
    ("440000", "广东省", 1, None),
    ("440600", "示例市", 2, "440000"),
    ("440604", "禅城区", 3, "440600"),
    ("440605", "", 3, "440600"),
    ("440606", "顺德区", 3, "449900"),
    ("440606001", "大良街道", 4, "440606"),
    ("44060X", "某区", 3, "440600"),
)
"""Divisions of which three are right: the others lack a name, a parent or the parent's parent, or have no code."""

ELEMENTS: Mapping[Source, tuple[str | None, ...]] = {
    Source.RESIDENTS: (
        "record_id", "person_name", "citizen_id", "sex", "ethnicity", "birth_date", "household_id", "relation_to_head",
        "marital_status", "address", "division_code", "moved_in_on", "phone", "updated_at",
    ),
    Source.MARRIAGES: (
        "record_id", "person_name", "citizen_id", "sex", "birth_date", "spouse_citizen_id", "marital_status",
        "married_on", "phone", "address", "updated_at",
    ),
    Source.LOW_INCOME: (
        "record_id", "person_name", "citizen_id", "birth_date", None, "low_income_status", "benefit_amount", "phone",
        "address", "updated_at",
    ),
    Source.INSURED: (
        "record_id", "person_name", "citizen_id", "sex", "birth_date", "employer_name", "employer_uscc",
        "insurance_status", "social_insurance_months", "annual_income", "phone", "address", "updated_at",
    ),
    Source.PROPERTY: (
        "record_id", "real_estate_unit", "person_name", "citizen_id", "property_address", "property_area",
        "property_type", "registered_on", "phone", "updated_at",
    ),
    Source.APPLICANTS: (
        "record_id", "person_name", "citizen_id", "sex", "birth_date", "guardian_citizen_id", "phone", "address",
        "school_name", "grade_level", "updated_at",
    ),
    Source.DIVISIONS: (
        "division_code", "division_name", "division_level", "parent_division_code", "geometry", "updated_at",
    ),
}  # fmt: skip
"""What the columns of the demo's tables mean, in their order."""


def department(number: int) -> DepartmentCode:
    """Return a department's code for tests."""
    return DepartmentCode(f"1144060000000000{number:02d}")


def _column(values: list[object]) -> "pa.Array[Any]":
    """Return `values` typed by themselves; text where there is none."""
    return pa.array(values, None if any(value is not None for value in values) else pa.string())


def write_batch(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> Path:
    """Write `rows` as a landed batch, each column typed by its values."""
    table = pa.table({name: _column([row[place] for row in rows]) for place, name in enumerate(columns)})
    path.parent.mkdir(parents=True, exist_ok=True)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=5000)
    return path


def landed(
    folder: Path, name: str, columns: Mapping[str, str | None], rows: Sequence[Row], *, number: int = 0
) -> LandedSource:
    """Land one snapshot of a source whose first column is its key."""
    path = write_batch(folder / f"{name}.arrow", tuple(columns), rows)
    return LandedSource(
        resource_id=ResourceId(name),
        department=department(number),
        title=Text(zh=name, en=name),
        columns=columns,
        key_columns=(next(iter(columns)),),
        batches=(LandedBatch(batch_id=BatchId(f"{name}-1"), sequence=1, path=path, mode=LandingMode.SNAPSHOT),),
    )


def with_increment(source: LandedSource, folder: Path, rows: Sequence[Row]) -> LandedSource:
    """Return `source` with one more batch that holds `rows`."""
    sequence = len(source.batches) + 1
    batch_id = BatchId(f"{source.resource_id}-{sequence}")
    path = write_batch(folder / f"{batch_id}.arrow", tuple(source.columns), rows)
    batch = LandedBatch(batch_id=batch_id, sequence=sequence, path=path)
    return source.model_copy(update={"batches": (*source.batches, batch)})


def with_changes(source: LandedSource, folder: Path, rows: Sequence[Row], *, deleted: Sequence[bool]) -> LandedSource:
    """Return `source` with one more batch, of changes: `rows`, each `deleted` or not."""
    sequence = len(source.batches) + 1
    batch_id = BatchId(f"{source.resource_id}-{sequence}")
    marked = [(gone, *row) for gone, row in zip(deleted, rows, strict=True)]
    path = write_batch(folder / f"{batch_id}.arrow", (DELETED_COLUMN.name, *source.columns), marked)
    batch = LandedBatch(batch_id=batch_id, sequence=sequence, path=path)
    return source.model_copy(update={"batches": (*source.batches, batch)})


def landed_city(folder: Path, *, people: int, seed: int = 1) -> tuple[tuple[LandedSource, ...], Truth]:
    """Land the demo's city of `people` and `seed`; return its sources and the true person of every record."""
    departments = Departments(folder / "city", plan=CityPlan(people=people, seed=seed))
    sources = tuple(
        landed(
            folder,
            source.value,
            dict(zip((column.name for column in COLUMNS[source]), ELEMENTS[source], strict=True)),
            records.rows,
            number=number,
        )
        for number, (source, records) in enumerate(departments.contents.items())
    )
    return sources, {(source.value, key): person for source, key, person in departments.truth()}
