"""Published versions in a store that several machines reach, for machines that serve a library and build none.

A build puts there what it is about to publish: each file under the digest of its content, then the list of the files,
which is created once. Only then does the control database call it the current version. Nothing that lies there is ever
changed, so whoever takes a file from there needs no lock, and knows by its name whether it is whole.
"""

import fcntl
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple, Protocol

from pydantic import AfterValidator, Field, ValidationError

from datong.kernel import BuildId, Corrupt, NotFound, Text, Unavailable, Value
from datong.kernel.files import file_digest, flush, replace_file

BUILDS = "builds"
DELTA = "delta"


class FileStore(Protocol):
    """Files by name, complete or absent: a directory, or a bucket of an object store."""

    def read(self, path: str) -> bytes:
        """Return a file's content. Raises NotFound."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Create a file, once. Raises Corrupt: it is there with another content."""
        ...

    def holds(self, path: str) -> bool:
        """Return whether there is such a file."""
        ...

    def put_file(self, path: str, source: Path) -> None:
        """Put a copy of the file at `source` there; a name stands for one content only."""
        ...

    def fetch_file(self, path: str, target: Path) -> None:
        """Write a file's content to `target`. Raises NotFound."""
        ...

    def names(self, folder: str) -> Iterator[str]:
        """Yield the paths of all files below a folder, in no order."""
        ...

    def discard(self, path: str) -> None:
        """Remove a file, if it is there."""
        ...


def _below(path: str) -> str:
    """Return a path that stays below the folder it begins in: the list that names it comes from a store."""
    if PurePosixPath(path).is_absolute() or not path.isprintable() or {"", ".", ".."} & set(path.split("/")):
        raise ValueError(path)
    return path


class ShelvedFile(Value):
    """A file of a version: its path below the folder of all libraries, and what it holds."""

    path: Annotated[str, AfterValidator(_below)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class ShelvedVersion(Value):
    """Every file of a version."""

    library: str
    build_id: BuildId
    files: tuple[ShelvedFile, ...]


class Kept(NamedTuple):
    """What stays of a library: of the versions of the builds `whole` everything, of those of `tables` their tables."""

    whole: Collection[BuildId]
    tables: Collection[BuildId]


class Shelf:
    """Puts versions on `store`, and takes them from there into `folder`, the folder of all libraries on this machine.

    `cache`: this machine builds nothing, and what lies in the folder is only what was taken. Safe to use from several
    threads; several processes of a machine share the folder.
    """

    def __init__(self, store: FileStore, folder: Path, *, cache: bool) -> None:
        self._store, self._folder, self.cache = store, folder, cache
        self._lock = threading.Lock()
        self._taken: set[tuple[str, str]] = set()

    def put(self, library: str, build_id: BuildId, paths: Iterable[Path], *, like: BuildId | None = None) -> None:
        """Put a version there; what lies there already is not put again.

        `like` is an earlier version: a file of it that has the same size is the same file, since none is ever changed.

        Raises:
            Corrupt: the version lies there with other files.
            Unavailable: the store does not answer.
        """
        before = self._listed(library, like) if like is not None else None
        known = {file.path: file for file in before.files} if before is not None else {}
        files = []
        for path in sorted(paths):
            name, size = path.relative_to(self._folder).as_posix(), path.stat().st_size
            file = known.get(name)
            if file is None or file.bytes != size:
                file = ShelvedFile(path=name, sha256=file_digest(path), bytes=size)
                place = _content(library, file.sha256)
                if not self._store.holds(place):
                    self._store.put_file(place, path)
            files.append(file)
        made = ShelvedVersion(library=library, build_id=build_id, files=tuple(files))
        self._store.write(_list(library, build_id), made.model_dump_json().encode())

    def version(self, library: str, build_id: BuildId) -> ShelvedVersion | None:
        """Return what the version of a build consists of; None if it does not lie there.

        Raises:
            Corrupt: its list is none, or another version's.
        """
        copy = self._folder / library / "shelf" / f"{build_id}.json"
        if copy.exists():
            return ShelvedVersion.model_validate_json(copy.read_bytes())
        found = self._listed(library, build_id)
        if found is not None:
            # A cache goes on with what it has while the store is away.
            replace_file(copy, found.model_dump_json().encode(), several_writers=True)
        return found

    def _listed(self, library: str, build_id: BuildId) -> ShelvedVersion | None:
        try:
            found = ShelvedVersion.model_validate_json(self._store.read(_list(library, build_id)))
        except NotFound:
            return None
        except ValidationError as error:
            raise _no_list(library, build_id) from error
        if (found.library, found.build_id) != (library, build_id):
            raise _no_list(library, build_id)
        return found

    def holds(self, library: str, build_id: BuildId) -> bool:
        """Return whether the version of a build lies there."""
        return self._store.holds(_list(library, build_id))

    def has(self, library: str, build_id: BuildId, part: str) -> bool:
        """Return whether the files of a version in a part of the library's folder are on this machine."""
        found = self.version(library, build_id)
        return found is not None and all(self._is_here(file) for file in found.files if _in(file, library, part))

    def take(self, library: str, build_id: BuildId, part: str) -> None:
        """See that the files of a version in a part of the library's folder (`BUILDS`, `DELTA`) are on this machine.

        Raises:
            Corrupt: what lies there is not what was put there.
            NotFound: a file is no more there.
            Unavailable: the store does not answer, or, for a cache, nobody has put the version there yet.
        """
        if (build_id, part) in self._taken:
            return
        found = self.version(library, build_id)
        if found is None and self.cache:
            raise _not_there(library)
        files = [file for file in found.files if _in(file, library, part)] if found is not None else []
        if not all(map(self._is_here, files)):
            with self._held(library):
                for file in files:
                    if not self._is_here(file):
                        self._fetch(library, file)
        if found is not None:
            with self._lock:
                self._taken.add((build_id, part))

    def keep(self, library: str, kept_now: Callable[[], Kept]) -> None:
        """Remove what no kept version needs: from the store, or, on a cache, from this machine.

        `kept_now` is asked while no other process of this machine takes files: what it tells was published before they
        were taken. A process that builds holds the library's lock meanwhile.
        """
        with self._held(library):
            kept = kept_now()
            needed: dict[str, ShelvedFile] = {}
            for build_id in {*kept.whole, *kept.tables}:
                found = self.version(library, build_id)
                parts = (BUILDS, DELTA) if build_id in kept.whole else (DELTA,)
                if found is not None:
                    needed |= {one.path: one for one in found.files if any(_in(one, library, part) for part in parts)}
            lists = {_list(library, build_id) for build_id in {*kept.whole, *kept.tables}}
            if self.cache:
                self._clear(library, needed)
            else:
                # The lists go first: whoever finds files gone finds no list of them either.
                contents = {_content(library, file.sha256) for file in needed.values()}
                for folder, stay in (("versions", lists), ("files", contents)):
                    for name in tuple(self._store.names(f"{library}/{folder}")):
                        if name not in stay:
                            self._store.discard(name)
            for copy in (self._folder / library / "shelf").glob("*.json"):
                if _list(library, BuildId(copy.stem)) not in lists:
                    copy.unlink(missing_ok=True)
        with self._lock:
            self._taken = {known for known in self._taken if known[0] in {*kept.whole, *kept.tables}}

    def _clear(self, library: str, needed: Collection[str]) -> None:
        for part in (BUILDS, DELTA):
            for path in (self._folder / library / part).rglob("*"):
                if path.is_file() and path.relative_to(self._folder).as_posix() not in needed:
                    path.unlink(missing_ok=True)

    def _is_here(self, file: ShelvedFile) -> bool:
        path = self._folder / file.path
        return path.is_file() and path.stat().st_size == file.bytes

    def _fetch(self, library: str, file: ShelvedFile) -> None:
        """Bring a file here: aside, compared with its digest, flushed, renamed."""
        path = self._folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.part")
        self._store.fetch_file(_content(library, file.sha256), aside)
        if file_digest(aside) != file.sha256:
            aside.unlink()
            raise Corrupt(
                "library.shelved_file_changed",
                what=Text(
                    zh=f"对象存储中的文件 {file.path} 与其摘要不符。",
                    en=f"The file {file.path} in the object store is not what its digest says.",
                ),
                remedy=Text(
                    zh="请检查对象存储；删除该对象和版本清单，构建的机器会重新放入。",
                    en="See to the store; remove the object and the version's list: a machine that builds puts both "
                    "there again.",
                ),
                context={"library": library, "sha256": file.sha256},
            )
        flush(aside)
        aside.replace(path)

    @contextmanager
    def _held(self, library: str) -> Iterator[None]:
        """Keep other processes of this machine from changing the library's folder in the same way."""
        home = self._folder / library
        home.mkdir(parents=True, exist_ok=True)
        with (home / "shelf.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _no_list(library: str, build_id: BuildId) -> Corrupt:
    return Corrupt(
        "library.shelved_list_changed",
        what=Text(
            zh=f"对象存储中资源库 {library} 的版本清单 {build_id} 不是构建时放入的清单。",
            en=f"The list of the version {build_id} of the library {library} in the object store is not one that a "
            "build puts there.",
        ),
        remedy=Text(
            zh="请检查对象存储由谁写入；删除该清单，构建的机器会重新放入。",
            en="See who writes to the store; remove the list: a machine that builds puts it there again.",
        ),
        context={"library": library, "build": build_id},
    )


def _not_there(library: str) -> Unavailable:
    return Unavailable(
        "library.not_on_shelf",
        what=Text(
            zh=f"资源库 {library} 的当前版本还没有放入对象存储。",
            en=f"The current version of the library {library} does not lie in the object store yet.",
        ),
        remedy=Text(
            zh="构建资源库的机器每分钟补放一次；请确认其 DATONG_LIBRARY_PLACE=shelf。",
            en="A machine that builds puts it there within a minute; see that it has DATONG_LIBRARY_PLACE=shelf.",
        ),
        context={"library": library},
    )


def _in(file: ShelvedFile, library: str, part: str) -> bool:
    return file.path.startswith(f"{library}/{part}/")


def _content(library: str, sha256: str) -> str:
    return f"{library}/files/{sha256}"


def _list(library: str, build_id: BuildId) -> str:
    return f"{library}/versions/{build_id}.json"
