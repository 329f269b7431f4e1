"""Reads a library definition that an operator wrote: every fault is named by its field, in both languages.

What is well formed is then checked against the norms and the libraries that exist (`check_definition`).
"""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from datong.kernel import DatongError, Invalid, Text, Value
from datong.library.definition import Definition, LibraryKind
from datong.library.derivation import Faulty
from datong.library.plan import plan_derivation, plan_graph
from datong.norms import NormPack, read_mapping

DEFINITION_CHARS_MAX = 256 * 1024
PROBLEMS_MAX = 50
OPERATOR_KINDS = (LibraryKind.KEYED, LibraryKind.DERIVED, LibraryKind.GRAPH)
RESERVED_NAMES = frozenset({"definitions", "resource"})
"""Names that addresses and datasets use themselves."""
_SHOWN_CHARS_MAX = 60

_MESSAGES: Mapping[str, Text] = {
    "missing": Text(zh="缺少该字段", en="the field is missing"),
    "extra_forbidden": Text(zh="没有这个字段", en="there is no such field"),
    "literal_error": Text(zh="不是允许的值", en="is not one of the values allowed"),
    "enum": Text(zh="不是允许的值", en="is not one of the values allowed"),
    "string_pattern_mismatch": Text(
        zh="只能用小写字母、数字和下划线，并以字母开头", en="use small letters, digits and _, a letter first"
    ),
    "string_too_long": Text(zh="过长", en="is too long"),
    "string_too_short": Text(zh="不能为空", en="must not be empty"),
    "string_type": Text(zh="应是文本", en="must be text"),
    "tuple_type": Text(zh="应是列表", en="must be a list"),
    "set_type": Text(zh="应是列表", en="must be a list"),
    "frozen_set_type": Text(zh="应是列表", en="must be a list"),
    "model_type": Text(zh="应是映射（键: 值）", en="must be a mapping (key: value)"),
    "too_short": Text(zh="项数过少", en="has too few entries"),
    "too_long": Text(zh="项数过多", en="has too many entries"),
    "bool_type": Text(zh="应是 true 或 false", en="must be true or false"),
    "bool_parsing": Text(zh="应是 true 或 false", en="must be true or false"),
    "int_type": Text(zh="应是整数", en="must be a whole number"),
    "int_parsing": Text(zh="应是整数", en="must be a whole number"),
    "float_type": Text(zh="应是数值", en="must be a number"),
    "float_parsing": Text(zh="应是数值", en="must be a number"),
}
_OTHER = Text(zh="不可用", en="cannot be used")
_REMEDIES: Mapping[str, Text] = {
    "missing": Text(zh="请补上。", en="Add it."),
    "extra_forbidden": Text(zh="请删去或改正字段名。", en="Remove it or correct its name."),
}
_REMEDY = Text(zh="请按 docs/library/definitions.md 改正。", en="Correct it by docs/library/definitions.md.")


class DefinitionProblem(Value):
    """One thing wrong in a definition: where (a JSON pointer), what, and what to do."""

    field: str
    message: Text
    remedy: Text


def read_definition(text: str) -> tuple[Definition | None, tuple[DefinitionProblem, ...]]:
    """Return the definition that the YAML `text` holds, or what is wrong with it (at most 50 problems)."""
    if len(text) > DEFINITION_CHARS_MAX:
        return None, (
            DefinitionProblem(
                field="",
                message=Text(
                    zh=f"文件超过 {DEFINITION_CHARS_MAX} 个字符", en=f"longer than {DEFINITION_CHARS_MAX} characters"
                ),
                remedy=_REMEDY,
            ),
        )
    try:
        return Definition.model_validate(read_mapping(text)), ()
    except Invalid as error:
        message = Text(zh=error.what.zh.replace("规范包", "文件"), en=error.what.en.replace("norm pack", "file"))
        return None, (DefinitionProblem(field=error.field or "", message=message, remedy=error.remedy),)
    except ValidationError as error:
        found = [_problem(details) for details in error.errors(include_url=False)[:PROBLEMS_MAX]]
        return None, tuple(found)


def check_definition(
    definition: Definition, libraries: Mapping[str, Definition], shipped: Mapping[str, Definition], pack: NormPack
) -> tuple[DefinitionProblem, ...]:
    """Return what does not fit in a well-formed definition: its name, its elements, its inputs and expressions."""
    return (*_own_place(definition, shipped), *_elements(definition, pack), *_derivation(definition, libraries, pack))


def _own_place(definition: Definition, shipped: Mapping[str, Definition]) -> Iterator[DefinitionProblem]:
    if definition.kind not in OPERATOR_KINDS:
        yield DefinitionProblem(
            field="/kind",
            message=Text(
                zh="只能新增 keyed、derived、graph 类的资源库",
                en="only keyed, derived and graph libraries can be added",
            ),
            remedy=Text(zh="人口和行政区划由平台提供。", en="People and divisions come with the platform."),
        )
    known = shipped.get(definition.name)
    if definition.name in RESERVED_NAMES or (
        known is not None and known.kind not in (LibraryKind.DERIVED, LibraryKind.GRAPH)
    ):
        yield DefinitionProblem(
            field="/name",
            message=Text(
                zh=f"{definition.name} 是平台自带的基础库或保留名",
                en=f"{definition.name} is a base library or reserved",
            ),
            remedy=Text(zh="请另取名称。", en="Choose another name."),
        )
    if definition.version < 1:
        yield DefinitionProblem(
            field="/version", message=Text(zh="版本应从 1 起", en="versions begin at 1"), remedy=_REMEDY
        )


def _elements(definition: Definition, pack: NormPack) -> Iterator[DefinitionProblem]:
    named = [(f"/elements/{place}/code", rule.code) for place, rule in enumerate(definition.elements)]
    for place, role in enumerate(definition.roles):
        named.extend((f"/roles/{place}", code) for code in sorted(role.requires | role.any_of))
    if definition.identity is not None:
        named.extend(("/identity/trusted", part.element) for part in definition.identity.trusted)
        named.extend(("/identity/guard", part.element) for part in definition.identity.guard)
        for place, rule in enumerate(definition.identity.rules):
            named.extend((f"/identity/rules/{place}", part.element) for part in rule.parts)
    for field, code in named:
        if not pack.has_element(code):
            yield DefinitionProblem(
                field=field,
                message=Text(zh=f"规范中没有数据元 {code[:40]}", en=f"the norms have no data element {code[:40]}"),
                remedy=Text(zh="请在“规范体系”中查找数据元代码。", en="Look up the element's code among the norms."),
            )


def _derivation(
    definition: Definition, libraries: Mapping[str, Definition], pack: NormPack
) -> Iterator[DefinitionProblem]:
    known = {**libraries, definition.name: definition}
    try:
        if definition.derivation is not None:
            plan_derivation(definition, known, pack)
        elif definition.graph is not None:
            plan_graph(definition, known, pack)
    except DatongError as error:
        yield DefinitionProblem(field=error.field or "/derivation", message=error.what, remedy=error.remedy)


def _problem(details: ErrorDetails) -> DefinitionProblem:
    field = "".join(f"/{part}" for part in details["loc"])
    kind = details["type"]
    faulty = details.get("ctx", {}).get("error")
    if isinstance(faulty, Faulty):
        return DefinitionProblem(field=field or "/", message=faulty.text, remedy=_REMEDY)
    message = _MESSAGES.get(kind, _OTHER)
    expected = details.get("ctx", {}).get("expected")
    if kind in ("literal_error", "enum") and expected:
        message = Text(zh=f"{message.zh}（可用：{expected}）", en=f"{message.en} (use: {expected})")
    given = details.get("input")
    if kind not in ("missing", "extra_forbidden") and isinstance(given, str | int | float | bool):
        shown = str(given)[:_SHOWN_CHARS_MAX]
        message = Text(zh=f"“{shown}”{message.zh}", en=f"“{shown}” {message.en}")
    return DefinitionProblem(field=field or "/", message=message, remedy=_REMEDIES.get(kind, _REMEDY))


def problems_error(problems: tuple[DefinitionProblem, ...]) -> Invalid:
    """Return the error that names every problem."""
    shown = problems[:PROBLEMS_MAX]
    return Invalid(
        "library.definition_invalid",
        what=Text(
            zh="定义有误：" + "；".join(f"{found.field} {found.message.zh}" for found in shown[:5]) + "。",
            en="The definition is wrong: "
            + "; ".join(f"{found.field} {found.message.en}" for found in shown[:5])
            + ".",
        ),
        remedy=shown[0].remedy,
        field=shown[0].field,
        context={"problems": [found.model_dump() for found in shown], "count": len(problems)},
    )
