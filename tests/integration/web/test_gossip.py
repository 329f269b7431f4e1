"""Two nodes over HTTP: what they cosigned is relayed, compared, and a hub that lies to one of them is convicted."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.kernel import Actor, ActorKind, Corrupt, DepartmentCode, SystemClock, Text
from datong.ledger import read_split, verify_split
from datong.ledger.merkle import leaf_hash_of
from datong.ledger.places import serial_at
from datong.ledger.tables import CHECKPOINTS, COSIGNATURES, ENTRIES, RUNS, STATE
from datong.node import NodeProgram
from datong.norms import load_pack
from tests.integration.web.conftest import BUREAU, EDUCATION, POLICE, RunningHub


def node(hub: RunningHub, folder: Path, department: DepartmentCode) -> NodeProgram:
    """Return an enrolled node."""
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
    return program


def integrate(hub: RunningHub) -> None:
    while hub.services.ledger.integrate():
        pass


def rewrite(hub: RunningHub, tiles: Path) -> None:
    """Change the first entry and publish the log anew, as a hub can that turns against its own log."""
    with hub.services.database.transaction() as connection:
        connection.execute(delete(COSIGNATURES))
        connection.execute(delete(CHECKPOINTS))
        first = connection.execute(select(ENTRIES).where(ENTRIES.c.serial == serial_at(connection, 0))).one()
        leaf = first.leaf.replace(b'"v":1', b'"v":1 ')
        changed = {"leaf": leaf, "leaf_hash": leaf_hash_of(leaf).hex()}
        connection.execute(update(ENTRIES).where(ENTRIES.c.serial == first.serial).values(changed))
        connection.execute(delete(RUNS))
        connection.execute(update(STATE).values(numbered_size=0, next_serial=1, published_size=None))
    shutil.rmtree(tiles)
    integrate(hub)


def test_two_nodes_compare_through_the_hub_and_by_file(hub: RunningHub, tmp_path: Path) -> None:
    police, education = node(hub, tmp_path, POLICE), node(hub, tmp_path, EDUCATION)
    integrate(hub)
    told: list[Text] = []
    for one in (police, education, police):
        client = one.client()
        one.loop(client, told.append).round(0)
        client.close()
    names = {str(one.status()["node_id"]) for one in (police, education)}
    assert {state.name for state in hub.services.ledger.witnesses()} == names
    # Both keep up: the hub has its quorum, and the page for monitors says so.
    with hub.client() as visitor:
        answer = visitor.get("/log/quorum")
        assert (answer.status_code, answer.json()["required"], answer.json()["reached"]) == (200, 2, 2)
        assert visitor.get("/api/v1/ledger/witnesses/notes").status_code == 401
    heard = police.gossiping().show()
    assert heard["troubles"] == []
    assert police.gossiping().hear() == ()
    assert "True" in str(police.gossiping().show()["peers"])
    assert police.gossiping().take_in(education.gossiping().export()) >= 1

    # The hub writes its past anew, under its own key. Who remembers it refuses, and the quorum breaks.
    rewrite(hub, tmp_path / "hub" / "log")
    client = police.client()
    police.loop(client, told.append).round(0)
    client.close()
    assert told
    report = verify_split(
        read_split((tmp_path / POLICE / "split-view.json").read_bytes()), log_key=hub.services.ledger.public_key
    )
    assert report.size <= report.larger_size <= hub.services.ledger.size()
    # Who has seen nothing before believes the new past, until somebody brings a file.
    seen = police.gossiping().export()
    (tmp_path / EDUCATION / "witness.json").unlink()
    with pytest.raises(Corrupt) as caught:
        education.gossiping().take_in(seen)
    assert caught.value.code == "ledger.split_view"
    assert education.gossiping().show()["split_view"] is not None
