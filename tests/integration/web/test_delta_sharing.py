"""Delta Sharing as its users use it: the official Python client, unmodified, against a live hub."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from sqlalchemy import insert, update

from datong.kernel import Database, SystemClock, new_id
from datong.library.delta_writing import write_delta
from datong.library.tables import CURRENT, DATASETS
from tests.delta_sharing_client import Call, calls
from tests.integration.web.conftest import EDUCATION, POLICE, RunningHub, running_hub
from tests.integration.web.test_story import Node, agree, posted, publish

FIRST = [("110101199003070011", "王丽", "13800000001"), ("110101200002290042", "张伟", "13800000002")]
SECOND = [("110101199003070011", "王莉", "13800000001"), ("440604198001010014", "赵六", "13800000003")]
TABLE = "公安局.义务教育入学.户籍人口"


class Published:
    """A hub with an agreement in force between police and education, and two versions of the agreed table."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub
        self.operator, self.authority = hub.person("operator"), hub.person("authority")
        self.police, self.education = hub.person("police"), hub.person("education")
        nodes = (Node(hub, self.operator, POLICE), Node(hub, self.operator, EDUCATION))
        self.resource = publish(nodes[0], self.police, self.authority)
        self.agreement = agree(self.resource, self.police, self.education, nodes)
        self.publish_version(1, FIRST)
        self.publish_version(2, SECOND)

    def publish_version(self, version: int, rows: list[tuple[str, str, str]]) -> None:
        """Publish a version as a library build does, but for the build: Delta table, dataset, current version."""
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE rows (id VARCHAR, name VARCHAR, phone VARCHAR, _row_key VARCHAR)")
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", [(*row, row[0]) for row in rows])
            self.publish_rows(version, connection, "FROM rows", len(rows))

    def publish_rows(self, version: int, connection: duckdb.DuckDBPyConnection, query: str, rows: int) -> None:
        """Publish the rows of a query with `id`, `name`, `phone` and `_row_key` as a version."""
        build, name = new_id(), f"resource:{self.resource}"
        delta = f"people/delta/resource_{self.resource}"
        folder = self.hub.services.settings.lake / "library"
        number = write_delta(connection, query, folder / delta, build)
        text = {"zh": "户籍人口", "en": "Registered residents"}
        columns = [{"name": column, "element": None, "title": text} for column in ("id", "name", "phone")]
        details: dict[str, Any] = {
            "resource_id": self.resource,
            "department": POLICE,
            "title": text,
            "open": False,
            "rows": rows,
            "digest": str(version) * 64,
            "columns": columns,
            "key_elements": ["id"],
            "delta_path": delta,
            "delta_version": number,
            "lineage_path": None,
            "lookup_path": "none",
            "entry_id": None,
        }
        with self.hub.services.database.transaction() as control:
            said = {"library": "people", "version": version, "build_id": build}
            control.execute(
                insert(DATASETS).values(name=name, published_at=SystemClock().now(), details=details, **said)
            )
            control.execute(insert(CURRENT).values(**said) if version == 1 else update(CURRENT).values(**said))

    def application(self, client: httpx.Client, department: str) -> str:
        """Register an application and return its client id."""
        made = posted(client, "/api/v1/applications", {"name": "分析平台", "department": department})
        application = made["application"]
        assert isinstance(application, dict)
        return str(application["client_id"])

    def profile(self, client: httpx.Client, client_id: str, folder: Path) -> str:
        """Issue a profile and return where its file is."""
        issued = posted(client, f"/api/v1/applications/{client_id}/profiles", {"days": 30})
        path = folder / f"{client_id}.share"
        path.write_text(json.dumps(issued["file"]))
        return str(path)


@pytest.fixture(scope="module")
def published(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """The published table, on a hub that the tests of this module share."""
    tmp_path = tmp_path_factory.mktemp("delta-sharing")
    file = tmp_path / "control.sqlite"
    file.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{file}")
    with running_hub(database, tmp_path / "hub") as hub:
        yield Published(hub)
    database.close()


def test_the_official_client(published: Published, tmp_path: Path) -> None:
    own = published.application(published.education, EDUCATION)
    profile = published.profile(published.education, own, tmp_path)
    other = published.profile(published.police, published.application(published.police, POLICE), tmp_path)
    wanted: list[Call] = [
        ("tables", [profile], {}),
        ("columns", [profile, TABLE], {}),
        ("version", [profile, TABLE], {}),
        ("load", [profile, TABLE], {}),
        ("load", [profile, TABLE], {"limit": 1}),
        ("load", [profile, TABLE], {"version": 1}),
        ("load", [profile, TABLE], {"jsonPredicateHints": "{]"}),
        ("changes", [profile, TABLE], {"starting_version": 1}),
        ("load", [profile, TABLE], {"version": 7}),
        ("load", [other, TABLE], {}),
    ]
    told, columns, version, rows, limited, old, hinted, changes, unknown, refused = calls(wanted)
    share, schema, table = TABLE.split(".")
    assert told == {"shares": [share], "schemas": [schema], "tables": [table], "all": [TABLE]}
    assert [(field["name"], field["type"]) for field in columns] == [("id", "string"), ("name", "string")]
    assert version == 2
    assert rows == [{"id": row[0], "name": row[1]} for row in SECOND] == hinted
    assert limited == rows[:1]
    assert old == [{"id": row[0], "name": row[1]} for row in FIRST]
    assert sorted((one["name"], one["_change_type"], one["_commit_version"]) for one in changes) == sorted(
        [
            ("王丽", "insert", 1),
            ("张伟", "insert", 1),
            ("王丽", "update_preimage", 2),
            ("王莉", "update_postimage", 2),
            ("张伟", "delete", 2),
            ("赵六", "insert", 2),
        ]
    )
    assert "没有可读的第 7 版" in unknown["error"]
    assert "sharing.table_unknown" in refused["error"]


def test_the_protocol_by_hand(published: Published, tmp_path: Path) -> None:
    hub = published.hub
    client_id = published.application(published.education, EDUCATION)
    profile = json.loads(Path(published.profile(published.education, client_id, tmp_path)).read_text())
    assert profile["shareCredentialsVersion"] == 1
    assert profile["endpoint"] == f"{hub.url}/delta-sharing"
    consumer = hub.client(Authorization=f"Bearer {profile['bearerToken']}")
    share, schema, table = TABLE.split(".")
    path = f"/delta-sharing/shares/{share}/schemas/{schema}/tables/{table}"

    shares = consumer.get("/delta-sharing/shares", params={"maxResults": 0}).json()
    assert shares["items"] == []
    rest = consumer.get("/delta-sharing/shares", params={"pageToken": shares["nextPageToken"]}).json()
    assert [one["name"] for one in rest["items"]] == [share]
    assert consumer.get(f"/delta-sharing/shares/{POLICE}").json()["share"]["name"] == share
    assert consumer.get(f"{path}/version").headers["delta-table-version"] == "2"

    answer = consumer.post(f"{path}/query", json={}, headers={"delta-sharing-capabilities": "responseformat=delta"})
    assert "responseformat=delta" in answer.headers["delta-sharing-capabilities"]
    assert json.loads(answer.text.splitlines()[2])["file"]["deltaSingleAction"]["add"]["size"] > 0
    answer = consumer.post(f"{path}/query", json={})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    protocol, metadata, file = map(json.loads, answer.text.splitlines())
    assert protocol == {"protocol": {"minReaderVersion": 1}}
    assert metadata["metaData"]["configuration"] == {"enableChangeDataFeed": "true"}
    url = file["file"]["url"]
    with hub.client() as anybody:
        assert anybody.get(url).content[:4] == b"PAR1"
        assert anybody.head(url).headers["content-length"] == str(file["file"]["size"])
        part = anybody.get(url, headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"PAR1")
        assert anybody.get(url, headers={"Range": f"bytes={10**9}-"}).status_code == 416
        changed = anybody.get(url.replace("client=", "client=x"))
        assert (changed.status_code, changed.json()["errorCode"]) == (403, "sharing.url_invalid")
        unknown = anybody.get("/delta-sharing/shares")
        assert (unknown.status_code, unknown.json()["errorCode"]) == (401, "web.credentials_missing")
    stranger = hub.client(Authorization=f"Bearer {profile['bearerToken'][:-1]}")
    assert stranger.get("/delta-sharing/shares").json()["errorCode"] == "sharing.profile_invalid"
    for method, below, body in (
        ("POST", "query", b"{]"), ("POST", "query", b"[]"), ("POST", "query", b'{"version": -1}'),
        ("POST", "query", b'{"timestamp": "yesterday"}'), ("GET", "changes?startingVersion=x", None),
        ("GET", "changes", None), ("GET", "version?startingTimestamp=2026-01-01", None),
    ):  # fmt: skip
        wrong = consumer.request(method, f"{path}/{below}", content=body)
        assert (wrong.status_code, set(wrong.json())) == (400, {"errorCode", "message"}), (below, wrong.text)
    assert consumer.get("/delta-sharing/shares", params={"pageToken": "é"}).status_code == 400

    agreement = f"/api/v1/agreements/{published.agreement.id}"
    posted(published.police, f"{agreement}/actions", {"action": "suspend", "reason": "抽查"}, status=200)
    suspended = consumer.post(f"{path}/query", json={})
    assert (suspended.status_code, suspended.json()["errorCode"]) == (403, "sharing.access_refused")
    assert "协议已中止" in suspended.json()["message"]
    assert "suspended" in suspended.json()["message"]
    with hub.client() as anybody:
        assert anybody.get(url).json()["errorCode"] == "sharing.url_agreement_ended"
    posted(published.police, f"{agreement}/actions", {"action": "resume", "reason": "已查清"}, status=200)
    assert consumer.get(url).status_code == 200


def test_the_page_of_the_agreement_hands_out_profiles(published: Published) -> None:
    page = f"/agreements/{published.agreement.id}"
    shown = published.education.get(page)
    assert TABLE in shown.text
    assert "/profile" not in published.police.get(page).text
    issued = published.education.post(f"{page}/profile", data={"name": "统计平台", "days": "7"})
    assert issued.headers["content-disposition"].endswith('.share"')
    assert issued.json()["shareCredentialsVersion"] == 1
    consumer = published.hub.client(Authorization=f"Bearer {issued.json()['bearerToken']}")
    assert [one["name"] for one in consumer.get("/delta-sharing/shares").json()["items"]] == [TABLE.split(".")[0]]
    assert published.police.post(f"{page}/profile", data={"name": "x"}).status_code == 403
    other = published.application(published.police, POLICE)
    assert published.education.post(f"{page}/profile", data={"client_id": other}).status_code == 404


def test_profiles_are_rotated_and_revoked(published: Published) -> None:
    client_id = published.application(published.education, EDUCATION)
    path = f"/api/v1/applications/{client_id}/profiles"
    first, second = (published.education.post(path, json={"replace": replace}).json() for replace in (False, True))
    listed = published.education.get(path).json()
    assert [one["id"] for one in listed] == [second["profile"]["id"], first["profile"]["id"]]
    assert listed[1]["expires_at"] < first["profile"]["expires_at"]
    assert published.police.post(path, json={}).status_code == 403
    assert published.police.get(path).status_code == 403
    token = second["file"]["bearerToken"]
    consumer = published.hub.client(Authorization=f"Bearer {token}")
    assert consumer.get("/delta-sharing/shares").status_code == 200
    revocation = f"/api/v1/profiles/{listed[0]['id']}/revocation"
    assert published.police.post(revocation).status_code == 403
    assert published.education.post(revocation).status_code == 201
    assert published.education.post(revocation).status_code == 404
    assert consumer.get("/delta-sharing/shares").status_code == 401
    for days in (0, 366):
        assert published.education.post(path, json={"days": days}).status_code == 422
