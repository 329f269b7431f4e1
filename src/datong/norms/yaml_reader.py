"""Reads one YAML mapping from text that a stranger wrote: bounded, without aliases, duplicates or surprises."""

from typing import Any

import yaml
from yaml.composer import Composer

from datong.kernel import Invalid, Text

YAML_CHARS_MAX = 4 * 1024 * 1024
YAML_DEPTH_MAX = 12


class _StrictLoader(Composer, yaml.CSafeLoader):
    """The safe loader, refusing aliases (they multiply), repeated keys (they hide) and deep nesting.

    Text is cut into events by libyaml, which is ten times as fast; nodes are composed here, where the rules apply.
    """

    depth = 0

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", _mark(self.peek_event()))
        self.depth += 1
        if self.depth > YAML_DEPTH_MAX:
            raise yaml.constructor.ConstructorError(None, None, "nested too deeply", _mark(self.peek_event()))
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys are the text as written: an unquoted `01` stays the code 01."""
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
            if key.value in mapping:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} occurs twice", key.start_mark)
            mapping[key.value] = self.construct_object(value, deep=True)
        return mapping


def _mark(event: Any) -> Any:
    return event.start_mark


def read_mapping(text: str, name: str = "") -> dict[str, object]:
    """Return the mapping that the YAML `text` of the file `name` holds; every key in it is text.

    Raises:
        Invalid: it is no YAML, no mapping, too large, or uses aliases, repeated keys or deep nesting.
    """
    if len(text) > YAML_CHARS_MAX:
        raise _unreadable(name, f"longer than {YAML_CHARS_MAX} characters")
    try:
        document = _StrictLoader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        place = f"{name}: {place}" if name else place
        raise _unreadable(place, str(error.problem)) from error
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        raise _unreadable(name, str(error)) from error
    if not isinstance(document, dict):
        raise _unreadable(name, "the document is not a mapping")
    return document


def _unreadable(place: str, problem: str) -> Invalid:
    return Invalid(
        "norms.yaml_unreadable",
        what=Text(
            zh=f"规范包不是可用的 YAML（{place or '整个文件'}）：{problem}。",
            en=f"The norm pack is not usable YAML ({place or 'whole file'}): {problem}.",
        ),
        remedy=Text(zh="请改正后重试。", en="Correct it and try again."),
        field=place or None,
    )
