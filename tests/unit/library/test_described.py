"""A linkage that its definition describes: English people, by features of their own."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import yaml

from datong.kernel import BatchId, DepartmentCode, Misconfigured, ResourceId, Text
from datong.library import LandedBatch, LandedSource, LandingMode, load_definition
from datong.library.conform import conform_source, take_part
from datong.library.engine import EmbeddedWorkspace
from datong.library.link import LINKS, link_records
from datong.norms import load_pack
from tests.library_sources import write_batch

DEFINITION = Path(__file__).parents[3] / "benchmarks" / "febrl.yaml"
COLUMNS = ("rec_id", "given_name", "surname", "street_number", "address_1", "suburb", "postcode", "date_of_birth")
ROWS = (
    ("1", "Zoë", "O'Brien", "7", "Wallaby Place", "Cleveland", "2119", "19560409"),
    ("2", "zoe", "obrein", "7", "wallabyplace", "cleveland", "2119", "19560409"),
    ("3", "harley", "mccarthy", "177", "pridham street", "marsden", "3165", "19080419"),
    ("4", "hugo", "mccarthy", "12", "gundulu place", "marsden", "3165", "19921119"),
    ("5", None, None, None, None, None, None, None),
)


def source(folder: Path) -> LandedSource:
    return LandedSource(
        resource_id=ResourceId("people"),
        department=DepartmentCode("114406000000000001"),
        title=Text(zh="people", en="people"),
        columns={column: "person_name" if column == "surname" else None for column in COLUMNS},
        key_columns=("rec_id",),
        batches=(
            LandedBatch(
                batch_id=BatchId("people-1"),
                sequence=1,
                path=write_batch(folder / "people.arrow", COLUMNS, ROWS),
                mode=LandingMode.SNAPSHOT,
            ),
        ),
    )


def test_likeness_is_measured_on_the_features_that_the_definition_names(tmp_path: Path) -> None:
    definition, pack = load_definition(DEFINITION), load_pack(None)
    taking = take_part(definition, (source(tmp_path),), pack)
    with duckdb.connect() as connection:
        work = EmbeddedWorkspace(connection)
        for taken in taking:
            conform_source(work, taken, pack, tmp_path)
        work.lend("previous_ids", pa.table({"key": pa.array([], pa.string()), "entity_id": pa.array([], pa.string())}))
        link_records(work, definition, taking, tmp_path, (), (), tmp_path)
        features = connection.execute(
            "SELECT given, surname, given_head, birth, postcode, insurance FROM linkable ORDER BY unique_id"
        ).fetchall()
        entities = dict(connection.execute(f"SELECT row_key, entity_id FROM '{tmp_path / LINKS}'").fetchall())
    assert features[0] == ("zoe", "obrien", "zoe", "19560409", "2119", None)
    assert features[4] == (None,) * 6
    assert entities["1"] == entities["2"]
    assert len(set(entities.values())) == len(ROWS) - 1


def test_a_comparison_of_an_unknown_feature_is_refused(tmp_path: Path) -> None:
    text = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    text["linkage"]["blocking"].append(["shoe_size"])
    path = tmp_path / "definition.yaml"
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    with pytest.raises(Misconfigured, match="shoe_size"):
        load_definition(path)
