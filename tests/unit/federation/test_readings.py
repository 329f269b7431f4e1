"""The parsers of foreign answers: what real portals send, and whatever bytes there are."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdflib import Graph

from datong.federation import Document, Rejected, RemoteDataset
from datong.federation.ckan import action_address, page_address, parse_names, parse_package, parse_search, parse_show
from datong.federation.dcat import parse_catalogue
from datong.federation.entries import cycle_of, format_of
from datong.federation.texts import bilingual, clean, date_of, decode, moment_of, one_line, plain
from datong.kernel import Corrupt, DatongError, Text
from datong.norms import ResourceFormat, UpdateCycle

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=20,
)
FIELDS = (
    "id", "name", "title", "notes", "state", "organization", "tags", "groups", "extras", "resources", "license_id",
    "metadata_modified", "maintainer", "url", "title_translated", "owner_org", "datong",
)  # fmt: skip
PACKAGES = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=len(FIELDS))
FORMATS = ("text/turtle", "application/ld+json", "application/rdf+xml", "")


UNREADABLE = ("", "federation.document_unreadable", "federation.encoding_unknown")


def fault_of(read: Callable[[], object]) -> str:
    """Return the code of our own error that `read` ends in, or nothing; any other exception fails the test."""
    try:
        read()
    except DatongError as error:
        return error.code if error.what.zh and error.what.en and error.remedy.zh else "an error without words"
    return ""


def document(body: bytes, media_type: str = "application/json") -> Document:
    return Document(address="http://a.example/x", media_type=media_type, body=body)


@given(JSON)
def test_whatever_json_a_portal_sends_is_read_or_refused_in_our_words(value: object) -> None:
    found = document(json.dumps({"success": True, "result": value}, allow_nan=True).encode())
    for read in (
        lambda: parse_search(found, portal="http://a.example"),
        lambda: parse_show(found, portal="http://a.example"),
        lambda: parse_names(found),
    ):
        assert fault_of(read) in UNREADABLE


@given(PACKAGES)
def test_any_package_becomes_a_dataset_or_a_reason(package: dict[str, object]) -> None:
    read = parse_package(json.loads(json.dumps(package)), portal="http://a.example")
    assert isinstance(read, RemoteDataset | Rejected)
    read.model_dump_json().encode()


@given(st.binary(max_size=300), st.sampled_from(FORMATS))
def test_any_bytes_are_read_as_rdf_or_refused_in_our_words(body: bytes, media_type: str) -> None:
    assert fault_of(lambda: parse_catalogue(document(body, media_type))) in UNREADABLE


TURTLE_PIECES = st.lists(
    st.sampled_from(
        [
            "@prefix dcat: <http://www.w3.org/ns/dcat#> .",
            "@prefix dct: <http://purl.org/dc/terms/> .",
            "<urn:x>",
            "_:b",
            "[",
            "]",
            "a dcat:Dataset",
            ";",
            ".",
            ",",
            'dct:title "x"@zh',
            'dct:title """',
            "(",
            ")",
            'dct:modified "2026-13-45"',
            "dcat:distribution",
            "<http://a/ b>",
            "\\u0000",
            "^^",
            "@",
            "true",
            "1e9999",
        ]  # fmt: skip
    ),
    max_size=25,
).map(" ".join)


@given(TURTLE_PIECES)
def test_broken_turtle_is_refused_in_our_words(text: str) -> None:
    assert fault_of(lambda: parse_catalogue(document(text.encode(), "text/turtle"))) in UNREADABLE


LD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["@id", "http://a/b", "_:x"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["@id", "@type", "@value", "@language", "@context", "@graph", "@list", "@reverse", "@vocab", "x"]
            ),
            children,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(LD)
def test_broken_json_ld_is_refused_in_our_words(value: object) -> None:
    assert fault_of(lambda: parse_catalogue(document(json.dumps(value).encode(), "application/ld+json"))) in UNREADABLE


@pytest.mark.parametrize(
    "body",
    [
        {"@context": "http://169.254.169.254/latest", "@id": "urn:x"},
        {"@context": [{"a": "urn:a"}, "https://example.org/context"], "@id": "urn:x"},
        {"@graph": [{"@context": "http://10.0.0.1/"}]},
        {"@context": [["http://10.0.0.1/"]]},
        {"@context": {"@import": "http://10.0.0.1/"}},
        {"@context": {"a": {"@id": "urn:a", "@context": "http://10.0.0.1/"}}},
    ],
)
def test_a_remote_context_is_never_fetched(body: dict[str, object]) -> None:
    with pytest.raises(Corrupt, match="@context"):
        parse_catalogue(document(json.dumps(body).encode(), "application/ld+json"))


def test_entities_of_rdf_xml_are_not_parsed() -> None:
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "x"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">&b;</rdf:RDF>'
    )
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(Corrupt, match="entities"):
            parse_catalogue(document(bomb.encode(encoding), "application/rdf+xml"))


EUROPEAN = """
@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> . @prefix vcard: <http://www.w3.org/2006/vcard/ns#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix hydra: <http://www.w3.org/ns/hydra/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<http://data.example/page/1> a hydra:PagedCollection ; hydra:totalItems 2 ; hydra:next <http://data.example/page/2> .
<http://data.example/d/1> a dcat:Dataset ; dct:identifier "d1" ;
  dct:title "Rivers"@en, "Flüsse"@de, "河流"@zh-Hans ; dct:description "<p>All <b>rivers</b></p>"@en ;
  dct:publisher [ a foaf:Agent ; foaf:name "水利局"@zh ; dct:identifier "12440600456000017N" ] ;
  dct:accrualPeriodicity <http://publications.europa.eu/resource/authority/frequency/MONTHLY> ;
  dcat:theme <http://publications.europa.eu/resource/authority/data-theme/ENVI> ;
  dcat:keyword "water"@en, "水"@zh ; dct:modified "2026-10-01"^^xsd:date ;
  dct:temporal [ a dct:PeriodOfTime ; dcat:startDate "2020-01-01"^^xsd:date ; dcat:endDate "2021"^^xsd:gYear ] ;
  dcat:contactPoint [ a vcard:Kind ; vcard:fn "Desk" ; vcard:hasEmail <mailto:desk@example.org> ] ;
  dcat:distribution <http://data.example/d/1/csv> .
<http://data.example/d/1/csv> a dcat:Distribution ; dcat:accessURL <http://data.example/d/1> ;
  dcat:downloadURL <http://data.example/d/1.csv> ; dcat:byteSize "123"^^xsd:decimal ;
  dct:license <http://creativecommons.org/licenses/by/4.0/> ;
  dcat:mediaType <https://www.iana.org/assignments/media-types/text/csv> .
[] a dcat:Dataset ; dct:title "nobody knows me" .
[] a dcat:Dataset ; dct:title "two", "titles" ; dct:identifier "blank-but-named" .
"""


def test_a_european_catalogue_page() -> None:
    page = parse_catalogue(document(EUROPEAN.encode(), "text/turtle"))
    assert (page.total, page.next_address) == (2, "http://data.example/page/2")
    assert [entry.title for entry in page.rejected] == ["nobody knows me"]
    named, rivers = sorted(page.datasets, key=lambda found: found.remote_id)
    assert (named.remote_id, named.remarks[0].en[:14]) == ("blank-but-named", "several titles")
    assert rivers.title == Text(zh="河流", en="Rivers")
    assert rivers.summary.en == "All rivers"
    assert (rivers.publisher_id, rivers.publisher_name) == ("12440600456000017N", "水利局")
    assert cycle_of(rivers.frequency) is UpdateCycle.MONTHLY
    assert set(rivers.keywords) == {"water", "水"}
    assert (str(rivers.temporal_start), str(rivers.temporal_end)) == ("2020-01-01", "2021-01-01")
    assert rivers.contact is not None
    assert rivers.contact.email == "desk@example.org"
    (csv,) = rivers.distributions
    assert (csv.id, csv.media_type, csv.bytes) == ("csv", "text/csv", 123)
    assert format_of(rivers.distributions) is ResourceFormat.SPREADSHEET
    again = parse_catalogue(document(EUROPEAN.encode(), "text/turtle"))
    assert again == page


def test_the_same_catalogue_in_three_notations_reads_the_same() -> None:
    graph = Graph().parse(data=EUROPEAN, format="turtle")
    pages = [
        parse_catalogue(document(graph.serialize(format=name, encoding="utf-8"), media))
        for name, media in (("turtle", "text/turtle"), ("json-ld", "application/ld+json"), ("xml", "text/xml"))
    ]
    assert pages[0] == pages[1] == pages[2]


def test_wrong_encodings_are_read_by_what_they_are() -> None:
    assert decode("公安局".encode("gb18030"), "utf-8") == "公安局"
    assert decode("公安局".encode(), "gbk") == "公安局"
    assert decode("\ufeff公安局".encode()) == "公安局"
    assert decode("公安局".encode("utf-16")) == "公安局"
    assert decode(b"abc", "no-such-charset") == "abc"


def test_texts_from_elsewhere() -> None:
    assert plain("<div>a<br/>b</div><style>x{}</style>") == "a\nb"
    assert plain("a &lt; b &amp; c") == "a < b & c"
    assert plain("1 < 2 and 3 > 2") == "1 < 2 and 3 > 2"
    assert one_line(" a\n\tb\u3000c ") == "a b c"
    assert [clean(value) for value in (True, 7, {"a": 1})] == ["", "7", ""]
    assert bilingual({"": "河流"}) == Text(zh="河流", en="")
    assert bilingual({"": "Rivers"}) == Text(zh="Rivers", en="Rivers")
    assert bilingual({"de": "Flüsse"}) == Text(zh="Flüsse", en="")
    assert moment_of("2026-02-30") is None
    assert moment_of("0001-01-01T00:00:00+23:59") is None
    assert str(date_of("2026-02")) == "2026-02-01"


@given(st.text())
def test_any_text_can_be_stored(text: str) -> None:
    for read in (plain, one_line, clean):
        read(text).encode()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://a.example", "http://a.example/api/3/action/package_list"),
        ("http://a.example/portal/", "http://a.example/portal/api/3/action/package_list"),
        ("http://a.example/api/3/action", "http://a.example/api/3/action/package_list"),
        ("http://a.example/api/3", "http://a.example/api/3/action/package_list"),
        ("http://a.example/api", "http://a.example/api/3/action/package_list"),
    ],
)
def test_the_address_of_an_action(address: str, expected: str) -> None:
    assert action_address(address, "package_list") == expected
    assert page_address("http://a.example/api/3/action", "名 字") == "http://a.example/dataset/%E5%90%8D%20%E5%AD%97"


@pytest.mark.parametrize(
    ("frequency", "cycle"),
    [
        ("R/P1D", UpdateCycle.DAILY),
        ("annual", UpdateCycle.YEARLY),
        ("每季度", UpdateCycle.QUARTERLY),
        ("?", UpdateCycle.IRREGULAR),
    ],
)
def test_frequencies(frequency: str, cycle: UpdateCycle) -> None:
    assert cycle_of(frequency) is cycle


@given(st.text(st.sampled_from("a\n \u2003\x85\u3000甲"), max_size=40))
def test_lines_are_trimmed_and_empty_ones_left_out(text: str) -> None:
    found = plain(text)
    assert found.split() == text.split()
    assert all(line and line == line.strip() for line in found.split("\n") if found)


def test_a_long_run_of_white_space_takes_no_square_of_time() -> None:
    """Half a million em spaces in a harvested note: by a pattern that took minutes, and the test's own limit fails."""
    assert plain("a" + "\u2003" * 500_000 + "b\n\n c").endswith("b\nc")
