"""The inventory service: takes in what nodes found, counts it, compares it with the catalogue, and shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select, update

from datong.catalogue.catalogue import Catalogue
from datong.catalogue.departments import Departments
from datong.catalogue.drift import Change
from datong.catalogue.drifts import DriftKeeper
from datong.catalogue.faults import drift_not_found, drift_not_revisable, inventory_finished, inventory_not_found
from datong.catalogue.grouping import TableRole
from datong.catalogue.inventory import (
    TABLES_PER_INVENTORY_MAX,
    Drift,
    Fault,
    FoundTable,
    Inventory,
    InventoryCounts,
    InventoryStart,
    ListedTable,
    counted,
)
from datong.catalogue.inventory_tables import drift, inventory, inventory_table
from datong.catalogue.records import binding_key
from datong.catalogue.revision import revised_content
from datong.catalogue.tables import resource, version
from datong.catalogue.values import Binding, Resource, ResourceAction, ResourceContent, ResourceState
from datong.kernel import (
    Actor,
    Clock,
    Database,
    DepartmentCode,
    NodeId,
    Page,
    ResourceId,
    Text,
    TooLarge,
    WorkingCalendar,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.norms import NormPack

LIMIT_KEY = "catalogue_update"


class Inventories:
    """What departments' systems hold, by their nodes' own account, and how that departs from the catalogue."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        departments: Departments,
        catalogue: Catalogue,
        pack: NormPack,
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._departments, self._catalogue = departments, catalogue
        self._keeper = DriftKeeper(
            clock=clock, calendar=calendar, ledger=ledger, update_working_days=pack.time_limit(LIMIT_KEY)
        )

    def start(self, department: DepartmentCode, start: InventoryStart, actor: Actor) -> Inventory:
        """Begin an inventory of one source of the acting node; an unfinished one of the same source is dropped."""
        self._departments.get(department)
        inventory_id, now = new_id(), self._clock.now()
        with self._database.transaction() as connection:
            unfinished = select(inventory.c.id).where(
                inventory.c.node_id == actor.id, inventory.c.source == start.source, inventory.c.finished_at.is_(None)
            )
            for dropped in connection.execute(unfinished).scalars().all():
                connection.execute(delete(inventory_table).where(inventory_table.c.inventory_id == dropped))
                connection.execute(delete(inventory).where(inventory.c.id == dropped))
            connection.execute(
                inventory.insert().values(
                    id=inventory_id,
                    department=department,
                    node_id=actor.id,
                    source=start.source,
                    engine=start.engine,
                    started_at=now,
                    answered=True,
                    newest=False,
                    counts=InventoryCounts().model_dump(mode="json"),
                )
            )
            return _read(connection, inventory_id)

    def add(self, inventory_id: str, tables: Sequence[FoundTable]) -> None:
        """Take in tables of an unfinished inventory; a table given twice is as it was given last.

        Raises:
            NotFound, Conflict: there is no such inventory, or it is finished. TooLarge: too many tables.
        """
        with self._database.transaction() as connection:
            made = _unfinished(connection, inventory_id)
            names = [table.table for table in tables]
            connection.execute(
                delete(inventory_table).where(
                    inventory_table.c.inventory_id == inventory_id, inventory_table.c.name.in_(names)
                )
            )
            known = connection.execute(
                select(func.count()).select_from(inventory_table).where(inventory_table.c.inventory_id == inventory_id)
            ).scalar_one()
            if known + len(tables) > TABLES_PER_INVENTORY_MAX:
                raise TooLarge(
                    "catalogue.inventory_too_large",
                    what=Text(
                        zh=f"一个数据源最多盘点 {TABLES_PER_INVENTORY_MAX} 张表。",
                        en=f"An inventory holds at most {TABLES_PER_INVENTORY_MAX} tables.",
                    ),
                    remedy=Text(zh="请按库或模式分成几个数据源。", en="Split the source by database or schema."),
                )
            resources = _resources_of(connection, made, names)
            rows = [
                {
                    "inventory_id": inventory_id,
                    "name": table.table,
                    "role": table.role.value,
                    "resource_id": resources.get(table.table),
                    "to_check": table.to_check,
                    "document": table.model_dump(mode="json"),
                }
                for table in {table.table: table for table in tables}.values()
            ]
            if rows:
                connection.execute(inventory_table.insert(), rows)

    def finish(self, inventory_id: str, actor: Actor, fault: Fault | None = None) -> Inventory:
        """End an inventory: count it, record its evidence, and compare the catalogue with it.

        With a `fault` the source did not answer: what the inventory before it found stays.

        Raises:
            NotFound, Conflict: there is no such inventory, or it is finished.
        """
        now = self._clock.now()
        with self._database.transaction() as connection:
            made = _unfinished(connection, inventory_id)
            before = _newest_of(connection, made)
            tables = _tables_of(connection, inventory_id)
            resources = _resources_of(connection, made, [table.table for table in tables])
            counts = counted(tables, drafted=len(resources))
            made = made.model_copy(
                update={"answered": fault is None, "counts": counts, "fault": fault, "finished_at": now}
            )
            entry_id = self._record(connection, made, actor)
            unreadable = _unreadable(connection, before, made)
            connection.execute(
                update(inventory)
                .where(inventory.c.id == inventory_id)
                .values(
                    finished_at=now,
                    answered=made.answered,
                    newest=made.answered,
                    counts=counts.model_dump(mode="json"),
                    fault=None if fault is None else fault.model_dump(mode="json"),
                    entry_id=entry_id,
                )
            )
            by_table = {table.table: table for table in tables}
            found = {resource_id: by_table[name] for name, resource_id in resources.items()}
            self._keeper.look(connection, made, found, unreadable)
            if before is not None and made.answered:
                connection.execute(update(inventory).where(inventory.c.id == before.id).values(newest=False))
                connection.execute(delete(inventory_table).where(inventory_table.c.inventory_id == before.id))
            return _read(connection, inventory_id)

    def find(self, department: DepartmentCode | None = None) -> tuple[Inventory, ...]:
        """Return the newest inventory of every source, by department and source."""
        statement = select(inventory.c.id).where(inventory.c.newest.is_(True))
        if department is not None:
            statement = statement.where(inventory.c.department == department)
        with self._database.snapshot() as connection:
            ids = connection.execute(statement.order_by(inventory.c.department, inventory.c.source)).scalars().all()
            return tuple(_read(connection, inventory_id) for inventory_id in ids)

    def get(self, inventory_id: str) -> Inventory:
        """Return one inventory, or raise NotFound."""
        with self._database.snapshot() as connection:
            return _read(connection, inventory_id)

    def tables(
        self,
        inventory_id: str,
        *,
        role: TableRole | None = None,
        to_check: bool = False,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[ListedTable]:
        """Return the tables of an inventory by name; `to_check`: only those with columns that a person should check."""
        statement = (
            select(inventory_table.c.document, inventory_table.c.resource_id, resource.c.visible)
            .outerjoin(resource, resource.c.id == inventory_table.c.resource_id)
            .where(inventory_table.c.inventory_id == inventory_id)
        )
        if role is not None:
            statement = statement.where(inventory_table.c.role == role.value)
        if to_check:
            statement = statement.where(inventory_table.c.to_check > 0)
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
            rows = connection.execute(
                statement.order_by(inventory_table.c.name).offset(offset).limit(min(limit, PAGE_ROWS_MAX))
            ).all()
        found = tuple(
            ListedTable(found=FoundTable.model_validate(document), resource_id=resource_id, published=bool(visible))
            for document, resource_id, visible in rows
        )
        return page_of(found, total=total, offset=offset)

    def drifts(
        self,
        *,
        department: DepartmentCode | None = None,
        resource_id: ResourceId | None = None,
        include_closed: bool = False,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Drift]:
        """Return drifts, the most urgent first; those that a newly published version has answered are closed."""
        answered = resource.c.published_version > drift.c.version
        statement = (
            select(drift, version.c.content, answered.label("answered"))
            .join(resource, resource.c.id == drift.c.resource_id)
            .join(version, and_(version.c.resource_id == resource.c.id, version.c.version == resource.c.version))
        )
        if department is not None:
            statement = statement.where(drift.c.department == department)
        if resource_id is not None:
            statement = statement.where(drift.c.resource_id == resource_id)
        if not include_closed:
            statement = statement.where(drift.c.closed_at.is_(None), ~answered, resource.c.visible.is_(True))
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
            rows = connection.execute(
                statement.order_by(drift.c.due_at, drift.c.id).offset(offset).limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            found = tuple(_drift_from(dict(row)) for row in rows)
        return page_of(found, total=total, offset=offset)

    def propose_revision(self, resource_id: ResourceId, actor: Actor) -> Resource:
        """Draft a new version of a drifted resource from the structure found; a person corrects and submits it.

        Raises:
            NotFound: the resource has no open drift.
            Conflict: the table is gone, so there is nothing to draft from; or a revision is under way.
        """
        found = next(iter(self.drifts(resource_id=resource_id, limit=1).rows), None)
        if found is None:
            raise drift_not_found(resource_id)
        table = self._table_of(resource_id)
        if not found.revisable or table is None:
            raise drift_not_revisable()
        working = self._catalogue.get(resource_id)
        if working.state is ResourceState.PUBLISHED:
            working = self._catalogue.act(resource_id, ResourceAction.REVISE, actor)
        content = revised_content(working.content, table, found.changes)
        return self._catalogue.edit(resource_id, content, actor, working.version)

    def _table_of(self, resource_id: ResourceId) -> FoundTable | None:
        statement = select(inventory_table.c.document).where(inventory_table.c.resource_id == resource_id)
        with self._database.snapshot() as connection:
            document = connection.execute(statement).scalars().first()
        return None if document is None else FoundTable.model_validate(document)

    def _record(self, connection: Connection, made: Inventory, actor: Actor) -> str:
        counts = made.counts
        return self._ledger.append(
            connection,
            kind=EntryKind.INVENTORY,
            subject=f"{made.node_id}/{made.source}",
            actor=actor,
            facts={
                "inventory": made.id,
                "department": made.department,
                "node": made.node_id,
                "source": made.source,
                "answered": made.answered,
                "tables": counts.tables,
                "columns": counts.columns,
                "to_catalogue": counts.to_catalogue,
                "without_draft": max(0, counts.to_catalogue - counts.drafted),
                "left_out": counts.left_out,
                "failed": counts.failed,
                "mapped_columns": counts.mapped,
                "catalogue_columns": counts.catalogue_columns,
            },
        )


def _read(connection: Connection, inventory_id: str) -> Inventory:
    row = connection.execute(select(inventory).where(inventory.c.id == inventory_id)).mappings().first()
    if row is None:
        raise inventory_not_found(inventory_id)
    published = connection.execute(
        select(func.count(func.distinct(inventory_table.c.resource_id)))
        .select_from(inventory_table)
        .join(resource, resource.c.id == inventory_table.c.resource_id)
        .where(
            inventory_table.c.inventory_id == inventory_id,
            inventory_table.c.role == TableRole.MAIN.value,
            resource.c.visible.is_(True),
        )
    ).scalar_one()
    values = {name: row[name] for name in Inventory.model_fields if name in row}
    return Inventory.model_validate({**values, "published": published})


def _unfinished(connection: Connection, inventory_id: str) -> Inventory:
    statement = select(inventory.c.id).where(inventory.c.id == inventory_id).with_for_update()
    connection.execute(statement)
    made = _read(connection, inventory_id)
    if made.finished_at is not None:
        raise inventory_finished(inventory_id)
    return made


def _newest_of(connection: Connection, made: Inventory) -> Inventory | None:
    statement = select(inventory.c.id).where(
        inventory.c.node_id == made.node_id, inventory.c.source == made.source, inventory.c.newest.is_(True)
    )
    known = connection.execute(statement).scalar()
    return None if known is None else _read(connection, known)


def _tables_of(connection: Connection, inventory_id: str) -> tuple[FoundTable, ...]:
    rows = connection.execute(
        select(inventory_table.c.document)
        .where(inventory_table.c.inventory_id == inventory_id)
        .order_by(inventory_table.c.name)
    ).scalars()
    return tuple(FoundTable.model_validate(document) for document in rows)


def _resources_of(connection: Connection, made: Inventory, tables: Sequence[str]) -> dict[str, ResourceId]:
    """Return the resources of the department that are bound to these tables, by table."""
    keys = {_key(made.node_id, made.source, table): table for table in tables}
    found: dict[str, ResourceId] = {}
    names = list(keys)
    for start in range(0, len(names), PAGE_ROWS_MAX):
        rows = connection.execute(
            select(resource.c.binding_key, resource.c.id).where(
                resource.c.department == made.department,
                resource.c.binding_key.in_(names[start : start + PAGE_ROWS_MAX]),
            )
        ).all()
        found |= {keys[key]: ResourceId(resource_id) for key, resource_id in rows}
    return found


def _key(node_id: NodeId, source: str, table: str) -> str:
    return binding_key(Binding(node_id=node_id, source=source, table=table), "")


def _unreadable(connection: Connection, before: Inventory | None, made: Inventory) -> frozenset[str]:
    """Return the tables that could not be read the time before; all of them when the source did not answer then."""
    last = connection.execute(
        select(inventory.c.id, inventory.c.answered)
        .where(
            inventory.c.node_id == made.node_id,
            inventory.c.source == made.source,
            inventory.c.finished_at.is_not(None),
            inventory.c.id != made.id,
        )
        .order_by(inventory.c.finished_at.desc())
        .limit(1)
    ).first()
    if last is None or before is None:
        return frozenset()
    tables = _tables_of(connection, before.id)
    return frozenset(table.table for table in tables if not last.answered or table.fault is not None)


def _drift_from(row: Mapping[str, Any]) -> Drift:
    closed = row["closed_at"]
    if closed is None and row["answered"]:
        closed = row["seen_at"]
    return Drift(
        id=row["id"],
        resource_id=ResourceId(row["resource_id"]),
        department=DepartmentCode(row["department"]),
        title=ResourceContent.model_validate(row["content"]).title,
        version=row["version"],
        changes=tuple(Change.model_validate(change) for change in row["changes"]),
        opened_at=row["opened_at"],
        seen_at=row["seen_at"],
        due_at=row["due_at"],
        closed_at=closed,
        revisable=row["found"] is not None,
    )
