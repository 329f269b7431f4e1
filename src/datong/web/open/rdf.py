"""RDF for writing: nodes as plain tuples, and three serialisers that stream them (Turtle, JSON-LD, RDF/XML).

Every node has an address of its own, there are no blank nodes, so the same description in the three forms is the same
set of statements. An object is an address (`str`) or a `Literal`; predicates are names with one of `PREFIXES`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

PREFIXES = {
    "adms": "http://www.w3.org/ns/adms#",
    "datong": "urn:datong:ns:",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "hydra": "http://www.w3.org/ns/hydra/core#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
TYPE = "rdf:type"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What XML 1.0 cannot hold or discourages: left out of every form, so that all say the same."""
_TURTLE_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_UNSAFE_IN_ADDRESS = re.compile(r'[\x00-\x20<>"{}|\\^`\x7f-\x9f\ud800-\udfff]')


class Literal(NamedTuple):
    """A text, in a language or of a data type (a name such as `xsd:date`)."""

    text: str
    language: str = ""
    datatype: str = ""


Statement = tuple[str, str | Literal]


class Node(NamedTuple):
    """What is said about one thing."""

    address: str
    statements: Sequence[Statement]


def name(prefixed: str) -> str:
    """Return the full address of a prefixed name."""
    prefix, _, local = prefixed.partition(":")
    return PREFIXES[prefix] + local


def address(text: str) -> str:
    """Return `text` as an address that can stand in all three forms; what cannot is percent-encoded."""
    return _UNSAFE_IN_ADDRESS.sub(lambda match: quote(match[0].encode("utf-8", "replace")), text)


def clean(text: str) -> str:
    """Return `text` without the characters that no form could hold."""
    return _CONTROL.sub("", text)


def turtle(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield a Turtle document."""
    yield "".join(f"@prefix {prefix}: <{base}> .\n" for prefix, base in PREFIXES.items())
    for node in nodes:
        said = " ;\n    ".join(
            f"{'a' if predicate == TYPE else predicate} {_turtle_object(found)}"
            for predicate, found in dict.fromkeys(node.statements)
        )
        yield f"\n<{node.address}>\n    {said} .\n"


def _turtle_object(found: str | Literal) -> str:
    if isinstance(found, str):
        return f"<{found}>"
    text = f'"{clean(found.text).translate(_TURTLE_ESCAPES)}"'
    if found.language:
        return f"{text}@{found.language}"
    return f"{text}^^{found.datatype}" if found.datatype else text


def json_ld(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield a JSON-LD 1.1 document with its context inside, so that nobody has to fetch one."""
    yield f'{{"@context": {json.dumps(PREFIXES)},\n"@graph": ['
    for number, node in enumerate(nodes):
        said: dict[str, list[object]] = {}
        for predicate, found in dict.fromkeys(node.statements):
            if predicate == TYPE:
                said.setdefault("@type", []).append(found)
            else:
                said.setdefault(predicate, []).append(_json_object(found))
        yield (",\n" if number else "\n") + json.dumps({"@id": node.address, **said}, ensure_ascii=False)
    yield "\n]}\n"


def _json_object(found: str | Literal) -> object:
    if isinstance(found, str):
        return {"@id": found}
    text = clean(found.text)
    if found.language:
        return {"@value": text, "@language": found.language}
    return {"@value": text, "@type": found.datatype} if found.datatype else text


def rdf_xml(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield an RDF/XML document."""
    spaces = " ".join(f"xmlns:{prefix}={quoteattr(base)}" for prefix, base in PREFIXES.items())
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<rdf:RDF {spaces}>\n'
    for node in nodes:
        said = "".join(_xml_statement(predicate, found) for predicate, found in dict.fromkeys(node.statements))
        yield f"<rdf:Description rdf:about={quoteattr(node.address)}>\n{said}</rdf:Description>\n"
    yield "</rdf:RDF>\n"


def _xml_statement(predicate: str, found: str | Literal) -> str:
    if isinstance(found, str):
        return f"  <{predicate} rdf:resource={quoteattr(found)}/>\n"
    about = ""
    if found.language:
        about = f' xml:lang="{found.language}"'
    elif found.datatype:
        about = f" rdf:datatype={quoteattr(name(found.datatype))}"
    return f"  <{predicate}{about}>{escape(clean(found.text), {chr(13): '&#13;'})}</{predicate}>\n"
