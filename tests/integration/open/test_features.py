"""OGC API – Features with real clients (OWSLib, GDAL), and where points lie, next to a brute-force oracle."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pyarrow as pa
import pytest
import shapely
from owslib import ogcapi
from owslib.ogcapi.features import Features
from shapely.geometry.base import BaseGeometry

from datong.catalogue import Department, Item, ResourceAction
from datong.demo.boundaries import boundaries
from datong.demo.places import divisions
from datong.kernel import PLATFORM_ACTOR, Actor, ActorKind, DepartmentCode, NodeId, ResourceId, Text
from datong.ledger import Ed25519Signer, EntryKind
from datong.library import Box, FeatureQuery, FixedLanding, Library, shipped_definitions
from datong.norms import ShareMode, ShareType
from datong.sharing import PurposeDraft, RequestLine, Role
from datong.web import Services
from tests.integration.open.serving import BUREAU, OpenHub, served
from tests.library_sources import landed
from tests.new_control import new_control
from tests.unit.catalogue.conftest import content

COLUMNS = {
    "code": "division_code", "name": "division_name", "level": "division_level", "parent": "parent_division_code",
    "boundary": "geometry", "lon": "longitude", "lat": "latitude", "at": "updated_at",
}  # fmt: skip
SEEN = "2025-06-01 08:00:00"
HALL = ("440604012001", "政务大厅社区", "5", "440604012", None, "115.2000", "20.6000", "2025-07-01 08:00:00")
"""A village that has no boundary, only a point."""
SWAPPED = ("440604012002", "坐标颠倒社区", "5", "440604012", None, "20.6", "115.2", SEEN)
BROKEN = ("440604012003", "边界损坏社区", "5", "440604012", "POLYGON((115 20,115.1 20", None, None, SEEN)
REGISTERED = {
    "code": "facility_code",
    "name": "facility_name",
    "lon": "longitude",
    "lat": "latitude",
    "addr": "address_code",
}
CHARGING = {"no": None, "name": "facility_name", "shape": "geometry", "addr": "address_code"}
HALLS = (
    ("SS-0001", "政务服务中心", "115.2", "20.6", "DZ-000001"),
    ("SS-0002", "第一小学", "115.3", "20.7", "DZ-000002"),
)
LISTED = (("1", "政务服务中心", "POINT(115.2001 20.6001)", "DZ-000001"), ("2", "充电站", None, "DZ-000003"))
DEPOTS = {"no": "facility_code", "name": "facility_name", "lon": "longitude", "lat": "latitude", "tel": "phone"}
DEPOT_ROWS = (
    ("SS-0001", "政务服务中心（旧名）", "115.21", "20.61", "13800000001"),
    ("SS-0009", "应急物资库", "115.4", "20.5", "13800000002"),
)
"""One facility that another source knows, too, and names first; one that nobody else knows."""
PASSWORD = "spatial-tests-2026"
RESCUE, SCHOOLS = DepartmentCode("12440600456000017N"), DepartmentCode("524406005000000158")
ITEM = "校园应急"
CRS_4490 = "http://www.opengis.net/def/crs/EPSG/0/4490"


@dataclass
class Map:
    """A hub with the demo's invented city in an open and in a closed library, and a visitor of it."""

    hub: OpenHub
    drawn: Mapping[str, BaseGeometry]
    visitor: httpx.Client

    @property
    def root(self) -> str:
        """Where the interface is."""
        return f"{self.hub.url}/ogc"

    def get(self, path: str, **parameters: str) -> httpx.Response:
        """Ask the interface as a visitor."""
        return self.visitor.get(f"/ogc{path}", params=parameters)

    def items(self, **parameters: str) -> Any:
        """Return a page of the open collection."""
        answer = self.get("/collections/geography/items", **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()


def rows() -> list[tuple[object, ...]]:
    """Return the invented city with its boundaries, its province without one, and three villages."""
    drawn = boundaries()
    own = [known for known in divisions() if known.code in drawn or known.code == "440000"]
    return [
        *((d.code, d.name, str(d.level), d.parent or None, drawn.get(d.code), None, None, SEEN) for d in own),
        HALL,
        SWAPPED,
        BROKEN,
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Map]:
    home = tmp_path_factory.mktemp("features")
    source = landed(home, "divisions", COLUMNS, rows())
    geography = next(known for known in shipped_definitions() if known.name == "geography")
    facility = next(known for known in shipped_definitions() if known.name == "facility")
    facilities = (
        landed(home, "halls", REGISTERED, HALLS, number=1),
        landed(home, "listed", CHARGING, LISTED, number=2),
    )
    closed = geography.model_copy(update={"name": "closed_geography", "open": False})
    reserved = facility.model_copy(update={"name": "closed_facility", "open": False, "precedence": 900})
    landing = FixedLanding((source, *facilities))

    def library(services: Services) -> Library:
        return Library(
            database=services.database,
            clock=services.clock,
            ledger=services.ledger,
            pack=services.pack,
            lake=services.settings.lake,
            landing=landing,
            definitions=(geography, closed, facility, reserved),
        )

    database = new_control(home)
    with served(database, home / "hub", library=library) as hub:
        agreed = agree_on_depots(hub.services)
        depots = landed(home, agreed, DEPOTS, DEPOT_ROWS, number=3)
        for name in ("geography", "closed_geography", "facility", "closed_facility"):
            if name == "closed_facility":
                landing.landed = (*facilities, depots)
            hub.services.library.run_build(hub.services.library.request_build(name, actor=PLATFORM_ACTOR).id)
        hub.services.identity.create_account(
            username="steward",
            password=PASSWORD,
            name="管理员",
            department=BUREAU,
            roles=frozenset({Role.AUTHORITY}),
            actor=PLATFORM_ACTOR,
        )
        drawn = {code: shapely.from_wkt(text) for code, text in boundaries().items()}
        with hub.visitor() as visitor:
            yield Map(hub, drawn, visitor)
    database.close()


def agree_on_depots(services: Services) -> ResourceId:
    """Let the rescue service publish its depots and the schools get all but the telephone; return the resource."""
    signer = Ed25519Signer.generate()
    for code, name in ((RESCUE, "应急局"), (SCHOOLS, "教育局")):
        text = Text(zh=name, en=name)
        services.departments.register(Department(code=code, name=text, short_name=text), PLATFORM_ACTOR)
    officers = {code: Actor(kind=ActorKind.PERSON, id=code, department=code) for code in (RESCUE, SCHOOLS, BUREAU)}
    items = tuple(
        Item(name=Text(zh=column, en=column), column=column, element=element, share_type=ShareType.UNCONDITIONAL)
        for column, element in DEPOTS.items()
    )
    described = content("物资库", items=items, share_type=ShareType.UNCONDITIONAL, table="depots")
    made = services.catalogue.draft(RESCUE, described, officers[RESCUE])
    for action in (ResourceAction.SIGN_OFF, ResourceAction.SUBMIT):
        services.catalogue.act(made.id, action, officers[RESCUE])
    for action in (ResourceAction.APPROVE, ResourceAction.PUBLISH):
        services.catalogue.act(made.id, action, officers[BUREAU])
    now = services.clock.now()
    purpose = PurposeDraft(
        scene="校园应急演练", service_item=ITEM, legal_basis="《突发事件应对法》", scope="本市学校",
        modes=frozenset({ShareMode.INTERFACE}), valid_from=now, valid_until=now + timedelta(days=30),
    )  # fmt: skip
    line = RequestLine(resource_id=made.id, items=tuple(column for column in DEPOTS if column != "tel"))
    (request,) = services.requests.submit(consumer=SCHOOLS, lines=[line], purpose=purpose, actor=officers[SCHOOLS])
    agreement = services.agreements.of_request(request.id)
    assert agreement is not None
    for party in agreement.parties:
        services.agreements.confirm(agreement.id, party, officers[party])
    for party in agreement.parties:
        key = signer if party == RESCUE else Ed25519Signer.generate()
        node = NodeId(f"node-{party}")
        services.departments.register_key(party, key.public_key, node, PLATFORM_ACTOR)
        confirmed = services.agreements.get(agreement.id)
        services.agreements.sign(
            agreement.id,
            key_id=key.key_id,
            signature=key.sign(confirmed.signing_bytes()),
            actor=Actor(kind=ActorKind.NODE, id=node, department=party),
        )
    return made.id


def application(services: Services, department: DepartmentCode) -> dict[str, str]:
    """Return the header with which an application of a department calls."""
    made = services.identity.create_application(name="应急", department=department, actor=PLATFORM_ACTOR)
    token = services.identity.token_for_application(made.application.client_id, made.client_secret)
    return {"Authorization": f"Bearer {token.access_token}"}


def test_an_application_reads_what_its_agreement_allows_and_leaves_evidence(
    world: Map, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OWSLib keeps the headers of one client for all that follow.
    monkeypatch.setattr(ogcapi, "REQUEST_HEADERS", dict(ogcapi.REQUEST_HEADERS))
    services = world.hub.services
    before = len(services.ledger.entries(kind=EntryKind.ACCESS, limit=100).rows)
    bearer = application(services, SCHOOLS)
    stated = bearer | {"Datong-Purpose": quote(ITEM), "Datong-Case-Number": "YJ-1"}
    client = Features(world.root, headers=stated)
    assert client.feature_collections() == ["closed_facility", "facility", "geography"]
    assert client.collection("closed_facility")["description"].startswith("第 1 版，1 个要素")
    page = client.collection_items("closed_facility")
    (depot,) = page["features"]
    assert page["numberMatched"] == 1, "the other one stands where another source says"
    assert depot["properties"] == {"facility_code": "SS-0009", "facility_name": "应急物资库"}
    assert depot["geometry"]["coordinates"] == [115.4, 20.5]
    assert client.collection_item("closed_facility", depot["id"])["id"] == depot["id"]
    everything = services.library.spatial.page("closed_facility", FeatureQuery())
    other = next(one.entity_id for one in everything.features if one.entity_id != depot["id"])
    entries = services.ledger.entries(kind=EntryKind.ACCESS, limit=100).rows
    assert len(entries) == before + 2
    facts = entries[0].facts
    assert (facts["consumer"], facts["provider"], facts["rows"], facts["service_item"]) == (SCHOOLS, RESCUE, 1, ITEM)
    assert facts["items"] == ["lat", "lon", "name", "no"]
    with world.hub.visitor(**stated) as caller:
        items = "/ogc/collections/closed_facility/items"
        answer = caller.get(items, params={"facility_code": "SS-0009"})
        assert answer.json()["numberMatched"] == 1
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["datong-access"]
        assert caller.get(items, params={"facility_code": "SS-0001"}).json()["numberMatched"] == 0
        assert caller.get(items, params={"bbox": "115.1,20.5,115.3,20.7"}).json()["numberMatched"] == 0
        assert caller.get(f"{items}/{other}").status_code == 404
        assert caller.get(items, params={"datetime": "2025-01-01/.."}).status_code == 400
        assert caller.get(items, params={"phone": "13800000002"}).status_code == 400
        assert caller.get("/ogc/collections/closed_geography/items").status_code == 403
    with world.hub.visitor(**bearer | {"Datong-Purpose": "other", "Datong-Case-Number": "YJ-1"}) as caller:
        refused = caller.get(items)
        assert (refused.status_code, refused.json()["code"]) == (403, "sharing.access_refused")
        assert services.ledger.entries(kind=EntryKind.REFUSAL, limit=1).rows[0].facts["service_item"] == "other"
    with world.hub.visitor(**bearer) as caller:
        assert caller.get(items).status_code == 403, "neither purpose nor case number"
    with world.hub.visitor(**application(services, RESCUE)) as stranger:
        assert stranger.get(items).status_code == 403
        assert "closed_facility" not in stranger.get("/ogc/collections").text


def test_what_was_wrong_with_a_place_is_on_record(world: Map) -> None:
    (quality,) = world.hub.services.library.report("geography").sources
    assert quality.flags["geometry"] == {"malformed": 1}
    assert quality.flags["longitude"] == {"out_of_range": 1}
    found = world.hub.services.library.spatial.collection("geography")
    assert (found.features, found.shapes) == (len(rows()), len(world.drawn) + 1)


def test_owslib_reads_the_library(world: Map) -> None:
    client = Features(world.root)
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in client.conformance()["conformsTo"]
    assert client.feature_collections() == ["facility", "geography"]
    assert client.api()["openapi"].startswith("3.0")
    described = client.collection("geography")
    assert described["extent"]["spatial"]["bbox"] == [pytest.approx(shapely.total_bounds(list(world.drawn.values())))]
    page = client.collection_items("geography", **dict[str, Any](limit=7))
    assert page["numberMatched"] == len(rows())
    assert page["numberReturned"] == 7
    (street,) = client.collection_items("geography", **dict[str, Any](division_code="440604012"))["features"]
    assert street["properties"]["division_name"] == "祖庙街道"
    assert shapely.equals(shapely.geometry.shape(street["geometry"]), world.drawn["440604012"])
    assert client.collection_item("geography", "440604012")["id"] == "440604012"


def test_gdal_reads_every_feature_with_its_shape(world: Map, tmp_path: Path) -> None:
    told = subprocess.run(
        ["ogrinfo", "-so", "-al", f"OAPIF:{world.root}"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert f"Feature Count: {len(rows())}" in told
    assert "division_name: String" in told
    target = tmp_path / "out.geojson"
    subprocess.run(
        ["ogr2ogr", "-oo", "PAGE_SIZE=10", str(target), f"OAPIF:{world.root}", "geography"], timeout=60, check=True
    )
    features = json.loads(target.read_text())["features"]
    shapes = {
        f["properties"]["division_code"]: shapely.geometry.shape(f["geometry"]) for f in features if f["geometry"]
    }
    assert len(features) == len(rows())
    assert shapes.keys() == world.drawn.keys() | {HALL[0]}
    assert all(shapely.equals_exact(shapes[code], world.drawn[code], 1e-6, normalize=True) for code in world.drawn)


def test_pages_link_to_each_other_until_all_is_read(world: Map) -> None:
    address: str | None = f"{world.root}/collections/geography/items?limit=20&division_level=4"
    seen: list[str] = []
    while address:
        page = world.visitor.get(address).raise_for_status().json()
        seen += [feature["id"] for feature in page["features"]]
        address = next((one["href"] for one in page["links"] if one["rel"] == "next"), None)
        assert page["numberMatched"] == len([code for code in world.drawn if len(code) == 9])
    assert seen == sorted(code for code in world.drawn if len(code) == 9)


@pytest.mark.parametrize("seed", range(12))
def test_a_box_meets_what_its_shape_meets(world: Map, seed: int) -> None:
    dice = np.random.default_rng(seed)
    west, east = np.sort(dice.uniform(114.95, 115.65, 2))
    south, north = np.sort(dice.uniform(20.35, 20.9, 2))
    expected = {
        code for code, shape in world.drawn.items() if shapely.intersects(shape, shapely.box(west, south, east, north))
    }
    if shapely.intersects_xy(shapely.box(west, south, east, north), 115.2, 20.6):
        expected.add(str(HALL[0]))
    assert {f["id"] for f in world.items(bbox=f"{west},{south},{east},{north}")["features"]} == expected
    swapped = world.items(**{"bbox": f"{south},{west},{north},{east}", "bbox-crs": CRS_4490})
    assert {f["id"] for f in swapped["features"]} == expected


def test_a_box_across_the_antimeridian_has_two_parts(world: Map) -> None:
    assert world.items(bbox="170,-10,-170,10")["numberMatched"] == 0
    everywhere = world.hub.services.library.spatial.page(
        "geography", FeatureQuery(box=Box(west=115, south=-90, east=114.99, north=90), limit=1000)
    )
    assert everywhere.matched == len(world.drawn) + 1


@pytest.mark.parametrize(
    ("asked", "matched"),
    [
        ("2025-07-01T00:00:00Z", 1),
        ("2025-06-01", -1),
        ("2025-06-15T00:00:00+08:00/..", 1),
        ("../2025-06-15", -1),
        ("2026-01-01T00:00:00Z/", 0),
    ],
)
def test_times_select_by_the_last_observation(world: Map, asked: str, matched: int) -> None:
    page = world.items(datetime=asked, limit="1")
    assert page["numberMatched"] == (matched if matched >= 0 else len(rows()) - 1)


def test_coordinates_come_in_the_order_of_the_system_asked_for(world: Map) -> None:
    answer = world.get("/collections/geography/items/440604012", crs=CRS_4490)
    assert answer.headers["content-crs"] == f"<{CRS_4490}>"
    latitude, longitude = answer.json()["geometry"]["coordinates"][0][0]
    assert latitude < 25 < longitude
    plain = world.get("/collections/geography/items/440604012")
    assert plain.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    assert shapely.is_ccw(shapely.geometry.shape(plain.json()["geometry"]).exterior)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "limit=1&limit=2", "bbox=1,2,3", "bbox=1,2,3,nan", "bbox=0,50,0,40",
     "bbox=0,0,0,1e400", "datetime=yesterday", "datetime=../..", "datetime=2025-02-30T00:00:00Z",
     "datetime=2025-01-02/2025-01-01", "crs=EPSG:3857", "bbox-crs=x", "person_name=x", "f=html", "after=-1"],
)  # fmt: skip
def test_parameters_that_cannot_be_used_are_named(world: Map, query: str) -> None:
    answer = world.visitor.get(f"/ogc/collections/geography/items?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == query.partition("=")[0]


def test_what_is_not_open_is_for_those_whom_the_policy_lets_read(world: Map) -> None:
    path = "/ogc/collections/closed_geography/items"
    visitor = world.visitor
    assert visitor.get(path).status_code == 404
    assert visitor.get(path).json()["code"] == visitor.get("/ogc/collections/nothing/items").json()["code"]
    with world.hub.visitor() as steward:
        signed = steward.post("/api/v1/session", json={"username": "steward", "password": PASSWORD})
        assert signed.status_code < 300, signed.text
        assert steward.get(path).json()["numberMatched"] == len(rows())
        listed = [one["id"] for one in steward.get("/ogc/collections").json()["collections"]]
    assert listed == ["closed_facility", "closed_geography", "facility", "geography"]


def test_answers_are_cached_by_their_tag_and_readable_from_any_site(world: Map) -> None:
    first = world.get("/collections/geography/items", limit="2")
    assert first.headers["access-control-allow-origin"] == "*"
    again = world.visitor.get(first.url, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert world.visitor.head("/ogc/").status_code == 200
    definition = world.get("/api").json()
    items = definition["paths"]["/collections/geography/items"]["get"]["parameters"]
    assert {"bbox", "datetime", "limit", "division_code"} <= {parameter["name"] for parameter in items}


def inside(ring: list[tuple[int, int]], x: int, y: int) -> bool | None:
    """Return whether a ring of whole numbers holds a point, None if it lies on the ring; exact, by crossings."""
    odd = False
    for (ax, ay), (bx, by) in zip(ring, ring[1:], strict=False):
        side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if side == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return None
        if (ay > y) != (by > y) and (side > 0) == (by > ay):
            odd = not odd
    return odd


def test_points_lie_where_exact_arithmetic_puts_them(world: Map) -> None:
    spatial = world.hub.services.library.spatial
    million = 1_000_000
    rings = {
        code: [(round(x * million), round(y * million)) for x, y in shapely.get_coordinates(shape).tolist()]
        for code, shape in world.drawn.items()
    }
    dice = np.random.default_rng(5)
    xs, ys = dice.integers(114_990_000, 115_590_000, 600), dice.integers(20_390_000, 20_840_000, 600)
    table = spatial.locate(pa.array(xs / million), pa.array(ys / million))
    for place, (x, y) in enumerate(zip(xs.tolist(), ys.tolist(), strict=True)):
        answers = {code: inside(ring, x, y) for code, ring in rings.items()}
        if None in answers.values():
            continue
        holding = sorted((code for code, held in answers.items() if held), key=len)
        row = table.slice(place, 1).to_pylist()[0]
        assert row["division_code"] == (holding[-1] if holding else None)
        expected: list[str | None] = [*holding] or [None] * 3
        assert [row[f"level_{level}"] for level in (2, 3, 4)] == expected
        if place < 60:
            assert [d.code for d in spatial.divisions_at(x / million, y / million)] == (
                ["440000", *holding] if holding else []
            )


def test_a_point_on_a_border_has_one_division_in_both_forms(world: Map) -> None:
    spatial = world.hub.services.library.spatial
    corners = np.unique(np.concatenate([shapely.get_coordinates(shape) for shape in world.drawn.values()]), axis=0)[::9]
    table = spatial.locate(pa.array(corners[:, 0]), pa.array(corners[:, 1]))
    for (x, y), code in zip(corners.tolist(), table.column("division_code").to_pylist(), strict=True):
        assert spatial.divisions_at(x, y)[-1].code == code


def test_points_without_coordinates_lie_nowhere(world: Map) -> None:
    spatial = world.hub.services.library.spatial
    longitudes = pa.array(np.array([0, 115.2, np.nan, 115.2]), mask=np.array([True, False, False, False]))
    latitudes = pa.array(np.array([20.6, 0, 20.6, 20.6]), mask=np.array([False, True, False, False]))
    table = spatial.locate(longitudes, latitudes)
    assert table.column("division_code").to_pylist() == [None, None, None, HALL[0]]
    assert spatial.divisions_at(0, 0) == ()
    chain = spatial.divisions_at(115.2, 20.6)
    assert [found.code for found in chain] == ["440000", "440600", "440604", "440604012", HALL[0]]
    assert (chain[0].drawn, chain[-1].drawn) == (False, True)
    assert [found.name for found in chain][-1] == HALL[1]


def test_rest_says_which_divisions_hold_a_point(world: Map) -> None:
    with world.hub.visitor(Origin=world.hub.url) as steward:
        steward.post("/api/v1/session", json={"username": "steward", "password": PASSWORD}).raise_for_status()
        found = steward.get("/api/v1/divisions/at", params={"longitude": "115.2", "latitude": "20.6"}).json()
        assert [division["code"] for division in found][-1] == HALL[0]
        points = [[115.2, 20.6], [0, 0]]
        assert steward.post("/api/v1/divisions/at", json={"points": points}).json()["division_codes"] == [HALL[0], None]
        assert steward.post("/api/v1/divisions/at", json={"points": [[1, 2, 3]]}).status_code == 422
        assert steward.get("/api/v1/divisions/at", params={"longitude": "nan", "latitude": "0"}).status_code == 422
    assert world.visitor.get("/api/v1/divisions/at").status_code == 401


def test_rest_reads_free_addresses_by_the_published_names(world: Map) -> None:
    with world.hub.visitor(Origin=world.hub.url) as steward:
        steward.post("/api/v1/session", json={"username": "steward", "password": PASSWORD}).raise_for_status()
        body = {"addresses": ["禅城区祖庙街道汾江路12号3栋2单元101室", "没有"], "home": "4406"}
        home, nothing = steward.post("/api/v1/addresses/parse", json=body).raise_for_status().json()
    assert (home["division_code"], home["road"], home["room"]) == ("440604012", "汾江路", "101")
    assert (nothing["division_code"], nothing["confidence"]) == (None, 0)


def test_facilities_of_two_departments_are_features_with_the_place_of_either(world: Map) -> None:
    page = world.get("/collections/facility/items").json()
    found = {feature["properties"]["facility_name"]: feature for feature in page["features"]}
    assert page["numberMatched"] == len(found) == 3
    hall = found["政务服务中心"]
    assert hall["properties"]["facility_code"] == "SS-0001"
    assert hall["geometry"]["coordinates"] == [115.2001, 20.6001], "a shape goes before coordinates"
    assert found["第一小学"]["geometry"]["coordinates"] == [115.3, 20.7]
    assert found["充电站"]["geometry"] is None
    near = world.get("/collections/facility/items", bbox="115.19,20.59,115.21,20.61").json()
    assert [feature["id"] for feature in near["features"]] == [hall["id"]]
