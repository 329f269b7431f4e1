"""Scores of sources: bounded, worse with more flaws, and a fall is told."""

from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import DepartmentCode, ResourceId, Text
from datong.library import Dimension, SourceQuality, SourceScore
from datong.library.quality_scores import FALL_MIN, PERFECT, falls, scored

TITLE = Text(zh="户籍", en="residents")
COUNTS = st.integers(0, 1000)


def quality(
    rows: int = 1000, *, missing: int = 0, flags: dict[str, int] | None = None, **more: object
) -> SourceQuality:
    """Return the quality of a source with two elements; all flaws are in the first."""
    known = {
        "resource_id": ResourceId("residents"),
        "department": DepartmentCode("114406000000000193"),
        "title": TITLE,
        "role": "household_register",
        "rows": rows,
        "superseded_rows": 0,
        "missing": {"phone": missing} if missing else {},
        "flags": {"phone": flags} if flags else {},
        "repaired": {},
        "elements": ("phone", "person_name"),
    }
    return SourceQuality.model_validate(known | more)


def score(found: SourceQuality, days: int | None = None, previous: SourceScore | None = None) -> SourceScore:
    """Return its scores in the next version."""
    version = 1 if previous is None else previous.version + 1
    return scored(found, library="population", version=version, days_since_batch=days, previous=previous)


@given(rows=COUNTS, missing=COUNTS, malformed=COUNTS, checksum=COUNTS, without=COUNTS, days=st.integers(0, 5000))
def test_scores_are_shares_and_more_flaws_never_raise_them(
    rows: int, missing: int, malformed: int, checksum: int, without: int, days: int
) -> None:
    found = quality(rows, missing=missing, flags={"malformed": malformed, "checksum": checksum}, without_key=without)
    found = found.model_copy(update={"cycle_days": 31})
    made = score(found, days)
    assert all(0 <= share <= PERFECT for share in (made.overall, *made.dimensions.values()))
    worse = found.model_copy(update={"flags": {"phone": {"malformed": malformed + 1, "checksum": checksum}}})
    assert score(worse, days).overall <= made.overall


def test_each_flaw_counts_in_its_dimension() -> None:
    found = quality(
        missing=200,
        flags={"malformed": 90, "checksum": 18},
        without_key=250,
        cycle_days=10,
        compared={"phone": 400},
        agreeing={"phone": 300},
    )
    assert score(found, 20).dimensions == {
        Dimension.CONFORMITY: 9500,
        Dimension.COMPLETENESS: 9000,
        Dimension.ACCURACY: 9900,
        Dimension.CONSISTENCY: 7500,
        Dimension.TIMELINESS: 5000,
        Dimension.ACCESSIBILITY: 8000,
    }
    assert score(found, 20).faults == {"phone": {"malformed": 90, "checksum": 18, "missing": 200}}


def test_what_nobody_measured_has_no_score() -> None:
    assert score(quality(0)).dimensions == {}
    assert Dimension.TIMELINESS not in score(quality(cycle_days=None), 400).dimensions
    assert Dimension.CONSISTENCY not in score(quality()).dimensions


def test_a_fall_is_told_by_dimension_and_as_a_whole() -> None:
    before = score(quality())
    small = score(quality(missing=2 * FALL_MIN * 2 * 1000 // PERFECT - 1), previous=before)
    assert small.fallen == ()
    large = score(quality(missing=900), previous=before)
    assert [(fall.dimension, fall.before) for fall in large.fallen] == [
        (None, PERFECT),
        (Dimension.COMPLETENESS, PERFECT),
    ]
    assert falls(large, before) == (), "a rise is no fall"
