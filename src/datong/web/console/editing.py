"""The catalogue editor: a draft as a form, the form as a content, and what is wrong beside each field.

Works without JavaScript; with it the page saves by itself. Nothing typed is lost: what cannot be
read comes back as typed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from starlette.datastructures import FormData

from datong.catalogue import (
    ITEM_FIELDS,
    RESOURCE_FIELDS,
    AssessmentConclusion,
    FieldComment,
    Item,
    Missing,
    ResourceContent,
)
from datong.kernel import Text
from datong.norms import DataType, Grade, NormPack, ResourceFormat, ShareMode, ShareType, UpdateCycle

BLANK_ROWS = 3
NEW_ROWS_MAX = 1000
_F, _I = RESOURCE_FIELDS, ITEM_FIELDS


class Field(NamedTuple):
    """One input: the path of its value, its label, and its kind: text, area, select, checks, flag, date or words."""

    path: str
    label: Text
    kind: str
    options: tuple[tuple[str, Text], ...] = ()


class Group(NamedTuple):
    """Inputs under one heading."""

    title: Text
    fields: tuple[Field, ...]


def _both(label: Text, zh: str, en: str) -> Text:
    return Text(zh=f"{label.zh}（{zh}）", en=f"{label.en} ({en})")


def _members(members: Iterable[Any]) -> tuple[tuple[str, Text], ...]:
    return tuple((member.value, member.label) for member in members)


def _keys(entries: Sequence[Any]) -> tuple[tuple[str, Text], ...]:
    return (("", Text(zh="（未选）", en="(none)")), *((entry.key, entry.name) for entry in entries))


def groups_of(pack: NormPack) -> tuple[Group, ...]:
    """Return the inputs of a resource, group by group."""
    words = Text(zh="（每行一个）", en=" (one a line)")
    return (
        Group(
            Text(zh="基本信息", en="Metadata"),
            (
                Field("title.zh", _both(_F["title"], "中文", "Chinese"), "text"),
                Field("title.en", _both(_F["title"], "英文", "English"), "text"),
                Field("summary.zh", _both(_F["summary"], "中文", "Chinese"), "area"),
                Field("summary.en", _both(_F["summary"], "英文", "English"), "area"),
                Field("classification", _F["classification"], "text"),
                Field("theme", _F["theme"], "select", _keys(pack.themes)),
                Field("format", _F["format"], "select", _members(ResourceFormat)),
                Field("update_cycle", _F["update_cycle"], "select", _members(UpdateCycle)),
                Field("source_system", _F["source_system"], "text"),
                Field("data_category", _F["data_category"], "select", _keys(pack.data_categories)),
                Field("keywords", Text(zh=_F["keywords"].zh + words.zh, en=_F["keywords"].en + words.en), "words"),
                Field(
                    "related_codes",
                    Text(zh=_F["related_codes"].zh + words.zh, en=_F["related_codes"].en + words.en),
                    "words",
                ),
            ),
        ),
        Group(
            Text(zh="共享与开放", en="Sharing and opening"),
            (
                Field("share_type", _F["share_type"], "select", _members(ShareType)),
                Field("share_condition", _F["share_condition"], "area"),
                Field("share_modes", _F["share_modes"], "checks", _members(ShareMode)),
                Field("legal_basis", _F["legal_basis"], "area"),
                Field("use_condition", _F["use_condition"], "area"),
                Field("open", _F["open"], "flag"),
                Field("open_condition", _F["open_condition"], "area"),
                Field("licence", _F["licence"], "select", _keys(pack.licences)),
            ),
        ),
        Group(
            Text(zh="范围与联系", en="Coverage and contact"),
            (
                Field("spatial", _F["spatial"], "text"),
                Field("temporal_start", _F["temporal_start"], "date"),
                Field("temporal_end", _F["temporal_end"], "date"),
                Field("contact.unit", Text(zh="联系单位", en="Contact unit"), "text"),
                Field("contact.person", Text(zh="联系人", en="Contact person"), "text"),
                Field("contact.phone", Text(zh="联系电话", en="Telephone"), "text"),
                Field("contact.email", Text(zh="电子邮箱", en="E-mail"), "text"),
            ),
        ),
        Group(
            Text(zh="评估（条例第十三条）", en="Assessment (Art. 13)"),
            (
                Field("assessment.secrecy", Text(zh="保密审查结论", en="Conclusion on secrecy"), "area"),
                Field(
                    "assessment.personal_information",
                    Text(zh="个人信息保护影响评估结论", en="Conclusion on personal information"),
                    "area",
                ),
                Field(
                    "assessment.conclusion",
                    Text(zh="评估结论", en="Conclusion"),
                    "select",
                    (("", Text(zh="（未选）", en="(none)")), *_members(AssessmentConclusion)),
                ),
                Field("assessment.assessed_by", Text(zh="评估人", en="Assessed by"), "text"),
                Field("assessment.assessed_on", Text(zh="评估日期", en="Assessed on"), "date"),
            ),
        ),
    )


def gaps_with_inputs(missing: Iterable[Missing], pack: NormPack) -> list[tuple[str, Missing]]:
    """Return what would raise the quality, each with the input where it is said; empty if no single input says it."""
    inputs = {field.path for group in groups_of(pack) for field in group.fields}
    places = {"contact": "contact.phone"}
    return [(place if (place := places.get(gap.field, gap.field)) in inputs else "", gap) for gap in missing]


ITEM_INPUTS = (
    Field("name.zh", _both(_I["name"], "中文", "Chinese"), "text"),
    Field("name.en", _both(_I["name"], "英文", "English"), "text"),
    Field("column", _I["column"], "text"),
    Field("element", _I["element"], "element"),
    Field("data_type", _I["data_type"], "select", _members(DataType)),
    Field("length", _I["length"], "number"),
    Field("grade", _I["grade"], "select", _members(Grade)),
    Field("key", _I["key"], "flag"),
    Field("share_type", _I["share_type"], "select", _members(ShareType)),
    Field("share_condition", _I["share_condition"], "text"),
    Field("share_modes", _I["share_modes"], "checks", _members(ShareMode)),
    Field("legal_basis", _I["legal_basis"], "text"),
    Field("open", _I["open"], "flag"),
    Field("open_condition", _I["open_condition"], "text"),
)
Typed = dict[str, list[str]]


def typed_from(content: ResourceContent, pack: NormPack) -> Typed:
    """Return a content as the form has it."""
    typed: Typed = {}
    for group in groups_of(pack):
        for field in group.fields:
            typed[field.path] = _typed(content, field)
    for number, item in enumerate(content.items):
        for field in ITEM_INPUTS:
            typed[f"items.{number}.{field.path}"] = _typed(item, field)
        typed[f"items.{number}.place"] = [str(number + 1)]
        typed[f"items.{number}.was"] = [item.column]
    return typed


def _typed(holder: ResourceContent | Item, field: Field) -> list[str]:
    value: Any = holder
    for name in field.path.split("."):
        value = None if value is None else getattr(value, name)
    if field.kind == "words":
        return ["\n".join(value)]
    if field.kind == "checks":
        return [member.value for member in value]
    if field.kind == "flag":
        return ["yes"] if value else []
    if value is None:
        return [""]
    return [str(getattr(value, "value", value))]


def typed_in(form: FormData) -> Typed:
    """Return what a browser sent."""
    typed: Typed = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            typed.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return typed


def item_numbers(typed: Typed) -> list[int]:
    """Return the numbers of the item rows in the form."""
    found = {name.split(".")[1] for name in typed if name.startswith("items.") and name.count(".") >= 2}
    return sorted(int(number) for number in found if number.isascii() and number.isdecimal() and len(number) < 5)


def content_from(typed: Typed, base: ResourceContent, pack: NormPack) -> tuple[ResourceContent | None, dict[str, Text]]:
    """Return the content that a form describes, or what cannot be read by the input's name.

    What the form does not show (binding, distributions, evidence of the mapping) stays as in `base`.
    """
    raw: dict[str, Any] = base.model_dump(mode="json")
    raw["contact"], raw["assessment"] = {}, {}
    for group in groups_of(pack):
        for field in group.fields:
            _put(raw, field, typed.get(field.path, []))
    for name in ("contact", "assessment"):
        if not any(raw[name].values()):
            raw[name] = None
    rows = _item_rows(typed, base, pack)
    raw["items"] = [item for _, item in rows]
    try:
        return ResourceContent.model_validate(raw), {}
    except ValidationError as error:
        wrong: dict[str, Text] = {}
        for found in error.errors(include_url=False, include_input=False):
            path = ".".join(str(part) for part in found["loc"])
            parts = path.split(".")
            if parts[0] == "items" and len(parts) > 1 and parts[1].isdecimal():
                path = ".".join(["items", str(rows[int(parts[1])][0]), *parts[2:]])
            wrong[path] = Text(zh=f"格式不符：{found['msg']}", en=str(found["msg"]))
        return None, wrong


def _item_rows(typed: Typed, base: ResourceContent, pack: NormPack) -> list[tuple[int, dict[str, Any]]]:
    """Return the items of the form in their new order, each with the number of its row."""
    rows: list[tuple[tuple[int, int], dict[str, Any]]] = []
    known = {item.column: item for item in base.items}
    for number in item_numbers(typed):
        start = f"items.{number}."
        if typed.get(f"{start}remove") or not any(typed.get(start + path, [""])[0] for path in ("name.zh", "column")):
            continue
        item = _item_row(typed, start, known.get(typed.get(f"{start}was", [""])[0]), pack)
        place = typed.get(f"{start}place", [""])[0].strip()
        order = int(place) if place.isascii() and place.isdecimal() and len(place) < 6 else NEW_ROWS_MAX * 10
        rows.append(((order, number), item))
    return [(number, item) for (_, number), item in sorted(rows, key=lambda row: row[0])]


def _item_row(typed: Typed, start: str, was: Item | None, pack: NormPack) -> dict[str, Any]:
    item: dict[str, Any] = was.model_dump(mode="json") if was is not None else {"name": {}}
    before = item.get("element")
    for field in ITEM_INPUTS:
        _put(item, field, typed.get(start + field.path, []))
    item["column"] = item["column"] or item["name"]["zh"]
    item["element"] = _element(item["element"], pack)
    if item["element"] != before:
        item["mapping_confidence"], item["mapping_evidence"] = (100 if item["element"] else 0), []
    return item


def _put(holder: dict[str, Any], field: Field, given: list[str]) -> None:
    value: Any = given[0] if given else ""
    if field.kind == "words":
        value = [word.strip() for word in value.split("\n") if word.strip()]
    elif field.kind == "checks":
        value = given
    elif field.kind == "flag":
        value = bool(given)
    elif field.kind == "number":
        value = value.strip() or 0
    elif field.kind == "date" or field.path == "assessment.conclusion":
        value = value.strip() or None
    *outer, last = field.path.split(".")
    for name in outer:
        holder = holder.setdefault(name, {})
    holder[last] = value


def _element(text: str, pack: NormPack) -> str | None:
    """Return the data element that was meant: its code, its name, or a name that sources use."""
    if not text.strip():
        return None
    if pack.has_element(text.strip()):
        return text.strip()
    found = pack.element_called(text)
    return found.code if found is not None else text.strip()


def set_all(typed: Typed, changes: Mapping[str, str]) -> Typed:
    """Return the form with a value set in every item row; an empty one changes nothing."""
    bulk = {name: value for name, value in changes.items() if value}
    return typed | {f"items.{number}.{name}": [value] for number in item_numbers(typed) for name, value in bulk.items()}


def name_of_pointer(pointer: str) -> str:
    """Return the name of the input that a JSON pointer of the completeness check is about."""
    name = pointer.strip("/").replace("/", ".")
    whole = {"title": "title.zh", "summary": "summary.zh", "assessment": "assessment.conclusion"}
    if name in whole:
        return whole[name]
    return f"{name}.zh" if name.startswith("items.") and name.endswith(".name") else name


def comments_by_input(comments: Iterable[FieldComment], typed: Typed) -> dict[str, list[str]]:
    """Return a reviewer's comments by the input they stand beside, `items.<number>` for one on a whole item.

    An item is found by its column where the comment knows it, however it was moved; a comment on one that is gone, or
    on what the form does not show, has no input and is left out.
    """
    rows = {typed.get(f"items.{number}.was", [""])[0]: number for number in item_numbers(typed)}
    found: dict[str, list[str]] = {}
    for comment in comments:
        parts = comment.field.strip("/").split("/")
        if parts[0] == "items" and len(parts) > 1:
            if comment.column not in rows:
                continue
            parts[1] = str(rows[comment.column])
        name = name_of_pointer("/".join(parts))
        name = {"contact": "contact.unit"}.get(name, name)
        is_item = len(parts) == 2 and parts[0] == "items"
        if is_item or name in typed:
            found.setdefault(name, []).append(comment.text)
    return found
