"""Definitions: the shipped ones are sound, a broken one is refused with its name, roles are told by elements."""

from pathlib import Path

import pytest

from datong.kernel import Misconfigured
from datong.library import load_definition, shipped_definitions
from datong.library.definition import DEFINITIONS
from datong.library.training import rewrite_weights
from datong.norms import load_pack
from tests.library_sources import landed


def test_the_shipped_definitions_speak_of_known_elements() -> None:
    pack = load_pack(None)
    assert {known.name for known in shipped_definitions()} >= {"population", "geography", "legal_entity", "certificate"}
    for definition in shipped_definitions():
        for rule in definition.elements:
            assert pack.has_element(rule.code), rule.code
        for role in definition.roles:
            for element in role.requires | role.any_of:
                assert pack.has_element(element), element


def test_roles_are_told_by_elements(tmp_path: Path) -> None:
    population = next(known for known in shipped_definitions() if known.name == "population")

    def role(*elements: str) -> str | None:
        found = population.role_of(landed(tmp_path, "source", {name: name for name in elements}, []))
        return found.key if found else None

    assert role("person_name", "household_id", "relation_to_head") == "household_register"
    assert role("person_name", "citizen_id", "insurance_status") == "insurance_register"
    assert role("person_name", "citizen_id") == "other_person_register"
    assert role("citizen_id") is None
    assert role("division_code", "division_name", "parent_division_code") is None


def test_a_broken_definition_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("name: odd\nkind: linked\n", encoding="utf-8")
    with pytest.raises(Misconfigured, match=r"odd\.yaml"):
        load_definition(path)


def test_weights_are_rewritten_in_place() -> None:
    path = DEFINITIONS / "population.yaml"
    linkage = load_definition(path).linkage
    assert linkage is not None
    text = path.read_text(encoding="utf-8")
    changed = linkage.model_copy(
        update={
            "comparisons": tuple(
                comparison.model_copy(
                    update={"levels": tuple(level.model_copy(update={"m": 0.25}) for level in comparison.levels)}
                )
                for comparison in linkage.comparisons
            )
        }
    )
    rewritten = rewrite_weights(text, changed)
    assert rewritten.count("m: 0.25,") == sum(len(comparison.levels) for comparison in linkage.comparisons)
    assert rewritten.splitlines()[0] == text.splitlines()[0]
    with pytest.raises(Misconfigured, match="weights_misplaced"):
        rewrite_weights(text + "# m: 0.1, u: 0.1\n", linkage)
