"""Reading the catalogue: resources as they stand and as everybody sees them, their versions, acts and numbers."""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select

from datong.catalogue.differences import ContentDifference, content_differences
from datong.catalogue.faults import (
    resource_not_found,
)
from datong.catalogue.lifecycle import Transition, possible_actions
from datong.catalogue.records import (
    published_from,
    published_stamps,
    select_published,
    select_working,
    standing_of,
    version_from,
    working_from,
)
from datong.catalogue.tables import listing, resource, step, version
from datong.catalogue.values import CatalogueCounts, Resource, ResourceState, ResourceStep, ResourceVersion
from datong.kernel import (
    Database,
    DepartmentCode,
    Page,
    ResourceId,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.norms import NormPack

_PUBLISHED = select_published().where(resource.c.id == bindparam("of_id"))
"""Made once: every call of the gateway runs it."""


class CatalogueReading:
    """What stands in the catalogue; nothing is changed."""

    def __init__(self, database: Database, pack: NormPack) -> None:
        self._database, self._pack = database, pack

    def get(self, resource_id: ResourceId) -> Resource:
        """Return the working version, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = connection.execute(select_working().where(resource.c.id == resource_id)).mappings().first()
        if row is None:
            raise resource_not_found(resource_id)
        return working_from(dict(row))

    def published(self, resource_id: ResourceId, *, open_only: bool = False) -> Resource:
        """Return the version that everybody sees.

        Raises:
            NotFound: it was never published, is suspended or retired; or `open_only` and it is not open.
        """
        statement = _PUBLISHED.where(listing.c.open.is_(True)) if open_only else _PUBLISHED
        with self._database.snapshot() as connection:
            row = connection.execute(statement, {"of_id": resource_id}).mappings().first()
        if row is None:
            raise resource_not_found(resource_id)
        return published_from(dict(row), open_only=open_only)

    def published_stamps(self, ids: Sequence[ResourceId]) -> dict[ResourceId, object]:
        """Return what changes whenever what `published` returns does; a resource that nobody sees has none."""
        with self._database.reading() as connection:
            return published_stamps(connection, ids)

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        state: ResourceState | None = None,
        open_only: bool = False,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Resource]:
        """Return resources, last changed first.

        With `state` PUBLISHED or `open_only` these are the visible resources in their published version; otherwise the
        working versions.
        """
        limit = min(limit, PAGE_ROWS_MAX)
        visible = open_only or state is ResourceState.PUBLISHED
        statement = select_published() if visible else select_working()
        if department is not None:
            statement = statement.where(resource.c.department == department)
        if open_only:
            statement = statement.where(listing.c.open.is_(True))
        if state is not None and not visible:
            statement = statement.where(resource.c.state == state.value)
        order = listing.c.published_at if visible else resource.c.updated_at
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
            rows = connection.execute(
                statement.order_by(order.desc(), resource.c.id).offset(offset).limit(limit)
            ).mappings()
            found = tuple(
                published_from(dict(row), open_only=open_only) if visible else working_from(dict(row)) for row in rows
            )
        return page_of(found, total=total, offset=offset)

    def history(self, resource_id: ResourceId) -> tuple[ResourceVersion, ...]:
        """Return every version, newest first, or raise NotFound."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(version).where(version.c.resource_id == resource_id).order_by(version.c.version.desc())
            ).mappings()
            found = tuple(version_from(dict(row)) for row in rows)
        if not found:
            raise resource_not_found(resource_id)
        return found

    def version(self, resource_id: ResourceId, number: int) -> ResourceVersion:
        """Return one version, for example the one an agreement names, or raise NotFound."""
        found = next((entry for entry in self.history(resource_id) if entry.version == number), None)
        if found is None:
            raise resource_not_found(f"{resource_id}/{number}")
        return found

    def published_once(self, resource_id: ResourceId, number: int) -> ResourceVersion:
        """Return a version that everybody saw at some time, or raise NotFound."""
        found = self.version(resource_id, number)
        if found.published_at is None:
            raise resource_not_found(f"{resource_id}/{number}")
        return found

    def compare(self, resource_id: ResourceId, older: int, newer: int) -> ContentDifference:
        """Return what differs between two versions, in words, with what it means to consumers; or raise NotFound."""
        before, after = self.version(resource_id, older), self.version(resource_id, newer)
        return content_differences(before.content, after.content, self._pack, older=older, newer=newer)

    def steps(self, resource_id: ResourceId) -> tuple[ResourceStep, ...]:
        """Return every act in the resource's life with its ledger entry, oldest first."""
        columns = [column for column in step.c if column.name not in ("id", "resource_id")]
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(*columns).where(step.c.resource_id == resource_id).order_by(step.c.at, step.c.id)
            ).mappings()
            return tuple(ResourceStep.model_validate(dict(row)) for row in rows)

    def possible(self, found: Resource) -> tuple[Transition, ...]:
        """Return what can be done now to a working version, with the party who may."""
        return possible_actions(standing_of(found))

    def counts(self) -> CatalogueCounts:
        """Return how many resources there are, by state and department."""
        with self._database.snapshot() as connection:
            states = connection.execute(select(resource.c.state, func.count()).group_by(resource.c.state)).all()
            # One pass over an index that holds all three.
            listed = connection.execute(
                select(listing.c.department, listing.c.open, func.count(), func.sum(listing.c.item_count)).group_by(
                    listing.c.department, listing.c.open
                )
            ).all()
        by_department: dict[DepartmentCode, int] = {}
        for code, _, count, _ in listed:
            by_department[DepartmentCode(code)] = by_department.get(DepartmentCode(code), 0) + count
        return CatalogueCounts(
            by_state={ResourceState(state): count for state, count in states},
            visible=sum(by_department.values()),
            open=sum(count for _, is_open, count, _ in listed if is_open),
            items=sum(items for _, _, _, items in listed),
            by_department=by_department,
        )
