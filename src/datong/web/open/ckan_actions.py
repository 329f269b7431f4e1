"""The actions of the CKAN API, one function each: parameters in, CKAN's result out."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from datong import __version__
from datong.catalogue import (
    OfDepartments,
    OfThemes,
    OpenCatalogue,
    OpenCount,
    OpenFacet,
    OpenFilter,
    OpenOrder,
    OpenSort,
    Publisher,
)
from datong.kernel import DepartmentCode, NotFound, ResourceId, Text
from datong.norms import NormPack
from datong.web.open.ckan_documents import (
    Document,
    Documents,
    group_id,
    organisation_id,
    organisation_name,
    tag,
)
from datong.web.open.ckan_parameters import Parameters
from datong.web.open.ckan_search import Asked, Names, search_of, sort_of

ROWS_DEFAULT = 10
ROWS_MAX = 1000
START_MAX = 100_000_000
FACET_LIMIT_DEFAULT = 50
FACET_LIMIT_MAX = 1000
CKAN_VERSION = "2.10.0"
"""The version of CKAN whose reading actions these are; clients look at it to choose how to ask."""
BY_ID = (OpenSort(by=OpenOrder.ID),)


class Call:
    """One call of an action: the open catalogue, the names in it, and what was sent."""

    def __init__(
        self, *, catalogue: OpenCatalogue, pack: NormPack, base_url: str, parameters: Parameters, now: datetime
    ) -> None:
        self.catalogue, self.pack, self.base_url, self.parameters = catalogue, pack, base_url, parameters
        self.documents = Documents(base_url=base_url, pack=pack, publishers=catalogue.publishers())
        self._now = now

    @property
    def publishers(self) -> Sequence[Publisher]:
        """The departments that have something open."""
        return tuple(self.documents.publishers.values())

    def names(self) -> Names:
        """Return what names and ids mean."""
        organisations: dict[str, DepartmentCode] = {}
        for entry in self.publishers:
            code = entry.department.code
            organisations |= {organisation_name(code): code, organisation_id(code): code}
        groups: dict[str, str] = {}
        for key in self.documents.themes:
            groups |= {key: key, group_id(key): key}
        default = self.pack.licences[0].key if self.pack.licences else ""
        return Names(organisations=organisations, groups=groups, default_licence=default, now=self._now)

    def page(self, default: int, most: int = ROWS_MAX, start: str = "offset", rows: str = "limit") -> tuple[int, int]:
        """Return the first row and the number of rows asked for."""
        return (
            self.parameters.number(start, 0, most=START_MAX),
            self.parameters.number(rows, default, most=most),
        )


Action = Callable[[Call], object]


def site_read(_call: Call) -> object:
    """Say that the site may be read: it is public."""
    return True


def status_show(call: Call) -> object:
    """Return what this site is."""
    return {
        "ckan_version": CKAN_VERSION,
        "site_title": "打通 · 开放目录",
        "site_description": "各部门向社会开放的数据资源 Open data of the departments",
        "site_url": call.base_url,
        "error_emails_to": None,
        "locale_default": "zh_CN",
        "extensions": ["datong"],
        "datong_version": __version__,
    }


def help_show(call: Call) -> object:
    """Return what an action does (`name`)."""
    name = call.parameters.needed("name")
    action = ACTIONS.get(name)
    if action is None:
        raise not_found("action", name)
    return action.__doc__


def package_list(call: Call) -> object:
    """Return the names of all packages, sorted (`limit`, `offset`)."""
    offset = call.parameters.number("offset", 0, most=START_MAX)
    limit = call.parameters.number("limit", 0, most=START_MAX) or None
    return list(call.catalogue.ids(offset=offset, limit=limit))


def package_show(call: Call) -> object:
    """Return one package (`id`: its UUID or name)."""
    name = call.parameters.needed("id") if call.parameters.text("id") else call.parameters.needed("name_or_id")
    return call.documents.package(call.catalogue.get(ResourceId(name)))


def package_search(call: Call) -> object:
    """Search (`q`, `fq`, `fq_list`, `sort`, `start`, `rows`, `facet`, `facet.field`, `facet.limit`, `fl`)."""
    given = call.parameters
    filters = [text for name in ("fq", "fq_list") for text in given.several(name)]
    asked = search_of(given.text("q"), filters, call.names())
    sort = given.text("sort")
    start, rows = call.page(ROWS_DEFAULT, start="start", rows="rows")
    order = sort_of(sort)
    found = call.catalogue.find(text=asked.text, where=asked.where, order=order, offset=start, limit=rows)
    packages = [call.documents.package(resource) for resource in found.rows]
    fields = given.several("fl")
    if fields and "*" not in fields:
        packages = [{name: package[name] for name in fields if name in package} for package in packages]
    facets = _search_facets(call, asked)
    return {
        "count": found.total,
        "sort": sort or ("score desc, id asc" if asked.text else "metadata_modified desc, id asc"),
        "results": packages,
        "facets": {name: {str(item["name"]): item["count"] for item in facet} for name, facet in facets.items()},
        "search_facets": {name: {"title": name, "items": items} for name, items in facets.items()},
    }


def current_package_list_with_resources(call: Call) -> object:
    """Return packages with their resources, last changed first (`limit`, `offset`)."""
    offset, limit = call.page(ROWS_MAX)
    return [call.documents.package(resource) for resource in call.catalogue.find(offset=offset, limit=limit).rows]


def resource_show(call: Call) -> object:
    """Return one resource (`id`)."""
    wanted = call.parameters.needed("id")
    resource = call.catalogue.of_distribution(wanted)
    return next(entry for entry in call.documents.resources(resource) if entry["id"] == wanted)


def organization_list(call: Call) -> object:
    """Return the departments that have something open (`all_fields`, `limit`, `offset`)."""
    offset, limit = call.page(ROWS_MAX)
    some = call.publishers[offset : offset + limit]
    if not call.parameters.flag("all_fields"):
        return [organisation_name(entry.department.code) for entry in some]
    return [call.documents.organisation(entry.department, count=entry.count) for entry in some]


def organization_show(call: Call) -> object:
    """Return one department (`id`: name or UUID, `include_datasets`)."""
    wanted = call.parameters.needed("id")
    code = call.names().organisations.get(wanted.lower())
    if code is None:
        raise not_found("organization", wanted)
    publisher = call.documents.publishers[code]
    found = call.documents.organisation(publisher.department, count=publisher.count)
    return found | {
        "packages": _packages(call, OfDepartments(codes=(code,))),
        "extras": [{"key": "uscc", "value": code}],
        "users": [],
        "tags": [],
        "groups": [],
    }


def group_list(call: Call) -> object:
    """Return the themes that have something open (`all_fields`, `limit`, `offset`)."""
    offset, limit = call.page(ROWS_MAX)
    some = _themes(call)[offset : offset + limit]
    if not call.parameters.flag("all_fields"):
        return [entry.value for entry in some]
    return [call.documents.group(entry.value, count=entry.count) for entry in some]


def group_show(call: Call) -> object:
    """Return one theme (`id`: name or UUID, `include_datasets`)."""
    wanted = call.parameters.needed("id")
    key = call.names().groups.get(wanted)
    found = next((entry for entry in _themes(call) if entry.value == key), None)
    if key is None or found is None:
        raise not_found("group", wanted)
    return call.documents.group(key, count=found.count) | {
        "packages": _packages(call, OfThemes(keys=(key,))),
        "extras": [],
        "users": [],
        "tags": [],
        "groups": [],
    }


def tag_list(call: Call) -> object:
    """Return the keywords in use, sorted (`query`, `all_fields`)."""
    query = (call.parameters.text("query") or call.parameters.text("q")).strip().lower()
    words = sorted(entry.value for entry in call.catalogue.counts(OpenFacet.KEYWORD))
    chosen = [word for word in words if query in word.lower()]
    return [tag(word) for word in chosen] if call.parameters.flag("all_fields") else chosen


def tag_show(call: Call) -> object:
    """Return one keyword (`id`: its name or UUID)."""
    wanted = call.parameters.needed("id")
    for entry in call.catalogue.counts(OpenFacet.KEYWORD):
        found = tag(entry.value)
        if wanted in (found["name"], found["id"]):
            return found
    raise not_found("tag", wanted)


def license_list(call: Call) -> object:
    """Return the licences under which resources can be open."""
    return [call.documents.licence(licence) for licence in call.pack.licences]


ACTIONS: Mapping[str, Action] = {
    action.__name__: action
    for action in (
        site_read,
        status_show,
        help_show,
        package_list,
        package_show,
        package_search,
        current_package_list_with_resources,
        resource_show,
        organization_list,
        organization_show,
        group_list,
        group_show,
        tag_list,
        tag_show,
        license_list,
    )
}
FACETS: Mapping[str, OpenFacet] = {
    "organization": OpenFacet.DEPARTMENT,
    "groups": OpenFacet.THEME,
    "tags": OpenFacet.KEYWORD,
    "res_format": OpenFacet.FORMAT,
    "license_id": OpenFacet.LICENCE,
}


def not_found(kind: str, name: str) -> NotFound:
    """There is no `kind` of that name."""
    return NotFound(
        "ckan.not_found",
        what=Text(zh=f"没有名为“{name[:100]}”的 {kind}。", en=f"There is no {kind} {name[:100]!r}."),
        remedy=Text(zh="请用相应的 _list 接口查询。", en="Ask the corresponding _list action."),
    )


def _packages(call: Call, where: OpenFilter) -> list[Document]:
    if not call.parameters.flag("include_datasets"):
        return []
    return [call.documents.package(resource) for resource in call.catalogue.find(where=where, limit=ROWS_MAX).rows]


def _themes(call: Call) -> list[OpenCount]:
    known = call.documents.themes
    return sorted(
        (entry for entry in call.catalogue.counts(OpenFacet.THEME) if entry.value in known),
        key=lambda entry: entry.value,
    )


def _search_facets(call: Call, asked: Asked) -> dict[str, list[Document]]:
    given = call.parameters
    if not given.flag("facet", default=True):
        return {}
    limit_text = given.text("facet.limit")
    limit = (
        FACET_LIMIT_MAX
        if limit_text == "-1"
        else given.number("facet.limit", FACET_LIMIT_DEFAULT, most=FACET_LIMIT_MAX)
    )
    least = given.number("facet.mincount", 1, most=START_MAX)
    found: dict[str, list[Document]] = {}
    for name in given.several("facet.field"):
        facet = FACETS.get(name)
        counts = call.catalogue.counts(facet, text=asked.text, where=asked.where, limit=limit) if facet else ()
        found[name[:100]] = [_facet_item(call, facet, entry) for entry in counts if entry.count >= least]
    return found


def _facet_item(call: Call, facet: OpenFacet | None, entry: OpenCount) -> Document:
    name, shown = entry.value, entry.value
    if facet is OpenFacet.DEPARTMENT:
        publisher = next((one for one in call.publishers if one.department.code == entry.value), None)
        name, shown = entry.value.lower(), publisher.department.name.zh if publisher else entry.value
    elif facet is OpenFacet.THEME and entry.value in call.documents.themes:
        shown = call.documents.themes[entry.value].name.zh
    return {"name": name, "display_name": shown, "count": entry.count}
