"""A hub as processes: serving and background work apart, on both databases, and killed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from datong.adapters.launcher import Launched
from datong.kernel import Database
from datong.kernel.tls import tls_context
from tests.processes import datong
from tests.servers import free_port

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
        self._environment = os.environ | {
            "DATONG_HOME": str(home),
            "DATONG_PORT": str(self.port),
            "DATONG_DATABASE_URL": database.engine.url.render_as_string(hide_password=False),
            "DATONG_WORK_INSIDE_SERVE": "false",
        }
        self._log = home.with_suffix(".log")
        self.running: dict[str, Launched] = {}

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


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
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
    eventually(lambda: httpx.get(f"{hub.url}/readyz", verify=tls_context(hub.url)).status_code == 200)
    credentials = {"username": "operator", "password": PASSWORD}
    with httpx.Client(base_url=hub.url, verify=tls_context(hub.url)) as person:
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
    eventually(lambda: httpx.get(f"{hub.url}/readyz", verify=tls_context(hub.url)).status_code == 200)
    size = int(person.get("/log/checkpoint").text.split("\n")[1])
    changed = BUREAU | {"short_name": {"zh": "市数据局", "en": "City Data Bureau"}}
    person.post("/api/v1/departments", json=changed).raise_for_status()
    eventually(lambda: int(person.get("/log/checkpoint").text.split("\n")[1]) > size)
    assert len(person.get(keys).json()) == 1, "the authority's key was registered once"
