"""DCAT-AP 3.0.1: three forms that say the same, valid by the official shapes, with everything another hub needs."""

import json
from pathlib import Path

import pyshacl
import pytest
from rdflib import RDF, Graph, Literal, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import DCAT, DCTERMS, FOAF, Namespace

from datong.catalogue import ResourceContent
from tests.integration.open.conftest import FilledHub
from tests.integration.open.dcat_client import FORMS, read_catalogue

pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
"""rdflib's readers and pyshacl use what rdflib deprecates."""
SHAPES = Path(__file__).parents[2] / "data" / "dcat-ap-3.0.1" / "shapes.ttl"
DATONG = Namespace("urn:datong:ns:")
VCARD = Namespace("http://www.w3.org/2006/vcard/ns#")


def test_three_forms_say_the_same_and_are_valid_dcat_ap(filled_hub: FilledHub) -> None:
    with filled_hub.hub.visitor() as visitor:
        graphs = {suffix: read_catalogue(visitor, suffix) for suffix in FORMS}
    turtle, pages = graphs[".ttl"]
    assert pages == -(-len(filled_hub.filled.open_ids) // 100) > 1
    for graph, _ in graphs.values():
        assert isomorphic(turtle, graph)
    conforms, _, report = pyshacl.validate(turtle, shacl_graph=str(SHAPES), inference="none")
    assert conforms, report
    datasets = set(turtle.subjects(RDF.type, DCAT.Dataset))
    assert {str(dataset) for dataset in datasets} == {
        f"{filled_hub.hub.url}/open/{resource_id}#dataset" for resource_id in filled_hub.filled.open_ids
    }
    catalogue = next(iter(turtle.subjects(RDF.type, DCAT.Catalog)))
    assert set(turtle.objects(catalogue, DCAT.dataset)) == datasets


def test_a_dataset_says_what_the_resource_does(filled_hub: FilledHub) -> None:
    with filled_hub.hub.visitor() as visitor:
        graph, _ = read_catalogue(visitor, ".jsonld")
    for resource_id in filled_hub.filled.open_ids:
        resource = filled_hub.hub.services.open_catalogue.get(resource_id)
        dataset = URIRef(f"{filled_hub.hub.url}/open/{resource_id}#dataset")
        content = str(graph.value(dataset, DATONG.content))
        assert ResourceContent.model_validate_json(content) == resource.content
        assert graph.value(dataset, DCTERMS.identifier) == Literal(resource_id)
        assert (dataset, DCTERMS.title, Literal(resource.content.title.zh, lang="zh")) in graph
        publisher = graph.value(dataset, DCTERMS.publisher)
        assert graph.value(publisher, DCTERMS.identifier) == Literal(resource.department)
        assert graph.value(publisher, FOAF.name) is not None
        contact = graph.value(dataset, DCAT.contactPoint)
        assert resource.content.contact is not None
        assert str(graph.value(contact, VCARD.hasEmail)) == f"mailto:{resource.content.contact.email}"
        assert len(set(graph.objects(dataset, DCAT.distribution))) == 1 + len(resource.content.distributions)
        assert graph.value(dataset, DCTERMS.accrualPeriodicity) is not None
        assert set(graph.objects(dataset, DCAT.theme))


@pytest.mark.parametrize("suffix", sorted(FORMS))
def test_one_dataset_by_ending_and_by_accept(filled_hub: FilledHub, suffix: str) -> None:
    resource_id = filled_hub.filled.open_ids[0]
    parser, media_type = FORMS[suffix]
    with filled_hub.hub.visitor() as visitor:
        by_ending = visitor.get(f"/open/{resource_id}{suffix}")
        by_accept = visitor.get(f"/open/{resource_id}", headers={"Accept": f"text/html;q=0.5, {media_type}"})
        page = visitor.get(f"/open/{resource_id}", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert by_ending.content == by_accept.content
    assert by_accept.headers["content-type"].startswith(media_type)
    assert page.headers["content-type"].startswith("text/html")
    graph = Graph().parse(data=by_ending.text, format=parser)
    conforms, _, report = pyshacl.validate(graph, shacl_graph=str(SHAPES), inference="none")
    assert conforms, report


def test_negotiation_on_the_catalogue(filled_hub: FilledHub) -> None:
    with filled_hub.hub.visitor() as visitor:
        for accept, expected in (
            ("*/*", "text/turtle"),
            ("application/ld+json", "application/ld+json"),
            ("application/rdf+xml;q=0.9, text/turtle;q=0.1", "application/rdf+xml"),
            ("image/png", "text/turtle"),
        ):
            answer = visitor.get("/catalog", headers={"Accept": accept})
            assert answer.headers["content-type"].startswith(expected), accept
            assert answer.headers["vary"] == "Accept"
        browser = visitor.get("/catalog", headers={"Accept": "text/html"})
        assert (browser.status_code, browser.headers["location"]) == (303, "/open")


def test_a_client_that_has_it_is_told_so_and_a_change_is_sent(filled_hub: FilledHub) -> None:
    with filled_hub.hub.visitor() as visitor:
        first = visitor.get("/catalog.ttl?page=2")
        tag = first.headers["etag"]
        assert "last-modified" in first.headers
        assert 'rel="next"' in first.headers["link"]
        again = visitor.get("/catalog.ttl?page=2", headers={"If-None-Match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert visitor.get("/catalog.rdf?page=2", headers={"If-None-Match": tag}).status_code == 200
        head = visitor.head("/catalog.ttl?page=2")
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
        assert visitor.get("/catalog.ttl?page=99").status_code == 404
        assert visitor.get("/catalog.ttl?page=0").status_code == 422


def test_what_is_not_open_is_not_told_from_what_does_not_exist(filled_hub: FilledHub) -> None:
    inside, unknown = filled_hub.filled.inside_ids[0], "01900000-0000-7000-8000-000000000000"
    with filled_hub.hub.visitor() as visitor:
        for suffix in ("", ".json", *FORMS):
            answers = [visitor.get(f"/open/{resource_id}{suffix}") for resource_id in (inside, unknown)]
            bodies = [
                answer.text.replace(resource_id, "ID").replace(answer.headers["x-request-id"], "REQUEST")
                for answer, resource_id in zip(answers, (inside, unknown), strict=True)
            ]
            assert answers[0].status_code == answers[1].status_code == 404
            assert bodies[0] == bodies[1]


def test_json_is_the_public_part(filled_hub: FilledHub) -> None:
    resource_id = filled_hub.filled.open_ids[0]
    with filled_hub.hub.visitor() as visitor:
        answer = visitor.get(f"/open/{resource_id}.json")
    assert answer.headers["access-control-allow-origin"] == "*"
    read = json.loads(answer.text)
    assert read["content"]["binding"] is None
    assert all(item["open"] for item in read["content"]["items"])
    assert filled_hub.hub.services.open_catalogue.get(resource_id).model_dump(mode="json") == read
