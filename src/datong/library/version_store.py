"""What the control database knows of versions: which exist, what holds them, what was disposed of."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from datong.kernel import Actor
from datong.library.correction_rules import CorrectionState
from datong.library.retention_rules import HoldReason, RetentionRule, VersionTime, version_at, version_times
from datong.library.retention_values import DeclaredRetention, Disposal, VersionHold
from datong.library.tables import BUILDS, CORRECTIONS, CURRENT, DATASETS, DISPOSALS, HOLDS, RETENTIONS
from datong.library.values import BuildState

UNSETTLED = tuple(
    state for state in CorrectionState if state not in (CorrectionState.CLOSED, CorrectionState.WITHDRAWN)
)
"""States in which somebody may still come back to what a report says."""


def times_of(connection: Connection, library: str) -> tuple[VersionTime, ...]:
    """Return every version that was ever published, oldest first."""
    rows = connection.execute(
        select(DATASETS.c.version, DATASETS.c.published_at)
        .where(DATASETS.c.library == library)
        .distinct()
        .order_by(DATASETS.c.version)
    )
    return version_times([(row.version, row.published_at) for row in rows])


def disposals_of(connection: Connection, library: str) -> dict[int, Disposal]:
    """Return the versions that were disposed of, and how."""
    rows = connection.execute(select(DISPOSALS).where(DISPOSALS.c.library == library)).mappings()
    return {
        row["version"]: Disposal.model_validate({name: row[name] for name in Disposal.model_fields}) for row in rows
    }


def retention_of(connection: Connection, library: str, default: RetentionRule) -> DeclaredRetention:
    """Return the rule in force for a library."""
    row = connection.execute(select(RETENTIONS).where(RETENTIONS.c.library == library)).mappings().first()
    if row is None:
        return DeclaredRetention(rule=default)
    rule = RetentionRule(days=row["days"], versions_min=row["versions_min"])
    said = {name: row[name] for name in ("statement", "declared_by", "declared_at", "entry_id")}
    return DeclaredRetention(rule=rule, **said)


def holds_of(connection: Connection, library: str, *, released: bool = False) -> tuple[VersionHold, ...]:
    """Return the holds that persons placed on versions of a library, oldest first; with `released`, ended ones, too."""
    query = select(HOLDS).where(HOLDS.c.library == library).order_by(HOLDS.c.placed_at, HOLDS.c.id)
    rows = connection.execute(query if released else query.where(HOLDS.c.released_at.is_(None))).mappings()
    return tuple(VersionHold.model_validate(dict(row)) for row in rows)


def held_versions(
    connection: Connection, library: str, times: tuple[VersionTime, ...]
) -> dict[int, tuple[HoldReason, ...]]:
    """Return the versions that must stay, and why."""
    found: dict[int, set[HoldReason]] = {}

    def hold(versions: Iterable[int | None], reason: HoldReason) -> None:
        for version in versions:
            if version is not None:
                found.setdefault(version, set()).add(reason)

    hold((one.version for one in holds_of(connection, library)), HoldReason.PERSON)
    hold((version_at(times, at) for at in _reported(connection, library)), HoldReason.CORRECTION)
    hold(_read_by_builds(connection, library), HoldReason.BUILD)
    return {version: tuple(sorted(reasons)) for version, reasons in found.items()}


def lock_library(connection: Connection, library: str) -> None:
    """Keep holds and disposals of one library apart until the transaction ends."""
    connection.execute(select(CURRENT.c.version).where(CURRENT.c.library == library).with_for_update())


def _reported(connection: Connection, library: str) -> list[datetime]:
    """Return when the reports of wrong cells that are not settled were made: they cite what was served then."""
    rows = connection.execute(
        select(CORRECTIONS.c.reported_at).where(
            (CORRECTIONS.c.library == library) | (CORRECTIONS.c.record_library == library),
            CORRECTIONS.c.state.in_(UNSETTLED),
        )
    )
    return [row.reported_at for row in rows]


def _read_by_builds(connection: Connection, library: str) -> list[int]:
    rows = connection.execute(
        select(BUILDS.c.inputs).where(BUILDS.c.state.in_([BuildState.REQUESTED, BuildState.RUNNING]))
    )
    return [given["version"] for row in rows for given in row.inputs if given.get("library") == library]


def actor_facts(actor: Actor) -> dict[str, str | None]:
    """Return an actor as a row keeps them."""
    facts: dict[str, str | None] = actor.model_dump(mode="json")
    return facts
