"""Three serialisers, one meaning, whatever the texts hold; rdflib is the judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdflib import Graph
from rdflib.compare import isomorphic

from datong.web.open.rdf import TYPE, Literal, Node, address, clean, json_ld, name, rdf_xml, turtle

pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
"""rdflib's readers and pyshacl use what rdflib deprecates."""
OBJECTS = st.one_of(
    st.text(max_size=30).map(Literal),
    st.text(max_size=30).map(lambda text: Literal(text, language="zh")),
    st.integers(0, 10**9).map(lambda number: Literal(str(number), datatype="xsd:integer")),
    st.text(max_size=30).map(lambda text: address(f"https://example.cn/{text}")),
)
NODES = st.lists(
    st.tuples(
        st.text(max_size=10).map(lambda text: address(f"https://example.cn/id/{text}")),
        st.lists(
            st.tuples(st.sampled_from(["dct:title", "dcat:keyword", "rdfs:label"]), OBJECTS), min_size=1, max_size=4
        ),
    ).map(lambda pair: Node(pair[0], [(TYPE, name("dcat:Dataset")), *pair[1]])),
    max_size=3,
)


@given(NODES)
def test_the_three_forms_say_the_same(nodes: list[Node]) -> None:
    first = Graph().parse(data="".join(turtle(nodes)), format="turtle")
    assert isomorphic(first, Graph().parse(data="".join(json_ld(nodes)), format="json-ld"))
    assert isomorphic(first, Graph().parse(data="".join(rdf_xml(nodes)), format="xml"))
    said = {
        (node.address, predicate, found._replace(text=clean(found.text)) if isinstance(found, Literal) else found)
        for node in nodes
        for predicate, found in node.statements
    }
    assert len(first) == len(said)


@pytest.mark.parametrize(
    ("given_text", "written"),
    [
        ("https://a.cn/x y", "https://a.cn/x%20y"),
        ("https://a.cn/<b>", "https://a.cn/%3Cb%3E"),
        ("https://a.cn/人口", "https://a.cn/人口"),
        ('https://a.cn/"{|}\\^`', "https://a.cn/%22%7B%7C%7D%5C%5E%60"),
    ],
)
def test_addresses_stand_in_every_form(given_text: str, written: str) -> None:
    assert address(given_text) == written
