"""A city asks another for data over the province: three hubs and two nodes as processes, hubs killed on the way."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from benchmarks import agreed
from benchmarks.agreed import BUREAU, CONSUMER, PROVIDER, SERVICE_ITEM

from datong.adapters.launcher import Launched
from datong.app.fsck import check
from datong.app.hub import Hub
from datong.federation import PeerId, PeerState
from datong.kernel import (
    CHINA,
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    Conflict,
    DepartmentCode,
    NotFound,
    Refused,
    ResourceId,
)
from datong.kernel.settings import without_settings
from datong.ledger import EntryKind
from datong.sharing import LiveTerms, Role
from datong.sharing.relay import RelayedDecision, RelayedEnd, RelayedOrder
from tests.integration.federation.hub_processes import PASSWORD, HubProcess, hub_process, settings_of, settle
from tests.processes import datong

CITIZEN = "110101199003070011"
SETTLE_SECONDS_MAX = 120.0
TABLE = "CREATE TABLE hukou (gmsfhm text PRIMARY KEY, xm text, hjdz text)"


@dataclass
class City:
    """A hub process with a department that has a node, and its data officer."""

    hub: HubProcess
    department: DepartmentCode
    node: Path
    tokens: dict[str, str] = field(default_factory=dict)
    running: Launched | None = None
    secret: tuple[str, str] = ("", "")

    def start(self) -> None:
        """Start the hub and the node, and sign the officer in."""
        self.hub.start()
        account = {"username": "officer", "password": PASSWORD}
        answer = httpx.post(f"{self.hub.url}/api/v1/session", json=account, timeout=60)
        self.tokens["officer"] = answer.json()["token"]
        environment = without_settings(os.environ)
        log = self.node.parent / f"{self.node.name}.log"
        self.running = datong("node", "run", "--home", str(self.node), log=log, environment=environment)

    def stop(self) -> None:
        """End both at once."""
        self.hub.kill()
        if self.running is not None:
            self.running.kill()
            self.running.wait()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call as the department's data officer; return what is answered."""
        answer = httpx.request(
            method,
            f"{self.hub.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.tokens['officer']}"},
            timeout=60,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def application_token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": self.secret[0], "client_secret": self.secret[1]}
        return str(httpx.post(f"{self.hub.url}/api/v1/oauth/token", data=form, timeout=60).json()["access_token"])


@dataclass
class Realm:
    """Two cities below a province; `asker` asks `holder`."""

    asker: City
    holder: City
    province: HubProcess

    @property
    def hubs(self) -> tuple[HubProcess, ...]:
        return self.asker.hub, self.province, self.holder.hub


def prepared(process: HubProcess, empty: Path, prepare: Callable[[Hub], None]) -> HubProcess:
    """Make a hub's departments and its operator, and whatever `prepare` makes, before the process starts."""
    process.home.mkdir(parents=True)
    shutil.copy(empty, process.home / "control.sqlite")
    hub = Hub(settings_of(process))
    agreed.register_departments(hub)
    hub.services.identity.create_account(
        username="operator",
        password=PASSWORD,
        name="运维员",
        roles=frozenset({Role.OPERATOR}),
        actor=PLATFORM_ACTOR,
    )
    prepare(hub)
    hub.close()
    return process


def city(name: str, department: DepartmentCode, folder: Path, empty: Path) -> City:
    """Return a city whose `department` has a data officer, a program, and a node beside its own database."""
    made = City(hub=hub_process(name, folder), department=department, node=folder / f"{name}-node")

    def prepare(hub: Hub) -> None:
        services = hub.services
        services.identity.create_account(
            username="officer",
            password=PASSWORD,
            name="数据管理员",
            roles=frozenset({Role.DATA_OFFICER}),
            actor=PLATFORM_ACTOR,
            department=department,
        )
        application = services.identity.create_application(name="审核", department=department, actor=PLATFORM_ACTOR)
        made.secret = (application.application.client_id, application.client_secret)
        source = folder / f"{name}.sqlite"
        with closing(sqlite3.connect(source)) as connection:
            connection.execute(TABLE)
            connection.execute("INSERT INTO hukou VALUES (?, '张三丰', '示例市某路1号')", (CITIZEN,))
            connection.commit()
        node = agreed.enrol_folder(hub, made.node, department, f"sqlite:///{source}", writable=False)
        if department == PROVIDER:
            columns = (("gmsfhm", "citizen_id"), ("xm", "person_name"), ("hjdz", None))
            resource = agreed.publish(hub, node, "hukou", columns, conditional=True)
            services.live.offer(resource.id, LiveTerms(timeout_milliseconds=10_000), actor=agreed.officer(PROVIDER))

    prepared(made.hub, empty, prepare)
    return made


@pytest.fixture
def realm(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Realm]:
    with ExitStack() as stack:
        asker = city("asker", CONSUMER, tmp_path, migrated_sqlite)
        holder = city("holder", PROVIDER, tmp_path, migrated_sqlite)
        province = prepared(hub_process("province", tmp_path), migrated_sqlite, lambda _: None)
        stack.callback(province.kill)
        stack.callback(asker.stop)
        stack.callback(holder.stop)
        province.start()
        asker.start()
        holder.start()
        yield Realm(asker, holder, province)


def join(lower: HubProcess, province: HubProcess, department: DepartmentCode) -> None:
    """Join a city to the province, which knows it as `department`; at the city its authority answers for the link."""
    settings = {"name": lower.name, "department": department, "region": "440600", "scope": "shared"}
    answer = province.call("POST", "/cascade/subordinates", settings)
    assert answer.status_code == 201, answer.text
    body = {
        "settings": settings | {"name": province.name, "department": BUREAU},
        "address": province.url,
        "token": answer.json()["token"],
        "own_name": lower.name,
    }
    joined = lower.call("POST", "/cascade/superiors", body)
    assert joined.status_code == 201, joined.text


def restart(hub: HubProcess) -> None:
    hub.kill()
    hub.start()


def demand(resource: ResourceId) -> dict[str, object]:
    now = datetime.now(CHINA)
    purpose = {
        "legal_basis": "《中华人民共和国义务教育法》第十二条",
        "scene": "入学资格审核",
        "scope": "市教育局招生科",
        "modes": ["interface"],
        "valid_from": (now - timedelta(minutes=1)).isoformat(),
        "valid_until": (now + timedelta(days=300)).isoformat(),
        "service_item": SERVICE_ITEM,
    }
    return {"lines": [{"resource_id": resource, "items": ["gmsfhm", "xm"]}], "purpose": purpose}


def ask(city: City, resource: ResourceId, way: str, **fields: object) -> httpx.Response:
    """Ask the city's own gateway as its program."""
    return httpx.post(
        f"{city.hub.url}/gateway/v1/{resource}/{way}",
        json={"purpose": SERVICE_ITEM, "case_number": "RX-1", **fields},
        headers={"Authorization": f"Bearer {city.application_token()}"},
        timeout=60,
    )


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(rows) == 1, rows
    return rows[0]


def only_over_their_own_link(hub: Hub) -> None:
    """A lower hub answers and ends nothing that is another's, and does nothing over a link that is paused."""
    desk, request = hub.services.relay.desk, hub.services.requests.find().rows[0]
    mine = next(peer for peer in hub.services.peers.all() if peer.settings.department == CONSUMER)
    actor = Actor(kind=ActorKind.NODE, id=mine.node_id, department=CONSUMER, name="asker")
    with pytest.raises(Refused, match="link"):
        desk.decide(mine, RelayedDecision(reference=request.id, granted=True), actor)
    foreign = mine.model_copy(update={"id": PeerId("another"), "settings": mine.settings})
    with pytest.raises(Refused, match="link"):
        desk.end(foreign, RelayedEnd(request_id=request.id, reason="x"), actor)
    order = RelayedOrder(reference="new", resource_id=ResourceId("hidden"), items=("xm",), purpose=request.purpose)
    with pytest.raises(NotFound):
        desk.order(mine, order, actor)
    with pytest.raises(Conflict, match="link"):
        desk.work(mine.model_copy(update={"state": PeerState.PAUSED}))


def test_a_city_asks_another_over_the_province_while_hubs_are_killed(realm: Realm) -> None:
    asker, holder, province = realm.asker, realm.holder, realm.province
    join(holder.hub, province, PROVIDER)
    join(asker.hub, province, CONSUMER)
    settle(lambda: len(asker.hub.visible()) == 1, SETTLE_SECONDS_MAX)
    resource = asker.hub.visible()[0]
    assert resource.content.origin is not None
    assert resource.content.origin.path == (holder.hub.name, province.name)

    # The request goes up and down again; the province is killed when it may have it, or not yet.
    asked = only(asker.call("POST", "/requests", demand(resource.id))["requests"])
    assert asked["state"] == "submitted"
    restart(province)
    settle(lambda: holder.call("GET", "/requests")["total"] == 1, SETTLE_SECONDS_MAX)
    arrived = only(holder.call("GET", "/requests")["rows"])
    assert (arrived["provider"], arrived["consumer"]) == (PROVIDER, BUREAU)
    # Who decides reads through whose hands it went.
    assert f"{asker.hub.name} 教育局" in arrived["purpose"]["scope"]
    assert province.name in arrived["purpose"]["scope"]

    # The answer comes back; each hub's agreement rests on the one behind it, and both ends' nodes sign.
    holder.call("POST", f"/requests/{arrived['id']}/actions", {"action": "approve", "masks": {"xm": "name"}})
    restart(holder.hub)
    agreement = only(holder.call("GET", "/agreements")["rows"])
    holder.call("POST", f"/agreements/{agreement['id']}/confirm")
    settle(lambda: asker.call("GET", "/agreements")["total"] == 1, SETTLE_SECONDS_MAX)
    mine = only(asker.call("GET", "/agreements")["rows"])
    asker.call("POST", f"/agreements/{mine['id']}/confirm")
    settle(lambda: asker.call("GET", f"/agreements/{mine['id']}")["state"] == "active", SETTLE_SECONDS_MAX)

    # Calls go the same way, and are on record at every hub.
    def answered() -> bool:
        return ask(asker, resource.id, "query", key={"gmsfhm": CITIZEN}, items=["gmsfhm", "xm"]).is_success

    settle(answered, SETTLE_SECONDS_MAX)
    told = ask(asker, resource.id, "query", key={"gmsfhm": CITIZEN}, items=["xm"]).json()
    assert told["rows"] == [{"xm": "张**"}], told
    assert not ask(asker, resource.id, "query", key={"gmsfhm": CITIZEN}, items=["hjdz"]).is_success
    verified = ask(asker, resource.id, "verify", key={"gmsfhm": CITIZEN}, claims={"xm": "张三丰"}).json()
    assert verified["results"] == {"xm": "match"}
    province.kill()
    assert ask(asker, resource.id, "query", key={"gmsfhm": CITIZEN}, items=["xm"]).status_code == 503
    province.start()
    settle(answered, SETTLE_SECONDS_MAX)

    # The provider ends it: the ends of the others follow, and nothing is answered any more.
    holder.call("POST", f"/agreements/{agreement['id']}/actions", {"action": "terminate", "reason": "系统停用"})
    assert not ask(asker, resource.id, "query", key={"gmsfhm": CITIZEN}, items=["xm"]).is_success
    settle(lambda: asker.call("GET", f"/agreements/{mine['id']}")["state"] == "terminated", SETTLE_SECONDS_MAX)

    # Nothing twice, and at every hub the database says what the log says.
    asker.stop()
    holder.stop()
    province.kill()
    for process in realm.hubs:
        hub = Hub(settings_of(process))
        assert hub.services.requests.find().total == 1
        assert hub.services.agreements.find().total == 1
        hub.services.ledger.integrate()
        report = check(hub, quiet=True)
        assert not report.faults, report.faults
        entries = hub.services.ledger.entries
        assert entries(kind=EntryKind.ACCESS).total >= 3
        assert entries(kind=EntryKind.DECISION).total == 1
        assert entries(kind=EntryKind.CASCADE).total > 0
        if process is province:
            only_over_their_own_link(hub)
        hub.close()
