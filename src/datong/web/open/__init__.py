"""The open catalogue for machines: DCAT and the CKAN Action API, over `OpenCatalogue` and nothing else."""

from fastapi import APIRouter

from datong.web.open import catalog, ckan
from datong.web.open.catalog import negotiated

open_router = APIRouter()
for _module in (catalog, ckan):
    open_router.include_router(_module.router)

__all__ = ["negotiated", "open_router"]
