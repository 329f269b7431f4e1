"""Turns a table's profile into a draft of a resource: items, grades, share types, keys, title; pure.

A proposal is a starting point for the data officer, never a decision: `attention` says what to look at.
"""

from collections.abc import Mapping as Table
from collections.abc import Sequence

from datong.catalogue.grouping import Placement, TableRole, group_tables
from datong.catalogue.inventory import CONFIDENT, Fault, FoundColumn, FoundTable
from datong.catalogue.mapping import ColumnMapper, Mapping
from datong.catalogue.naming import head_phrase
from datong.catalogue.profile import ColumnProfile, TableProfile
from datong.catalogue.values import Binding, Department, Item, ResourceContent, ResourceDraft
from datong.kernel import NodeId, Text, Value
from datong.kernel.limits import ITEMS_PER_RESOURCE_MAX, NAME_CHARS_MAX
from datong.norms import DataType, Grade, NormPack, ShareMode, ShareType, Theme, UpdateCycle

VIEW_SQL_MEMBERS_MAX = 20
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


class ProposedTable(Value):
    """A table as the inventory reports it, with the draft of a resource if it is a main table."""

    found: FoundTable
    draft: ResourceDraft | None = None


def propose_source(
    profiles: Sequence[TableProfile],
    pack: NormPack,
    department: Department,
    *,
    node_id: NodeId,
    source: str,
    faults: Table[str, Fault] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> tuple[ProposedTable, ...]:
    """Return what the tables of one source could be, in their order.

    `faults` are the tables whose rows could not be read; they are proposed by their structure alone.
    """
    mappings = ColumnMapper(pack).map_tables(profiles)
    places = group_tables(profiles, include=include, exclude=exclude)
    by_name = {profile.table: profile for profile in profiles}
    members: dict[str, list[Placement]] = {}
    for place in places:
        if place.role.is_member:
            members.setdefault(place.of, []).append(place)
    proposed = []
    for profile, place in zip(profiles, places, strict=True):
        mapped = mappings[profile.table]
        columns = profile.columns[:ITEMS_PER_RESOURCE_MAX]
        items = [_item(column, mapped.get(column.name), pack, profile) for column in columns]
        draft = None
        if place.role is TableRole.MAIN:
            draft = _draft(profile, items, pack, department, node_id=node_id, source=source)
            advice = _members_advice(profile, [by_name[m.table] for m in members.get(place.table, [])], places)
            draft = draft.model_copy(update={"attention": (*draft.attention, *advice)})
        personal = any(item.element is not None and pack.element(item.element).personal for item in items)
        found = FoundTable(
            table=profile.table,
            comment=profile.comment,
            role=place.role,
            of=place.of,
            reason=place.reason,
            is_view=profile.is_view,
            rows=profile.rows_total,
            bytes=profile.bytes,
            changed_at=profile.changed_at,
            columns=tuple(
                FoundColumn(type=column.type, item=item) for column, item in zip(columns, items, strict=True)
            ),
            key_columns=profile.key_columns,
            personal=personal,
            attention=() if draft is None else draft.attention,
            fault=(faults or {}).get(profile.table),
        )
        proposed.append(ProposedTable(found=found, draft=draft))
    return tuple(proposed)


def _draft(
    profile: TableProfile,
    found: Sequence[Item],
    pack: NormPack,
    department: Department,
    *,
    node_id: NodeId,
    source: str,
) -> ResourceDraft:
    """Return a draft of the resource that the table of `profile` could be."""
    items = _distinct(list(found))
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
        source_system=source,
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


def _item(column: ColumnProfile, found: Mapping | None, pack: NormPack, profile: TableProfile) -> Item:
    key = column.name in profile.key_columns
    if found is None:
        name = (head_phrase(column.comment) or column.name)[:NAME_CHARS_MAX]
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
    comment = head_phrase(column.comment)[:NAME_CHARS_MAX]
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


def _members_advice(
    profile: TableProfile, members: Sequence[TableProfile], places: Sequence[Placement]
) -> tuple[Text, ...]:
    """Say what belongs to the main table, and how one view would show it all: a resource is bound to one table."""
    if not members:
        return ()
    role_of = {place.table: place.role for place in places}
    names = "、".join(f"{member.table}（{role_of[member.table].label.zh}）" for member in members)
    english = ", ".join(f"{member.table} ({role_of[member.table].label.en.lower()})" for member in members)
    found = [Text(zh=f"同属本资源的表：{names}", en=f"tables of the same resource: {english}")]
    shards = [member for member in members if role_of[member.table] is TableRole.SHARD]
    extensions = [member for member in members if role_of[member.table] is TableRole.EXTENSION]
    if shards:
        found.append(_view_advice(_union_sql(profile, shards[:VIEW_SQL_MEMBERS_MAX])))
    elif extensions and profile.key_columns:
        found.append(_view_advice(_join_sql(profile, extensions[:VIEW_SQL_MEMBERS_MAX])))
    return tuple(found)


def _view_advice(statement: str) -> Text:
    return Text(
        zh=f"如需整体共享，请由数据库管理员建视图后挂接：{statement}",
        en=f"to share it whole, let the database's administrator make a view and bind to it: {statement}",
    )


def _union_sql(profile: TableProfile, shards: Sequence[TableProfile]) -> str:
    common = [
        column.name for column in profile.columns if all(shard.column(column.name) is not None for shard in shards)
    ]
    names = ", ".join(common)
    return " UNION ALL ".join(f"SELECT {names} FROM {table.table}" for table in (profile, *shards))


def _join_sql(profile: TableProfile, extensions: Sequence[TableProfile]) -> str:
    known = {column.name for column in profile.columns}
    names, joins = ["t.*"], []
    for number, extension in enumerate(extensions, start=1):
        fresh = [column.name for column in extension.columns if column.name not in known]
        known |= set(fresh)
        names += [f"e{number}.{name}" for name in fresh]
        keys = list(zip(profile.key_columns, extension.key_columns, strict=False))
        joins.append(
            f"LEFT JOIN {extension.table} e{number} ON " + " AND ".join(f"t.{a} = e{number}.{b}" for a, b in keys)
        )
    return f"SELECT {', '.join(names)} FROM {profile.table} t {' '.join(joins)}"
