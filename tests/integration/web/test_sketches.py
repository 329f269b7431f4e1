"""Two real nodes share a secret through a real hub and sketch their tables; the hub compares them."""

import sqlite3
from pathlib import Path

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.catalogue import Binding, Item, ResourceAction
from datong.kernel import Actor, ActorKind, DepartmentCode, NodeId, SystemClock, Text
from datong.node import NodeProgram
from datong.norms import ShareType, load_pack
from tests.integration.web.conftest import BUREAU, EDUCATION, POLICE, RunningHub
from tests.unit.catalogue.conftest import content

PEOPLE = 3000


def node(hub: RunningHub, folder: Path, department: DepartmentCode, rows: list[tuple[str, str]]) -> NodeProgram:
    """Return an enrolled node with a table of people."""
    with sqlite3.connect(folder / f"{department}.sqlite") as source:
        source.execute("CREATE TABLE people (hh TEXT, dz TEXT)")
        source.executemany("INSERT INTO people VALUES (?, ?)", rows)
    program = NodeProgram(
        directory=folder / department,
        clock=SystemClock(),
        load_signer=load_or_create_signer,
        open_connector=open_connector,
        open_target=open_target,
        load_pack=load_pack,
        sleep=lambda _: None,
    )
    actor = Actor(kind=ActorKind.PERSON, id="o", department=BUREAU)
    token = hub.services.identity.create_enrolment(department=department, actor=actor)
    program.enrol(hub_url=hub.url, token=token, name=department)
    program.add_source(name="db", url=f"sqlite:///{folder / department}.sqlite", writable=False)
    return program


def publish(hub: RunningHub, program: NodeProgram, department: DepartmentCode) -> str:
    """Publish the table of a node."""
    items = (
        Item(name=Text(zh="户号", en="No"), column="hh", element="household_id", share_type=ShareType.UNCONDITIONAL),
        Item(name=Text(zh="地址", en="Address"), column="dz", element="address", share_type=ShareType.UNCONDITIONAL),
    )
    node_id = NodeId(str(program.status()["node_id"]))
    made_of = content(f"住户{department}", items=items, binding=Binding(node_id=node_id, source="db", table="people"))
    officer = Actor(kind=ActorKind.PERSON, id="p", department=department)
    authority = Actor(kind=ActorKind.PERSON, id="a", department=BUREAU)
    made = hub.services.catalogue.draft(department, made_of, officer)
    hub.services.catalogue.act(made.id, ResourceAction.SIGN_OFF, officer)
    hub.services.catalogue.act(made.id, ResourceAction.SUBMIT, officer)
    hub.services.catalogue.act(made.id, ResourceAction.APPROVE, authority)
    hub.services.catalogue.act(made.id, ResourceAction.PUBLISH, authority)
    return made.id


def test_two_nodes_and_the_hub(hub: RunningHub, tmp_path: Path) -> None:
    rows = [(f"H{number:06}", f"示例路{number}号") for number in range(PEOPLE)]
    police = node(hub, tmp_path, POLICE, rows)
    education = node(hub, tmp_path, EDUCATION, rows[1000:])
    for program, department in ((police, POLICE), (education, EDUCATION)):
        publish(hub, program, department)
    clients = [police.client(), education.client()]
    sketchers = [program.sketcher(client) for program, client in zip((police, education), clients, strict=True)]
    assert sketchers[0].sketch_all() == 1
    assert sketchers[1].sketch_all() == 0  # the secret has not been sealed to it yet
    assert sketchers[0].sketch_all() == 0
    assert sketchers[1].sketch_all() == 1
    assert sketchers[1].attend() == 0
    while hub.services.overlaps.compare():
        pass
    (pair,) = hub.services.overlaps.of_element("household_id").pairs
    assert pair.values is not None
    assert abs(pair.values.both.value - 2000) < 4 * pair.values.both.error
    for client in clients:
        client.close()


def test_who_may_do_what_with_sketches(hub: RunningHub, tmp_path: Path) -> None:
    program = node(hub, tmp_path, POLICE, [])
    authority, police = hub.person("authority"), hub.person("police")
    assert police.get("/api/v1/sketch-keys/work").status_code == 403
    assert authority.get("/api/v1/sketches/work").status_code == 403
    assert authority.get("/api/v1/sketch-keys/epochs").json() == []
    assert (
        authority.post("/api/v1/sketch-keys/end", json={"reason": "测试"}).json()["code"] == "catalogue.no_sketch_epoch"
    )
    client = program.client()
    program.sketcher(client).sketch_all()
    client.close()
    (epoch,) = authority.get("/api/v1/sketch-keys/epochs").json()
    assert epoch["ended_at"] is None
    assert police.post("/api/v1/sketch-keys/end", json={"reason": "测试"}).status_code == 403
    assert authority.post("/api/v1/sketch-keys/end", json={"reason": "测试"}).status_code == 201
    assert hub.client().get("/api/v1/sketch-keys/epochs").status_code == 401
