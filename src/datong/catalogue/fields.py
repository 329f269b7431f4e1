"""What the fields of a content are called, and how their values read: one table for pages, spreadsheets and diffs."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from datong.catalogue.values import Item, ResourceContent
from datong.kernel import Text
from datong.norms import NormPack

RESOURCE_FIELDS: Final[Mapping[str, Text]] = {
    "title": Text(zh="信息资源名称", en="Title"),
    "summary": Text(zh="信息资源摘要", en="Summary"),
    "classification": Text(zh="信息资源分类", en="Classification"),
    "format": Text(zh="信息资源格式", en="Format"),
    "share_type": Text(zh="共享类型", en="Share type"),
    "share_condition": Text(zh="共享条件", en="Share condition"),
    "share_modes": Text(zh="共享方式", en="Share modes"),
    "legal_basis": Text(zh="不予共享依据", en="Basis for not sharing"),
    "open": Text(zh="是否开放", en="Open"),
    "open_condition": Text(zh="开放条件", en="Open condition"),
    "update_cycle": Text(zh="更新周期", en="Update cycle"),
    "theme": Text(zh="主题", en="Theme"),
    "keywords": Text(zh="关键词", en="Keywords"),
    "related_codes": Text(zh="关联资源代码", en="Related codes"),
    "use_condition": Text(zh="使用条件", en="Condition of use"),
    "data_category": Text(zh="数据分类", en="Data category"),
    "source_system": Text(zh="信息系统名称", en="Source system"),
    "contact": Text(zh="联系方式", en="Contact"),
    "licence": Text(zh="许可协议", en="Licence"),
    "spatial": Text(zh="空间范围", en="Spatial coverage"),
    "temporal_start": Text(zh="时间范围起", en="Period from"),
    "temporal_end": Text(zh="时间范围止", en="Period until"),
    "distributions": Text(zh="获取方式", en="Distributions"),
    "binding": Text(zh="挂接", en="Binding"),
    "assessment": Text(zh="评估", en="Assessment"),
    "items": Text(zh="信息项", en="Items"),
}
"""Every declared field of a resource, in the order in which it is read."""
ITEM_FIELDS: Final[Mapping[str, Text]] = {
    "name": Text(zh="信息项名称", en="Item name"),
    "column": Text(zh="字段名", en="Column"),
    "element": Text(zh="数据元", en="Data element"),
    "data_type": Text(zh="数据类型", en="Data type"),
    "length": Text(zh="长度", en="Length"),
    "grade": Text(zh="数据分级", en="Grade"),
    "key": Text(zh="主键", en="Key"),
    "share_type": Text(zh="共享类型", en="Share type"),
    "share_condition": Text(zh="共享条件", en="Share condition"),
    "share_modes": Text(zh="共享方式", en="Share modes"),
    "legal_basis": Text(zh="不予共享依据", en="Basis for not sharing"),
    "open": Text(zh="是否开放", en="Open"),
    "open_condition": Text(zh="开放条件", en="Open condition"),
    "mapping_confidence": Text(zh="映射置信度", en="Mapping confidence"),
    "mapping_evidence": Text(zh="映射依据", en="Mapping evidence"),
}
"""Every field of an item, in the order in which it is read."""
NOTHING = Text(zh="（空）", en="(empty)")
YES, NO = Text(zh="是", en="yes"), Text(zh="否", en="no")


def field_name(pointer: str, content: ResourceContent) -> Text:
    """Return what the field behind a JSON pointer into `content` is called, with its item's name."""
    parts = pointer.strip("/").split("/")
    if parts[0] != "items" or len(parts) < 2 or not parts[1].isdecimal() or int(parts[1]) >= len(content.items):
        return RESOURCE_FIELDS.get(parts[0], Text(zh=parts[0], en=parts[0]))
    item: Item = content.items[int(parts[1])]
    zh, en = item.name.zh or item.column, item.name.en or item.name.zh or item.column
    if len(parts) == 2:
        return Text(zh=zh, en=en)
    field = ITEM_FIELDS.get(parts[2], Text(zh=parts[2], en=parts[2]))
    return Text(zh=f"{zh} · {field.zh}", en=f"{en} · {field.en}")


def in_words(value: object, pack: NormPack, *, field: str = "") -> Text:
    """Return how a field's value reads in both languages."""
    if value is None or value == "" or value == ():
        return NOTHING
    if isinstance(value, Text):
        return value if value.zh or value.en else NOTHING
    if isinstance(value, bool):
        return YES if value else NO
    label = getattr(value, "label", None)
    if isinstance(label, Text):
        return label
    if isinstance(value, tuple):
        members = [in_words(member, pack) for member in value]
        return Text(zh="、".join(member.zh for member in members), en=", ".join(member.en for member in members))
    if isinstance(value, int | float | date):
        return Text(zh=str(value), en=str(value))
    if isinstance(value, str):
        return _named(value, pack, field)
    return _parts(value, pack)


def _named(value: str, pack: NormPack, field: str) -> Text:
    if field == "element" and pack.has_element(value):
        return pack.element(value).name
    if field == "classification" and (known := pack.classification(value)) is not None:
        return Text(zh=f"{known.name.zh}（{value}）", en=f"{known.name.en} ({value})")
    names: dict[str, dict[str, Text]] = {
        "theme": {theme.key: theme.name for theme in pack.themes},
        "data_category": {category.key: category.name for category in pack.data_categories},
        "licence": {licence.key: licence.name for licence in pack.licences},
    }
    return names.get(field, {}).get(value, Text(zh=value, en=value))


def _parts(value: object, pack: NormPack) -> Text:
    """A compound value as its stated parts; a binding without the id of its node, which tells a reader nothing."""
    stated = [
        in_words(getattr(value, name), pack)
        for name in type(value).__dict__.get("__pydantic_fields__", {})
        if name != "node_id" and getattr(value, name) not in (None, "", ())
    ]
    return Text(zh="，".join(part.zh for part in stated), en=", ".join(part.en for part in stated))
