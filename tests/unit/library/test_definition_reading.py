"""What an operator writes: a good definition is read, everything wrong is named by its field in both languages."""

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.library.defining import definition_changes
from datong.library.definition import DEFINITIONS, shipped_definitions
from datong.library.definition_reading import check_definition, read_definition
from datong.norms import load_pack

PACK = load_pack(None)
SHIPPED = {known.name: known for known in shipped_definitions()}
TEXT = """
name: large_families
version: 1
title: {zh: 多子女家庭, en: Large families}
entity: {zh: 家庭, en: Family}
kind: derived
key_elements: [household_id]
summary_elements: [household_id, children, verdict]
derivation:
  inputs:
    - {name: people, library: population}
  subject: {by: household_id}
  parameters:
    - {code: children_least, title: {zh: 子女数下限, en: Least number of children}, value: 2, unit: 人}
  measures:
    - {code: children, title: {zh: 子女数, en: Children}, unit: 人, input: people, take: count,
       where: "relation_to_head in ('20', '30')"}
  rules:
    - {code: children, title: {zh: 子女数, en: Children}, value: children, must: at_least, threshold: children_least}
"""


def problems(text: str) -> dict[str, str]:
    """Return the English message of every problem, by field."""
    definition, found = read_definition(text)
    if definition is not None:
        found = check_definition(definition, SHIPPED, SHIPPED, PACK)
    assert all(problem.message.zh and problem.remedy.zh and problem.remedy.en for problem in found)
    return {problem.field: problem.message.en for problem in found}


def test_the_definition_of_the_guide_is_good() -> None:
    assert problems(TEXT) == {}
    guide = (DEFINITIONS.parents[3] / "docs" / "library" / "definitions.md").read_text(encoding="utf-8")
    assert "name: large_families" in guide
    assert problems(guide.split("```yaml")[1].split("```")[0]) == {}


def test_every_fault_is_named_by_its_field() -> None:
    changed = {
        "kind: derived": ("kind: magic", "/kind", "is not one of the values allowed"),
        "name: large_families": ("name: Large", "/name", "small letters"),
        "version: 1\n": ("version: many\n", "/version", "must be a whole number"),
        "version: 1\nt": ("version: 1\ncolour: red\nt", "/colour", "no such field"),
        "kind: derived\n": ("", "/kind", "is missing"),
        "library: population": ("library: moon", "/derivation/inputs/0/library", "there is no moon"),
        "by: household_id": ("by: shoe_size", "/", "keys that are no elements"),
        "take: count": ("take: count, compute: '1'", "/derivation/measures/0", "either `take` or `compute`"),
        "in ('20'": ("in (20", "/derivation/measures/0/where", "a text is needed here"),
        "value: children,": ("value: kids,", "/derivation/rules/0/value", "there is no kids"),
        "threshold: children_least": ("threshold: \"'2'\"", "/derivation/rules/0/threshold", "different types"),
        "name: large_families\n": ("name: population\n", "/name", "is a base library"),
        "inputs:\n": ("inputs: &a\n", "", ""),
    }
    for old, (new, field, message) in changed.items():
        text = TEXT.replace(old, new, 1)
        assert text != TEXT
        if not field:
            continue
        found = problems(text)
        assert message in found.get(field, ""), (new, found)
    assert "aliases" in next(iter(problems("a: &x 1\nb: *x\n").values()))
    assert next(iter(problems("- 1\n").values()))


def test_differences_are_told_by_code_not_by_place() -> None:
    before, _ = read_definition(TEXT)
    after, _ = read_definition(TEXT.replace("value: 2,", "value: 3,").replace("version: 1\n", "version: 2\n"))
    assert before is not None
    assert after is not None
    assert {(change.field, change.before, change.after) for change in definition_changes(before, after)} == {
        ("/version", "1", "2"),
        ("/derivation/parameters/children_least/value", "2.0", "3.0"),
    }
    assert definition_changes(before, before) == ()
    assert {change.before for change in definition_changes(None, after)} == {None}


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60, deadline=None)
@given(st.data())
def test_no_text_breaks_the_reader(data: st.DataObject) -> None:
    """Texts, documents with one part replaced, and documents with a part cut out are read or refused in words."""
    junk = st.one_of(
        st.none(), st.integers(), st.text(max_size=8), st.lists(st.integers(), max_size=2), st.just({"a": 1})
    )
    document = yaml.safe_load(TEXT)
    node: Any = document
    path: list[tuple[Any, Any]] = []
    while isinstance(node, dict | list) and node and (not path or data.draw(st.booleans())):
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        path.append((node, key))
        node = node[key]
    parent, key = path[-1]
    parent[key] = data.draw(junk)
    text = data.draw(st.one_of(st.just(yaml.safe_dump(document, allow_unicode=True)), st.text(max_size=40)))
    for message in problems(text).values():
        assert message
