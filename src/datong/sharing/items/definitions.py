"""Service items that ship as definitions: which materials a service asks for, and what of them departments hold.

A department takes a definition into its register (`new_item`); what it asks for is then obtained through sharing.
"""

from collections.abc import Sequence
from importlib import resources

from pydantic import Field, ValidationError

from datong.catalogue import NewServiceField, NewServiceItem
from datong.catalogue.service_values import SECONDS_DEFAULT, SHEETS_MAX
from datong.kernel import DatongError, DepartmentCode, Invalid, Misconfigured, NotFound, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.norms import NormPack, read_mapping

DEFINITIONS_MAX = 2000
MATERIALS_MAX = 50
ELEMENTS_MAX = 100
GROUPS: dict[str, Text] = {
    "education": Text(zh="教育", en="Education"),
    "assistance": Text(zh="社会救助", en="Social assistance"),
    "notarisation": Text(zh="公证", en="Notarisation"),
}


class Material(Value):
    """One thing that applicants used to bring: either what it says is known to departments, or it must be brought."""

    name: Text
    issuer: Text | None = None
    sheets: int = Field(1, ge=0, le=SHEETS_MAX)
    elements: tuple[str, ...] = Field((), max_length=ELEMENTS_MAX)
    brought: Text | None = None


class ItemDefinition(Value):
    """A service as it is defined for everybody; the department that offers it takes it into its register."""

    code: str = Field(min_length=1, max_length=64, pattern=r"^\S+$")
    group: str
    name: Text
    owner: Text
    legal_basis: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    note: Text | None = None
    materials: tuple[Material, ...] = Field(min_length=1, max_length=MATERIALS_MAX)

    @property
    def elements(self) -> tuple[str, ...]:
        """Every data element that it needs, in order."""
        return tuple(element for material in self.materials for element in material.elements)

    def new_item(self, department: DepartmentCode, *, annual_cases: int, pack: NormPack) -> NewServiceItem:
        """Return the item as `department` registers it; a material that must be brought is a field without element."""
        return NewServiceItem(
            code=self.code,
            name=self.name,
            department=department,
            legal_basis=self.legal_basis,
            annual_cases=annual_cases,
            fields=tuple(field for material in self.materials for field in _fields(material, pack)),
        )


def read_definitions(text: str, *, pack: NormPack, name: str = "") -> tuple[ItemDefinition, ...]:
    """Return the definitions that a YAML text holds.

    Raises:
        Invalid: it is no YAML of definitions, names a group or an element that does not exist, or the same twice.
    """
    document = read_mapping(text, name)
    found = document.get("definitions")
    if set(document) != {"definitions"} or not isinstance(found, list) or len(found) > DEFINITIONS_MAX:
        raise _faulty(name, Text(zh="须有唯一的列表 definitions", en="it must hold one list, definitions"))
    made: list[ItemDefinition] = []
    for place, one in enumerate(found):
        try:
            definition = ItemDefinition.model_validate(one)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = "/".join(str(part) for part in ("definitions", place, *first["loc"]))
            raise _faulty(f"{name} {where}".strip(), Text(zh=str(first["msg"]), en=str(first["msg"]))) from error
        _check(definition, {known.code for known in made}, pack, f"{name} {definition.code}".strip())
        made.append(definition)
    return tuple(made)


def shipped_definitions(pack: NormPack) -> tuple[ItemDefinition, ...]:
    """Return the definitions that ship with the platform, by group and code.

    Raises:
        Misconfigured: a file of the release is damaged, or names an element that the norm packs do not have.
    """
    folder = resources.files("datong.sharing.items").joinpath("data")
    found: list[ItemDefinition] = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".yaml"):
            try:
                found += read_definitions(entry.read_text(encoding="utf-8"), pack=pack, name=entry.name)
            except DatongError as error:
                raise Misconfigured(
                    "sharing.definitions_broken",
                    what=Text(
                        zh=f"随平台发布的事项定义不可用：{error.what.zh}",
                        en=f"The service items of the release are not usable: {error.what.en}",
                    ),
                    remedy=Text(zh="请恢复发布版本中的文件。", en="Restore the files of the release."),
                ) from error
    order = tuple(GROUPS)
    return tuple(sorted(found, key=lambda one: (order.index(one.group), one.code)))


def definition_of(code: str, definitions: Sequence[ItemDefinition]) -> ItemDefinition:
    """Return the definition with a code.

    Raises:
        NotFound: none has it.
    """
    for one in definitions:
        if one.code == code:
            return one
    raise NotFound(
        "sharing.definition_unknown",
        what=Text(zh=f"没有代码为 {code[:64]} 的事项定义。", en=f"No service item is defined with code {code[:64]}."),
        remedy=Text(zh="请从事项目录中选择。", en="Choose one from the list of definitions."),
    )


def _check(definition: ItemDefinition, known: set[str], pack: NormPack, place: str) -> None:
    if definition.code in known:
        raise _faulty(place, Text(zh="代码重复", en="the code occurs twice"))
    if definition.group not in GROUPS:
        raise _faulty(place, Text(zh=f"没有分组 {definition.group}", en=f"there is no group {definition.group}"))
    for element in definition.elements:
        if not pack.has_element(element):
            raise _faulty(
                place, Text(zh=f"规范包中没有数据元 {element}", en=f"the norm packs have no element {element}")
            )
    if len(set(definition.elements)) != len(definition.elements):
        raise _faulty(place, Text(zh="同一数据元出现两次", en="an element occurs twice"))
    for material in definition.materials:
        if bool(material.elements) == (material.brought is not None):
            raise _faulty(
                place,
                Text(
                    zh=f"材料“{material.name.zh}”须列出数据元，或者说明为何须提交，二者取一",
                    en=f'the material "{material.name.en}" needs either elements or a reason to be brought',
                ),
            )


def _fields(material: Material, pack: NormPack) -> list[NewServiceField]:
    called = material.name.zh[:NAME_CHARS_MAX]
    if material.brought is not None:
        return [NewServiceField(name=material.name, material=called, seconds=SECONDS_DEFAULT, sheets=material.sheets)]
    return [
        NewServiceField(
            name=pack.element(element).name,
            material=called,
            element=element,
            seconds=SECONDS_DEFAULT,
            # The sheets of a material are counted once, with its first field.
            sheets=material.sheets if place == 0 else 0,
        )
        for place, element in enumerate(material.elements)
    ]


def _faulty(place: str, problem: Text) -> Invalid:
    where_zh, where_en = (place or "整个文件", place or "whole file")
    return Invalid(
        "sharing.definitions_invalid",
        what=Text(
            zh=f"事项定义有误（{where_zh}）：{problem.zh}。", en=f"A definition is faulty ({where_en}): {problem.en}."
        ),
        remedy=Text(zh="请按文档修改后重试。", en="Correct it as the documentation says."),
    )
