"""The log's immutable files in a directory: complete or absent, durable once written."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

from datong.kernel.files import flush
from datong.ledger import no_file, rewritten


class DirectoryStore:
    """A `TileStore` on a directory of a local file system that several processes may share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """Return the file's content. Raises NotFound."""
        try:
            return self._place(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise no_file(path) from None

    def write(self, path: str, content: bytes) -> None:
        """Write the file beside its place, flush it, and rename it: readers see all of it or nothing.

        Raises:
            Corrupt: the file exists with another content.
        """
        place = self._place(path)
        if self._holds(path, content):
            return
        self._make_folder(place.parent)
        temporary = place.with_name(f".{place.name}.{uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                # A link, unlike a rename, never replaces what another process wrote in the meantime.
                os.link(temporary, place)
            except FileExistsError:
                if not self._holds(path, content):
                    raise rewritten(path) from None
        finally:
            temporary.unlink(missing_ok=True)
        flush(place.parent)

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

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            if folder != folder.parent:
                self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            flush(folder.parent)
