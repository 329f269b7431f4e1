"""Performs harvest runs. A run may be killed at any moment and is taken up again; the catalogue comes out the same.

Every batch of entries is one transaction: the entries, their versions and evidence, what is remembered of them and the
run's counts commit together. Nothing is retired before the remote catalogue was enumerated whole.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update

from datong.catalogue import Departments, ForeignEntries, ForeignEntry, foreign_digest
from datong.federation import records
from datong.federation.entries import Entry, EntryRules
from datong.federation.faults import run_lost
from datong.federation.readers import Reader, reader_of
from datong.federation.records import Known
from datong.federation.tables import run as runs
from datong.federation.tables import source as sources
from datong.federation.values import (
    HarvestRun,
    Outcome,
    Rejected,
    RemotePage,
    RunId,
    RunMode,
    RunNote,
    RunState,
    SourceId,
    SourceSettings,
)
from datong.federation.web import OpenReader, ReaderTerms
from datong.kernel import (
    PLATFORM_ACTOR,
    Clock,
    Database,
    DatongError,
    ResourceId,
    Text,
    Value,
    new_id,
)
from datong.ledger import EntryKind, Ledger
from datong.norms import NormPack

BATCH_ENTRIES = 200
HOLD_SECONDS = 120
"""A run whose process has not written for so long may be taken up by another."""
_DUPLICATE = Text(
    zh="编号与同一目录中的另一条重复，只取第一条", en="its id occurs twice in the catalogue; the first was taken"
)
_GONE = Text(zh="来源已不再提供", en="no longer offered by its origin")
_ADDED = Text(zh="新收录", en="taken for the first time")
_RETURNED = Text(zh="来源重新提供", en="offered by its origin again")
_CHANGED = Text(zh="来源有变化", en="changed at its origin")


class _Work(Value):
    """A claimed run with what performing it needs."""

    run_id: RunId
    source_id: SourceId
    settings: SourceSettings
    mode: RunMode
    accept_removals: bool
    token: str
    settings_of: datetime

    @property
    def facts(self) -> dict[str, str]:
        """What the evidence of every entry says besides."""
        return {"source": self.source_id, "run": self.run_id}


class Harvester:
    """Takes queued runs one by one; `worker` is the name of this process's background work."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        departments: Departments,
        foreign: ForeignEntries,
        pack: NormPack,
        open_reader: OpenReader,
        worker: str,
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._departments, self._foreign, self._pack = departments, foreign, pack
        self._open_reader, self._worker = open_reader, worker

    def perform_next(self) -> HarvestRun | None:
        """Perform one waiting run, or one that a process left unfinished; None when there is none.

        A run that fails is not tried again here: its source comes due again.
        """
        work = self._claim()
        if work is None:
            return None
        try:
            self._perform(work)
        except DatongError as error:
            self._finish(work, RunState.FAILED, failure=error)
        with self._database.snapshot() as connection:
            return records.run_from(connection.execute(select(runs).where(runs.c.id == work.run_id)).mappings().one())

    def _claim(self) -> _Work | None:
        now = self._clock.now()
        with self._database.transaction() as connection:
            row = connection.execute(
                select(runs)
                .where(
                    or_(
                        runs.c.state == RunState.QUEUED.value,
                        (runs.c.state == RunState.RUNNING.value)
                        & ((runs.c.held_until < now) | runs.c.holder.startswith(f"{self._worker}/")),
                    )
                )
                .order_by(runs.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if row is None:
                return None
            token = f"{self._worker}/{new_id()}"[:64]
            connection.execute(
                update(runs)
                .where(runs.c.id == row.id)
                .values(
                    state=RunState.RUNNING.value,
                    started_at=row.started_at or now,
                    holder=token,
                    held_until=now + timedelta(seconds=HOLD_SECONDS),
                )
            )
            source = connection.execute(select(sources).where(sources.c.id == row.source_id)).one()
        return _Work(
            run_id=RunId(row.id),
            source_id=SourceId(row.source_id),
            settings=SourceSettings.model_validate(source.settings),
            settings_of=source.updated_at,
            mode=RunMode(row.mode),
            accept_removals=row.accept_removals,
            token=token,
        )

    def _perform(self, work: _Work) -> None:
        settings = work.settings
        with self._database.snapshot() as connection:
            row = connection.execute(select(sources).where(sources.c.id == work.source_id)).mappings().one()
        web = self._open_reader(
            ReaderTerms(
                allow_private=settings.allow_private,
                follow_robots=settings.follow_robots,
                requests_per_minute=settings.requests_per_minute,
            )
        )
        try:
            reader = reader_of(settings, web, work.mode, records.position_of(row))
            rules = EntryRules(
                source_id=work.source_id,
                settings=settings,
                departments=frozenset(department.code for department in self._departments.all()),
                pack=self._pack,
            )
            met: set[str] = set()
            for page in reader.pages():
                self._take_page(work, rules, page, met)
            if reader.shortfall is not None:
                self._finish(work, RunState.INCOMPLETE, note=reader.shortfall)
                return
            self._withdraw_gone(work, reader)
            self._finish(work, RunState.SUCCEEDED, reader=reader)
        finally:
            web.close()

    def _take_page(self, work: _Work, rules: EntryRules, page: RemotePage, met: set[str]) -> None:
        """Keep a page in batches; the first batch of a page also holds what of it could not be read."""
        judged: list[Entry | Rejected] = [
            *page.rejected,
            *self._without_own([rules.judge(dataset) for dataset in page.datasets]),
        ]
        for start in range(0, max(len(judged), 1), BATCH_ENTRIES):
            self._take(work, judged[start : start + BATCH_ENTRIES], page.total, met)
        if page.deleted:
            self._withdraw(work, page.deleted, _GONE)

    def _without_own(self, judged: Sequence[Entry | Rejected]) -> list[Entry | Rejected]:
        """Return what was judged without what this hub opened itself: two hubs that harvest each other are a loop."""
        offered = {
            (entry.department, entry.content.title.zh)
            for entry in judged
            if isinstance(entry, Entry) and entry.of_a_hub
        }
        with self._database.snapshot() as connection:
            own = self._foreign.own_among(connection, offered)
        return [
            entry.offered_back
            if isinstance(entry, Entry) and entry.of_a_hub and (entry.department, entry.content.title.zh) in own
            else entry
            for entry in judged
        ]

    def _take(self, work: _Work, judged: Sequence[Entry | Rejected], total: int | None, met: set[str]) -> None:
        fresh: dict[str, Entry] = {}
        rejected: list[Rejected] = []
        for found in judged:
            if isinstance(found, Rejected):
                rejected.append(found)
            elif found.remote_id in met:
                rejected.append(
                    Rejected(remote_id=found.remote_id, title=found.content.title.zh[:200], reason=_DUPLICATE)
                )
            else:
                met.add(found.remote_id)
                fresh[found.remote_id] = found
        withdrawn = {entry.remote_id: entry.reason for entry in rejected if entry.withdraw}
        with self._database.transaction() as connection:
            self._hold(connection, work, expected=total)
            known = records.known_entries(connection, work.source_id, [*fresh, *(r.remote_id for r in rejected)])
            counted = {key: entry.seen_run for key, entry in known.items()}
            self._keep(connection, work, fresh, known)
            kept = [r.remote_id for r in rejected if not r.withdraw and r.remote_id not in met]
            records.mark_seen(connection, work.source_id, kept, work.run_id)
            said = self._said(connection, work, rejected)
            records.count(
                connection,
                work.run_id,
                {
                    "seen": sum(counted.get(key) != work.run_id for key in fresh) + said,
                    "rejected": said,
                },
            )
        for reason in dict.fromkeys(withdrawn.values()):
            self._withdraw(work, [key for key, why in withdrawn.items() if why == reason], reason)

    def _keep(self, connection: Connection, work: _Work, fresh: dict[str, Entry], known: dict[str, Known]) -> None:
        """Publish what is new or changed, and remember every entry of the batch as seen."""
        digests = {key: foreign_digest(entry.content) for key, entry in fresh.items()}
        same = [
            key
            for key, entry in fresh.items()
            if key in known
            and known[key].present
            and known[key].digest == digests[key]
            and known[key].department == entry.department
        ]
        records.mark_seen(connection, work.source_id, same, work.run_id)
        changed = [key for key in fresh if key not in set(same)]
        ids = self._foreign.receive(
            connection,
            [
                ForeignEntry(
                    resource_id=known[key].resource_id if key in known else None,
                    department=fresh[key].department,
                    content=fresh[key].content,
                )
                for key in changed
            ],
            actor=PLATFORM_ACTOR,
            facts=work.facts,
        )
        records.put_entries(
            connection,
            work.source_id,
            [
                {
                    "remote_id": key,
                    "remote_name": fresh[key].name,
                    "resource_id": resource_id,
                    "department": fresh[key].department,
                    "digest": digests[key],
                    "present": True,
                    "seen_run": work.run_id,
                }
                for key, resource_id in zip(changed, ids, strict=True)
            ],
        )
        updated = {key for key in changed if key in known and known[key].present}
        records.count(
            connection,
            work.run_id,
            {
                "added": len(changed) - len(updated),
                "changed": len(updated),
                # An entry that this run had met before it was killed is already counted.
                "unchanged": sum(known[key].seen_run != work.run_id for key in same),
                "adjusted": sum(bool(fresh[key].adjusted) for key in changed),
            },
        )
        notes = [
            RunNote(
                remote_id=key,
                title=fresh[key].content.title.zh,
                outcome=Outcome.CHANGED if key in updated else Outcome.ADDED,
                reason=_CHANGED if key in updated else (_RETURNED if key in known else _ADDED),
                resource_id=resource_id,
            )
            for key, resource_id in zip(changed, ids, strict=True)
        ]
        notes += [
            RunNote(
                remote_id=key,
                title=fresh[key].content.title.zh,
                outcome=Outcome.ADJUSTED,
                reason=_joined(fresh[key].adjusted),
                resource_id=resource_id,
            )
            for key, resource_id in zip(changed, ids, strict=True)
            if fresh[key].adjusted
        ]
        records.put_notes(connection, work.run_id, notes)

    def _said(self, connection: Connection, work: _Work, rejected: Sequence[Rejected]) -> int:
        """Note rejections and return how many were not yet noted in this run."""
        notes = [
            RunNote(remote_id=entry.remote_id, title=entry.title, outcome=Outcome.REJECTED, reason=entry.reason)
            for entry in rejected
        ]
        return records.put_notes(connection, work.run_id, notes)

    def _withdraw_gone(self, work: _Work, reader: Reader) -> None:
        """Retire what the origin no longer has, unless so much is gone that a person should look first."""
        with self._database.snapshot() as connection:
            left = records.unseen(connection, work.source_id, work.run_id)
            present = records.present_counts(connection).get(work.source_id, 0)
        gone = reader.gone({key: entry.remote_name for key, entry in left.items()})
        if not gone:
            return
        allowed = present * work.settings.removed_percent_max // 100
        if len(gone) > max(allowed, 1) and not work.accept_removals:
            limit = work.settings.removed_percent_max
            reason = Text(
                zh=f"来源一次减少了 {len(gone)} 条（共 {present} 条），超过 {limit}%，待人工确认",
                en=f"{len(gone)} of {present} entries vanished at once, over {limit}%; a person must confirm",
            )
            with self._database.transaction() as connection:
                self._hold(connection, work)
                held = [self._note(left[key], Outcome.HELD, reason) for key in sorted(gone)]
                records.count(connection, work.run_id, {"held": records.put_notes(connection, work.run_id, held)})
            return
        self._withdraw(work, sorted(gone), _GONE)

    def _withdraw(self, work: _Work, remote_ids: Iterable[str], reason: Text) -> None:
        wanted = list(remote_ids)
        for start in range(0, len(wanted), BATCH_ENTRIES):
            with self._database.transaction() as connection:
                self._hold(connection, work)
                batch = wanted[start : start + BATCH_ENTRIES]
                known = records.known_entries(connection, work.source_id, batch)
                gone = [entry for entry in known.values() if entry.present]
                ids: list[ResourceId] = [entry.resource_id for entry in gone]
                self._foreign.withdraw(connection, ids, actor=PLATFORM_ACTOR, reason=reason, facts=work.facts)
                if gone:
                    records.mark_absent(connection, work.source_id, [entry.remote_id for entry in gone])
                records.count(connection, work.run_id, {"removed": len(gone)})
                records.put_notes(
                    connection, work.run_id, [self._note(entry, Outcome.REMOVED, reason) for entry in gone]
                )

    def _note(self, entry: Known, outcome: Outcome, reason: Text) -> RunNote:
        return RunNote(
            remote_id=entry.remote_id,
            title=entry.remote_name or entry.remote_id,
            outcome=outcome,
            reason=reason,
            resource_id=entry.resource_id,
        )

    def _hold(self, connection: Connection, work: _Work, expected: int | None = None) -> None:
        """Keep the run for this process for a while longer.

        Raises:
            Conflict: another process has taken it over; nothing of this transaction stays.
        """
        values: dict[str, object] = {"held_until": self._clock.now() + timedelta(seconds=HOLD_SECONDS)}
        if expected is not None:
            values["expected"] = expected
        changed = connection.execute(
            update(runs).where(runs.c.id == work.run_id, runs.c.holder == work.token).values(**values)
        ).rowcount
        if changed != 1:
            raise run_lost(work.run_id)

    def _finish(
        self,
        work: _Work,
        state: RunState,
        *,
        reader: Reader | None = None,
        failure: DatongError | None = None,
        note: Text | None = None,
    ) -> None:
        """End the run with its evidence; only a complete run moves the position from which the next one starts."""
        now = self._clock.now()
        with self._database.transaction() as connection:
            told = failure.what if failure is not None else note
            changed = connection.execute(
                update(runs)
                .where(runs.c.id == work.run_id, runs.c.holder == work.token)
                .values(
                    state=state.value,
                    finished_at=now,
                    holder="",
                    failure_code=failure.code if failure is not None else "",
                    failure=told.model_dump() if told is not None else None,
                )
            ).rowcount
            if changed != 1:
                return
            run = records.run_from(connection.execute(select(runs).where(runs.c.id == work.run_id)).mappings().one())
            # What is held must be looked at again, so the next run is a full one.
            if reader is not None and not run.held:
                values: dict[str, object] = {"position": reader.position.model_dump()}
                if work.mode is RunMode.FULL:
                    values["last_full_at"] = now
                unchanged = sources.c.updated_at == work.settings_of
                connection.execute(update(sources).where(sources.c.id == work.source_id, unchanged).values(**values))
            self._ledger.append(
                connection,
                kind=EntryKind.HARVEST,
                subject=work.source_id,
                actor=PLATFORM_ACTOR,
                facts={
                    "action": "run",
                    "run": work.run_id,
                    "mode": work.mode.value,
                    "state": state.value,
                    "failure": run.failure_code,
                    **{name: getattr(run, name) for name in records.COUNTS},
                },
            )


def _joined(texts: Sequence[Text]) -> Text:
    return Text(zh="；".join(text.zh for text in texts), en="; ".join(text.en for text in texts))
