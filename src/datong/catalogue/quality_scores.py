"""Scores of the whole catalogue: kept per published version, counted in bulk, summed by department, day by day."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import Select, and_, cast, func, or_, select
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue.faults import resource_not_found
from datong.catalogue.quality import QualityReport, QualityScheme, indicator_sql, quality_scheme, report_of
from datong.catalogue.tables import listing, quality, quality_day, resource, version
from datong.kernel import CHINA, Clock, Database, DepartmentCode, ResourceId, Text, Value
from datong.norms import NormPack

ROWS_AT_ONCE = 2000
JUDGED_AT_ONCE = 200
"""Resources that one query judges: it takes some 600 KB of memory for each of them."""
TREND_DAYS_MAX = 366
FREQUENT_MAX = 10
WORST_MAX = 20
EVERYTHING = ""
"""The department of the sums over all departments."""


class DepartmentQuality(Value):
    """The mean score of a department's visible resources, and by dimension; empty code: the whole catalogue."""

    department: DepartmentCode
    resources: int
    score: float
    rating: Text
    dimensions: dict[str, float]


class QualityDay(Value):
    """How a department (or everything) stood at the end of a day."""

    day: date
    resources: int
    score: float


class FrequentGap(Value):
    """What is missing most often, and how many points that costs on the average."""

    indicator: str
    name: Text
    gain: Text
    resources: int
    points: int


class WorstResource(Value):
    """A resource whose description gains most from care."""

    id: ResourceId
    title: str
    score: int


class QualityOverview(Value):
    """One department's quality, or everything's: how it stands, how it came, what is missing, where to begin."""

    standing: DepartmentQuality
    trend: tuple[QualityDay, ...]
    gaps: tuple[FrequentGap, ...]
    worst: tuple[WorstResource, ...]


class CatalogueQuality:
    """Keeps the score of every visible resource of our own departments and of others'."""

    def __init__(
        self, *, database: Database, clock: Clock, pack: NormPack, scheme: QualityScheme | None = None
    ) -> None:
        self._database, self._clock, self._pack = database, clock, pack
        self.scheme = scheme or quality_scheme()
        self._rules = f"{self.scheme.digest[:32]}{pack.version}"[:64]
        indicators = ", ".join(
            f"{indicator_sql(entry.test, pack)} AS i_{entry.key}" for entry in self.scheme.indicators
        )
        self._kept = ""
        own = "json_extract_string(content, '$.origin.source_id') IS NULL AS own"
        self._statement = f"SELECT id, {own}, {indicators} FROM contents"

    def refresh(self) -> bool:
        """Count what changed since the last time; return whether there may be more at once."""
        with self._database.snapshot() as connection:
            rows = connection.execute(self._stale().limit(ROWS_AT_ONCE)).all()
            gone = list(
                connection.execute(
                    select(quality.c.resource_id)
                    .where(
                        ~select(listing.c.resource_id).where(listing.c.resource_id == quality.c.resource_id).exists()
                    )
                    .limit(ROWS_AT_ONCE)
                ).scalars()
            )
        if not rows and not gone:
            self._keep_day()
            return False
        self._kept = ""
        slices = [rows[start : start + JUDGED_AT_ONCE] for start in range(0, len(rows), JUDGED_AT_ONCE)]
        scored = [row for part in slices for row in self._score(part)]
        with self._database.transaction() as connection:
            if gone:
                connection.execute(quality.delete().where(quality.c.resource_id.in_(gone)))
            if scored:
                insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
                statement = insert(quality)
                replaced = {
                    column.name: statement.excluded[column.name] for column in quality.c if not column.primary_key
                }
                connection.execute(
                    statement.on_conflict_do_update(index_elements=["resource_id"], set_=replaced), scored
                )
        return True

    def report(self, resource_id: ResourceId) -> QualityReport:
        """Return the kept score of a visible resource, or raise NotFound while it has none."""
        with self._database.snapshot() as connection:
            missing = connection.execute(
                select(quality.c.missing).where(quality.c.resource_id == resource_id)
            ).scalar_one_or_none()
        if missing is None:
            raise resource_not_found(resource_id)
        return report_of(self.scheme, {entry.key for entry in self.scheme.indicators} - set(missing))

    def ranking(self) -> tuple[DepartmentQuality, ...]:
        """Return how our own departments stand, best first, as counted last."""
        with self._database.snapshot() as connection:
            newest = select(func.max(quality_day.c.day)).scalar_subquery()
            rows = connection.execute(
                select(quality_day).where(quality_day.c.day == newest, quality_day.c.department != EVERYTHING)
            ).all()
        found = [self._standing(row) for row in rows]
        return tuple(sorted(found, key=lambda entry: (-entry.score, entry.department)))

    def overview(self, department: DepartmentCode | None = None) -> QualityOverview:
        """Return how one department, or everything of our own, stands and came to it, as counted last."""
        code = department or EVERYTHING
        with self._database.snapshot() as connection:
            days = connection.execute(
                select(quality_day)
                .where(quality_day.c.department == code)
                .order_by(quality_day.c.day.desc())
                .limit(TREND_DAYS_MAX)
            ).all()
            narrowed = [quality.c.department == department] if department else []
            worst = connection.execute(
                select(quality.c.resource_id, listing.c.title, quality.c.score)
                .join(listing, listing.c.resource_id == quality.c.resource_id)
                .where(quality.c.own.is_(True), *narrowed)
                .order_by(quality.c.score, quality.c.resource_id)
                .limit(WORST_MAX)
            ).all()
        return QualityOverview(
            standing=self._standing(days[0] if days else None),
            trend=tuple(
                QualityDay(
                    day=date.fromisoformat(row.day), resources=row.resources, score=row.score_sum / row.resources
                )
                for row in reversed(days)
            ),
            gaps=self._gaps(days[0].missing if days else {}),
            worst=tuple(
                WorstResource(id=ResourceId(row.resource_id), title=row.title, score=row.score) for row in worst
            ),
        )

    def _stale(self) -> Select[Any]:
        """Visible resources whose kept score is that of another version, or of other rules."""
        return (
            select(resource.c.id, resource.c.department, resource.c.published_version, version.c.content)
            .with_only_columns(
                resource.c.id,
                resource.c.department,
                resource.c.published_version,
                cast(version.c.content, SqlText).label("content"),
            )
            .join(listing, listing.c.resource_id == resource.c.id)
            .join(
                version, and_(version.c.resource_id == resource.c.id, version.c.version == resource.c.published_version)
            )
            .outerjoin(quality, quality.c.resource_id == resource.c.id)
            .where(
                or_(
                    quality.c.resource_id.is_(None),
                    quality.c.version != resource.c.published_version,
                    quality.c.department != resource.c.department,
                    quality.c.rules != self._rules,
                )
            )
        )

    def _score(self, rows: Any) -> list[dict[str, object]]:
        """Judge contents in one DuckDB query; what is left to Python is naming what each lacks."""
        if not rows:
            return []
        table = pa.table({"id": [row.id for row in rows], "content": [row.content for row in rows]})
        engine = duckdb.connect()
        engine.register("texts", table)
        engine.execute("CREATE TEMP TABLE contents AS SELECT id, CAST(content AS JSON) AS content FROM texts")
        met = engine.execute(self._statement).to_arrow_table().to_pydict()
        engine.close()
        now = self._clock.now()
        place = {key: index for index, key in enumerate(met["id"])}
        scored: list[dict[str, object]] = []
        for row in rows:
            index = place[row.id]
            has = {entry.key for entry in self.scheme.indicators if met[f"i_{entry.key}"][index]}
            report = report_of(self.scheme, has)
            scored.append(
                {
                    "resource_id": row.id,
                    "version": row.published_version,
                    "department": row.department,
                    "own": met["own"][index],
                    "rules": self._rules,
                    "score": report.score,
                    **report.dimensions,
                    "missing": [entry.key for entry in self.scheme.indicators if entry.key not in has],
                    "counted_at": now,
                }
            )
        return scored

    def _standing(self, row: Any) -> DepartmentQuality:
        number = row.resources if row is not None else 0
        score = row.score_sum / number if number else 0.0
        sums = row.dimension_sums if row is not None else {}
        return DepartmentQuality(
            department=DepartmentCode(row.department if row is not None else EVERYTHING),
            resources=number,
            score=score,
            rating=self.scheme.rating(score).name,
            dimensions={entry.key: sums.get(entry.key, 0) / max(number, 1) for entry in self.scheme.dimensions},
        )

    def _gaps(self, counts: Mapping[str, int]) -> tuple[FrequentGap, ...]:
        gaps = [
            FrequentGap(
                indicator=entry.key,
                name=entry.name,
                gain=entry.gain,
                resources=counts[entry.key],
                points=entry.points,
            )
            for entry in self.scheme.indicators
            if counts.get(entry.key)
        ]
        return tuple(sorted(gaps, key=lambda gap: -gap.resources * gap.points))[:FREQUENT_MAX]

    def _keep_day(self) -> None:
        """Keep today's sums, by department and for everything: once a day, and after every change."""
        today = self._clock.now().astimezone(CHINA).date().isoformat()
        if self._kept == today:
            return
        dimensions = [entry.key for entry in self.scheme.dimensions]
        text = cast(quality.c.missing, SqlText)
        own = quality.c.own.is_(True)
        sums = [func.sum(quality.c[name]) for name in ("score", *dimensions)]
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(quality.c.department, func.count(), *sums).where(own).group_by(quality.c.department)
            ).all()
            # The lists of what is missing are few different ones, so the database groups them.
            lists = connection.execute(
                select(quality.c.department, text, func.count()).where(own).group_by(quality.c.department, text)
            ).all()
        found: dict[str, _DaySums] = {}
        for department, number, score, *of_dimensions in rows:
            for code in (department, EVERYTHING):
                found.setdefault(code, _DaySums()).add(
                    number, int(score), dict(zip(dimensions, map(int, of_dimensions), strict=True))
                )
        for department, missing, number in lists:
            for code in (department, EVERYTHING):
                found[code].missing.update(dict.fromkeys(json.loads(missing), number))
        with self._database.transaction() as connection:
            connection.execute(quality_day.delete().where(quality_day.c.day == today))
            if found:
                connection.execute(
                    quality_day.insert(),
                    [
                        {
                            "day": today,
                            "department": code,
                            "resources": entry.resources,
                            "score_sum": entry.score,
                            "dimension_sums": dict(entry.dimensions),
                            "missing": dict(entry.missing),
                        }
                        for code, entry in found.items()
                    ],
                )
        self._kept = today


class _DaySums:
    """Sums of one department, or of everything."""

    def __init__(self) -> None:
        self.resources, self.score = 0, 0
        self.dimensions: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()

    def add(self, resources: int, score: int, dimensions: dict[str, int]) -> None:
        self.resources += resources
        self.score += score
        self.dimensions.update(dimensions)
