import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from datong.adapters.file_keys import load_or_create_signer, load_signer
from datong.kernel import Misconfigured
from datong.ledger import verify_signature


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.pem"
    signer = load_or_create_signer(path)
    assert load_or_create_signer(path).public_key == signer.public_key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["log.pem"]
    verify_signature(signer.public_key, b"message", load_signer(path).sign(b"message"))


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = threads.map(lambda _: load_or_create_signer(tmp_path / "log.pem").public_key, range(8))
    assert len(set(keys)) == 1


def test_an_exposed_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    load_or_create_signer(path)
    path.chmod(0o640)
    with pytest.raises(Misconfigured) as caught:
        load_or_create_signer(path)
    assert caught.value.code == "adapters.key_exposed"


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"no key", other):
        path = tmp_path / "log.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(Misconfigured):
            load_or_create_signer(path)
    with pytest.raises(Misconfigured):
        load_signer(tmp_path / "missing.pem")
