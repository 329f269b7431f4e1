"""The ledger of a hub: append evidence, publish the log, prove entries."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, select

from datong.kernel import (
    CHINA,
    PLATFORM_ACTOR,
    Actor,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    EntryId,
    JsonValue,
    Misconfigured,
    NotFound,
    Part,
    Text,
    insert_together,
    new_id,
)
from datong.kernel.files import file_digest
from datong.ledger.bundles import make_bundle
from datong.ledger.cosigning import Witnesses, WitnessState
from datong.ledger.days import DayCounts
from datong.ledger.entries import CommonFacts, EntryKind, departments_concerned, leaf_bytes
from datong.ledger.export import export_files, keys_of, write_export
from datong.ledger.fsck import Fsck, FsckReport
from datong.ledger.log_keys import LogKeys
from datong.ledger.log_reading import LogReading
from datong.ledger.merkle import inclusion_proof, leaf_hash_of
from datong.ledger.notes import Checkpoint, Note, is_key_name
from datong.ledger.own_signature import OwnSignature
from datong.ledger.places import serial_at
from datong.ledger.sequencer import Sequencer, published_size
from datong.ledger.shards import Month, Shard, shards_in, verify_shard, write_shard
from datong.ledger.signing import Signer
from datong.ledger.state_audit import Area
from datong.ledger.tables import CHECKPOINTS, ENTRIES, ENTRY_DEPARTMENTS
from datong.ledger.tiles import TILE_WIDTH, TilePath, TileReader, TileStore, no_file, read_tile

_NO_DISCLOSURES: Mapping[str, JsonValue] = {}


class EntryDraft(NamedTuple):
    """An entry on its way into the log."""

    id: EntryId
    kind: EntryKind
    subject: str
    at: datetime
    leaf: bytes
    departments: frozenset[DepartmentCode]


class Ledger(LogReading):
    """The transparency log over the control database and a store of tiles.

    `append` is durable with the caller's transaction; `integrate` puts what is committed into the log soon after. Only
    entries below the published checkpoint's size have an index and can be proved.
    """

    def __init__(self, *, database: Database, clock: Clock, signer: Signer, origin: str, tiles: TileStore) -> None:
        if not is_key_name(origin):
            raise Misconfigured(
                "ledger.origin_unusable",
                what=Text(
                    zh=f"日志来源“{origin}”不可用：不能为空，也不能含空格或加号。",
                    en=f"“{origin}” cannot be a log's origin: it must not be empty, nor hold a space or a plus.",
                ),
                remedy=Text(zh="请修改 DATONG_LOG_ORIGIN。", en="Correct DATONG_LOG_ORIGIN."),
                field="DATONG_LOG_ORIGIN",
            )
        super().__init__(database)
        self._clock = clock
        self._tiles = tiles
        self.origin = origin
        self.public_key = signer.public_key
        self._own = OwnSignature(signer, origin)
        self._sequencer = Sequencer(database=database, clock=clock, signer=signer, origin=origin, tiles=tiles)
        self.days = DayCounts(database, clock)
        self._witnesses = Witnesses(database=database, clock=clock, origin=origin, log_key=signer.public_key)

    def keys(self) -> LogKeys:
        """Return the keys that this log has had, up to the one with which this process signs."""
        with self._database.snapshot() as connection:
            return self._own.keys(connection)

    def hold(self, connection: Connection) -> None:
        """Wait until nobody else numbers or publishes, and keep them waiting to the end of the transaction."""
        self._sequencer.hold(connection)

    def published_note(self) -> str | None:
        """Return the newest checkpoint as it was published, without cosignatures; None before the first."""
        with self._database.snapshot() as connection:
            return connection.scalar(select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc()).limit(1))

    def append(
        self,
        connection: Connection,
        *,
        kind: EntryKind,
        subject: str,
        actor: Actor,
        facts: Mapping[str, JsonValue],
    ) -> EntryId:
        """Record evidence in the caller's transaction; it is lost only together with what it is evidence of.

        `subject` names the thing acted upon. Neither it, nor the actor's id, nor the facts may hold a personal value:
        use `commitment`. `docs/ledger.md` lists the facts of each kind.

        Raises:
            Invalid: a text cannot be written as UTF-8.
            TooLarge: the entry is over 65,535 bytes.
        """
        entry = self.draft(kind=kind, subject=subject, actor=actor, facts=facts)
        self.append_drafts(connection, [entry])
        return entry.id

    def append_many(
        self,
        connection: Connection,
        *,
        kind: EntryKind,
        actor: Actor,
        entries: Sequence[tuple[str, Mapping[str, JsonValue]]],
    ) -> list[EntryId]:
        """Record evidence of several acts of one kind, as (subject, facts), in two statements; see `append`.

        Raises:
            Invalid: a text cannot be written as UTF-8.
            TooLarge: an entry is over 65,535 bytes.
        """
        drafts = [self.draft(kind=kind, subject=subject, actor=actor, facts=facts) for subject, facts in entries]
        self.append_drafts(connection, drafts)
        return [draft.id for draft in drafts]

    def draft(self, *, kind: EntryKind, subject: str, actor: Actor, facts: Mapping[str, JsonValue]) -> EntryDraft:
        """Return an entry that `append_drafts` will record, with its bytes; see `append`.

        Raises:
            Invalid, TooLarge: as in `append`.
        """
        at = self._clock.now()
        leaf = leaf_bytes(kind=kind, at=at, subject=subject, actor=actor, facts=facts)
        concerned = departments_concerned(actor, facts)
        return EntryDraft(EntryId(new_id()), kind, subject, at, leaf, concerned)

    def draft_like(
        self, common: CommonFacts, *, at: datetime, subject: str, facts: Mapping[str, str | int]
    ) -> EntryDraft:
        """Do as `draft` does, for an entry made `at` that time, with most of its facts in common with others.

        Raises:
            Invalid, TooLarge: as in `append`.
        """
        leaf = common.leaf_bytes(at=at, subject=subject, facts=facts)
        return EntryDraft(EntryId(new_id()), common.kind, subject, at, leaf, common.departments)

    def append_drafts(self, connection: Connection, drafts: Sequence[EntryDraft]) -> None:
        """Record the evidence of several acts in the caller's transaction."""
        insert_together(connection, self.parts(drafts))

    def parts(self, drafts: Sequence[EntryDraft]) -> tuple[Part, ...]:
        """Return the rows that record the evidence of several acts, to be written together with those of the acts."""
        rows = [
            {
                "id": draft.id,
                "kind": draft.kind.value,
                "subject": draft.subject,
                "at": draft.at,
                "leaf": draft.leaf,
                "leaf_hash": leaf_hash_of(draft.leaf).hex(),
            }
            for draft in drafts
        ]
        concerned = [
            {"department": department, "serial": draft.id}
            for draft in drafts
            for department in sorted(draft.departments)
        ]
        return Part(ENTRIES, rows), Part(ENTRY_DEPARTMENTS, concerned, refers={"serial": (ENTRIES, "id")})

    def integrate(self) -> bool:
        """Put committed entries into the log and publish a checkpoint; return whether there may be more to do at once.

        Safe to call from several processes, and after a kill at any point.
        """
        return self._sequencer.step()

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint, a signed note, with the cosignatures received for it so far.

        Raises:
            NotFound: nothing was ever integrated.
        """
        with self._database.snapshot() as connection:
            return self._own.under(connection, self._witnesses.cosigned(connection, self._newest(connection))).encode()

    def tile(self, path: str) -> bytes:
        """Return a tile or an entry bundle of the published log, for example `tile/0/000.p/12`.

        Raises:
            NotFound: the log has no such tile.
        """
        tile = TilePath.parse(path)
        if tile.last_index >= self.size():
            raise no_file(path)
        return read_tile(tile, self._tiles.read)

    def cosign(self, *, witness_name: str, witness_key: bytes, note: bytes) -> None:
        """Store a witness's cosignature: `note` is what its `Witness.update` returned.

        Raises:
            Corrupt: it is not a checkpoint of this log, cosigned with this key.
            Conflict: the log does not know that checkpoint any more; the witness should take the newest.
        """
        self._witnesses.store(witness_name=witness_name, witness_key=witness_key, note=Note.parse(note))

    def witnesses(self) -> list[WitnessState]:
        """Return what each witness has cosigned last, by name."""
        return self._witnesses.states()

    def last_words(self) -> dict[str, str]:
        """Return the newest checkpoint that each witness cosigned, by name: what nodes compare (`Gossip`)."""
        words = self._witnesses.last_words()
        with self._database.snapshot() as connection:
            parsed = {name: Note.parse(note.encode()) for name, note in words.items()}
            return {name: self._own.under(connection, note).encode().decode() for name, note in parsed.items()}

    def proof_bundle(
        self, entry_id: EntryId, *, disclosures: Mapping[str, JsonValue] = _NO_DISCLOSURES
    ) -> dict[str, object]:
        """Return the file that proves an entry offline (`verify_bundle`), under the most witnessed checkpoint.

        `disclosures` opens commitments: by the name of the fact, `{"salt": hexadecimal, "value": text}`.

        Raises:
            NotFound: there is no such entry.
            Conflict: no checkpoint covers it yet.
        """
        with self._database.snapshot() as connection:
            row = self._row(connection, entry_id)
            published = published_size(connection)
            if row.position is None or row.position >= published:
                raise Conflict(
                    "ledger.entry_pending",
                    what=Text(zh="该条目尚未进入已发布的检查点。", en="No published checkpoint covers this entry yet."),
                    remedy=Text(zh="请几秒后重试。", en="Try again in a few seconds."),
                )
            witnessed = self._witnesses.most_witnessed(connection, above=row.position)
            note = self._own.under(
                connection, self._witnesses.cosigned(connection, witnessed or self._newest(connection))
            )
            keys = self._witnesses.keys(connection, note)
            own = self._own.keys(connection)
        size = Checkpoint.parse(note.text).size
        return make_bundle(
            leaf=row.leaf,
            index=row.position,
            proof=inclusion_proof(row.position, size, TileReader(published, self._tiles.read).subtree),
            note=note,
            keys=own,
            witnesses=keys,
            disclosures=disclosures,
        )

    def export(self, directory: Path) -> None:
        """Write the published log to a new or empty folder, as plain files that `verify_log` checks.

        Raises:
            NotFound: nothing was ever integrated.
            Conflict: the folder is not empty.
        """
        write_export(directory, self.export_files())

    def export_files(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Return the files that `export` writes, checkpoint last: each one's name, and what reads its content.

        Files below `tile/` whose names do not end in a width never change.

        Raises:
            NotFound: nothing was ever integrated.
        """
        with self._database.snapshot() as connection:
            note = self._own.under(connection, self._witnesses.cosigned(connection, self._newest(connection)))
            earlier = [self._own.under(connection, one) for one in self._witnesses.cosigned_earlier(connection)]
            keys = self._witnesses.keys(connection, note, *earlier)
            own = self._own.keys(connection)
        return export_files(note, earlier=earlier, keys=own, witnesses=keys, read=self._tiles.read)

    def archive(self, month: Month, folder: Path) -> Shard:
        """Put the files of a month that is over into a shard in `folder`, and remove them from the store.

        Months are archived one after the other. After a kill at any point the same call goes on. Readers notice
        nothing if the store is a `ShardedStore` over the same folder; the entries in the control database stay.

        Raises:
            Conflict: the month is not over, an earlier one is newer than the newest shard, or it has no full tile.
            Corrupt: the log's files do not lead to the signed root.
        """
        shard = next((one for one in shards_in(folder) if one.month == str(month)), None)
        if shard is None:
            shard = self._write_shard(month, folder)
        # 1. Only what verifies from the file itself may leave the store.
        self._check_shard(shard)
        # 2. The log says what was archived, once.
        if not self.newest(kind=EntryKind.SHARD, subject=shard.month, limit=1):
            facts: dict[str, JsonValue] = {
                "month": shard.month,
                "begin": shard.begin,
                "end": shard.end,
                "file_sha256": file_digest(shard.path),
            }
            with self._database.transaction() as connection:
                self.append(connection, kind=EntryKind.SHARD, subject=shard.month, actor=PLATFORM_ACTOR, facts=facts)
        # 3. The files go.
        for tile in shard.tiles():
            self._tiles.discard(str(tile))
        return shard

    def restore(self, month: Month, folder: Path) -> Shard:
        """Write the files of an archived month back to the store; the shard stays where it is.

        Raises:
            NotFound: `folder` has no shard of the month.
            Corrupt: the shard does not verify, or the store has other files in its place.
        """
        shard = next((one for one in shards_in(folder) if one.month == str(month)), None)
        if shard is None:
            raise NotFound(
                "ledger.shard_unknown",
                what=Text(zh=f"{folder} 中没有 {month} 的日志归档。", en=f"{folder} has no shard of {month}."),
                remedy=Text(zh="请核对月份和 DATONG_LOG_SHARDS。", en="Check the month and DATONG_LOG_SHARDS."),
            )
        self._check_shard(shard)
        for tile in shard.tiles():
            self._tiles.write(str(tile), self._tiles.read(str(tile)))
        return shard

    def _write_shard(self, month: Month, folder: Path) -> Shard:
        behind = datetime.combine(month.next, time.min, CHINA)
        earlier = shards_in(folder)
        begin = earlier[-1].end if earlier else 0
        if self._clock.now() < behind or (earlier and earlier[-1].month > str(month)):
            raise Conflict(
                "ledger.month_not_archivable",
                what=Text(
                    zh=f"{month} 尚未结束，或其后的月份已经归档。", en=f"{month} is not over, or was passed over."
                ),
                remedy=Text(zh="请按先后归档已结束的月份。", en="Archive months that are over, one after the other."),
                field="month",
            )
        with self._database.snapshot() as connection:
            note = self._own.under(connection, self._witnesses.cosigned(connection, self._newest(connection)))
            keys = keys_of(self._own.keys(connection), self._witnesses.keys(connection, note))
            low, high = begin, Checkpoint.parse(note.text).size
            while low < high:
                middle = (low + high) // 2
                at = connection.scalar(select(ENTRIES.c.at).where(ENTRIES.c.serial == serial_at(connection, middle)))
                low, high = (middle + 1, high) if at is not None and at < behind else (low, middle)
        end = low // TILE_WIDTH * TILE_WIDTH
        if end <= begin:
            raise Conflict(
                "ledger.month_too_small",
                what=Text(
                    zh=f"{month} 没有装满一个分片（{TILE_WIDTH} 条）的存证。",
                    en=f"{month} has no full tile ({TILE_WIDTH} entries) of its own.",
                ),
                remedy=Text(zh="它会与下个月一起归档。", en="It is archived together with the next month."),
                field="month",
            )
        return write_shard(folder, month, begin, end, note=note, keys=keys, read=self._tiles.read)

    def fsck(
        self, areas: Sequence[Area], *, progress: Callable[[int, int], None] = lambda _done, _of: None
    ) -> FsckReport:
        """Compare the control database with the log: its entries, and the state of `areas`; see `Fsck`."""
        return Fsck(
            database=self._database,
            tiles=self._tiles,
            origin=self.origin,
            log_key=self.public_key,
            witnesses=self._witnesses,
            areas=areas,
            progress=progress,
        ).run()

    def _check_shard(self, shard: Shard) -> None:
        key = verify_shard(shard.path).log_key
        with self._database.snapshot() as connection:
            self._own.require_own(connection, key)

    def _newest(self, connection: Connection) -> Note:
        text = connection.scalar(select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc()).limit(1))
        if text is None:
            raise NotFound(
                "ledger.no_checkpoint",
                what=Text(zh="日志还没有发布过检查点。", en="The log has not published a checkpoint yet."),
                remedy=Text(
                    zh="请确认枢纽的后台工作正在运行，稍后重试。",
                    en="See that the hub's background work is running, and try again shortly.",
                ),
            )
        return Note.parse(text.encode())
