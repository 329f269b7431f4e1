"""The query language of CKAN's clients: what is read, and that nothing typed can break it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Invalid
from datong.web.open.solr import Clause, Every, Range, Some, Term, Without, parse


def word(text: str, field: str = "") -> Term:
    return Term(field=field, text=text)


def phrase(text: str, field: str = "") -> Term:
    return Term(field=field, text=text, phrase=True)


@pytest.mark.parametrize(
    ("query", "members"),
    [
        ("", ()),
        ("*:*", (Every(members=()),)),
        ("人口 户籍", (word("人口"), word("户籍"))),
        ('tags:"城 乡" -organization:abc', (phrase("城 乡", "tags"), Without(member=word("abc", "organization")))),
        ("+a !b NOT c", (word("a"), Without(member=word("b")), Without(member=word("c")))),
        ("a OR b c", (Some(members=(word("a"), word("b"))), word("c"))),
        ("a OR b AND c", (Some(members=(word("a"), Every(members=(word("b"), word("c"))))),)),
        ("a && b || c", (Some(members=(Every(members=(word("a"), word("b"))), word("c"))),)),
        ("f:(a OR b)", (Every(members=(Some(members=(word("a", "f"), word("b", "f"))),)),)),
        ("m:[2024-01-01T00:00:00Z TO *]", (Range(field="m", low="2024-01-01T00:00:00Z", high="*"),)),
        ('m:["2024-01-01" TO NOW-1DAY}', (Range(field="m", low="2024-01-01", high="NOW-1DAY"),)),
        ("title:foo*", (Term(field="title", text="foo", prefix=True),)),
        ("tags:*", (word("*", "tags"),)),
        (r"name:a\:b\*", (word("a:b*", "name"),)),
        ('"a \\"b\\" c"~2^3', (phrase('a "b" c'),)),
        ("word^2.5", (word("word"),)),
        ("ORDER", (word("ORDER"),)),
    ],
)
def test_what_is_read(query: str, members: tuple[Clause, ...]) -> None:
    assert parse(query) == Every(members=members)


@pytest.mark.parametrize(
    "query",
    [
        "(",
        "a)",
        "((a)",
        '"a',
        "a OR",
        "OR a",
        "a AND OR b",
        "tags:",
        "f:(",
        "NOT",
        "-(",
        "[a",
        "f:[a TO",
        "x\\",
        "(" * 3000,
        "a " * 300,
        "x" * 5000,
        "-" * 100 + "a",
        "f:" * 50 + "x",
    ],
)
def test_what_is_refused(query: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse(query)
    assert raised.value.code == "ckan.query_unreadable"
    assert raised.value.what.zh
    assert raised.value.what.en


PIECES = [
    "a",
    "人口",
    " ",
    "(",
    ")",
    '"',
    "OR",
    "AND",
    "NOT",
    "tags:",
    "m:",
    "[",
    "]",
    " TO ",
    "*",
    "*:*",
    "-",
    "+",
    "\\",
    "^2",
    "~",
    ":",
    "{",
    "}",
    "&&",
    "||",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=40).map("".join)))
def test_anything_typed_is_read_or_refused(query: str) -> None:
    code = ""
    try:
        parse(query)
    except Invalid as refused:
        code = refused.code
    assert code in ("", "ckan.query_unreadable")
