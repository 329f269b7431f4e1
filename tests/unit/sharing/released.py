"""A small published table of people, as the library publishes one, for releases and statistics."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from datong.kernel import BuildId, NotFound, Text
from datong.library import Dataset, DatasetColumn

NAME = "population"
COLUMNS = {
    "entity_id": None,
    "person_name": "person_name",
    "citizen_id": "citizen_id",
    "birth_date": "birth_date",
    "division_code": "division_code",
    "sex": "sex",
    "ethnicity": "ethnicity",
    "annual_income": "annual_income",
}


def people(count: int) -> pa.Table:
    """Return a table whose rows repeat every 60, so that what a rule finds can be counted by hand."""
    rows = range(count)
    return pa.table(
        {
            "entity_id": [f"e{row}" for row in rows],
            "person_name": [f"某{row}" for row in rows],
            "citizen_id": [f"id{row}" for row in rows],
            "birth_date": [f"19{60 + row % 20}-{1 + row % 12:02}-{1 + row % 28:02}" for row in rows],
            "division_code": [("110101", "110102", "120101")[row % 3] for row in rows],
            "sex": [("1", "2")[row % 2] for row in rows],
            "ethnicity": [("01", "02", "03", "01")[row // 5 % 4] for row in rows],
            "annual_income": [None if row % 10 == 9 else str(row % 10 * 1000) for row in rows],
        }
    )


class FixedDatasets:
    """One published table, in a Delta table below `folder`."""

    def __init__(self, folder: Path, table: pa.Table, *, library: str = NAME) -> None:
        write_deltalake(str(folder / "golden"), table)
        self.one = Dataset(
            name=NAME,
            library=library,
            version=1,
            build_id=BuildId("b1"),
            resource_id=None,
            department=None,
            title=Text(zh="人口库", en="Population"),
            open=False,
            rows=table.num_rows,
            digest="d",
            published_at=datetime(2026, 11, 27, tzinfo=UTC),
            columns=tuple(
                DatasetColumn(name=name, element=element, title=Text(zh=name, en=name))
                for name, element in COLUMNS.items()
                if name != "entity_id"
            ),
            key_elements=("citizen_id",),
            delta_path=folder / "golden",
            delta_version=0,
            lineage_path=None,
            lookup_path=folder / "lookup.sqlite",
        )

    def dataset(self, name: str) -> Dataset:
        """Return the table, or raise NotFound."""
        if name != NAME:
            raise NotFound("library.dataset_unknown", what=Text(zh="没有", en="none"), remedy=Text(zh="无", en="none"))
        return self.one

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the table."""
        return (self.one,)
