"""The sequencer: gives committed entries their place in the log and publishes checkpoints.

`Sequencer.step` numbers what it does. A process may be killed between any two, and several processes may do them at
once: numbers are given under a lock and never change, tiles are written as often as anyone likes with the same bytes,
and a checkpoint is stored only if it is newer than the one that is there. Whatever is missing, the next step does.
"""

import time
from collections.abc import Iterator

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.kernel import Clock, Database
from datong.ledger.key_rows import require_in_use
from datong.ledger.notes import Checkpoint, sign_checkpoint
from datong.ledger.places import near, number, runs_between, waits
from datong.ledger.signing import Signer
from datong.ledger.tables import CHECKPOINTS, COSIGNATURES, ENTRIES, LOG_KEYS, STATE
from datong.ledger.tiles import (
    TILE_WIDTH,
    File,
    TileBuilder,
    TilePath,
    TileReader,
    TileStore,
    encode_entries,
)

ENTRIES_PER_STEP_MAX = 4096
CHECKPOINTS_KEPT = 1000
"""So many of the newest checkpoints can still be cosigned; older ones stay only if a witness needs them."""
FORGOTTEN_EVERY = 64
"""After so many checkpoints of this process the older ones are forgotten: looking for them took as long as the rest."""
TILES_AT_ONCE = 4
"""So many tiles' entries are read in one query and written together: some 1 MB, at most 64 MiB."""

SETTLED_EVERY_SECONDS = 60.0
"""So often at most the writers of entries are waited for, to be done with gaps."""

_STATE_ID = 1
_LEAVES = (
    select(ENTRIES.c.serial, ENTRIES.c.leaf, ENTRIES.c.leaf_hash)
    .where(ENTRIES.c.serial >= bindparam("lowest"), ENTRIES.c.serial < bindparam("highest"))
    .order_by(ENTRIES.c.serial)
)
_LOCKED_STATE = select(STATE).with_for_update()
_HAS_WORK = select(
    or_(
        STATE.c.published_size.is_(None),
        STATE.c.published_size != STATE.c.numbered_size,
        waits(STATE.c.next_serial),
    )
)
_NUMBERED = update(STATE).values(numbered_size=bindparam("numbered"), next_serial=bindparam("next"))
_PUBLISHED = (
    update(STATE)
    .where(or_(STATE.c.published_size.is_(None), STATE.c.published_size < bindparam("size")))
    .where(~exists().where(LOG_KEYS.c.old_key == bindparam("own"), LOG_KEYS.c.retired_at.is_not(None)))
    .values(published_size=bindparam("size"))
)
"""A key that was retired publishes nothing: in the statement that takes the row, which costs no look of its own."""
_OLDEST_KEPT = select(CHECKPOINTS.c.size).order_by(CHECKPOINTS.c.size.desc()).offset(CHECKPOINTS_KEPT).limit(1)


class Sequencer:
    """Turns committed entries into a published log, step by step."""

    def __init__(self, *, database: Database, clock: Clock, signer: Signer, origin: str, tiles: TileStore) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer
        self._origin = origin
        self._tiles = tiles
        self._settle_at = 0.0
        self._idle = True
        self._until_forgotten = 0

    def step(self) -> bool:
        """Number, tile and publish up to `ENTRIES_PER_STEP_MAX` entries; return whether there may be more.

        Raises:
            Misconfigured: the key of this process was retired.
        """
        # An idle log costs one read and no lock; where the step before found work, there is likely more.
        if self._idle and not self._has_work():
            return False
        # 1. Number what is committed and unnumbered.
        numbered, published, full = self._number()
        self._idle = published == numbered
        if self._idle:
            return False
        # 2. Write the tiles of the tree of that size.
        root = self._write_tiles(published or 0, numbered)
        # 3. Sign and store the checkpoint.
        self._publish(Checkpoint(origin=self._origin, size=numbered, root=root))
        # 4. Remove partial tiles that full ones have replaced. What a kill leaves behind here is only clutter.
        for tile in _filled(published or 0, numbered):
            self._tiles.discard(tile.partials)
        return full

    def hold(self, connection: Connection) -> None:
        """Wait until nobody else numbers or publishes, and keep them waiting to the end of the transaction."""
        self._locked_state(connection)

    def _has_work(self) -> bool:
        with self._database.reading() as connection:
            return connection.execute(_HAS_WORK).scalar_one_or_none() is not False

    def _number(self) -> tuple[int, int | None, bool]:
        """Return how many entries are numbered, how many published (None: no checkpoint yet), and if more may wait."""
        settle = time.monotonic() >= self._settle_at
        if settle:
            self._settle_at = time.monotonic() + SETTLED_EVERY_SECONDS
        with self._database.transaction() as connection:
            state = self._locked_state(connection)
            given, next_serial = number(
                connection,
                position=state.numbered_size,
                next_serial=state.next_serial,
                most=ENTRIES_PER_STEP_MAX,
                settle=settle,
            )
            numbered = state.numbered_size + given
            if given:
                connection.execute(_NUMBERED, {"numbered": numbered, "next": next_serial})
        return numbered, state.published_size, given == ENTRIES_PER_STEP_MAX

    def _locked_state(self, connection: Connection) -> Row[tuple[object, ...]]:
        state = connection.execute(_LOCKED_STATE).one_or_none()
        if state is not None:
            return state
        dialect = sqlite if self._database.is_sqlite else postgresql
        connection.execute(
            dialect.insert(STATE)
            .values(id=_STATE_ID, numbered_size=0, next_serial=1, published_size=None)
            .on_conflict_do_nothing(index_elements=[STATE.c.id])
        )
        return connection.execute(_LOCKED_STATE).one()

    def _write_tiles(self, published: int, numbered: int) -> bytes:
        """Write every tile that the tree of `numbered` has and that of `published` has not; return the new root."""
        builder = TileBuilder(published, TileReader(published, self._tiles.read).edge())
        first, width = published // TILE_WIDTH * TILE_WIDTH, TILES_AT_ONCE * TILE_WIDTH
        for begin in range(first, numbered, width):
            rows = self._numbered_rows(begin, min(begin + width, numbered))
            files = list(_bundles(begin, [leaf for leaf, _ in rows]))
            for _, leaf_hash in rows[max(published - begin, 0) :]:
                files += ((str(tile), content) for tile, content in builder.add(bytes.fromhex(leaf_hash)))
            if begin + width >= numbered:
                files += ((str(tile), content) for tile, content in builder.partials())
            self._tiles.write_all(files)
        return builder.root()

    def _numbered_rows(self, begin: int, end: int) -> list[tuple[bytes, str]]:
        rows: list[tuple[bytes, str]] = []
        # What has a place never changes, so that nothing need be seen at one moment.
        with self._database.reading() as connection:
            for runs in near(runs_between(connection, begin, end)):
                lowest, highest = min(run.serial for run in runs), max(run.end for run in runs)
                # All at once: rows one by one cost more than what is done with them.
                found = connection.execute(_LEAVES, {"lowest": lowest, "highest": highest}).all()
                if len(found) == end - begin and len(runs) == 1:
                    return [(leaf, leaf_hash) for _, leaf, leaf_hash in found]
                by_serial = {serial: (leaf, leaf_hash) for serial, leaf, leaf_hash in found}
                rows += [by_serial[serial] for run in runs for serial in range(run.serial, run.end)]
        return rows

    def _publish(self, checkpoint: Checkpoint) -> None:
        note = sign_checkpoint(checkpoint, self._signer).encode().decode()
        with self._database.transaction() as connection:
            own = self._signer.public_key
            if not connection.execute(_PUBLISHED, {"size": checkpoint.size, "own": own.hex()}).rowcount:
                require_in_use(connection, own)
                return
            connection.execute(
                CHECKPOINTS.insert(), {"size": checkpoint.size, "note": note, "published_at": self._clock.now()}
            )
            if self._until_forgotten:
                self._until_forgotten -= 1
                return
            self._until_forgotten = FORGOTTEN_EVERY - 1
            oldest_kept = connection.scalar(_OLDEST_KEPT)
            if oldest_kept is not None:
                connection.execute(
                    delete(CHECKPOINTS).where(
                        CHECKPOINTS.c.size <= oldest_kept, CHECKPOINTS.c.size.not_in(select(COSIGNATURES.c.size))
                    )
                )


def _bundles(begin: int, leaves: list[bytes]) -> Iterator[File]:
    """Yield the bundles of the entries from `begin` on, which is where one begins."""
    for first in range(0, len(leaves), TILE_WIDTH):
        some = leaves[first : first + TILE_WIDTH]
        bundle = TilePath(level=None, number=(begin + first) // TILE_WIDTH, width=len(some))
        yield str(bundle), encode_entries(some)


def published_size(connection: Connection) -> int:
    """Return how many entries the newest checkpoint covers."""
    return connection.scalar(select(func.max(STATE.c.published_size))) or 0


def unpublished(connection: Connection) -> int:
    """Return how many committed entries the newest checkpoint does not cover; those that came late are left out."""
    state = connection.execute(select(STATE)).mappings().first()
    numbered = published = next_serial = 0
    if state is not None:
        numbered, published, next_serial = state["numbered_size"], state["published_size"] or 0, state["next_serial"]
    newer = select(func.count()).select_from(ENTRIES).where(ENTRIES.c.serial >= next_serial)
    return int(numbered - published + (connection.scalar(newer) or 0))


def _filled(published: int, numbered: int) -> list[TilePath]:
    """Return the tiles that were partial in the log of `published` entries and are full in that of `numbered`."""
    filled: list[TilePath] = []
    level, before, after = 0, published, numbered
    while before:
        number = before // TILE_WIDTH
        if before % TILE_WIDTH and after // TILE_WIDTH > number:
            filled.append(TilePath(level=level, number=number))
            if level == 0:
                filled.append(TilePath(level=None, number=number))
        level, before, after = level + 1, before // TILE_WIDTH, after // TILE_WIDTH
    return filled
