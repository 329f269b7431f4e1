"""What a new version of a pack breaks; a pack does not differ from itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.norms import ChangeKind, Severity, compare_packs, load_pack, parse_pack

BASE = """
elements:
  dog_licence:
    name: {zh: 犬证号, en: Dog licence}
    data_type: N
    max_length: 12
    decimals: 2
    unit: 元
    pattern: "[0-9]+"
    grade: L2
    standard: 本地
    aliases: [犬证, gzh]
code_lists:
  colour:
    name: {zh: 颜色, en: Colour}
    standard: 本地
    codes: {"1": {zh: 红, en: Red, aliases: [红色]}, "2": {zh: 蓝, en: Blue}}
time_limits: {hearing: {name: {zh: 听证, en: Hearing}, amount: 10, article: 本地}}
classifications: {"101001A": {zh: 甲, en: A}}
"""


def diff(old: str, new: str, base: str = BASE) -> dict[str, Severity]:
    assert old in base
    found = compare_packs(parse_pack(base), parse_pack(base.replace(old, new)))
    return {change.path: change.severity for change in found.changes}


@pytest.mark.parametrize(
    ("old", "new", "path", "severity"),
    [
        ("data_type: N", "data_type: C", "elements.dog_licence.data_type", Severity.BREAKING),
        ("max_length: 12", "max_length: 8", "elements.dog_licence.max_length", Severity.BREAKING),
        ("max_length: 12", "max_length: 20", "elements.dog_licence.max_length", Severity.COMPATIBLE),
        ("decimals: 2", "decimals: 1", "elements.dog_licence.decimals", Severity.BREAKING),
        ("unit: 元", "unit: 万元", "elements.dog_licence.unit", Severity.BREAKING),
        ('pattern: "[0-9]+"', 'pattern: "[0-9]{4}"', "elements.dog_licence.pattern", Severity.BREAKING),
        ('    pattern: "[0-9]+"\n', "", "elements.dog_licence.pattern", Severity.COMPATIBLE),
        ("grade: L2", "grade: L3", "elements.dog_licence.grade", Severity.BREAKING),
        ("grade: L2", "grade: L1", "elements.dog_licence.grade", Severity.COMPATIBLE),
        ("grade: L2", "grade: L2\n    mask: id", "elements.dog_licence.mask", Severity.BREAKING),
        ("grade: L2", "grade: L2\n    personal: true", "elements.dog_licence.personal", Severity.BREAKING),
        ("犬证, gzh", "犬证", "elements.dog_licence.aliases", Severity.BREAKING),
        ("犬证, gzh", "犬证, gzh, dog", "elements.dog_licence.aliases", Severity.COMPATIBLE),
        (
            "standard: 本地\n    aliases",
            "standard: 他处\n    aliases",
            "elements.dog_licence.standard",
            Severity.EDITORIAL,
        ),
        ("en: Dog licence", "en: Licence of a dog", "elements.dog_licence.name", Severity.EDITORIAL),
        (', "2": {zh: 蓝, en: Blue}', "", "code_lists.colour.codes.2", Severity.BREAKING),
        ('"2": {zh: 蓝', '"3": {zh: 绿, en: Green}, "2": {zh: 蓝', "code_lists.colour.codes.3", Severity.COMPATIBLE),
        ("zh: 红, en", "zh: 赤, en", "code_lists.colour.codes.1.name", Severity.BREAKING),
        ("en: Red", "en: Reddish", "code_lists.colour.codes.1.name", Severity.EDITORIAL),
        ("[红色]", "[]", "code_lists.colour.codes.1.aliases", Severity.BREAKING),
        ("en: Blue}", "en: Blue, valid_until: 2030-01-01}", "code_lists.colour.codes.2.valid_until", Severity.BREAKING),
        ("amount: 10", "amount: 5", "time_limits.hearing.amount", Severity.BREAKING),
        ("amount: 10", "amount: 15", "time_limits.hearing.amount", Severity.COMPATIBLE),
        ("{zh: 甲, en: A}", "{zh: 乙, en: A}", "classifications.101001A.name", Severity.BREAKING),
        ("{zh: 甲, en: A}", "{zh: 甲, en: B}", "classifications.101001A.name", Severity.EDITORIAL),
        (
            "time_limits: {hearing",
            "calendar: {2030-01-01: true}\ntime_limits: {hearing",
            "calendar.2030-01-01",
            Severity.BREAKING,
        ),
        (
            "time_limits: {hearing",
            "code_serial_digits: 8\ntime_limits: {hearing",
            "code_serial_digits",
            Severity.BREAKING,
        ),
        (
            "time_limits: {hearing",
            'divisions: {"440699": {name: 新区}}\ntime_limits: {hearing',
            "divisions.440699",
            Severity.COMPATIBLE,
        ),
    ],
)
def test_a_change_has_its_severity(old: str, new: str, path: str, severity: Severity) -> None:
    assert diff(old, new) == {path: severity}


def test_what_is_added_is_compatible_and_what_goes_breaks() -> None:
    found = compare_packs(load_pack(), parse_pack(BASE))
    assert {change.kind for change in found.changes} == {ChangeKind.ADDED}
    assert not found.breaking
    back = compare_packs(parse_pack(BASE), load_pack())
    assert {change.kind for change in back.changes} == {ChangeKind.REMOVED}
    assert back.breaking
    assert {change.path for change in back.changes} == {change.path for change in found.changes}
    assert all(change.effect.zh and change.effect.en for change in found.changes + back.changes)


LINES = st.lists(
    st.sampled_from(
        [
            "elements: {phone: {grade: L4}}",
            "elements: {phone: {aliases: [热线]}}",
            "code_lists: {sex: {codes: {'3': {zh: 示例, en: Example}}}}",
            "time_limits: {provide: {amount: 3}}",
            "calendar: {2030-01-01: false}",
            "synonyms: [[犬, 狗]]",
            "divisions: {'440699': {name: 新区, since: 2025}}",
            "scoring: {table: {mapped: 20, type: 20, values: 60}}",
            "licences: {own: {name: {zh: 自有, en: Own}}}",
        ]
    ),
    max_size=4,
    unique=True,
)


@settings(max_examples=40, deadline=None)
@given(LINES, LINES)
def test_a_pack_equals_itself_and_differences_mirror(left: list[str], right: list[str]) -> None:
    one, other = parse_pack(*left), parse_pack(*right)
    assert compare_packs(one, one).changes == ()
    assert compare_packs(one, parse_pack(*left)).changes == ()
    there, back = compare_packs(one, other), compare_packs(other, one)
    assert {change.path for change in there.changes} == {change.path for change in back.changes}
    mirrored = {(change.path, change.after, change.before) for change in back.changes}
    assert {(change.path, change.before, change.after) for change in there.changes} == mirrored
