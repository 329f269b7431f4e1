"""The REST interface `/api/v1`: one module per resource; handlers parse, call one service, and render."""

from fastapi import APIRouter

from datong.web.api import (
    agreements,
    batches,
    cascade,
    catalogue_files,
    dashboard,
    departments,
    files,
    governance,
    harvests,
    inventories,
    ledger,
    libraries,
    nodes,
    norms,
    oauth,
    quality,
    reconciliations,
    requests,
    resources,
    search,
    service_items,
    sessions,
    sketches,
    sources,
    task_files,
    task_schemas,
    task_status,
    tasks,
    uses,
)

api_router = APIRouter(prefix="/api/v1")
for _module in (
    sessions,
    oauth,
    departments,
    nodes,
    resources,
    norms,
    catalogue_files,
    search,
    sketches,
    sources,
    service_items,
    quality,
    harvests,
    inventories,
    cascade,
    requests,
    agreements,
    task_schemas,
    task_files,
    tasks,
    reconciliations,
    task_status,
    batches,
    files,
    libraries,
    uses,
    ledger,
    governance,
    dashboard,
):
    api_router.include_router(_module.router)

__all__ = [
    "api_router",
]
