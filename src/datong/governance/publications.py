"""Published indicators: when a month is over its league table becomes evidence, once, and is never computed away.

What a period's table says may change while duties of the period are still judged. What was published is in the log: a
line for each department with what was counted, and the order of all. `rederiving` makes both again from the log alone.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, insert, select
from sqlalchemy.exc import IntegrityError

from datong.governance.duties import RULES_VERSION
from datong.governance.guards import GUARDS, GUARDS_VERSION, Effect
from datong.governance.indicators import FORMULAS_VERSION, DepartmentPerformance, Performance
from datong.governance.performance import Indicators
from datong.governance.periods import Period
from datong.governance.tables import PUBLICATION
from datong.kernel import PLATFORM_ACTOR, Clock, Database, EntryId, JsonValue, NotFound, Page, Text, Value, page_of
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger

WAIT = timedelta(minutes=10)
"""A period is published so long after its end: acts of its last moment are on record by then."""
CATCH_UP_MONTHS_MAX = 12
"""A hub that was away publishes at most so many past months."""


class Publication(Value):
    """A league table as it was published, and the entry that is the evidence of its order."""

    period: str
    published_at: datetime
    entry_id: EntryId
    performance: Performance


class Publications:
    """Publishes the indicators of every month that is over."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, indicators: Indicators) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._indicators = indicators

    def publish_due(self) -> tuple[str, ...]:
        """Publish the months that are over and not yet published, oldest first; return their names."""
        first = self._ledger.first_at()
        if first is None:
            return ()
        with self._database.snapshot() as connection:
            newest = connection.scalar(select(func.max(PUBLICATION.c.period)))
        period = Period.containing(first) if newest is None else Period.containing(Period.parse(newest).until)
        due: list[Period] = []
        while period.until + WAIT <= self._clock.now():
            due.append(period)
            period = Period.containing(period.until)
        return tuple(one.name for one in due[-CATCH_UP_MONTHS_MAX:] if self._publish(one))

    def published(self, period: str) -> Publication:
        """Return what was published of a period.

        Raises:
            Invalid: `period` is not one. NotFound: nothing was published of it.
        """
        name = Period.parse(period).name
        with self._database.snapshot() as connection:
            row = connection.execute(select(PUBLICATION).where(PUBLICATION.c.period == name)).mappings().first()
        if row is None:
            raise NotFound(
                "governance.not_published",
                what=Text(zh=f"{name} 的指标尚未公布。", en=f"The indicators of {name} have not been published."),
                remedy=Text(zh="月份结束后自动公布。", en="A month is published when it is over."),
            )
        return _publication(row)

    def find(self, *, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT) -> Page[Publication]:
        """Return what was published, newest first."""
        newest = select(PUBLICATION).order_by(PUBLICATION.c.period.desc())
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(PUBLICATION)) or 0
            rows = connection.execute(newest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return page_of(tuple(_publication(row) for row in rows), total=total, offset=offset)

    def _publish(self, period: Period) -> bool:
        """Publish one period; return whether this process was the one that did."""
        performance = self._indicators.compute(period.name)
        try:
            with self._database.transaction() as connection:
                self._write(connection, performance)
        except IntegrityError:
            # Another process of this hub was quicker; its entries stand and ours were rolled back.
            return False
        return True

    def _write(self, connection: Connection, performance: Performance) -> None:
        entries = [
            (f"{performance.period.name}/{line.department}", line_facts(performance, line))
            for line in performance.departments
        ]
        self._ledger.append_many(connection, kind=EntryKind.INDICATOR, actor=PLATFORM_ACTOR, entries=entries)
        entry_id = self._ledger.append(
            connection,
            kind=EntryKind.INDICATOR,
            subject=performance.period.name,
            actor=PLATFORM_ACTOR,
            facts=order_facts(performance),
        )
        connection.execute(
            insert(PUBLICATION).values(
                period=performance.period.name,
                published_at=self._clock.now(),
                entry_id=entry_id,
                document=performance.model_dump(mode="json"),
            )
        )


def line_facts(performance: Performance, line: DepartmentPerformance) -> Mapping[str, JsonValue]:
    """Return the facts of one department's line: ranks, scores in hundredths, and what each indicator counted.

    `discounted` tells what guards took out of it, by indicator and guard; `flagged` which others struck.
    """
    discounted: dict[str, dict[str, list[int]]] = {}
    for value in line.values:
        for one in value.discounts:
            sums = discounted.setdefault(value.key, {}).setdefault(one.guard, [0, 0])
            sums[0] += one.counted
            sums[1] += one.base
    flagged = sorted({one.guard for one in line.suspicions if GUARDS[one.guard].effect is Effect.FLAG})
    return {
        "period": performance.period.name,
        "rules": RULES_VERSION,
        "guards": GUARDS_VERSION,
        "formulas": FORMULAS_VERSION,
        **({"discounted": discounted} if discounted else {}),
        **({"flagged": flagged} if flagged else {}),
        "department": line.department,
        "rank": line.rank,
        "score_centi": None if line.score is None else round(line.score * 100),
        "points": line.points,
        "counted": {value.key: [value.counted, value.base] for value in line.values if value.base},
    }


def order_facts(performance: Performance) -> Mapping[str, JsonValue]:
    """Return the facts of the whole table: the departments in their order."""
    return {
        "period": performance.period.name,
        "rules": RULES_VERSION,
        "guards": GUARDS_VERSION,
        "formulas": FORMULAS_VERSION,
        "departments": [line.department for line in performance.departments],
    }


def _publication(row: RowMapping) -> Publication:
    return Publication(
        period=row["period"],
        published_at=row["published_at"],
        entry_id=row["entry_id"],
        performance=Performance.model_validate(row["document"]),
    )
