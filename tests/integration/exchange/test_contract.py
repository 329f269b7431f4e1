"""One contract suite of Connector and Target, over SQLite, PostgreSQL, MariaDB, files and a web interface.

Each engine is read and written by its own connector and by the one over SQLAlchemy, which is no target on SQLite.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from datong.adapters.connections import open_connector, open_target
from datong.exchange import (
    DELETED_COLUMN,
    GENESIS_DIGEST,
    ApplyMode,
    Column,
    Comparing,
    Connector,
    KnownDigest,
    RangeQuery,
    RangeReader,
    ReadQuery,
    Target,
    TargetPlan,
    TransferMode,
    content_digest,
)
from datong.exchange.payload import cursor_at_end
from datong.kernel import Conflict, Invalid, NotFound, TaskId
from tests.integration.exchange.samples import COLUMNS, ROWS, manifest_of, reader_of, record_batch
from tests.servers import DatabaseServer

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
TASK = TaskId("task-1")
KEYED = TargetPlan(table="t", mode=ApplyMode.UPSERT, key_columns=("id",))
MIRRORED = TargetPlan(table="t", mode=ApplyMode.MIRROR, key_columns=("id",))
NARROW = (
    Column(name="id", type="int64"),
    Column(name="name", type="string"),
    Column(name="changed", type="timestamp"),
)


class Bench:
    """A database of one engine, opened both ways."""

    carried: tuple[Column, ...] = COLUMNS
    """The columns of the samples that it can hold."""

    def __init__(self, url: str, source_url: str | None = None) -> None:
        self.url = url
        self.source_url = source_url or url

    @property
    def source(self) -> Connector:
        return open_connector(self.source_url)

    @property
    def target(self) -> Target:
        return open_target(self.url)

    def load(self, batch: pa.RecordBatch, columns: tuple[Column, ...], table: str = "t") -> None:
        self.target.prepare(TargetPlan(table=table), columns)
        manifest = manifest_of(batch, columns, task=f"load-{table}")
        self.target.apply(manifest, reader_of(batch), plan=TargetPlan(table=table), applied_at=NOW)


DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}


DATABASES = [engine + way for engine in DRIVERS for way in ("", " over SQLAlchemy")]


class FilesBench(Bench):
    """A folder: nobody's target, so its tables are written as Parquet files."""

    def load(self, batch: pa.RecordBatch, columns: tuple[Column, ...], table: str = "t") -> None:
        assert [column.name for column in columns] == batch.schema.names
        path = Path(self.url.removeprefix("files://")) / f"{table}.parquet"
        pyarrow.parquet.write_table(pa.Table.from_batches([batch]), path)


class ApiBench(Bench):
    """A web interface: nobody's target, so its records are written where a web server shows them."""

    # JSON has no blobs.
    carried = tuple(column for column in COLUMNS if column.type != "binary")

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(f"api://{folder / 'api.yaml'}")
        self.folder = folder
        self.port = port

    def load(self, batch: pa.RecordBatch, columns: tuple[Column, ...], table: str = "t") -> None:
        plain = (bool, int, str, type(None))
        rows = [
            {name: value if isinstance(value, plain) else text_of(value) for name, value in row.items()}
            for row in batch.to_pylist()
        ]
        (self.folder / f"{table}.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
        described = {
            "table": table,
            "path": f"{table}.json",
            "columns": [{"name": column.name, "type": column.type} for column in columns],
        }
        definition = {
            "name": "served",
            "url": f"http://127.0.0.1:{self.port}",
            "allow_private": True,
            "tables": [described],
        }
        (self.folder / "api.yaml").write_text(yaml.safe_dump(definition), encoding="utf-8")


def text_of(value: object) -> str:
    """Return a value as an interface would write it."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date | time) else str(value)


class QuietFiles(SimpleHTTPRequestHandler):
    """Shows the files of a folder."""

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def api_bench(folder: Path) -> Iterator[Bench]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield ApiBench(folder, server.server_address[1])
    server.shutdown()
    server.server_close()
    thread.join()


def opened_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Yield a bench of the engine and the way that the parameter names."""
    engine, _, way = request.param.partition(" ")
    if engine == "sqlite":
        url = f"sqlite:///{tmp_path / 'data.sqlite'}"
        # SQLite over SQLAlchemy is a source only.
        yield Bench(url, url.replace("sqlite", DRIVERS[engine], 1) if way else None)
        return
    server: DatabaseServer = request.getfixturevalue(f"{engine}_server")
    url = server.create_database()
    yield Bench(f"{DRIVERS[engine]}:{url.split(':', 1)[1]}" if way else url)
    server.drop_database(url)


@pytest.fixture(params=DATABASES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Whatever can be both."""
    yield from opened_bench(request, tmp_path)


@pytest.fixture(params=[*DATABASES, "files", "web interface"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Whatever can be a source."""
    if request.param == "files":
        yield FilesBench(f"files://{tmp_path}")
        return
    if request.param == "web interface":
        with api_bench(tmp_path) as bench:
            yield bench
        return
    yield from opened_bench(request, tmp_path)


def people(numbers: range, changed: str = "2026-01-01T00:00:00") -> pa.RecordBatch:
    moment = datetime.fromisoformat(changed)
    return record_batch([{"id": n, "name": f"人{n}", "changed": moment} for n in numbers], NARROW)


def increment(batch: pa.RecordBatch, sequence: int, previous: str) -> Callable[[Target], object]:
    manifest = manifest_of(
        batch, NARROW, sequence=sequence, run=sequence, mode=TransferMode.INCREMENT, previous=previous
    )
    return lambda target: target.apply(manifest, reader_of(batch), plan=KEYED, applied_at=NOW)


def test_every_type_survives_the_round_trip(bench: Bench) -> None:
    batch = record_batch(ROWS)
    bench.load(batch, COLUMNS)
    expected = content_digest([batch], COLUMNS)
    assert bench.target.rejected(TaskId("load-t")) == 0
    assert bench.target.digest("t", COLUMNS) == expected
    assert bench.source.digest("t", COLUMNS) == expected
    assert bench.source.count("t") == len(ROWS)
    query = RangeQuery(table="t", columns=COLUMNS, key_columns=("id",), salt="5a" * 16, prefixes=("",), digits=1)
    rows = RangeReader(query)
    for end in (bench.source, bench.target):
        assert isinstance(end, Comparing)
        assert end.ranges(query) == rows.ranges([batch])
        assert end.listed(query) == rows.rows([batch])
        assert content_digest(end.chosen(query), COLUMNS) == expected


def test_every_type_is_read_and_digested_as_it_lies(shelf: Bench) -> None:
    columns = shelf.carried
    batch = record_batch(ROWS).select([column.name for column in columns])
    shelf.load(batch, columns)
    assert shelf.source.digest("t", columns) == content_digest([batch], columns)
    assert shelf.source.count("t") == len(ROWS)
    (schema,) = shelf.source.inspect()
    alone = shelf.source.schema("t")
    assert alone is not None
    assert alone.model_copy(update={"bytes": schema.bytes}) == schema
    assert shelf.source.schema("nowhere") is None
    assert [column.name for column in schema.columns] == [column.name for column in columns]
    query = ReadQuery(table="t", columns=tuple(column.name for column in schema.columns), key_columns=("id",))
    read = shelf.source.read(query).read_all()
    assert read.column("id").to_pylist() == [row["id"] for row in ROWS]
    assert content_digest(read.to_batches(), schema.columns) == shelf.source.digest("t", schema.columns)


def test_reading_pages_by_key_until_nothing_is_left(shelf: Bench) -> None:
    shelf.load(people(range(25)), NARROW)
    after, seen = None, []
    for _ in range(9):
        query = ReadQuery(table="t", columns=("id", "name"), key_columns=("id",), after=after, batch_rows=4)
        first = next(iter(shelf.source.read(query)))
        assert first.num_rows in {4, 1}
        seen += first.column("id").to_pylist()
        after = cursor_at_end(first, query.order)
        if first.num_rows < 4:
            break
    assert seen == list(range(25))


def test_increment_reads_only_what_changed_since(shelf: Bench) -> None:
    old, new = people(range(5)), people(range(5, 8), "2026-02-01T00:00:00.000001")
    shelf.load(pa.Table.from_batches([old, new]).combine_chunks().to_batches()[0], NARROW)
    columns = ("changed", "id", "name")
    query = ReadQuery(table="t", columns=columns, key_columns=("id",), cursor_column="changed", batch_rows=5)
    batches = list(shelf.source.read(query))
    assert [batch.num_rows for batch in batches] == [5, 3]
    again = query.model_copy(update={"after": cursor_at_end(batches[0], query.order)})
    assert next(iter(shelf.source.read(again))).column("id").to_pylist() == [5, 6, 7]
    end = query.model_copy(update={"after": cursor_at_end(batches[1], query.order)})
    assert list(shelf.source.read(end)) == []


def test_null_in_the_cursor_is_refused(shelf: Bench) -> None:
    shelf.load(record_batch([{"id": 1, "name": "a"}], NARROW), NARROW)
    query = ReadQuery(table="t", columns=("id", "changed"), key_columns=("id",), cursor_column="changed")
    with pytest.raises(Invalid) as caught:
        list(shelf.source.read(query))
    assert caught.value.code == "adapters.null_in_order"


def test_unknown_table_and_column_are_named(shelf: Bench) -> None:
    shelf.load(people(range(1)), NARROW)
    with pytest.raises(NotFound, match="table_not_found"):
        shelf.source.read(ReadQuery(table="nowhere", columns=("id",)))
    with pytest.raises(NotFound, match="column_not_found"):
        shelf.source.read(ReadQuery(table="t", columns=("id", "nothing")))


def test_upsert_keeps_one_row_a_key_and_repeats_harmlessly(bench: Bench) -> None:
    target = bench.target
    target.prepare(KEYED, NARROW)
    first = increment(people(range(10)), 1, "0" * 64)
    first(target)
    second = increment(people(range(5, 15), "2026-03-01T00:00:00"), 2, "1" * 64)
    second(target)
    answer = second(bench.target)
    assert getattr(answer, "repeated", False)
    assert bench.source.count("t") == 15
    expected = [people(range(5)), people(range(5, 15), "2026-03-01T00:00:00")]
    assert bench.target.digest("t", NARROW) == content_digest(expected, NARROW)
    applied = bench.target.last_applied(TASK)
    assert applied is not None
    assert applied.sequence == 2


def test_the_digest_of_every_type_follows_a_batch(bench: Bench) -> None:
    target = bench.target
    target.prepare(KEYED, COLUMNS)
    for sequence, rows in enumerate((ROWS, ROWS[1:]), start=1):
        batch = record_batch(rows)
        manifest = manifest_of(batch, COLUMNS, sequence=sequence, run=sequence, mode=TransferMode.INCREMENT)
        target.apply(manifest, reader_of(batch), plan=KEYED, applied_at=NOW)
        if sequence == 1:
            read = KnownDigest(digest=target.digest("t", COLUMNS), changed=0, looked_at=NOW)
            target.remember_digest("t", COLUMNS, read)
    known = target.known_digest("t", COLUMNS)
    assert known is not None
    assert (known.digest, known.changed) == (target.digest("t", COLUMNS), len(ROWS) - 1)


def test_gap_and_fork_change_nothing(bench: Bench) -> None:
    target = bench.target
    target.prepare(KEYED, NARROW)
    increment(people(range(3)), 1, "0" * 64)(target)
    with pytest.raises(Conflict, match="batch_gap"):
        increment(people(range(3, 6)), 3, "1" * 64)(target)
    with pytest.raises(Conflict, match="batch_fork"):
        increment(people(range(3, 6)), 1, "2" * 64)(target)
    assert bench.source.count("t") == 3


def test_snapshot_shows_the_old_copy_until_the_new_one_is_whole(bench: Bench) -> None:
    bench.load(people(range(8)), NARROW)
    target = bench.target
    parts = [people(range(100, 103)), people(range(103, 105))]
    for part, batch in enumerate(parts, start=1):
        manifest = manifest_of(
            batch, NARROW, task="load-t", sequence=part + 1, run=2, part=part, last=part == 2, previous="1" * 64
        )
        assert bench.source.count("t") == 8
        target.apply(manifest, reader_of(batch), plan=TargetPlan(table="t"), applied_at=NOW)
    assert bench.target.digest("t", NARROW) == content_digest(parts, NARROW)


def test_rows_the_target_cannot_hold_become_dead_letters(bench: Bench) -> None:
    wide = (Column(name="id", type="int64"), Column(name="name", type="string"))
    bench.target.prepare(KEYED, wide)
    rows: list[dict[str, object]] = [{"id": n, "name": f"人{n}"} for n in range(200)]
    rows[17]["id"] = None
    rows[123]["id"] = None
    batch = record_batch(rows, wide)
    manifest = manifest_of(batch, wide, mode=TransferMode.INCREMENT)
    answer = bench.target.apply(manifest, reader_of(batch), plan=KEYED, applied_at=NOW)
    assert (answer.rows, answer.rejected) == (198, 2)
    assert bench.source.count("t") == 198
    assert bench.target.rejected(TASK) == 2


def test_the_platform_s_own_tables_are_not_offered(bench: Bench) -> None:
    bench.load(people(range(1)), NARROW)
    assert [schema.table for schema in bench.source.inspect()] == ["t"]
    assert bench.source.schema("_datong_applied") is None


def test_a_cursor_that_is_set_back_lets_the_batches_after_it_come_again(bench: Bench) -> None:
    first, second = people(range(3)), people(range(2, 5), "2026-01-02T00:00:00")
    held = manifest_of(first, NARROW, mode=TransferMode.INCREMENT)
    target = bench.target
    target.prepare(KEYED, NARROW)
    for _ in range(2):
        increment(first, 1, GENESIS_DIGEST)(target)
        increment(second, 2, held.digest)(target)
        assert target.digest("t", NARROW).rows == 5
        known = KnownDigest(digest=target.digest("t", NARROW), changed=0, looked_at=NOW)
        target.remember_digest("t", NARROW, known)
        target.rewind(held, TASK, "t")
        assert target.known_digest("t", NARROW) is None
        found = target.last_applied(TASK)
        assert found is not None
        assert (found.sequence, found.manifest_digest) == (1, held.digest)
        increment(second, 2, held.digest)(target)
        target.rewind(None, TASK, "t")
        assert target.last_applied(TASK) is None
    assert target.digest("t", NARROW).rows == 5


def test_empty_batch_moves_the_cursor(bench: Bench) -> None:
    target = bench.target
    target.prepare(KEYED, NARROW)
    increment(people(range(0)), 1, "0" * 64)(target)
    applied = bench.target.last_applied(TASK)
    assert applied is not None
    assert applied.sequence == 1


def changed(rows: list[tuple[bool, int, str | None]], sequence: int) -> Callable[[Target], object]:
    columns = (DELETED_COLUMN, *NARROW)
    facts: list[dict[str, object]] = [
        {DELETED_COLUMN.name: gone, "id": number, "name": name} for gone, number, name in rows
    ]
    batch = record_batch(facts, columns)
    manifest = manifest_of(batch, columns, sequence=sequence, run=sequence, mode=TransferMode.DIFF, previous="1" * 64)
    return lambda target: target.apply(manifest, reader_of(batch), plan=MIRRORED, applied_at=NOW)


def named(rows: list[tuple[int, str]]) -> pa.RecordBatch:
    return record_batch([{"id": number, "name": name} for number, name in rows], NARROW)


def test_changes_delete_and_upsert_and_the_last_one_of_a_key_wins(bench: Bench) -> None:
    target = bench.target
    target.prepare(MIRRORED, NARROW)
    first = manifest_of(named([(1, "a"), (2, "b"), (3, "c")]), NARROW, mode=TransferMode.SNAPSHOT)
    reader = reader_of(named([(1, "a"), (2, "b"), (3, "c")]))
    target.apply(first, reader, plan=MIRRORED, applied_at=NOW)
    second = changed(
        [(True, 1, None), (False, 2, "x"), (False, 2, "y"), (False, 4, "d"), (True, 4, None), (True, 3, None)]
        + [(False, 3, "back"), (True, 99, None)],
        2,
    )
    second(target)
    assert getattr(second(bench.target), "repeated", False)
    assert bench.target.digest("t", NARROW) == content_digest([named([(2, "y"), (3, "back")])], NARROW)


def test_a_change_that_the_target_refuses_becomes_a_dead_letter_with_its_place(bench: Bench) -> None:
    target = bench.target
    target.prepare(MIRRORED, NARROW)
    columns = (DELETED_COLUMN, *NARROW)
    rows: list[dict[str, object]] = [
        {DELETED_COLUMN.name: False, "id": 1, "name": "a"},
        {DELETED_COLUMN.name: True, "id": None},
        {DELETED_COLUMN.name: True, "id": 7},
    ]
    batch = record_batch(rows, columns)
    manifest = manifest_of(batch, columns, mode=TransferMode.DIFF)
    applied = target.apply(manifest, reader_of(batch), plan=MIRRORED, applied_at=NOW)
    assert (applied.rows, applied.rejected) == (2, 1)
    assert bench.target.rejected(TASK) == 1
    assert bench.source.count("t") == 1
