"""Search over what everybody sees: candidates from the full-text tables, title boosts on top, facets over all hits."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, column, func, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue.records import published_from, select_published
from datong.catalogue.search_tables import match_expression, match_statement
from datong.catalogue.search_text import SearchQuery, fold, highlight, parse_query
from datong.catalogue.tables import department as departments
from datong.catalogue.tables import listing
from datong.catalogue.tables import unmet_demand as demands
from datong.catalogue.values import (
    Facet,
    FacetValue,
    Resource,
    SearchFilters,
    SearchHit,
    SearchPage,
    UnmetDemand,
)
from datong.kernel import Database, DepartmentCode, ResourceId, Text
from datong.norms import NormPack, ResourceFormat, ShareType, UpdateCycle

CANDIDATES_MAX = 300
HIGHLIGHTED_ITEMS_MAX = 8
FACET_VALUES_MAX = 30
DEMAND_ROWS_MAX = 10_000
EXACT_TITLE_BOOST = 100.0
PREFIX_TITLE_BOOST = 40.0
CONTAINED_TITLE_BOOST = 20.0
_NUMBER_LIKE = re.compile(r"\d{6}")


def search_resources(
    database: Database,
    pack: NormPack,
    text: str,
    *,
    filters: SearchFilters,
    open_only: bool,
    offset: int,
    limit: int,
    asked_by: DepartmentCode | None,
    now: datetime,
) -> SearchPage:
    """Return one page of hits, best first; an empty query lists the newest."""
    query = parse_query(text, pack.synonyms)
    relaxed = False
    with database.snapshot() as connection:
        found = _Matches(connection, query, filters, open_only)
        total = found.total()
        if total == 0 and query.groups:
            found = _Matches(connection, query.relaxed(), filters, open_only)
            total, relaxed = found.total(), True
        ranked = found.ranked(offset, limit)
        resources = _resources(connection, [resource_id for resource_id, _ in ranked], open_only)
        facets = found.facets(pack)
    needles = _needles(query, pack)
    hits = tuple(_hit(resources[resource_id], score, needles) for resource_id, score in ranked)
    if relaxed and asked_by is not None and not open_only and filters == SearchFilters():
        _record_demand(database, query, asked_by, now)
    end = offset + len(hits)
    return SearchPage(
        hits=hits,
        total=total,
        next_offset=end if hits and end < total else None,
        facets=facets,
        relaxed=relaxed and total > 0,
    )


class _Matches:
    """The listing rows that a query and filters select, within what the searcher may know of."""

    def __init__(self, connection: Connection, query: SearchQuery, filters: SearchFilters, open_only: bool) -> None:
        self._connection, self._query = connection, query
        self._conditions = _conditions(filters, open_only)
        self._matches = None
        if query.groups:
            dialect = connection.dialect.name
            matched = match_statement(dialect, open_only=open_only).bindparams(
                expression=match_expression(dialect, query)
            )
            self._matches = matched.columns(column("search_id"), column("score")).subquery("matched")

    def _from(self, *columns: ColumnElement[Any]) -> Select[Any]:
        statement = select(*columns).select_from(listing)
        if self._matches is not None:
            statement = select(*columns).select_from(
                listing.join(self._matches, self._matches.c.search_id == listing.c.search_id)
            )
        return statement.where(and_(True, *self._conditions))

    def total(self) -> int:
        return int(self._connection.execute(self._from(func.count())).scalar_one())

    def ranked(self, offset: int, limit: int) -> list[tuple[ResourceId, float]]:
        """Return (resource, score) for one page; titles that are, begin with or hold the query come first."""
        if self._matches is None:
            statement = self._from(listing.c.resource_id).order_by(listing.c.published_at.desc(), listing.c.resource_id)
            return [
                (ResourceId(key), 0.0)
                for key in self._connection.execute(statement.offset(offset).limit(limit)).scalars()
            ]
        # One relation of candidates is boosted and cut into pages, so that pages neither overlap nor skip.
        score = self._matches.c.score
        statement = self._from(listing.c.resource_id, listing.c.title, score).order_by(
            score.desc(), listing.c.resource_id
        )
        rows = self._connection.execute(statement.limit(max(CANDIDATES_MAX, offset + limit))).all()
        asked = "".join(self._query.words)
        boosted = [(ResourceId(key), float(base) + _title_boost(asked, title)) for key, title, base in rows]
        boosted.sort(key=lambda entry: (-entry[1], entry[0]))
        return boosted[offset : offset + limit]

    def facets(self, pack: NormPack) -> tuple[Facet, ...]:
        names = {
            row.code: Text(zh=row.short_name_zh, en=row.short_name_en)
            for row in self._connection.execute(
                select(departments.c.code, departments.c.short_name_zh, departments.c.short_name_en)
            )
        }
        themes = {theme.key: theme.name for theme in pack.themes}
        labels: tuple[tuple[str, Text, ColumnElement[str], dict[str, Text]], ...] = (
            ("departments", Text(zh="提供部门", en="Department"), listing.c.department, names),
            (
                "share_types",
                Text(zh="共享类型", en="Share type"),
                listing.c.share_type,
                {member.value: member.label for member in ShareType},
            ),
            ("themes", Text(zh="主题", en="Theme"), listing.c.theme, themes),
            (
                "formats",
                Text(zh="格式", en="Format"),
                listing.c.format,
                {member.value: member.label for member in ResourceFormat},
            ),
            (
                "update_cycles",
                Text(zh="更新周期", en="Update cycle"),
                listing.c.update_cycle,
                {member.value: member.label for member in UpdateCycle},
            ),
        )
        return tuple(self._facet(field, label, counted, known) for field, label, counted, known in labels)

    def _facet(self, field: str, label: Text, counted: ColumnElement[str], known: dict[str, Text]) -> Facet:
        count = func.count()
        rows = self._connection.execute(
            self._from(counted, count).group_by(counted).order_by(count.desc(), counted).limit(FACET_VALUES_MAX)
        ).all()
        values = tuple(
            FacetValue(value=value, label=known.get(value, Text(zh=value, en=value)), count=number)
            for value, number in rows
            if value
        )
        return Facet(field=field, label=label, values=values)


def unmet_demand(database: Database, *, limit: int) -> tuple[UnmetDemand, ...]:
    """Return recorded queries that found nothing: those asked by most departments, then most often, first."""
    many, times = func.count(), func.sum(demands.c.times)
    statement = (
        select(demands.c.query, times, many, func.min(demands.c.first_at), func.max(demands.c.last_at))
        .group_by(demands.c.query)
        .order_by(many.desc(), times.desc(), demands.c.query)
        .limit(limit)
    )
    with database.snapshot() as connection:
        return tuple(
            UnmetDemand(query=query, times=int(total), departments=count, first_at=first, last_at=last)
            for query, total, count, first, last in connection.execute(statement)
        )


def _conditions(filters: SearchFilters, open_only: bool) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if open_only:
        conditions.append(listing.c.open.is_(True))
    wanted: tuple[tuple[ColumnElement[str], tuple[str, ...]], ...] = (
        (listing.c.department, filters.departments),
        (listing.c.share_type, filters.share_types),
        (listing.c.format, filters.formats),
        (listing.c.update_cycle, filters.update_cycles),
        (listing.c.theme, filters.themes),
    )
    conditions.extend(field.in_([str(value) for value in values]) for field, values in wanted if values)
    return conditions


def _title_boost(asked: str, title: str) -> float:
    folded = "".join(fold(title).split())
    if folded == asked:
        return EXACT_TITLE_BOOST
    if folded.startswith(asked):
        return PREFIX_TITLE_BOOST - min(len(folded), 100) / 100
    if asked in folded:
        return CONTAINED_TITLE_BOOST - min(len(folded), 100) / 100
    return 0.0


def _resources(connection: Connection, keys: list[ResourceId], open_only: bool) -> dict[ResourceId, Resource]:
    rows = connection.execute(select_published().where(listing.c.resource_id.in_(keys))).mappings()
    found = (published_from(dict(row), open_only=open_only) for row in rows)
    return {entry.id: entry for entry in found}


def _needles(query: SearchQuery, pack: NormPack) -> tuple[str, ...]:
    """The words to highlight: what was asked, and synonyms of what was asked."""
    found = list(query.words)
    for family in pack.synonyms:
        folded = [fold(member) for member in family]
        if any(member in word for member in folded for word in query.words):
            found.extend(folded)
    return tuple(dict.fromkeys(found))


def _hit(found: Resource, score: float, needles: tuple[str, ...]) -> SearchHit:
    content = found.content
    items = [highlight(item.name.zh, needles) for item in content.items]
    matched = [fragments for fragments in items if any(fragment.match for fragment in fragments)]
    return SearchHit(
        resource=found,
        score=score,
        title=highlight(content.title.zh, needles),
        summary=highlight(content.summary.zh, needles),
        items=tuple(matched[:HIGHLIGHTED_ITEMS_MAX]),
    )


def _record_demand(database: Database, query: SearchQuery, asked_by: DepartmentCode, now: datetime) -> None:
    """Remember a query that found nothing; one that looks like a number of somebody's is not kept."""
    asked = " ".join(query.words)
    if not asked or _NUMBER_LIKE.search(asked):
        return
    with database.transaction() as connection:
        known = connection.execute(select(func.count()).select_from(demands)).scalar_one()
        if known >= DEMAND_ROWS_MAX:
            return
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(
            insert(demands)
            .values(query=asked, department=asked_by, times=1, first_at=now, last_at=now)
            .on_conflict_do_update(
                index_elements=["query", "department"], set_={"times": demands.c.times + 1, "last_at": now}
            )
        )
