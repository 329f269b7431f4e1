"""A node as its operator runs it: it ends when told, whatever it is doing or waiting for."""

from datetime import UTC, datetime
from pathlib import Path

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.kernel import DepartmentCode, FixedClock, NodeId, Text
from datong.node import NodeHome, NodeIdentity, NodeProgram
from datong.norms import load_pack
from tests.free_ports import free_port


def enrolled(folder: Path, hub_url: str, waits: list[float]) -> NodeProgram:
    """Return a node of `hub_url` that notes its waits instead of waiting."""
    identity = NodeIdentity(
        hub_url=hub_url,
        node_id=NodeId("n1"),
        name="n1",
        department=DepartmentCode("11440600007029017Q"),
        log_origin="example/log",
        log_key="A" * 43 + "=",
        hub_public_key="A" * 43 + "=",
    )
    NodeHome(folder).save_identity(identity)
    return NodeProgram(
        directory=folder,
        clock=FixedClock(datetime(2026, 1, 5, tzinfo=UTC)),
        load_signer=load_or_create_signer,
        open_connector=open_connector,
        open_target=open_target,
        load_pack=load_pack,
        sleep=waits.append,
    )


def test_a_node_whose_hub_is_silent_ends_in_the_middle_of_a_wait(tmp_path: Path) -> None:
    waits: list[float] = []
    told: list[Text] = []
    node = enrolled(tmp_path, f"http://127.0.0.1:{free_port()}", waits)
    node.run(stop=lambda: len(waits) >= 3, tell=told.append)
    assert len(waits) == 3
    assert max(waits) <= 0.2


def test_a_node_that_was_told_to_end_before_it_began_does_nothing(tmp_path: Path) -> None:
    waits: list[float] = []
    node = enrolled(tmp_path, f"http://127.0.0.1:{free_port()}", waits)
    node.run(stop=lambda: True, tell=lambda _: None)
    assert waits == []
