"""Rows of several tables in one statement: the same on each engine, all of them or none."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    select,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from datong.kernel import Database, JsonColumn, JsonText, Part, UtcDateTime, insert_rows, insert_together, rows_of

METADATA = MetaData()
ACT = Table(
    "test_act",
    METADATA,
    Column("serial", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("at", UtcDateTime),
    Column("done", Boolean, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
SAID = Table(
    "test_said",
    METADATA,
    Column("word", String(10), primary_key=True),
    Column("serial", BigInteger, ForeignKey("test_act.serial"), primary_key=True),
)
AT = datetime(2026, 11, 27, 9, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture
def database(control_database: Database) -> Iterator[Database]:
    METADATA.create_all(control_database.engine)
    yield control_database
    METADATA.drop_all(control_database.engine)


def act(name: str, **fields: object) -> dict[str, object]:
    return {"id": name, "at": AT, "done": True, "bytes": b"\0\\x", "content": {"字": ["{}", None]}, **fields}


def test_rows_of_one_table_refer_to_the_numbers_of_another(database: Database) -> None:
    acts = [act("b"), act("a", at=None, done=False, content=JsonText('{"written":"already"}'))]
    said = [{"word": word, "serial": name} for word, name in (('x,"}', "a"), ("y", "a"), ("x", "b"))]
    with database.one_statement() as connection:
        insert_together(connection, (Part(ACT, acts), Part(SAID, said, refers={"serial": (ACT, "id")}), Part(SAID, ())))
    with database.snapshot() as connection:
        found = connection.execute(select(ACT).order_by(ACT.c.serial)).mappings().all()
        words = connection.execute(
            select(SAID.c.word, ACT.c.id).join(ACT, SAID.c.serial == ACT.c.serial).order_by(SAID.c.word)
        ).all()
    assert [{name: row[name] for name in acts[0]} for row in found] == [
        acts[0],
        {**acts[1], "content": {"written": "already"}},
    ]
    assert sorted(tuple(row) for row in words) == [("x", "b"), ('x,"}', "a"), ("y", "a")]


def test_all_rows_are_written_or_none(database: Database) -> None:
    """A second row of the same name, one that refers to nothing, a word that is too long for its column."""
    with database.transaction() as connection:
        insert_rows(connection, ACT, [act("a")])
    for parts in (
        (Part(ACT, [act("b"), act("a")]),),
        (Part(ACT, [act("b")]), Part(SAID, [{"word": "x", "serial": 999_999}])),
    ):
        with pytest.raises(IntegrityError), database.one_statement() as connection:
            insert_together(connection, parts)
    if not database.is_sqlite:
        long = Part(SAID, [{"word": "x" * 11, "serial": "c"}], refers={"serial": (ACT, "id")})
        with pytest.raises(DBAPIError), database.one_statement() as connection:
            insert_together(connection, (Part(ACT, [act("c")]), long))
    with database.snapshot() as connection:
        assert connection.execute(select(ACT.c.id)).scalars().all() == ["a"]


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="naive"), database.transaction() as connection:
        insert_rows(connection, ACT, [act("a", at=AT.replace(tzinfo=None))])


def test_rows_are_found_by_several_columns(database: Database) -> None:
    with database.transaction() as connection:
        insert_rows(connection, ACT, [act("a", done=False), act("b")])
    with database.reading() as connection:
        assert rows_of(connection, ACT, ("id",), [("b",), ("c",), ("a',",)], "done") == {("b",): 1}
        assert rows_of(connection, ACT, ("id",), [], "done") == {}


def test_columns_with_gaps_long_values_and_many_alike(database: Database) -> None:
    """What is written as arrays comes back as it was: nulls among values and alone, long texts, bytes, all alike."""
    long = "长" * 3000
    columns: tuple[tuple[datetime | None, bytes, object], ...] = (
        (AT, b"", {"": long}),
        (None, b"\xff" * 5000, None),
        (datetime(1999, 12, 31, 23, 59, 59, 1, tzinfo=UTC), b"\0", ["\\", '"', "NULL"]),
    )
    for name, chosen in (("x", columns), ("y", columns[:1] * 3), ("z", columns[1:2] * 3)):
        rows = [
            act(f"{name}{number}", at=at, bytes=content, content=said, done=number % 2 == 0)
            for number, (at, content, said) in enumerate(chosen)
        ]
        with database.one_statement() as connection:
            insert_rows(connection, ACT, rows)
        with database.snapshot() as connection:
            found = connection.execute(select(ACT).where(ACT.c.id.startswith(name)).order_by(ACT.c.id)).mappings().all()
        assert [{column: row[column] for column in rows[0]} for row in found] == rows


def test_a_value_of_another_type_is_refused(database: Database) -> None:
    for wrong in ({"bytes": 5}, {"id": 5}):
        if database.is_sqlite:
            continue  # It keeps any type in any column.
        with pytest.raises(TypeError), database.transaction() as connection:
            insert_rows(connection, ACT, [act("a") | wrong])
