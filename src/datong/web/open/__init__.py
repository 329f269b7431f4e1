"""The open catalogue for machines: DCAT, the CKAN Action API, feeds; over `OpenCatalogue` and nothing else."""

from fastapi import APIRouter

from datong.web.open import catalog, ckan, feeds
from datong.web.open.answers import PUBLIC_HEADERS, public_answer, reading
from datong.web.open.catalog import negotiated
from datong.web.open.licences import licence_of
from datong.web.open.markup import schema_org

open_routers: tuple[APIRouter, ...] = (feeds.router, catalog.router, ckan.router)

__all__ = ["PUBLIC_HEADERS", "licence_of", "negotiated", "open_routers", "public_answer", "reading", "schema_org"]
