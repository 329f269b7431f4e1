"""The node's folder: private, exact, and belonging to one node."""

import stat
from pathlib import Path

import pytest

from datong.kernel import Conflict, DepartmentCode, Misconfigured, NodeId, NotFound
from datong.node import NodeHome, NodeIdentity, SourceEntry

IDENTITY = NodeIdentity(
    hub_url="http://hub",
    node_id=NodeId("n1"),
    name='公安"局\n前置机\\',
    department=DepartmentCode("police"),
    log_origin="o",
    log_key="AAAA",
    hub_public_key="AAAA",
)


def test_what_is_saved_comes_back_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    home = NodeHome(tmp_path / "node")
    home.save_identity(IDENTITY)
    source = SourceEntry(name="主库", url="postgresql://u:p%40\"'\\@h/db", writable=True)
    home.add_source(source)
    assert NodeHome(tmp_path / "node").config().identity == IDENTITY
    assert home.source("主库") == source
    assert stat.S_IMODE((tmp_path / "node" / "node.toml").stat().st_mode) == 0o600


def test_a_folder_belongs_to_one_node(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    with pytest.raises(Misconfigured, match="not_enrolled"):
        home.identity()
    home.save_identity(IDENTITY)
    home.save_identity(IDENTITY)
    with pytest.raises(Conflict, match="already_enrolled"):
        home.save_identity(IDENTITY.model_copy(update={"node_id": NodeId("n2")}))


def test_the_writable_source_must_be_clear(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    home.add_source(SourceEntry(name="a", url="sqlite:///a"))
    with pytest.raises(NotFound, match="no_writable_source"):
        home.writable_source("")
    home.add_source(SourceEntry(name="b", url="sqlite:///b", writable=True))
    assert home.writable_source("").name == "b"
    home.add_source(SourceEntry(name="c", url="sqlite:///c", writable=True))
    assert home.writable_source("c").name == "c"
    with pytest.raises(NotFound, match="no_writable_source"):
        home.writable_source("")
    with pytest.raises(NotFound, match="source_not_found"):
        home.source("none")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[[")
    with pytest.raises(Misconfigured, match="config_unreadable"):
        NodeHome(tmp_path).config()
