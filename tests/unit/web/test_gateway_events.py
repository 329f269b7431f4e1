"""Subscriptions over HTTP, and events as a stream that a client continues where it left off."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from datong.ledger import EntryKind
from datong.sharing.events import ResourceEvents
from datong.sharing.file_manifests import FileForm, verify_file
from datong.sharing.identity import Identity
from datong.sharing.record_pages import RecordPages
from datong.sharing.shared_files import SharedFiles
from datong.sharing.subscriptions import Subscriptions
from datong.web import Draining, gateway_events
from datong.web.problems import install_problem_handlers
from tests.new_control import new_control
from tests.unit.sharing.samples import POLICE, RESOURCE, person
from tests.unit.sharing.shared_world import FIRST
from tests.unit.sharing.test_quotas import gateway_of
from tests.unit.sharing.test_subscriptions import PURPOSE_CODE, URL, Subscribed
from tests.unit.web.asking import ask, run_apart

STREAM_SECONDS_MAX = 120.0


@dataclass
class Known:
    """The services that the handlers look at."""

    identity: Identity
    events: ResourceEvents
    subscriptions: Subscriptions
    shared_files: SharedFiles
    record_pages: RecordPages


class Hub:
    """An application with the subscriptions alone, and an application's token."""

    def __init__(self, subscribed: Subscribed) -> None:
        self.subscribed = subscribed
        self.world = subscribed.world
        self.headers: dict[str, str] = {}
        self.renew()
        self.app = FastAPI()
        self.app.state.language = "zh"
        self.app.state.draining = Draining()
        files = SharedFiles(
            shares=subscribed.shared.shares,
            releases=subscribed.shared.releases,
            ledger=self.world.ledger,
            signer=self.world.signer,
            folder=subscribed.shared.folder / "downloads",
        )
        pages = RecordPages(
            gateway=gateway_of(self.world), tables=subscribed.shared.tables, clock=self.world.clock, key=b"key"
        )
        self.app.state.services = Known(self.world.identity, subscribed.events, subscribed.hub(), files, pages)
        install_problem_handlers(self.app)
        self.app.include_router(gateway_events.router)

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        self.renew()
        return ask(self.app, method, f"/gateway/v1/{path}", headers=self.headers, json=body)

    def renew(self) -> None:
        """Tokens last ten minutes, and publishing a version takes an hour of the world's clock."""
        made = self.subscribed.application
        token = self.world.identity.token_for_application(made.application.client_id, made.client_secret)
        self.headers["Authorization"] = f"Bearer {token.access_token}"

    def stream(self, until: str, **headers: str) -> str:
        """Listen until `until` was told, then hang up."""
        self.renew()
        said = {**self.headers, **headers}
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/gateway/v1/{RESOURCE}/events",
            "query_string": f"purpose={PURPOSE_CODE}".encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in said.items()],
        }
        heard: list[str] = []

        async def listen() -> None:
            enough = asyncio.Event()

            async def receive() -> Message:
                await enough.wait()
                return {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                heard.append(message.get("body", b"").decode())
                if until in "".join(heard):
                    enough.set()

            await asyncio.wait_for(self.app(scope, receive, send), STREAM_SECONDS_MAX)

        run_apart(listen)
        return "".join(heard)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    database = new_control(tmp_path)
    yield Hub(Subscribed(tmp_path, database))
    database.close()


def test_a_stream_continues_after_the_last_event_id_and_ends_with_the_agreement(hub: Hub) -> None:
    hub.subscribed.shared.publish(FIRST[:1])
    hub.subscribed.shared.publish(FIRST)
    both = hub.stream("id: 3", **{"Last-Event-ID": "1"})
    assert [line for line in both.splitlines() if line.startswith("id: ")] == ["id: 2", "id: 3"]
    told = [json.loads(line[6:]) for line in both.splitlines() if line.startswith("data: ")]
    assert [one["data"]["changes"] for one in told] == [
        {"delete": 1, "insert": 0, "update": 0},
        {"delete": 0, "insert": 1, "update": 0},
    ]
    assert hub.subscribed.accesses() == 2
    assert "id: 2" not in hub.stream("id: 3", **{"Last-Event-ID": "2"})
    assert "id:" not in hub.stream("retry: 2000"), "without a last id only what comes is told"
    assert hub.send("GET", f"{RESOURCE}/events?purpose=another").status_code == 404
    wrong = ask(
        hub.app,
        "GET",
        f"/gateway/v1/{RESOURCE}/events?purpose={PURPOSE_CODE}",
        headers=hub.headers | {"Last-Event-ID": "x"},
    )
    assert wrong.json()["code"] == "web.last_event_id_invalid"
    hub.world.agreements.suspend(hub.subscribed.agreement.id, person(POLICE), "超范围使用")
    assert hub.send("GET", f"{RESOURCE}/events?purpose={PURPOSE_CODE}").status_code == 403
    assert hub.world.ledger.entries(kind=EntryKind.REFUSAL).total == 1


def test_a_subscription_is_made_looked_at_replayed_and_ended(hub: Hub) -> None:
    made = hub.send("POST", f"{RESOURCE}/subscriptions", {"url": URL, "purpose": PURPOSE_CODE})
    assert made.status_code == 201, made.text
    assert made.json()["secret"].startswith("whsec_")
    one = made.json()["subscription"]["id"]
    assert [found["id"] for found in hub.send("GET", f"{RESOURCE}/subscriptions").json()] == [one]
    assert hub.send("GET", f"subscriptions/{one}").json()["state"] == "active"
    assert hub.send("POST", f"subscriptions/{one}/secret").json()["secret"] != made.json()["secret"]
    assert hub.send("POST", f"subscriptions/{one}/replay", {"after": 0}).json() == {"deliveries": 1}
    (due,) = hub.send("GET", f"subscriptions/{one}/deliveries?state=due").json()
    assert due["version"] == 1
    assert hub.send("DELETE", f"subscriptions/{one}").json()["state"] == "ended"
    assert hub.send("POST", f"subscriptions/{one}/replay", {"after": 0}).status_code == 409
    assert hub.send("GET", "subscriptions/nothing").status_code == 404


def test_a_file_is_downloaded_verifies_and_is_gone_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    for form in FileForm:
        answer = hub.send("GET", f"{RESOURCE}/file?purpose={PURPOSE_CODE}&form={form.value}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == form.media_type
        assert form.suffix in answer.headers["content-disposition"]
        path = tmp_path / f"downloaded{form.suffix}"
        path.write_bytes(answer.content)
        assert verify_file(path, log_key=hub.world.signer.public_key).manifest.rows == len(FIRST)
    assert list((hub.subscribed.shared.folder / "downloads").iterdir()) == []
    assert hub.send("GET", f"{RESOURCE}/file?purpose=another").status_code == 404
    assert hub.send("GET", f"{RESOURCE}/file?purpose={PURPOSE_CODE}&form=x").status_code == 422


def test_a_list_is_read_page_by_page(hub: Hub) -> None:
    ask: dict[str, object] = {"items": ["hh"], "purpose": PURPOSE_CODE, "case_number": "RX-1", "limit": 1}
    first = hub.send("POST", f"{RESOURCE}/list", ask).json()
    second = hub.send("POST", f"{RESOURCE}/list", ask | {"page_token": first["next_page_token"]}).json()
    assert [one["rows"] for one in (first, second)] == [[{"hh": "H1"}], [{"hh": "H2"}]]
    assert second["next_page_token"] is None
    assert hub.send("POST", f"{RESOURCE}/list", ask | {"page_token": "x"}).json()["field"] == "/page_token"
    assert hub.send("POST", f"{RESOURCE}/list", ask | {"limit": 0}).status_code == 422
