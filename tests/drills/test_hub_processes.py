"""A hub as processes: serving and background work apart, on both databases, and killed."""

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from datong.adapters.launcher import Launched
from datong.kernel import Database
from datong.kernel.database import METADATA
from datong.kernel.tls import tls_context
from datong.ledger import Ed25519Signer
from datong.sharing import token_request
from tests.free_ports import free_port
from tests.processes import datong

PASSWORD = "an-example-2026"
BUREAU = {
    "code": "114406000000000193",
    "name": {"zh": "示例市数据局", "en": "Data Bureau of Shili"},
    "short_name": {"zh": "数据局", "en": "Data Bureau"},
    "is_authority": True,
}


class HubProcesses:
    """A hub's processes over one control database."""

    def __init__(self, home: Path, database: Database) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment: dict[str, str] = os.environ | {
            "DATONG_HOME": str(home),
            "DATONG_PORT": str(self.port),
            "DATONG_DATABASE_URL": database.engine.url.render_as_string(hide_password=False),
            "DATONG_WORK_INSIDE_SERVE": "false",
        }
        self._log = home.with_suffix(".log")
        self.running: dict[str, Launched] = {}

    def set(self, settings: Mapping[str, str]) -> None:
        """Give the processes that are started from now on further settings."""
        self._environment = {**self._environment, **settings}

    def written(self) -> Iterator[Path]:
        """Yield every file that the processes wrote, the embedded database and the log included."""
        yield from (path for path in self._log.parent.rglob("*") if path.is_file())

    def command(self, *arguments: str) -> None:
        """Run a command of the hub to its end."""
        assert datong("hub", *arguments, log=self._log, environment=self._environment).wait(120) == 0

    def start(self, name: str) -> None:
        """Start `serve` or `work`."""
        self.running[name] = datong("hub", name, log=self._log, environment=self._environment)

    def kill(self, name: str) -> None:
        """End a process as a power cut would."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> dict[str, int]:
        """Ask every process to end and return their exit codes."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(30) for name, process in self.running.items()}


@pytest.fixture
def hub(tmp_path: Path, control_database: Database) -> Iterator[HubProcesses]:
    processes = HubProcesses(tmp_path / "hub", control_database)
    yield processes
    for process in processes.running.values():
        process.kill()
        process.wait()


def eventually(holds: Callable[[], bool], seconds: float = 240.0) -> None:
    """Wait until `holds`, and fail if it never does; connections that are refused meanwhile are part of starting."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            if holds():
                return
        time.sleep(0.1)
    pytest.fail("it never held")


def test_serving_and_working_are_separate_processes_and_either_may_die(hub: HubProcesses) -> None:
    hub.command("init")
    hub.command("create-account", "operator", "--role", "operator", "--password", PASSWORD)
    hub.start("serve")
    eventually(lambda: httpx.get(f"{hub.url}/readyz", timeout=60, verify=tls_context(hub.url)).status_code == 200)
    credentials = {"username": "operator", "password": PASSWORD}
    with httpx.Client(base_url=hub.url, verify=tls_context(hub.url), timeout=60) as person:
        token = person.post("/api/v1/session", json=credentials).raise_for_status().json()["token"]
        person.headers["Authorization"] = f"Bearer {token}"
        work_apart_and_die(hub, person)
    assert hub.stop() == {"serve": 0, "work": 0}


def work_apart_and_die(hub: HubProcesses, person: httpx.Client) -> None:
    """See that evidence is integrated by the worker alone, and goes on after both processes were killed."""
    person.post("/api/v1/departments", json=BUREAU).raise_for_status()
    before = person.get("/log/checkpoint").text
    time.sleep(1.0)
    assert person.get("/log/checkpoint").text == before, "nothing works yet, so nothing is integrated"

    hub.start("work")
    keys = f"/api/v1/departments/{BUREAU['code']}/keys"
    eventually(lambda: len(person.get(keys).json()) == 1)
    eventually(lambda: int(person.get("/log/checkpoint").text.split("\n")[1]) >= 2)

    hub.kill("work")
    hub.kill("serve")
    hub.start("serve")
    hub.start("work")
    eventually(lambda: httpx.get(f"{hub.url}/readyz", timeout=60, verify=tls_context(hub.url)).status_code == 200)
    size = int(person.get("/log/checkpoint").text.split("\n")[1])
    changed = BUREAU | {"short_name": {"zh": "市数据局", "en": "City Data Bureau"}}
    person.post("/api/v1/departments", json=changed).raise_for_status()
    eventually(lambda: int(person.get("/log/checkpoint").text.split("\n")[1]) > size)
    assert len(person.get(keys).json()) == 1, "the authority's key was registered once"


SETTINGS_SECRETS = {
    "DATONG_METRICS_TOKEN": "metrics-5b1d3c-secret",
    "DATONG_OPENLINEAGE_TOKEN": "lineage-77ae02-secret",
    "DATONG_SMTP_PASSWORD": "smtp-90cd41-secret",
}
UNREACHABLE = {
    "DATONG_WORK_INSIDE_SERVE": "true",
    "DATONG_OPENLINEAGE_URL": "http://127.0.0.1:9/lineage",
    "DATONG_SMTP_HOST": "127.0.0.1",
    "DATONG_SMTP_PORT": "9",
    "DATONG_SMTP_SECURITY": "none",
    "DATONG_SMTP_USERNAME": "hub",
    "DATONG_SMTP_SENDER": "hub@datong.example",
}
"""Where what does not answer is complained of in the log."""


def test_no_secret_is_in_the_log_the_database_or_a_file(hub: HubProcesses, control_database: Database) -> None:
    """Everything that lets anybody in, used well and badly, and then looked for wherever the hub writes."""
    hub.set(SETTINGS_SECRETS | UNREACHABLE)
    hub.command("init")
    hub.command("create-account", "operator", "--role", "operator", "--password", PASSWORD)
    hub.start("serve")
    eventually(lambda: httpx.get(f"{hub.url}/readyz", timeout=60, verify=tls_context(hub.url)).status_code == 200)
    secrets = {**SETTINGS_SECRETS, "a password": PASSWORD}
    with httpx.Client(base_url=hub.url, verify=tls_context(hub.url), timeout=60) as http:
        secrets |= used(http)
        misused(http, secrets)
    assert hub.stop() == {"serve": 0}
    places = {str(path): path.read_bytes() for path in hub.written() if path.name != "hub.key"}
    with control_database.snapshot() as connection:
        rows = {table.name: str(connection.execute(select(table)).all()) for table in METADATA.sorted_tables}
    places |= {f"table {name}": content.encode() for name, content in rows.items()}
    assert len(places) > len(rows) + 5
    assert [
        (name, place) for name, one in secrets.items() for place, content in places.items() if one.encode() in content
    ] == []


def used(http: httpx.Client) -> dict[str, str]:
    """Sign in, register a program and a node, get their tokens; return every secret that was handed out."""
    people: dict[str, str] = {}

    def sign_in(username: str) -> dict[str, str]:
        credentials = {"username": username, "password": PASSWORD}
        people[f"session of {username}"] = http.post("/api/v1/session", json=credentials).json()["token"]
        return {"Authorization": f"Bearer {people[f'session of {username}']}"}

    operator = sign_in("operator")
    http.post("/api/v1/departments", json=BUREAU, headers=operator).raise_for_status()
    officer = {"username": "officer", "password": PASSWORD, "name": "王芳", "department": BUREAU["code"]}
    http.post("/api/v1/people", json={**officer, "roles": ["data_officer"]}, headers=operator).raise_for_status()
    program = {"name": "入学系统", "department": BUREAU["code"]}
    made = http.post("/api/v1/applications", json=program, headers=sign_in("officer")).raise_for_status().json()
    form = {"grant_type": "client_credentials", "client_id": made["application"]["client_id"]}
    form["client_secret"] = made["client_secret"]
    token = http.post("/api/v1/oauth/token", data=form).raise_for_status().json()["access_token"]
    enrolment = http.post("/api/v1/enrolments", json={"department": BUREAU["code"]}, headers=operator).json()["token"]
    signer = Ed25519Signer.generate()
    key = base64.b64encode(signer.public_key).decode()
    node = http.post("/api/v1/nodes", json={"enrolment_token": enrolment, "name": "n", "public_key": key}).json()
    said = token_request(signer, node_id=node["node_id"], hub_url=str(http.base_url), now=datetime.now(UTC))
    of_node = http.post("/api/v1/oauth/token", data=said).raise_for_status().json()["access_token"]
    assert http.get("/api/v1/session", headers={"Authorization": f"Bearer {of_node}"}).status_code == 200
    return people | {
        "client secret": made["client_secret"],
        "token of a program": token,
        "enrolment": enrolment,
        "assertion": said["client_assertion"],
        "token of a node": of_node,
    }


def misused(http: httpx.Client, secrets: Mapping[str, str]) -> None:
    """Send secrets where they do not belong, so that errors are told and logged."""
    for one in secrets.values():
        http.post("/api/v1/session", json={"username": one, "password": one, one: one})
        http.post("/api/v1/session", content=f'{{"username": "operator", "password": {one}'.encode())
        http.get(f"/api/v1/resources/{one}", params={"token": one}, headers={"Authorization": f"Bearer {one}x"})
        http.post("/api/v1/oauth/token", data={"grant_type": one, "client_id": one, "client_secret": one})
        http.get(f"/{one}", headers={"Accept": "text/html", "Cookie": f"datong_session={one}"})
