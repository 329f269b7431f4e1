"""The entries of an exported log, for who derives something from them again without the hub."""

from collections.abc import Iterator
from pathlib import Path

from datong.kernel import EntryId
from datong.ledger.entries import RecordedEntry, parse_leaf
from datong.ledger.merkle import leaf_hash_of
from datong.ledger.tiles import TILE_WIDTH, TilePath, decode_entries
from datong.ledger.verification import verify_log


def exported_entries(directory: Path, *, log_key: bytes | None = None) -> Iterator[RecordedEntry]:
    """Yield the entries of an exported log, in their order, after it was verified; their ids are their places in it.

    Raises:
        Corrupt: the log does not verify; see `verify_log`.
    """
    size = verify_log(directory, log_key=log_key).size
    for begin in range(0, size, TILE_WIDTH):
        count = min(TILE_WIDTH, size - begin)
        name = str(TilePath(level=None, number=begin // TILE_WIDTH, width=count))
        leaves = decode_entries((directory / name).read_bytes(), count=count, name=name, first_index=begin)
        for index, leaf in enumerate(leaves, begin):
            content = parse_leaf(leaf)
            yield RecordedEntry(
                entry_id=EntryId(str(index)),
                index=index,
                leaf_hash=leaf_hash_of(leaf).hex(),
                kind=content.kind,
                at=content.at,
                subject=content.subject,
                actor=content.actor,
                facts=content.facts,
            )
