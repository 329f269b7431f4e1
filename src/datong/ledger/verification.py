"""Offline verification of an exported log: everything is derived again from the entries, and the fault is located.

The checkpoint's signature fixes one root. Entries and tiles each lead to a root of their own; the one that misses the
signed root is where the change is, and the first place where both differ is the file, the index and the cause.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from datong.kernel import Corrupt, Text, Value
from datong.ledger.bundles import WitnessReport, check_witnesses
from datong.ledger.entries import EntryKind, TimeOrder, parse_leaf
from datong.ledger.export import CHECKPOINT_FILE, COSIGNED_FOLDER, KEYS_FILE, TILE_FOLDER, Keys
from datong.ledger.faults import corrupt
from datong.ledger.log_keys import check_recorded
from datong.ledger.merkle import HASH_BYTES, leaf_hash_of
from datong.ledger.notes import Checkpoint, Note, encode_base64, open_checkpoint
from datong.ledger.tiles import (
    TILE_WIDTH,
    TileBuilder,
    TilePath,
    TileReader,
    decode_entries,
    edge_root,
    tiles_of,
)

BACKDATED_SHOWN_MAX = 100


class WitnessedSize(WitnessReport):
    """A verified cosignature, and the size of the checkpoint it is for."""

    size: int


class LogReport(Value):
    """What a verified log is. `key_given` tells whether the log's key came from the verifier, not the folder.

    `backdated` are the first hundred entries that claim an hour or more less than one before them: somebody with the
    hub's key dated an act back, or the hub's clock was wrong.
    """

    origin: str
    size: int
    root: str
    entries: dict[str, int]
    witnesses: tuple[WitnessedSize, ...]
    log_key: str
    key_given: bool
    earlier_keys: tuple[str, ...] = ()
    backdated: tuple[int, ...] = ()


def verify_log(directory: Path, *, log_key: bytes | None = None) -> LogReport:
    """Check an exported log without trusting anything but its key.

    Without `log_key` the key in `keys.json` is believed; the report says which it was.

    Raises:
        Corrupt: something is wrong; the text and the context name the file, and the index of the entry if any.
    """
    # 1. The keys, and the checkpoints they signed.
    with _in_file(KEYS_FILE):
        keys = Keys.parse(_read(directory, KEYS_FILE))
        if log_key is not None:
            keys.chain.since(log_key)
    with _in_file(CHECKPOINT_FILE):
        checkpoint, witnesses = _open(_read(directory, CHECKPOINT_FILE), keys)
    cosigned = _earlier_checkpoints(directory, keys, checkpoint)
    for _, (_, reports) in sorted(cosigned.items()):
        witnesses += reports
    unused = {key.name for key in keys.witnesses} - {witness.name for witness in witnesses}
    if unused:
        raise corrupt(
            "witness_unused",
            zh=f"{KEYS_FILE} 列出的见证方 {min(unused)} 没有签过任何检查点。",
            en=f"{KEYS_FILE} lists the witness {min(unused)}, which cosigned none of the checkpoints.",
            file=KEYS_FILE,
        )
    # 2. Exactly the files that a log of this size consists of.
    _check_names(directory, checkpoint.size)
    # 3. The tree, from the entries up.
    roots = {point.size: (name, point.root) for name, (point, _) in cosigned.items()}
    walk = _Walk(directory, checkpoint.size, roots)
    walk.run()
    # 4. Where something differs, say what.
    walk.judge(checkpoint)
    # 5. The log has on record how its keys followed each other.
    with _in_file(KEYS_FILE):
        check_recorded(keys.chain, walk.key_acts)
    return LogReport(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        entries=dict(sorted(walk.kinds.items())),
        witnesses=tuple(sorted(witnesses, key=lambda witness: witness.name)),
        log_key=encode_base64(keys.log.public_key),
        earlier_keys=tuple(encode_base64(one.old) for one in keys.successions),
        key_given=log_key is not None,
        backdated=tuple(walk.backdated[:BACKDATED_SHOWN_MAX]),
    )


class _Walk:
    """One pass over the entries, growing the tree and comparing each tile as it fills."""

    def __init__(self, directory: Path, size: int, cosigned: Mapping[int, tuple[str, bytes]]) -> None:
        self._directory = directory
        self._size = size
        self._cosigned = cosigned
        self._builder = TileBuilder()
        self._different_tile: tuple[TilePath, bytes, bytes] | None = None
        self._different_cosigned: tuple[str, int] | None = None
        self._malformed: Corrupt | None = None
        self._times = TimeOrder()
        self.kinds: Counter[str] = Counter()
        self.backdated: list[int] = []
        self.key_acts: list[Mapping[str, object]] = []

    def run(self) -> None:
        """Read every entry; remember the first of each kind of fault."""
        self._compare_root(0)
        for begin in range(0, self._size, TILE_WIDTH):
            end = min(begin + TILE_WIDTH, self._size)
            bundle = TilePath(level=None, number=begin // TILE_WIDTH, width=end - begin)
            leaves = decode_entries(
                _read(self._directory, str(bundle)), count=end - begin, name=str(bundle), first_index=begin
            )
            for index, leaf in enumerate(leaves, begin):
                self._read_entry(str(bundle), index, leaf)
                for tile, content in self._builder.add(leaf_hash_of(leaf)):
                    self._compare(tile, content)
                self._compare_root(index + 1)
        for tile, content in self._builder.partials():
            self._compare(tile, content)

    def judge(self, checkpoint: Checkpoint) -> None:
        """Raise what the faults add up to, if there are any."""
        entries_right = self._builder.root() == checkpoint.root
        if self._different_tile is not None:
            raise self._difference(self._different_tile, entries_right=entries_right, checkpoint=checkpoint)
        if not entries_right:
            raise corrupt(
                "root_differs",
                zh=f"{CHECKPOINT_FILE} 所签的根不是这些条目和分片的根：签名有效，但文件属于另一份日志。",
                en=f"The root signed in {CHECKPOINT_FILE} is not that of the entries and tiles: the signature holds,"
                " but the files are of another log.",
                file=CHECKPOINT_FILE,
                size=checkpoint.size,
            )
        if self._different_cosigned is not None:
            name, size = self._different_cosigned
            raise corrupt(
                "root_differs",
                zh=f"文件 {name}：见证方签过的根（大小 {size}）不是这份日志的：日志被分叉。",
                en=f"File {name}: the root that was cosigned at size {size} is not this log's: the log was forked.",
                file=name,
                size=size,
            )
        if self._malformed is not None:
            raise self._malformed

    def _read_entry(self, name: str, index: int, leaf: bytes) -> None:
        try:
            with _in_file(name, index=index):
                content = parse_leaf(leaf)
            self.kinds[content.kind.value] += 1
            if content.kind is EntryKind.LOG_KEY:
                self.key_acts.append(content.facts)
            if self._times.behind(content.at) is not None:
                self.backdated.append(index)
        except Corrupt as error:
            self._malformed = self._malformed or error

    def _compare(self, tile: TilePath, derived: bytes) -> None:
        stored = _read(self._directory, str(tile))
        if stored != derived and self._different_tile is None:
            self._different_tile = (tile, stored, derived)

    def _compare_root(self, size: int) -> None:
        if size in self._cosigned and self._different_cosigned is None:
            name, root = self._cosigned[size]
            if self._builder.root() != root:
                self._different_cosigned = (name, size)

    def _difference(
        self, different: tuple[TilePath, bytes, bytes], *, entries_right: bool, checkpoint: Checkpoint
    ) -> Corrupt:
        tile, stored, derived = different
        byte = next(
            (place for place, (left, right) in enumerate(zip(stored, derived, strict=False)) if left != right),
            min(len(stored), len(derived)),
        )
        first_index = (tile.number * TILE_WIDTH + byte // HASH_BYTES) << (8 * (tile.level or 0))
        if not entries_right and tile.level == 0 and self._tiles_lead_to(checkpoint):
            bundle = TilePath(level=None, number=tile.number, width=tile.width)
            return corrupt(
                "entry_changed",
                zh=f"文件 {bundle} 中第 {first_index} 号条目被改动：其摘要与已签名的日志不符。",
                en=f"Entry {first_index} in file {bundle} was changed: its hash is not the one in the signed log.",
                file=str(bundle),
                index=first_index,
            )
        return corrupt(
            "tile_changed",
            zh=f"文件 {tile} 在字节 {byte} 处（自第 {first_index} 号条目起的摘要）与条目算出的不同。",
            en=f"File {tile} differs at byte {byte} (a hash over the entries from {first_index} on) from what the"
            " entries lead to.",
            file=str(tile),
            index=first_index,
            byte=byte,
        )

    def _tiles_lead_to(self, checkpoint: Checkpoint) -> bool:
        reader = TileReader(checkpoint.size, lambda name: _read(self._directory, name))
        try:
            return edge_root(reader.edge()) == checkpoint.root
        except Corrupt:
            return False


def _open(data: bytes, keys: Keys) -> tuple[Checkpoint, list[WitnessedSize]]:
    note = Note.parse(data)
    checkpoint = open_checkpoint(note, public_key=keys.log.public_key, origin=keys.log.name)
    signed = {signature.name for signature in note.signatures}
    reports = check_witnesses(
        note,
        log_key=keys.log.public_key,
        keys={key.name: key.public_key for key in keys.witnesses if key.name in signed},
    )
    return checkpoint, [
        WitnessedSize(name=report.name, signed_at=report.signed_at, size=checkpoint.size) for report in reports
    ]


def _earlier_checkpoints(
    directory: Path, keys: Keys, newest: Checkpoint
) -> dict[str, tuple[Checkpoint, list[WitnessedSize]]]:
    earlier: dict[str, tuple[Checkpoint, list[WitnessedSize]]] = {}
    for name in _names_under(directory, COSIGNED_FOLDER):
        with _in_file(name):
            opened = _open(_read(directory, name), keys)
            if name != f"{COSIGNED_FOLDER}/{opened[0].size}" or opened[0].size >= newest.size:
                raise corrupt(
                    "checkpoint_misplaced",
                    zh=f"文件名与其中检查点的大小 {opened[0].size} 不符。",
                    en=f"Its name does not fit the size {opened[0].size} of the checkpoint in it.",
                )
            earlier[name] = opened
    return earlier


def _check_names(directory: Path, size: int) -> None:
    expected = {str(tile) for tile in tiles_of(size)}
    found = set(_names_under(directory, TILE_FOLDER))
    for name in sorted(expected - found):
        raise _missing(name)
    for name in sorted(found - expected):
        raise corrupt(
            "file_unexpected",
            zh=f"文件 {name} 不属于大小为 {size} 的日志。",
            en=f"File {name} does not belong to a log of size {size}.",
            file=name,
        )


def _names_under(directory: Path, folder: str) -> list[str]:
    return sorted(
        path.relative_to(directory).as_posix() for path in (directory / folder).rglob("*") if not path.is_dir()
    )


def _read(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise _missing(name) from error


def _missing(name: str) -> Corrupt:
    return corrupt(
        "file_missing", zh=f"缺少文件 {name}，或无法读取。", en=f"File {name} is missing or unreadable.", file=name
    )


@contextmanager
def _in_file(name: str, *, index: int | None = None) -> Iterator[None]:
    """Add the place to an error that is raised inside."""
    try:
        yield
    except Corrupt as error:
        if "file" in error.context:
            raise
        zh, en = (f"第 {index} 号条目：", f", entry {index}") if index is not None else ("", "")
        place = {"file": name} if index is None else {"file": name, "index": index}
        raise Corrupt(
            error.code,
            what=Text(zh=f"文件 {name}：{zh}{error.what.zh}", en=f"File {name}{en}: {error.what.en}"),
            remedy=error.remedy,
            context={**error.context, **place},
        ) from error
