"""Apply modes on SQLite, PostgreSQL, MariaDB and over SQLAlchemy: one contract suite, and a machine against Python."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from datong.adapters.connections import open_connector, open_target
from datong.exchange import (
    CURRENT,
    DELETED,
    GENESIS_DIGEST,
    VALID_FROM,
    VALID_TO,
    VERSION,
    AddedColumn,
    Applied,
    ApplyMode,
    Column,
    Correction,
    KnownDigest,
    LetterOutcome,
    ReadQuery,
    Resolution,
    Target,
    TargetPlan,
    TransferMode,
    content_digest,
    moved_columns,
)
from datong.kernel import Conflict, TaskId
from tests.integration.exchange.samples import manifest_of, reader_of, record_batch
from tests.integration.exchange.statements import run
from tests.servers import DatabaseServer

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
TASK = TaskId("task-1")
COLUMNS = (Column(name="id", type="int64"), Column(name="v", type="string"))
CHANGES = (Column(name=DELETED, type="boolean", nullable=False), *COLUMNS)
TOO_LONG = "x" * 9
Change = tuple[int | None, str | None]
"""A key and its value; the value `GONE` deletes."""
GONE = "gone"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "postgresql over SQLAlchemy"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    engine, _, way = request.param.partition(" ")
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path / 'data.sqlite'}"
        return
    server: DatabaseServer = request.getfixturevalue(f"{engine}_server")
    made = server.create_database()
    yield made.replace("postgresql:", "postgresql+psycopg:", 1) if way else made
    server.drop_database(made)


@dataclass
class Feed:
    """A task's batches, one after the other, into one target; an hour passes between two of them."""

    url: str
    plan: TargetPlan
    task: str = "task-1"
    sequence: int = 0
    previous: str = GENESIS_DIGEST
    at: datetime = START
    last: tuple[pa.RecordBatch, tuple[Column, ...], dict[str, object]] | None = None
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        self.target = open_target(self.url)

    def send(self, batch: pa.RecordBatch, columns: tuple[Column, ...], mode: TransferMode, **facts: object) -> Applied:
        self.sequence += 1
        self.at += timedelta(hours=1)
        self.last = (batch, columns, {"mode": mode, "run": self.sequence, **facts})
        return self.again()

    def again(self) -> Applied:
        assert self.last is not None
        batch, columns, facts = self.last
        manifest = manifest_of(batch, columns, sequence=self.sequence, previous=self.previous, task=self.task)
        manifest = manifest.model_copy(update={**facts, "produced_at": self.at})
        self.target.prepare(self.plan, columns)
        return self.target.apply(manifest, reader_of(batch), plan=self.plan, applied_at=self.at)

    def changes(self, *changes: Change) -> Applied:
        rows: list[dict[str, object]] = [
            {DELETED: v == GONE, "id": key, "v": None if v == GONE else v} for key, v in changes
        ]
        return self.send(record_batch(rows, CHANGES), CHANGES, TransferMode.CAPTURE)

    def increment(self, *changes: Change) -> Applied:
        rows: list[dict[str, object]] = [{"id": key, "v": v} for key, v in changes]
        return self.send(record_batch(rows, COLUMNS), COLUMNS, TransferMode.INCREMENT)

    def snapshot(self, *parts: list[Change]) -> None:
        run_number = self.sequence + 1
        for number, part in enumerate(parts, start=1):
            rows: list[dict[str, object]] = [{"id": key, "v": v} for key, v in part]
            last = number == len(parts)
            batch = record_batch(rows, COLUMNS)
            self.send(batch, COLUMNS, TransferMode.SNAPSHOT, run=run_number, part=number, last=last)

    def rows(self, table: str = "t", columns: tuple[str, ...] = ("id", "v")) -> list[tuple[object, ...]]:
        connector = open_connector(self.url)
        batches = connector.read(ReadQuery(table=table, columns=columns))
        found = (tuple(map(in_utc, row.values())) for batch in batches for row in batch.to_pylist())
        return sorted(found, key=repr)

    def look(self) -> bool:
        """Compare the digest that batches kept with the table's own, and keep that; return whether one was kept."""
        table = f"{self.plan.table}_current" if self.plan.mode is ApplyMode.HISTORY else self.plan.table
        columns = moved_columns(self.plan, COLUMNS)
        digest, known = self.target.digest(table, columns), self.target.known_digest(table, columns)
        assert known is None or known.digest == digest
        if known is None:
            self.target.remember_digest(table, columns, KnownDigest(digest=digest, changed=0, looked_at=self.at))
        return known is not None

    def versions(self) -> list[tuple[object, ...]]:
        found = self.rows(columns=("id", VERSION, "v", VALID_FROM, VALID_TO, CURRENT))
        return sorted(found, key=lambda row: (str(row[0]), int(str(row[1]))))


def in_utc(value: object) -> object:
    """Return an instant as one: MariaDB has no type for instants and keeps them in UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def plan(mode: ApplyMode) -> TargetPlan:
    return TargetPlan(table="t", mode=mode, key_columns=("id",))


def hour(number: int) -> datetime:
    return START + timedelta(hours=number)


def test_mirror_carries_deletes_and_the_last_change_of_a_key_wins(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.MIRROR))
    feed.snapshot([(1, "a"), (2, "b")], [(3, "c")])
    feed.changes((2, GONE), (4, "d"), (4, "e"), (5, "f"), (5, GONE), (3, GONE), (3, "c2"), (9, GONE))
    assert feed.rows() == [(1, "a"), (3, "c2"), (4, "e")]
    assert feed.again().repeated
    assert feed.rows() == [(1, "a"), (3, "c2"), (4, "e")]


def test_mirror_of_a_snapshot_deletes_what_is_missing_and_leaves_the_department_s_column(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.MIRROR))
    feed.snapshot([(1, "a"), (2, "b"), (3, "c")])
    run(url, "ALTER TABLE t ADD COLUMN note varchar(20)", "UPDATE t SET note = 'ours' WHERE id = 1")
    feed.snapshot([(1, "a2")], [(3, "c"), (4, "d"), (4, "d2")])
    assert feed.rows() == [(1, "a2"), (3, "c"), (4, "d2")]
    assert run(url, "SELECT note FROM t WHERE id = 1") == [("ours",)]


def test_upsert_keeps_what_the_source_deletes(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.UPSERT))
    feed.changes((1, "a"), (2, "b"))
    feed.changes((1, GONE), (2, "b2"), (3, "c"), (3, GONE))
    assert feed.rows() == [(1, "a"), (2, "b2")]


def test_append_refuses_a_deleted_row_with_a_reason_and_takes_the_others(url: str) -> None:
    feed = Feed(url, TargetPlan(table="t", mode=ApplyMode.APPEND))
    answer = feed.changes((1, "a"), (1, GONE), (1, "b"))
    assert (answer.rows, answer.rejected) == (2, 1)
    assert feed.rows() == [(1, "a"), (1, "b")]
    assert feed.target.rejected(TASK) == 1
    feed.snapshot([(1, "a")])
    assert feed.rows() == [(1, "a"), (1, "a"), (1, "b")]


def test_history_closes_and_opens_versions_at_the_batch_s_instant(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.HISTORY))
    feed.increment((1, "a"), (2, "b"))
    feed.increment((1, "a"), (2, "b2"))
    assert feed.versions() == [
        (1, 1, "a", hour(1), None, True),
        (2, 1, "b", hour(1), hour(2), False),
        (2, 2, "b2", hour(2), None, True),
    ]
    assert feed.rows("t_current") == [(1, "a"), (2, "b2")]


def test_history_keeps_the_order_of_several_changes_of_one_key_in_a_batch(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.HISTORY))
    feed.changes((1, "a"))
    feed.changes((1, "b"), (1, "b"), (1, "c"), (1, GONE), (1, "c"), (2, GONE), (2, "x"), (2, GONE))
    assert feed.versions() == [
        (1, 1, "a", hour(1), hour(2), False),
        (1, 2, "b", hour(2), hour(2), False),
        (1, 3, "c", hour(2), hour(2), False),
        (1, 5, "c", hour(2), None, True),
        (2, 2, "x", hour(2), hour(2), False),
    ]
    feed.changes((1, GONE))
    assert feed.versions()[3] == (1, 5, "c", hour(2), hour(3), False)
    assert feed.rows("t_current") == []


def test_history_of_snapshots_closes_what_is_missing(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.HISTORY))
    feed.snapshot([(1, "a")], [(2, "b")])
    feed.snapshot([(2, "b")], [(3, "c")])
    feed.snapshot([(1, "a"), (2, "b2"), (3, "c")])
    assert feed.versions() == [
        (1, 1, "a", hour(2), hour(4), False),
        (1, 2, "a", hour(5), None, True),
        (2, 1, "b", hour(2), hour(5), False),
        (2, 2, "b2", hour(5), None, True),
        (3, 1, "c", hour(4), None, True),
    ]


def test_a_clock_that_runs_backwards_makes_no_version_end_before_it_began(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.HISTORY))
    feed.increment((1, "a"))
    feed.at -= timedelta(days=1)
    feed.increment((1, "b"))
    assert [row[3:] for row in feed.versions()] == [(hour(1), hour(1), False), (hour(1), None, True)]


def test_a_refused_row_never_happened_in_the_history(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.HISTORY))
    feed.changes((1, "a"))
    refuse_long_values(url)
    answer = feed.changes((1, TOO_LONG), (1, TOO_LONG), (2, "b"), (1, "c"), (3, TOO_LONG), (None, "n"))
    assert (answer.rows, answer.rejected) == (2, 4)
    assert feed.versions() == [
        (1, 1, "a", hour(1), hour(2), False),
        (1, 2, "c", hour(2), None, True),
        (2, 1, "b", hour(2), None, True),
    ]


def test_a_snapshot_that_the_table_refuses_as_a_whole_changes_nothing(url: str) -> None:
    for mode in (ApplyMode.REPLACE, ApplyMode.MIRROR, ApplyMode.HISTORY):
        table = f"t_{mode.value}"
        feed = Feed(url, TargetPlan(table=table, mode=mode, key_columns=("id",)), task=mode.value)
        feed.snapshot([(1, "a")])
        refuse_long_values(url, table)
        with pytest.raises(Conflict, match="target_refuses"):
            feed.snapshot([(1, "b"), (2, TOO_LONG)])
        assert feed.rows(table) == [(1, "a")]


def test_columns_go_by_the_target_s_names_and_get_constants_and_moments(url: str) -> None:
    named = TargetPlan(
        table="t",
        mode=ApplyMode.MIRROR,
        key_columns=("编号",),
        renamed=(("id", "编号"), ("v", "value")),
        added=(
            AddedColumn(name="region", value="110000"),
            AddedColumn(name="level", type="int64", value="3"),
            AddedColumn(name="loaded_at", now=True),
        ),
    )
    feed = Feed(url, named)
    feed.snapshot([(1, "a"), (2, "b")])
    feed.changes((2, GONE), (3, "c"))
    columns = ("编号", "value", "region", "level", "loaded_at")
    assert feed.rows(columns=columns) == [(1, "a", "110000", 3, hour(1)), (3, "c", "110000", 3, hour(2))]
    moved = tuple(column.model_copy(update={"name": name}) for column, name in zip(COLUMNS, columns, strict=False))
    expected = content_digest([record_batch([{"id": 1, "v": "a"}, {"id": 3, "v": "c"}], COLUMNS)], COLUMNS)
    assert feed.target.digest("t", moved) == expected


def refuse_long_values(url: str, table: str = "t") -> None:
    if url.startswith("sqlite"):
        run(
            url,
            f"CREATE TRIGGER {table}_short BEFORE INSERT ON {table} WHEN length(new.v) > 5 "
            "BEGIN SELECT raise(ABORT, 'too long'); END",
        )
    else:
        run(url, f"ALTER TABLE {table} ADD CONSTRAINT {table}_short CHECK (char_length(v) <= 5)")


class Oracle:
    """What a mirror and a history ought to hold, in plain Python."""

    def __init__(self) -> None:
        self.mirror: dict[int, str | None] = {}
        self.history: dict[int, list[list[object]]] = {}

    def changes(self, batch: list[tuple[int, str | None]], at: datetime) -> None:
        for key, value in batch:
            if value != TOO_LONG:
                self._version(key, value, at)
        # A mirror takes the last change of a key; when that one is refused, the key stays as it was.
        for key, value in dict(batch).items():
            if value == GONE:
                self.mirror.pop(key, None)
            elif value != TOO_LONG:
                self.mirror[key] = value

    def snapshot(self, rows: dict[int, str | None], at: datetime) -> None:
        for key in set(self.history) - set(rows):
            self._version(key, GONE, at)
        for key, value in rows.items():
            self._version(key, value, at)
        self.mirror = dict(rows)

    def _version(self, key: int, value: str | None, at: datetime) -> None:
        versions = self.history.setdefault(key, [])
        open_version = versions[-1] if versions and versions[-1][2] is None else None
        if open_version is not None and open_version[0] != value:
            open_version[2] = at
        if value != GONE and (open_version is None or open_version[0] != value):
            versions.append([value, at, None])

    def versions(self) -> list[tuple[object, ...]]:
        return [(key, *version) for key in sorted(self.history) for version in self.history[key]]


KEYS = st.integers(0, 4)
VALUES = st.sampled_from(["a", "b", "甲", "", None])
BATCHES = st.lists(st.tuples(KEYS, st.one_of(VALUES, st.sampled_from([GONE, TOO_LONG]))), max_size=8)
SNAPSHOTS = st.dictionaries(KEYS, VALUES, max_size=5)


def machine_of(url: str) -> type[RuleBasedStateMachine]:
    """Return a state machine over the database at `url`: every example begins with new tables."""

    class Applying(RuleBasedStateMachine):
        examples = 0

        @initialize()
        def begin(self) -> None:
            Applying.examples += 1
            number = Applying.examples
            self.oracle = Oracle()
            self.feeds = [
                Feed(url, TargetPlan(table=f"{mode.value}{number}", mode=mode, key_columns=("id",)), f"{mode}{number}")
                for mode in (ApplyMode.MIRROR, ApplyMode.HISTORY)
            ]
            for feed in self.feeds:
                feed.target.prepare(feed.plan, COLUMNS)
                refuse_long_values(url, feed.plan.table)

        @rule(batch=BATCHES)
        def changes(self, batch: list[tuple[int, str | None]]) -> None:
            for feed in self.feeds:
                feed.changes(*batch)
            self.oracle.changes(batch, self.feeds[1].at)

        @rule(rows=SNAPSHOTS, cut=st.integers(0, 5))
        def snapshot(self, rows: dict[int, str | None], cut: int) -> None:
            items = list(rows.items())
            for feed in self.feeds:
                feed.snapshot([*items[:cut]], [*items[cut:]])
            self.oracle.snapshot(rows, self.feeds[1].at)

        @rule()
        def again(self) -> None:
            for feed in self.feeds:
                if feed.last is not None:
                    assert feed.again().repeated

        @invariant()
        def tables_say_what_the_oracle_says(self) -> None:
            mirror, history = self.feeds
            assert mirror.rows(mirror.plan.table) == sorted(self.oracle.mirror.items(), key=repr)
            found = history.rows(history.plan.table, ("id", VERSION, "v", VALID_FROM, VALID_TO))
            ordered = sorted(found, key=lambda row: (int(str(row[0])), int(str(row[1]))))
            assert [(key, v, begun, ended) for key, _, v, begun, ended in ordered] == self.oracle.versions()

        @invariant()
        def the_digest_that_batches_kept_is_that_of_the_table(self) -> None:
            for feed in self.feeds:
                if feed.sequence:
                    feed.look()

    return Applying


def test_any_sequence_of_batches_ends_as_plain_python_says(url: str) -> None:
    examples = {"sqlite": 12, "postgresql+psycopg": 1}.get(url.split(":")[0], 3)
    run_state_machine_as_test(
        machine_of(url),
        settings=settings(
            max_examples=examples,
            stateful_step_count=8,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("mode", [ApplyMode.UPSERT, ApplyMode.APPEND, ApplyMode.MIRROR, ApplyMode.HISTORY])
def test_batches_and_corrections_keep_the_table_s_digest(url: str, mode: ApplyMode) -> None:
    feed = Feed(url, plan(mode) if mode.needs_keys else TargetPlan(table="t", mode=mode))
    feed.increment((1, "a"), (2, "b"))
    assert not feed.look()
    feed.increment((3, "c"), (4, None))
    assert feed.look()
    refuse_long_values(url)
    feed.changes((2, "b2"), (5, TOO_LONG), (1, GONE), (6, "f"), (7, ""))
    assert feed.look()
    feed.changes((6, "f"), (7, "g"))
    assert feed.look()
    letters = [one for one in feed.target.letters(TASK) if one.content["v"] == TOO_LONG]
    correction = Correction(batch_id=letters[0].batch_id, row=letters[0].row, changes={"v": "e"})
    feed.target.resolve(Resolution(outcome=LetterOutcome.CORRECTED, letters=(correction,), by="王五", at=feed.at))
    assert feed.look()
    if mode is not ApplyMode.APPEND:
        run(url, "UPDATE t SET v = 'other' WHERE id = 3")
        with pytest.raises(AssertionError):
            feed.look()
    feed.at += timedelta(days=2)
    feed.increment((8, "h"))
    # After a day nobody follows it: the next receipt reads the table, and sees what others did.
    assert not feed.look()


WIDER = (Column(name="id", type="int64"), Column(name="v", type="decimal(9,2)"), Column(name="w", type="string"))


def send(feed: Feed, columns: tuple[Column, ...], *rows: dict[str, object]) -> Applied:
    return feed.send(record_batch(rows, columns), columns, TransferMode.INCREMENT)


@pytest.mark.parametrize("mode", [ApplyMode.UPSERT, ApplyMode.HISTORY])
def test_a_wider_type_and_a_new_column_reach_the_table_with_the_first_batch_of_the_new_schema(
    url: str, mode: ApplyMode
) -> None:
    feed = Feed(url, plan(mode))
    narrow = (COLUMNS[0], Column(name="v", type="decimal(5,1)"))
    send(feed, narrow, {"id": 1, "v": Decimal("1234.5")})
    send(feed, WIDER, {"id": 2, "v": Decimal("1234567.89"), "w": "新"})
    table = "t" if mode is ApplyMode.UPSERT else "t_current"
    found = feed.target.digest(table, WIDER)
    rows: list[dict[str, object]] = [
        {"id": 1, "v": Decimal("1234.50")},
        {"id": 2, "v": Decimal("1234567.89"), "w": "新"},
    ]
    assert found == content_digest([record_batch(rows, WIDER)], WIDER)


def test_an_integer_that_becomes_a_decimal_keeps_its_digits(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.UPSERT))
    send(feed, (COLUMNS[0], Column(name="v", type="int64")), {"id": 1, "v": 2**62})
    wide = (COLUMNS[0], Column(name="v", type="decimal(25,3)"))
    send(feed, wide, {"id": 2, "v": Decimal("0.125")})
    rows: list[dict[str, object]] = [{"id": 1, "v": Decimal(2**62)}, {"id": 2, "v": Decimal("0.125")}]
    assert feed.target.digest("t", wide) == content_digest([record_batch(rows, wide)], wide)


@pytest.mark.parametrize(
    ("definition", "column"),
    [
        ("id bigint PRIMARY KEY, v numeric(20,0), w varchar(9)", "v"),
        ("id bigint PRIMARY KEY, w varchar(9)", "v"),
        ("id bigint PRIMARY KEY, v numeric(9,2), w varchar(9), extra int NOT NULL", "extra"),
        ("id bigint, v numeric(9,2), w varchar(9)", "id"),
    ],
)
def test_a_table_of_the_department_s_own_is_checked_before_the_first_row(
    url: str, definition: str, column: str
) -> None:
    run(url, f"CREATE TABLE t ({definition})")
    feed = Feed(url, plan(ApplyMode.UPSERT))
    with pytest.raises(Conflict, match="target_misfit") as caught:
        send(feed, WIDER, {"id": 1, "v": Decimal("1.25"), "w": "a"})
    assert caught.value.context["columns"] == [column]
    assert column in caught.value.remedy.en
    assert feed.target.last_applied(TASK) is None
    assert run(url, "SELECT count(*) FROM t") == [(0,)]


def test_a_table_of_the_department_s_own_that_fits_is_filled(url: str) -> None:
    run(url, "CREATE TABLE t (v numeric(12,4), id bigint PRIMARY KEY, w varchar(9), extra int NOT NULL DEFAULT 7)")
    feed = Feed(url, plan(ApplyMode.UPSERT))
    send(feed, WIDER, {"id": 1, "v": Decimal("1.25"), "w": "a"})
    assert run(url, "SELECT id, w, extra FROM t") == [(1, "a", 7)]
