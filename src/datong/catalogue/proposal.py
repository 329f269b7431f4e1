"""Turns a table's profile into a draft of a resource: items, grades, share types, keys, title; pure.

A proposal is a starting point for the data officer, never a decision: `attention` says what to look at.
"""

from datong.catalogue.mapping import map_column
from datong.catalogue.profile import ColumnProfile, TableProfile
from datong.catalogue.values import Binding, Department, Item, ResourceContent, ResourceDraft
from datong.kernel import NodeId, Text
from datong.kernel.limits import ITEMS_PER_RESOURCE_MAX
from datong.norms import DataType, Grade, NormPack, ShareMode, ShareType, Theme, UpdateCycle

CONFIDENT = 80
DEFAULT_CLASSIFICATION = "301001"
DEFAULT_THEME = "general"
DEFAULT_CONDITION = "用于法定职责所需，按约定的用途、范围和期限使用，不得向第三方提供。"
CURSOR_ELEMENT = "updated_at"
_CLASSIFICATION_OF_THEME = {
    "population": "101001",
    "family": "101001",
    "employment": "203001",
    "property": "103002",
    "education": "201001",
    "geography": "103001",
    "enterprise": "102001",
}
_THEME_OF_ELEMENT = {
    "real_estate_unit": "property",
    "property_address": "property",
    "student_id": "education",
    "school_name": "education",
    "grade_level": "education",
    "marital_status": "family",
    "married_on": "family",
    "spouse_citizen_id": "family",
    "low_income_status": "family",
    "benefit_amount": "family",
    "social_insurance_months": "employment",
    "insurance_status": "employment",
    "annual_income": "employment",
    "household_id": "population",
    "relation_to_head": "population",
    "ethnicity": "population",
    "division_level": "geography",
    "parent_division_code": "geography",
    "division_name": "geography",
}


def propose_resource(
    profile: TableProfile, pack: NormPack, department: Department, *, node_id: NodeId, source: str
) -> ResourceDraft:
    """Return a draft of the resource that the table of `profile` could be."""
    items = _distinct([_item(column, pack, profile) for column in profile.columns[:ITEMS_PER_RESOURCE_MAX]])
    theme = _theme(profile, items, pack)
    title = _title(profile, theme, department)
    grade = max((item.grade for item in items), key=lambda member: member.rank, default=Grade.L1)
    share_type = ShareType.CONDITIONAL if grade.rank >= Grade.L3.rank else ShareType.UNCONDITIONAL
    cursor = next((item.column for item in items if item.element == CURSOR_ELEMENT), None)
    keys = tuple(item.column for item in items if item.key)
    names = "、".join(item.name.zh for item in items[:12])
    content = ResourceContent(
        title=title,
        summary=Text(
            zh=f"{department.name.zh}的{title.zh}，包含{names}{'等' if len(items) > 12 else ''}{len(items)}个信息项。",
            en=f"{title.en} of {department.name.en}: {len(items)} items.",
        ),
        classification=_CLASSIFICATION_OF_THEME.get(theme.key, DEFAULT_CLASSIFICATION),
        items=items,
        share_type=share_type,
        share_condition=DEFAULT_CONDITION if share_type is ShareType.CONDITIONAL else "",
        share_modes=(ShareMode.INTERFACE, ShareMode.BULK),
        update_cycle=UpdateCycle.DAILY if cursor else UpdateCycle.IRREGULAR,
        binding=Binding(node_id=node_id, source=source, table=profile.table, cursor_column=cursor, key_columns=keys),
        theme=theme.key,
        keywords=tuple(dict.fromkeys(word for word in theme.words if word in title.zh))[:10],
    )
    return ResourceDraft(content=content, attention=_attention(profile, items, cursor))


def _distinct(items: list[Item]) -> tuple[Item, ...]:
    """Let each element and each name belong to one item: to the surest, and after it the first."""
    best: dict[str, Item] = {}
    for item in items:
        if item.element is not None:
            known = best.get(item.element)
            best[item.element] = item if known is None or item.mapping_confidence > known.mapping_confidence else known
    distinct: list[Item] = []
    names: set[str] = set()
    for item in items:
        changes: dict[str, object] = {}
        if item.element is not None and best[item.element].column != item.column:
            changes |= {"element": None, "mapping_confidence": 0, "mapping_evidence": ()}
        if item.name.zh in names:
            changes["name"] = Text(zh=f"{item.name.zh}（{item.column}）", en=f"{item.name.en} ({item.column})")
        distinct.append(item.model_copy(update=changes))
        names.add(distinct[-1].name.zh)
    return tuple(distinct)


def _item(column: ColumnProfile, pack: NormPack, profile: TableProfile) -> Item:
    found = map_column(column, pack)
    key = column.name in profile.key_columns
    if found is None:
        name = column.comment.strip() or column.name
        return Item(
            name=Text(zh=name, en=column.name),
            column=column.name,
            data_type=_data_type(column),
            length=column.length_max,
            grade=Grade.L2,
            share_type=ShareType.CONDITIONAL,
            share_condition=DEFAULT_CONDITION,
            share_modes=(ShareMode.INTERFACE, ShareMode.BULK),
            key=key,
        )
    element = pack.element(found.element)
    conditional = element.grade.rank >= Grade.L3.rank
    comment = column.comment.strip()
    return Item(
        name=Text(zh=comment or element.name.zh, en=element.name.en),
        column=column.name,
        element=element.code,
        data_type=element.data_type,
        length=max(element.max_length, column.length_max),
        grade=element.grade,
        share_type=ShareType.CONDITIONAL if conditional else ShareType.UNCONDITIONAL,
        share_condition=DEFAULT_CONDITION if conditional else "",
        share_modes=(ShareMode.INTERFACE, ShareMode.BULK),
        key=key,
        mapping_confidence=found.confidence,
        mapping_evidence=found.evidence,
    )


def _data_type(column: ColumnProfile) -> DataType:
    declared = column.type.lower()
    if column.patterns.get("time", 0) > 0.8 or "timestamp" in declared or "datetime" in declared:
        return DataType.DATETIME
    if column.patterns.get("date", 0) > 0.8 or declared.startswith("date"):
        return DataType.DATE
    if column.patterns.get("integer", 0) > 0.95 and "int" in declared:
        return DataType.INTEGER
    if column.patterns.get("number", 0) > 0.95 and not declared.startswith(("text", "char", "varchar", "string")):
        return DataType.NUMERIC
    return DataType.CHARACTER


def _theme(profile: TableProfile, items: tuple[Item, ...], pack: NormPack) -> Theme:
    """The theme whose words and elements the table uses most; words in its title count double."""
    scores: dict[str, int] = {}
    for theme in pack.themes:
        in_title = sum(2 for word in theme.words if word in profile.comment)
        in_items = sum(_THEME_OF_ELEMENT.get(item.element or "") == theme.key for item in items)
        scores[theme.key] = in_title + in_items
    best = max(pack.themes, key=lambda theme: scores[theme.key])
    if scores[best.key] > 0:
        return best
    return next((theme for theme in pack.themes if theme.key == DEFAULT_THEME), best)


def _title(profile: TableProfile, theme: Theme, department: Department) -> Text:
    comment = profile.comment.strip().removesuffix("表")
    if comment:
        return Text(
            zh=comment if comment.endswith("信息") else f"{comment}信息", en=f"{theme.name.en}: {profile.table}"
        )
    return Text(
        zh=f"{department.short_name.zh}{theme.name.zh}信息（{profile.table}）",
        en=f"{department.short_name.en}: {theme.name.en} ({profile.table})",
    )


def _attention(profile: TableProfile, items: tuple[Item, ...], cursor: str | None) -> tuple[Text, ...]:
    found: list[Text] = []
    unmapped = [item.column for item in items if item.element is None]
    unsure = [item.column for item in items if item.element is not None and item.mapping_confidence < CONFIDENT]
    if unmapped:
        found.append(Text(zh=f"未对应数据元：{'、'.join(unmapped)}", en=f"not mapped: {', '.join(unmapped)}"))
    if unsure:
        found.append(Text(zh=f"请核对数据元：{'、'.join(unsure)}", en=f"mapping to be checked: {', '.join(unsure)}"))
    if not any(item.key for item in items):
        found.append(Text(zh="没有主键，请指定业务主键", en="no key: name the business key"))
    if cursor is None:
        found.append(Text(zh="没有更新时间，只能全量交换", en="no time of change: only snapshots are possible"))
    if profile.rows == 0:
        found.append(
            Text(zh="表中没有数据，无法按内容识别", en="the table is empty: nothing could be recognised by content")
        )
    return tuple(found)
