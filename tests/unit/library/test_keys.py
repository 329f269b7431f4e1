"""Linkage by keys: firms and certificates are joined by what identifies them, and kept apart by it."""

from pathlib import Path

from datong.library import LandedSource
from tests.business_sources import (
    ENTERPRISES,
    SHOP,
    WATER,
    landed_business,
)
from tests.library_sources import Row, landed
from tests.unit.library.test_pipeline import build, golden, links

PARTICULARS = {
    "no": "record_id", "name": "organisation_name", "boss": "legal_representative", "seat": "registered_address",
    "phone": "organisation_phone", "code": "uscc",
}  # fmt: skip


def enterprises(folder: Path, *rows: Row) -> LandedSource:
    return landed(folder, "enterprises", ENTERPRISES, rows, number=10)


def particulars(folder: Path, *rows: Row) -> LandedSource:
    return landed(folder, "particulars", PARTICULARS, rows, number=11)


def test_firms_are_joined_by_code_then_by_name_with_one_more_particular(tmp_path: Path) -> None:
    pipeline = build(tmp_path / "b", landed_business(tmp_path), "legal_entity")
    found = links(pipeline)
    water = found["enterprises", "E1"]
    assert {found["fees", "F1"], found["fees", "F2"], found["penalties", "P1"], found["shareholders", "S2"]} == {water}
    assert found["fees", "F3"] == found["enterprises", "E2"] != water
    assert golden(pipeline, "uscc")[water] == (WATER, "agreed")
    assert pipeline.report().pairs_by_rule["similarity"] == 1
    assert {table.name for table in pipeline.tables()} == {
        "legal_entity", "resource:enterprises", "resource:fees", "resource:penalties", "resource:shareholders",
    }  # fmt: skip
    assert build(tmp_path / "again", landed_business(tmp_path), "legal_entity").golden_digest() == (
        pipeline.golden_digest()
    )


def test_two_codes_never_merge_and_a_name_alone_joins_nobody(tmp_path: Path) -> None:
    name, boss, seat = "示例市光明商行", "张伟明", "示例市禅城区汾江路12号"
    first = enterprises(
        tmp_path,
        ("1", name, WATER, boss, None, seat, "存续", None),
        ("2", name, SHOP, boss, None, seat, "存续", None),
    )
    second = particulars(
        tmp_path,
        ("A", name, boss, seat, None, None),
        ("B", name, None, None, None, None),
        ("C", "示例市光明（商行）", None, "汾江路12号", None, WATER),
    )
    pipeline = build(tmp_path / "b", (first, second), "legal_entity")
    found = links(pipeline)
    assert found["enterprises", "1"] != found["enterprises", "2"]
    assert found["particulars", "C"] == found["enterprises", "1"]
    assert len({found["particulars", "A"], found["particulars", "B"], *list(found.values())[:2]}) == 4
    assert pipeline.report().ambiguous_records == 1


def test_a_firms_name_is_one_with_and_without_its_city_and_in_every_legal_form(tmp_path: Path) -> None:
    first = enterprises(
        tmp_path,
        ("1", "佛山市光明建材有限公司", WATER, "张伟明", None, "佛山市汾江路12号", "存续", None),
        ("2", "佛山市南海区老王便利店", SHOP, "李静", None, "佛山市南海大道5号", "存续", None),
    )
    names = (
        "广东省佛山市光明建材有限责任公司",
        "光明建材公司",
        "（佛山）光明 建材有限公司",
        "南海区光明建材有限公司",
    )
    second = particulars(
        tmp_path,
        *((f"A{place}", name, "张伟明", None, None, None) for place, name in enumerate(names)),
        ("B", "南海区老王便利店", "李静", None, None, None),
        ("C", "老王超市", "张伟明", None, None, None),
    )
    pipeline = build(tmp_path / "b", (first, second), "legal_entity")
    found = links(pipeline)
    firm, shop = (found["enterprises", number] for number in ("1", "2"))
    assert [found["particulars", f"A{place}"] == firm for place in range(4)] == [True, True, True, False]
    assert found["particulars", "B"] == shop
    others = {found["particulars", "C"], found["particulars", "A3"]}
    assert len({*others, firm, shop}) == 4, "a district is part of the name"


def test_a_company_is_known_by_its_name_where_a_record_says_nothing_else(tmp_path: Path) -> None:
    company = "佛山市光明建材有限公司"
    first = enterprises(
        tmp_path,
        ("1", company, WATER, "张伟明", None, "佛山市汾江路12号", "存续", None),
        ("2", "佛山市南海区老王便利店", SHOP, "李静", None, "佛山市南海大道5号", "存续", None),
    )
    second = particulars(
        tmp_path,
        ("A", company, None, None, None, None),
        ("B", company, "王建国", None, None, None),
        ("C", company, None, None, None, SHOP),
        ("D", "佛山市南海区老王便利店", None, None, None, None),
    )
    found = links(build(tmp_path / "b", (first, second), "legal_entity"))
    firm = found["enterprises", "1"]
    assert found["particulars", "A"] == firm
    assert firm not in {found["particulars", "B"], found["particulars", "C"]}, "what else they say speaks against it"
    assert found["particulars", "D"] not in {firm, found["enterprises", "2"]}, "shops bear one name in many places"


def test_a_code_that_belongs_to_another_firm_is_not_believed(tmp_path: Path) -> None:
    first = enterprises(
        tmp_path, ("1", "示例市清泉水务有限公司", WATER, "张伟明", None, "示例市汾江路12号", "存续", None)
    )
    second = particulars(tmp_path, ("A", "示例市南海便利店", "李静", "南海大道5号", None, WATER))
    pipeline = build(tmp_path / "b", (first, second), "legal_entity")
    found = links(pipeline)
    assert found["particulars", "A"] != found["enterprises", "1"]
    assert pipeline.report().distrusted_identifiers == 1


def test_certificates_are_one_by_kind_and_number(tmp_path: Path) -> None:
    pipeline = build(tmp_path / "b", landed_business(tmp_path), "certificate")
    found = links(pipeline)
    assert found["index", "I1"] == found["certificates", "C1"]
    assert found["index", "I2"] not in (found["certificates", "C1"], found["certificates", "C2"])
    assert golden(pipeline, "uscc")[found["certificates", "C1"]] == (WATER, "only")
    assert golden(pipeline, "citizen_id")[found["certificates", "C2"]][1] == "only"
