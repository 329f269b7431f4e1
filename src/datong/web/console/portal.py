"""The public portal: what is open to everybody, found without signing in."""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from datong.catalogue import (
    AllOf,
    OfDepartments,
    OfThemes,
    OpenFacet,
    OpenField,
    OpenFilter,
    OpenOrder,
    OpenSort,
    WithTerm,
    assess,
)
from datong.kernel import CHINA, DepartmentCode, ResourceId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.library import FeatureQuery
from datong.web.console.desk import PAGE_ROWS, Anyone, Desk, Offset
from datong.web.open import licence_of, negotiated, schema_org
from datong.web.routing import unlisted_routes

router = unlisted_routes()

FACET_VALUES = 12
PREVIEW_ROWS, PREVIEW_COLUMNS = 8, 8
HIDDEN = frozenset({"entity_id"})
"""Properties of a feature that say nothing to people."""
LOW_SCORE, HIGH_SCORE = 221, 351
"""Below and from which points a description counts as poor and as very good."""
ORDERS = {
    "best": Text(zh="最相关", en="Best match"),
    "newest": Text(zh="最近更新", en="Last changed"),
    "title": Text(zh="名称", en="Title"),
}
FORMS = (
    ("DCAT-AP Turtle", "/catalog.ttl"),
    ("JSON-LD", "/catalog.jsonld"),
    ("RDF/XML", "/catalog.rdf"),
    ("CKAN API", "/api/3/action/package_search"),
    ("Atom", "/open/feed.atom"),
)
ENDINGS = (("JSON", ".json"), ("Turtle", ".ttl"), ("JSON-LD", ".jsonld"), ("RDF/XML", ".rdf"))
Words = Annotated[str, Query(max_length=NAME_CHARS_MAX)]
Chosen = Annotated[list[str] | None, Query(max_length=20)]


class Choice(Value):
    """One value by which the list can be narrowed, and whether it is chosen."""

    value: str
    label: str
    count: int
    chosen: bool


class Narrowing(Value):
    """One facet of the open catalogue; `field` is its query parameter."""

    field: str
    label: Text
    choices: tuple[Choice, ...]


class Preview(Value):
    """The first rows of what is open of a resource, and the path of this hub at which all of them can be read."""

    path: str
    total: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    published_at: datetime


class Example(Value):
    """A command or a program that runs as it stands."""

    kind: str
    title: str
    text: str


@router.get("/open")
def open_catalogue(
    desk: Anyone,
    offset: Offset,
    q: Words = "",
    department: Chosen = None,
    theme: Chosen = None,
    file_format: Annotated[list[str] | None, Query(alias="format", max_length=20)] = None,
    keyword: Chosen = None,
    sort: str = "",
) -> Response:
    """Search the open resources, narrowed by facets."""
    chosen = {
        "department": tuple(department or ()),
        "theme": tuple(theme or ()),
        "format": tuple(file_format or ()),
        "keyword": tuple(keyword or ()),
    }
    where = _where(chosen)
    order = sort if sort in ORDERS else ("best" if q.strip() else "newest")
    found = desk.services.open_catalogue.find(text=q, where=where, order=_ORDERS[order], offset=offset, limit=PAGE_ROWS)
    return desk.page(
        "portal/open.html",
        q=q,
        found=found,
        wording=desk.services.open_catalogue.wording(q),
        facets=_facets(desk, q, where, chosen),
        forms=FORMS,
        orders=ORDERS,
        order=order,
        filtered=any(chosen.values()),
        offset=offset,
        step=PAGE_ROWS,
    )


@router.get("/open/suggestions")
def open_suggestions(desk: Anyone, q: Words = "") -> Response:
    """Return what somebody who types may mean among what is open, as a piece of the page."""
    found = desk.services.open_catalogue.suggest(q)
    return desk.page("catalogue/suggestions.html", suggestions=found, search="/open")


@router.get("/open/verify")
def verify_files(desk: Anyone) -> Response:
    """Show the page on which a browser verifies proofs and files by itself; nothing is sent here."""
    return desk.page("portal/verify.html", log_key=b64encode(desk.services.ledger.public_key).decode())


@router.get("/open/{resource_id}")
def open_resource(desk: Anyone, resource_id: ResourceId) -> Response:
    """Show one open resource, as a page or in the form of RDF that `Accept` prefers.

    Raises:
        NotFound: there is none with that id, or it is not open.
    """
    described = negotiated(desk.request, desk.services, resource_id)
    if described is not None:
        return described
    hub = desk.services
    resource = hub.open_catalogue.get(resource_id)
    content = resource.content
    department = desk.departments.get(resource.department)
    preview = preview_of(desk, resource_id)
    place = hub.pack.division_register.lookup(content.spatial, desk.now.astimezone(CHINA).year)
    return desk.page(
        "portal/resource.html",
        resource=resource,
        content=content,
        licence=licence_of(hub.pack, content.licence),
        theme=next((entry for entry in hub.pack.themes if entry.key == content.theme), None),
        category=next((entry for entry in hub.pack.data_categories if entry.key == content.data_category), None),
        place=place.name if place else content.spatial,
        editions=hub.open_catalogue.editions(resource_id),
        base=hub.settings.base_url,
        examples=examples_of(hub.settings.base_url, resource_id, preview),
        forms=tuple((name, f"/open/{resource_id}{ending}") for name, ending in ENDINGS),
        quality=assess(content, hub.pack),
        preview=preview,
        low=LOW_SCORE,
        high=HIGH_SCORE,
        markup=schema_org(resource, base_url=hub.settings.base_url, pack=hub.pack, department=department),
    )


def preview_of(desk: Desk, resource_id: ResourceId) -> Preview | None:
    """Return the first rows of the open layer that this resource is a source of; None: there is none.

    Everybody may read such a layer whole, by OGC API – Features.
    """
    library = desk.services.library
    for layer in library.spatial.collections():
        if layer.open and any(score.resource_id == resource_id for score in library.quality(layer.name)):
            found = library.spatial.page(layer.name, FeatureQuery(limit=PREVIEW_ROWS))
            rows = [json.loads(one.properties) for one in found.features]
            columns = tuple(dict.fromkeys(name for row in rows for name in row if name not in HIDDEN))[:PREVIEW_COLUMNS]
            return Preview(
                path=f"/ogc/collections/{layer.name}/items",
                total=layer.features,
                columns=tuple(desk.element_name(name) for name in columns),
                rows=tuple(tuple(_cell(row.get(name)) for name in columns) for row in rows),
                published_at=layer.published_at,
            )
    return None


def _cell(value: object) -> str:
    return "—" if value in (None, "") else str(value)


def examples_of(base_url: str, resource_id: ResourceId, preview: Preview | None = None) -> tuple[Example, ...]:
    """Return how a program reads one open resource: its description, and its rows where they are open as a layer."""
    page = f"{base_url}/open/{resource_id}"
    shell: tuple[str, ...] = (
        f"curl -fsS {page}.json",
        f"curl -fsS -H 'Accept: text/turtle' {page}",
        f"curl -fsS '{base_url}/api/3/action/package_show?id={resource_id}'",
    )
    python: tuple[str, ...] = (
        "import json",
        "import urllib.request",
        "",
        f'with urllib.request.urlopen("{page}.json") as answer:',
        '    content = json.load(answer)["content"]',
        'print(content["title"]["zh"], [item["name"]["zh"] for item in content["items"]])',
    )
    if preview is not None:
        shell += (f"curl -fsS '{base_url}{preview.path}?limit=100'",)
        python += (
            "",
            f'address = "{base_url}{preview.path}?limit=1000"',
            "while address:",
            "    with urllib.request.urlopen(address) as answer:",
            "        page = json.load(answer)",
            '    print(len(page["features"]), "of", page["numberMatched"])',
            '    address = next((one["href"] for one in page["links"] if one["rel"] == "next"), None)',
        )
    return (
        Example(kind="shell", title="curl", text="\n".join(shell)),
        Example(kind="python", title="Python", text="\n".join(python)),
    )


_ORDERS: dict[str, Sequence[OpenSort]] = {
    "best": (OpenSort(by=OpenOrder.RELEVANCE, descending=True),),
    "newest": (OpenSort(by=OpenOrder.CHANGED, descending=True),),
    "title": (OpenSort(by=OpenOrder.TITLE),),
}


def _where(chosen: dict[str, tuple[str, ...]]) -> OpenFilter:
    """Return the condition that the chosen values make: each facet must hold; of keywords and formats, every one."""
    members: list[OpenFilter] = []
    if chosen["department"]:
        members.append(OfDepartments(codes=tuple(DepartmentCode(code) for code in chosen["department"])))
    if chosen["theme"]:
        members.append(OfThemes(keys=chosen["theme"]))
    members.extend(WithTerm(field=OpenField.FORMAT, value=value) for value in chosen["format"])
    members.extend(WithTerm(field=OpenField.KEYWORD, value=value) for value in chosen["keyword"])
    return AllOf(members=tuple(members))


def _facets(desk: Desk, q: str, where: OpenFilter, chosen: dict[str, tuple[str, ...]]) -> tuple[Narrowing, ...]:
    """Return the facets of what was found, with the names of their values."""
    themes = {theme.key: desk.speech.say(theme.name) for theme in desk.services.pack.themes}
    names = {publisher.department.code: publisher for publisher in desk.services.open_catalogue.publishers()}
    departments: dict[str, str] = {
        code: desk.speech.say(publisher.department.short_name) for code, publisher in names.items()
    }
    described: tuple[tuple[str, Text, OpenFacet, dict[str, str]], ...] = (
        ("department", Text(zh="提供部门", en="Department"), OpenFacet.DEPARTMENT, departments),
        ("theme", Text(zh="主题", en="Theme"), OpenFacet.THEME, themes),
        ("format", Text(zh="格式", en="Format"), OpenFacet.FORMAT, {}),
        ("keyword", Text(zh="关键词", en="Keyword"), OpenFacet.KEYWORD, {}),
    )
    return tuple(
        Narrowing(
            field=field,
            label=label,
            choices=tuple(
                Choice(
                    value=entry.value,
                    label=known.get(entry.value, entry.value),
                    count=entry.count,
                    chosen=entry.value in chosen[field],
                )
                for entry in desk.services.open_catalogue.counts(facet, text=q, where=where, limit=FACET_VALUES)
            ),
        )
        for field, label, facet, known in described
    )
