"""CKAN's search parameters as conditions on open resources: fields, dates, sorting."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from datong.catalogue import (
    EVERYTHING,
    AllOf,
    AnyOf,
    Changed,
    FirstOpened,
    NoneOf,
    Nothing,
    OfDepartments,
    OfThemes,
    OpenField,
    OpenFilter,
    OpenOrder,
    OpenSort,
    UnderLicences,
    WithId,
    WithTerm,
    WithText,
    known_format,
)
from datong.kernel import DepartmentCode, Invalid, ResourceId, Text, Value
from datong.web.open.solr import Clause, Every, Range, Some, Term, Without, parse

ALWAYS: Mapping[str, frozenset[str]] = {
    "dataset_type": frozenset({"dataset"}),
    "type": frozenset({"dataset"}),
    "state": frozenset({"active"}),
    "private": frozenset({"false"}),
    "capacity": frozenset({"public"}),
    "entity_type": frozenset({"package"}),
    "permission_labels": frozenset({"public"}),
}
"""Fields that have one value for every open resource."""
TEXT_FIELDS = frozenset({"", "text", "title", "title_string", "notes", "title_ngram"})
SORT_FIELDS: Mapping[str, OpenOrder] = {
    "score": OpenOrder.RELEVANCE,
    "relevance": OpenOrder.RELEVANCE,
    "metadata_modified": OpenOrder.CHANGED,
    "last_modified": OpenOrder.CHANGED,
    "metadata_created": OpenOrder.FIRST_OPENED,
    "title": OpenOrder.TITLE,
    "title_string": OpenOrder.TITLE,
    "name": OpenOrder.ID,
    "id": OpenOrder.ID,
}
SORTS_MAX = 5
_NOW = re.compile(
    r"NOW(?:(?P<sign>[+-])(?P<count>\d{1,5})(?P<unit>SECOND|MINUTE|HOUR|DAY|WEEK|MONTH|YEAR)S?)?(?:/[A-Z]+)?", re.ASCII
)
_UNIT_DAYS = {"DAY": 1, "WEEK": 7, "MONTH": 30, "YEAR": 365}
_UNIT_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600}


class Names(Value):
    """What names and ids mean here: organisations by name and UUID, groups likewise, and the default licence's key."""

    organisations: dict[str, DepartmentCode]
    groups: dict[str, str]
    default_licence: str
    now: datetime


class Asked(Value):
    """A search as the open catalogue takes it: words to rank by, and conditions."""

    text: str
    where: OpenFilter


def search_of(q: str, filters: Sequence[str], names: Names) -> Asked:
    """Return what `q` and the `fq`s ask for; plain words in `q` rank the result, everything else narrows it.

    Raises:
        Invalid: one of them cannot be read, or names a field that there is not.
    """
    asked = parse(q)
    members = [condition(parse(text), names) for text in filters]
    if all(isinstance(member, Term) and member.field in TEXT_FIELDS and member.text != "*" for member in asked.members):
        text = " ".join(member.text for member in asked.members if isinstance(member, Term))
        return Asked(text=text, where=AllOf(members=tuple(members)))
    return Asked(text="", where=AllOf(members=(condition(asked, names), *members)))


def condition(clause: Clause, names: Names) -> OpenFilter:
    """Return a clause as a condition on open resources."""
    match clause:
        case Every():
            return AllOf(members=tuple(condition(member, names) for member in clause.members))
        case Some():
            return AnyOf(members=tuple(condition(member, names) for member in clause.members))
        case Without():
            return NoneOf(member=condition(clause.member, names))
        case Range():
            return _range(clause, names)
        case Term():
            return _term(clause, names)


def _term(term: Term, names: Names) -> OpenFilter:
    field, text = term.field, term.text
    if text == "*" and not term.phrase:
        return _present(field)
    if field in ALWAYS:
        return EVERYTHING if text.lower() in ALWAYS[field] else Nothing()
    if field in TEXT_FIELDS:
        return WithText(text=text)
    if field in _DATES:
        return _range(Range(field=field, low=text, high=text), names)
    read = _READERS.get(field)
    if read is None:
        raise _unknown_field(field)
    return read(term, names)


def _organisation(term: Term, names: Names) -> OpenFilter:
    code = names.organisations.get(term.text.lower())
    return OfDepartments(codes=(code,)) if code else Nothing()


def _group(term: Term, names: Names) -> OpenFilter:
    key = names.groups.get(term.text)
    return OfThemes(keys=(key,)) if key else Nothing()


def _keyword(term: Term, _names: Names) -> OpenFilter:
    return WithTerm(field=OpenField.KEYWORD, value=term.text, prefix=term.prefix)


def _format(term: Term, _names: Names) -> OpenFilter:
    return WithTerm(field=OpenField.FORMAT, value=known_format(term.text), prefix=term.prefix)


def _licence(term: Term, names: Names) -> OpenFilter:
    return UnderLicences(keys=(term.text, "") if term.text == names.default_licence else (term.text,))


def _identifier(term: Term, _names: Names) -> OpenFilter:
    return WithId(ids=(ResourceId(term.text),))


_DATES = frozenset({"metadata_modified", "metadata_created"})
_READERS: Mapping[str, Callable[[Term, Names], OpenFilter]] = {
    "organization": _organisation,
    "owner_org": _organisation,
    "groups": _group,
    "group": _group,
    "tags": _keyword,
    "tag": _keyword,
    "keywords": _keyword,
    "res_format": _format,
    "license_id": _licence,
    "license": _licence,
    "id": _identifier,
    "name": _identifier,
}


def _present(field: str) -> OpenFilter:
    """Return the condition that a field has any value."""
    if field in ("tags", "tag", "keywords"):
        return WithTerm(field=OpenField.KEYWORD, value="", prefix=True)
    if field in ("groups", "group"):
        return NoneOf(member=OfThemes(keys=("",)))
    if field in TEXT_FIELDS or field in ALWAYS or field in _READERS or field in _DATES:
        return EVERYTHING
    raise _unknown_field(field)


def _range(found: Range, names: Names) -> OpenFilter:
    since, until = (_moment(bound, names.now) for bound in (found.low, found.high))
    match found.field:
        case "metadata_modified":
            return Changed(since=since, until=until)
        case "metadata_created":
            return FirstOpened(since=since, until=until)
        case _:
            raise _unknown_field(found.field)


def _moment(text: str, now: datetime) -> datetime | None:
    if text == "*":
        return None
    relative = _NOW.fullmatch(text)
    try:
        if relative:
            return now if relative["count"] is None else now + _step(relative)
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "ckan.query_unreadable",
            what=Text(zh=f"“{text[:40]}”不是时间。", en=f"{text[:40]!r} is no time."),
            remedy=Text(
                zh="请写 2026-01-31T00:00:00Z、NOW-7DAYS 或 *。", en="Write 2026-01-31T00:00:00Z, NOW-7DAYS or *."
            ),
            field="/fq",
        ) from error


def _step(relative: re.Match[str]) -> timedelta:
    count, unit = int(relative["count"]), relative["unit"]
    step = timedelta(days=count * _UNIT_DAYS.get(unit, 0), seconds=count * _UNIT_SECONDS.get(unit, 0))
    return -step if relative["sign"] == "-" else step


def sort_of(text: str) -> tuple[OpenSort, ...]:
    """Return the order that `sort` asks for; an empty one leaves it to the search.

    Raises:
        Invalid: it names a field by which nothing can be sorted.
    """
    found = []
    for part in text.split(",")[:SORTS_MAX]:
        words = part.split()
        if not words:
            continue
        order = SORT_FIELDS.get(words[0].lower())
        direction = words[1].lower() if len(words) > 1 else "asc"
        if order is None or direction not in ("asc", "desc") or len(words) > 2:
            raise Invalid(
                "ckan.sort_unknown",
                what=Text(
                    zh=f"不能按“{part.strip()[:40]}”排序。", en=f"Nothing can be sorted by {part.strip()[:40]!r}."
                ),
                remedy=Text(
                    zh="可用：" + "、".join(SORT_FIELDS) + "，后接 asc 或 desc。",
                    en="There are: " + ", ".join(SORT_FIELDS) + ", followed by asc or desc.",
                ),
                field="/sort",
            )
        found.append(OpenSort(by=order, descending=direction == "desc"))
    return tuple(found)


def _unknown_field(field: str) -> Invalid:
    return Invalid(
        "ckan.query_unreadable",
        what=Text(zh=f"没有字段“{field[:40]}”。", en=f"There is no field {field[:40]!r}."),
        remedy=Text(
            zh="可用：organization、groups、tags、res_format、license_id、title、notes、id、metadata_modified、metadata_created。",
            en="There are organization, groups, tags, res_format, license_id, title, notes, id, metadata_modified and "
            "metadata_created.",
        ),
        field="/fq",
    )
