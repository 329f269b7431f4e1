"""Tiles (C2SP tlog-tiles): the log as immutable files of 256 hashes or entries, and the store that keeps them."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, Self

from datong.kernel import NotFound, Text, Value
from datong.ledger.faults import corrupt
from datong.ledger.merkle import EMPTY_ROOT, HASH_BYTES, complete_root, node_hash

TILE_WIDTH = 256
_TILE_LEVELS = 8
_ENTRIES = "entries"
_NUMBER = r"(?:x[0-9]{3}/)*[0-9]{3}"
File = tuple[str, bytes]
"""A file's name and its content."""
_PATH = re.compile(rf"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/({_NUMBER})(?:\.p/([1-9][0-9]{{0,2}}))?")


class TilePath(Value):
    """The name of a tile: its level (None for a bundle of entries), its number, and its width (256 when full)."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @classmethod
    def parse(cls, path: str) -> Self:
        """Return the tile that `path` names, for example `tile/0/x001/234.p/56`.

        Raises:
            NotFound: no tile has such a name.
        """
        match = _PATH.fullmatch(path)
        if match is not None and len(match[2]) <= 40:
            tile = cls(
                level=None if match[1] == _ENTRIES else int(match[1]),
                number=int(match[2].replace("x", "").replace("/", "")),
                width=int(match[3] or TILE_WIDTH),
            )
            if str(tile) == path:
                return tile
        raise no_file(path)

    @property
    def full(self) -> "TilePath":
        """The tile that this one grows into."""
        return TilePath(level=self.level, number=self.number)

    @property
    def partials(self) -> str:
        """The folder of this tile's partial versions."""
        return f"{self.full}.p"

    @property
    def last_index(self) -> int:
        """The last entry that the tile's last hash covers."""
        return ((self.number * TILE_WIDTH + self.width) << (_TILE_LEVELS * (self.level or 0))) - 1

    def __str__(self) -> str:
        level = _ENTRIES if self.level is None else str(self.level)
        digits = f"{self.number:03d}"
        digits = digits.zfill((len(digits) + 2) // 3 * 3)
        groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        return f"tile/{level}/{number}" + (f".p/{self.width}" if self.width < TILE_WIDTH else "")


def no_file(path: str) -> NotFound:
    """Return the error that the log has no such file."""
    return NotFound(
        "ledger.file_unknown",
        what=Text(zh=f"日志中没有文件 {path[:200]}。", en=f"The log has no file {path[:200]}."),
        remedy=Text(zh="请按检查点的大小推算文件名。", en="Derive the names of files from the checkpoint's size."),
        context={"file": path[:200]},
    )


def tiles_of(size: int) -> Iterator[TilePath]:
    """Yield the tiles that a log of `size` consists of: level by level, bundles of entries last."""
    count, level = size, 0
    while count:
        yield from _row(level, count)
        count, level = count // TILE_WIDTH, level + 1
    yield from _row(None, size)


def _row(level: int | None, count: int) -> Iterator[TilePath]:
    for number in range(count // TILE_WIDTH):
        yield TilePath(level=level, number=number)
    if count % TILE_WIDTH:
        yield TilePath(level=level, number=count // TILE_WIDTH, width=count % TILE_WIDTH)


class TileStore(Protocol):
    """Keeps the log's immutable files. Every method may be called again after a crash, and by several processes."""

    def read(self, path: str) -> bytes:
        """Return the file's content. Raises NotFound."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Make the file durable; writing the same content again does nothing.

        Raises:
            Corrupt: the file exists with another content.
        """
        ...

    def write_all(self, files: Sequence[File]) -> None:
        """Do as `write` does for each of several files; all are durable when it returns, none for certain before.

        Raises:
            Corrupt: one exists with another content.
        """
        ...

    def discard(self, path: str) -> None:
        """Remove a file, or a folder of files, that nothing needs here any more, if it is there."""
        ...


class MemoryTileStore:
    """A store that forgets when its process ends: for tests and drills."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, path: str) -> bytes:
        """Return the file's content."""
        try:
            return self.files[path]
        except KeyError:
            raise no_file(path) from None

    def write(self, path: str, content: bytes) -> None:
        """Keep the file."""
        if self.files.setdefault(path, content) != content:
            raise rewritten(path)

    def write_all(self, files: Sequence[File]) -> None:
        """Keep the files."""
        for path, content in files:
            self.write(path, content)

    def discard(self, path: str) -> None:
        """Forget a file, or the files in a folder."""
        for name in [name for name in self.files if name == path or name.startswith(path + "/")]:
            del self.files[name]


def rewritten(path: str) -> Exception:
    """Return the error that an immutable file would change: the log's database and its files have parted."""
    return corrupt(
        "tile_rewritten",
        zh=f"日志文件 {path} 已存在且内容不同：数据库与日志文件不是同一份日志（例如数据库被恢复到了旧备份）。",
        en=f"The log file {path} exists with another content: database and files are not of one log (for example, the"
        " database was restored from an old backup).",
        file=path,
    )


def encode_entries(leaves: Sequence[bytes]) -> bytes:
    """Return an entry bundle: each leaf behind its length as u16."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def decode_entries(bundle: bytes, *, count: int, name: str, first_index: int) -> list[bytes]:
    """Return the `count` leaves of an entry bundle; `name` and `first_index` tell where it is.

    Raises:
        Corrupt: it does not hold exactly that many.
    """
    leaves: list[bytes] = []
    place = 0
    for offset in range(count):
        end = place + 2 + int.from_bytes(bundle[place : place + 2], "big")
        if place + 2 > len(bundle) or end > len(bundle):
            raise corrupt(
                "bundle_malformed",
                zh=f"文件 {name} 在第 {first_index + offset} 号条目处（字节 {place}）中断。",
                en=f"File {name} breaks off at entry {first_index + offset} (byte {place}).",
                file=name,
                index=first_index + offset,
                byte=place,
            )
        leaves.append(bundle[place + 2 : end])
        place = end
    if place != len(bundle):
        raise corrupt(
            "bundle_malformed",
            zh=f"文件 {name} 在其 {count} 个条目之后还有多余内容（自字节 {place} 起）。",
            en=f"File {name} goes on behind its {count} entries (from byte {place}).",
            file=name,
            index=first_index + count - 1,
            byte=place,
        )
    return leaves


class TileBuilder:
    """Grows a tree leaf by leaf and gives out its tiles: one hash per inner node of full tiles, nothing twice.

    `edge[level]` holds the hashes of the last, partial tile of each level. `root` costs O(256 log n).
    """

    def __init__(self, size: int = 0, edge: Sequence[Sequence[bytes]] = ()) -> None:
        self.size = size
        self._edge = [list(hashes) for hashes in edge]

    def add(self, leaf_hash: bytes) -> list[tuple[TilePath, bytes]]:
        """Add one leaf; return the tiles that it made full, with their content."""
        self.size += 1
        full: list[tuple[TilePath, bytes]] = []
        value, count, level = leaf_hash, self.size, 0
        while True:
            if level == len(self._edge):
                self._edge.append([])
            hashes = self._edge[level]
            hashes.append(value)
            if len(hashes) < TILE_WIDTH:
                return full
            count //= TILE_WIDTH
            full.append((TilePath(level=level, number=count - 1), b"".join(hashes)))
            value = complete_root(hashes)
            self._edge[level] = []
            level += 1

    def partials(self) -> list[tuple[TilePath, bytes]]:
        """Return the partial tiles at the right edge of the tree as it is now, with their content."""
        return [
            (TilePath(level=level, number=self.size >> (8 * (level + 1)), width=len(hashes)), b"".join(hashes))
            for level, hashes in enumerate(self._edge)
            if hashes
        ]

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        return edge_root(self._edge)


def edge_root(edge: Sequence[Sequence[bytes]]) -> bytes:
    """Return the root of the tree whose last tiles hold these hashes, by level."""
    from_right: bytes | None = None
    for hashes in edge:
        place = len(hashes)
        while place:
            count = place & -place
            left = complete_root(hashes[place - count : place])
            from_right = left if from_right is None else node_hash(left, from_right)
            place -= count
    return EMPTY_ROOT if from_right is None else from_right


class TileReader:
    """Answers for the hash of any complete subtree of a log of `size`, from its tiles.

    `read` gives the content of a file by its name; each tile is read once. A partial tile that is gone may be read as
    the beginning of the full one.
    """

    def __init__(self, size: int, read: Callable[[str], bytes]) -> None:
        self._size = size
        self._read = read
        self._tiles: dict[tuple[int, int], bytes] = {}

    def subtree(self, level: int, index: int) -> bytes:
        """Return the hash over the leaves from index·2^level to (index+1)·2^level."""
        tile_level, depth = divmod(level, _TILE_LEVELS)
        first = index << depth
        number, offset = divmod(first, TILE_WIDTH)
        hashes = self._hashes(tile_level, number)
        return complete_root(
            [hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES] for place in range(offset, offset + (1 << depth))]
        )

    def edge(self) -> list[list[bytes]]:
        """Return the hashes of the last, partial tile of each level (what `TileBuilder` goes on from)."""
        edge: list[list[bytes]] = []
        count = self._size
        while count:
            hashes = self._hashes(len(edge), count // TILE_WIDTH) if count % TILE_WIDTH else b""
            edge.append([hashes[place : place + HASH_BYTES] for place in range(0, len(hashes), HASH_BYTES)])
            count //= TILE_WIDTH
        return edge

    def _hashes(self, level: int, number: int) -> bytes:
        if (level, number) not in self._tiles:
            width = min((self._size >> (8 * level)) - number * TILE_WIDTH, TILE_WIDTH)
            tile = TilePath(level=level, number=number, width=width)
            content = read_tile(tile, self._read)
            if len(content) != width * HASH_BYTES:
                raise corrupt(
                    "tile_malformed",
                    zh=f"文件 {tile} 应有 {width * HASH_BYTES} 字节，实际为 {len(content)} 字节。",
                    en=f"File {tile} must have {width * HASH_BYTES} bytes; it has {len(content)}.",
                    file=str(tile),
                )
            self._tiles[level, number] = content
        return self._tiles[level, number]


def read_tile(tile: TilePath, read: Callable[[str], bytes]) -> bytes:
    """Return a tile's content; a partial one that is gone is cut from the full one (tlog-tiles, "Partial Tiles")."""
    try:
        return read(str(tile))
    except NotFound:
        if tile.width == TILE_WIDTH:
            raise
        try:
            full = read(str(tile.full))
        except NotFound:
            raise no_file(str(tile)) from None
    if tile.level is not None:
        return full[: tile.width * HASH_BYTES]
    leaves = decode_entries(full, count=TILE_WIDTH, name=str(tile.full), first_index=tile.number * TILE_WIDTH)
    return encode_entries(leaves[: tile.width])
