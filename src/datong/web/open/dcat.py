"""Open resources as DCAT 3, in the profile DCAT-AP 3.0.1.

A resource is a `dcat:Dataset` at `/open/{id}#dataset`; its page is its landing page. What DCAT has no word for stands
under `datong:` (`urn:datong:ns:`): `datong:content` is the public part as JSON, from which another hub makes an equal
entry.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from datong.catalogue import (
    PORTAL_DISTRIBUTION,
    Department,
    Distribution,
    OpenResource,
    Publisher,
    format_name,
)
from datong.kernel import Text, Value
from datong.norms import NormPack
from datong.web.open import concepts
from datong.web.open.licences import licence_of
from datong.web.open.rdf import TYPE, Literal, Node, Statement, address, name

GUIDE = Text(zh="政务信息资源目录编制指南（试行）", en="Guide for compiling government information resource catalogues")
TITLE = Text(zh="开放数据目录", en="Open data catalogue")
ABOUT = Text(zh="各部门向社会开放的数据资源。", en="What the departments have opened to the public.")
HOMEPAGE = Text(zh="门户页面", en="Page in the portal")


class Paging(Value):
    """Where a page of the catalogue stands: `number` from 1, `suffix` of the form's address (".ttl")."""

    number: int
    pages: int
    rows: int
    total: int
    suffix: str
    newest: datetime | None
    """When anything in the whole catalogue changed last; not only on this page."""


class Describer:
    """Describes what is open at `base_url`; the publishers are the departments that have something open."""

    def __init__(
        self, *, base_url: str, pack: NormPack, publishers: Sequence[Publisher], hub: Department | None
    ) -> None:
        self._base, self._pack, self._hub = base_url, pack, hub
        self._departments = {entry.department.code: entry.department for entry in publishers}
        self._shared: dict[str, Node] = {}

    def page(self, resources: Sequence[OpenResource], paging: Paging) -> Iterator[Node]:
        """Yield the nodes of one page of the catalogue."""
        yield from self._catalogue(resources, paging)
        for resource in resources:
            yield from self._dataset(resource)
        yield from self._shared.values()

    def dataset(self, resource: OpenResource) -> Iterator[Node]:
        """Yield the nodes of one dataset with the concepts it uses."""
        yield from self._dataset(resource)
        yield from self._shared.values()

    def _catalogue(self, resources: Sequence[OpenResource], paging: Paging) -> Iterator[Node]:
        here = f"{self._base}/catalog"
        statements: list[Statement] = [
            (TYPE, name("dcat:Catalog")),
            (TYPE, name("hydra:Collection")),
            *texts("dct:title", TITLE),
            *texts("dct:description", ABOUT),
            ("dct:publisher", self._publisher(self._hub)),
            ("foaf:homepage", self._document(f"{self._base}/open")),
            ("dct:language", self._language("zh")),
            ("dct:language", self._language("en")),
            ("dcat:themeTaxonomy", self._taxonomy()),
            ("dcat:service", self._service()),
            ("hydra:totalItems", Literal(str(paging.total), datatype="xsd:integer")),
            ("hydra:view", self._page_address(paging, paging.number)),
        ]
        if paging.newest is not None:
            statements.append(("dct:modified", moment(paging.newest)))
        statements += [("dcat:dataset", self.dataset_address(resource)) for resource in resources]
        yield Node(here, statements)
        yield Node(self._page_address(paging, paging.number), self._page_links(paging))

    def _page_links(self, paging: Paging) -> list[Statement]:
        found: list[Statement] = [
            (TYPE, name("hydra:PagedCollection")),
            (TYPE, name("hydra:PartialCollectionView")),
            ("hydra:totalItems", Literal(str(paging.total), datatype="xsd:integer")),
            ("hydra:itemsPerPage", Literal(str(paging.rows), datatype="xsd:integer")),
            ("hydra:first", self._page_address(paging, 1)),
            ("hydra:last", self._page_address(paging, max(1, paging.pages))),
        ]
        if paging.number < paging.pages:
            found.append(("hydra:next", self._page_address(paging, paging.number + 1)))
        if paging.number > 1:
            found.append(("hydra:previous", self._page_address(paging, paging.number - 1)))
        return found

    def _page_address(self, paging: Paging, number: int) -> str:
        return f"{self._base}/catalog{paging.suffix}?page={number}"

    def dataset_address(self, resource: OpenResource) -> str:
        """Return the address of a resource as a thing, beside that of its page."""
        return f"{self._base}/open/{resource.id}#dataset"

    def _dataset(self, resource: OpenResource) -> Iterator[Node]:
        content = resource.content
        page = f"{self._base}/open/{resource.id}"
        here = self.dataset_address(resource)
        distributions = list(self._distributions(resource, page))
        statements: list[Statement] = [
            (TYPE, name("dcat:Dataset")),
            *texts("dct:title", content.title),
            *texts("dct:description", content.summary if content.summary.zh.strip() else content.title),
            ("dct:identifier", Literal(resource.id)),
            ("dct:issued", moment(resource.first_opened_at)),
            ("dct:modified", moment(resource.changed_at)),
            ("dct:publisher", self._publisher(self._departments.get(resource.department))),
            ("dcat:landingPage", self._document(page)),
            ("dct:language", self._language("zh")),
            ("dct:accrualPeriodicity", self._frequency(resource)),
            ("dct:accessRights", self._public()),
            ("dct:conformsTo", self._guide()),
            ("dct:provenance", f"{page}#provenance"),
            ("dcat:contactPoint", f"{page}#contact"),
            ("dcat:version", Literal(str(resource.edition))),
            *((("dcat:theme", theme)) for theme in self._themes(content.theme)),
            *((("dcat:keyword", Literal(word, language="zh"))) for word in content.keywords if word.strip()),
            *((("dcat:distribution", node.address)) for node in distributions),
            ("datong:content", Literal(content.model_dump_json())),
            ("datong:department", Literal(resource.department)),
        ]
        if content.spatial:
            statements.append(("dct:spatial", self._place(content.spatial)))
        period = _period(resource)
        if period:
            statements.append(("dct:temporal", f"{page}#period"))
            yield Node(f"{page}#period", period)
        yield Node(here, statements)
        yield from distributions
        yield self._contact(resource, page)
        yield self._provenance(resource, page)

    def _distributions(self, resource: OpenResource, page: str) -> Iterator[Node]:
        portal = Distribution(
            id=PORTAL_DISTRIBUTION, title=HOMEPAGE, media_type="text/html", access_url="https://portal", open=True
        )
        for entry in (portal, *resource.content.distributions):
            own = entry is portal
            access = page if own else entry.access_url or entry.download_url
            statements: list[Statement] = [
                (TYPE, name("dcat:Distribution")),
                *texts("dct:title", entry.title),
                ("dcat:accessURL", address(access)),
                ("dct:format", self._file_type(format_name(entry))),
                ("dct:issued", moment(resource.first_opened_at)),
                ("dct:modified", moment(resource.changed_at)),
                ("dcatap:availability", self._available()),
                ("dct:language", self._language("zh")),
            ]
            if entry.media_type:
                statements.append(("dcat:mediaType", self._media_type(entry.media_type)))
            if entry.download_url:
                statements.append(("dcat:downloadURL", address(entry.download_url)))
            if entry.bytes is not None:
                statements.append(("dcat:byteSize", Literal(str(entry.bytes), datatype="xsd:nonNegativeInteger")))
            licence = self._licence(resource.content.licence)
            if licence:
                statements.append(("dct:license", licence))
            terms = "；".join(
                text for text in (resource.content.open_condition, resource.content.use_condition) if text.strip()
            )
            if terms:
                statements.append(("dct:rights", f"{page}#rights"))
                rights: list[Statement] = [
                    (TYPE, name("dct:RightsStatement")),
                    ("rdfs:label", Literal(terms, language="zh")),
                ]
                self._shared[f"{page}#rights"] = Node(f"{page}#rights", rights)
            yield Node(f"{page}#distribution-{quote(entry.id)}", statements)

    def _contact(self, resource: OpenResource, page: str) -> Node:
        contact = resource.content.contact
        department = self._departments.get(resource.department)
        unit = (contact.unit if contact else "") or (department.name.zh if department else resource.department)
        statements: list[Statement] = [
            (TYPE, name("vcard:Kind")),
            (TYPE, name("vcard:Organization")),
            ("vcard:fn", Literal(unit, language="zh")),
        ]
        if contact and contact.email:
            statements.append(("vcard:hasEmail", "mailto:" + quote(contact.email, safe="@")))
        if contact and contact.phone:
            statements.append(("vcard:hasTelephone", "tel:" + quote(contact.phone.replace(" ", ""), safe="+-")))
        if department:
            statements.append(("vcard:organization-name", Literal(department.name.zh, language="zh")))
        return Node(f"{page}#contact", statements)

    def _provenance(self, resource: OpenResource, page: str) -> Node:
        department = self._departments.get(resource.department)
        who = department.name if department else Text(zh=resource.department, en=resource.department)
        said = Text(
            zh=f"{who.zh}依职责采集编目，主管部门审核后开放。",
            en=f"Collected and catalogued by {who.en or who.zh}, reviewed by the authority before it was opened.",
        )
        return Node(f"{page}#provenance", [(TYPE, name("dct:ProvenanceStatement")), *texts("rdfs:label", said)])

    def _share(self, where: str, kind: str, label: Text | None, predicate: str = "skos:prefLabel") -> str:
        """Describe a thing that several resources refer to, once in a document, and return its address."""
        if where not in self._shared:
            said = texts(predicate, label) if label else []
            self._shared[where] = Node(where, [(TYPE, name(kind)), *said])
        return where

    def _publisher(self, department: Department | None) -> str:
        if department is None:
            return self._share(
                f"{self._base}/catalog#publisher", "foaf:Agent", Text(zh="打通", en="Datong"), "foaf:name"
            )
        where = f"{self._base}/catalog#department-{department.code}"
        if where not in self._shared:
            kind = self._share(
                "http://purl.org/adms/publishertype/LocalAuthority",
                "skos:Concept",
                Text(zh="地方机关", en="Local authority"),
            )
            self._shared[where] = Node(
                where,
                [
                    (TYPE, name("foaf:Agent")),
                    *texts("foaf:name", department.name),
                    ("dct:identifier", Literal(department.code)),
                    ("dct:type", kind),
                ],
            )
        return where

    def _themes(self, key: str) -> list[str]:
        found = []
        european = concepts.THEME_OF.get(key)
        if european:
            code, label = concepts.THEMES[european]
            self._taxonomy()
            found.append(self._concept(f"{concepts.DATA_THEMES}/{code}", label, scheme=concepts.DATA_THEMES))
        own = next((theme for theme in self._pack.themes if theme.key == key), None)
        if own:
            found.append(self._concept(f"{self._base}/catalog#theme-{quote(key)}", own.name, notation=key))
        return found

    def _concept(self, where: str, label: Text, *, scheme: str = "", notation: str = "") -> str:
        if where not in self._shared:
            statements: list[Statement] = [(TYPE, name("skos:Concept")), *texts("skos:prefLabel", label)]
            if scheme:
                statements.append(("skos:inScheme", scheme))
            if notation:
                statements.append(("skos:notation", Literal(notation)))
            self._shared[where] = Node(where, statements)
        return where

    def _taxonomy(self) -> str:
        label = Text(zh="欧盟数据主题", en="EU data themes")
        return self._share(concepts.DATA_THEMES, "skos:ConceptScheme", label, "dct:title")

    def _frequency(self, resource: OpenResource) -> str:
        code, label = concepts.FREQUENCIES[resource.content.update_cycle]
        return self._kind(f"{concepts.AUTHORITY}frequency/{code}", "dct:Frequency", label)

    def _kind(self, where: str, kind: str, label: Text) -> str:
        """Describe a concept that is also a member of a class of Dublin Core."""
        if where not in self._shared:
            self._shared[where] = Node(
                where, [(TYPE, name(kind)), (TYPE, name("skos:Concept")), *texts("skos:prefLabel", label)]
            )
        return where

    def _language(self, code: str) -> str:
        table, label = concepts.LANGUAGES[code]
        return self._kind(f"{concepts.AUTHORITY}language/{table}", "dct:LinguisticSystem", label)

    def _public(self) -> str:
        label = Text(zh="公开", en="public")
        return self._kind(f"{concepts.AUTHORITY}access-right/PUBLIC", "dct:RightsStatement", label)

    def _available(self) -> str:
        label = Text(zh="稳定提供", en="stable")
        return self._concept(f"{concepts.AUTHORITY}planned-availability/STABLE", label)

    def _file_type(self, format_label: str) -> str:
        code = concepts.FILE_TYPES.get(format_label)
        label = Text(zh=format_label, en=format_label)
        if code is None:
            return self._kind(f"{self._base}/catalog#format-{quote(format_label)}", "dct:MediaTypeOrExtent", label)
        return self._kind(f"{concepts.AUTHORITY}file-type/{code}", "dct:MediaTypeOrExtent", label)

    def _media_type(self, media_type: str) -> str:
        bare = media_type.partition(";")[0].strip()
        return self._share(address(concepts.MEDIA_TYPES + bare), "dct:MediaType", Text(zh=bare, en=""), "rdfs:label")

    def _licence(self, key: str) -> str:
        licence = licence_of(self._pack, key)
        if licence is None:
            return ""
        where = licence.url or f"{self._base}/catalog#licence-{quote(licence.key)}"
        return self._share(address(where), "dct:LicenseDocument", licence.name, "dct:title")

    def _guide(self) -> str:
        return self._share(f"{self._base}/catalog#guide", "dct:Standard", GUIDE, "dct:title")

    def _document(self, where: str) -> str:
        return self._share(where, "foaf:Document", None)

    def _place(self, code: str) -> str:
        where = f"{self._base}/catalog#division-{quote(code)}"
        if where not in self._shared:
            self._shared[where] = Node(
                where,
                [(TYPE, name("dct:Location")), ("dct:identifier", Literal(code)), ("rdfs:label", Literal(code))],
            )
        return where

    def _service(self) -> str:
        where = f"{self._base}/catalog#api"
        if where not in self._shared:
            title = Text(zh="CKAN 目录接口", en="CKAN Action API of the catalogue")
            self._shared[where] = Node(
                where,
                [
                    (TYPE, name("dcat:DataService")),
                    *texts("dct:title", title),
                    ("dcat:endpointURL", f"{self._base}/api/3/action"),
                ],
            )
        return where


def texts(predicate: str, text: Text) -> list[Statement]:
    """Return a bilingual text as tagged literals; an empty side says nothing."""
    pairs: Mapping[str, str] = {"zh": text.zh, "en": text.en}
    return [(predicate, Literal(said, language=language)) for language, said in pairs.items() if said.strip()]


def moment(at: datetime) -> Literal:
    """Return a time as XML Schema has it, in UTC."""
    return Literal(at.astimezone(UTC).isoformat(timespec="seconds"), datatype="xsd:dateTime")


def _period(resource: OpenResource) -> list[Statement]:
    content = resource.content
    ends = (("dcat:startDate", content.temporal_start), ("dcat:endDate", content.temporal_end))
    said: list[Statement] = [
        (predicate, Literal(day.isoformat(), datatype="xsd:date")) for predicate, day in ends if day is not None
    ]
    return [(TYPE, name("dct:PeriodOfTime")), *said] if said else []
