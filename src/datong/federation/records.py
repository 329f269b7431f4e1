"""Rows of the federation's tables as values, and the statements that read and change them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.federation.readers import Position
from datong.federation.tables import entry as entries
from datong.federation.tables import note as notes
from datong.federation.tables import run as runs
from datong.federation.values import (
    HarvestRun,
    HarvestSource,
    Outcome,
    RunId,
    RunMode,
    RunNote,
    RunState,
    SourceId,
    SourceSettings,
    SourceState,
)
from datong.kernel import DepartmentCode, ResourceId, Text, Value

COUNTS = ("seen", "added", "changed", "unchanged", "removed", "rejected", "adjusted", "held")
NOTE_CHARS_MAX = 200
NOTES_PER_RUN_MAX = 200_000
_HIDDEN = ("accept_removals", "holder", "held_until", "failure")


class Known(Value):
    """What is kept here of one remote entry."""

    remote_id: str
    remote_name: str
    resource_id: ResourceId
    department: DepartmentCode
    digest: str
    present: bool
    seen_run: str | None


def run_from(row: RowMapping) -> HarvestRun:
    """A row of `federation_run`."""
    values = {name: value for name, value in row.items() if name not in _HIDDEN}
    failure = Text.model_validate(row["failure"]) if row["failure"] else None
    return HarvestRun.model_validate({**values, "failure": failure})


def source_from(row: RowMapping, *, present: int, last: HarvestRun | None) -> HarvestSource:
    """A row of `federation_source`."""
    return HarvestSource(
        id=SourceId(row["id"]),
        settings=SourceSettings.model_validate(row["settings"]),
        state=SourceState(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        next_due_at=row["next_due_at"],
        entries=present,
        last_run=last,
    )


def position_of(row: RowMapping) -> Position:
    """Where the last complete run of a source left off."""
    return Position.model_validate(row["position"])


def present_counts(connection: Connection) -> dict[str, int]:
    """Return how many entries of each source are present."""
    statement = (
        select(entries.c.source_id, func.count()).where(entries.c.present.is_(True)).group_by(entries.c.source_id)
    )
    return {str(source_id): int(number) for source_id, number in connection.execute(statement)}


def last_runs(connection: Connection, source_ids: Sequence[str]) -> dict[str, HarvestRun]:
    """Return the newest run of each source."""
    newest = (
        select(runs.c.source_id, func.max(runs.c.id).label("id"))
        .where(runs.c.source_id.in_(source_ids))
        .group_by(runs.c.source_id)
        .subquery()
    )
    found = connection.execute(select(runs).join(newest, newest.c.id == runs.c.id)).mappings()
    return {row["source_id"]: run_from(row) for row in found}


def known_entries(connection: Connection, source_id: str, remote_ids: Iterable[str]) -> dict[str, Known]:
    """Return what is kept of some remote entries of a source."""
    statement = select(entries).where(entries.c.source_id == source_id, entries.c.remote_id.in_(list(remote_ids)))
    return {row["remote_id"]: _known(row) for row in connection.execute(statement).mappings()}


def unseen(connection: Connection, source_id: str, run_id: str) -> dict[str, Known]:
    """Return the present entries of a source that a run has not met."""
    statement = select(entries).where(
        entries.c.source_id == source_id,
        entries.c.present.is_(True),
        (entries.c.seen_run.is_(None)) | (entries.c.seen_run != run_id),
    )
    return {row["remote_id"]: _known(row) for row in connection.execute(statement).mappings()}


def _known(row: RowMapping) -> Known:
    return Known.model_validate({name: value for name, value in row.items() if name != "source_id"})


def put_entries(connection: Connection, source_id: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert or replace what is kept of remote entries; a row has every column but the source."""
    if not rows:
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(entries)
    replaced = {
        name: statement.excluded[name] for name in ("remote_name", "department", "digest", "present", "seen_run")
    }
    connection.execute(
        statement.on_conflict_do_update(index_elements=["source_id", "remote_id"], set_=replaced),
        [{"source_id": source_id, **row} for row in rows],
    )


def mark_seen(connection: Connection, source_id: str, remote_ids: Sequence[str], run_id: str) -> None:
    """Note that a run has met entries that are as they were."""
    if remote_ids:
        connection.execute(
            update(entries)
            .where(entries.c.source_id == source_id, entries.c.remote_id.in_(remote_ids))
            .values(seen_run=run_id)
        )


def mark_absent(connection: Connection, source_id: str, remote_ids: Sequence[str]) -> None:
    """Note that entries are gone at their origin."""
    connection.execute(
        update(entries)
        .where(entries.c.source_id == source_id, entries.c.remote_id == bindparam("of_remote"))
        .values(present=False),
        [{"of_remote": remote_id} for remote_id in remote_ids],
    )


def count(connection: Connection, run_id: str, counts: Mapping[str, int]) -> None:
    """Add to a run's counts."""
    added = {name: runs.c[name] + number for name, number in counts.items() if number}
    if added:
        connection.execute(update(runs).where(runs.c.id == run_id).values(**added))


def put_notes(connection: Connection, run_id: str, found: Sequence[RunNote]) -> int:
    """Write what came of datasets and return how many were new: a run taken up again does not repeat its notes."""
    if not found:
        return 0
    said = {
        (remote_id, outcome)
        for remote_id, outcome in connection.execute(
            select(notes.c.remote_id, notes.c.outcome).where(
                notes.c.run_id == run_id, notes.c.remote_id.in_([entry.remote_id for entry in found])
            )
        )
    }
    rows = [
        {
            "run_id": run_id,
            "remote_id": entry.remote_id,
            "title": entry.title[:NOTE_CHARS_MAX],
            "outcome": entry.outcome.value,
            "reason_zh": entry.reason.zh,
            "reason_en": entry.reason.en,
            "resource_id": entry.resource_id,
        }
        for entry in found
        if (entry.remote_id, entry.outcome.value) not in said
    ]
    if rows:
        connection.execute(notes.insert(), rows)
    return len(rows)


def note_from(row: RowMapping) -> RunNote:
    """A row of `federation_note`."""
    return RunNote(
        remote_id=row["remote_id"],
        title=row["title"],
        outcome=Outcome(row["outcome"]),
        reason=Text(zh=row["reason_zh"], en=row["reason_en"]),
        resource_id=row["resource_id"],
    )


def select_notes(run_id: str, outcome: Outcome | None) -> Select[Any]:
    """The notes of a run, in the order in which they were made."""
    statement = select(notes).where(notes.c.run_id == run_id)
    if outcome is not None:
        statement = statement.where(notes.c.outcome == outcome.value)
    return statement


def new_run(
    run_id: RunId, source_id: SourceId, mode: RunMode, requested_by: str, now: datetime, *, accept_removals: bool
) -> dict[str, object]:
    """The row of a fresh run."""
    return {
        "id": run_id,
        "source_id": source_id,
        "mode": mode.value,
        "state": RunState.QUEUED.value,
        "requested_by": requested_by[:NOTE_CHARS_MAX],
        "accept_removals": accept_removals,
        "queued_at": now,
        **dict.fromkeys(COUNTS, 0),
    }
