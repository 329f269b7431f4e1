"""Keeps the quality of every source in every published version, in the transaction that publishes it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select

from datong.kernel import DepartmentCode, JsonValue, ResourceId, Value
from datong.library.quality_scores import SourceScore, scored
from datong.library.tables import CURRENT, SCORES
from datong.library.values import LinkReport

VERSIONS_SHOWN_MAX = 60


class ScoreAt(Value):
    """A source's scores in one version, and when that was published."""

    score: SourceScore
    published_at: datetime


def keep_scores(
    connection: Connection,
    report: LinkReport,
    newest_batches: Mapping[ResourceId, datetime],
    *,
    library: str,
    version: int,
    now: datetime,
) -> tuple[SourceScore, ...]:
    """Record the scores of a version that is about to be published, and return them."""
    kept = []
    for quality in report.sources:
        newest = newest_batches.get(quality.resource_id)
        score = scored(
            quality,
            library=library,
            version=version,
            days_since_batch=None if newest is None else (now - newest).days,
            previous=_newest(connection, library, quality.resource_id),
        )
        kept.append(score)
        connection.execute(
            insert(SCORES).values(
                library=library,
                resource_id=score.resource_id,
                version=version,
                department=score.department,
                published_at=now,
                overall=score.overall,
                fallen=bool(score.fallen),
                score=score.model_dump(mode="json"),
            )
        )
    return tuple(kept)


def score_facts(score: SourceScore) -> dict[str, JsonValue]:
    """Return a score as the ledger records it."""
    return {
        "resource": score.resource_id,
        "department": score.department,
        "overall": score.overall,
        "dimensions": {dimension.value: share for dimension, share in score.dimensions.items()},
        "fallen": bool(score.fallen),
    }


def current_scores(connection: Connection, library: str) -> tuple[SourceScore, ...]:
    """Return the scores of the version that is served, the lowest first."""
    rows = connection.execute(
        select(SCORES)
        .join(CURRENT, (CURRENT.c.library == SCORES.c.library) & (CURRENT.c.version == SCORES.c.version))
        .where(SCORES.c.library == library)
        .order_by(SCORES.c.overall, SCORES.c.resource_id)
    )
    return tuple(SourceScore.model_validate(row.score) for row in rows)


def score_history(connection: Connection, library: str, resource_id: ResourceId) -> tuple[ScoreAt, ...]:
    """Return a source's scores version by version, the oldest first."""
    rows = connection.execute(
        select(SCORES)
        .where(SCORES.c.library == library, SCORES.c.resource_id == resource_id)
        .order_by(SCORES.c.version.desc())
        .limit(VERSIONS_SHOWN_MAX)
    ).all()
    return tuple(_at(row) for row in reversed(rows))


def fallen_scores(connection: Connection, department: DepartmentCode) -> tuple[ScoreAt, ...]:
    """Return the department's sources whose quality fell in the version that is served now."""
    rows = connection.execute(
        select(SCORES)
        .join(CURRENT, (CURRENT.c.library == SCORES.c.library) & (CURRENT.c.version == SCORES.c.version))
        .where(SCORES.c.department == department, SCORES.c.fallen)
        .order_by(SCORES.c.overall, SCORES.c.library)
    )
    return tuple(_at(row) for row in rows)


def _newest(connection: Connection, library: str, resource_id: ResourceId) -> SourceScore | None:
    row = connection.execute(
        select(SCORES.c.score)
        .where(SCORES.c.library == library, SCORES.c.resource_id == resource_id)
        .order_by(SCORES.c.version.desc())
        .limit(1)
    ).first()
    return None if row is None else SourceScore.model_validate(row.score)


def _at(row: Row[tuple[object, ...]]) -> ScoreAt:
    return ScoreAt(score=SourceScore.model_validate(row.score), published_at=row.published_at)
