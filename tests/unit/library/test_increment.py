"""A build that starts from the one before equals one that makes everything anew, whatever changed in between."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.exchange import DELETED_COLUMN
from datong.kernel import BatchId, BuildId, ResourceId, Text
from datong.library import LandedBatch, LandedSource, LandingMode, LinkDecision, shipped_definitions
from datong.library.delta_writing import version_of_build
from datong.library.engine import Engine
from datong.library.layers import table_sql
from datong.library.lookup import open_file
from datong.library.lookup_layers import layers_of
from datong.library.pipeline import Pipeline, Previous, read_tables
from datong.library.values import BuildStep
from datong.norms import load_pack
from tests.library_sources import department, write_batch

ENGINE = Engine(threads=2, memory="1500MB")
PACK = load_pack(None)
KEYS = tuple(str(number) for number in range(8))
Record = tuple[str | None, ...]
Changes = Mapping[str, Record | None]


class World(NamedTuple):
    """A library's name, the elements of its two sources' columns, and the values that these may have."""

    library: str
    sources: Mapping[str, Mapping[str, str | None]]
    values: Mapping[str, Sequence[str | None]]


PEOPLE = World(
    "population",
    {
        "residents": {
            "no": "record_id", "name": "person_name", "id": "citizen_id", "birth": "birth_date",
            "home": "household_id", "kin": "relation_to_head", "address": "address", "phone": "phone", "job": None,
        },
        "insured": {
            "no": "record_id", "name": "person_name", "id": "citizen_id", "birth": "birth_date",
            "kin": "insurance_status", "address": "address", "phone": "phone", "job": "employer_name",
        },
    },
    {
        "name": ("张伟明", "张伟鸣", "李静", "王芳", None),
        "id": ("110101199003070011", "370102198502150024", "11010119900307002X", "110101199003070099", None),
        "birth": ("1990-03-07", "1985-02-15", "19900308", None),
        "address": ("广东省示例市禅城区汾江路12号3栋2单元101室", "广东省示例市南海区南海大道5号1栋1单元202室", None),
        "phone": ("13800138000", "13900139000", None),
        "job": ("示例市第一小学", "示例市水务"),
    },
)  # fmt: skip
FIRMS = World(
    "legal_entity",
    {
        "register": {
            "no": "record_id", "name": "organisation_name", "boss": "legal_representative",
            "seat": "registered_address", "code": "uscc", "number": "registration_number",
        },
        "others": {
            "no": "record_id", "name": "organisation_name", "boss": "legal_representative",
            "seat": "registered_address", "code": "uscc",
        },
    },
    {
        "name": ("示例市光明商行", "示例市光明（商行）", "示例市清泉水务有限公司", None),
        "boss": ("张伟明", "李静", None),
        "seat": ("示例市禅城区汾江路12号", "南海大道5号", None),
        "code": ("91440604MA0000015B", "92440604MA00000QXA", "91440604MA0000015C", None),
        "number": ("440600000000012", None),
    },
)  # fmt: skip


class Round(NamedTuple):
    """What happens between two versions: changes per source, whether it is sent whole, and what people decided."""

    changes: tuple[Changes, Changes]
    snapshots: tuple[bool, bool]
    decisions: tuple[tuple[str, str, bool], ...]


class Register:
    """One source whose records change; `source` is what has landed of it so far."""

    def __init__(self, folder: Path, world: World, number: int) -> None:
        self.name, self.columns = list(world.sources.items())[number]
        self.held = [column for column in self.columns if column in world.values]
        self.places = list(world.values)
        self.folder = folder
        self.records: dict[str, Record] = {}
        self.source = LandedSource(
            resource_id=ResourceId(self.name),
            department=department(number),
            title=Text(zh=self.name, en=self.name),
            columns=self.columns,
            key_columns=("no",),
        )

    def _row(self, key: str, record: Record | None) -> list[object]:
        values = dict(zip(self.places, record or (), strict=record is not None))
        rest = None if record is None else "02"
        return [key if column == "no" else values.get(column, rest) for column in self.columns]

    def land(self, changes: Changes, *, snapshot: bool) -> None:
        """Land one more batch: the changes, or all records that there are after them."""
        for key, record in changes.items():
            if record is None:
                self.records.pop(key, None)
            else:
                self.records[key] = record
        sent = self.records if snapshot else changes
        if not sent:
            return
        sequence = len(self.source.batches) + 1
        rows = [(record is None, *self._row(key, record)) for key, record in sent.items()]
        path = write_batch(self.folder / f"{self.name}-{sequence}.arrow", (DELETED_COLUMN.name, *self.columns), rows)
        batch = LandedBatch(
            batch_id=BatchId(f"{self.name}-{sequence}"),
            sequence=sequence,
            path=path,
            mode=LandingMode.SNAPSHOT if snapshot else LandingMode.INCREMENT,
            snapshot=sequence if snapshot else 0,
        )
        self.source = self.source.model_copy(update={"batches": (*self.source.batches, batch)})


def rounds(world: World) -> st.SearchStrategy[Round]:
    record = st.tuples(*(st.sampled_from(known) for known in world.values.values()))
    changes = st.dictionaries(st.sampled_from(KEYS), st.none() | record, max_size=3)
    names = st.sampled_from([f"{name}\x1f{key}" for name in world.sources for key in KEYS])
    return st.builds(
        Round,
        st.tuples(changes, changes),
        st.tuples(*(st.integers(0, 9).map(lambda drawn: drawn == 0) for _ in range(2))),
        st.lists(st.tuples(names, names, st.booleans()), max_size=2).map(tuple),
    )


def beginnings(world: World) -> st.SearchStrategy[tuple[Changes, Changes]]:
    record = st.tuples(*(st.sampled_from(known) for known in world.values.values()))
    register = st.dictionaries(st.sampled_from(KEYS), record, min_size=3)
    return st.tuples(register, register)


def run(
    folder: Path,
    world: World,
    registers: Sequence[Register],
    previous: Previous,
    decided: Sequence[tuple[str, str, bool]],
    *,
    whole: bool,
) -> Pipeline:
    pipeline = Pipeline(
        build_id=BuildId(folder.name),
        definition=next(known for known in shipped_definitions() if known.name == world.library),
        sources=tuple(register.source for register in registers),
        pack=PACK,
        engine=ENGINE,
        folder=folder,
        delta=folder.parent / "delta",
        previous=previous,
        decisions=tuple(LinkDecision(left_key=left, right_key=right, same=same) for left, right, same in decided),
        whole=whole,
        changed_share_max=100.0,  # more records may be gone than are left
    )
    list(pipeline.steps())
    return pipeline


TABLES = {
    BuildStep.LINK: ("links", "review", "successions", "decisions"),
    BuildStep.FUSE: ("cells", "digests"),
}
COUNTED = {"base", "whole", "changed"}
"""What a report says of the way in which it came about."""


def outcome(build: Path) -> dict[str, object]:
    """Return everything that a build's steps say, whatever the order of rows and the files that hold them."""
    found: dict[str, object] = {}
    with duckdb.connect() as connection:
        paths = sorted((build / "conform").glob("source_???.parquet"))
        paths += sorted((build / "conform").glob("source_???.gone.parquet"))
        paths += [build / step / f"{name}.parquet" for step, names in TABLES.items() for name in names]
        for path in paths:
            rows = connection.execute(f"FROM {table_sql(path)}").fetchall()
            if rows or ".gone." not in path.name:
                found[f"{path.parent.name}/{path.name}"] = sorted(map(repr, rows))
    for name in (
        "conform/quality.json",
        "link/link.json",
        "link/sources.json",
        "link/weights.json",
        "fuse/report.json",
    ):
        if (build / name).exists():
            said = json.loads((build / name).read_text())
            found[name] = {key: said[key] for key in said.keys() - COUNTED} if isinstance(said, dict) else said
    return found | published(build) | {"digest": (build / "fuse" / "digest.txt").read_text()}


LOOKUPS = {
    "row": "SELECT entity_id, row_key, payload FROM row",
    "key": "SELECT element, value, entity_id, row_key FROM key JOIN row ON row.id = key.row",
    "keys": "SELECT count(*) FROM key",
    "member": "SELECT * FROM member",
    "succession": "SELECT * FROM succession",
    "figure": "SELECT * FROM figure",
    "meta": "SELECT * FROM meta WHERE key <> 'build'",
}


def published(build: Path) -> dict[str, object]:
    """Return what a build publishes: its tables, their rows in Delta Lake, and what its lookup files hold."""
    found: dict[str, object] = {}
    for table in read_tables(build):
        told = table.model_dump(mode="json", exclude={"delta_version"})
        name = table.name.replace("resource:", "resource_")
        deltas = [(name, table.delta_version)]
        if table.resource_number is None:
            version = version_of_build(build.parent / "delta" / f"{name}_lineage", build.name)
            assert version is not None
            deltas.append((f"{name}_lineage", version))
        for delta, version in deltas:
            rows = DeltaTable(str(build.parent / "delta" / delta), version=version).to_pyarrow_table()
            told[delta] = (rows.schema.to_string(), sorted(map(repr, rows.to_pylist())))
        with open_file(build / "publish" / table.lookup_file) as file:
            known = {row[0] for row in file.execute("SELECT name FROM sqlite_master")}
            for part, query in LOOKUPS.items():
                if part != "figure" or part in known:
                    told[part] = sorted(map(repr, file.execute(query)))
            for layer in layers_of(file):
                assert file.execute(f"PRAGMA {layer}.integrity_check").fetchall() == [("ok",)]
        found[table.name] = told
    return found


def play(world: World, begun: tuple[Changes, Changes], happening: Sequence[Round]) -> None:
    """Build once, then after every round both ways, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registers = [Register(folder, world, number) for number in range(2)]
        for register, records in zip(registers, begun, strict=True):
            register.land(records, snapshot=True)
        previous = Previous(version=1, folder=folder / "build-0")
        run(folder / "build-0", world, registers, Previous(), (), whole=False)
        for number, happened in enumerate(happening, start=1):
            for register, changes, snapshot in zip(registers, happened.changes, happened.snapshots, strict=True):
                register.land(changes, snapshot=snapshot)
            decided = [one for one in happened.decisions if one[0] != one[1]]
            anew = run(folder / f"whole-{number}", world, registers, previous, decided, whole=True)
            assert anew.basis().reason == "asked"
            grown = run(folder / f"build-{number}", world, registers, previous, decided, whole=False)
            assert grown.basis().base == f"build-{number - 1}"
            wanted, got = outcome(anew.folder), outcome(grown.folder)
            assert got == wanted
            previous = Previous(version=number + 1, folder=grown.folder)


@settings(max_examples=3, deadline=None)
@given(beginnings(PEOPLE), st.lists(rounds(PEOPLE), min_size=1, max_size=2))
def test_people(begun: tuple[Changes, Changes], happening: list[Round]) -> None:
    play(PEOPLE, begun, happening)


@settings(max_examples=3, deadline=None)
@given(beginnings(FIRMS), st.lists(rounds(FIRMS), min_size=1, max_size=2))
def test_firms(begun: tuple[Changes, Changes], happening: list[Round]) -> None:
    play(FIRMS, begun, happening)
