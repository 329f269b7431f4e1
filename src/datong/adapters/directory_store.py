"""Immutable files in a directory, of the log or of libraries: complete or absent, durable once written."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from datong.kernel.files import flush
from datong.ledger import File, no_file, rewritten


class DirectoryStore:
    """A `TileStore` and `library.FileStore` on a directory of a local file system that several processes may share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """Return the file's content. Raises NotFound."""
        try:
            return self._place(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise no_file(path) from None

    def write(self, path: str, content: bytes) -> None:
        """Write the file beside its place, flush it, and link it there: readers see all of it or nothing.

        Raises:
            Corrupt: the file exists with another content.
        """
        self.write_all([(path, content)])

    def write_all(self, files: Sequence[File]) -> None:
        """Do so for several files; the names in a folder are flushed once, after the last.

        Raises:
            Corrupt: one exists with another content.
        """
        # 1. Contents lie beside their places, durable.
        # 2. Each gets its name. A link, unlike a rename, never replaces what another process wrote in the meantime.
        # 3. The names become durable, with those of new folders.
        written: list[tuple[Path, File]] = []
        folders: dict[Path, None] = {}
        try:
            for path, content in files:
                if self._holds(path, content):
                    continue
                place = self._place(path)
                self._make_folder(place.parent, folders)
                temporary = place.with_name(f".{place.name}.{uuid4().hex}.tmp")
                written.append((temporary, (path, content)))
                with temporary.open("xb") as file:
                    file.write(content)
            for temporary, _ in written:
                flush(temporary)
            for temporary, (path, content) in written:
                try:
                    os.link(temporary, self._place(path))
                except FileExistsError:
                    if not self._holds(path, content):
                        raise rewritten(path) from None
        finally:
            for temporary, _ in written:
                temporary.unlink(missing_ok=True)
        for folder in folders:
            flush(folder)

    def holds(self, path: str) -> bool:
        """Return whether there is such a file."""
        return self._place(path).is_file()

    def put_file(self, path: str, source: Path) -> None:
        """Put a copy of a file there, durable once this returns; what is there already is replaced by it."""
        place = self._place(path)
        folders: dict[Path, None] = {}
        self._make_folder(place.parent, folders)
        temporary = place.with_name(f".{place.name}.{uuid4().hex}.tmp")
        try:
            shutil.copyfile(source, temporary)
            flush(temporary)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
        for folder in folders:
            flush(folder)

    def fetch_file(self, path: str, target: Path) -> None:
        """Write a file's content to `target`. Raises NotFound."""
        try:
            shutil.copyfile(self._place(path), target)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise no_file(path) from None

    def names(self, folder: str) -> Iterator[str]:
        """Yield the paths of all files below a folder, in no order."""
        for path in self._place(folder).rglob("*"):
            if path.is_file() and not path.name.endswith(".tmp"):
                yield path.relative_to(self._root).as_posix()

    def discard(self, path: str) -> None:
        """Remove a file, or a folder of files, that nothing needs here any more, if it is there."""
        place = self._place(path)
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)

    def _holds(self, path: str, content: bytes) -> bool:
        place = self._place(path)
        if not place.is_file():
            return False
        if place.read_bytes() != content:
            raise rewritten(path)
        return True

    def _place(self, path: str) -> Path:
        place = self._root / path
        if not path or path.startswith("/") or ".." in Path(path).parts:
            raise no_file(path)
        return place

    def _make_folder(self, folder: Path, changed: dict[Path, None]) -> None:
        """Make a folder that is missing, and add it and those that got a new one to what has `changed`."""
        if not folder.is_dir():
            if folder != folder.parent:
                self._make_folder(folder.parent, changed)
            folder.mkdir(exist_ok=True)
            changed[folder.parent] = None
        changed[folder] = None
