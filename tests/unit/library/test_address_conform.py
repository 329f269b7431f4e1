"""Addresses of landed records: read once per distinct text, their parts beside the value, the raw text as it came."""

from pathlib import Path

import pytest
from deltalake import DeltaTable

from datong.kernel import BuildId
from datong.library import LandedSource, shipped_definitions
from datong.library.conform import conform_source, take_part
from datong.library.engine import Engine
from datong.library.layers import read_table
from datong.library.pipeline import Pipeline, Previous
from datong.norms import load_pack
from tests.library_sources import landed

PACK = load_pack(None)
ENGINE = Engine(threads=1, memory="500MB")
POPULATION = next(known for known in shipped_definitions() if known.name == "population")
COLUMNS = {
    "no": "record_id",
    "name": "person_name",
    "id": "citizen_id",
    "unit": "real_estate_unit",
    "at": "property_address",
}
ADDRESSES = {
    "R1": "广东省佛山市禅城区汾江中路123号2栋301室",
    "R2": "广东省 佛山市，禅城区汾江中路１２３号2栋301室",
    "R3": "佛山禅城汾江中路",
    "R4": "朝阳区建国路88号",
    "R5": "广东省佛山市禅城区汾江中路123号2栋301室",
    "R6": "查无此处",
    "R7": None,
}
PARTS = {
    "R1": ("440604", "汾江中路123号", "2栋301室", None),
    "R2": ("440604", "汾江中路123号", "2栋301室", "tidied"),
    "R3": ("440604", "汾江中路", None, "expanded,completed"),
    "R4": ("110105", "建国路88号", None, "completed,chosen"),
    "R5": ("440604", "汾江中路123号", "2栋301室", None),
    "R6": (None, None, "查无此处", None),
    "R7": (None, None, None, None),
}
NAMES = ("division", "street", "rest", "repairs")


@pytest.fixture
def source(tmp_path: Path) -> LandedSource:
    """A register of real estate."""
    rows = [(key, "张伟明", None, None, address) for key, address in ADDRESSES.items()]
    return landed(tmp_path, "property", COLUMNS, rows)


def test_what_is_published(tmp_path: Path, source: LandedSource) -> None:
    pipeline = Pipeline(
        build_id=BuildId("build"),
        definition=POPULATION,
        sources=(source,),
        pack=PACK,
        engine=ENGINE,
        folder=tmp_path / "build",
        delta=tmp_path / "delta",
        previous=Previous(),
    )
    assert len(list(pipeline.steps())) == 4
    conformed = read_table(tmp_path / "build" / "conform" / "source_000.parquet").to_pylist()
    assert {row["row_key"]: row["property_address|raw"] for row in conformed} == ADDRESSES
    said = {row["row_key"]: tuple(row[f"property_address|{name}"] for name in NAMES) for row in conformed}
    assert said == PARTS
    assert not list((tmp_path / "build" / "conform").glob("*addresses*"))
    table = DeltaTable(str(tmp_path / "delta" / "resource_property")).to_pyarrow_table().to_pylist()
    assert {row["_row_key"]: tuple(row[f"_at_{name}"] for name in NAMES) for row in table} == PARTS


def test_without_names_nothing_is_read(tmp_path: Path, source: LandedSource) -> None:
    (taken,) = take_part(POPULATION, (source,), PACK)
    with ENGINE.open(tmp_path / "spill") as work:
        conform_source(work, taken, PACK, tmp_path)
    assert not {name for name in read_table(tmp_path / taken.file).column_names if name.endswith("|street")}
