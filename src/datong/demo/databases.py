"""The five departments' own databases: three SQLite files, two CSV folders, and the increment of the second transfer.

Each department has its own product, names and standards. The truth (which person each row is about) stays outside.
"""

import csv
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from datong.demo.city import City, CityPlan, build_city
from datong.demo.day import Day, IncrementPlan
from datong.demo.dice import Dice
from datong.demo.dirt import Dirt
from datong.demo.records import (
    COLUMNS,
    FIRST_INCREMENT_CHANGE,
    LAST_SNAPSHOT_CHANGE,
    Records,
    Registrar,
    Row,
    Source,
)

SNAPSHOT_SPAN = timedelta(days=360)
INCREMENT_SPAN = timedelta(hours=8)


class TableFile(NamedTuple):
    """Where a table lives: file below the demo's data folder, table name, and the encoding of a CSV file."""

    path: str
    table: str
    encoding: str | None = None


TABLES: dict[Source, TableFile] = {
    Source.RESIDENTS: TableFile("police/huji.sqlite", "hj_czrk"),
    Source.MARRIAGES: TableFile("civil/minzheng.sqlite", "marriage_registration"),
    Source.LOW_INCOME: TableFile("civil/minzheng.sqlite", "low_income_benefit"),
    Source.DIVISIONS: TableFile("civil/divisions/xingzhengquhua.csv", "xingzhengquhua", "utf-8"),
    Source.INSURED: TableFile("social/shebao.sqlite", "AC01"),
    Source.PROPERTY: TableFile("estate/registry/budongchan_dengji.csv", "budongchan_dengji", "gb18030"),
    Source.APPLICANTS: TableFile("education/zhaosheng.sqlite", "enrolment_applicant"),
}
RECEIVED_PATH = "education/received.sqlite"
"""Education's database for what other departments give it; empty at first."""
USES_PATH = "estate/registry/guihua_yongtu.csv"
_USES = (("10", "住宅"), ("20", "商业"), ("30", "工业"), ("40", "办公"), ("80", "车库"), ("90", "其他"))
_TABLE_TITLES = {
    Source.RESIDENTS: "常住人口登记表",
    Source.MARRIAGES: "婚姻登记当事人表",
    Source.LOW_INCOME: "低收入家庭救助表",
    Source.INSURED: "参保人员基本信息表",
    Source.APPLICANTS: "入学报名表",
}


class Departments:
    """The departments' databases of one city under one folder, and the truth about them."""

    def __init__(self, folder: Path, *, plan: CityPlan, dirt: Dirt | None = None) -> None:
        self.folder = folder
        self.plan = plan
        self.dirt = dirt or Dirt()
        self.city: City = build_city(plan)
        self.contents: dict[Source, Records] = Registrar(
            self.city,
            seed=plan.seed * 7919 + 1,
            dirt=self.dirt,
            changed_from=LAST_SNAPSHOT_CHANGE - SNAPSHOT_SPAN,
            changed_over=SNAPSHOT_SPAN,
        ).all()

    def path(self, source: Source) -> Path:
        """Return the file that holds `source`'s table."""
        return self.folder / TABLES[source].path

    def write(self) -> None:
        """Create every department's database; a file that exists is replaced."""
        for table in TABLES.values():
            path = self.folder / table.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        for source, records in self.contents.items():
            if TABLES[source].encoding is None:
                _create_table(self.path(source), source, records.rows)
            else:
                _write_csv(self.path(source), source, records.rows)
        _write_rows(self.folder / USES_PATH, "utf-8", ("用途代码", "用途名称"), _USES)
        received = self.folder / RECEIVED_PATH
        received.unlink(missing_ok=True)
        with closing(sqlite3.connect(received)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")

    def truth(self) -> list[tuple[Source, str, int]]:
        """Return (table, record key, number of the true person) for every record about a person."""
        return [
            (source, str(row[0]), owner)
            for source, records in self.contents.items()
            for row, owner in zip(records.rows, records.owners, strict=True)
            if owner is not None
        ]

    def increment(self, plan: IncrementPlan | None = None) -> dict[Source, Records]:
        """Let a day pass in the city and return the changed and new rows by table; `apply` writes them.

        The same city and plan give the same rows. May be called once; the truth then includes the new rows.
        """
        seed = self.plan.seed * 104_729
        registrar = Registrar(
            self.city,
            seed=seed + 5,
            dirt=self.dirt,
            changed_from=FIRST_INCREMENT_CHANGE,
            changed_over=INCREMENT_SPAN,
        )
        return Day(self.city, self.contents, dice=Dice(seed + 3), registrar=registrar).pass_by(plan or IncrementPlan())

    def apply(self, changes: dict[Source, Records]) -> None:
        """Write changed and new rows into the departments' databases; doing it again changes nothing."""
        for source, records in changes.items():
            for row, owner in zip(records.rows, records.owners, strict=True):
                self.contents[source].replace(row, owner)
            if TABLES[source].encoding is None:
                _upsert(self.path(source), source, records.rows)
            else:
                _write_csv(self.path(source), source, self.contents[source].rows)


def _definition(source: Source) -> str:
    """Return the table's definition, with the comments that departments keep in theirs."""
    columns = COLUMNS[source]
    lines = [
        f'    "{column.name}" {column.kind}{" PRIMARY KEY NOT NULL" if column is columns[0] else ""}'
        f"{'' if column is columns[-1] else ','} -- {column.comment}"
        for column in columns
    ]
    return f'CREATE TABLE "{TABLES[source].table}" ( -- {_TABLE_TITLES[source]}\n' + "\n".join(lines) + "\n)"


def _create_table(path: Path, source: Source, rows: Iterable[Row]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(_definition(source))
        connection.execute(
            f'CREATE INDEX "ix_{source}_changed" ON "{TABLES[source].table}" ("{COLUMNS[source][-1].name}")'
        )
        _insert(connection, source, rows)


def _upsert(path: Path, source: Source, rows: Iterable[Row]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        _insert(connection, source, rows)


def _insert(connection: sqlite3.Connection, source: Source, rows: Iterable[Row]) -> None:
    places = ", ".join("?" * len(COLUMNS[source]))
    with connection:
        connection.executemany("INSERT OR REPLACE INTO " + f'"{TABLES[source].table}" VALUES ({places})', rows)


def _write_csv(path: Path, source: Source, rows: Iterable[Row]) -> None:
    header = tuple(column.name for column in COLUMNS[source])
    _write_rows(path, TABLES[source].encoding or "utf-8", header, rows)


def _write_rows(path: Path, encoding: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file so that a reader sees the old contents or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    os.replace(unfinished, path)
