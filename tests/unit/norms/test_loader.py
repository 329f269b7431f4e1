from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import Invalid, NotFound
from datong.norms import Grade, LimitUnit, check_pack, load_pack, parse_pack

CONTRACT_ELEMENTS = [
    "person_name",
    "citizen_id",
    "sex",
    "ethnicity",
    "birth_date",
    "phone",
    "address",
    "division_code",
    "household_id",
    "relation_to_head",
    "marital_status",
    "spouse_citizen_id",
    "guardian_citizen_id",
    "annual_income",
    "employer_name",
    "employer_uscc",
    "insurance_status",
    "social_insurance_months",
    "low_income_status",
    "benefit_amount",
    "real_estate_unit",
    "property_address",
    "property_area",
    "property_type",
    "registered_on",
    "student_id",
    "school_name",
    "grade_level",
    "division_name",
    "division_level",
    "parent_division_code",
    "record_id",
    "updated_at",
    "moved_in_on",
    "married_on",
    "residence_status",
    "organisation_name",
    "uscc",
    "certificate_id",
]


def test_the_national_pack_holds_what_the_platform_relies_on() -> None:
    pack = load_pack()
    assert [code for code in CONTRACT_ELEMENTS if not pack.has_element(code)] == []
    limits = {
        key: pack.time_limit(key) for key in ("reply_unconditional", "reply_conditional", "provide", "catalogue_review")
    }
    assert limits == {"reply_unconditional": 1, "reply_conditional": 10, "provide": 20, "catalogue_review": 2}
    assert pack.limit("usage_records").unit is LimitUnit.YEARS
    assert len(pack.code_list("ethnicity").codes) == 58
    assert sum(indicator.weight for indicator in pack.indicators) == 100
    assert pack.indicator("reply_on_time_rate").article == "第二十一条"
    found = pack.classification("101001xyz")
    assert found is not None
    assert found.name.zh == "人口基本信息"
    name = pack.element("sex").code_name("1")
    assert name is not None
    assert name.en == "Male"


def test_every_pattern_is_one_that_duckdb_reads() -> None:
    for element in load_pack().elements:
        if element.pattern:
            duckdb.sql("SELECT regexp_full_match('x', $pattern)", params={"pattern": element.pattern}).fetchall()


def test_a_local_pack_extends_without_forking(tmp_path: Path) -> None:
    local = tmp_path / "local.yaml"
    local.write_text(
        """
version: gaoping
elements:
  phone: {grade: L4}
  pet_licence:
    {name: {zh: 犬证号, en: Dog licence}, data_type: C, max_length: 12, grade: L1, standard: 本地, aliases: [犬证号]}
code_lists:
  sex: {codes: {"1": {zh: 男性, en: Man, aliases: [汉子]}}}
time_limits:
  reply_conditional: {amount: 5}
calendar: {2027-02-06: false}
synonyms: [[犬, 狗]]
""",
        encoding="utf-8",
    )
    pack = load_pack(local)
    assert pack.element("phone").grade is Grade.L4
    assert pack.element("phone").name.zh == "联系电话"
    assert pack.element("pet_licence").null_markers
    assert pack.time_limit("reply_conditional") == 5
    assert pack.element("sex").codes[1].aliases == ("男", "M", "MALE", "男孩", "01", "汉子")
    assert pack.element("sex").codes[1].name.en == "Man"
    assert len(pack.element("sex").codes) == 4
    assert [day.year for day in pack.calendar] == [2027]
    assert pack.version == "2026.2+gaoping"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("elements: {phone: {grade: L9}}", "elements.phone.grade"),
        ("elements: {phone: {colour: red}}", "elements.phone.colour"),
        ("elements: {phone: {code_list: nothing}}", "elements.phone.code_list"),
        ("elements: {phone: {pattern: '(?=x)'}}", "elements.phone.pattern"),
        ("elements: {phone: {aliases: [姓名]}}", "elements.phone.aliases"),
        ("elements: {phone: 3}", "elements.phone"),
        ("elements: {phone: {code: tel}}", "elements.phone.code"),
        ("elements: []", "elements"),
        ("time_limits: {provide: {amount: -1}}", "time_limits.provide.amount"),
        ("time_limits: {provide: {name: {zh: 仅中文}}}", "time_limits.provide.name.en"),
        ("code_lists: {sex: {codes: {'1': {zh: 男, en: M, aliases: [女]}}}}", "code_lists.sex.codes.2"),
        ("departments: {}", "departments"),
        ("calendar: {someday: true}", "calendar.someday"),
        ("calendar: {2027-01-01: maybe}", "calendar.2027-01-01"),
        ("level: village", "level"),
        ("version: 3", "version"),
        ("level: national", "time_limits.catalogue_update"),
        ("valid_from: 2027-01-01\nvalid_until: 2026-01-01", "valid_until"),
        (
            "time_limits: {provide: {valid_from: 2027-01-01, valid_until: 2026-01-01}}",
            "time_limits.provide.valid_until",
        ),
        ("time_limits: {provide: {revisions: 3}}", "time_limits.provide.revisions"),
        ("time_limits: {provide: {revisions: [3]}}", "time_limits.provide.revisions.0"),
        ("time_limits: {provide: {revisions: [{amount: 9}]}}", "time_limits.provide.revisions.0.valid_from"),
        (
            "time_limits: {provide: {revisions: [{valid_from: 2027-01-01, amount: many}]}}",
            "time_limits.provide.revisions.0.amount",
        ),
        (
            "time_limits: {provide: {revisions: [{valid_from: 2027-01-01, key: other}]}}",
            "time_limits.provide.revisions.0",
        ),
        ("classifications: {'101009001': {zh: 甲, en: A}}", "classifications.101009001"),
        ("classifications: {'1010010000000': {zh: 甲, en: A}}", "classifications.1010010000000"),
        ("data_categories: {x: {name: {zh: 甲, en: A}, parent: nothing, standard: s}}", "data_categories.x.parent"),
        ("data_categories: {x: {name: {zh: 甲, en: A}, parent: x, standard: s}}", "data_categories.x.parent"),
        ("identifiers: {uscc: {examples: ['114406000000000194']}}", "identifiers.uscc.examples.0"),
        ("identifiers: {uscc: {counterexamples: ['114406000000000193']}}", "identifiers.uscc.counterexamples.0"),
        ("licences: {x: {name: {zh: 甲, en: A}, url: somewhere}}", "licences.x.url"),
        ("divisions: {'44069': {name: 示例区}}", "divisions.44069.code"),
        ("divisions: {'440699': {name: 示例区, since: 2020, until: 2019}}", "divisions.440699.until"),
        ("scoring: {table: {mapped: 41}}", "scoring.table"),
        ("elements: {phone: {category: nothing}}", "elements.phone.category"),
        ("elements: {phone: {domain: nothing}}", "elements.phone.domain"),
        ("elements: {ethnicity: {max_length: 1}}", "elements.ethnicity.max_length"),
        ("- 1", ""),
        ("a: [1", "line 2, column 1"),
        ("a: &x [1]\nb: *x", "line 2, column 4"),
        ("a: 1\na: 2", "line 2, column 1"),
        ("a: 2026-99-99", ""),
        ("[" * 50, "line 1, column 13"),
    ],
)
def test_errors_name_the_place_in_both_languages(text: str, path: str) -> None:
    problems = check_pack(text)
    assert problems[0].path.startswith(path)
    assert problems[0].message.zh
    assert problems[0].message.en


def test_all_problems_come_at_once() -> None:
    problems = check_pack("elements: {phone: {grade: L9}, sex: {max_length: 0}}\ntime_limits: {provide: {amount: x}}")
    assert {problem.path for problem in problems} == {
        "elements.sex.max_length",
        "elements.phone.grade",
        "time_limits.provide.amount",
    }


def test_an_unreadable_file_and_unknown_keys_are_domain_errors(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="pack_unreadable"):
        load_pack(tmp_path / "missing.yaml")
    pack = load_pack()
    with pytest.raises(NotFound, match="element"):
        pack.element("nothing")
    with pytest.raises(NotFound, match="indicator"):
        pack.indicator("nothing")
    with pytest.raises(NotFound, match="time_limit"):
        pack.time_limit("nothing")
    with pytest.raises(NotFound, match="code_list"):
        pack.code_list("nothing")


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.floats(allow_nan=False))
KEYS = st.sampled_from(
    [
        "elements",
        "code_lists",
        "time_limits",
        "synonyms",
        "calendar",
        "divisions",
        "revisions",
        "valid_from",
        "level",
        "scoring",
        "classifications",
        "name",
        "zh",
        "codes",
        "phone",
        "sex",
        "grade",
        "1",
    ]
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=10
)


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.text(max_size=60), st.dictionaries(KEYS, DOCUMENTS, max_size=3).map(yaml.safe_dump)))
def test_no_text_breaks_the_parser(text: str) -> None:
    # Either it is a pack or the error is the platform's own; anything else fails the test.
    with suppress(Invalid):
        parse_pack(text)
