"""docs/operation.md works: its commands, typed in order, on real PostgreSQL and MariaDB servers, with real processes.

What is typed runs from a release, built here and installed as the guide says, not from the repository. The tests go
through the guide from top to bottom; each plays it as far as it needs, and looks at what came of it by other means than
the platform's own.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from pydantic import TypeAdapter

from datong import __version__
from datong.exchange import ReceiptRecord, SignedReceipt
from datong.kernel import Corrupt
from datong.ledger import LogReport, verify_log, verify_signature
from datong.web.api.departments import PublicKey
from tests.drills.operation.guide import GUIDE, BlockFailed, Shell, exported, guide_blocks
from tests.drills.operation.tables import mariadb_rows, postgresql_rows
from tests.free_ports import free_port
from tests.servers import MariadbServer, PostgresqlServer

CODES = {
    "BUREAU_CODE": "11440600MB2D090197",
    "POLICE_CODE": "11440600007029017Q",
    "CIVIL_CODE": "11440600007029025K",
}
RESIDENTS = 5001
BATCHES = 11
MINUTES_MAX = 10
ROOT = Path(__file__).parents[3]
REVERSE = (Path(__file__).parent / "reverse.sh").read_text(encoding="utf-8")


class Played:
    """The guide, played as far as somebody asked."""

    def __init__(self, names: dict[str, str], folder: Path) -> None:
        self.names = names
        self.work = Path(names["WORK"])
        self.blocks = guide_blocks(GUIDE.read_text(encoding="utf-8"))
        self.asked = exported(self.blocks.pop("names"))
        # The machine has what this block would bring, uv included.
        del self.blocks["machine"]
        self.told: dict[str, str] = {}
        programs = folder / "programs"
        programs.mkdir()
        (programs / "uv").symlink_to(Path(sys.executable).parent / "uv")
        self.shell = Shell(names, folder, programs)
        self.began = time.monotonic()

    def to(self, name: str) -> str:
        """Play every block up to the one called `name`, and return what that one printed."""
        for block, text in self.blocks.items():
            if name in self.told:
                break
            if block not in self.told:
                self.told[block] = self.run(text)
        return self.told[name]

    def run(self, text: str) -> str:
        """Run more commands in the guide's own shell."""
        try:
            return self.shell.run(text)
        except BlockFailed as failure:
            logs = "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(self.work.glob("*.log")))
            raise AssertionError(f"{failure}\n{logs}\nin:\n{text}") from failure


@pytest.fixture(scope="module")
def guide(
    postgresql_server: PostgresqlServer, mariadb_server: MariadbServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("operation")
    port = free_port()
    civil = mariadb_server.create_database()
    place = urlsplit(civil)
    client = f"--host={place.hostname} --port={place.port} --user={place.username} --password={place.password}"
    names = {
        "RELEASE": str(release(folder / "release")),
        "APP": str(folder / "app"),
        "WORK": str(folder / "datong"),
        "HUB_PORT": str(port),
        "HUB": f"http://127.0.0.1:{port}",
        "HUB_DATABASE": postgresql_server.create_database(),
        "RESTORE_DATABASE": postgresql_server.create_database(),
        "POLICE_DATABASE": postgresql_server.create_database(),
        "CIVIL_DATABASE": civil,
        "CIVIL_CLIENT": f"{client} {place.path.lstrip('/')}",
        **CODES,
        "DATONG_LANGUAGE": "en",
    }
    played = Played(names, folder)
    yield played
    played.shell.close()


def release(folder: Path) -> Path:
    """Build a release of the files as they are here, twice, as `make dist` does."""
    command = [sys.executable, "tools/build_release.py", str(folder), "--changed"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def test_a_release_holds_the_package_and_what_it_needs_and_nothing_else(guide: Played) -> None:
    folder = Path(guide.names["RELEASE"])
    listed = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert listed == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "SHA256SUMS"
    }
    name = f"datong-{__version__}"
    assert set(listed) == {
        f"{name}-py3-none-any.whl",
        f"{name}.tar.gz",
        f"{name}.cdx.json",
        "requirements.txt",
        "requirements-spark.txt",
    }
    tracked = subprocess.run(
        ["git", "ls-files", "src", "deploy", "docs"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    files = {path for path in tracked.stdout.splitlines() if (ROOT / path).exists()}
    code = {path.removeprefix("src/") for path in files if path.startswith("src/")}
    shared = {f"{name}.data/data/share/datong/{path}" for path in files if path.startswith("deploy/")}
    manual = {f"datong/web/manual/{path}" for path in files if path.startswith("docs/")}
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl") as wheel:
        held = {path for path in wheel.namelist() if ".dist-info/" not in path}
        metadata = wheel.read(f"{name}.dist-info/METADATA").decode()
    assert held == code | shared | manual
    assert {"datong/web/static/app.css", "datong/norms/packs/national/pack.yaml"} <= held
    asked = [line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Provides-Extra")]
    assert asked == ["dp", "node", "psi", "s3", "spark"]
    with tarfile.open(folder / f"{name}.tar.gz") as archive:
        roots = {path.split("/")[1] for path in archive.getnames()}
    assert roots == {
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "deploy",
        "docs",
        "pyproject.toml",
        "requirements",
        "src",
    }


def test_every_pin_of_a_release_is_in_its_bill_of_materials(guide: Played) -> None:
    folder = Path(guide.names["RELEASE"])
    bill = json.loads((folder / f"datong-{__version__}.cdx.json").read_text())
    told = {(part["name"], part["version"], part["scope"] == "required") for part in bill["components"]}
    always, every = (
        {(pin.name, str(pin.specifier).removeprefix("==")) for pin in map(Requirement, pinned(folder / file))}
        for file in ("requirements.txt", "requirements-spark.txt")
    )
    scripts = {("htmx.org", "2.0.11", True), ("echarts", "5.6.0", True)}
    assert told == {(*pin, pin in always) for pin in every} | scripts
    assert {"pyspark", "py4j"} == {name for name, _ in every - always}
    parents = {row["ref"]: row.get("dependsOn", []) for row in bill["dependencies"]}
    assert "starlette" in parents["fastapi"]
    assert {"fastapi", "pymysql", "pyspark"} <= set(parents["datong"])


def pinned(file: Path) -> list[str]:
    return [line.rstrip(" \\") for line in file.read_text().splitlines() if line[:1].isalnum()]


def test_hub_and_nodes_run_from_the_wheel_alone(guide: Played) -> None:
    assert guide.to("install").splitlines()[-1] == f"datong {__version__}"
    assert guide.run("command -v datong").strip() == f"{guide.names['APP']}/bin/datong"
    place = guide.run('cd /; "$APP/bin/python" -c "import datong; print(datong.__file__)"').strip()
    assert place.startswith(guide.names["APP"])
    shared = Path(guide.names["APP"], "share", "datong", "deploy")
    assert {path.name for path in shared.iterdir()} == {path.name for path in (ROOT / "deploy").iterdir()}
    guide.to("increment")
    assert time.monotonic() - guide.began < MINUTES_MAX * 60
    programs = {os.readlink(f"/proc/{pid}/cwd") for pid in guide.run("jobs -pr").split()}
    assert not any(place.startswith(str(ROOT)) for place in programs)


def test_the_test_sets_exactly_the_names_of_the_guide(guide: Played) -> None:
    assert guide.asked == list(guide.names)


def test_every_shell_block_of_the_guide_is_run() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert text.count("```sh") == len(guide_blocks(text))


def test_both_ends_hold_the_same_rows_after_snapshot_and_increment(guide: Played) -> None:
    told = guide.to("reconcile")
    assert json.loads(told.splitlines()[0])["state"] == "equal"
    sent = postgresql_rows(guide.names["POLICE_DATABASE"], "resident")
    assert mariadb_rows(guide.names["CIVIL_DATABASE"], "gongan_hukou", keys=sent.keys()) == sent
    assert len(sent["resident_no"]) == RESIDENTS
    assert '"rows":5041' in guide.told["increment"]


def test_nothing_is_lost_or_twice_when_consumer_and_hub_are_killed_on_the_way(guide: Played) -> None:
    told = guide.to("kill").splitlines()
    then = json.loads((guide.work / "at-the-kill.json").read_text())
    assert 2 <= then["receipted_batches"] < BATCHES
    assert json.loads(told[-1])["state"] == "equal"
    assert json.loads(told[-2])["rows_applied"] == RESIDENTS
    # A snapshot goes into a table without keys: what was applied twice would stand there twice.
    sent = postgresql_rows(guide.names["POLICE_DATABASE"], "resident")
    assert mariadb_rows(guide.names["CIVIL_DATABASE"], "gongan_hukou_copy", keys=sent.keys()) == sent


def test_every_batch_has_a_receipt_signed_by_the_consumers_key(guide: Played) -> None:
    guide.to("kill")
    keys = TypeAdapter(tuple[PublicKey, ...]).validate_json(guide.run('call civil GET "departments/$CIVIL_CODE/keys"'))
    signing = {key.key_id: key.public_key for key in keys}
    for task, batches in (("task", 11), ("copy", 11)):
        receipts = TypeAdapter(tuple[ReceiptRecord, ...]).validate_json(
            guide.run(f'call civil GET "tasks/${task}/receipts"')
        )
        assert [record.signed.receipt.sequence for record in receipts] == list(range(1, batches + 1))
        for record in receipts:
            check_receipt(record.signed, signing)
        forged = receipts[0].signed
        forged = forged.model_copy(update={"receipt": forged.receipt.model_copy(update={"rows_applied": 1})})
        with pytest.raises(Corrupt):
            check_receipt(forged, signing)


def check_receipt(signed: SignedReceipt, keys: dict[str, bytes]) -> None:
    verify_signature(keys[signed.key_id], signed.receipt.signing_bytes(), signed.signature_bytes())


def test_the_other_way_round_from_mariadb_to_postgresql_with_the_consumer_killed(guide: Played) -> None:
    guide.to("kill")
    told = guide.run(REVERSE).splitlines()
    assert json.loads(told[-1])["state"] == "equal"
    sent = mariadb_rows(guide.names["CIVIL_DATABASE"], "relief")
    assert len(sent["relief_no"]) == 3000
    assert postgresql_rows(guide.names["POLICE_DATABASE"], "jiuzhu", keys=sent.keys()) == sent


def test_a_lost_node_is_put_out_and_replaced(guide: Played) -> None:
    told = guide.to("replace").splitlines()
    assert json.loads(told[-1])["state"] == "equal"
    keys = TypeAdapter(tuple[PublicKey, ...]).validate_json(guide.run('call civil GET "departments/$CIVIL_CODE/keys"'))
    assert [key.revoked_at is None for key in keys] == [False, True]
    # The lost folder, in whosever hands, gets no work any more.
    seen = 'datong node inventory --home "$WORK/civil-lost" >"$WORK/lost.txt" 2>&1 && exit 1; cat "$WORK/lost.txt"'
    assert "✗" in guide.run(seen)


def test_the_log_verifies_offline_and_a_changed_byte_is_named(guide: Played) -> None:
    told = guide.to("tamper")
    assert "entry number 0" in told or "tile/entries" in told
    report = verified(guide, "log")
    assert {witness.size > 0 for witness in report.witnesses} == {True}
    assert len(report.witnesses) == 3
    assert report.entries["exchange.receipt"] == report.entries["exchange.batch"] >= 22


def test_a_restored_hub_has_the_same_log_and_goes_on(guide: Played) -> None:
    told = guide.to("restore")
    assert json.loads(told.splitlines()[-1])["run_done"] == 2
    before, after = verified(guide, "log"), verified(guide, "log-restored")
    assert after.size >= before.size
    newest = json.loads(guide.run('call auditor GET "ledger/entries?limit=1" | jq ".rows[0]"'))
    assert newest["at"] > "2026"


def test_every_process_ends_when_told(guide: Played) -> None:
    guide.to("stop")
    assert guide.run("jobs -pr").strip() == ""


def verified(guide: Played, folder: str) -> LogReport:
    key = (guide.work / "hub-init.txt").read_text().rpartition("log key")[2].split()[0]
    return verify_log(guide.work / folder, log_key=bytes.fromhex(key))
