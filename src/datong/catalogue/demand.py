"""Needs that no department's catalogue meets: queries without a hit, spellings of one need together, and their fate."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue.faults import demand_not_found
from datong.catalogue.search_query import Vocabulary, plain_words
from datong.catalogue.search_text import RUN, fold
from datong.catalogue.search_values import DemandState, UnmetDemand
from datong.catalogue.tables import demand_handling, unmet_demand
from datong.kernel import Actor, Clock, Database, DepartmentCode, Page, page_of
from datong.ledger import EntryKind, Ledger

DEMAND_ROWS_MAX = 10_000
QUERY_CHARS_MAX = 200
SPELLINGS_SHOWN_MAX = 10
LIKELY_DEPARTMENTS_MAX = 3
_NUMBER_LIKE = re.compile(r"\d{6}")
Nearest = Callable[[str], tuple[int, Counter[DepartmentCode]]]
"""How many resources match a query today, and which departments hold what comes nearest."""


class Demands:
    """Records needs, and what the authority did about them."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def record(self, text: str, vocabulary: Vocabulary, asked_by: DepartmentCode) -> None:
        """Remember a query that found nothing; one that looks like a number of somebody's is not kept."""
        asked = " ".join(RUN.findall(fold(text)))[:QUERY_CHARS_MAX]
        if not asked or _NUMBER_LIKE.search(asked):
            return
        now = self._clock.now()
        with self._database.transaction() as connection:
            known = connection.execute(select(func.count()).select_from(unmet_demand)).scalar_one()
            if known >= DEMAND_ROWS_MAX:
                return
            insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            connection.execute(
                insert(unmet_demand)
                .values(
                    query=asked,
                    department=asked_by,
                    key=demand_key(asked, vocabulary),
                    times=1,
                    first_at=now,
                    last_at=now,
                )
                .on_conflict_do_update(
                    index_elements=["query", "department"], set_={"times": unmet_demand.c.times + 1, "last_at": now}
                )
            )

    def find(self, nearest: Nearest, *, state: DemandState | None, offset: int, limit: int) -> Page[UnmetDemand]:
        """Return needs, those of the most departments first, then those asked most often."""
        many, times = func.count(func.distinct(unmet_demand.c.department)), func.sum(unmet_demand.c.times)
        grouped = (
            select(
                unmet_demand.c.key,
                times.label("times"),
                many.label("departments"),
                func.min(unmet_demand.c.first_at).label("first_at"),
                func.max(unmet_demand.c.last_at).label("last_at"),
            )
            .group_by(unmet_demand.c.key)
            .subquery()
        )
        current = func.coalesce(demand_handling.c.state, DemandState.NEW.value)
        statement = select(
            grouped, current.label("state"), demand_handling.c.department.label("department"), demand_handling.c.note
        ).join(demand_handling, demand_handling.c.key == grouped.c.key, isouter=True)
        if state is not None:
            statement = statement.where(current == state.value)
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
            order = (grouped.c.departments.desc(), grouped.c.times.desc(), grouped.c.key)
            rows = connection.execute(statement.order_by(*order).offset(offset).limit(limit)).mappings().all()
            spellings = {row["key"]: _spellings(connection, row["key"]) for row in rows}
        found = tuple(_demand(row, spellings[row["key"]], nearest) for row in rows)
        return page_of(found, total=total, offset=offset)

    def asked(self, key: str) -> tuple[str, DepartmentCode | None]:
        """Return how a need is written most often, and which department was asked to meet it.

        Raises:
            NotFound: nobody asked for it.
        """
        with self._database.snapshot() as connection:
            spellings = _spellings(connection, key)
            if not spellings:
                raise demand_not_found(key)
            handled = select(demand_handling.c.department).where(demand_handling.c.key == key)
            return spellings[0], connection.scalar(handled)

    def handle(
        self, key: str, state: DemandState, actor: Actor, *, department: DepartmentCode | None, note: str
    ) -> None:
        """Note what became of a need: which department was asked to catalogue it, or why nothing is done.

        Raises:
            NotFound: nobody asked for it.
        """
        now = self._clock.now()
        with self._database.transaction() as connection:
            if not _spellings(connection, key):
                raise demand_not_found(key)
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.DEMAND,
                subject=key,
                actor=actor,
                facts={"state": state.value, "department": department},
            )
            values: dict[str, Any] = {
                "state": state.value,
                "department": department,
                "note": note,
                "updated_at": now,
                "updated_by": actor.name or actor.id,
                "entry_id": entry_id,
            }
            insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            connection.execute(
                insert(demand_handling)
                .values(key=key, **values)
                .on_conflict_do_update(index_elements=["key"], set_=values)
            )


def demand_key(asked: str, vocabulary: Vocabulary) -> str:
    """Return what spellings of one need have in common: every word said as the first of its synonyms, in order."""
    words = []
    for word, known in vocabulary.segments(fold(asked)):
        if word not in plain_words("asking", "general"):
            words.append(min((word, *vocabulary.synonyms(word))) if known else word)
    return " ".join(sorted(words))[:QUERY_CHARS_MAX] or asked


def _spellings(connection: Connection, key: str) -> list[str]:
    times = func.sum(unmet_demand.c.times)
    statement = (
        select(unmet_demand.c.query)
        .where(unmet_demand.c.key == key)
        .group_by(unmet_demand.c.query)
        .order_by(times.desc(), unmet_demand.c.query)
        .limit(SPELLINGS_SHOWN_MAX)
    )
    return list(connection.execute(statement).scalars())


def _demand(row: RowMapping, spellings: list[str], nearest: Nearest) -> UnmetDemand:
    hits, likely = nearest(spellings[0])
    return UnmetDemand(
        key=row["key"],
        query=spellings[0],
        spellings=tuple(spellings),
        times=int(row["times"]),
        departments=row["departments"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        state=DemandState(row["state"]),
        department=row["department"],
        note=row["note"] or "",
        likely=tuple(code for code, _ in likely.most_common(LIKELY_DEPARTMENTS_MAX)),
        hits=hits,
    )
