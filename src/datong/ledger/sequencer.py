"""The sequencer: gives committed entries their place in the log and publishes checkpoints.

`Sequencer.step` numbers what it does. A process may be killed between any two, and several processes may do them at
once: numbers are given under a lock and never change, tiles are written as often as anyone likes with the same bytes,
and a checkpoint is stored only if it is newer than the one that is there. Whatever is missing, the next step does.
"""

import time

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.kernel import Clock, Database
from datong.ledger.notes import Checkpoint, sign_checkpoint
from datong.ledger.places import near, number, runs_between, waits
from datong.ledger.signing import Signer
from datong.ledger.tables import CHECKPOINTS, COSIGNATURES, ENTRIES, STATE
from datong.ledger.tiles import (
    TILE_WIDTH,
    TileBuilder,
    TilePath,
    TileReader,
    TileStore,
    encode_entries,
)

ENTRIES_PER_STEP_MAX = 4096
CHECKPOINTS_KEPT = 1000
"""So many of the newest checkpoints can still be cosigned; older ones stay only if a witness needs them."""

SETTLED_EVERY_SECONDS = 60.0
"""So often at most the writers of entries are waited for, to be done with gaps."""

_STATE_ID = 1
_LEAVES = select(ENTRIES.c.serial, ENTRIES.c.leaf, ENTRIES.c.leaf_hash)
_LOCKED_STATE = select(STATE).with_for_update()


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

    def step(self) -> bool:
        """Number, tile and publish up to `ENTRIES_PER_STEP_MAX` entries; return whether there may be more."""
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

    def _has_work(self) -> bool:
        with self._database.snapshot() as connection:
            state = connection.execute(select(STATE)).one_or_none()
            return state is None or state.numbered_size != state.published_size or waits(connection, state.next_serial)

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
                connection.execute(update(STATE).values(numbered_size=numbered, next_serial=next_serial))
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
        begin = published // TILE_WIDTH * TILE_WIDTH
        while begin < numbered:
            end = min(begin + TILE_WIDTH, numbered)
            rows = self._numbered_rows(begin, end)
            bundle = TilePath(level=None, number=begin // TILE_WIDTH, width=end - begin)
            self._tiles.write(str(bundle), encode_entries([leaf for leaf, _ in rows]))
            for _, leaf_hash in rows[max(published - begin, 0) :]:
                for tile, content in builder.add(bytes.fromhex(leaf_hash)):
                    self._tiles.write(str(tile), content)
            begin = end
        for tile, content in builder.partials():
            self._tiles.write(str(tile), content)
        return builder.root()

    def _numbered_rows(self, begin: int, end: int) -> list[tuple[bytes, str]]:
        rows: list[tuple[bytes, str]] = []
        with self._database.snapshot() as connection:
            for runs in near(runs_between(connection, begin, end)):
                lowest, highest = min(run.serial for run in runs), max(run.end for run in runs)
                query = _LEAVES.where(ENTRIES.c.serial >= lowest, ENTRIES.c.serial < highest)
                # All at once: rows one by one cost more than what is done with them.
                found = {serial: (leaf, leaf_hash) for serial, leaf, leaf_hash in connection.execute(query).all()}
                rows += [found[serial] for run in runs for serial in range(run.serial, run.end)]
        return rows

    def _publish(self, checkpoint: Checkpoint) -> None:
        note = sign_checkpoint(checkpoint, self._signer).encode().decode()
        with self._database.transaction() as connection:
            published = self._locked_state(connection).published_size
            if published is not None and published >= checkpoint.size:
                return
            connection.execute(
                CHECKPOINTS.insert().values(size=checkpoint.size, note=note, published_at=self._clock.now())
            )
            connection.execute(update(STATE).values(published_size=checkpoint.size))
            oldest_kept = connection.scalar(
                select(CHECKPOINTS.c.size).order_by(CHECKPOINTS.c.size.desc()).offset(CHECKPOINTS_KEPT).limit(1)
            )
            if oldest_kept is not None:
                connection.execute(
                    delete(CHECKPOINTS).where(
                        CHECKPOINTS.c.size <= oldest_kept, CHECKPOINTS.c.size.not_in(select(COSIGNATURES.c.size))
                    )
                )


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
