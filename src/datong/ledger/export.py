"""An exported log: a folder of plain files that holds all that `verify_log` needs.

`checkpoint` (signed note), `tile/…` (C2SP tlog-tiles), `cosigned/<size>` (earlier checkpoints with the cosignatures
they got), `keys.json` (the log's and the witnesses' public keys, canonical JSON).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from datong.kernel import Conflict, Text, Value, canonical_json
from datong.ledger.faults import corrupt
from datong.ledger.log_keys import LogKeys, Succession
from datong.ledger.notes import Checkpoint, Note, SignatureType, VerifierKey, log_key_of, witness_key_of
from datong.ledger.tiles import read_tile, tiles_of

CHECKPOINT_FILE = "checkpoint"
KEYS_FILE = "keys.json"
COSIGNED_FOLDER = "cosigned"
TILE_FOLDER = "tile"


class Keys(Value):
    """The content of `keys.json`: keys in the `name+hash+key` form of C2SP, so that each carries its own check."""

    log: VerifierKey
    witnesses: tuple[VerifierKey, ...]
    successions: tuple[Succession, ...] = ()

    @property
    def chain(self) -> LogKeys:
        """The log's keys that are told of, the newest being `log`."""
        return LogKeys(origin=self.log.name, newest=self.log.public_key, successions=self.successions)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        said = {"v": 1, "log": self.log.text(), "witnesses": [key.text() for key in self.witnesses]}
        if self.successions:
            said["successions"] = [one.text() for one in self.successions]
        return canonical_json(said)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the file.

        Raises:
            Corrupt: it is not in its canonical form, or a key or a succession in it is wrong.
        """
        try:
            document = json.loads(data)
            texts = [document["log"], *document["witnesses"]]
            said = [*document.get("successions", [])]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _malformed_keys() from error
        if not all(isinstance(text, str) for text in (*texts, *said)):
            raise _malformed_keys()
        log, *witnesses = [VerifierKey.parse(text) for text in texts]
        chain = LogKeys.of(log.name, log.public_key, said)
        keys = cls(log=log, witnesses=tuple(witnesses), successions=chain.successions)
        types = {key.type for key in witnesses} - {SignatureType.COSIGNATURE}
        if keys.encode() != data or types or log.type is not SignatureType.ED25519:
            raise _malformed_keys()
        return keys


def keys_of(keys: LogKeys, witnesses: Mapping[str, bytes]) -> Keys:
    """Return the keys of a log, and of witnesses by name."""
    return Keys(
        log=log_key_of(keys.origin, keys.newest),
        witnesses=tuple(witness_key_of(name, key) for name, key in sorted(witnesses.items())),
        successions=keys.successions,
    )


def _malformed_keys() -> Exception:
    return corrupt(
        "keys_malformed",
        zh="它不是日志与见证方公钥的规范 JSON。",
        en="It is not the canonical JSON of the log's and the witnesses' keys.",
    )


def export_files(
    note: Note,
    *,
    earlier: Sequence[Note],
    keys: LogKeys,
    witnesses: Mapping[str, bytes],
    read: Callable[[str], bytes],
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the files of the log that `note` covers, checkpoint last: each one's name, and what reads its content."""
    for tile in tiles_of(Checkpoint.parse(note.text).size):
        yield str(tile), partial(read_tile, tile, read)
    for cosigned in earlier:
        yield f"{COSIGNED_FOLDER}/{Checkpoint.parse(cosigned.text).size}", cosigned.encode
    yield KEYS_FILE, keys_of(keys, witnesses).encode
    yield CHECKPOINT_FILE, note.encode


def write_export(directory: Path, files: Iterable[tuple[str, Callable[[], bytes]]]) -> None:
    """Write the files of `export_files` to `directory`, which must be new or empty."""
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise Conflict(
            "ledger.export_folder_not_empty",
            what=Text(zh=f"导出目录 {directory} 不是空的。", en=f"The folder {directory} is not empty."),
            remedy=Text(zh="请指定一个新目录。", en="Name a new folder."),
        )
    for name, content in files:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content())
