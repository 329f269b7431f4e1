"""A folder of backups: objects named by their SHA-256 that all backups share, and a folder with a manifest for each.

What did not change since the backup before costs nothing but its line in the manifest. Everything is written aside,
flushed and renamed; a backup exists from the moment its folder has its name.
"""

import base64
import fcntl
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datong.app.backups.values import (
    MANIFEST,
    SIGNATURE,
    Manifest,
    StoredContent,
    checked_name,
    damaged,
    sign_manifest,
    verify_manifest,
)
from datong.kernel import Conflict, NotFound, Text
from datong.kernel.files import flush
from datong.ledger import Signer

OBJECT_BYTES_MAX = 16 * 1024 * 1024
"""Contents are cut at each multiple: of a database file that grows, only the changed parts are stored again."""
_DEFLATED, _PLAIN = b"z", b"p"
_LEVEL = 1
_BACKUPS, _OBJECTS, _LOCK = "backups", "objects", "lock"


class BackupFolder:
    """Backups in the folder `root`, which may be a mounted disk of another machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for one backup, or for clearing it up.

        Raises:
            Conflict: another process is at it.
        """
        # Everything of the hub is in it: it is nobody else's business either.
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Conflict(
                    "app.backup_busy",
                    what=Text(
                        zh=f"另一次备份正在写入 {self.root}。", en=f"Another backup is being written to {self.root}."
                    ),
                    remedy=Text(zh="请等它结束后再试。", en="Try again when it has ended."),
                ) from error
            yield

    def store(self, pieces: Iterable[bytes], *, deflate: bool = False) -> StoredContent:
        """Store bytes and return what they are called by; each piece becomes an object, so it is of bounded size."""
        whole, count, parts = hashlib.sha256(), 0, []
        for piece in pieces:
            whole.update(piece)
            count += len(piece)
            parts.append(self._object(piece, deflate))
        return StoredContent(sha256=whole.hexdigest(), bytes=count, parts=tuple(parts))

    def store_file(self, path: Path, *, deflate: bool = False) -> StoredContent:
        """Store a file's content as it is while it is read."""
        with path.open("rb") as file:
            return self.store(iter(lambda: file.read(OBJECT_BYTES_MAX), b""), deflate=deflate)

    def has(self, content: StoredContent) -> bool:
        """Return whether every object of a content is there; whether it is whole is not looked at."""
        return all(self._place(part).is_file() for part in content.parts)

    def pieces(self, content: StoredContent, name: str) -> Iterator[bytes]:
        """Yield the bytes of a content; `name` is what an error calls it.

        Raises:
            Corrupt: an object is missing or changed. Told at the latest behind the last piece.
        """
        whole, count = hashlib.sha256(), 0
        for part in content.parts:
            piece = self._piece(part, name)
            whole.update(piece)
            count += len(piece)
            yield piece
        if whole.hexdigest() != content.sha256 or count != content.bytes:
            raise damaged(name)

    def write_file(self, content: StoredContent, path: Path, name: str) -> None:
        """Write a content to a new file and flush it.

        Raises:
            Corrupt: an object is missing or changed.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for piece in self.pieces(content, name):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    def finish(self, manifest: Manifest, signer: Signer) -> None:
        """Make the backup exist."""
        data = manifest.encode()
        place = self.root / _BACKUPS / checked_name(manifest.name)
        aside = place.with_name(f".{manifest.name}.tmp")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name, content in (
            (MANIFEST, data),
            (SIGNATURE, base64.b64encode(sign_manifest(data, signer)) + b"\n"),
        ):
            (aside / name).write_bytes(content)
            flush(aside / name)
        flush(aside)
        aside.rename(place)
        flush(place.parent)

    def names(self) -> list[str]:
        """Return the names of the backups, oldest first."""
        folder = self.root / _BACKUPS
        return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []

    def manifest(self, name: str, key: bytes | None) -> Manifest:
        """Return a backup's manifest, signed by `key`; without one its signature is not looked at.

        Raises:
            NotFound: there is no such backup.
            Corrupt: it is damaged, or another key signed it.
        """
        place = self.root / _BACKUPS / checked_name(name)
        if not place.is_dir():
            raise NotFound(
                "app.backup_unknown",
                what=Text(zh=f"{self.root} 中没有备份 {name}。", en=f"There is no backup {name} in {self.root}."),
                remedy=Text(zh="请用 datong hub backups 列出备份。", en="List them by datong hub backups."),
            )
        try:
            data, signature = (place / MANIFEST).read_bytes(), (place / SIGNATURE).read_bytes()
            decoded = base64.b64decode(signature.strip(), validate=True)
        except (OSError, ValueError) as error:
            raise damaged(f"{name}/{MANIFEST}") from error
        if key is not None:
            verify_manifest(data, decoded, key)
        return Manifest.parse(data, name=name)

    def verify(self, manifest: Manifest) -> None:
        """Read everything that a backup consists of.

        Raises:
            Corrupt: something is missing or changed.
        """
        done: set[str] = set()
        for content in manifest.contents():
            if content.sha256 not in done:
                for _ in self.pieces(content, content.sha256):
                    pass
                done.add(content.sha256)

    def keep_newest(self, count: int) -> list[str]:
        """Delete all but the newest `count` backups and the objects that only they needed; return their names."""
        names = self.names()
        old = names[: max(len(names) - count, 0)]
        for name in old:
            # Renamed first: what is half deleted is no backup.
            aside = self.root / _BACKUPS / f".{name}.tmp"
            (self.root / _BACKUPS / name).rename(aside)
        for aside in (self.root / _BACKUPS).glob(".*.tmp") if names else ():
            shutil.rmtree(aside)
        if old:
            kept = [self.manifest(name, None) for name in self.names()]
            needed = {part for manifest in kept for content in manifest.contents() for part in content.parts}
            for path in (self.root / _OBJECTS).glob("*/*"):
                if path.name not in needed:
                    path.unlink()
        return old

    def _object(self, piece: bytes, deflate: bool) -> str:
        digest = hashlib.sha256(piece).hexdigest()
        place = self._place(digest)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            aside = place.with_name(place.name + ".tmp")
            with aside.open("wb") as file:
                file.write(_DEFLATED + zlib.compress(piece, _LEVEL) if deflate else _PLAIN + piece)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(place)
            flush(place.parent)
        return digest

    def _piece(self, digest: str, name: str) -> bytes:
        try:
            stored = self._place(digest).read_bytes()
            piece = zlib.decompress(stored[1:]) if stored[:1] == _DEFLATED else stored[1:]
        except (OSError, zlib.error) as error:
            raise damaged(name) from error
        if hashlib.sha256(piece).hexdigest() != digest:
            raise damaged(name)
        return piece

    def _place(self, digest: str) -> Path:
        return self.root / _OBJECTS / digest[:2] / digest
