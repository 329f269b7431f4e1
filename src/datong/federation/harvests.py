"""The register of harvest sources and what was harvested: sources, runs and notes. `harvester` performs the runs."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, select, update

from datong.catalogue import Departments, ForeignEntries
from datong.federation import records
from datong.federation.faults import department_unknown, run_not_found, source_ended, source_not_found
from datong.federation.readers import Position
from datong.federation.tables import note as notes
from datong.federation.tables import run as runs
from datong.federation.tables import source as sources
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
from datong.kernel import Actor, Clock, Conflict, Database, Page, Text, canonical_json, new_id, page_of, sha256_hex
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger

SOURCES_MAX = 1000
FULL_EVERY = timedelta(days=7)
"""An incremental harvest believes the origin's modification times; a full one from time to time believes nothing."""
WITHDRAWN_PER_TRANSACTION = 200
_OPEN_STATES = (RunState.QUEUED.value, RunState.RUNNING.value)


class Harvests:
    """Sources and their runs. Every decision about a source is evidenced in the same transaction."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, departments: Departments, foreign: ForeignEntries
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._departments, self._foreign = departments, foreign

    def create(self, settings: SourceSettings, actor: Actor) -> HarvestSource:
        """Register a source; its first harvest is due at once.

        Raises:
            Invalid: it names a department that is not registered.
            Conflict: there are as many sources as are allowed.
        """
        self._require_departments(settings)
        now = self._clock.now()
        source_id = SourceId(new_id())
        with self._database.transaction() as connection:
            if connection.execute(select(func.count()).select_from(sources)).scalar_one() >= SOURCES_MAX:
                raise Conflict(
                    "federation.too_many_sources",
                    what=Text(zh=f"来源已达 {SOURCES_MAX} 个。", en=f"There are {SOURCES_MAX} sources already."),
                    remedy=Text(zh="请终止不再需要的来源。", en="End the ones no longer needed."),
                )
            connection.execute(
                sources.insert().values(
                    id=source_id,
                    settings=settings.model_dump(mode="json"),
                    state=SourceState.ACTIVE.value,
                    created_at=now,
                    updated_at=now,
                    next_due_at=now,
                    position=Position().model_dump(),
                )
            )
            self._record(connection, source_id, "create", actor, settings)
        return self.source(source_id)

    def edit(self, source_id: SourceId, settings: SourceSettings, actor: Actor) -> HarvestSource:
        """Change a source; the next run reads everything, since the mapping may differ.

        Raises:
            NotFound: no such source.
            Conflict: it was ended.
            Invalid: it names a department that is not registered.
        """
        self._require_departments(settings)
        with self._database.transaction() as connection:
            row = self._locked(connection, source_id)
            if SourceSettings.model_validate(row["settings"]) == settings:
                return self.source(source_id)
            connection.execute(
                update(sources)
                .where(sources.c.id == source_id)
                .values(
                    settings=settings.model_dump(mode="json"),
                    updated_at=self._clock.now(),
                    position=Position().model_dump(),
                )
            )
            self._record(connection, source_id, "edit", actor, settings)
        return self.source(source_id)

    def set_state(self, source_id: SourceId, state: SourceState, actor: Actor) -> HarvestSource:
        """Pause a source, resume it, or end it for good; what an ended source brought is retired.

        Raises:
            NotFound: no such source.
            Conflict: it was ended.
        """
        with self._database.transaction() as connection:
            row = self._locked(connection, source_id)
            if row["state"] != state.value:
                due = self._clock.now() if state is SourceState.ACTIVE else None
                connection.execute(
                    update(sources)
                    .where(sources.c.id == source_id)
                    .values(state=state.value, updated_at=self._clock.now(), next_due_at=due)
                )
                self._record(connection, source_id, state.value, actor, SourceSettings.model_validate(row["settings"]))
            if state is not SourceState.ACTIVE:
                self._cancel_queued(connection, source_id)
        if state is SourceState.ENDED:
            self.retire_all(source_id, actor)
        return self.source(source_id)

    def retire_all(self, source_id: SourceId, actor: Actor) -> None:
        """Retire what an ended source brought, in steps; a kill in between is healed by calling it again."""
        reason = Text(zh="采集来源已终止", en="the harvest source was ended")
        facts = {"source": source_id, "run": None}
        while True:
            with self._database.transaction() as connection:
                left = records.unseen(connection, source_id, "")
                batch = [left[key] for key in sorted(left)[:WITHDRAWN_PER_TRANSACTION]]
                if not batch:
                    return
                ids = [entry.resource_id for entry in batch]
                self._foreign.withdraw(connection, ids, actor=actor, reason=reason, facts=facts)
                records.mark_absent(connection, source_id, [entry.remote_id for entry in batch])

    def sources(self) -> tuple[HarvestSource, ...]:
        """Return every source with its last run, oldest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(select(sources).order_by(sources.c.created_at, sources.c.id)).mappings().all()
            present = records.present_counts(connection)
            last = records.last_runs(connection, [row["id"] for row in rows])
        return tuple(
            records.source_from(row, present=present.get(row["id"], 0), last=last.get(row["id"])) for row in rows
        )

    def source(self, source_id: SourceId) -> HarvestSource:
        """Return one source, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = connection.execute(select(sources).where(sources.c.id == source_id)).mappings().first()
            if row is None:
                raise source_not_found(source_id)
            present = records.present_counts(connection)
            last = records.last_runs(connection, [source_id])
        return records.source_from(row, present=present.get(source_id, 0), last=last.get(source_id))

    def start(
        self,
        source_id: SourceId,
        requested_by: str,
        *,
        mode: RunMode | None = None,
        accept_removals: bool = False,
    ) -> HarvestRun:
        """Queue a run, or return the one that is queued or running; the mode is chosen unless it is given.

        `accept_removals` says that what vanished may be retired, however much it is.

        Raises:
            NotFound: no such source.
            Conflict: it was ended.
        """
        with self._database.transaction() as connection:
            row = self._locked(connection, source_id)
            under_way = (
                connection.execute(
                    select(runs).where(runs.c.source_id == source_id, runs.c.state.in_(_OPEN_STATES)).limit(1)
                )
                .mappings()
                .first()
            )
            if under_way is not None:
                return records.run_from(under_way)
            now = self._clock.now()
            full_due = row["last_full_at"] is None or now - row["last_full_at"] >= FULL_EVERY
            nothing_known = records.position_of(row) == Position()
            chosen = mode or (RunMode.FULL if full_due or nothing_known else RunMode.INCREMENTAL)
            if chosen is RunMode.INCREMENTAL and nothing_known:
                chosen = RunMode.FULL
            run_id = RunId(new_id())
            connection.execute(
                runs.insert().values(
                    **records.new_run(run_id, source_id, chosen, requested_by, now, accept_removals=accept_removals)
                )
            )
            hours = SourceSettings.model_validate(row["settings"]).interval_hours
            if row["state"] == SourceState.ACTIVE.value:
                connection.execute(
                    update(sources).where(sources.c.id == source_id).values(next_due_at=now + timedelta(hours=hours))
                )
        return self.run(run_id)

    def start_due(self) -> int:
        """Queue a run of every source whose time has come; return how many."""
        now = self._clock.now()
        with self._database.snapshot() as connection:
            due = (
                connection.execute(
                    select(sources.c.id, sources.c.settings).where(
                        sources.c.state == SourceState.ACTIVE.value, sources.c.next_due_at <= now
                    )
                )
                .mappings()
                .all()
            )
        for row in due:
            self.start(SourceId(row["id"]), "schedule")
        return len(due)

    def run(self, run_id: RunId) -> HarvestRun:
        """Return one run, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
        if row is None:
            raise run_not_found(run_id)
        return records.run_from(row)

    def runs(self, source_id: SourceId, *, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT) -> Page[HarvestRun]:
        """Return a source's runs, newest first."""
        statement = select(runs).where(runs.c.source_id == source_id)
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
            rows = connection.execute(
                statement.order_by(runs.c.id.desc()).offset(offset).limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            found = tuple(records.run_from(row) for row in rows)
        return page_of(found, total=total, offset=offset)

    def notes(
        self, run_id: RunId, *, outcome: Outcome | None = None, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT
    ) -> Page[RunNote]:
        """Return what came of the datasets of a run, one line for each that was not simply unchanged."""
        statement = records.select_notes(run_id, outcome)
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
            rows = connection.execute(
                statement.order_by(notes.c.serial).offset(offset).limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            found = tuple(records.note_from(row) for row in rows)
        return page_of(found, total=total, offset=offset)

    def _require_departments(self, settings: SourceSettings) -> None:
        known = {department.code for department in self._departments.all()}
        for index, mapping in enumerate(settings.publishers):
            if mapping.department not in known:
                raise department_unknown(mapping.department, f"/publishers/{index}/department")
        if settings.fallback_department is not None and settings.fallback_department not in known:
            raise department_unknown(settings.fallback_department, "/fallback_department")

    def _locked(self, connection: Connection, source_id: SourceId) -> RowMapping:
        row = connection.execute(select(sources).where(sources.c.id == source_id).with_for_update()).mappings().first()
        if row is None:
            raise source_not_found(source_id)
        if row["state"] == SourceState.ENDED.value:
            raise source_ended()
        return row

    def _cancel_queued(self, connection: Connection, source_id: SourceId) -> None:
        now: datetime = self._clock.now()
        text = Text(zh="来源已暂停或终止，取消执行", en="cancelled: the source was paused or ended")
        connection.execute(
            update(runs)
            .where(runs.c.source_id == source_id, runs.c.state == RunState.QUEUED.value)
            .values(
                state=RunState.FAILED.value,
                finished_at=now,
                failure_code="federation.cancelled",
                failure=text.model_dump(),
            )
        )

    def _record(
        self, connection: Connection, source_id: SourceId, action: str, actor: Actor, settings: SourceSettings
    ) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.HARVEST,
            subject=source_id,
            actor=actor,
            facts={
                "action": action,
                "kind": settings.kind.value,
                "address": settings.address,
                "open_here": settings.open_here,
                "allow_private": settings.allow_private,
                "settings_digest": sha256_hex(canonical_json(settings.model_dump(mode="json"))),
            },
        )
