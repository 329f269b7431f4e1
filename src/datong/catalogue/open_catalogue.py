"""The open catalogue: everything that public pages and machine interfaces read.

It reads the tables of what is open and the departments' names, never the working catalogue, so a public route that
uses nothing else cannot show, count or hint at what is not open.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select
from sqlalchemy.sql.selectable import Subquery

from datong.catalogue.departments import department_of
from datong.catalogue.faults import resource_not_found
from datong.catalogue.open_filters import EVERYTHING, OpenFilter, condition
from datong.catalogue.open_matches import OpenMatches, OpenWording
from datong.catalogue.open_records import open_from, select_open
from datong.catalogue.opening import OpenEdition, OpenField, OpenResource, edition_changes
from datong.catalogue.search_index import SearchIndex
from datong.catalogue.search_suggestions import SUGGESTIONS_MAX
from datong.catalogue.search_values import Suggestion
from datong.catalogue.tables import department as departments
from datong.catalogue.tables import open_edition, open_listing, open_term
from datong.catalogue.values import Department, ResourceContent
from datong.kernel import Database, Page, ResourceId, Value, page_of
from datong.norms import NormPack

OPEN_ROWS_MAX = 1000
"""Resources in one page of a machine interface; ckanapi asks for this many."""
OPEN_IDS_MAX = 1_000_000
FACET_VALUES_MAX = 1000


class OpenOrder(StrEnum):
    """What a list of open resources is sorted by; every order ends with the id, so that pages never overlap."""

    RELEVANCE = "relevance"
    CHANGED = "changed"
    FIRST_OPENED = "first_opened"
    TITLE = "title"
    ID = "id"


class OpenSort(Value):
    """One order and its direction."""

    by: OpenOrder
    descending: bool = False


class OpenFacet(StrEnum):
    """What open resources can be counted by."""

    DEPARTMENT = "department"
    THEME = "theme"
    LICENCE = "licence"
    KEYWORD = "keyword"
    FORMAT = "format"


class OpenCount(Value):
    """One value of a facet and how many open resources have it."""

    value: str
    count: int


class Publisher(Value):
    """A department that has something open, and how many."""

    department: Department
    count: int


NEWEST_FIRST = (OpenSort(by=OpenOrder.CHANGED, descending=True),)
BY_ID = (OpenSort(by=OpenOrder.ID),)
BEST_FIRST = (OpenSort(by=OpenOrder.RELEVANCE, descending=True),)


class OpenCatalogue:
    """What the departments have opened to everybody."""

    def __init__(self, *, database: Database, pack: NormPack, index: SearchIndex | None = None) -> None:
        self._database = database
        self._matches = OpenMatches(index or SearchIndex(), pack)

    def get(self, resource_id: ResourceId) -> OpenResource:
        """Return one open resource; one that is not open is not told from one that does not exist.

        Raises:
            NotFound: there is none.
        """
        statement = select_open().where(open_listing.c.resource_id == resource_id)
        with self._database.snapshot() as connection:
            row = connection.execute(statement).mappings().first()
        if row is None:
            raise resource_not_found(resource_id)
        return open_from(dict(row))

    def of_distribution(self, distribution: str) -> OpenResource:
        """Return the resource to which a distribution's UUID belongs, or raise NotFound."""
        statement = select(open_term.c.resource_id).where(
            open_term.c.field == OpenField.DISTRIBUTION.value, open_term.c.value == distribution
        )
        with self._database.snapshot() as connection:
            found = connection.execute(statement).scalar()
        if found is None:
            raise resource_not_found(distribution)
        return self.get(ResourceId(found))

    def editions(self, resource_id: ResourceId) -> tuple[OpenEdition, ...]:
        """Return what the public was shown of an open resource, newest first, or raise NotFound."""
        current = self.get(resource_id)
        statement = (
            select(open_edition.c.edition, open_edition.c.opened_at, open_edition.c.content)
            .where(open_edition.c.resource_id == resource_id)
            .order_by(open_edition.c.edition)
        )
        found: list[OpenEdition] = []
        before: ResourceContent | None = None
        with self._database.snapshot() as connection:
            for edition, opened_at, content in connection.execute(statement):
                part = ResourceContent.model_validate(content)
                changes = edition_changes(before, part, current.content) if before else ()
                found.append(OpenEdition(edition=edition, opened_at=opened_at, changes=changes))
                before = part
        return tuple(reversed(found))

    def find(
        self,
        *,
        text: str = "",
        where: OpenFilter = EVERYTHING,
        order: Sequence[OpenSort] = (),
        offset: int = 0,
        limit: int = OPEN_ROWS_MAX,
    ) -> Page[OpenResource]:
        """Return open resources that hold `text` and meet `where`, best first, or newest first without a text."""
        with self._database.snapshot() as connection:
            matched = self._matched(connection, text)
            total = self._total(connection, matched, where)
            statement = self._narrowed(select_open(), connection, matched, where)
            chosen = order or (NEWEST_FIRST if matched is None else BEST_FIRST)
            statement = statement.order_by(*_order(chosen, matched)).offset(offset)
            rows = connection.execute(statement.limit(max(0, min(limit, OPEN_ROWS_MAX)))).mappings()
            found = tuple(open_from(dict(row)) for row in rows)
        return page_of(found, total=total, offset=offset)

    def wording(self, text: str) -> OpenWording:
        """Return how `find` reads a text: the spelling it searches instead, or one that finds much more."""
        with self._database.snapshot() as connection:
            return self._matches.wording(connection, text) if text.strip() else OpenWording()

    def suggest(self, text: str, *, limit: int = SUGGESTIONS_MAX) -> tuple[Suggestion, ...]:
        """Return what somebody who typed `text` may mean among what is open, with how many resources each has."""
        with self._database.snapshot() as connection:
            return tuple(self._matches.suggestions(connection, text, min(limit, SUGGESTIONS_MAX)))

    def ids(self, *, offset: int = 0, limit: int | None = None) -> tuple[ResourceId, ...]:
        """Return the ids of open resources, sorted."""
        statement = select(open_listing.c.resource_id).order_by(open_listing.c.resource_id).offset(offset)
        statement = statement.limit(OPEN_IDS_MAX if limit is None else min(limit, OPEN_IDS_MAX))
        with self._database.snapshot() as connection:
            return tuple(ResourceId(key) for key in connection.execute(statement).scalars())

    def changes(self, *, offset: int = 0, limit: int) -> tuple[tuple[ResourceId, datetime], ...]:
        """Return (id, when it was last opened or changed) of open resources, sorted by id."""
        statement = (
            select(open_listing.c.resource_id, open_listing.c.changed_at)
            .order_by(open_listing.c.resource_id)
            .offset(offset)
            .limit(min(limit, OPEN_IDS_MAX))
        )
        with self._database.snapshot() as connection:
            return tuple((ResourceId(key), at) for key, at in connection.execute(statement))

    def count(self, *, text: str = "", where: OpenFilter = EVERYTHING) -> int:
        """Return how many open resources hold `text` and meet `where`."""
        with self._database.snapshot() as connection:
            return self._total(connection, self._matched(connection, text), where)

    def counts(
        self, facet: OpenFacet, *, text: str = "", where: OpenFilter = EVERYTHING, limit: int = FACET_VALUES_MAX
    ) -> tuple[OpenCount, ...]:
        """Return the values of `facet` among what `find` would return, most frequent first."""
        counted = _FACETS.get(facet)
        number = func.count()
        with self._database.snapshot() as connection:
            matched = self._matched(connection, text)
            if counted is None:
                value: ColumnElement[str] = open_term.c.value
                joined = open_term.join(open_listing, open_listing.c.resource_id == open_term.c.resource_id)
                kept = open_term.c.field == facet.value
                statement = self._narrowed(select(value, number).select_from(joined), connection, matched, where)
            else:
                value = counted
                kept = value != ""
                statement = self._narrowed(select(value, number).select_from(open_listing), connection, matched, where)
            rows = connection.execute(
                statement.where(kept).group_by(value).order_by(number.desc(), value).limit(min(limit, FACET_VALUES_MAX))
            )
            return tuple(OpenCount(value=key, count=count) for key, count in rows)

    def publishers(self) -> tuple[Publisher, ...]:
        """Return the departments that have something open, by code."""
        many = (
            select(open_listing.c.department, func.count().label("many")).group_by(open_listing.c.department).subquery()
        )
        statement = (
            select(departments, many.c.many)
            .join(many, many.c.department == departments.c.code)
            .order_by(departments.c.code)
        )
        with self._database.snapshot() as connection:
            rows = connection.execute(statement).mappings()
            return tuple(
                Publisher(
                    department=department_of(row),
                    count=row["many"],
                )
                for row in rows
            )

    def newest_change(self) -> datetime | None:
        """Return when something that is open now was last opened or changed; None: nothing is open."""
        with self._database.snapshot() as connection:
            return connection.execute(select(func.max(open_listing.c.changed_at))).scalar()

    def authority(self) -> Department | None:
        """Return the department that publishes the catalogue as a whole: the first authority that was registered."""
        statement = (
            select(departments)
            .where(departments.c.is_authority.is_(True))
            .order_by(departments.c.registered_at, departments.c.code)
            .limit(1)
        )
        with self._database.snapshot() as connection:
            row = connection.execute(statement).mappings().first()
        return None if row is None else department_of(row)

    def _matched(self, connection: Connection, text: str) -> Subquery | None:
        return self._matches.relation(connection, text) if text.strip() else None

    def _total(self, connection: Connection, matched: Subquery | None, where: OpenFilter) -> int:
        statement = self._narrowed(select(func.count()).select_from(open_listing), connection, matched, where)
        return int(connection.execute(statement).scalar_one())

    def _narrowed(
        self,
        statement: Select[*tuple[Any, ...]],
        connection: Connection,
        matched: Subquery | None,
        where: OpenFilter,
    ) -> Select[*tuple[Any, ...]]:
        if matched is not None:
            statement = statement.join(matched, matched.c.resource_id == open_listing.c.resource_id)
        return statement.where(condition(where, partial(self._matched, connection)))


_FACETS: dict[OpenFacet, ColumnElement[str]] = {
    OpenFacet.DEPARTMENT: open_listing.c.department,
    OpenFacet.THEME: open_listing.c.theme,
    OpenFacet.LICENCE: open_listing.c.licence,
}


def _order(order: Sequence[OpenSort], matched: Subquery | None) -> list[ColumnElement[Any]]:
    keys = [(key, sort.descending) for sort in order for key in _keys(sort.by, matched)]
    return [key.desc() if down else key.asc() for key, down in keys] + [open_listing.c.resource_id.asc()]


def _keys(by: OpenOrder, matched: Subquery | None) -> list[ColumnElement[Any]]:
    if by is OpenOrder.RELEVANCE and matched is not None:
        return [-matched.c.place]
    columns = {
        OpenOrder.RELEVANCE: open_listing.c.changed_at,
        OpenOrder.CHANGED: open_listing.c.changed_at,
        OpenOrder.FIRST_OPENED: open_listing.c.first_opened_at,
        OpenOrder.TITLE: open_listing.c.title,
        OpenOrder.ID: open_listing.c.resource_id,
    }
    return [columns[by]]
