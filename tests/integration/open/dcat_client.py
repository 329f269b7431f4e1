"""Reads our DCAT as a harvester does: page by page along hydra:next, with rdflib."""

import httpx
from rdflib import Graph, URIRef
from rdflib.namespace import Namespace
from rdflib.term import Node

HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")
FORMS = {
    ".ttl": ("turtle", "text/turtle"),
    ".jsonld": ("json-ld", "application/ld+json"),
    ".rdf": ("xml", "application/rdf+xml"),
}
PAGES_MAX = 1000


def read_catalogue(client: httpx.Client, suffix: str) -> tuple[Graph, int]:
    """Return everything that the pages of one form say, and how many pages there were.

    The addresses of the pages differ between the forms by their ending only; they are made alike.
    """
    parser, media_type = FORMS[suffix]
    found = Graph()
    address: str | None = f"/catalog{suffix}"
    pages = 0
    while address is not None and pages < PAGES_MAX:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].partition(";")[0] == media_type
        page = Graph()
        page.parse(data=answer.text, format=parser)
        following = next(iter(page.objects(None, HYDRA.next)), None)
        address = str(following) if following is not None else None
        for subject, predicate, value in page:
            found.add((_alike(subject, suffix), predicate, _alike(value, suffix)))
        pages += 1
    return found, pages


def _alike(part: Node, suffix: str) -> Node:
    if isinstance(part, URIRef) and f"/catalog{suffix}?page=" in part:
        return URIRef(part.replace(f"/catalog{suffix}?", "/catalog?"))
    return part
