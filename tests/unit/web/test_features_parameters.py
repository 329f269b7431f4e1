"""Parameters of OGC API – Features: what is valid is read as meant, anything else is named, nothing else is raised."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import Invalid
from datong.web.features.parameters import Crs, ItemsRequest, read_box, read_datetime, read_items

FILTERS = ("division_code", "division_level")
NAMES = st.sampled_from(["limit", "bbox", "bbox-crs", "datetime", "crs", "after", "f", *FILTERS]) | st.text(max_size=8)
NEAR = st.sampled_from(
    ["1,2,3,4", "-180,-90,180,90", "../2025-01-01", "2025-01-01T00:00:00Z", "json", "0", "9" * 30, *Crs]
)
MANGLED = st.builds(
    lambda text, place, more: text[: place % (len(text) + 1)] + more + text[place % (len(text) + 1) :],
    NEAR,
    st.integers(0, 60),
    st.text("0123456789.,/:-+TZe ١", max_size=3) | st.text(max_size=2),
)
LONGITUDES, LATITUDES = st.floats(-180, 180), st.floats(-90, 90)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(-62_135_500_000, 253_402_210_000).map(lambda seconds: EPOCH + timedelta(seconds=seconds))


def outcome(parameters: list[tuple[str, str]]) -> ItemsRequest | Invalid:
    try:
        return read_items(parameters, filters=FILTERS)
    except Invalid as error:
        return error


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, MANGLED | NEAR | st.text(max_size=30)), max_size=4))
def test_any_parameters_are_read_or_refused_by_name(parameters: list[tuple[str, str]]) -> None:
    found = outcome(parameters)
    if isinstance(found, Invalid):
        assert found.code == "ogc.parameter_invalid"
        assert found.field is not None
        assert found.what.zh
        assert found.what.en
    else:
        assert 1 <= found.query.limit <= 1000


@given(LONGITUDES, LATITUDES, LONGITUDES, LATITUDES, st.sampled_from(Crs))
def test_a_box_is_read_in_the_order_of_its_system(west: float, a: float, east: float, b: float, crs: Crs) -> None:
    south, north = sorted((a, b))
    corners = [(west, south), (east, north)]
    written = [repr(value) for x, y in corners for value in ((y, x) if crs.latitude_first else (x, y))]
    box = read_box(",".join(written), crs)
    assert (box.west, box.south, box.east, box.north) == (west, south, east, north)
    high = [*written[:2], "-5", *written[2:], "9000.5"]
    assert read_box(",".join(high), crs) == box


@given(MOMENTS, MOMENTS)
def test_an_interval_is_read_as_written(one: datetime, other: datetime) -> None:
    since, until = sorted((one, other))
    first, last = (f"{moment.isoformat()[:19]}Z" for moment in (since, until))
    assert read_datetime(f"{first}/{last}") == (since, until)
    assert read_datetime(f"{first}/..") == read_datetime(f"{first}/") == (since, None)
    assert read_datetime(f"/{last}") == (None, until)
    assert read_datetime(first) == (since, since)
    day = since.replace(hour=0, minute=0, second=0)
    assert read_datetime(first[:10]) == (day, day + timedelta(days=1, seconds=-1))
    if since != until:
        with pytest.raises(Invalid):
            read_datetime(f"{last}/{first}")
