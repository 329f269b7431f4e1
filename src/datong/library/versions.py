"""Versions of a library over time: what was known on a day, how long it is kept, and its disposal with evidence.

Disposal runs by schedule. One transaction says which versions are disposed of and what will be erased, then the files
go, then a second entry says that they are gone. A process that dies in between leaves a disposal without its second
entry, which the next turn finishes. Building and erasing share a lock per library.
"""

import shutil
from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, update

from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    Clock,
    Conflict,
    Database,
    EntityId,
    JsonValue,
    NotFound,
    Text,
    Unavailable,
    new_id,
    sha256_hex,
)
from datong.ledger import EntryKind, Ledger
from datong.library import version_store as store
from datong.library.locking import build_lock
from datong.library.past import past_entity
from datong.library.published import Published
from datong.library.retention_rules import RetentionRule, VersionTime, disposable_at, due_versions, version_at
from datong.library.retention_values import (
    DeclaredRetention,
    HoldOrder,
    LibraryVersion,
    PastEntity,
    RetentionOrder,
    VersionHold,
)
from datong.library.tables import DATASETS, DISPOSALS, HOLDS, RETENTIONS

UNREADABLE = "library.tables_unreadable"
HOLDS_MAX = 1_000
"""Versions of one library that are held by persons at once."""


class Versions:
    """The versions of every library; `default` is the rule where none was declared."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        library: Published,
        folder: Path,
        default: RetentionRule,
    ) -> None:
        self._database, self._clock, self._ledger, self._library = database, clock, ledger, library
        self._folder, self._default = folder, default

    # What there is

    def versions(self, library: str) -> tuple[LibraryVersion, ...]:
        """Return every version that was ever published, newest first, with what keeps it or became of it."""
        self._library.definition(library)
        details = {dataset.version: dataset for dataset in self._library.dataset_versions(library)}
        with self._database.snapshot() as connection:
            times = store.times_of(connection, library)
            rule = store.retention_of(connection, library, self._default).rule
            held = store.held_versions(connection, library, times)
            gone = store.disposals_of(connection, library)
        return tuple(
            LibraryVersion(
                library=library,
                version=one.version,
                published_at=one.published_at,
                superseded_at=one.superseded_at,
                keep_until=disposable_at(one, rule),
                rows=details[one.version].rows,
                digest=details[one.version].digest,
                entry_id=details[one.version].entry_id,
                holds=held.get(one.version, ()),
                disposal=gone.get(one.version),
            )
            for one in reversed(times)
        )

    def readable(self, library: str) -> frozenset[int]:
        """Return the versions that were published and not disposed of."""
        with self._database.snapshot() as connection:
            published = {one.version for one in store.times_of(connection, library)}
            return frozenset(published - set(store.disposals_of(connection, library)))

    def past(
        self, library: str, entity_id: EntityId, *, version: int | None = None, at: datetime | None = None
    ) -> PastEntity:
        """Return an entity as `version` had it, or the version that was served at the moment `at`.

        An id that the entity has now finds it under those it had before.

        Raises:
            NotFound: there was no version yet, it was disposed of, or it did not have the entity.
        """
        self._library.definition(library)
        with self._database.snapshot() as connection:
            times = store.times_of(connection, library)
            gone = store.disposals_of(connection, library)
        wanted = version if version is not None else version_at(times, at or self._clock.now())
        time = next((one for one in times if one.version == wanted), None)
        if time is None:
            raise NotFound(
                "library.version_unknown",
                what=Text(zh="当时还没有发布任何版本。", en="No version had been published by then."),
                remedy=Text(zh="请从版本列表中选择。", en="Choose one from the list of versions."),
            )
        if time.version in gone:
            day = gone[time.version].disposed_at.date().isoformat()
            raise NotFound(
                "library.version_disposed",
                what=Text(
                    zh=f"第 {time.version} 版保存期满，已于 {day} 销毁。",
                    en=f"Version {time.version} was disposed of on {day}, after its retention.",
                ),
                remedy=Text(zh="销毁的存证见版本页面。", en="The page of versions has the evidence."),
                context={"entry": gone[time.version].entry_id},
            )
        dataset = next(one for one in self._library.dataset_versions(library) if one.version == time.version)
        self._library.take_tables(dataset)
        found = past_entity(self._library.definition(library), dataset, self._ids(library, entity_id))
        return found.model_copy(update={"superseded_at": time.superseded_at})

    def _ids(self, library: str, entity_id: EntityId) -> tuple[EntityId, ...]:
        try:
            view = self._library.entity(library, entity_id)
        except NotFound:
            return (entity_id,)
        return tuple(dict.fromkeys((entity_id, view.entity_id, *view.former_ids)))

    # What persons declare

    def retention(self, library: str) -> DeclaredRetention:
        """Return the rule in force for `library`."""
        self._library.definition(library)
        with self._database.snapshot() as connection:
            return store.retention_of(connection, library, self._default)

    def declare(self, library: str, order: RetentionOrder, *, actor: Actor) -> DeclaredRetention:
        """Declare how long versions of `library` are kept."""
        self._library.definition(library)
        with self._database.transaction() as connection:
            before = store.retention_of(connection, library, self._default)
            facts: dict[str, JsonValue] = {
                "days": order.days,
                "versions_min": order.versions_min,
                "days_before": before.rule.days,
                "versions_min_before": before.rule.versions_min,
            }
            entry_id = self._record(connection, library, "declare", actor, facts, order.statement)
            values = order.model_dump() | {
                "declared_by": store.actor_facts(actor),
                "declared_at": self._clock.now(),
                "entry_id": entry_id,
            }
            changed = connection.execute(update(RETENTIONS).where(RETENTIONS.c.library == library).values(values))
            if changed.rowcount == 0:
                connection.execute(insert(RETENTIONS).values(library=library, **values))
        return self.retention(library)

    def holds(self, library: str, *, released: bool = False) -> tuple[VersionHold, ...]:
        """Return the holds on versions of `library`; with `released`, those that ended, too."""
        self._library.definition(library)
        with self._database.snapshot() as connection:
            return store.holds_of(connection, library, released=released)

    def hold(self, library: str, order: HoldOrder, *, actor: Actor) -> VersionHold:
        """Keep a version until the hold is released.

        Raises:
            NotFound: there is no such version, or it was disposed of.
            Conflict: too many are held.
        """
        self._library.definition(library)
        hold_id = new_id()
        with self._database.transaction() as connection:
            store.lock_library(connection, library)
            there = {one.version for one in store.times_of(connection, library)}
            if order.version not in there - set(store.disposals_of(connection, library)):
                raise _no_version(order.version)
            if len(store.holds_of(connection, library)) >= HOLDS_MAX:
                raise _too_many_holds()
            facts: dict[str, JsonValue] = {"hold": hold_id, "version": order.version}
            entry_id = self._record(connection, library, "hold", actor, facts, order.statement)
            connection.execute(
                insert(HOLDS).values(
                    id=hold_id,
                    library=library,
                    version=order.version,
                    statement=order.statement,
                    placed_by=store.actor_facts(actor),
                    placed_at=self._clock.now(),
                    entry_id=entry_id,
                )
            )
        return next(one for one in self.holds(library) if one.id == hold_id)

    def release(self, library: str, hold_id: str, statement: str, *, actor: Actor) -> VersionHold:
        """End a hold; the version then goes by the library's rule.

        Raises:
            NotFound: no such hold stands.
        """
        with self._database.transaction() as connection:
            standing = next((one for one in store.holds_of(connection, library) if one.id == hold_id), None)
            if standing is None:
                raise NotFound(
                    "library.hold_unknown",
                    what=Text(zh="没有这一保全，或者已经解除。", en="There is no such hold, or it was released."),
                    remedy=Text(zh="请刷新版本页面。", en="Reload the page of versions."),
                )
            facts: dict[str, JsonValue] = {"hold": hold_id, "version": standing.version}
            self._record(connection, library, "release", actor, facts, statement)
            connection.execute(update(HOLDS).where(HOLDS.c.id == hold_id).values(released_at=self._clock.now()))
        return next(one for one in self.holds(library, released=True) if one.id == hold_id)

    # Disposal

    def sweep(self) -> bool:
        """Dispose of every version that is due, and finish what was begun; return False: no more is due now.

        Raises:
            Unavailable: the tables of a library cannot be read; the other libraries had their turn.
        """
        unreadable: list[Unavailable] = []
        for definition in self._library.definitions():
            if self._planned(definition.name):
                try:
                    with build_lock(self._folder / definition.name, definition.name):
                        self._dispose(definition.name)
                except Unavailable as error:
                    # A library that is being built has its turn when the build has ended.
                    unreadable += [error] if error.code == UNREADABLE else []
        if unreadable:
            raise unreadable[0]
        return False

    def _planned(self, library: str) -> bool:
        """Return whether a version is due or a disposal unfinished."""
        with self._database.snapshot() as connection:
            gone = store.disposals_of(connection, library)
            return bool(self._due(connection, library)) or any(one.erased_at is None for one in gone.values())

    def _due(self, connection: Connection, library: str) -> tuple[int, ...]:
        times = store.times_of(connection, library)
        gone = store.disposals_of(connection, library)
        return due_versions(
            [one for one in times if one.version not in gone],
            store.retention_of(connection, library, self._default).rule,
            held=store.held_versions(connection, library, times),
            now=self._clock.now(),
        )

    def _dispose(self, library: str) -> None:
        files = import_module("datong.library.version_files")
        with files.told_unreadable(library):
            self._dispose_of(library, files)

    def _dispose_of(self, library: str, files: Any) -> None:
        home = self._folder / library
        with self._database.snapshot() as connection:
            due = self._due(connection, library)
        if due:
            plan = files.unneeded(self._tables(library, without=due), home)
            with self._database.transaction() as connection:
                store.lock_library(connection, library)
                if self._due(connection, library) != due:
                    return
                self._say_disposed(connection, library, due, plan)
        with self._database.snapshot() as connection:
            gone = store.disposals_of(connection, library)
        unfinished = sorted(version for version, disposal in gone.items() if disposal.erased_at is None)
        tables = self._tables(library, without=())
        files.erase(tables, home)
        if self._library.shelving is not None:
            self._library.shelving.keep(library)
        for build_id in self._builds(library, unfinished):
            shutil.rmtree(home / "builds" / build_id, ignore_errors=True)
        self._say_erased(library, unfinished, len(files.unneeded(tables, home).files))

    def _tables(self, library: str, *, without: tuple[int, ...]) -> list[Any]:
        """Return the Delta tables of `library` with the versions of them that stay once `without` have gone."""
        files = import_module("datong.library.version_files")
        with self._database.snapshot() as connection:
            rows = connection.execute(select(DATASETS).where(DATASETS.c.library == library)).all()
            gone = {*store.disposals_of(connection, library), *without}
        kept: dict[Path, set[int]] = {}
        for row in rows:
            stays = row.version not in gone
            table = self._folder / row.details["delta_path"]
            kept.setdefault(table, set()).update([row.details["delta_version"]] if stays else [])
            if row.details["lineage_path"]:
                lineage = self._folder / row.details["lineage_path"]
                found = files.version_of_build(lineage, row.build_id) if stays else None
                kept.setdefault(lineage, set()).update([] if found is None else [found])
        return [files.TableVersions(path=path, kept=files.readable(path, versions)) for path, versions in kept.items()]

    def _builds(self, library: str, versions: list[int]) -> list[str]:
        """Return the builds of these versions: of the newest of them working files may be left."""
        query = select(DATASETS.c.build_id).where(DATASETS.c.library == library, DATASETS.c.version.in_(versions))
        with self._database.snapshot() as connection:
            return [row.build_id for row in connection.execute(query.distinct())]

    def _say_disposed(self, connection: Connection, library: str, due: tuple[int, ...], plan: Any) -> None:
        times = {one.version: one for one in store.times_of(connection, library)}
        rule = store.retention_of(connection, library, self._default).rule
        rows = connection.execute(
            select(DATASETS)
            .where(DATASETS.c.library == library, DATASETS.c.version.in_(due))
            .order_by(DATASETS.c.version, DATASETS.c.name)
        ).all()
        facts: dict[str, JsonValue] = {
            "days": rule.days,
            "versions_min": rule.versions_min,
            "versions": [_version_facts(times[version]) for version in due],
            "tables": len(rows),
            "rows": sum(row.details["rows"] for row in rows),
            "tables_sha256": sha256_hex(
                "".join(f"{row.version}\t{row.name}\t{row.details['digest']}\n" for row in rows).encode()
            ),
            "files": len(plan.files),
            "bytes": plan.bytes,
            "files_sha256": plan.sha256,
        }
        entry_id = self._record(connection, library, "dispose", PLATFORM_ACTOR, facts, "")
        now = self._clock.now()
        for version in due:
            connection.execute(
                insert(DISPOSALS).values(library=library, version=version, disposed_at=now, entry_id=entry_id)
            )

    def _say_erased(self, library: str, versions: list[int], left: int) -> None:
        if not versions or left:
            return
        with self._database.transaction() as connection:
            facts: dict[str, JsonValue] = {"erased_versions": [*versions], "files_left": left}
            entry_id = self._record(connection, library, "erase", PLATFORM_ACTOR, facts, "")
            connection.execute(
                update(DISPOSALS)
                .where(DISPOSALS.c.library == library, DISPOSALS.c.version.in_(versions))
                .values(erased_at=self._clock.now(), erased_entry_id=entry_id)
            )

    def _record(
        self,
        connection: Connection,
        library: str,
        action: str,
        actor: Actor,
        facts: Mapping[str, JsonValue],
        statement: str,
    ) -> str:
        said: dict[str, JsonValue] = {"action": action, "library": library, **facts}
        if statement:
            said["statement_sha256"] = sha256_hex(statement.encode())
        return self._ledger.append(connection, kind=EntryKind.RETENTION, subject=library, actor=actor, facts=said)


def _version_facts(time: VersionTime) -> dict[str, JsonValue]:
    return {
        "version": time.version,
        "published_at": time.published_at.isoformat(),
        "superseded_at": None if time.superseded_at is None else time.superseded_at.isoformat(),
    }


def _no_version(version: int) -> NotFound:
    return NotFound(
        "library.version_unknown",
        what=Text(
            zh=f"没有第 {version} 版，或者已经销毁。", en=f"There is no version {version}, or it was disposed of."
        ),
        remedy=Text(zh="请从版本列表中选择。", en="Choose one from the list of versions."),
        field="/version",
    )


def _too_many_holds() -> Conflict:
    return Conflict(
        "library.holds_too_many",
        what=Text(zh=f"已保全 {HOLDS_MAX} 个版本。", en=f"{HOLDS_MAX} versions are held already."),
        remedy=Text(zh="请先解除不再需要的保全。", en="Release holds that are no longer needed."),
    )
