"""The console and the public portal: server-rendered pages over the same services as the API."""

from fastapi import APIRouter

from datong.web.console import (
    agreements,
    cascade,
    cases,
    catalogue,
    catalogue_editor,
    catalogue_files,
    catalogue_review,
    catalogue_work,
    citizen,
    corrections,
    dashboard,
    departments,
    evidence,
    files,
    governance,
    harvests,
    inventories,
    library,
    library_definitions,
    library_versions,
    live,
    maps,
    norms,
    portal,
    profiles,
    quality,
    reconciliations,
    releases,
    requests,
    reviews,
    search,
    service_cases,
    service_items,
    session,
    simulator,
    sources,
    statistics,
    task_form,
    transfer_runs,
    transfer_schemas,
    transfers,
    trials,
)
from datong.web.console.problem import problem_page

__all__ = ["console_router", "problem_page"]

PARTS = (
    session,
    dashboard,
    catalogue_files,
    catalogue_editor,
    search,
    catalogue_review,
    catalogue_work,
    catalogue,
    inventories,
    sources,
    service_cases,
    service_items,
    requests,
    agreements,
    trials,
    simulator,
    task_form,
    transfer_schemas,
    transfer_runs,
    transfers,
    reconciliations,
    files,
    library_definitions,
    library,
    library_versions,
    releases,
    statistics,
    reviews,
    corrections,
    maps,
    live,
    harvests,
    cascade,
    quality,
    evidence,
    governance,
    cases,
    departments,
    norms,
    citizen,
    portal,
    profiles,
)


def console_router() -> APIRouter:
    """Return the routes of every page; handlers find the services on the application that serves them."""
    router = APIRouter(include_in_schema=False)
    for part in PARTS:
        router.include_router(part.router)
    return router
