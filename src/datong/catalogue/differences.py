"""What differs between two versions of a resource, field by field, in words, and what it means to those who use it.

Pure. Items are matched by their column, because that is what agreements and transfers name. A change is *breaking* when
a consumer who relies on the older version may get less, something else, or other terms; *compatible* when all of that
stays; *editorial* when only the description changes.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from datong.catalogue.fields import ITEM_FIELDS, RESOURCE_FIELDS, in_words
from datong.catalogue.values import Distribution, Item, ResourceContent
from datong.kernel import Text, Value
from datong.norms import NormPack


class DifferenceKind(StrEnum):
    """What happened to a field or an item."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"
    MOVED = "moved"

    @property
    def label(self) -> Text:
        """The kind's name."""
        return _KINDS[self]


class ChangeImpact(StrEnum):
    """What a change means to those who use the resource."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    EDITORIAL = "editorial"

    @property
    def label(self) -> Text:
        """The impact's name."""
        return _IMPACTS[self]


class ContentChange(Value):
    """One difference; `field` is a JSON pointer into the newer content, or into the older where it is gone."""

    field: str
    kind: DifferenceKind
    impact: ChangeImpact
    name: Text
    before: Text | None = None
    after: Text | None = None
    words: Text


class ContentDifference(Value):
    """Everything that differs between two versions, the breaking first."""

    older: int
    newer: int
    changes: tuple[ContentChange, ...]

    @property
    def breaking(self) -> tuple[ContentChange, ...]:
        """The changes that those who use the resource must look at."""
        return tuple(change for change in self.changes if change.impact is ChangeImpact.BREAKING)


_KINDS = {
    DifferenceKind.ADDED: Text(zh="新增", en="added"),
    DifferenceKind.REMOVED: Text(zh="删除", en="removed"),
    DifferenceKind.CHANGED: Text(zh="修改", en="changed"),
    DifferenceKind.RENAMED: Text(zh="改名", en="renamed"),
    DifferenceKind.MOVED: Text(zh="调整顺序", en="moved"),
}
_IMPACTS = {
    ChangeImpact.BREAKING: Text(zh="影响使用", en="breaking"),
    ChangeImpact.COMPATIBLE: Text(zh="兼容", en="compatible"),
    ChangeImpact.EDITORIAL: Text(zh="文字性", en="editorial"),
}
_ORDER = {impact: place for place, impact in enumerate(ChangeImpact)}
_Judge = Callable[[Any, Any], ChangeImpact]


def _always(impact: ChangeImpact) -> _Judge:
    return lambda _before, _after: impact


def _more_is(rank: Callable[[Any], Any], impact: ChangeImpact) -> _Judge:
    """More of it is `impact`, less of it the contrary."""
    contrary = ChangeImpact.COMPATIBLE if impact is ChangeImpact.BREAKING else ChangeImpact.BREAKING
    return lambda before, after: impact if rank(after) > rank(before) else contrary


def _fewer_breaks(before: tuple[object, ...], after: tuple[object, ...]) -> ChangeImpact:
    return ChangeImpact.COMPATIBLE if set(before) <= set(after) else ChangeImpact.BREAKING


def _stated_before(before: object, _after: object) -> ChangeImpact:
    """Saying for the first time what was left open takes nothing away."""
    return ChangeImpact.BREAKING if before else ChangeImpact.COMPATIBLE


_BREAKING, _EDITORIAL = _always(ChangeImpact.BREAKING), _always(ChangeImpact.EDITORIAL)
_TERMS: Final[Mapping[str, _Judge]] = {
    "share_type": _more_is(lambda value: value.value, ChangeImpact.BREAKING),
    "share_condition": _BREAKING,
    "share_modes": _fewer_breaks,
    "open": _more_is(int, ChangeImpact.COMPATIBLE),
    "open_condition": _BREAKING,
}
_RESOURCE_JUDGES: Final[Mapping[str, _Judge]] = {
    **_TERMS,
    "format": _BREAKING,
    "use_condition": _stated_before,
    "licence": _stated_before,
    "update_cycle": _more_is(lambda value: value.days if value.days is not None else 10**6, ChangeImpact.BREAKING),
    "temporal_start": _stated_before,
    "temporal_end": _always(ChangeImpact.COMPATIBLE),
}
_ITEM_JUDGES: Final[Mapping[str, _Judge]] = {
    **_TERMS,
    "element": _stated_before,
    "data_type": _BREAKING,
    "length": _more_is(lambda value: value or 10**9, ChangeImpact.COMPATIBLE),
    "grade": _more_is(lambda value: value.rank, ChangeImpact.BREAKING),
    "key": _BREAKING,
}
"""Length 0 means that no limit is declared. Whatever has no judge is described, not delivered: editorial."""
_COMPARED_APART = frozenset({"items", "distributions", "binding"})
_NOT_COMPARED = frozenset({"mapping_confidence", "mapping_evidence"})


def content_differences(
    before: ResourceContent, after: ResourceContent, pack: NormPack, *, older: int = 0, newer: int = 0
) -> ContentDifference:
    """Return what differs from `before` to `after`, the breaking first; without difference no change is listed."""
    changes = [*_of_resource(before, after, pack), *_of_items(before, after, pack)]
    changes += [*_of_distributions(before, after), *_of_binding(before, after, pack)]
    ordered = sorted(changes, key=lambda change: _ORDER[change.impact])
    return ContentDifference(older=older, newer=newer, changes=tuple(ordered))


def _of_resource(before: ResourceContent, after: ResourceContent, pack: NormPack) -> Iterator[ContentChange]:
    for field, name in RESOURCE_FIELDS.items():
        old, new = getattr(before, field), getattr(after, field)
        if field in _COMPARED_APART or old == new:
            continue
        impact = _RESOURCE_JUDGES.get(field, _EDITORIAL)(old, new)
        yield _changed(f"/{field}", name, in_words(old, pack, field=field), in_words(new, pack, field=field), impact)


def _of_items(before: ResourceContent, after: ResourceContent, pack: NormPack) -> Iterator[ContentChange]:
    old = {item.column: (place, item) for place, item in enumerate(before.items)}
    new = {item.column: (place, item) for place, item in enumerate(after.items)}
    for column, (place, item) in old.items():
        if column not in new:
            yield _one(f"/items/{place}", DifferenceKind.REMOVED, ChangeImpact.BREAKING, item)
    for column, (place, item) in new.items():
        if column not in old:
            yield _one(f"/items/{place}", DifferenceKind.ADDED, ChangeImpact.COMPATIBLE, item)
        else:
            yield from _of_item(place, old[column][1], item, pack)
    kept_old, kept_new = [column for column in old if column in new], [column for column in new if column in old]
    for column in _moved(kept_old, kept_new):
        place, item = new[column]
        yield _one(f"/items/{place}", DifferenceKind.MOVED, ChangeImpact.EDITORIAL, item)


def _of_item(place: int, old: Item, new: Item, pack: NormPack) -> Iterator[ContentChange]:
    for field, label in ITEM_FIELDS.items():
        before, after = getattr(old, field, None), getattr(new, field, None)
        if field in _NOT_COMPARED or before == after:
            continue
        title = _title(new)
        if field == "name":
            words = Text(
                zh=f"信息项“{_title(old).zh}”改名为“{title.zh}”", en=f'item "{_title(old).en}" is now "{title.en}"'
            )
            yield ContentChange(
                field=f"/items/{place}/name",
                kind=DifferenceKind.RENAMED,
                impact=ChangeImpact.EDITORIAL,
                name=title,
                before=old.name,
                after=new.name,
                words=words,
            )
            continue
        name = Text(zh=f"{title.zh} · {label.zh}", en=f"{title.en} · {label.en}")
        impact = _ITEM_JUDGES.get(field, _EDITORIAL)(before, after)
        yield _changed(
            f"/items/{place}/{field}",
            name,
            in_words(before, pack, field=field),
            in_words(after, pack, field=field),
            impact,
        )


def _moved(old: list[str], new: list[str]) -> list[str]:
    """Return the fewest columns whose moving explains the new order: all but a longest common subsequence."""
    places = {column: place for place, column in enumerate(old)}
    order = [places[column] for column in new]
    tails: list[int] = []
    links = [-1] * len(order)
    for index, place in enumerate(order):
        low, high = 0, len(tails)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if order[tails[middle]] < place else (low, middle)
        links[index] = tails[low - 1] if low else -1
        tails[low:] = [index] if low == len(tails) else [index, *tails[low + 1 :]]
    kept = set()
    index = tails[-1] if tails else -1
    while index >= 0:
        kept.add(index)
        index = links[index]
    return [column for index, column in enumerate(new) if index not in kept]


def _of_distributions(before: ResourceContent, after: ResourceContent) -> Iterator[ContentChange]:
    old = {entry.id: (place, entry) for place, entry in enumerate(before.distributions)}
    new = {entry.id: (place, entry) for place, entry in enumerate(after.distributions)}
    label = RESOURCE_FIELDS["distributions"]
    for key, (place, entry) in old.items():
        if key not in new:
            yield _listed(f"/distributions/{place}", DifferenceKind.REMOVED, ChangeImpact.BREAKING, label, entry)
    for key, (place, entry) in new.items():
        if key not in old:
            yield _listed(f"/distributions/{place}", DifferenceKind.ADDED, ChangeImpact.COMPATIBLE, label, entry)
        elif old[key][1] != entry:
            was = old[key][1]
            same = (was.access_url, was.download_url, was.media_type) == (
                entry.access_url,
                entry.download_url,
                entry.media_type,
            ) and was.open <= entry.open
            impact = ChangeImpact.EDITORIAL if same else ChangeImpact.BREAKING
            yield _listed(f"/distributions/{place}", DifferenceKind.CHANGED, impact, label, entry)


def _of_binding(before: ResourceContent, after: ResourceContent, pack: NormPack) -> Iterator[ContentChange]:
    old, new = before.binding, after.binding
    if old == new:
        return
    stays = old is None or (new is not None and old.key_columns == new.key_columns)
    impact = ChangeImpact.COMPATIBLE if stays else ChangeImpact.BREAKING
    yield _changed("/binding", RESOURCE_FIELDS["binding"], in_words(old, pack), in_words(new, pack), impact)


def _title(item: Item) -> Text:
    return Text(zh=item.name.zh or item.column, en=item.name.en or item.name.zh or item.column)


def _one(field: str, kind: DifferenceKind, impact: ChangeImpact, item: Item) -> ContentChange:
    title = _title(item)
    words = Text(
        zh=f"{kind.label.zh}信息项“{title.zh}”（{item.column}）",
        en=f'item "{title.en}" ({item.column}) {kind.label.en}',
    )
    return ContentChange(field=field, kind=kind, impact=impact, name=title, words=words)


def _listed(field: str, kind: DifferenceKind, impact: ChangeImpact, label: Text, entry: Distribution) -> ContentChange:
    words = Text(
        zh=f"{kind.label.zh}{label.zh}“{entry.title.zh}”", en=f'distribution "{entry.title.en}" {kind.label.en}'
    )
    return ContentChange(field=field, kind=kind, impact=impact, name=label, words=words)


def _changed(field: str, name: Text, before: Text, after: Text, impact: ChangeImpact) -> ContentChange:
    words = Text(zh=f"{name.zh}：由“{before.zh}”改为“{after.zh}”", en=f'{name.en}: "{before.en}" became "{after.en}"')
    return ContentChange(
        field=field, kind=DifferenceKind.CHANGED, impact=impact, name=name, before=before, after=after, words=words
    )
