"""A citizen's correction, through public interfaces only: REST, the command line, the departments' own databases.

The police have a citizen's telephone wrong. The citizen reports it; the police answer and correct their own database;
the change goes through exchange; the golden record, its lineage and the quality score follow; the education bureau,
which subscribes to the same stream, has it too; and the citizen sees it closed, with evidence to take home. Meanwhile
the education bureau had handled a case with the wrong value: that answer is found again, with the datum, its source and
its age, and who may not know of it is told nothing.
"""

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from typer.testing import CliRunner

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.app.background import Background
from datong.app.hub import Hub
from datong.catalogue import ResourceContent
from datong.cli import correction, ledger
from datong.kernel import PLATFORM_ACTOR, Settings
from datong.kernel.tls import tls_context
from datong.node import NodeSetup
from datong.sharing import Role
from datong.web.application import create_app
from tests.exchange_node import program_of
from tests.integration.web.test_story import content

Json = Any
BUREAU, POLICE, EDUCATION = "114406000000000193", "12440600456000017N", "524406005000000158"
HEALTH = "12440600456000332A"
PASSWORD = "correct horse battery"
LI = "110101200002290042"
WRONG, RIGHT = "1380000", "13800001111"
PEOPLE = (
    ("R1", "王丽", "110101199003070011", "13900002222", "2026-01-01 08:00:00"),
    ("R2", "李强", LI, WRONG, "2026-01-01 08:00:00"),
    ("R3", "张伟", "370102198502150024", "13700003333", "2026-01-01 08:00:00"),
)
COLUMNS = (
    ("id", "登记编号", "record_id"),
    ("xm", "姓名", "person_name"),
    ("sfzh", "公民身份号码", "citizen_id"),
    ("dh", "联系电话", "phone"),
    ("gxsj", "更新时间", "updated_at"),
)
PATIENCE_SECONDS = 240


def eventually(find: Callable[[], Json]) -> Json:
    """Return what `find` finds as soon as it finds something."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := find()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)
    return found


class City:
    """A running hub, three departments with their nodes and databases, and the people who use it."""

    def __init__(self, folder: Path, url: str, hub: Hub) -> None:
        self.folder, self.url = folder, url
        hub.services.identity.create_account(
            username="operator",
            password=PASSWORD,
            name="operator",
            roles=frozenset({Role.OPERATOR}),
            actor=PLATFORM_ACTOR,
        )
        self.operator = self.signed_in("operator")
        for code, name in ((BUREAU, "政数局"), (POLICE, "公安局"), (EDUCATION, "教育局")):
            text = {"zh": name, "en": name}
            body = {"code": code, "name": text, "short_name": text, "is_authority": code == BUREAU}
            self.post(self.operator, "departments", body)
        self.authority = self.person("authority", ["authority", "data_officer"], BUREAU)
        self.police = self.person("police", ["data_officer", "department_head"], POLICE)
        self.education = self.person("education", ["data_officer"], EDUCATION)
        self.auditor = self.person("auditor", ["auditor"], BUREAU)
        self.citizen = self.person("citizen", ["citizen"], None, citizen_id=LI)
        self.source = folder / "police.sqlite"
        with sqlite3.connect(self.source) as database:
            database.execute(
                "CREATE TABLE people (id TEXT PRIMARY KEY, xm TEXT NOT NULL, sfzh TEXT, dh TEXT, gxsj TEXT NOT NULL)"
            )
            database.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", PEOPLE)
        self.received = folder / "education.sqlite"
        sqlite3.connect(self.received).close()
        self.nodes = {"police": self.node("police", POLICE), "education": self.node("education", EDUCATION)}

    def signed_in(self, username: str) -> str:
        body = {"username": username, "password": PASSWORD}
        answer = httpx.post(f"{self.url}/api/v1/session", json=body, timeout=120, verify=tls_context(self.url))
        return str(answer.raise_for_status().json()["token"])

    def person(self, username: str, roles: list[str], department: str | None, *, citizen_id: str | None = None) -> str:
        body = {
            "username": username,
            "password": PASSWORD,
            "name": username,
            "roles": roles,
            "department": department,
            "citizen_id": citizen_id,
        }
        self.post(self.operator, "people", body)
        return self.signed_in(username)

    def call(self, method: str, token: str, path: str, body: Json = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        address = f"{self.url}/api/v1/{path}"
        return httpx.request(method, address, json=body, headers=headers, timeout=120, verify=tls_context(self.url))

    def post(self, token: str, path: str, body: Json) -> Json:
        answer = self.call("POST", token, path, body)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    def get(self, token: str, path: str) -> Json:
        answer = self.call("GET", token, path)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    def page(self, token: str, path: str, language: str) -> str:
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": language}
        answer = httpx.get(f"{self.url}/{path}", headers=headers, timeout=30, verify=tls_context(self.url))
        return answer.raise_for_status().text

    def node(self, name: str, department: str) -> str:
        enrolment = self.post(self.operator, "enrolments", {"department": department})
        setup = NodeSetup(
            directory=self.folder / f"{name}-node",
            load_signer=load_or_create_signer,
            open_connector=open_connector,
            open_target=open_target,
        )
        identity = setup.enrol(hub_url=self.url, token=enrolment["token"], name=name)
        database = f"sqlite:///{self.source if name == 'police' else self.received}"
        setup.add_source(name="main", url=database, writable=name == "education")
        return str(identity.node_id)

    def work(self, name: str) -> None:
        """Let a node do what waits for it."""
        program = program_of(self.folder / f"{name}-node", lambda _: None)
        client = program.client()
        try:
            loop = program.loop(client, lambda _: None)
            loop.round(0)
            while not client.work(0).is_empty:
                loop.round(0)
        finally:
            client.close()

    def publish(self) -> str:
        """Publish the police's table as a resource."""
        content = ResourceContent.model_validate(content_of(self.nodes["police"]))
        client = program_of(self.folder / "police-node", lambda _: None).client()
        resource = str(client.draft_resource(content).id)
        client.close()
        steps = ((self.police, "sign_off"), (self.police, "submit"), (self.authority, "approve"))
        for token, action in (*steps, (self.authority, "publish")):
            self.post(token, f"resources/{resource}/actions", {"action": action})
        return resource

    def agree(self, resource: str, token: str) -> Json:
        """Request the resource for a department, confirm it on both sides, and let the nodes sign."""
        now = datetime.now(UTC)
        purpose = {
            "legal_basis": "《政务数据共享条例》",
            "scene": "核对人口信息",
            "scope": "本部门",
            "modes": ["interface", "bulk"],
            "valid_from": (now - timedelta(minutes=1)).isoformat(),
            "valid_until": (now + timedelta(days=300)).isoformat(),
            "service_item": "人口信息核对",
        }
        lines = [{"resource_id": resource, "items": [column for column, _, _ in COLUMNS]}]
        (request,) = self.post(token, "requests", {"lines": lines, "purpose": purpose})["requests"]
        for party in (self.police, token):
            self.post(party, f"agreements/{request['agreement_id']}/confirm", {})
        for name in self.nodes:
            self.work(name)
        agreement = self.get(token, f"agreements/{request['agreement_id']}")
        assert agreement["state"] == "active"
        return agreement

    def subscribe(self, resource: str) -> str:
        """Create the library's task, with the education bureau as a subscriber of its stream."""
        ours, theirs = self.agree(resource, self.authority), self.agree(resource, self.education)
        draft = {
            "agreement_id": ours["id"],
            "resource_id": resource,
            "resource_version": ours["resource_version"],
            "provider": POLICE,
            "consumer": BUREAU,
            "producer_node": self.nodes["police"],
            "consumer_node": None,
            "source": "main",
            "table": "people",
            "columns": [{"column": column, "item": name} for column, name, _ in COLUMNS],
            "key_columns": ["id"],
            "cursor_column": "gxsj",
            "mode": "increment",
        }
        task = self.post(self.authority, "tasks", draft)["id"]
        subscription = {
            "agreement_id": theirs["id"],
            "consumer": EDUCATION,
            "consumer_node": self.nodes["education"],
            "target_table": "residents",
        }
        self.post(self.education, f"tasks/{task}/subscriptions", subscription)
        return str(task)

    def transfer(self, task: str) -> None:
        """Move what is new from the police to the hub and on to the education bureau."""
        self.post(self.authority, f"tasks/{task}/actions", {"action": "run"})
        for name in self.nodes:
            self.work(name)
        eventually(lambda: self.get(self.authority, f"tasks/{task}")["progress"]["receipted_batches"])

    def build(self) -> int:
        """Build the population library and return its version."""
        build = self.post(self.authority, "libraries/population/builds", {})["id"]

        def finished() -> Json:
            found = self.get(self.authority, f"builds/{build}")
            assert found["state"] != "failed", found["error"]
            return found if found["state"] == "published" else None

        return int(eventually(finished)["version"])

    def handle_case(self, number: str) -> str:
        """Let the education bureau handle a case of its service item for Li; return the item's id."""
        text = {"zh": "联系电话核对", "en": "Check of a telephone"}
        field = {"name": text, "material": "联系方式证明", "element": "phone", "sheets": 1}
        item = {"code": "人口信息核对", "name": text, "department": EDUCATION, "annual_cases": 10, "fields": [field]}
        registered = str(self.post(self.education, "service-items", item)["id"])
        case = {"applicant": LI, "case_number": number}
        form = self.post(self.education, f"service-items/{registered}/cases", case)
        assert form["materials"][0]["fields"][0]["values"], form
        return registered

    def telephone(self) -> tuple[str, Json, Json]:
        """Return Li's entity, the golden telephone's cell, and the police's quality."""
        (hit,) = self.get(self.authority, f"libraries/population/entities?query={LI}")
        view = self.get(self.authority, f"libraries/population/entities/{hit['entity_id']}")
        (quality,) = self.get(self.authority, "libraries/population/quality")
        return hit["entity_id"], view["cells"]["phone"], quality


def content_of(node: str) -> Json:
    """Return a complete description of the police's table."""
    title = {"zh": "人口联系信息", "en": "Contacts of residents"}
    shared = {"share_type": "1", "share_modes": ["interface", "bulk"]}
    return content(node) | {
        "title": title,
        "summary": title,
        "items": [
            {
                **shared,
                "grade": "L2",
                "data_type": "C",
                "length": 40,
                "name": {"zh": name, "en": column},
                "column": column,
                "element": element,
                "key": column == "id",
            }
            for column, name, element in COLUMNS
        ],
    }


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """Serve the whole hub, its background work included, on a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        hub = Hub(Settings(home=tmp_path / "hub", port=port))
        background = Background(hub)
        server = uvicorn.Server(uvicorn.Config(create_app(hub.services), log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        background.start()
        eventually(lambda: server.started)
        try:
            yield City(tmp_path, f"http://127.0.0.1:{port}", hub)
        finally:
            server.should_exit = True
            thread.join()
            background.stop()
            hub.close()


def test_a_correction_reaches_golden_record_lineage_quality_and_subscriber(city: City) -> None:
    resource = city.publish()
    task = city.subscribe(resource)
    city.transfer(task)
    assert city.build() == 1
    entity, before, quality_before = city.telephone()
    assert before["flag"] == "malformed"
    assert received(city) == WRONG

    item = city.handle_case("JY-2026-1")

    # The citizen sees the own record and reports; nobody else's report is open to them.
    record = city.get(city.citizen, "me/record")
    assert {cell["element"]: cell["value"] for cell in record["cells"]}["citizen_id"] == LI
    cell = {"of": "own", "element": "phone"}
    claim = {"believed": RIGHT, "statement": "电话少登记了四位"}
    made = city.post(city.citizen, "corrections", {"cell": cell, "claim": claim})["correction"]
    assert (made["provider"], made["consumer"], made["state"]) == (POLICE, None, "reported")
    assert city.call("GET", city.education, f"corrections/{made['id']}").status_code == 403
    hidden = city.get(city.auditor, f"corrections/{made['id']}")["correction"]
    assert (hidden["content"], hidden["acts"][0]["statement"]) == (None, "")

    # The police find it in their list, and the flawed row too; they answer on the command line.
    (listed,) = json.loads(commanded(city, city.police, correction.app, "list", "--waiting", "--json"))["rows"]
    assert listed["correction"]["content"]["believed"] == RIGHT
    rows = f"libraries/population/quality/{resource}/rows?element=phone&flag=malformed"
    assert [row["row_key"] for row in city.get(city.police, rows)] == ["R2"]
    assert city.call("GET", city.authority, rows).status_code == 403
    commanded(city, city.police, correction.app, "act", made["id"], "accept")

    # They correct their own database; the next run carries it; the library is built anew.
    with sqlite3.connect(city.source) as database:
        database.execute("UPDATE people SET dh = ?, gxsj = '2026-02-02 08:00:00' WHERE id = 'R2'", (RIGHT,))
    city.transfer(task)
    assert city.build() == 2
    closed = eventually(
        lambda: next((one for one in [city.get(city.citizen, f"corrections/{made['id']}")] if is_closed(one)), None)
    )
    sight = closed["correction"]["sight"]
    assert (sight["version"], sight["golden"], sight["as_believed"]) == (2, True, True)
    assert closed["correction"]["content"]["seen"] == RIGHT
    assert {one["department"]: one["received"] for one in closed["reached"]} == {BUREAU: True, EDUCATION: True}
    assert (closed["reached_total"], closed["reached_received"]) == (2, 2)

    same, after, quality_after = city.telephone()
    assert same == entity
    assert (after["value"], after["flag"], after["row_key"]) == (RIGHT, None, "R2")
    assert after["batch_id"] == sight["batch_id"] != before["batch_id"]
    assert quality_after["dimensions"]["conformity"] > quality_before["dimensions"]["conformity"]
    assert quality_after["overall"] > quality_before["overall"]
    history = city.get(city.police, f"libraries/population/quality/{resource}")
    assert [one["score"]["version"] for one in history] == [1, 2]
    assert city.get(city.police, rows) == []
    assert received(city) == RIGHT
    city.handle_case("JY-2026-2")
    whom_it_reached(city, made["id"], item, str(before["batch_id"]))

    # The evidence: every act is in the log, none of it holds a value, and the citizen's proof verifies offline.
    entries = eventually(lambda: all_logged(city))
    assert [entry["facts"]["action"] for entry in entries] == ["close", "see", "accept", "report"]
    assert not any(value in json.dumps(entries) for value in (WRONG, RIGHT, LI, "李强"))
    proof = city.folder / "proof.json"
    proof.write_text(json.dumps(city.get(city.citizen, f"corrections/{made['id']}/acts/2/proof")))
    told = CliRunner().invoke(ledger.app, ["verify", str(proof)])
    assert told.exit_code == 0, told.output
    report = city.post(city.authority, "monitor/runs", {})
    assert report["opened"] == []
    (line,) = [one for one in city.get(city.authority, "indicators")["departments"] if one["department"] == POLICE]
    value = next(one for one in line["values"] if one["key"] == "correction_on_time_rate")
    assert (value["counted"], value["base"]) == (1, 1)


def whom_it_reached(city: City, report: str, item: str, batch: str) -> None:
    """The answer that held the wrong value is found again, and each is told of it what it may know."""
    path = f"corrections/{report}/uses"
    seen = city.get(city.authority, path)
    assert (seen["value"], seen["provider"], seen["state"]) == (WRONG, POLICE, "closed")
    (use,) = seen["uses"]
    assert (use["department"], use["item_id"], use["told"], use["version"]) == (EDUCATION, item, "wrong", 1)
    assert (use["batch_id"], use["observed_at"], use["case_number"]) == (batch, "2026-01-01 08:00:00", None)
    (origin,) = seen["origins"]
    assert (origin["batch_id"], origin["department"], origin["node_id"]) == (batch, POLICE, city.nodes["police"])
    elapsed = datetime.fromisoformat(use["at"]) - datetime.fromisoformat(origin["produced_at"])
    assert use["age_seconds"] == int(elapsed.total_seconds())
    assert seen["corrected_at"] > use["at"]
    assert [(one["department"], one["received"]) for one in seen["copies"]] == [(EDUCATION, True)]
    assert [(one["department"], one["wrong"], one["maybe"]) for one in seen["departments"]] == [(EDUCATION, 1, 0)]

    # The department that relied on it sees its own case; the source that it did; an auditor no value; others nothing.
    assert city.get(city.education, path)["uses"][0]["case_number"] == "JY-2026-1"
    assert city.get(city.education, path)["value"] == WRONG, "its agreement shows telephones as they are"
    (notice,) = eventually(lambda: of_uses(city, city.education, path))
    assert "corrected" in notice["what"]["en"]
    assert (of_uses(city, city.police, path), of_uses(city, city.authority, path)) == ([], [])
    source = city.get(city.police, path)
    assert [(one["department"], one["case_number"]) for one in source["uses"]] == [(EDUCATION, None)]
    audited = city.get(city.auditor, path)
    assert (audited["shown"], audited["value"], len(audited["uses"])) == (False, None, 1)
    assert [one["case_number"] for one in city.get(city.citizen, path)["uses"]] == ["JY-2026-1"]
    text = {"zh": "卫健局", "en": "Health"}
    body = {"code": HEALTH, "name": text, "short_name": text, "is_authority": False}
    city.post(city.operator, "departments", body)
    outsider = city.person("health", ["data_officer"], HEALTH)
    assert city.call("GET", outsider, path).status_code == 403

    # It is found from the service item, too; what the item obtained after the correction is not on the list.
    (listed,) = city.get(city.education, f"service-items/{item}/wrong-values")
    assert (listed["correction_id"], listed["uses_total"]) == (report, 1)
    assert city.call("GET", outsider, f"service-items/{item}/wrong-values").status_code == 403
    for language, said in (("zh", "答复所依据的就是该值"), ("en", "answered with the value")):
        assert said in city.page(city.authority, path, language)
        assert "JY-2026-1" in city.page(city.education, path, language)
        assert report in city.page(city.education, f"service-items/{item}/wrong-values", language)
    told = commanded(city, city.authority, correction.app, "uses", report)
    assert batch in told
    assert EDUCATION in told


def of_uses(city: City, token: str, path: str) -> Json:
    """Return the notices that lead to whom the value reached."""
    notices = city.get(token, "notices?topic=correction")["rows"]
    return [one for one in notices if one["address"] == f"/{path}" and "corrected" in one["what"]["en"]]


def is_closed(view: Json) -> bool:
    return bool(view["correction"]["state"] == "closed")


def all_logged(city: City) -> Json:
    rows = city.get(city.auditor, "ledger/entries?kind=library.correction")["rows"]
    return rows if len(rows) == 4 and all(row["index"] is not None for row in rows) else None


def received(city: City) -> str:
    """Return Li's telephone as the education bureau has it in its own table."""
    with sqlite3.connect(city.received) as database:
        (value,) = database.execute("SELECT dh FROM residents WHERE id = 'R2'").fetchone()
    return str(value)


def commanded(city: City, token: str, app: Any, *arguments: str) -> str:
    """Run a command of `datong` in somebody's name and return what it prints."""
    environment = os.environ | {"DATONG_HUB": city.url, "DATONG_TOKEN": token}
    told = CliRunner().invoke(app, list(arguments), env=environment)
    assert told.exit_code == 0, told.output
    return told.output
