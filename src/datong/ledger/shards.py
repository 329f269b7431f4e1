"""Shards: the files of one month of the log in one file, which can be kept elsewhere and verified by itself.

A shard is a ZIP of the bundles of entries and the level-0 tiles of the entries from `begin` to `end`, under their names
in C2SP tlog-tiles, with what leads from them to a signed root: the higher tiles of the log, the checkpoint, the keys
(`export`), and `shard.json`. The log stays one log: nobody who reads or verifies it can tell where a file lies.
"""

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Self

from datong.kernel import Invalid, NotFound, Text, Value, canonical_json
from datong.kernel.files import flush
from datong.ledger.bundles import WitnessReport, check_witnesses
from datong.ledger.export import CHECKPOINT_FILE, KEYS_FILE, Keys
from datong.ledger.faults import corrupt
from datong.ledger.merkle import HASH_BYTES, complete_root, leaf_hash_of
from datong.ledger.notes import Checkpoint, Note, encode_base64, open_checkpoint
from datong.ledger.tiles import (
    TILE_WIDTH,
    File,
    TilePath,
    TileReader,
    TileStore,
    decode_entries,
    edge_root,
    no_file,
    read_tile,
    tiles_of,
)

SUFFIX = ".shard"
FILE_BYTES_MAX = 32 << 20
"""A file in a shard: 256 entries of 65,535 bytes and their lengths are less."""
_SHARD_FILE = "shard.json"
_NAME = re.compile(r"(\d{4}-\d{2})\.(\d+)-(\d+)\.shard")
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")


class Month(Value):
    """A month of China's calendar."""

    first: date

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the month that `text` names, for example `2026-10`.

        Raises:
            Invalid: it names none.
        """
        if not _MONTH.fullmatch(text) or text < "1970-02":
            raise Invalid(
                "ledger.month_unknown",
                what=Text(zh=f"“{text[:40]}”不是月份。", en=f"“{text[:40]}” is no month."),
                remedy=Text(zh="请按 2026-10 的形式填写。", en="Write it like 2026-10."),
                field="month",
            )
        return cls(first=date.fromisoformat(f"{text}-01"))

    @property
    def next(self) -> date:
        """The first day of the month after it."""
        return date(self.first.year + self.first.month // 12, self.first.month % 12 + 1, 1)

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"


class Shard(Value):
    """A shard's file: its month, and the places of the log that it holds, both multiples of a tile's width."""

    month: str
    begin: int
    end: int
    path: Path

    def tiles(self) -> Iterator[TilePath]:
        """Yield the bundles and level-0 tiles of its entries."""
        for number in range(self.begin // TILE_WIDTH, self.end // TILE_WIDTH):
            yield TilePath(level=0, number=number)
            yield TilePath(level=None, number=number)


class ShardReport(Value):
    """What a verified shard proves: these entries are the log's, as the checkpoint of `size` signs it."""

    origin: str
    month: str
    begin: int
    end: int
    size: int
    root: str
    witnesses: tuple[WitnessReport, ...]
    log_key: str
    key_given: bool


def shards_in(folder: Path) -> list[Shard]:
    """Return the shards of a folder, in the log's order."""
    found = []
    for path in folder.glob(f"*{SUFFIX}") if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match is not None:
            found.append(Shard(month=match[1], begin=int(match[2]), end=int(match[3]), path=path))
    return sorted(found, key=lambda one: one.begin)


def write_shard(
    folder: Path, month: Month, begin: int, end: int, *, note: Note, keys: Keys, read: Callable[[str], bytes]
) -> Shard:
    """Write a shard, durable once it has its name; `read` gives the files of the log that `note` covers."""
    folder.mkdir(parents=True, exist_ok=True)
    shard = Shard(month=str(month), begin=begin, end=end, path=folder / f"{month}.{begin}-{end}{SUFFIX}")
    checkpoint = Checkpoint.parse(note.text)
    above = (one for one in tiles_of(checkpoint.size) if one.level or (one.level == 0 and one.width < TILE_WIDTH))
    temporary = shard.path.with_suffix(".tmp")
    with zipfile.ZipFile(temporary, "w") as file:
        said = {"v": 1, "month": str(month), "begin": begin, "end": end}
        file.writestr(_SHARD_FILE, canonical_json(said))
        file.writestr(KEYS_FILE, keys.encode())
        file.writestr(CHECKPOINT_FILE, note.encode())
        for tile in above:
            file.writestr(str(tile), read_tile(tile, read))
        for tile in shard.tiles():
            # Hashes are as good as random; entries shrink to a quarter.
            how = zipfile.ZIP_DEFLATED if tile.level is None else zipfile.ZIP_STORED
            file.writestr(str(tile), read(str(tile)), compress_type=how)
    flush(temporary)
    temporary.replace(shard.path)
    flush(folder)
    return shard


def verify_shard(path: Path, *, log_key: bytes | None = None) -> ShardReport:
    """Check a shard offline: the checkpoint's signatures, and that its entries are in the tree that it signs.

    Raises:
        Corrupt: something is wrong; the text says in which file.
    """
    files = _Members(path)
    # 1. The checkpoint, and who signed it.
    keys = Keys.parse(files.read(KEYS_FILE))
    if log_key is not None:
        keys.chain.since(log_key)
    note = Note.parse(files.read(CHECKPOINT_FILE))
    checkpoint = open_checkpoint(note, public_key=keys.log.public_key, origin=keys.log.name)
    signed = {key.name: key.public_key for key in keys.witnesses}
    witnesses = check_witnesses(note, log_key=keys.log.public_key, keys=signed)
    shard = _said(files, path)
    if shard.end > checkpoint.size or shard.begin % TILE_WIDTH or shard.end % TILE_WIDTH or shard.begin >= shard.end:
        raise _malformed(path)
    # 2. The tree above level 0: the edge leads to the signed root, each full tile to the tile above it.
    reader = TileReader(checkpoint.size, files.read)
    if edge_root(reader.edge()) != checkpoint.root:
        raise _differs(CHECKPOINT_FILE)
    for tile in tiles_of(checkpoint.size):
        if tile.level and tile.width == TILE_WIDTH:
            _check_above(tile, files.read(str(tile)), reader)
    # 3. Its own tiles lead to those of level 1, and its entries to its own tiles.
    for tile in shard.tiles():
        content = files.read(str(tile))
        if tile.level == 0:
            _check_above(tile, content, reader)
            continue
        leaves = decode_entries(content, count=TILE_WIDTH, name=str(tile), first_index=tile.number * TILE_WIDTH)
        if b"".join(map(leaf_hash_of, leaves)) != files.read(str(TilePath(level=0, number=tile.number))):
            raise _differs(str(tile))
    return ShardReport(
        origin=checkpoint.origin,
        month=shard.month,
        begin=shard.begin,
        end=shard.end,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        witnesses=witnesses,
        log_key=encode_base64(keys.log.public_key),
        key_given=log_key is not None,
    )


class ShardedStore:
    """A `TileStore` whose older files lie in shards: what `inner` does not have is read from the folder of shards.

    Which shards there are is looked up whenever a file is missing; they stay open.
    """

    def __init__(self, inner: TileStore, folder: Path) -> None:
        self._inner = inner
        self._folder = folder
        self._open: dict[Path, _Members] = {}

    def read(self, path: str) -> bytes:
        """Return the file's content, from wherever it lies. Raises NotFound."""
        try:
            return self._inner.read(path)
        except NotFound:
            members = self._members(TilePath.parse(path))
            if members is None:
                raise
            return members.read(path)

    def write(self, path: str, content: bytes) -> None:
        """Write a file of the log; see `TileStore`."""
        self._inner.write(path, content)

    def write_all(self, files: Sequence[File]) -> None:
        """Write files of the log; see `TileStore`."""
        self._inner.write_all(files)

    def discard(self, path: str) -> None:
        """Remove a file or folder that nothing needs where it is."""
        self._inner.discard(path)

    def _members(self, tile: TilePath) -> "_Members | None":
        if tile.level or tile.width < TILE_WIDTH:
            return None
        first = tile.number * TILE_WIDTH
        for shard in shards_in(self._folder):
            if shard.begin <= first < shard.end:
                if shard.path not in self._open:
                    self._open[shard.path] = _Members(shard.path)
                return self._open[shard.path]
        return None


class _Members:
    """The files in a shard, by name."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise _malformed(path) from error
        self._path = path

    def read(self, name: str) -> bytes:
        try:
            if self._file.getinfo(name).file_size > FILE_BYTES_MAX:
                raise _malformed(self._path, name)
            return self._file.read(name)
        except KeyError:
            raise no_file(name) from None
        except (OSError, zipfile.BadZipFile, zlib.error) as error:
            raise _malformed(self._path, name) from error


def _said(files: _Members, path: Path) -> Shard:
    try:
        said: Mapping[str, object] = json.loads(files.read(_SHARD_FILE))
        shard = Shard.model_validate({**{name: said[name] for name in ("month", "begin", "end")}, "path": path})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _malformed(path, _SHARD_FILE) from error
    return shard


def _check_above(tile: TilePath, content: bytes, reader: TileReader) -> None:
    """Check that a full tile is the one whose root stands in the tile above it."""
    if len(content) != TILE_WIDTH * HASH_BYTES:
        raise _differs(str(tile))
    hashes = [content[place : place + HASH_BYTES] for place in range(0, len(content), HASH_BYTES)]
    if complete_root(hashes) != reader.subtree(8 * ((tile.level or 0) + 1), tile.number):
        raise _differs(str(tile))


def _differs(name: str) -> Exception:
    return corrupt(
        "shard_differs",
        zh=f"归档中的文件 {name} 不属于检查点所签的日志：被改动过。",
        en=f"File {name} of the shard is not of the log that its checkpoint signs: it was changed.",
        file=name,
    )


def _malformed(path: Path, name: str = "") -> Exception:
    return corrupt(
        "shard_malformed",
        zh=f"{path.name} 不是完好的日志归档{f'（{name}）' if name else ''}。",
        en=f"{path.name} is no intact shard of a log{f' ({name})' if name else ''}.",
        file=path.name,
    )
