"""Point lookups of golden records with their lineage, in a published file of any size, in the process that serves them.

The cells are made up by DuckDB; the product's own writer puts them into a lookup file, and the control database is told
of a published version. Then records are looked up as the gateway does it, by random ids and by identifier, and whole
entities are viewed: with the file's pages in memory (warm) and with none of them there before each call (cold).
"""

import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import duckdb
from sqlalchemy import insert

from benchmarks import report
from datong.app.hub import Hub
from datong.kernel import BuildId, EntityId, NotFound, Settings
from datong.library import Library
from datong.library.lookup_files import write_golden_lookup
from datong.library.tables import CURRENT, DATASETS

LIBRARY = "population"
KEYS = ("citizen_id", "person_name", "household_id", "phone")
ELEMENTS = {
    "person_name": "'张' || chr(19968 + (hash(i) % 2000)::INTEGER) || chr(19968 + (hash(i, 1) % 2000)::INTEGER)",
    "citizen_id": "'4406' || lpad((i * 7919 % 10000000000)::VARCHAR, 13, '0') || 'X'",
    "sex": "(1 + i % 2)::VARCHAR",
    "birth_date": "(DATE '1940-01-01' + (hash(i, 2) % 29000)::INTEGER)::VARCHAR",
    "phone": "'138' || lpad((hash(i, 3) % 100000000)::VARCHAR, 8, '0')",
    "address": "'示例市禅城区汾江路' || hash(i, 4) % 400 || '号' || hash(i, 5) % 12 || '栋' || hash(i, 6) % 90 || '室'",
    "household_id": "(440604000000 + i // 3)::VARCHAR",
    "relation_to_head": "CASE WHEN i % 3 = 0 THEN '02' ELSE '20' END",
    "insurance_status": "'参保缴费'",
}
"""The cells of the made-up entity number `i`."""
SOURCES = 3
COLD_LOOKUPS = 200
MEMORY = "2GB"


class Times(NamedTuple):
    """How long lookups of one kind took, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Times":
        """Return the percentiles of lookups that took so many `seconds`."""
        return cls(*(report.rounded(report.percentile(seconds, share) * 1000) for share in (0.5, 0.95, 0.99)))


def entity_sql(number: str, entities: int) -> str:
    """Return the SQL of an entity's id, which rises with its `number`: so nothing has to be sorted."""
    return f"format('{{:016x}}{{:016x}}', ({number}) * {2**62 // entities}, hash({number}, 7) // 2)"


def write_cells(connection: duckdb.DuckDBPyConnection, folder: Path, entities: int) -> tuple[Path, Path, Path]:
    """Write cells, links and successions of `entities` as the fuse and link steps leave them; return their files."""
    cells, links, successions = (folder / f"{name}.parquet" for name in ("cells", "links", "successions"))
    key = f"'r' || i || '-' || hash(i, 8) % {SOURCES}"
    structs = ", ".join(f"{{'element': '{name}', 'value': {value}}}" for name, value in sorted(ELEMENTS.items()))
    numbered = f"(SELECT i, {entity_sql('i', entities)} AS entity_id FROM range({entities}) t(i))"
    connection.execute(f"""
        COPY (
            SELECT entity_id, said.element AS element, 1::BIGINT AS position, said.value AS value, NULL::VARCHAR AS raw,
                NULL::VARCHAR AS flag, (hash(i, 8) % {SOURCES})::INTEGER AS source, {key} AS row_key,
                'batch-' || i % 50 AS batch_id, '2026-11-27T08:00:00' AS observed_at, 'agreed' AS rule
            FROM (SELECT i, entity_id, unnest([{structs}]) AS said FROM {numbered})
        ) TO '{cells}' (FORMAT parquet)""")
    connection.execute(f"""
        COPY (
            SELECT entity_id, source::INTEGER AS source, 'r' || i || '-' || source AS row_key, 'identifier' AS rule,
                NULL::DOUBLE AS weight, NULL::VARCHAR AS joined_to
            FROM (SELECT i, entity_id, unnest(range({SOURCES})) AS source FROM {numbered})
        ) TO '{links}' (FORMAT parquet)""")
    connection.execute(f"""
        COPY (SELECT ''::VARCHAR AS former, ''::VARCHAR AS present, ''::VARCHAR AS change WHERE false)
        TO '{successions}' (FORMAT parquet)""")
    return cells, links, successions


def write_lookup(folder: Path, entities: int) -> Path:
    """Write the lookup file of so many `entities` with the product's writer; return it."""
    folder.mkdir(parents=True)
    sources = [
        {"resource_id": f"source-{number}", "department": f"1144060000000000{number:02d}", "file": ""}
        | {"title": {"zh": f"来源{number}", "en": f"Source {number}"}}
        for number in range(SOURCES)
    ]
    path = folder / "golden.sqlite"
    working = folder / "working"
    working.mkdir()
    with duckdb.connect(config={"memory_limit": MEMORY, "threads": 2, "temp_directory": str(working)}) as connection:
        given = write_cells(connection, working, entities)
        report.say(f"cells of {entities} entities are there")
        write_golden_lookup(connection, KEYS, {"library": LIBRARY, "build": "1", "sources": sources}, *given, path)
    shutil.rmtree(working)
    return path


def publish(hub: Hub, path: Path, entities: int) -> None:
    """Tell the control database of a published version with the lookup file at `path`."""
    details = {
        "resource_id": None,
        "department": None,
        "title": {"zh": "人口", "en": "People"},
        "open": False,
        "rows": entities,
        "digest": "0" * 64,
        "columns": [{"name": name, "element": name, "title": {"zh": name, "en": name}} for name in ELEMENTS],
        "key_elements": ["entity_id", *KEYS],
        "delta_path": "none",
        "delta_version": 0,
        "lineage_path": None,
        "lookup_path": str(path.relative_to(hub.settings.lake / "library")),
    }
    known = {"version": 1, "library": LIBRARY, "build_id": BuildId("1")}
    with hub.database.transaction() as connection:
        connection.execute(
            insert(DATASETS).values(name=LIBRARY, published_at=hub.clock.now(), details=details, **known)
        )
        connection.execute(insert(CURRENT).values(**known))


def forget_pages(path: Path) -> None:
    """Let the system forget what it holds of the file in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def timed_calls(calls: Sequence[Callable[[], object]], before: Callable[[], None] | None = None) -> Times:
    """Return how long each of the calls took, `before` not counted."""
    taken = []
    for call in calls:
        if before is not None:
            before()
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return Times.of(taken)


def drawn(entities: int, count: int, seed: int) -> list[tuple[EntityId, str]]:
    """Return id and identifier of `count` random entities."""
    numbers = ", ".join(f"({number})" for number in random.Random(seed).sample(range(entities), min(count, entities)))
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT {entity_sql('i', entities)}, {ELEMENTS['citizen_id']} "
            f"FROM (SELECT n::BIGINT AS i FROM (VALUES {numbers}) t(n))"
        ).fetchall()
    return [(EntityId(entity_id), identifier) for entity_id, identifier in rows]


def measure(library: Library, path: Path, entities: int, lookups: int) -> dict[str, Times]:
    """Return how long lookups take, by kind."""

    def found(element: str, value: str) -> None:
        (row,) = library.lookup(LIBRARY, element, value)
        if len(row.cells) != len(ELEMENTS):
            raise AssertionError("a cell is missing")

    def missed() -> None:
        try:
            library.entity(LIBRARY, EntityId("f" * 32))
        except NotFound:
            return
        raise AssertionError("there is no such entity")

    few, many = drawn(entities, COLD_LOOKUPS, 1), drawn(entities, lookups, 2)
    taken = {}
    kinds: dict[str, Callable[[EntityId, str], object]] = {
        "by_id": lambda entity_id, _: found("entity_id", entity_id),
        "by_identifier": lambda _, identifier: found("citizen_id", identifier),
        "entity": lambda entity_id, _: library.entity(LIBRARY, entity_id),
    }
    for name, call in kinds.items():
        cold, warm = ([partial(call, *one) for one in some] for some in (few, many))
        taken[f"{name}_cold"] = timed_calls(cold, lambda: forget_pages(path))
        timed_calls(warm)
        taken[name] = timed_calls(warm)
        report.say(f"{name}: cold p95 {taken[f'{name}_cold'].p95} ms, warm p95 {taken[name].p95} ms")
    taken["unknown_id"] = timed_calls([missed] * min(lookups, 1000))
    return taken


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--entities", type=int, default=1_000_000, help="entities in the published library")
    parser.add_argument("--lookups", type=int, default=5000, help="random lookups of each kind")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.entities, chosen.lookups = 2000, 100
    with report.folder() as folder:
        hub = Hub(Settings(home=folder))
        try:
            lake = hub.settings.lake / "library" / LIBRARY / "builds" / "1" / "publish"
            seconds, path = report.timed(lambda: write_lookup(lake, chosen.entities))
            report.say(f"written in {seconds:.0f} s, {path.stat().st_size / 1e9:.2f} GB")
            publish(hub, path, chosen.entities)
            taken = measure(hub.services.library, path, chosen.entities, chosen.lookups)
            size = path.stat().st_size
        finally:
            hub.close()
    report.finish(
        "lookup",
        runs=1,
        sizes={"entities": chosen.entities, "lookups": chosen.lookups, "file_mb": size // 1_000_000},
        figures={
            "p95_ms": taken["by_id"].p95,
            "p95_cold_ms": taken["by_id_cold"].p95,
            "write_seconds": report.rounded(seconds),
            "peak_rss_mb": report.peak_rss_mb(),
            **{f"{name}_ms": times._asdict() for name, times in taken.items()},
        },
    )


if __name__ == "__main__":
    main()
