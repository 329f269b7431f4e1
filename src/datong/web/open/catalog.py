"""DCAT: the catalogue in pages, and each dataset, as Turtle, JSON-LD and RDF/XML."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import RedirectResponse, Response

from datong.catalogue import OpenOrder, OpenResource, OpenSort
from datong.kernel import NotFound, ResourceId, Text, Value
from datong.web.authentication import Hub
from datong.web.open.answers import preferred, public_answer, reading
from datong.web.open.dcat import Describer, Paging
from datong.web.open.rdf import Node, json_ld, rdf_xml, turtle
from datong.web.routing import machine_routes
from datong.web.services import Services

router = machine_routes(tag="open catalogue")

PAGE_DATASETS = 100
PAGES_MAX = 1_000_000
HTML = "text/html"
JSON = "application/json"


class Form(Value):
    """One form of RDF: the ending of its address and its media type."""

    suffix: str
    media_type: str


FORMS = (
    Form(suffix=".ttl", media_type="text/turtle"),
    Form(suffix=".jsonld", media_type="application/ld+json"),
    Form(suffix=".rdf", media_type="application/rdf+xml"),
)
_WRITERS: dict[str, Callable[[Iterable[Node]], Iterator[str]]] = {".ttl": turtle, ".jsonld": json_ld, ".rdf": rdf_xml}
_BY_TYPE = {form.media_type: form for form in FORMS}
_BY_SUFFIX = {form.suffix: form for form in FORMS}
Page = Annotated[int, Query(ge=1, le=PAGES_MAX, description="Page of the catalogue, from 1.")]


@reading(
    router, "/catalog", media_types=list(_BY_TYPE), also={303: {"description": "A browser is sent to the portal."}}
)
def catalogue(request: Request, hub: Hub, page: Page = 1) -> Response:
    """Return the open catalogue as DCAT in the form that `Accept` prefers; a browser goes to the portal."""
    chosen = preferred(request.headers.get("accept", ""), [*_BY_TYPE, HTML])
    if chosen == HTML:
        return RedirectResponse("/open", status_code=303, headers={"Vary": "Accept"})
    return _page(request, hub, _BY_TYPE[chosen or FORMS[0].media_type], page)


@reading(router, "/catalog.ttl", media_types=[_BY_SUFFIX[".ttl"].media_type])
def catalogue_turtle(request: Request, hub: Hub, page: Page = 1) -> Response:
    """Return a page of the open catalogue as DCAT in Turtle; `hydra:next` links the next page."""
    return _page(request, hub, _BY_SUFFIX[".ttl"], page)


@reading(router, "/catalog.jsonld", media_types=[_BY_SUFFIX[".jsonld"].media_type])
def catalogue_json_ld(request: Request, hub: Hub, page: Page = 1) -> Response:
    """Return a page of the open catalogue as DCAT in JSON-LD."""
    return _page(request, hub, _BY_SUFFIX[".jsonld"], page)


@reading(router, "/catalog.rdf", media_types=[_BY_SUFFIX[".rdf"].media_type])
def catalogue_rdf_xml(request: Request, hub: Hub, page: Page = 1) -> Response:
    """Return a page of the open catalogue as DCAT in RDF/XML."""
    return _page(request, hub, _BY_SUFFIX[".rdf"], page)


@reading(router, "/open/{resource_id}.ttl", media_types=[_BY_SUFFIX[".ttl"].media_type])
def dataset_turtle(request: Request, hub: Hub, resource_id: ResourceId) -> Response:
    """Return one open resource as DCAT in Turtle."""
    return dataset_as(request, hub, resource_id, _BY_SUFFIX[".ttl"])


@reading(router, "/open/{resource_id}.jsonld", media_types=[_BY_SUFFIX[".jsonld"].media_type])
def dataset_json_ld(request: Request, hub: Hub, resource_id: ResourceId) -> Response:
    """Return one open resource as DCAT in JSON-LD."""
    return dataset_as(request, hub, resource_id, _BY_SUFFIX[".jsonld"])


@reading(router, "/open/{resource_id}.rdf", media_types=[_BY_SUFFIX[".rdf"].media_type])
def dataset_rdf_xml(request: Request, hub: Hub, resource_id: ResourceId) -> Response:
    """Return one open resource as DCAT in RDF/XML."""
    return dataset_as(request, hub, resource_id, _BY_SUFFIX[".rdf"])


@reading(router, "/open/{resource_id}.json", response_model=OpenResource)
def dataset_json(request: Request, hub: Hub, resource_id: ResourceId) -> Response:
    """Return one open resource as the platform's own JSON: the public part of its metadata, items included."""
    resource = hub.open_catalogue.get(resource_id)
    body = resource.model_dump_json().encode()
    return public_answer(request, body, media_type=JSON, modified=resource.changed_at)


def negotiated(request: Request, hub: Services, resource_id: ResourceId) -> Response | None:
    """Return an open resource in the form that `Accept` prefers; None: a page is preferred."""
    chosen = preferred(request.headers.get("accept", ""), [HTML, *_BY_TYPE])
    if chosen is None or chosen == HTML:
        return None
    return dataset_as(request, hub, resource_id, _BY_TYPE[chosen])


def dataset_as(request: Request, hub: Services, resource_id: ResourceId, form: Form) -> Response:
    """Return one open resource in `form`.

    Raises:
        NotFound: there is none with that id, or it is not open.
    """
    resource = hub.open_catalogue.get(resource_id)
    body = "".join(_WRITERS[form.suffix](_describer(hub).dataset(resource))).encode()
    return public_answer(
        request, body, media_type=form.media_type, modified=resource.changed_at, headers={"Vary": "Accept"}
    )


def _page(request: Request, hub: Services, form: Form, number: int) -> Response:
    found = hub.open_catalogue.find(
        order=(OpenSort(by=OpenOrder.ID),), offset=(number - 1) * PAGE_DATASETS, limit=PAGE_DATASETS
    )
    pages = -(-found.total // PAGE_DATASETS)
    if number > max(1, pages):
        raise NotFound(
            "web.page_beyond_catalogue",
            what=Text(zh=f"目录只有 {pages} 页。", en=f"The catalogue has {pages} pages."),
            remedy=Text(zh="请从第 1 页开始，按 hydra:next 翻页。", en="Begin with page 1 and follow hydra:next."),
        )
    paging = Paging(
        number=number,
        pages=pages,
        rows=PAGE_DATASETS,
        total=found.total,
        suffix=form.suffix,
        newest=hub.open_catalogue.newest_change(),
    )
    body = "".join(_WRITERS[form.suffix](_describer(hub).page(found.rows, paging))).encode()
    newest = max((resource.changed_at for resource in found.rows), default=None)
    links = {"Vary": "Accept"}
    if number < pages:
        links["Link"] = f'<{hub.settings.base_url}/catalog{form.suffix}?page={number + 1}>; rel="next"'
    return public_answer(request, body, media_type=form.media_type, modified=newest, headers=links)


def _describer(hub: Services) -> Describer:
    return Describer(
        base_url=hub.settings.base_url,
        pack=hub.pack,
        publishers=hub.open_catalogue.publishers(),
        hub=hub.open_catalogue.authority(),
    )
