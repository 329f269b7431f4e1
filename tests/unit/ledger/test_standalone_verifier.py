"""The verifier in one file: it believes what the platform's own believes, and nothing else."""

import ast
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import DatongError
from datong.kernel.archives import MEMBERS_MAX, UNPACKED_BYTES_MIN, UNPACKED_TIMES_MAX
from datong.ledger import commitment, read_bundle, standalone_verifier, verify_bundle
from tests.unit.ledger.logs import LOG_KEY, WITNESS_KEY, SmallLog

PROGRAM = Path(standalone_verifier.__file__)
KEY = LOG_KEY.public_key.hex()
SALT = bytes(range(16))
OPENING = {"citizen": {"salt": SALT.hex(), "value": "110101199003070000"}}


class Evidence:
    """An export, and a proof of one entry with a disclosed value."""

    def __init__(self, folder: Path) -> None:
        log = SmallLog(folder / "log")
        log.grow(200)
        log.cosign()
        (entry_id,) = log.append(1, citizen=commitment(SALT, "110101199003070000"))
        log.grow(330)
        log.cosign("node-2", WITNESS_KEY)
        self.export = folder / "export"
        log.ledger.export(self.export)
        self.proof = json.dumps(log.ledger.proof_bundle(entry_id, disclosures=OPENING))


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return Evidence(tmp_path_factory.mktemp("evidence"))


def platform_says(proof: bytes) -> str | None:
    """Return the platform's own error; None: it believes the proof."""
    try:
        verify_bundle(read_bundle(proof), log_key=LOG_KEY.public_key)
    except DatongError as error:
        return error.code
    return None


def refused(folder: Path) -> str:
    with pytest.raises(SystemExit) as caught:
        standalone_verifier.Export(folder, LOG_KEY.public_key).verify()
    return str(caught.value.code)


def test_it_imports_nothing_but_the_standard_library_and_cryptography() -> None:
    named = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.split(".")[0] for name in named} <= sys.stdlib_module_names | {"cryptography"}


@pytest.mark.parametrize("form", ["folder", "tar", "proof"])
def test_as_a_program_it_verifies_each_form_and_says_so(evidence: Evidence, tmp_path: Path, form: str) -> None:
    path = evidence.export
    if form == "tar":
        path = tmp_path / "log.tar"
        with tarfile.open(path, "w") as archive:
            for file in sorted(evidence.export.rglob("*")):
                archive.add(file, file.relative_to(evidence.export), recursive=False)
    elif form == "proof":
        path = tmp_path / "proof.json"
        path.write_text(evidence.proof, encoding="utf-8")
    shutil.copy(PROGRAM, tmp_path / "verify.py")
    command = [sys.executable, "-I", str(tmp_path / "verify.py"), str(path), "--key"]
    right = subprocess.run([*command, KEY], capture_output=True, text=True, check=False)
    assert (right.returncode, right.stdout[:1]) == (0, "✓"), right.stderr
    wrong = subprocess.run([*command, WITNESS_KEY.public_key.hex()], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert "✗" in wrong.stderr


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    """Sixty-five megabytes of nothing pack into 64 kilobytes: they are not unpacked."""
    path = tmp_path / "log.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        nothing = tarfile.TarInfo("checkpoint")
        nothing.size = standalone_verifier.UNPACKED_MIN + 1
        with Path("/dev/zero").open("rb") as zeros:
            archive.addfile(nothing, zeros)
    with tarfile.open(path) as archive, pytest.raises(tarfile.TarError, match="checkpoint"):
        standalone_verifier.unpack(archive, tmp_path / "out", standalone_verifier.UNPACKED_MIN)
    assert not (tmp_path / "out").exists()
    assert standalone_verifier.UNPACKED_MIN == UNPACKED_BYTES_MIN
    assert (standalone_verifier.UNPACKED_TIMES, standalone_verifier.MEMBERS) == (UNPACKED_TIMES_MAX, MEMBERS_MAX)


def test_one_flipped_byte_in_any_file_is_found(evidence: Evidence, tmp_path: Path) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(evidence.export, folder)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        original = path.read_bytes()
        for place in range(0, len(original), max(len(original) // 12, 1)):
            changed = bytearray(original)
            changed[place] ^= 1 << place % 8
            path.write_bytes(bytes(changed))
            try:
                said = refused(folder)
            except (ValueError, KeyError, IndexError) as error:
                said = str(error)  # `main` tells these as a malformed file
            assert said, (path, place)
        path.write_bytes(original)
    assert standalone_verifier.Export(folder, LOG_KEY.public_key).verify()


def test_missing_and_added_files_are_named(evidence: Evidence, tmp_path: Path) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(evidence.export, folder)
    (folder / "tile/0/009").write_bytes(b"")
    assert "tile/0/009" in refused(folder)
    (folder / "tile/0/009").unlink()
    (folder / "tile/1/000.p/2").unlink()
    assert "tile/1/000.p/2" in refused(folder)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_of_a_changed_proof_it_believes_no_more_than_the_platform(evidence: Evidence, data: st.DataObject) -> None:
    raw = bytearray(evidence.proof.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        standalone_verifier.verify_proof(json.loads(bytes(raw)), LOG_KEY.public_key)
    except (SystemExit, ValueError, KeyError, TypeError, AttributeError):
        return
    # The platform also refuses what it does not know the name of.
    assert platform_says(bytes(raw)) in {None, "ledger.bundle_malformed"}
