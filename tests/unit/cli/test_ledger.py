import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datong.cli.ledger import app
from datong.kernel import Conflict, Corrupt, Invalid
from tests.unit.ledger.logs import LOG_KEY, WITNESS_KEY, SmallLog

KEY = LOG_KEY.public_key.hex()


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    log = SmallLog(tmp_path)
    log.grow(3)
    log.cosign()
    log.ledger.export(tmp_path / "export")
    return log


def verify(*arguments: str) -> str:
    return CliRunner().invoke(app, ["verify", *arguments], catch_exceptions=False, env={"DATONG_LANGUAGE": "en"}).output


def test_a_folder_a_tar_and_a_proof_verify(log: SmallLog) -> None:
    folder = log.folder / "export"
    assert "3 entries" in verify(str(folder), "--key", KEY)
    assert "came with the file" in verify(str(folder))
    with tarfile.open(log.folder / "log.tar", "w") as tar:
        tar.add(folder, arcname="log")
    report = json.loads(verify(str(log.folder / "log.tar"), "--key", KEY, "--json"))
    assert (report["size"], report["key_given"]) == (3, True)
    (entry,) = log.ledger.entries(limit=1).rows
    proof = log.folder / "proof.json"
    proof.write_text(json.dumps(log.ledger.proof_bundle(entry.entry_id)))
    assert "entry 2 is in the log" in verify(str(proof), "--key", KEY)


def test_what_is_wrong_is_raised_with_its_place(log: SmallLog) -> None:
    folder = log.folder / "export"
    with pytest.raises(Corrupt):
        verify(str(folder), "--key", WITNESS_KEY.public_key.hex())
    with pytest.raises(Invalid):
        verify(str(folder), "--key", "x")
    (folder / "tile/0/000.p/3").write_bytes(b"\0" * 96)
    with pytest.raises(Corrupt, match=r"tile/0/000\.p/3"):
        verify(str(folder))
    (log.folder / "log.tar").write_bytes(b"no archive")
    with pytest.raises(Corrupt):
        verify(str(log.folder / "log.tar"))


def test_an_export_needs_an_empty_folder(log: SmallLog) -> None:
    arguments = ["export", "--hub", "http://127.0.0.1:1", "--output", str(log.folder)]
    with pytest.raises(Conflict):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
