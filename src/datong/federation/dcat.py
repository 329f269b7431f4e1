"""Reading a DCAT catalogue (Turtle, JSON-LD, RDF/XML). Pure: a document in, datasets and the next page out.

rdflib would fetch what a document names: a JSON-LD `@context`, an entity of RDF/XML. Both are refused before it sees
them, so that parsing touches nothing but the bytes it was given.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax import SAXException

from rdflib import DCAT, DCTERMS, FOAF, RDF, RDFS, SKOS, BNode, Graph, Literal, Namespace, URIRef
from rdflib.exceptions import Error as RdfError
from rdflib.exceptions import ParserError
from rdflib.plugins.parsers.jsonld import to_rdf
from rdflib.plugins.parsers.notation3 import BadSyntax
from rdflib.term import Node

from datong.catalogue import Contact, Distribution
from datong.federation.ckan import distribution_id
from datong.federation.faults import unreadable
from datong.federation.texts import bilingual, clean, date_of, decode, moment_of, one_line, plain
from datong.federation.values import Rejected, RemoteDataset, RemotePage, usable_id
from datong.federation.web import Document
from datong.kernel import Text, sha256_hex
from datong.kernel.limits import NAME_CHARS_MAX

ACCEPT = "text/turtle, application/ld+json;q=0.9, application/rdf+xml;q=0.8, */*;q=0.1"
VCARD = Namespace("http://www.w3.org/2006/vcard/ns#")
HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")
SCHEMA = Namespace("http://schema.org/")
DATONG = Namespace("urn:datong:ns:")
"""What a Datong hub adds to DCAT; `datong:content` holds the public content as JSON."""
DISTRIBUTIONS_MAX = 50
KEYWORDS_MAX = 50
_FORMATS = {
    "text/turtle": "turtle",
    "application/x-turtle": "turtle",
    "application/n-triples": "nt",
    "application/ld+json": "json-ld",
    "application/json": "json-ld",
    "application/rdf+xml": "xml",
    "application/xml": "xml",
    "text/xml": "xml",
}
_ENTITY = re.compile(r"<!\s*(?:ENTITY|DOCTYPE[^>]*\[)", re.IGNORECASE)
_NOT_RDF = Text(zh="来源文件不是可读的 RDF", en="The origin's document is no readable RDF")
_REMOTE_CONTEXT = Text(
    zh="JSON-LD 引用了外部 @context，为安全不予下载；请改用 Turtle 或内联的 @context",
    en="The JSON-LD names a remote @context, which is not fetched for safety; use Turtle or an inline @context",
)
_ENTITIES = Text(
    zh="RDF/XML 定义了实体，为安全不予解析", en="The RDF/XML defines entities and is not parsed for safety"
)
_NO_ID = Text(
    zh="是没有 dct:identifier 的空节点，无法在下次采集时认出",
    en="It is a blank node without dct:identifier, by which the next harvest could know it again",
)
logging.getLogger("rdflib.term").setLevel(logging.CRITICAL)
"""rdflib warns about every ill-typed literal of a foreign catalogue; what cannot be read is remarked per dataset."""


def parse_catalogue(document: Document) -> RemotePage:
    """Return the datasets of a document and the address of the page that follows it.

    Raises:
        Corrupt: it is not RDF, or would make the parser read something else.
    """
    graph = parse_graph(document)
    datasets: list[RemoteDataset] = []
    rejected: list[Rejected] = []
    for subject in set(graph.subjects(RDF.type, DCAT.Dataset)):
        read = _dataset(graph, subject)
        if isinstance(read, Rejected):
            rejected.append(read)
        else:
            datasets.append(read)
    return RemotePage(
        datasets=tuple(sorted(datasets, key=lambda found: found.remote_id)),
        rejected=tuple(sorted(rejected, key=lambda found: found.remote_id)),
        total=_total(graph),
        next_address=_next(graph),
    )


def parse_graph(document: Document) -> Graph:
    """Return the triples of a document, parsed without touching the network.

    Raises:
        Corrupt: it is not RDF, or would make the parser read something else.
    """
    text = decode(document.body, document.charset)
    kind = _FORMATS.get(document.media_type.lower()) or _sniffed(text)
    if kind == "xml" and _ENTITY.search(text):
        raise unreadable(_ENTITIES, address=document.address)
    data = _inline_json(text, document.address) if kind == "json-ld" else None
    if kind == "xml":
        text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    graph = Graph(bind_namespaces="none")
    try:
        if kind == "json-ld":
            to_rdf(data, graph, base=document.address)
        else:
            graph.parse(data=text, format=kind, publicID=document.address)
    except (ParserError, BadSyntax, RdfError, SAXException, ValueError, KeyError, TypeError) as error:
        raise unreadable(_NOT_RDF, address=document.address, detail=_short(error)) from error
    except (AttributeError, AssertionError, IndexError, NameError, OSError, RecursionError) as error:
        # rdflib's parsers leak these on malformed input; the OSError is that of an address that nothing should open.
        raise unreadable(_NOT_RDF, address=document.address) from error
    return graph


def _sniffed(text: str) -> str:
    start = text.lstrip()[:200]
    if start.startswith(("{", "[")):
        return "json-ld"
    return "xml" if start.startswith(("<?xml", "<rdf:RDF", "<RDF")) else "turtle"


def _short(error: Exception) -> str:
    return one_line(str(error))[:160]


def _inline_json(text: str, address: str) -> object:
    """Return JSON-LD that names no remote context anywhere.

    Raises:
        Corrupt: it names one, or is no JSON.
    """
    try:
        document: object = json.loads(text)
        remote = any(_remote_contexts(document))
    except (ValueError, RecursionError) as error:
        raise unreadable(_NOT_RDF, address=address) from error
    if remote:
        raise unreadable(_REMOTE_CONTEXT, address=address)
    return document


def _remote_contexts(value: object) -> Iterator[bool]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            if key == "@import" or (key == "@context" and _is_remote(member)):
                yield True
            yield from _remote_contexts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _remote_contexts(member)


def _is_remote(context: object) -> bool:
    """Whether a context is an address, or a list that holds one at any depth: rdflib follows nested lists too."""
    return isinstance(context, str) or (isinstance(context, list) and any(map(_is_remote, context)))


def _dataset(graph: Graph, subject: Node) -> RemoteDataset | Rejected:
    remarks: list[Text] = []
    titles = _literals(graph, subject, DCTERMS.title)
    if any(len(texts) > 1 for texts in titles.values()):
        remarks.append(
            Text(zh="同一语言有多个标题，取第一个", en="several titles in one language; the first was taken")
        )
    title = _bilingual(titles, one=True)
    identifier = _first(graph, subject, DCTERMS.identifier)
    remote_id = str(subject) if isinstance(subject, URIRef) else identifier
    remote_id = usable_id(clean(remote_id))
    if not remote_id:
        return Rejected(remote_id=_stand_in(graph, subject), title=title.zh[:NAME_CHARS_MAX], reason=_NO_ID)
    publisher_id, publisher_name = _publisher(graph, subject)
    start, end = _period(graph, subject)
    return RemoteDataset(
        remote_id=remote_id,
        name=identifier[:NAME_CHARS_MAX],
        address=_address(_first(graph, subject, DCAT.landingPage)) or _address(str(subject)),
        title=title if title.zh else Text(zh=identifier or remote_id, en=""),
        summary=_bilingual(_literals(graph, subject, DCTERMS.description)),
        publisher_id=publisher_id,
        publisher_name=publisher_name,
        keywords=_keywords(graph, subject),
        themes=tuple(name for theme in _ordered(graph, subject, DCAT.theme) for name in _names(graph, theme)),
        licence=_licence(graph, subject),
        modified_at=moment_of(_first(graph, subject, DCTERMS.modified) or _first(graph, subject, DCTERMS.issued)),
        frequency=_first(graph, subject, DCTERMS.accrualPeriodicity),
        spatial=_first(graph, subject, DCTERMS.spatial),
        temporal_start=start,
        temporal_end=end,
        contact=_contact(graph, subject),
        distributions=_distributions(graph, subject, remarks),
        declared=_declared(graph, subject),
        remarks=tuple(remarks),
    )


def _stand_in(graph: Graph, subject: Node) -> str:
    """Return a name for a blank node: the digest of what is said of it, since its label changes at every reading."""
    said = sorted(f"{predicate} {value}" for predicate, value in graph.predicate_objects(subject))
    return f"?{sha256_hex(repr(said).encode(errors='replace'))[:16]}"


def _ordered(graph: Graph, subject: Node, predicate: Node) -> list[Node]:
    return sorted(graph.objects(subject, predicate), key=str)


def _first(graph: Graph, subject: Node, predicate: Node) -> str:
    return next((clean(str(node)) for node in _ordered(graph, subject, predicate) if not isinstance(node, BNode)), "")


def _literals(graph: Graph, subject: Node, predicate: Node) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node in _ordered(graph, subject, predicate):
        if isinstance(node, Literal):
            found.setdefault(node.language or "", []).append(str(node))
    return found


def _bilingual(literals: Mapping[str, list[str]], *, one: bool = False) -> Text:
    read = one_line if one else plain
    return bilingual({tag: read(texts[0]) for tag, texts in literals.items()})


def _publisher(graph: Graph, subject: Node) -> tuple[str, str]:
    """Return id and name: a `dct:identifier` is a better id than an address, which is better than none."""
    for node in _ordered(graph, subject, DCTERMS.publisher) + _ordered(graph, subject, DCTERMS.creator):
        if isinstance(node, Literal):
            return one_line(str(node)), one_line(str(node))
        address = str(node) if isinstance(node, URIRef) else ""
        names = _bilingual(_literals(graph, node, FOAF.name) or _literals(graph, node, SKOS.prefLabel), one=True)
        return _first(graph, node, DCTERMS.identifier) or address or names.zh, names.zh or address
    return "", ""


def _names(graph: Graph, node: Node) -> list[str]:
    """Return the ways in which a concept or a plain value is called."""
    if isinstance(node, Literal):
        return [one_line(str(node))]
    labels = [text for texts in _literals(graph, node, SKOS.prefLabel).values() for text in texts]
    labels += [text for texts in _literals(graph, node, RDFS.label).values() for text in texts]
    notation = _first(graph, node, SKOS.notation)
    last = re.split(r"[/#:]", str(node))[-1] if isinstance(node, URIRef) else ""
    return [name for name in (notation, last, *map(one_line, sorted(labels))) if name]


def _keywords(graph: Graph, subject: Node) -> tuple[str, ...]:
    words = dict.fromkeys(one_line(str(node)) for node in _ordered(graph, subject, DCAT.keyword))
    return tuple(word[:NAME_CHARS_MAX] for word in words if word)[:KEYWORDS_MAX]


def _licence(graph: Graph, subject: Node) -> tuple[str, ...]:
    nodes = _ordered(graph, subject, DCTERMS.license)
    for distribution in _ordered(graph, subject, DCAT.distribution):
        nodes += _ordered(graph, distribution, DCTERMS.license)
    found: list[str] = []
    for node in nodes:
        found += [str(node)] if isinstance(node, URIRef) else []
        found += _names(graph, node)
    return tuple(dict.fromkeys(found))


def _period(graph: Graph, subject: Node) -> tuple[Any, Any]:
    for node in _ordered(graph, subject, DCTERMS.temporal):
        start = _first(graph, node, DCAT.startDate) or _first(graph, node, SCHEMA.startDate)
        end = _first(graph, node, DCAT.endDate) or _first(graph, node, SCHEMA.endDate)
        return date_of(start), date_of(end)
    return None, None


def _contact(graph: Graph, subject: Node) -> Contact | None:
    for node in _ordered(graph, subject, DCAT.contactPoint):
        unit = one_line(_first(graph, node, VCARD.fn) or _first(graph, node, VCARD["organization-name"]))
        email = _first(graph, node, VCARD.hasEmail).removeprefix("mailto:")
        phone = _first(graph, node, VCARD.hasTelephone).removeprefix("tel:")
        if unit or email or phone:
            return Contact(unit=unit[:NAME_CHARS_MAX], email=email[:NAME_CHARS_MAX], phone=phone[:NAME_CHARS_MAX])
    return None


def _address(text: str) -> str:
    usable = text.startswith(("http://", "https://")) and len(text) <= 2000 and not set(text) & set(' <>"\t\n')
    return text if usable else ""


def _distributions(graph: Graph, subject: Node, remarks: list[Text]) -> tuple[Distribution, ...]:
    found: dict[str, Distribution] = {}
    nodes = _ordered(graph, subject, DCAT.distribution)
    for index, node in enumerate(nodes):
        access, download = (
            _address(_first(graph, node, DCAT.accessURL)),
            _address(_first(graph, node, DCAT.downloadURL)),
        )
        if not access and not download:
            remarks.append(
                Text(zh="有一个分发没有可用的地址，已略去", en="a distribution without a usable address was left out")
            )
            continue
        given = _first(graph, node, DCTERMS.identifier) or (
            str(node).rsplit("/", 1)[-1] if isinstance(node, URIRef) else ""
        )
        key = distribution_id(given, index)
        title = _bilingual(_literals(graph, node, DCTERMS.title), one=True)
        media = _first(graph, node, DCAT.mediaType) or _first(graph, node, DCTERMS["format"])
        size = _first(graph, node, DCAT.byteSize).split(".")[0]
        found.setdefault(
            key,
            Distribution(
                id=key,
                title=title if title.zh else Text(zh=f"分发 {index + 1}", en=f"Distribution {index + 1}"),
                media_type=media.removeprefix("https://www.iana.org/assignments/media-types/").removeprefix(
                    "http://www.iana.org/assignments/media-types/"
                )[:NAME_CHARS_MAX],
                access_url=access,
                download_url=download,
                bytes=int(size) if size.isdecimal() and size.isascii() and len(size) < 16 else None,
                open=True,
            ),
        )
    if len(found) > DISTRIBUTIONS_MAX:
        remarks.append(
            Text(zh=f"分发多于 {DISTRIBUTIONS_MAX} 个，其余略去", en=f"more than {DISTRIBUTIONS_MAX} distributions")
        )
    return tuple(found.values())[:DISTRIBUTIONS_MAX]


def _declared(graph: Graph, subject: Node) -> dict[str, Any]:
    try:
        found = json.loads(_first(graph, subject, DATONG.content) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _total(graph: Graph) -> int | None:
    for node in sorted(graph.objects(None, HYDRA.totalItems), key=str):
        if str(node).isdecimal() and str(node).isascii() and len(str(node)) < 10:
            return int(str(node))
    return None


def _next(graph: Graph) -> str | None:
    for predicate in (HYDRA.next, HYDRA.nextPage):
        for node in sorted(graph.objects(None, predicate), key=str):
            if _address(str(node)):
                return str(node)
    return None
