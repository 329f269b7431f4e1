"""Synthetic values are valid by the norms, the same for the same seed, and nobody's."""

import re

from hypothesis import given
from hypothesis import strategies as st

from datong.norms import DataType, IdentifierKind
from datong.norms.identifiers import check_identifier
from datong.sharing.applications.synthetic import TEST_DIVISION, Choices, element_value, patterned, records_of
from tests.unit.sharing.samples import resource
from tests.unit.sharing.world import PACK

NUMBERS = {DataType.NUMERIC, DataType.CURRENCY, DataType.INTEGER, DataType.DOUBLE}


def test_every_element_of_the_norm_packs_has_a_value_that_its_norm_accepts() -> None:
    for element in PACK.elements:
        value = element_value(element, PACK, Choices(element.code.encode()))
        assert value, element.code
        if element.identifier is not None:
            assert check_identifier(element.identifier, value).valid, (element.code, value)
        elif element.code_list is not None:
            assert PACK.code_list(element.code_list).code(value) is not None
        elif element.data_type in NUMBERS:
            assert re.fullmatch(r"[0-9]+(\.[0-9]+)?", value), (element.code, value)
        elif element.pattern and element.data_type is DataType.CHARACTER:
            pattern = element.pattern.replace(r"\p{Han}", "\u3400-\u9fff").replace("[\u3400-\u9fff]", "[\u3400-\u9fff]")
            pattern = re.sub(r"(?<!\[)\u3400-\u9fff(?![^\[]*\])", "[\u3400-\u9fff]", pattern)
            assert re.fullmatch(pattern, value), (element.code, element.pattern, value)
        if element.max_length and element.data_type is DataType.CHARACTER:
            assert len(value) <= element.max_length, (element.code, value)


def test_identifiers_pass_their_checks_and_name_no_division_that_exists() -> None:
    ids = {record["gmsfhm"] for record in records_of(resource(), PACK, seed="app-1")}
    assert len(ids) == 50
    for value in ids:
        assert check_identifier(IdentifierKind.CITIZEN_ID, value).valid
        assert value.startswith(TEST_DIVISION)
    assert PACK.division_register.lookup(TEST_DIVISION, 2026) is None


def test_the_same_seed_gives_the_same_records_of_the_resources_shape() -> None:
    made = records_of(resource(), PACK, seed="app-1", count=3)
    assert made == records_of(resource(), PACK, seed="app-1", count=3)
    assert made != records_of(resource(), PACK, seed="app-2", count=3)
    assert all(set(record) == {item.column for item in resource().content.items} for record in made)


@given(st.from_regex(r"(\[[A-Z0-9]-?\]|[A-Z0-9]){1,4}(\{[1-5]\})?", fullmatch=True), st.binary(max_size=8))
def test_a_simple_pattern_is_matched(pattern: str, seed: bytes) -> None:
    assert re.fullmatch(pattern, patterned(pattern, Choices(seed)))
