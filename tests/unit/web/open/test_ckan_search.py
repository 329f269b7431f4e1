"""CKAN's parameters as conditions on open resources."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.catalogue import (
    EVERYTHING,
    AllOf,
    Changed,
    FirstOpened,
    NoneOf,
    Nothing,
    OfDepartments,
    OfThemes,
    OpenField,
    OpenFilter,
    OpenOrder,
    OpenSort,
    UnderLicences,
    WithId,
    WithTerm,
    WithText,
)
from datong.catalogue.open_filters import condition as sql_condition
from datong.kernel import DepartmentCode, Invalid, ResourceId
from datong.web.open.ckan_search import Names, condition, search_of, sort_of
from datong.web.open.solr import parse

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
CODE = DepartmentCode("12440600456000017N")
NAMES = Names(
    organisations={"12440600456000017n": CODE}, groups={"population": "population"}, default_licence="cc", now=NOW
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("organization:12440600456000017N", OfDepartments(codes=(CODE,))),
        ("owner_org:nobody", Nothing()),
        ("groups:population", OfThemes(keys=("population",))),
        ("groups:secret", Nothing()),
        ("tags:户籍", WithTerm(field=OpenField.KEYWORD, value="户籍")),
        ("tags:户*", WithTerm(field=OpenField.KEYWORD, value="户", prefix=True)),
        ("tags:*", WithTerm(field=OpenField.KEYWORD, value="", prefix=True)),
        ("groups:*", NoneOf(member=OfThemes(keys=("",)))),
        ("res_format:csv", WithTerm(field=OpenField.FORMAT, value="CSV")),
        ("res_format:geojson", WithTerm(field=OpenField.FORMAT, value="GeoJSON")),
        ("license_id:cc", UnderLicences(keys=("cc", ""))),
        ("license_id:by", UnderLicences(keys=("by",))),
        ("id:x", WithId(ids=(ResourceId("x"),))),
        ("title:人口", WithText(text="人口")),
        ("state:active", EVERYTHING),
        ("private:true", Nothing()),
        ("metadata_modified:[NOW-7DAYS TO *]", Changed(since=NOW - timedelta(days=7))),
        ("metadata_modified:[* TO NOW/DAY]", Changed(until=NOW)),
        (
            "metadata_created:[2024-01-01 TO 2024-02-01T08:00:00+08:00]",
            FirstOpened(since=datetime(2024, 1, 1, tzinfo=UTC), until=datetime(2024, 2, 1, tzinfo=UTC)),
        ),
    ],
)
def test_fields(query: str, expected: OpenFilter) -> None:
    assert condition(parse(query), NAMES) == AllOf(members=(expected,))


@pytest.mark.parametrize(
    "query",
    [
        "secret:x",
        "metadata_modified:[yesterday TO *]",
        "metadata_modified:[NOW+99999YEARS TO *]",
        "tags:[a TO b]",
        "code:*",
        "metadata_modified:x",
    ],
)
def test_what_cannot_be_asked(query: str) -> None:
    with pytest.raises(Invalid):
        condition(parse(query), NAMES)


def test_plain_words_rank_and_everything_else_narrows() -> None:
    plain = search_of("人口 户籍", ["tags:a"], NAMES)
    assert plain.text == "人口 户籍"
    assert search_of("人口 OR 户籍", [], NAMES).text == ""
    assert search_of("*:*", [], NAMES).text == ""


def test_sorting() -> None:
    assert sort_of("") == ()
    assert sort_of("score desc, metadata_modified DESC,name") == (
        OpenSort(by=OpenOrder.RELEVANCE, descending=True),
        OpenSort(by=OpenOrder.CHANGED, descending=True),
        OpenSort(by=OpenOrder.ID),
    )
    for wrong in ("secret asc", "name up", "name asc desc"):
        with pytest.raises(Invalid):
            sort_of(wrong)


FIELDS = ["", "tags", "organization", "metadata_modified", "title", "res_format", "id", "x", "state", "groups"]
VALUES = st.one_of(st.text(max_size=12), st.sampled_from(["*", "NOW", "[* TO *]", '"a b"', "2024-01-01", "(a OR b)"]))
CLAUSES = st.tuples(st.sampled_from(FIELDS), VALUES).map(lambda pair: f"{pair[0]}:{pair[1]}" if pair[0] else pair[1])


@given(st.lists(CLAUSES, max_size=6).map(" ".join))
def test_anything_asked_becomes_a_condition_or_is_refused(query: str) -> None:
    code = ""
    try:
        sql_condition(search_of(query, [query], NAMES).where, lambda _text: None)
    except Invalid as refused:
        code = refused.code
    assert code in ("", "ckan.query_unreadable")
