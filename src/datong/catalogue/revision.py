"""The new version that a drift suggests: what the department declared, on the structure found. Pure."""

from collections.abc import Sequence

from datong.catalogue.drift import Change, ChangeKind
from datong.catalogue.inventory import FoundTable
from datong.catalogue.values import Item, ResourceContent


def revised_content(content: ResourceContent, found: FoundTable, changes: Sequence[Change]) -> ResourceContent:
    """Return `content` after `changes`: items of columns that are gone removed, new columns added, types renewed.

    What a person declared of a column that is still there stays, except for its type where the found one differs; a
    column that was left out on purpose stays out. Cursor and keys of the binding that are gone go too.
    """
    columns = {column.item.column: column for column in found.columns}
    kept = [_kept(item, columns[item.column].item) for item in content.items if item.column in columns]
    known = {item.column for item in content.items}
    fresh = {change.column for change in changes if change.kind is ChangeKind.COLUMN_ADDED}
    names = {item.name.zh for item in kept}
    elements = {item.element for item in kept}
    added = []
    for column in found.columns:
        item = column.item
        if item.column in known or item.column not in fresh:
            continue
        other: dict[str, object] = {}
        if item.name.zh in names:
            other["name"] = item.name.model_copy(update={"zh": f"{item.name.zh}（{item.column}）"})
        if item.element in elements:
            other |= {"element": None, "mapping_confidence": 0, "mapping_evidence": ()}
        added.append(item.model_copy(update=other))
        names.add(added[-1].name.zh)
        elements.add(added[-1].element)
    binding = content.binding
    if binding is not None:
        cursor = binding.cursor_column if binding.cursor_column in columns else None
        keys = tuple(key for key in binding.key_columns if key in columns)
        binding = binding.model_copy(update={"cursor_column": cursor, "key_columns": keys})
    return content.model_copy(update={"items": (*kept, *added), "binding": binding})


def _kept(item: Item, found: Item) -> Item:
    if item.element is not None:
        # The element says what the type is, whatever the source declares.
        return item
    return item.model_copy(update={"data_type": found.data_type})
