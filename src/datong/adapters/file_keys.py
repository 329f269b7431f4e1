"""Signing keys in files: PKCS #8 PEM, readable by their owner only.

Behind a hub's key may stand the secrets that were derived from its first one, and outlive it: in the same file, so that
both are replaced, and put by, together.
"""

import base64
import os
import stat
from pathlib import Path
from uuid import uuid4

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from datong.kernel import Misconfigured, Text
from datong.ledger import Ed25519Signer

_OWNER_ONLY = 0o600
_SECRETS_BEGIN, _SECRETS_END = b"-----BEGIN DATONG SECRETS-----", b"-----END DATONG SECRETS-----"


def load_or_create_signer(path: Path) -> Ed25519Signer:
    """Return the signer whose key is at `path`; make the key if there is none. Safe when two processes start at once.

    Raises:
        Misconfigured: the file is no Ed25519 key, cannot be read, or others than its owner may read it.
    """
    if not path.exists():
        _create(path)
    return load_signer(path)


def load_signer(path: Path) -> Ed25519Signer:
    """Return the signer whose key is at `path`.

    Raises:
        Misconfigured: the file is missing, no Ed25519 key, or others than its owner may read it.
    """
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Misconfigured(
                "adapters.key_exposed",
                what=Text(
                    zh=f"私钥文件 {path} 可被其他用户读取。",
                    en=f"The private key file {path} is open to other users.",
                ),
                remedy=Text(
                    zh=f"请执行 chmod 600 {path}；若可能已泄露，请更换密钥。",
                    en=f"Run chmod 600 {path}; replace the key if it may have leaked.",
                ),
            )
        key = load_pem_private_key(path.read_bytes().partition(_SECRETS_BEGIN)[0], password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unreadable(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unreadable(path)
    return Ed25519Signer(key)


def load_secrets(path: Path) -> bytes | None:
    """Return the secrets behind the key at `path`; None: there are none.

    Raises:
        Misconfigured: they are damaged.
    """
    try:
        _, begin, rest = path.read_bytes().partition(_SECRETS_BEGIN)
        text, end, _ = rest.partition(_SECRETS_END)
        if not begin:
            return None
        secrets = base64.b64decode(b"".join(text.split()), validate=True)
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not end or not secrets:
        raise _unreadable(path)
    return secrets


def make_key_with_secrets(path: Path, secrets: bytes) -> Ed25519Signer:
    """Return the signer whose key is at `path`; make it, with `secrets` behind it, if there is none.

    Raises:
        Misconfigured: the file is no Ed25519 key, cannot be read, or others than its owner may read it.
    """
    if not path.exists():
        _create(path, secrets)
    return load_signer(path)


def _unreadable(path: Path) -> Misconfigured:
    return Misconfigured(
        "adapters.key_unreadable",
        what=Text(zh=f"无法从 {path} 读取 Ed25519 私钥。", en=f"No Ed25519 private key can be read from {path}."),
        remedy=Text(zh="请从备份恢复该文件。", en="Restore the file from a backup."),
    )


def _create(path: Path, secrets: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            if secrets:
                file.write(_SECRETS_BEGIN + b"\n" + base64.b64encode(secrets) + b"\n" + _SECRETS_END + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            # Another process was first: its key is the one.
            return
    finally:
        temporary.unlink(missing_ok=True)
