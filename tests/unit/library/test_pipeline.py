"""The pipeline over small hand-made sources: what is linked, what is kept apart, which cell wins, what is refused."""

from pathlib import Path

import duckdb
import pytest

from datong.kernel import BuildId, Corrupt, Invalid, ResourceId, sha256_hex
from datong.library import LandedSource, LinkDecision, evaluate_links, record_key, shipped_definitions
from datong.library.engine import Engine
from datong.library.fuse import fuse
from datong.library.pipeline import Pipeline, Previous, read_links, read_review
from datong.norms import load_pack
from tests.library_sources import (
    DIVISION_ROWS,
    DIVISIONS,
    Row,
    landed,
    landed_city,
    with_changes,
    with_increment,
    write_batch,
)

ENGINE = Engine(threads=2, memory="1500MB")
PACK = load_pack(None)
REGISTER = {
    "no": "record_id", "name": "person_name", "id": "citizen_id", "sex": "sex", "birth": "birth_date",
    "home": "household_id", "kin": "relation_to_head", "address": "address", "phone": "phone", "at": "updated_at",
}  # fmt: skip
INSURED = {
    "no": "record_id", "name": "person_name", "id": "citizen_id", "birth": "birth_date", "status": "insurance_status",
    "address": "address", "phone": "phone", "at": "updated_at",
}  # fmt: skip
ZHANG = "110101199003070011"
LI = "370102198502150024"
ADDRESS = "广东省示例市禅城区祖庙街道汾江路12号3栋2单元101室"
REGISTERED: tuple[Row, ...] = (
    ("1", "张伟明", ZHANG, "1", "19900307", "H1", "02", ADDRESS, "13800138000", "2025-01-01 08:00:00"),
    (
        "2",
        "李静",
        LI,
        "2",
        "19850215",
        "H2",
        "02",
        "广东省示例市南海区桂城街道南海大道5号1栋1单元202室",
        None,
        "2025-01-01 08:00:00",
    ),
)


def build(
    folder: Path,
    sources: tuple[LandedSource, ...],
    name: str = "population",
    previous: Previous | None = None,
    decisions: tuple[LinkDecision, ...] = (),
) -> Pipeline:
    definition = next(known for known in shipped_definitions() if known.name == name)
    pipeline = Pipeline(
        build_id=BuildId(folder.name),
        definition=definition,
        sources=sources,
        pack=PACK,
        engine=ENGINE,
        folder=folder,
        delta=folder.parent / "delta",
        previous=previous or Previous(),
        decisions=decisions,
    )
    for _ in pipeline.steps():
        pass
    return pipeline


def links(pipeline: Pipeline) -> dict[tuple[str, str], str]:
    rows = read_links(pipeline.folder).to_pylist()
    return {(row["resource_id"], row["row_key"]): row["entity_id"] for row in rows}


def golden(pipeline: Pipeline, element: str) -> dict[str, tuple[str, str]]:
    """Return value and rule of the golden cells of `element`, by entity."""
    cells = pipeline.folder / "fuse" / "cells.parquet"
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT entity_id, value, rule FROM '{cells}' WHERE position = 1 AND element = ?", [element]
        ).fetchall()
    return {entity: (value, rule) for entity, value, rule in rows}


def register(folder: Path) -> LandedSource:
    return landed(folder, "register", REGISTER, REGISTERED)


def insured(folder: Path, *rows: Row) -> LandedSource:
    return landed(folder, "insured", INSURED, rows, number=1)


def test_the_same_id_in_another_form_is_the_same_person(tmp_path: Path) -> None:
    rows = (
        "S1",
        "张 伟明",
        "１１０１０１１９９００３０７００１１",
        "1990-03-07",
        "参保缴费",
        None,
        None,
        "2025-02-01 08:00:00",
    )
    found = links(build(tmp_path / "b", (register(tmp_path), insured(tmp_path, rows))))
    assert found["insured", "S1"] == found["register", "1"]


def test_an_id_that_belongs_to_somebody_else_does_not_merge_strangers(tmp_path: Path) -> None:
    row = ("S1", "欧阳雪梅", ZHANG, "1971-11-23", "参保缴费", None, "13911112222", "2025-02-01 08:00:00")
    pipeline = build(tmp_path / "b", (register(tmp_path), insured(tmp_path, row)))
    found = links(pipeline)
    assert found["insured", "S1"] != found["register", "1"]
    assert pipeline.report().distrusted_identifiers == 1


def decision(left: str, right: str, *, same: bool) -> LinkDecision:
    names = [record_key(ResourceId(name), key) for name, key in (left.split(":"), right.split(":"))]
    return LinkDecision(left_key=names[0], right_key=names[1], same=same)


def test_a_person_joins_two_valid_ids_and_parts_two_records_of_one(tmp_path: Path) -> None:
    rows = (
        ("S1", "张伟明", LI[:16] + "32", "1990-03-07", "参保缴费", None, "13800138000", "2025-02-01 08:00:00"),
        ("S2", "张伟明", ZHANG, "1990-03-07", "参保缴费", None, None, "2025-02-01 08:00:00"),
        ("S3", "欧阳雪", ZHANG, "1971-11-23", "参保缴费", None, None, "2025-02-01 08:00:00"),
    )
    sources = (register(tmp_path), insured(tmp_path, *rows))
    alone = build(tmp_path / "b1", sources)
    found = links(alone)
    assert found["insured", "S1"] != found["register", "1"] == found["insured", "S2"]
    doubts = {(row["left"], row["right"]): row for row in read_review(alone.folder).to_pylist()}
    (doubt,) = doubts.values()
    assert doubt["reason"] == "distrusted"
    assert {level["comparison"]: level["level"] for level in doubt["levels"]}["name"] == "else"
    decisions = (
        decision("insured:S1", "register:1", same=True),
        decision("insured:S2", "register:1", same=False),
        decision("insured:gone", "register:1", same=True),
    )
    decided = build(tmp_path / "b2", sources, decisions=decisions)
    found = links(decided)
    assert found["insured", "S1"] == found["register", "1"] != found["insured", "S2"]
    assert decided.report().pairs_by_rule["decision"] == 2
    assert golden(decided, "citizen_id")[found["register", "1"]][0] == ZHANG


def test_a_record_without_id_is_linked_by_what_else_is_known(tmp_path: Path) -> None:
    row = (
        "S1",
        "张伟鸣",
        None,
        "1990-03-07",
        "参保缴费",
        "禅城区汾江路12号3-2-101",
        "138-0013-8000",
        "2025-02-01 08:00:00",
    )
    pipeline = build(tmp_path / "b", (register(tmp_path), insured(tmp_path, row)))
    found = links(pipeline)
    assert found["insured", "S1"] == found["register", "1"]
    assert pipeline.report().pairs_by_rule["similarity"] == 1


def test_a_twin_without_id_is_left_to_a_person(tmp_path: Path) -> None:
    """Twins share birth, sex, home and telephone: what agrees there says nothing while the names are others."""
    twin = ("S1", "张志强", None, "1990-03-07", "参保缴费", ADDRESS, "13800138000", "2025-02-01 08:00:00")
    pipeline = build(tmp_path / "b", (register(tmp_path), insured(tmp_path, twin)))
    found = links(pipeline)
    assert found["insured", "S1"] != found["register", "1"]
    (pair,) = read_review(pipeline.folder).to_pylist()
    assert pair["reason"] == "near"
    assert pair["weight"] > 8, "it weighs enough, and lacks the evidence"


def test_of_two_who_claim_an_id_the_one_born_as_it_says_is_believed(tmp_path: Path) -> None:
    other = ("S1", "丁静怡", ZHANG, "2007-08-16", "参保缴费", None, None, "2025-02-01 08:00:00")
    own = ("S2", "张伟明", ZHANG, "1990-03-07", "参保缴费", None, None, "2025-02-01 08:00:00")
    pipeline = build(tmp_path / "b", (insured(tmp_path, other, own),))
    found = links(pipeline)
    assert found["insured", "S1"] != found["insured", "S2"]
    trusted = {row["row_key"]: row["rule"] for row in read_links(pipeline.folder).to_pylist()}
    assert trusted["S2"] != "similarity"
    assert golden(pipeline, "citizen_id")[found["insured", "S2"]][0] == ZHANG


def test_a_mistyped_id_is_linked_by_likeness(tmp_path: Path) -> None:
    row = ("S1", "李静", LI[:12] + "51" + LI[14:], "1985-02-15", "参保缴费", None, None, "2025-02-01 08:00:00")
    found = links(build(tmp_path / "b", (register(tmp_path), insured(tmp_path, row))))
    assert found["insured", "S1"] == found["register", "2"]


def test_authority_recency_and_quality_choose_the_cells(tmp_path: Path) -> None:
    rows = ("S1", "张卫明", ZHANG, "1990-03-08", "参保缴费", None, "13900139000", "2025-02-01 08:00:00")
    pipeline = build(tmp_path / "b", (register(tmp_path), insured(tmp_path, rows)))
    entity = links(pipeline)["register", "1"]
    assert golden(pipeline, "person_name")[entity] == ("张伟明", "authority")
    assert golden(pipeline, "phone")[entity] == ("13900139000", "recency")
    assert golden(pipeline, "citizen_id")[entity] == (ZHANG, "agreed")
    assert golden(pipeline, "address")[entity][1] == "only"
    assert pipeline.report().conflicts_by_element == {"birth_date": 1, "person_name": 1, "phone": 1}


def test_an_increment_replaces_rows_by_key_and_keeps_ids(tmp_path: Path) -> None:
    first = register(tmp_path)
    before = build(tmp_path / "b1", (first,))
    moved = (*REGISTERED[0][:8], "13700137000", "2025-06-01 08:00:00")
    second = with_increment(first, tmp_path, (moved,))
    after = build(tmp_path / "b2", (second,), previous=Previous(version=1, folder=before.folder))
    assert links(after) == links(before)
    assert golden(after, "phone")[links(after)["register", "1"]] == ("13700137000", "only")
    assert after.report().sources[0].superseded_rows == 1
    rebuilt = build(tmp_path / "b3", (second,))
    assert rebuilt.golden_digest() == after.golden_digest()
    assert rebuilt.golden_digest() != before.golden_digest()


def test_a_deleted_row_leaves_the_current_state_and_comes_back_when_it_is_sent_again(tmp_path: Path) -> None:
    first = register(tmp_path)
    gone = (REGISTERED[0][0], *([None] * (len(REGISTERED[0]) - 1)))
    second = with_changes(first, tmp_path, (gone, REGISTERED[1]), deleted=(True, False))
    after = build(tmp_path / "b1", (second,))
    assert ("register", "1") not in links(after)
    assert ("register", "2") in links(after)
    assert after.report().sources[0].rows == len(REGISTERED) - 1
    third = with_changes(second, tmp_path, (REGISTERED[0],), deleted=(False,))
    assert ("register", "1") in links(build(tmp_path / "b2", (third,)))


def test_the_city_is_linked_as_it_truly_is_and_twice_the_same(tmp_path: Path) -> None:
    sources, truth = landed_city(tmp_path, people=600, seed=5)
    pipeline = build(tmp_path / "b1", sources)
    score = evaluate_links(links(pipeline), truth)
    assert score.f1 >= 0.99
    assert score.false_merges == 0
    again = build(tmp_path / "b2", sources)
    assert again.golden_digest() == pipeline.golden_digest()
    assert [table.digest for table in again.tables()] == [table.digest for table in pipeline.tables()]
    quality = {source.role: source for source in pipeline.report().sources}
    assert quality["insurance_register"].missing["citizen_id"] > 0
    assert "checksum" in quality["marriage_register"].flags["citizen_id"]


def test_entities_are_fused_alike_in_any_number_of_parts(tmp_path: Path) -> None:
    pipeline = build(tmp_path / "build", landed_city(tmp_path, people=40, seed=3)[0])
    known = [pipeline.folder / "fuse", tmp_path / "parts"]
    known[1].mkdir()
    conformed, linked = pipeline.folder / "conform", pipeline.folder / "link" / "links.parquet"
    with ENGINE.open(tmp_path / "spill") as work:
        fuse(work, pipeline.definition, pipeline.sources, conformed, linked, known[1], entities_max=7)
        for name in ("cells.parquet", "digests.parquet"):
            whole, parts = (work.rows(f"FROM '{folder / name}'") for folder in known)
            assert len(whole) > 30
            assert parts == whole
    assert (known[1] / "digest.txt").read_text() == pipeline.golden_digest()
    assert sorted(path.name for path in known[1].iterdir()) == ["cells.parquet", "digest.txt", "digests.parquet"]


def test_a_source_without_key_is_refused(tmp_path: Path) -> None:
    source = register(tmp_path).model_copy(update={"key_columns": ()})
    with pytest.raises(Invalid, match=r"library\.source_without_key"):
        build(tmp_path / "b", (source,))


def test_a_batch_that_is_no_arrow_stream_is_refused(tmp_path: Path) -> None:
    source = register(tmp_path)
    source.batches[0].path.write_bytes(b"nothing")
    with pytest.raises(Corrupt, match=r"library\.batch_unreadable"):
        build(tmp_path / "b", (source,))


def test_a_batch_that_changed_since_it_landed_is_refused(tmp_path: Path) -> None:
    source = register(tmp_path)
    batch = source.batches[0]
    good = batch.model_copy(update={"payload_digest": sha256_hex(batch.path.read_bytes())})
    build(tmp_path / "b1", (source.model_copy(update={"batches": (good,)}),))
    batch.path.write_bytes(batch.path.read_bytes() + b"\0")
    with pytest.raises(Corrupt, match=r"library\.batch_changed"):
        build(tmp_path / "b2", (source.model_copy(update={"batches": (good,)}),))


def test_a_batch_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    source = register(tmp_path)
    write_batch(source.batches[0].path, ("no", "name"), [("1", "张伟明")])
    with pytest.raises(Corrupt, match=r"lacks the columns"):
        build(tmp_path / "b", (source,))


def test_broken_chains_of_divisions_are_quarantined(tmp_path: Path) -> None:
    rows = (*DIVISION_ROWS, ("440607", "三水区", 2, "440600"))
    source = landed(tmp_path, "divisions", DIVISIONS, rows)
    pipeline = build(tmp_path / "b", (source,), name="geography")
    assert pipeline.report().quarantined == {"chain": 1, "code": 1, "level": 1, "name": 1, "parent": 1}
    assert sorted(golden(pipeline, "division_name").values()) == sorted(
        [("广东省", "only"), ("示例市", "only"), ("禅城区", "only")]
    )
