import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from datong.demo.city import CityPlan
from datong.demo.databases import RECEIVED_PATH, TABLES, Departments
from datong.demo.records import COLUMNS, Source


@pytest.fixture
def departments(tmp_path: Path) -> Departments:
    departments = Departments(tmp_path, plan=CityPlan(people=1_500, seed=3))
    departments.write()
    return departments


def _rows(departments: Departments, source: Source) -> list[tuple[object, ...]]:
    table = TABLES[source]
    if table.encoding is None:
        with closing(sqlite3.connect(departments.path(source))) as connection:
            return connection.execute(f'SELECT * FROM "{table.table}"').fetchall()
    with departments.path(source).open(encoding=table.encoding, newline="") as file:
        return [tuple[object, ...](row) for row in csv.reader(file)][1:]


@pytest.mark.parametrize("source", list(Source))
def test_every_table_holds_its_records_under_unique_keys(departments: Departments, source: Source) -> None:
    rows = _rows(departments, source)
    assert len(rows) == len(departments.contents[source].rows) > 0
    assert len({row[0] for row in rows}) == len(rows)
    assert all(len(row) == len(COLUMNS[source]) for row in rows)


def test_definitions_keep_the_departments_comments(departments: Departments) -> None:
    with closing(sqlite3.connect(departments.path(Source.RESIDENTS))) as connection:
        (definition,) = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchone()
    assert '"gmsfhm" TEXT, -- 公民身份号码' in definition


def test_one_file_is_gb18030_and_one_database_waits_empty(departments: Departments) -> None:
    assert "权利人姓名".encode("gb18030") in departments.path(Source.PROPERTY).read_bytes()
    with closing(sqlite3.connect(departments.folder / RECEIVED_PATH)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_truth_names_every_record_about_a_person(departments: Departments) -> None:
    truth = departments.truth()
    assert {source for source, _, _ in truth} == set(Source) - {Source.DIVISIONS}
    people = {person.number for person in departments.city.people}
    assert {owner for _, _, owner in truth} <= people
    assert len({(source, key) for source, key, _ in truth}) == len(truth)


def test_the_storys_family_is_in_every_persons_table_without_dirt(departments: Departments) -> None:
    father = departments.city.guardian
    for source, position in ((Source.RESIDENTS, 2), (Source.MARRIAGES, 2), (Source.INSURED, 2), (Source.PROPERTY, 3)):
        assert father.official_id in [row[position] for row in departments.contents[source].rows]
    applicants = [row[2] for row in departments.contents[Source.APPLICANTS].rows]
    assert departments.city.child.official_id in applicants


def test_the_increment_changes_the_databases_once(departments: Departments) -> None:
    before = {source: {row[0]: row for row in _rows(departments, source)} for source in Source}
    changes = departments.increment()
    departments.apply(changes)
    departments.apply(changes)
    for source, records in changes.items():
        after = {row[0]: row for row in _rows(departments, source)}
        assert len(records.rows) > 0
        assert {key for key, row in after.items() if before[source].get(key) != row} == {row[0] for row in records.rows}
        assert all(str(row[-1]) > max(str(old[-1]) for old in before[source].values()) for row in records.rows)
    assert any(key not in before[Source.RESIDENTS] for key in {row[0] for row in changes[Source.RESIDENTS].rows})


def test_the_same_seed_gives_the_same_databases_and_increment(tmp_path: Path) -> None:
    first, again = (Departments(tmp_path / str(turn), plan=CityPlan(people=500, seed=4)) for turn in range(2))
    assert {source: records.rows for source, records in first.contents.items()} == {
        source: records.rows for source, records in again.contents.items()
    }
    assert [records.rows for records in first.increment().values()] == [
        records.rows for records in again.increment().values()
    ]
