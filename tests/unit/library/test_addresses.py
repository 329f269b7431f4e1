"""Free addresses against the real divisions: full, with levels left out, cut short, ambiguous, and any text at all."""

from functools import cache
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.demo.dice import Dice
from datong.demo.places import Division, address_forms, any_home, divisions, official_address
from datong.library.addresses import Gazetteer, parse_addresses

UNWRITTEN = ("市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划")
SAMPLE = 40


@cache
def gazetteer() -> Gazetteer:
    """Return the real divisions."""
    return Gazetteer((division.code, division.name, division.level) for division in divisions())


def parsed(*addresses: str | None, home: str = "") -> list[dict[str, object]]:
    rows: list[dict[str, object]] = parse_addresses(
        pa.array(addresses, pa.string()), gazetteer(), home=home
    ).to_pylist()
    return rows


@cache
def known() -> dict[str, Division]:
    """Return the real divisions by code."""
    return {division.code: division for division in divisions()}


def chain(street: Division) -> list[Division]:
    """Return the street's division and those above it that people write, from the top down."""
    found = [street]
    while found[0].parent:
        found.insert(0, known()[found[0].parent])
    return [division for division in found if division.name not in UNWRITTEN]


def test_nearly_every_street_is_found_by_its_full_name_and_most_by_less() -> None:
    streets = [division for division in divisions() if division.level == 4][::SAMPLE]
    dice = Random(3)
    full = ["".join(part.name for part in chain(street)) + "解放路12号" for street in streets]
    short = [
        "".join(part.name for part in chain(street) if part is street or dice.random() < 0.6) + "解放路12号"
        for street in streets
    ]
    rows = parsed(*full, *short)
    hits = [row["division_code"] == street.code for row, street in zip(rows, streets * 2, strict=True)]
    assert sum(hits[: len(streets)]) >= 0.995 * len(streets)
    assert sum(hits[len(streets) :]) >= 0.96 * len(streets)
    sure = [hit for hit, row in zip(hits, rows, strict=True) if float(str(row["confidence"])) >= 0.9]
    assert len(sure) >= 0.95 * len(hits)
    assert sum(sure) >= 0.995 * len(sure)
    assert {row["road"] for row, hit in zip(rows, hits, strict=True) if hit} == {"解放路"}


def test_every_way_to_write_a_home_gives_its_parts() -> None:
    dice = Dice(7)
    for _ in range(4):
        place = any_home(dice)
        for row in parsed(official_address(place), *address_forms(place), home="4406"):
            assert str(row["division_code"]).startswith(place.district)
            assert (row["road"], row["number"]) == (place.road, str(place.number))
            assert (row["building"], row["unit"], row["room"]) == (
                str(place.building),
                str(place.unit),
                str(place.room),
            )


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("广州天河区天河路１２号", "440106"),
        ("顺德大良街道文秀路3号", "440606005"),
        ("禅城区祖庙街道办汾江路12号之一", "440604012"),
        ("湖北省仙桃市沙嘴街道1号", "429004001"),
        ("新疆维吾尔自治区伊犁哈萨克自治州伊宁市斯大林街1号", "654002"),
        ("北京路12号", None),
        ("南海大道5号", None),
        ("城关镇人民路3号", None),
        ("", None),
        (None, None),
    ],
)
def test_names_are_read_cut_short_and_roads_are_no_divisions(address: str | None, code: str | None) -> None:
    assert parsed(address)[0]["division_code"] == code


def test_an_ambiguous_address_says_so_and_home_decides() -> None:
    (anywhere,) = parsed("朝阳区建国路88号")
    alternatives = anywhere["alternatives"]
    assert isinstance(alternatives, list)
    assert {anywhere["division_code"], *alternatives} == {"110105", "220104"}
    (at_home,) = parsed("朝阳区建国路88号", home="22")
    assert at_home["division_code"] == "220104"
    assert float(str(at_home["confidence"])) > float(str(anywhere["confidence"]))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.text(
            st.sampled_from("广东省佛山市禅城区街道路号栋12-'\\ \x00(（") | st.characters(codec="utf-8"), max_size=30
        ),
        max_size=6,
    )
)
def test_any_text_gives_a_row(addresses: list[str]) -> None:
    rows = parsed(*addresses)
    assert len(rows) == len(addresses)
    assert all(0 <= float(str(row["confidence"])) <= 1 for row in rows)
