"""The doctor: each thing that is wrong is seen, with a remedy, and nothing is changed."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from datong.adapters.file_keys import load_or_create_signer
from datong.app.backups import BackupFolder, take
from datong.app.doctor import HUB_CHECKS, NODE_CHECKS, Report, State, examine_hub, examine_node
from datong.app.doctor.lake import UNFIT, Mount, mount_of
from datong.app.doctor.machine import look_at_clock
from datong.app.doctor_command import app
from datong.app.hub import Hub
from datong.app.hub_keys import HubKeys
from datong.catalogue import Department
from datong.kernel import PLATFORM_ACTOR, DepartmentCode, NodeId, Settings, Text
from datong.node import NodeHome, NodeIdentity, SourceEntry
from tests.conftest import sqlalchemy_url
from tests.free_ports import free_port
from tests.new_control import new_control
from tests.reused_database import ReusedDatabase

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations" / "doctor.md"


def states(report: Report) -> dict[str, State]:
    """Return what came of each check."""
    assert [one.check for one in report.diagnoses] == [
        check.name for check in (HUB_CHECKS if report.workspace == "hub" else NODE_CHECKS)
    ]
    for one in report.diagnoses:
        assert (one.remedy is not None) == (one.state in {State.WARNING, State.FAILED}), one
        assert one.seen.zh != one.seen.en or one.seen.zh.isascii()
    return {one.check: one.state for one in report.diagnoses}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Settings of a hub on SQLite that has worked, and been backed up; it does not run."""
    home = tmp_path / "hub"
    home.mkdir(mode=0o700)
    new_control(home).close()
    hub = Hub(Settings(home=home))
    hub.services.ledger.integrate()
    take(hub, BackupFolder(tmp_path / "backups"))
    hub.close()
    return {
        "DATONG_HOME": str(home),
        "DATONG_BACKUP_FOLDER": str(tmp_path / "backups"),
        "DATONG_PORT": str(free_port()),
        "DATONG_DISK_RESERVE_MB": "1",
    }


def test_the_document_lists_the_checks() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert listed == [check.name for check in (*HUB_CHECKS, *NODE_CHECKS)]


def test_each_fault_of_a_hub_is_seen(environment: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "hub"
    found = states(examine_hub(environment))
    assert {name for name, state in found.items() if state is not State.OK} <= {"service", "authority", "disk"}
    assert found["service"] is State.WARNING

    def seen(check: str, changed: dict[str, str] | None = None) -> State:
        return states(examine_hub(environment | (changed or {})))[check]

    assert seen("settings", {"DATONG_PROT": "1"}) is State.FAILED
    assert seen("home", {"DATONG_PROT": "1"}) is State.SKIPPED
    assert seen("settings", {"DATONG_PUBLIC_URL": "http://hub.example"}) is State.WARNING
    assert seen("home", {"DATONG_HOME": str(tmp_path / "none")}) is State.FAILED
    home.chmod(0o755)
    assert seen("home") is State.WARNING
    home.chmod(0o700)
    key = home / "keys" / "hub.key"
    key.chmod(0o644)
    assert seen("key") is State.FAILED
    assert seen("log") is State.SKIPPED
    kept = key.read_bytes()
    key.unlink()
    load_or_create_signer(key)
    found = states(examine_hub(environment))
    assert (found["log"], found["backup"]) == (State.FAILED, State.FAILED)
    key.write_bytes(kept)
    assert seen("disk", {"DATONG_DISK_RESERVE_MB": "1000000000"}) is State.FAILED
    assert seen("backup", {"DATONG_BACKUP_FOLDER": str(tmp_path / "none")}) is State.FAILED
    assert seen("certificate", {"DATONG_PUBLIC_URL": f"https://127.0.0.1:{free_port()}"}) is State.FAILED
    with closing(sqlite3.connect(home / "control.sqlite")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    assert seen("schema") is State.FAILED
    shutil.copy(home / "control.sqlite", tmp_path / "kept.sqlite")
    (home / "control.sqlite").unlink()
    assert seen("database") is State.FAILED
    assert not (home / "control.sqlite").exists()


def test_the_shared_folders_mount_is_judged_by_what_the_system_says() -> None:
    told = (
        "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        "30 22 0:40 / /srv/hub rw,relatime shared:1 - nfs4 nas:/hub rw,vers=4.2,hard\n"
        "31 30 0:41 / /srv/hub/lake rw - fuse.s3fs s3fs rw\n"
        "32 22 0:42 / /srv/with\\040space ro - nfs nas:/old rw,vers=3,soft,nolock\n"
    )
    assert mount_of(Path("/srv/elsewhere"), told) == Mount("/", "ext4", frozenset({"rw", "relatime"}))
    hub = mount_of(Path("/srv/hub/home"), told)
    assert hub is not None
    assert (hub.kind, "hard" in hub.options, hub.kind in UNFIT) == ("nfs4", True, False)
    lake = mount_of(Path("/srv/hub/lake"), told)
    assert lake is not None
    assert lake.kind in UNFIT
    old = mount_of(Path("/srv/with space/lake"), told)
    assert old is not None
    assert {"ro", "soft", "nolock"} <= old.options
    assert mount_of(Path("/srv/hubris"), told) == mount_of(Path("/"), told)
    assert mount_of(Path("/"), "not what it was\n") is None


def test_a_hub_whose_key_was_replaced_is_told_to_finish_it(environment: dict[str, str], tmp_path: Path) -> None:
    assert states(examine_hub(environment))["rotation"] is State.OK
    hub = Hub(Settings(home=tmp_path / "hub"))
    HubKeys(hub).replace()
    hub.close()
    assert states(examine_hub(environment))["rotation"] is State.WARNING
    hub = Hub(Settings(home=tmp_path / "hub"))
    name = Text(zh="局", en="Bureau")
    bureau = Department(code=DepartmentCode("114406000000000193"), name=name, short_name=name, is_authority=True)
    hub.services.departments.register(bureau, PLATFORM_ACTOR)
    hub.services.ledger.integrate()
    HubKeys(hub).retire()
    hub.close()
    found = states(examine_hub(environment))
    assert (found["rotation"], found["log"], found["backup"]) == (State.OK, State.OK, State.FAILED)


def test_a_hub_on_postgresql_tells_of_its_workers(reused_postgresql: ReusedDatabase, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "hub", database_url=sqlalchemy_url(reused_postgresql.take()))
    hub = Hub(settings)
    hub.services.ledger.integrate()
    environment = {"DATONG_HOME": str(settings.home), "DATONG_DATABASE_URL": settings.database_url}
    environment["DATONG_PORT"] = str(free_port())
    found = states(examine_hub(environment))
    assert (found["database"], found["clock"], found["workers"]) == (State.OK, State.OK, State.FAILED)
    with hub.database.transaction() as connection:
        connection.execute(
            text("INSERT INTO app_lease VALUES ('worker:one', 'x', now() + interval '1 hour'), ('log', 'x', now())")
        )
    assert states(examine_hub(environment))["workers"] is State.WARNING
    hub.close()
    reused_postgresql.give_back()


@pytest.fixture
def node(tmp_path: Path) -> NodeHome:
    """A node that was enrolled with a hub that does not answer, with a source."""
    home = NodeHome(tmp_path / "node")
    home.directory.mkdir(mode=0o700)
    load_or_create_signer(home.key_path)
    with closing(sqlite3.connect(tmp_path / "source.sqlite")) as connection:
        connection.execute("CREATE TABLE resident (id INTEGER PRIMARY KEY)")
    home.save_identity(
        NodeIdentity(
            hub_url=f"http://127.0.0.1:{free_port()}",
            node_id=NodeId("node-1"),
            name="police-1",
            department=DepartmentCode("11440600007029017Q"),
            log_origin="datong.local/log",
            log_key="",
            hub_public_key="",
        )
    )
    home.add_source(SourceEntry(name="huji", url=f"sqlite:///{tmp_path / 'source.sqlite'}"))
    return home


def test_each_fault_of_a_node_is_seen(node: NodeHome, tmp_path: Path) -> None:
    found = states(examine_node(node.directory))
    assert (found["configuration"], found["key"], found["sources"]) == (State.OK, State.OK, State.OK)
    assert (found["hub"], found["registration"]) == (State.FAILED, State.SKIPPED)
    toml = node.directory / "node.toml"
    toml.chmod(0o640)
    node.state_path.write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    node.witness_path.with_suffix(".fork").write_text("x")
    node.add_source(SourceEntry(name="gone", url="postgresql://u:secret-word@127.0.0.1:1/none"))
    toml.chmod(0o640)
    report = examine_node(node.directory)
    found = states(report)
    assert {found[name] for name in ("configuration", "state", "witness", "sources")} == {State.FAILED}
    assert "secret-word" not in report.model_dump_json()
    assert states(examine_node(tmp_path / "nobody"))["configuration"] is State.FAILED


def test_the_command_says_it_in_both_languages_and_as_json(environment: dict[str, str]) -> None:
    told = {
        language: CliRunner().invoke(app, [], env=environment | {"DATONG_LANGUAGE": language})
        for language in ("zh", "en")
    }
    assert told["zh"].exit_code == told["en"].exit_code == 0
    assert "控制数据库" not in told["en"].output
    assert told["zh"].output != told["en"].output
    answer = CliRunner().invoke(app, ["--json"], env=environment | {"DATONG_PROT": "1"})
    assert answer.exit_code == 1
    assert json.loads(answer.output)["diagnoses"][0]["state"] == "failed"


def test_clocks_are_judged_by_what_tokens_bear() -> None:
    assert look_at_clock({"hub": 1.0}).state is State.OK
    assert look_at_clock({"hub": -10.0}).state is State.WARNING
    assert look_at_clock({"hub": 1.0, "database": timedelta(minutes=2).total_seconds()}).state is State.FAILED
    assert look_at_clock({"hub": 0.0}, simulated=True).state is State.WARNING
