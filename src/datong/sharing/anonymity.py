"""Whether a table can be released: k-anonymity, l-diversity, t-closeness, and the least coarse form that has them.

Sweeney, "k-anonymity" (2002); Machanavajjhala et al., "l-diversity" (2006), in its distinct form; Li et al.,
"t-closeness" (2007), with the distance of total variation. The search looks at the full-domain generalisations from the
least to the most loss, as in El Emam et al., "A globally optimal k-anonymity method" (OLA, 2009).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

from duckdb import DuckDBPyConnection
from pydantic import Field, model_validator

from datong.kernel import Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing.generalising import UNKNOWN, Generaliser, canonical_sql, level_sql
from datong.sharing.mask_columns import quoted

QUASI_MAX = 6
SENSITIVE_MAX = 4
GROUPS_SHOWN_MAX = 50
LEVELS_TRIED_MAX = 2_000
PERMILLE = 1000


class QuasiColumn(Value):
    """A quasi-identifier: alone it names nobody, with others it may; `level` says how coarse it is released."""

    column: str = Field(max_length=NAME_CHARS_MAX)
    kind: Generaliser
    level: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.level > self.kind.highest:
            raise ValueError(f"{self.kind.value} has no level {self.level}")
        return self


class AnonymityRule(Value):
    """What a release must keep.

    Groups that break it may be left out, as long as they are at most `suppressed_max_permille` of all rows.
    """

    group_rows_min: int = Field(10, ge=2, le=10_000)
    """k: rows that are alike in every quasi-identifier."""
    diversity_min: int = Field(2, ge=1, le=100)
    """l: different values of each sensitive column among them."""
    distance_max_permille: int = Field(0, ge=0, le=PERMILLE)
    """t: how far their distribution of a sensitive column may lie from that of all rows; 0: not asked."""
    suppressed_max_permille: int = Field(10, ge=0, le=200)


class ReleasePlan(Value):
    """Which columns of a published table would be released, and how coarse."""

    dataset: str = Field(max_length=NAME_CHARS_MAX)
    quasi: tuple[QuasiColumn, ...] = Field(min_length=1, max_length=QUASI_MAX)
    sensitive: tuple[str, ...] = Field((), max_length=SENSITIVE_MAX)
    rule: AnonymityRule = AnonymityRule()

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [*(one.column for one in self.quasi), *self.sensitive]
        if len(set(names)) != len(names):
            raise ValueError("a column stands in one place only")
        return self

    @property
    def levels(self) -> tuple[int, ...]:
        """How coarse each quasi-identifier is."""
        return tuple(one.level for one in self.quasi)

    def at(self, levels: Sequence[int]) -> Self:
        """Return the plan with other levels."""
        quasi = tuple(one.model_copy(update={"level": level}) for one, level in zip(self.quasi, levels, strict=True))
        return self.model_copy(update={"quasi": quasi})


class OffendingGroup(Value):
    """Rows that are alike in every quasi-identifier and break the rule; `values` only for who may see them."""

    values: tuple[str, ...] | None
    rows: int
    diversity: int
    """The fewest different values that a sensitive column has among them."""
    distance_permille: int


class AnonymityReport(Value):
    """What the rule finds in a table."""

    rows: int
    groups: int
    smallest_group: int
    least_diversity: int
    largest_distance_permille: int
    offending_groups: int
    offending_rows: int
    offending: tuple[OffendingGroup, ...]
    loss_permille: int
    """How much was given away of what the levels could tell: 0 nothing, 1000 everything."""
    releasable: bool
    """Whether the offending rows are few enough to be left out."""

    def without_values(self) -> Self:
        """Return the report for somebody who may not see which groups offend."""
        hidden = tuple(group.model_copy(update={"values": None}) for group in self.offending)
        return self.model_copy(update={"offending": hidden})


@dataclass(frozen=True)
class Anonymity:
    """A table in `connection` whose rows were counted once by the finest values; questions then look at the counts."""

    connection: DuckDBPyConnection
    plan: ReleasePlan
    rows: int

    @classmethod
    def of(cls, connection: DuckDBPyConnection, view: str, plan: ReleasePlan, on: str) -> Self:
        """Count the rows of `view`; `on` is the day on which ages are told."""
        finest = [
            f"{canonical_sql(one.kind, quoted(one.column), on)} AS q{place}" for place, one in enumerate(plan.quasi)
        ]
        finest += [
            f"coalesce(CAST({quoted(column)} AS VARCHAR), '{UNKNOWN}') AS s{place}"
            for place, column in enumerate(plan.sensitive)
        ]
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE counted AS SELECT {', '.join(finest)}, count(*) AS n "
            f"FROM {view} GROUP BY ALL"
        )
        for place in range(len(plan.sensitive)):
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE overall_{place} AS "
                f"SELECT s{place} AS value, sum(n) / (SELECT sum(n) FROM counted) AS share FROM counted GROUP BY ALL"
            )
        counted = connection.execute("SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM counted").fetchone()
        return cls(connection=connection, plan=plan, rows=int(counted[0]) if counted else 0)

    def judge(self, levels: Sequence[int]) -> AnonymityReport:
        """Return what the rule finds when the quasi-identifiers are as coarse as `levels` say."""
        self._make_groups(levels)
        rule = self.plan.rule
        total = self.connection.execute(
            f"SELECT count(*), coalesce(min(size), 0), coalesce(min(diversity), 0), coalesce(max(distance), 0), "
            f"count(*) FILTER ({self._offends}), CAST(coalesce(sum(size) FILTER ({self._offends}), 0) AS BIGINT) "
            f"FROM groups"
        ).fetchone()
        if total is None:
            raise AssertionError("an aggregate has one row")
        names = ", ".join(f"g{place}" for place in range(len(self.plan.quasi)))
        offending = self.connection.execute(
            f"SELECT CAST(size AS BIGINT), diversity, distance, {names} FROM groups WHERE {self._offends} "
            f"ORDER BY size, {names} LIMIT {GROUPS_SHOWN_MAX}"
        ).fetchall()
        return AnonymityReport(
            rows=self.rows,
            groups=total[0],
            smallest_group=total[1],
            least_diversity=total[2],
            largest_distance_permille=total[3],
            offending_groups=total[4],
            offending_rows=total[5],
            offending=tuple(
                OffendingGroup(rows=row[0], diversity=row[1], distance_permille=row[2], values=tuple(row[3:]))
                for row in offending
            ),
            loss_permille=loss_permille(self.plan, levels),
            releasable=self.rows > total[5] and total[5] * PERMILLE <= rule.suppressed_max_permille * self.rows,
        )

    def least_loss(self) -> tuple[tuple[int, ...], AnonymityReport] | None:
        """Return the levels that keep the rule with the least loss, of those the ones with the fewest rows left out.

        None: not even the coarsest ones keep it.
        """
        best: tuple[tuple[int, ...], AnonymityReport] | None = None
        for levels in by_loss(self.plan):
            loss = loss_permille(self.plan, levels)
            if best is not None and loss > best[1].loss_permille:
                return best
            report = self.judge(levels)
            if report.releasable and (best is None or report.offending_rows < best[1].offending_rows):
                best = (levels, report)
        return best

    def released_sql(self, view: str, on: str) -> str:
        """Return the query for the rows of `view` as the plan releases them: in no order, no group that offends."""
        self._make_groups(self.plan.levels)
        shown = {
            one.column: level_sql(one.kind, one.level, canonical_sql(one.kind, quoted(one.column), on))
            for one in self.plan.quasi
        }
        same = " AND ".join(f"kept.g{place} = {expression}" for place, expression in enumerate(shown.values()))
        columns = [f"{expression} AS {quoted(column)}" for column, expression in shown.items()]
        columns += [f"CAST({quoted(column)} AS VARCHAR) AS {quoted(column)}" for column in self.plan.sensitive]
        return (
            f"SELECT {', '.join(columns)} FROM {view} "
            f"SEMI JOIN (SELECT * FROM groups WHERE NOT ({self._offends})) AS kept ON {same} ORDER BY random()"
        )

    @property
    def _offends(self) -> str:
        rule = self.plan.rule
        conditions = [f"size < {rule.group_rows_min}"]
        if self.plan.sensitive:
            conditions.append(f"diversity < {rule.diversity_min}")
            if rule.distance_max_permille:
                conditions.append(f"distance > {rule.distance_max_permille}")
        return " OR ".join(conditions)

    def _make_groups(self, levels: Sequence[int]) -> None:
        """Put the groups of these levels into the table `groups`: g0, g1, …, size, diversity, distance in permille."""
        coarse = [
            f"{level_sql(one.kind, level, f'q{place}')} AS g{place}"
            for place, (one, level) in enumerate(zip(self.plan.quasi, levels, strict=True))
        ]
        places = range(len(self.plan.sensitive))
        different = ", ".join(f"count(DISTINCT s{place})" for place in places)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE groups AS SELECT {', '.join(coarse)}, sum(n) AS size, "
            f"{f'least({different})' if different else '0'} AS diversity, 0 AS distance FROM counted GROUP BY ALL"
        )
        if self.plan.rule.distance_max_permille:
            for place in places:
                self.connection.execute(_distance_sql(coarse, place))


def _distance_sql(coarse: Sequence[str], place: int) -> str:
    """Raise the distance of each group to that of a sensitive column, where it is larger: half the sum of differences.

    Half the sum of all differences is the sum of the positive ones, which only values in the group can have.
    """
    keys = ", ".join(f"g{at}" for at in range(len(coarse)))
    same = " AND ".join(f"groups.g{at} = far.g{at}" for at in range(len(coarse)))
    return (
        f"UPDATE groups SET distance = greatest(distance, far.permille) FROM ("
        f"SELECT {keys}, CAST(ceil({PERMILLE} * sum(greatest(0, here / size - share)) - 1e-9) AS INTEGER) AS permille "
        f"FROM ("
        f"SELECT {keys}, value, n AS here, sum(n) OVER (PARTITION BY {keys}) AS size FROM ("
        f"SELECT {', '.join(coarse)}, s{place} AS value, sum(n) AS n FROM counted GROUP BY ALL)) "
        f"JOIN overall_{place} USING (value) GROUP BY {keys}) AS far WHERE {same}"
    )


def loss_permille(plan: ReleasePlan, levels: Sequence[int]) -> int:
    """Return how much the levels give away, each column counting alike (Sweeney's precision, from the other end)."""
    shares = [level / one.kind.highest for one, level in zip(plan.quasi, levels, strict=True)]
    return round(PERMILLE * sum(shares) / len(shares))


def by_loss(plan: ReleasePlan) -> Iterator[tuple[int, ...]]:
    """Return every combination of levels, from the least loss to the most."""
    every = product(*(range(one.kind.highest + 1) for one in plan.quasi))
    yield from sorted(every, key=lambda levels: (loss_permille(plan, levels), levels))


def combinations(plan: ReleasePlan) -> int:
    """Return how many combinations of levels there are."""
    count = 1
    for one in plan.quasi:
        count *= one.kind.highest + 1
    return count
