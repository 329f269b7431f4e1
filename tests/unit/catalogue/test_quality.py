from datetime import timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from datong.catalogue import (
    CatalogueQuality,
    Contact,
    Distribution,
    ResourceContent,
    assess,
    published_among,
    quality_scheme,
)
from datong.catalogue.quality import indicator_sql
from datong.catalogue.tables import quality_day
from datong.kernel import Database, DepartmentCode, Text
from datong.norms import NormPack, UpdateCycle, load_pack
from tests.catalogue_filling import fill
from tests.unit.catalogue.conftest import CIVIL, POLICE, Office, content, make_office

PACK = load_pack()
MEDIA = st.sampled_from(["", "text/csv", "CSV", "application/pdf", "application/json"])
ADDRESS = st.sampled_from(["", "http://a.example/x"])
DISTRIBUTIONS = st.lists(
    st.builds(
        Distribution,
        id=st.integers(1, 9).map(str),
        title=st.just(Text(zh="文件", en="")),
        media_type=MEDIA,
        access_url=ADDRESS,
        download_url=ADDRESS,
        bytes=st.none() | st.integers(0, 9),
    ),
    max_size=3,
).map(tuple)
CONTENTS = st.builds(
    ResourceContent,
    title=st.just(Text(zh="标题", en="")),
    keywords=st.lists(st.sampled_from(["水", "'"]), max_size=2).map(tuple),
    theme=st.sampled_from(["", "population", "no-such-theme"]),
    spatial=st.sampled_from(["", "440600"]),
    licence=st.sampled_from(["", "no-such-licence", *[entry.key for entry in PACK.licences]]),
    open=st.booleans(),
    use_condition=st.sampled_from(["", "署名"]),
    data_category=st.sampled_from(["", "x"]),
    contact=st.none() | st.builds(Contact, phone=st.sampled_from(["", "1"]), email=st.sampled_from(["", "a@b.cn"])),
    distributions=DISTRIBUTIONS,
    update_cycle=st.sampled_from(list(UpdateCycle)),
    items=st.sampled_from([(), content().items, content().items[:1]]),
    binding=st.sampled_from([None, content().binding]),
)


def test_the_scheme_has_the_points_of_the_dimensions() -> None:
    scheme = quality_scheme()
    points = {entry.key: scheme.points_of(entry.key) for entry in scheme.dimensions}
    assert points == {
        "findability": 100,
        "accessibility": 100,
        "interoperability": 110,
        "reusability": 75,
        "contextuality": 20,
    }
    assert scheme.points == 405
    assert {entry.dimension for entry in scheme.indicators} == set(points)
    assert all(entry.field == "department" or entry.field in (*ResourceContent.model_fields, "published_at")
               for entry in scheme.indicators)  # fmt: skip


def test_what_is_missing_is_named_with_what_it_would_bring() -> None:
    bare = assess(ResourceContent(title=Text(zh="标题", en="")), PACK)
    named = {entry.indicator for entry in bare.missing}
    assert {"keywords", "theme", "spatial", "contact", "items"} <= named
    assert [entry.points for entry in bare.missing] == sorted((entry.points for entry in bare.missing), reverse=True)
    assert all(entry.gain.zh and entry.gain.en and entry.field for entry in bare.missing)
    better = assess(ResourceContent(title=Text(zh="标题", en=""), keywords=("水",)), PACK)
    assert better.score == bare.score + 30
    assert better.dimensions["findability"] == bare.dimensions["findability"] + 30
    assert better.score + sum(entry.points for entry in better.missing) == better.points


@pytest.mark.parametrize(
    ("licence", "is_open", "met"),
    [
        *((entry.key, is_open, True) for entry in PACK.licences for is_open in (True, False)),
        # The portal, DCAT and CKAN say of an open entry without a licence that it is under the pack's first.
        ("", True, True),
        ("", False, False),
        ("no-such-licence", True, False),
    ],
)
def test_a_licence_is_standard_when_the_pack_has_it_or_gives_it_by_default(
    licence: str, is_open: bool, met: bool
) -> None:
    found = ResourceContent(title=Text(zh="标题", en=""), licence=licence, open=is_open)
    missing = {entry.indicator for entry in assess(found, PACK).missing}
    assert ("known_licence" not in missing) is met
    without = PACK.model_copy(update={"licences": ()})
    assert "known_licence" in {entry.indicator for entry in assess(found, without).missing}


def test_filled_open_resources_have_a_standard_licence(control_database: Database) -> None:
    filled = fill(control_database, PACK, 60, open_percent=50)
    with control_database.snapshot() as connection:
        found = published_among(connection, list(filled.ids))
    licences = {entry.content.licence for entry in found.values() if entry.content.open}
    assert "" in licences
    assert len(licences) > 1
    for entry in found.values():
        missing = {gap.indicator for gap in assess(entry.content, PACK).missing}
        assert ("known_licence" not in missing) is entry.content.open


@given(st.lists(CONTENTS, min_size=1, max_size=6))
def test_sql_and_python_judge_alike(contents: list[ResourceContent]) -> None:
    scheme = quality_scheme()
    engine = duckdb.connect()
    engine.execute("CREATE TABLE contents (id INTEGER, content JSON)")
    engine.executemany(
        "INSERT INTO contents VALUES (?, ?)", [(place, entry.model_dump_json()) for place, entry in enumerate(contents)]
    )
    tests = ", ".join(indicator_sql(entry.test, PACK) for entry in scheme.indicators)
    rows = engine.execute(f"SELECT {tests} FROM contents ORDER BY id").fetchall()
    engine.close()
    for found, row in zip(contents, rows, strict=True):
        missing = {entry.indicator for entry in assess(found, PACK).missing}
        assert {entry.key: not met for entry, met in zip(scheme.indicators, row, strict=True)} == {
            entry.key: entry.key in missing for entry in scheme.indicators
        }


def make_quality(office: Office) -> CatalogueQuality:
    return CatalogueQuality(database=office.database, clock=office.clock, pack=PACK)


def count_all(quality: CatalogueQuality) -> None:
    while quality.refresh():
        pass


def test_scores_follow_the_catalogue(office: Office) -> None:
    quality = make_quality(office)
    assert quality.overview().standing.resources == 0
    first = office.publish(content("一"))
    office.publish(content("二"), department=CIVIL)
    count_all(quality)
    assert quality.report(first.id) == assess(first.content, PACK)
    assert {entry.department for entry in quality.ranking()} == {POLICE, CIVIL}
    everything = quality.overview()
    assert everything.standing.resources == 2
    assert everything.standing.score == assess(first.content, PACK).score
    assert everything.gaps[0].resources == 2
    assert len(everything.worst) == 2
    assert quality.overview(POLICE).worst[0].id == first.id
    office.clock.advance(timedelta(days=1))
    count_all(quality)
    assert [entry.resources for entry in quality.overview().trend] == [2, 2]


def test_a_filled_catalogue_is_counted_in_bulk_and_only_once(control_database: Database, pack: NormPack) -> None:
    office = make_office(control_database, pack)
    filled = fill(control_database, pack, 300, departments_max=5)
    quality = make_quality(office)
    count_all(quality)
    assert quality.overview().standing.resources == 300
    assert sum(entry.resources for entry in quality.ranking()) == 300
    for key in filled.open_ids[:20]:
        assert quality.report(key) == assess(office.catalogue.published(key).content, PACK)
    assert not quality.refresh()
    with control_database.snapshot() as connection:
        rows = connection.execute(select(quality_day)).all()
    assert {DepartmentCode(row.department) for row in rows} == {entry.department for entry in quality.ranking()} | {""}
