"""Layers: province over nation, city over province; where a value comes from, and what a locality may not do."""

from datetime import date
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Invalid
from datong.norms import Grade, PackLevel, check_pack, load_pack, parse_pack
from datong.norms.building import build_pack
from datong.norms.documents import Merged, join_fragments, lay_over

PROVINCE = """
level: province
version: gd-2026
name: {zh: 示例省规范包, en: Pack of the example province}
elements: {phone: {grade: L4}}
time_limits: {provide: {amount: 15}}
code_lists: {sex: {codes: {"9": {aliases: [不明]}}}}
"""
CITY = """
level: city
version: city-2026
name: {zh: 示例市规范包, en: Pack of the example city}
elements:
  phone: {aliases: [市民热线登记电话]}
  dog_licence: {name: {zh: 犬证号, en: Dog licence}, data_type: C, max_length: 12, grade: L1, standard: 本地}
time_limits: {provide: {amount: 10}}
calendar: {2027-03-03: false}
divisions: {"440699": {name: 示例新区, since: 2025}}
"""


def test_every_value_names_the_layer_it_comes_from() -> None:
    pack = parse_pack(PROVINCE, CITY)
    assert [layer.level for layer in pack.layers] == [PackLevel.NATIONAL, PackLevel.PROVINCE, PackLevel.CITY]
    assert pack.version == "2026.2+gd-2026+city-2026"
    assert pack.time_limit("provide") == 10
    origins = {field: layer.version for field, layer in pack.overrides("elements", "phone").items()}
    assert origins == {"grade": "gd-2026", "aliases": "city-2026"}
    assert pack.overrides("time_limits", "provide")["amount"].level is PackLevel.CITY
    added, inherited = pack.origin("elements", "dog_licence"), pack.origin("elements", "phone")
    assert added is not None
    assert inherited is not None
    assert (added.level, inherited.level) == (PackLevel.CITY, PackLevel.NATIONAL)
    assert all(len(layer.digest) == 64 for layer in pack.layers)
    assert pack.code_list("sex").codes[3].aliases == ("未说明", "不明")
    assert pack.division_register.lookup("440699", 2026) is not None
    assert pack.division_register.lookup("440699", 2020) is None


def test_a_province_does_not_extend_a_city() -> None:
    assert [problem.path for problem in check_pack(CITY, PROVINCE)] == ["level"]
    assert [problem.path for problem in check_pack(*(["{}"] * 9))] == ["level"]


def test_a_folder_is_one_pack_and_says_a_thing_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: x\ntime_limits: {provide: {amount: 9}}", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("time_limits: {correction: {amount: 9}}", encoding="utf-8")
    pack = load_pack(tmp_path)
    assert (pack.time_limit("provide"), pack.time_limit("correction")) == (9, 9)
    (tmp_path / "c.yaml").write_text("time_limits: {provide: {amount: 8}}\nversion: y", encoding="utf-8")
    with pytest.raises(Invalid, match="time_limits.provide"):
        load_pack(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid, match="pack_empty"):
        load_pack(tmp_path / "empty")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("elements: {citizen_id: {grade: L3}}", "elements.citizen_id.grade"),
        ("elements: {citizen_id: {personal: false}}", "elements.citizen_id.personal"),
        ("elements: {citizen_id: {mask: none}}", "elements.citizen_id.mask"),
        ("elements: {citizen_id: {max_length: 20}}", "elements.citizen_id.max_length"),
        ("elements: {citizen_id: {identifier: uscc}}", "elements.citizen_id.identifier"),
        ("elements: {person_name: {pattern: null}}", "elements.person_name.pattern"),
        ("elements: {person_name: {data_type: N}}", "elements.person_name.data_type"),
        ("elements: {sex: {code_list: blood_type}}", "elements.sex.code_list"),
        ("elements: {sex: {valid_until: 2030-01-01}}", "elements.sex.valid_until"),
        ("time_limits: {provide: {amount: 21}}", "time_limits.provide.amount"),
        ("time_limits: {usage_records: {amount: 2}}", "time_limits.usage_records.amount"),
        ("time_limits: {provide: {statutory: false}}", "time_limits.provide.statutory"),
        ("time_limits: {provide: {unit: years}}", "time_limits.provide.unit"),
        ("code_lists: {sex: {codes: {'1': {zh: 女的, en: Male}}}}", "code_lists.sex.codes.1"),
        ("code_lists: {sex: {codes: {'1': {valid_until: 2030-01-01}}}}", "code_lists.sex.codes.1"),
        ("indicators: {catalogue_rate: {higher_is_better: false}}", "indicators.catalogue_rate.higher_is_better"),
        ("classifications: {'101': {zh: 其他, en: Other}}", "classifications.101.name"),
        ("data_categories: {personal_health: {grade_min: L1}}", "data_categories.personal_health.grade_min"),
        ("elements: {sex: {category: personal_health}}", "elements.sex.grade"),
        ("data_categories: {personal_health: {parent: public}}", "data_categories.personal_health.parent"),
        ("roles: {provider: {duty: {zh: 无, en: None}}}", "roles.provider.duty"),
        ("code_serial_digits: 4", "code_serial_digits"),
        (
            "time_limits: {provide: {revisions: [{valid_from: 2027-01-01, amount: 30}]}}",
            "time_limits.provide.revisions.0",
        ),
    ],
)
def test_a_locality_may_not_loosen(text: str, path: str) -> None:
    problems = check_pack(text)
    assert [problem.path for problem in problems] == [path]
    assert problems[0].message.zh
    assert problems[0].message.en


@pytest.mark.parametrize(
    "text",
    [
        "elements: {sex: {grade: L4, max_length: 1}}",
        "time_limits: {provide: {amount: 0}, usage_records: {amount: 10}, dispute_authority: {amount: 90}}",
        "code_lists: {sex: {codes: {'3': {zh: 示例, en: Example}}}}",
        "indicators: {catalogue_rate: {weight: 1}}",
        "classifications: {'101001A1': {zh: 示例, en: Example}, '213': {zh: 示例项, en: Example}}",
        "code_serial_digits: 8",
    ],
)
def test_a_locality_may_add_and_tighten(text: str) -> None:
    assert check_pack(text) == ()


def test_the_example_of_the_documentation_is_a_pack() -> None:
    example = Path(__file__).parents[3] / "docs" / "examples" / "gaoping.yaml"
    pack = load_pack(example)
    assert pack.time_limit("reply_conditional") == 5
    assert pack.limit("reply_to_be_published").amount == 10
    assert pack.has_element("dog_licence")


def test_what_is_announced_above_stays_announced() -> None:
    province = "level: province\ntime_limits: {correction: {revisions: [{valid_from: 2027-01-01, amount: 8}]}}"
    assert parse_pack(province, "{}").limit("correction").revisions
    city = "time_limits: {correction: {revisions: []}}"
    assert [problem.path for problem in check_pack(province, city)] == ["time_limits.correction.revisions"]


def test_a_pack_reads_as_of_a_day() -> None:
    text = """
valid_from: 2026-01-01
time_limits: {provide: {revisions: [{valid_from: 2027-01-01, amount: 10}, {valid_from: 2028-01-01, amount: 5}]}}
elements:
  dog_licence:
    {name: {zh: 犬证号, en: Dog licence}, data_type: C, max_length: 12, grade: L1, standard: s, valid_from: 2027-06-01}
code_lists:
  sex: {codes: {"3": {zh: 示例, en: Example, valid_from: 2027-01-01, valid_until: 2027-12-31}}}
"""
    amounts = {day: parse_pack(text, on=day).time_limit("provide") for day in (date(2026, 6, 1), date(2027, 1, 1))}
    assert list(amounts.values()) == [20, 10]
    late = parse_pack(text, on=date(2028, 1, 1))
    assert late.time_limit("provide") == 5
    assert late.element("sex").code_name("3") is None
    assert len(parse_pack(text, on=date(2027, 7, 1)).element("sex").codes) == 5
    assert parse_pack(text, on=date(2027, 7, 1)).has_element("dog_licence")
    assert not parse_pack(text, on=date(2027, 5, 1)).has_element("dog_licence")
    before = parse_pack(text, on=date(2025, 9, 1))
    assert [layer.level for layer in before.layers] == [PackLevel.NATIONAL]


GRADES = st.sampled_from(list(Grade))
LIMITS = st.integers(0, 40)


@given(st.tuples(GRADES, LIMITS), st.tuples(GRADES, LIMITS))
def test_layers_only_ever_tighten(province: tuple[Grade, int], city: tuple[Grade, int]) -> None:
    layers = [
        f"level: {level}\nelements: {{phone: {{grade: {grade}}}}}\ntime_limits: {{provide: {{amount: {amount}}}}}"
        for level, (grade, amount) in (("province", province), ("city", city))
    ]
    above = load_pack()
    try:
        pack = parse_pack(*layers)
    except Invalid:
        grades = [above.element("phone").grade.rank, province[0].rank, city[0].rank]
        amounts = [above.time_limit("provide"), province[1], city[1]]
        assert grades != sorted(grades) or amounts != sorted(amounts, reverse=True)
        return
    assert (pack.element("phone").grade, pack.time_limit("provide")) == city
    assert pack.element("phone").grade.rank >= above.element("phone").grade.rank
    assert pack.time_limit("provide") <= above.time_limit("provide")
    # An empty layer changes nothing but the list of layers.
    again = parse_pack(*layers, "{}")
    assert (again.elements, again.time_limits, again.code_lists) == (pack.elements, pack.time_limits, pack.code_lists)


@pytest.mark.parametrize(
    "text",
    [
        "elements: {dog: {name: {zh: 犬, en: Dog}, data_type: C, max_length: 2, grade: L1, standard: 本地}}",
        'code_lists: {sex: {codes: {"8": {zh: 测试, en: Test}}}}',
        "null_markers: [没填]",
        "elements: {sex: {aliases: [男女]}}",
    ],
)
def test_a_pack_over_another_equals_one_built_of_the_whole_document(text: str) -> None:
    folder = resources.files("datong.norms").joinpath("packs", "national")
    fragments = ((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir())
    base = join_fragments(sorted(fragment for fragment in fragments if fragment[0].endswith(".yaml")))
    extended = parse_pack(text)
    merged = lay_over(Merged(content=base.content), join_fragments([("", text)]).content, 1)
    assert build_pack(merged, extended.layers) == extended
    pairs = zip(load_pack().classifications, extended.classifications, strict=True)
    assert all(below is above for below, above in pairs), "what the layer leaves alone is taken as it is"
