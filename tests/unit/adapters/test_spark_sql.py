"""The pipeline's SQL in Spark's words: what would mean something else there is said otherwise, or refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.adapters.spark_sql import file_table, java_pattern, spark_sql


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^[0-9]{4}$", r"^[0-9]{4}\z"),
        (r"\s+", r"[\t\n\f\r ]+"),
        (r"[\s-]+", r"[\t\n\f\r -]+"),
        (r"\p{Han}+.", r"\p{IsHan}+[^\n]"),
        (r"[$.&[]\$\.", r"[$.\&\[]\$\."),
        (r"[^\]]$", r"[^\]]\z"),
        ("[^^]", "[^^]"),
    ],
)
def test_patterns_match_the_same_texts_in_java(pattern: str, expected: str) -> None:
    assert java_pattern(pattern) == expected


@pytest.mark.parametrize("pattern", [r"a\b", r"\Sx", "[[:alpha:]]"])
def test_patterns_that_java_reads_otherwise_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=re.escape(pattern)):
        java_pattern(pattern)


@given(st.text(max_size=40))
def test_any_pattern_is_rendered_or_refused(pattern: str) -> None:
    try:
        found = java_pattern(pattern)
    except ValueError:
        return
    assert len(found) >= len(pattern.replace("\\s", ""))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT regexp_full_match(a, 'x|y') FROM t", r"SELECT a RLIKE '\\A(?:x|y)\\z' FROM t"),
        (
            r"SELECT regexp_replace(a, '^(x)(y)$', '\2$') FROM t",
            r"SELECT REGEXP_REPLACE(a, '^(x)(y)\\z', '$2\\$') FROM t",
        ),
        ("SELECT regexp_extract(a, 'x') FROM t", "SELECT REGEXP_EXTRACT(a, 'x', 0) FROM t"),
        ("SELECT arg_min(a, b) FROM t", "SELECT MIN_BY(a, b) FILTER(WHERE NOT a IS NULL) FROM t"),
        ("SELECT CAST('0x' || a AS UBIGINT) & 18446744073709551615", "SELECT CAST(CONV(a, 16, -10) AS BIGINT) & (-1)"),
        ("SELECT a >> 7", "SELECT SHIFTRIGHTUNSIGNED(a, 7)"),
        (
            "SELECT round(a, 2)",
            "SELECT (ROUND((a) * CAST(100 AS DOUBLE)) / CAST(100 AS DOUBLE))",
        ),
        (
            "SELECT count(*) FILTER (a) OVER (PARTITION BY b) FROM t",
            "SELECT COUNT(CASE WHEN a THEN 1 END) OVER (PARTITION BY b) FROM t",
        ),
        ("SELECT string_split(a, '')", "SELECT SPLIT(a, '')"),
    ],
)
def test_queries_mean_the_same_on_spark(query: str, expected: str) -> None:
    assert spark_sql(query).sql == expected


def test_files_are_tables_with_names_of_their_own() -> None:
    found = spark_sql("SELECT a FROM read_parquet('/x/y.parquet') p ORDER BY a", ordered=False)
    assert found.files == {"/x/y.parquet"}
    assert found.sql == f"SELECT a FROM {file_table('/x/y.parquet')} AS p"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT regexp_replace(a, 'x', 'y')",
        "SELECT regexp_matches(a, b)",
        "SELECT string_split(a, ',')",
        "SELECT CAST(a AS UBIGINT)",
        "SELECT FROM",
    ],
)
def test_what_has_no_equal_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        spark_sql(query)
