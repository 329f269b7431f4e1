"""Keeps what resources were catalogued from; opens and closes drifts, each with its evidence. The rules: `drift`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from datong.catalogue.drift import Change, ChangeKind, TableShape, changes_digest, compare
from datong.catalogue.inventory import FoundTable, Inventory
from datong.catalogue.inventory_tables import baseline, drift
from datong.catalogue.tables import resource
from datong.kernel import PLATFORM_ACTOR, Clock, DepartmentCode, JsonValue, ResourceId, WorkingCalendar, new_id
from datong.ledger import EntryKind, Ledger

CHANGES_IN_EVIDENCE_MAX = 200


class DriftKeeper:
    """Compares a finished inventory with what was catalogued; works inside the caller's transaction."""

    def __init__(self, *, clock: Clock, calendar: WorkingCalendar, ledger: Ledger, update_working_days: int) -> None:
        self._clock, self._calendar, self._ledger = clock, calendar, ledger
        self._working_days = update_working_days

    def look(
        self,
        connection: Connection,
        made: Inventory,
        found: Mapping[ResourceId, FoundTable],
        unreadable_before: frozenset[str],
    ) -> None:
        """Compare every resource that is bound to the source of `made` with the tables found.

        A table, or a source (`answered` false), that cannot be read counts as a dead binding when it could not be read
        the time before either (`unreadable_before`): one failure may be a passing one.
        """
        for resource_id, table in found.items():
            self._settle(connection, made, resource_id, table)
        gone = select(baseline).where(baseline.c.node_id == made.node_id, baseline.c.source == made.source)
        for row in [dict(row) for row in connection.execute(gone).mappings().all()]:
            resource_id, known = ResourceId(row["resource_id"]), TableShape.model_validate(row["shape"])
            now = found.get(resource_id)
            if now is not None and now.fault is None:
                self._judge(connection, row, compare(known, now.shape), now.shape)
            elif now is not None or not made.answered:
                again = row["name"] in unreadable_before
                if again:
                    self._judge(connection, row, (Change(kind=ChangeKind.UNREADABLE),), None)
            else:
                self._judge(connection, row, compare(known, None), None)

    def _settle(self, connection: Connection, made: Inventory, resource_id: ResourceId, table: FoundTable) -> None:
        """Bring the baseline of a resource up to the version that is published, or to the draft's newest structure."""
        if table.fault is not None:
            return
        published = connection.execute(
            select(resource.c.published_version).where(resource.c.id == resource_id)
        ).scalar_one()
        known = connection.execute(select(baseline).where(baseline.c.resource_id == resource_id)).mappings().first()
        values: dict[str, object] = {
            "node_id": made.node_id,
            "source": made.source,
            "name": table.table,
            "version": published,
            "recorded_at": self._clock.now(),
        }
        shape = table.shape
        if known is None:
            connection.execute(
                baseline.insert().values(resource_id=resource_id, shape=shape.model_dump(mode="json"), **values)
            )
            return
        if published is not None:
            if known["version"] == published:
                shape = _with_rows(TableShape.model_validate(known["shape"]), shape)
            else:
                shape = self._accepted(connection, resource_id, published, TableShape.model_validate(known["shape"]))
        connection.execute(
            update(baseline)
            .where(baseline.c.resource_id == resource_id)
            .values(shape=shape.model_dump(mode="json"), **values)
        )

    def _accepted(
        self, connection: Connection, resource_id: ResourceId, published: int, known: TableShape
    ) -> TableShape:
        """Return the structure that a newly published version stands for: that of the drift it answers, if any."""
        row = _open_drift(connection, resource_id)
        if row is None or row["version"] >= published:
            return known
        connection.execute(update(drift).where(drift.c.id == row["id"]).values(closed_at=self._clock.now()))
        return known if row["found"] is None else TableShape.model_validate(row["found"])

    def _judge(
        self,
        connection: Connection,
        base: Mapping[str, Any],
        changes: Sequence[Change],
        shape: TableShape | None,
    ) -> None:
        """Open, change or close the drift of one resource; only a published resource can drift."""
        resource_id, now = ResourceId(base["resource_id"]), self._clock.now()
        row = _open_drift(connection, resource_id)
        found = connection.execute(
            select(resource.c.published_version, resource.c.visible, resource.c.department).where(
                resource.c.id == resource_id
            )
        ).one()
        if found.published_version is None or not found.visible:
            return
        digest = changes_digest(changes)
        values: dict[str, object] = {
            "version": found.published_version,
            "changes": [change.model_dump(mode="json") for change in changes],
            "digest": digest,
            "found": None if shape is None else shape.model_dump(mode="json"),
            "seen_at": now,
        }
        department = DepartmentCode(found.department)
        due_at = self._calendar.deadline(now, self._working_days) if row is None else row["due_at"]
        if not changes:
            if row is None:
                return
            self._record(connection, "close", resource_id, department, found.published_version, (), due_at)
            connection.execute(update(drift).where(drift.c.id == row["id"]).values(closed_at=now))
        elif row is None:
            entry_id = self._record(
                connection, "open", resource_id, department, found.published_version, changes, due_at
            )
            connection.execute(
                drift.insert().values(
                    id=new_id(),
                    resource_id=resource_id,
                    department=department,
                    opened_at=now,
                    due_at=due_at,
                    entry_id=entry_id,
                    **values,
                )
            )
        else:
            if row["digest"] != digest:
                self._record(connection, "change", resource_id, department, row["version"], changes, due_at)
            connection.execute(
                update(drift).where(drift.c.id == row["id"]).values(**values | {"version": row["version"]})
            )

    def _record(
        self,
        connection: Connection,
        action: str,
        resource_id: ResourceId,
        department: DepartmentCode,
        version: int,
        changes: Sequence[Change],
        due_at: datetime,
    ) -> str:
        named: list[JsonValue] = [
            {"kind": change.kind.value, "column": change.column} for change in changes[:CHANGES_IN_EVIDENCE_MAX]
        ]
        return self._ledger.append(
            connection,
            kind=EntryKind.DRIFT,
            subject=resource_id,
            actor=PLATFORM_ACTOR,
            facts={
                "action": action,
                "resource_id": resource_id,
                "department": department,
                "version": version,
                "changes": named,
                "changes_count": len(changes),
                "dead_binding": any(change.kind.is_dead_binding for change in changes),
                "digest": changes_digest(changes),
                "due_at": due_at.isoformat(),
            },
        )


def _open_drift(connection: Connection, resource_id: ResourceId) -> Mapping[str, Any] | None:
    row = (
        connection.execute(select(drift).where(drift.c.resource_id == resource_id, drift.c.closed_at.is_(None)))
        .mappings()
        .first()
    )
    return None if row is None else dict(row)


def _with_rows(known: TableShape, found: TableShape) -> TableShape:
    """Return the known structure with the newest number of rows, unless most of them are lost: that is a drift."""
    lost = any(change.kind is ChangeKind.ROWS_COLLAPSED for change in compare(known, found))
    return known if lost or found.rows is None else known.model_copy(update={"rows": found.rows})
