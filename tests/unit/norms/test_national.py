"""The national pack as shipped: wide enough for a city, and without a name that means two things."""

from collections import Counter

import duckdb

from datong.norms import (
    DataType,
    IdentifierKind,
    PackLevel,
    QualityFlag,
    check_identifier,
    clean_sql,
    flag_sql,
    load_pack,
)

PACK = load_pack()
DOMAINS_MIN = {
    "population": 20,
    "family": 15,
    "employment": 15,
    "property": 15,
    "education": 10,
    "health": 15,
    "enterprise": 25,
    "finance": 20,
    "transport": 15,
    "environment": 15,
    "geography": 10,
    "certificate": 5,
    "safety": 5,
    "general": 20,
}


def test_it_covers_the_domains_of_a_city() -> None:
    counted = Counter(element.domain for element in PACK.elements)
    assert {domain: counted[domain] for domain in DOMAINS_MIN if counted[domain] < DOMAINS_MIN[domain]} == {}
    assert len(PACK.elements) >= 300
    assert [layer.level for layer in PACK.layers] == [PackLevel.NATIONAL]


def test_every_element_explains_itself() -> None:
    for element in PACK.elements:
        assert element.definition is not None, element.code
        assert element.category, element.code
        assert element.standard, element.code
        assert any(alias.isascii() for alias in (element.code, *element.aliases)), element.code


def test_personal_categories_and_the_personal_mark_agree() -> None:
    personal = {category.key for category in PACK.data_categories if category.key.startswith("personal")}
    marked = {element.code for element in PACK.elements if element.personal}
    assert {element.code for element in PACK.elements if element.category in personal and element.grade.rank >= 3} <= (
        marked | {"property_certificate_number"}
    )


def test_a_name_means_one_element() -> None:
    for element in PACK.elements:
        for name in (element.code, element.name.zh, *element.aliases):
            assert PACK.element_called(name) == element
    assert PACK.element_called("SFZHM") == PACK.element("citizen_id")
    assert PACK.element_called("nothing") is None


def test_every_identifier_is_described_and_its_examples_hold() -> None:
    assert {norm.key for norm in PACK.identifiers} == set(IdentifierKind)
    for norm in PACK.identifiers:
        assert norm.examples
        assert all(check_identifier(norm.key, example).valid for example in norm.examples)


def test_every_code_of_a_list_standardises_to_itself() -> None:
    connection = duckdb.connect()
    for element in PACK.elements:
        if not element.codes:
            continue
        connection.execute("CREATE OR REPLACE TABLE codes (raw VARCHAR)")
        rows = [(spelling,) for code in element.codes for spelling in (code.code, code.name.zh, *code.aliases)]
        connection.executemany("INSERT INTO codes VALUES (?)", rows)
        wrong = connection.execute(
            f"SELECT raw FROM (SELECT raw, {flag_sql(element, 'raw')} AS flag, {clean_sql(element, 'raw')} AS clean"
            f" FROM codes) WHERE flag IS NOT NULL AND flag <> '{QualityFlag.MISSING}'"
        ).fetchall()
        assert wrong == [], element.code


def test_every_classification_has_its_parents() -> None:
    codes = {known.code for known in PACK.classifications}
    assert {"1", "2", "3"} <= codes
    assert len([code for code in codes if code.startswith("1") and len(code) == 3]) == 5
    assert len([code for code in codes if code.startswith("2") and len(code) == 3]) == 12
    assert all(known.parent in codes for known in PACK.classifications if known.parent)
    for code in codes:
        if len(code) == 3:
            assert any(len(other) == 6 and other.startswith(code) for other in codes), code


def test_the_first_licence_may_be_the_default() -> None:
    assert PACK.licences[0].url.startswith("https://")
    assert len({element.data_type for element in PACK.elements}) >= 8
    assert DataType.GENERAL in {element.data_type for element in PACK.elements}
