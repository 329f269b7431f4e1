"""The unified library: definitions, builds, entities with their lineage, published datasets."""

from collections.abc import Mapping
from typing import Annotated

import pyarrow as pa
from fastapi import Query, Response
from pydantic import Field

from datong.kernel import BuildId, DepartmentCode, EntityId, Page, ResourceId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.library import (
    Build,
    Dataset,
    DatasetColumn,
    Definition,
    EntityHit,
    EntityView,
    FailingRow,
    LinkReport,
    ScoreAt,
    SourceScore,
)
from datong.sharing import Action, Block, BlockPurpose, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.routing import api_routes

router = api_routes(tag="library")

ARROW_STREAM = "application/vnd.apache.arrow.stream"
LibraryName = Annotated[str, Field(max_length=NAME_CHARS_MAX)]


class LibrarySummary(Value):
    """A base library, its newest build and its published dataset."""

    name: str
    definition: Definition
    newest_build: Build | None
    datasets: tuple[str, ...]


class DatasetView(Value):
    """A published dataset, without the paths of its files."""

    name: str
    library: str
    version: int
    build_id: BuildId
    resource_id: ResourceId | None
    department: DepartmentCode | None
    title: Text
    open: bool
    rows: int
    digest: str
    published_at: str
    columns: tuple[DatasetColumn, ...]
    key_elements: tuple[str, ...]


@router.get("/libraries")
def list_libraries(caller: Caller, hub: Hub) -> tuple[LibrarySummary, ...]:
    """Return the base libraries."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    datasets = hub.library.datasets()
    return tuple(
        LibrarySummary(
            name=definition.name,
            definition=definition,
            newest_build=next(iter(hub.library.builds(definition.name, offset=0, limit=1).rows), None),
            datasets=tuple(dataset.name for dataset in datasets if dataset.library == definition.name),
        )
        for definition in hub.library.definitions()
    )


@router.post("/libraries/{name}/builds", status_code=202)
def request_build(name: LibraryName, caller: Caller, hub: Hub, full: bool = False) -> Build:
    """Ask for a build over everything that has landed; background work runs it.

    With `full`, everything is made anew instead of starting from the published version; the result is the same.
    """
    hub.policy.require(caller, Action.LIBRARY_BUILD)
    return hub.library.request_build(name, actor=caller.actor, whole=full)


@router.get("/libraries/{name}/builds")
def list_builds(
    name: LibraryName, caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT
) -> Page[Build]:
    """Return a library's builds, newest first."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.builds(name, offset=offset, limit=limit)


@router.get("/builds/{build_id}")
def read_build(build_id: BuildId, caller: Caller, hub: Hub) -> Build:
    """Return one build."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.build(build_id)


@router.get("/libraries/{name}/report")
def read_report(name: LibraryName, caller: Caller, hub: Hub) -> LinkReport:
    """Return what the newest build did: rules, clusters, quality of each source."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.report(name)


@router.get("/libraries/{name}/quality")
def read_library_quality(name: LibraryName, caller: Caller, hub: Hub) -> tuple[SourceScore, ...]:
    """Return the quality of every source on the six dimensions of GB/T 36344, in basis points, the lowest first."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.quality(name)


@router.get("/libraries/{name}/quality/{resource_id}")
def read_quality_history(name: LibraryName, resource_id: ResourceId, caller: Caller, hub: Hub) -> tuple[ScoreAt, ...]:
    """Return a source's quality version by version, the oldest first."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.quality_history(name, resource_id)


@router.get("/libraries/{name}/quality/{resource_id}/rows")
def read_failing_rows(
    name: LibraryName,
    resource_id: ResourceId,
    caller: Caller,
    hub: Hub,
    element: Annotated[str, Query(min_length=1, max_length=NAME_CHARS_MAX)],
    flag: Annotated[str, Query(min_length=1, max_length=NAME_CHARS_MAX)],
) -> tuple[FailingRow, ...]:
    """Return the records whose element has a flaw: to the source department only."""
    department = hub.catalogue.get(resource_id).department
    hub.policy.require(caller, Action.LIBRARY_READ_FAILING, Target(id=resource_id, provider=department))
    return hub.library.failing_rows(name, resource_id, element, flag)


@router.get("/libraries/{name}/entities")
def find_entities(
    name: LibraryName,
    caller: Caller,
    hub: Hub,
    query: Annotated[str, Query(min_length=1, max_length=NAME_CHARS_MAX)],
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = LIMIT_DEFAULT,
) -> tuple[EntityHit, ...]:
    """Find entities by name or identifier."""
    hub.policy.require(caller, Action.LIBRARY_READ_ENTITY)
    return hub.library.find_entities(name, query, limit=limit)


@router.get("/libraries/{name}/entities/{entity_id}")
def read_entity(name: LibraryName, entity_id: EntityId, caller: Caller, hub: Hub) -> EntityView:
    """Return everything the library knows of one entity, cell by cell, with where it comes from."""
    hub.policy.require(caller, Action.LIBRARY_READ_ENTITY)
    return hub.library.entity(name, entity_id)


@router.get("/libraries/{name}/entities/{entity_id}/block")
def read_block(
    name: LibraryName,
    entity_id: EntityId,
    caller: Caller,
    hub: Hub,
    purpose: Annotated[str, Query(min_length=1, max_length=TEXT_CHARS_MAX)],
    case_number: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
) -> Block:
    """Return the block-data view of an entity: all departments, relations, verdicts, as the caller may see them.

    The opening is on record with its purpose, and citizens see it among the uses of their data.
    """
    return hub.blocks.open(caller, name, entity_id, BlockPurpose(purpose=purpose, case_number=case_number))


@router.get("/libraries/{name}/block")
def find_block(
    name: LibraryName,
    caller: Caller,
    hub: Hub,
    key: Annotated[str, Query(min_length=1, max_length=NAME_CHARS_MAX)],
    value: Annotated[str, Query(min_length=1, max_length=NAME_CHARS_MAX)],
) -> tuple[EntityId, ...]:
    """Return the entities that bear exactly this key, for a block-data view."""
    return hub.blocks.by_key(caller, name, key, value)


@router.get("/libraries/{name}/links", response_class=Response, responses=told_in(ARROW_STREAM))
def export_links(name: LibraryName, caller: Caller, hub: Hub) -> Response:
    """Return which record belongs to which entity, as an Arrow IPC stream, for the library's stewards."""
    hub.policy.require(caller, Action.LIBRARY_READ_ENTITY)
    return Response(arrow_stream(hub.library.links(name)), media_type=ARROW_STREAM)


@router.get("/datasets")
def list_datasets(caller: Caller, hub: Hub) -> tuple[DatasetView, ...]:
    """Return the newest version of every published dataset."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return tuple(dataset_view(dataset) for dataset in hub.library.datasets())


def dataset_view(dataset: Dataset) -> DatasetView:
    """Return what the API shows of a dataset."""
    facts: Mapping[str, object] = dataset.model_dump(mode="json", include=set(DatasetView.model_fields))
    return DatasetView.model_validate(facts)


def arrow_stream(table: pa.Table) -> bytes:
    """Return `table` as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
