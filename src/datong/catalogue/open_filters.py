"""Conditions on open resources, as a tree of values: what facets and the query languages of machines become.

The fields here are the public ones only; a condition on anything else cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, Subquery, and_, exists, false, not_, or_, select, true

from datong.catalogue.opening import OpenField
from datong.catalogue.tables import open_listing, open_term
from datong.kernel import DepartmentCode, ResourceId, Value

Matched = Callable[[str], Subquery | None]
"""Gives the resources that a text finds, with the column `resource_id`; None if the text holds no word."""
DEPTH_MAX = 20
"""Nesting of a condition; deeper ones are refused where they are read."""


class Everything(Value):
    """Holds for every open resource."""


class Nothing(Value):
    """Holds for none: an unknown department, for example."""


class OfDepartments(Value):
    """The publisher is one of these."""

    codes: tuple[DepartmentCode, ...]


class OfThemes(Value):
    """The theme is one of these keys."""

    keys: tuple[str, ...]


class UnderLicences(Value):
    """The licence is one of these keys."""

    keys: tuple[str, ...]


class WithTerm(Value):
    """A keyword, format or distribution is exactly `value`, or begins with it."""

    field: OpenField
    value: str
    prefix: bool = False


class WithText(Value):
    """The words occur in title, items, summary, keywords or the publisher's name."""

    text: str


class WithId(Value):
    """The resource is one of these."""

    ids: tuple[ResourceId, ...]


class Changed(Value):
    """Shown or changed within this time; the ends belong to it."""

    since: datetime | None = None
    until: datetime | None = None


class FirstOpened(Value):
    """Opened for the first time within this time; the ends belong to it."""

    since: datetime | None = None
    until: datetime | None = None


class AllOf(Value):
    """Every member holds; without members it holds always."""

    members: tuple[OpenFilter, ...]


class AnyOf(Value):
    """At least one member holds."""

    members: tuple[OpenFilter, ...]


class NoneOf(Value):
    """The member does not hold."""

    member: OpenFilter


OpenFilter = (
    Everything
    | Nothing
    | OfDepartments
    | OfThemes
    | UnderLicences
    | WithTerm
    | WithText
    | WithId
    | Changed
    | FirstOpened
    | AllOf
    | AnyOf
    | NoneOf
)
EVERYTHING = Everything()
AllOf.model_rebuild()
AnyOf.model_rebuild()
NoneOf.model_rebuild()


def condition(found: OpenFilter, matched: Matched) -> ColumnElement[bool]:
    """Return `found` as a condition on a row of `catalogue_open`."""
    match found:
        case Nothing():
            return false()
        case AllOf():
            return and_(true(), *(condition(member, matched) for member in found.members))
        case AnyOf():
            return or_(false(), *(condition(member, matched) for member in found.members))
        case NoneOf():
            return not_(condition(found.member, matched))
        case _:
            return _leaf(found, matched)


def _leaf(found: OpenFilter, matched: Matched) -> ColumnElement[bool]:
    match found:
        case OfDepartments():
            return open_listing.c.department.in_(found.codes)
        case OfThemes():
            return open_listing.c.theme.in_(found.keys)
        case UnderLicences():
            return open_listing.c.licence.in_(found.keys)
        case WithId():
            return open_listing.c.resource_id.in_(found.ids)
        case WithTerm():
            # An alias of its own: the statement around it may count terms itself.
            term = open_term.alias()
            value = term.c.value
            same = value.startswith(found.value, autoescape=True) if found.prefix else value == found.value
            return exists().where(
                term.c.resource_id == open_listing.c.resource_id, term.c.field == found.field.value, same
            )
        case WithText():
            return _text(matched(found.text))
        case Changed():
            return _between(open_listing.c.changed_at, found.since, found.until)
        case FirstOpened():
            return _between(open_listing.c.first_opened_at, found.since, found.until)
        case _:
            return true()


def _text(found: Subquery | None) -> ColumnElement[bool]:
    return true() if found is None else open_listing.c.resource_id.in_(select(found.c.resource_id))


def _between(when: ColumnElement[datetime], since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    bounds: list[ColumnElement[bool]] = [] if since is None else [when >= since]
    if until is not None:
        bounds.append(when <= until)
    return and_(true(), *bounds)
