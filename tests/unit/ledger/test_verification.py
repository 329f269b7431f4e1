import json
import shutil
from pathlib import Path

import pytest

from datong.kernel import Corrupt
from datong.ledger import Ed25519Signer, verify_log
from tests.unit.ledger.logs import LOG_KEY, ORIGIN, SmallLog

SECOND_WITNESS = Ed25519Signer.from_private_bytes(b"\x03" * 32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = SmallLog(tmp_path_factory.mktemp("log"))
    log.grow(200)
    log.cosign()
    log.grow(330)
    log.cosign("node-2", SECOND_WITNESS)
    folder = log.folder / "export"
    log.ledger.export(folder)
    return folder


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_exported_log_verifies(exported: Path) -> None:
    report = verify_log(exported, log_key=LOG_KEY.public_key)
    assert (report.origin, report.size, report.key_given) == (ORIGIN, 530, True)
    assert report.entries == {"exchange.batch": 530}
    assert [(witness.name, witness.size) for witness in report.witnesses] == [("node-1", 200), ("node-2", 530)]
    assert verify_log(exported).key_given is False
    assert files_of(exported) == [
        "checkpoint",
        "cosigned/200",
        "keys.json",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/18",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/18",
    ]


def test_an_empty_log_verifies(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.integrate()
    log.ledger.export(tmp_path / "export")
    assert verify_log(tmp_path / "export").size == 0


def test_one_flipped_byte_in_any_file_is_found_and_named(tmp_path: Path) -> None:
    # Verified hundreds of times: the least log with every kind of file, full and partial.
    log = SmallLog(tmp_path)
    log.grow(200)
    log.cosign()
    log.grow(60)
    log.cosign("node-2", SECOND_WITNESS)
    exported, folder = log.folder / "export", tmp_path / "tampered"
    log.ledger.export(exported)
    shutil.copytree(exported, folder)
    names = files_of(exported)
    assert names == [
        "checkpoint",
        "cosigned/200",
        "keys.json",
        "tile/0/000",
        "tile/0/001.p/4",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/4",
    ]
    for name in names:
        original = (exported / name).read_bytes()
        places = range(len(original)) if len(original) < 300 else range(0, len(original), len(original) // 20)
        for place in places:
            changed = bytearray(original)
            changed[place] ^= 1 << place % 8
            (folder / name).write_bytes(bytes(changed))
            with pytest.raises(Corrupt) as caught:
                verify_log(folder)
            assert caught.value.context.get("file") == name, (name, place, caught.value)
            assert name in caught.value.what.zh, (name, place)
            assert name in caught.value.what.en, (name, place)
        (folder / name).write_bytes(original)
    verify_log(folder)


def test_a_changed_entry_is_named_by_its_index(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(exported, folder)
    path = folder / "tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b"subject-100", b"subject-999", 1))
    with pytest.raises(Corrupt) as caught:
        verify_log(folder)
    assert caught.value.code == "ledger.entry_changed"
    assert caught.value.context == {"file": "tile/entries/001", "index": 300}


def test_each_missing_added_or_cut_file_is_named(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(exported, folder)
    for name in files_of(exported):
        original = (folder / name).read_bytes()
        if not name.startswith("cosigned/"):
            (folder / name).unlink()
            with pytest.raises(Corrupt) as caught:
                verify_log(folder)
            assert caught.value.context["file"] == name
        for content in (original[:-1], original + b"\0", b""):
            (folder / name).write_bytes(content)
            with pytest.raises(Corrupt) as caught:
                verify_log(folder)
            assert caught.value.context["file"] == name
        (folder / name).write_bytes(original)
    (folder / "tile/0/003").write_bytes(b"")
    with pytest.raises(Corrupt, match="tile/0/003"):
        verify_log(folder)


def test_another_key_is_refused(exported: Path) -> None:
    with pytest.raises(Corrupt) as caught:
        verify_log(exported, log_key=SECOND_WITNESS.public_key)
    assert caught.value.code == "ledger.log_key_differs"


def test_a_witness_that_signed_nothing_is_not_listed(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(exported, folder)
    shutil.rmtree(folder / "cosigned")
    with pytest.raises(Corrupt) as caught:
        verify_log(folder)
    assert caught.value.code == "ledger.witness_unused"


def test_files_of_another_log_of_the_same_size_are_refused(exported: Path, tmp_path: Path) -> None:
    other = SmallLog(tmp_path / "other")
    other.grow(530, prefix="other")
    folder = tmp_path / "mixed"
    other.ledger.export(folder)
    for name in ("checkpoint", "keys.json"):
        shutil.copy(exported / name, folder / name)
    shutil.copytree(exported / "cosigned", folder / "cosigned")
    with pytest.raises(Corrupt) as caught:
        verify_log(folder)
    assert caught.value.code == "ledger.root_differs"


def test_an_earlier_cosigned_checkpoint_of_a_fork_is_found(exported: Path, tmp_path: Path) -> None:
    fork = SmallLog(tmp_path / "fork")
    fork.grow(200, prefix="forked")
    fork.cosign()
    folder = tmp_path / "tampered"
    shutil.copytree(exported, folder)
    (folder / "cosigned/200").write_bytes(fork.ledger.checkpoint())
    with pytest.raises(Corrupt) as caught:
        verify_log(folder)
    assert caught.value.context == {"file": "cosigned/200", "size": 200}
    (folder / "cosigned/200").rename(folder / "cosigned/199")
    with pytest.raises(Corrupt) as caught:
        verify_log(folder)
    assert caught.value.context["file"] == "cosigned/199"


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"log":1,"v":1,"witnesses":[]}', "[" * 100_000])
def test_malformed_keys(exported: Path, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(exported, folder)
    (folder / "keys.json").write_text(content)
    with pytest.raises(Corrupt) as caught:
        verify_log(folder)
    assert caught.value.context["file"] == "keys.json"


def test_keys_are_c2sp_verifier_keys(exported: Path) -> None:
    keys = json.loads((exported / "keys.json").read_text())
    assert keys["log"].startswith(f"{ORIGIN}+")
    assert [key.split("+")[0] for key in keys["witnesses"]] == ["node-1", "node-2"]
