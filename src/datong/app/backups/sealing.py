"""Private keys in a backup: enciphered under a passphrase that is kept elsewhere, or left out."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from datong.app.backups.values import SealedKey
from datong.kernel import Misconfigured, Refused, Text

PASSPHRASE_CHARS_MIN = 16
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 1
"""RFC 7914; 32 MiB for each try."""
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32


def read_passphrase(path: Path) -> bytes:
    """Return the passphrase in a file, without the line's end.

    Raises:
        Misconfigured: the file cannot be read, or holds less than a passphrase must have.
    """
    try:
        found = path.read_bytes().strip()
    except OSError as error:
        raise _unusable(path) from error
    if len(found) < PASSPHRASE_CHARS_MIN:
        raise _unusable(path)
    return found


def seal(path: str, content: bytes, passphrase: bytes) -> SealedKey:
    """Encipher the content of a key file; its path is authenticated with it."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    ciphertext = AESGCM(_derived(passphrase, salt)).encrypt(nonce, content, path.encode())
    return SealedKey(path=path, salt=salt, nonce=nonce, ciphertext=ciphertext)


def unseal(key: SealedKey, passphrase: bytes) -> bytes:
    """Return the content of a key file.

    Raises:
        Refused: it is another passphrase, or the key was changed.
    """
    try:
        return AESGCM(_derived(passphrase, key.salt)).decrypt(key.nonce, key.ciphertext, key.path.encode())
    except (InvalidTag, ValueError) as error:
        raise Refused(
            "app.backup_passphrase",
            what=Text(
                zh=f"口令打不开备份中的密钥 {key.path}。",
                en=f"The passphrase does not open the backup's key {key.path}.",
            ),
            remedy=Text(
                zh="请用备份时的口令文件，或用 --hub-key 指定单独保存的密钥。",
                en="Use the passphrase file of the backup, or name the key kept elsewhere by --hub-key.",
            ),
        ) from error


def _derived(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase)


def _unusable(path: Path) -> Misconfigured:
    return Misconfigured(
        "app.backup_passphrase_file",
        what=Text(
            zh=f"口令文件 {path} 无法读取，或少于 {PASSPHRASE_CHARS_MIN} 个字符。",
            en=f"The passphrase file {path} cannot be read, or has fewer than {PASSPHRASE_CHARS_MIN} characters.",
        ),
        remedy=Text(
            zh="请写入一个长口令，例如 openssl rand -base64 24 的输出，并另行保管。",
            en="Put a long one in, such as what openssl rand -base64 24 prints, and keep a copy elsewhere.",
        ),
    )
