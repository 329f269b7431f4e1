"""What forms send, and where they may lead."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import CHINA, Corrupt, DatongError
from datong.web.console.evidence import proof_hashes, read_head
from datong.web.console.requests import ITEM_MARK, end_of, lines_of, start_of
from datong.web.console.session import own_path
from datong.web.console.texts import day, moment, number, percent, short, size

IDS = st.text("0123456789abcdef-", min_size=1, max_size=36)
COLUMNS = st.text(min_size=1, max_size=20).filter(lambda text: ITEM_MARK not in text and text.strip(":") == text)


@pytest.mark.parametrize("address", ["/", "/catalogue?q=%E6%88%B7", "/requests/1#top"])
def test_own_paths_are_kept(address: str) -> None:
    assert own_path(address, "/home") == address


@pytest.mark.parametrize(
    "address",
    ["", "https://example.org/", "//example.org", "/\\example.org", "javascript:alert(1)", "/a\nb", "catalogue"],
)
def test_other_addresses_are_not(address: str) -> None:
    assert own_path(address, "/home") == "/home"


@given(st.dictionaries(IDS, st.sets(COLUMNS, min_size=1, max_size=5), max_size=5))
def test_boxes_become_lines_whatever_the_order(wanted: dict[str, set[str]]) -> None:
    boxes = frozenset(f"{resource}{ITEM_MARK}{column}" for resource, columns in wanted.items() for column in columns)
    lines = lines_of(boxes)
    assert {line.resource_id: set(line.items) for line in lines} == wanted
    assert [line.resource_id for line in lines] == sorted(wanted, key=lambda name: name + ITEM_MARK)


def test_boxes_without_an_item_are_ignored() -> None:
    assert lines_of(frozenset({"x", "y" + ITEM_MARK})) == ()


def test_a_term_runs_from_the_start_of_its_first_day_to_the_end_of_its_last() -> None:
    assert start_of("2026-03-01") == datetime(2026, 3, 1, tzinfo=CHINA)
    assert end_of("2026-03-01") == datetime(2026, 3, 2, tzinfo=CHINA)
    assert start_of("tomorrow") is None
    assert end_of("") is None


def test_numbers_times_and_digests_are_short_and_plain() -> None:
    at = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    assert moment(at) == "2026-03-02 00:30"
    assert day(at) == "2026-03-02"
    assert (moment(None), day(None), number(None), percent(None), size(None), short(None)) == ("—",) * 6
    assert (number(1234567), percent(0.8912), short("abcdef", 3)) == ("1,234,567", "89.1%", "abc…")
    assert [size(n) for n in (0, 1536, 5 * 1024**2, 3 * 1024**3)] == ["0 B", "1.5 KiB", "5.0 MiB", "3.0 GiB"]
    assert day((at + timedelta(days=1)).date()) == "2026-03-02"


def test_a_checkpoint_is_read_into_its_parts() -> None:
    note = "example.org/log\n42\nAAEC\n\n— example.org/log abcd\n— police ef01\n".encode()
    head = read_head(note)
    assert (head.origin, head.size, head.root) == ("example.org/log", 42, "000102")
    assert head.signatures == ("example.org/log", "police")


def test_proof_hashes_come_as_hexadecimal() -> None:
    assert proof_hashes({"proof": ["AAE=", "/w=="]}) == ("0001", "ff")
    assert proof_hashes({}) == ()
    assert issubclass(Corrupt, DatongError)
