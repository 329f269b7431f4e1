"""Check a hub's control database against its log: first that the entries are the log's, then that the state is theirs.

1. Every entry of the database is hashed again; the tree must have the root of every checkpoint that was signed and of
   every one that a witness cosigned, and the files of the log must hold the same bytes.
2. Every row of every `Area` must say what its newest entry states, and none may lack its entry, nor an entry its row.

It reads one snapshot of the database and changes nothing, so it may run beside a hub at work.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Select, func, select

from datong.kernel import Corrupt, Database, DatongError, JsonValue, NotFound, Text, Value
from datong.ledger.bundles import check_witnesses
from datong.ledger.cosigning import Witnesses
from datong.ledger.entries import EntryContent, TimeOrder, departments_concerned, parse_leaf
from datong.ledger.key_rows import log_keys
from datong.ledger.log_keys import open_by
from datong.ledger.merkle import HASH_BYTES, leaf_hash_of
from datong.ledger.notes import Note
from datong.ledger.places import PLACE, Run, all_runs, outside
from datong.ledger.sequencer import published_size
from datong.ledger.state_audit import ROWS_AT_ONCE, Area, Held, Stated, differences
from datong.ledger.tables import CHECKPOINTS, COSIGNATURES, ENTRIES, ENTRY_DEPARTMENTS
from datong.ledger.tiles import TILE_WIDTH, TileBuilder, TilePath, TileStore, decode_entries, read_tile

FAULTS_MAX = 1000
"""Further faults are counted, not described."""
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, DatongError)
"""What an area raises at facts, or at a row, that are not as its package writes them."""
Item = TypeVar("Item")
_KEPT_ENTRY = select(
    ENTRIES.c.serial, func.coalesce(PLACE, -1), ENTRIES.c.kind, ENTRIES.c.subject, ENTRIES.c.at,
    ENTRIES.c.leaf, ENTRIES.c.leaf_hash,
)  # fmt: skip


class Fault(Value):
    """One thing that is not as the log has it: in which area, about what, at which entry, and in words."""

    code: str
    area: str
    key: str
    index: int | None
    what: Text


class FsckReport(Value):
    """What was compared, and what differs. `omitted` faults are not in `faults`."""

    size: int
    pending: int
    checkpoints: int
    cosignatures: int
    compared: dict[str, int]
    faults: tuple[Fault, ...]
    omitted: int


class _Entry(NamedTuple):
    """An entry as the database keeps it; `position` is -1 until it has its place in the log."""

    serial: int
    position: int
    kind: str
    subject: str
    at: datetime
    leaf: bytes
    leaf_hash: str

    @property
    def place(self) -> int | None:
        """Its place in the log, if it has one."""
        return None if self.position < 0 else self.position


class _Latest(NamedTuple):
    at: int | None
    facts: Mapping[str, JsonValue]
    ended: bool = False


class Fsck:
    """One check of one hub; `progress` is called with the entries read so far and their number."""

    def __init__(
        self,
        *,
        database: Database,
        tiles: TileStore,
        origin: str,
        log_key: bytes,
        witnesses: Witnesses,
        areas: Sequence[Area],
        progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> None:
        self._database = database
        self._tiles = tiles
        self._origin = origin
        self._log_key = log_key
        self._log_keys: tuple[bytes, ...] = (log_key,)
        self._witnesses = witnesses
        self._areas = areas
        self._progress = progress
        self._faults: list[Fault] = []
        self._omitted = 0
        self._latest: dict[str, dict[str, _Latest]] = {area.name: {} for area in areas if not area.own_entry}
        self._own: Counter[str] = Counter()
        self._cut: set[str] = set()
        self._pending = 0
        self._times = TimeOrder()

    def run(self) -> FsckReport:
        """Compare everything and report what differs; nothing is raised for a fault."""
        with self._database.snapshot() as connection:
            size = published_size(connection)
            self._log_keys = log_keys(connection, self._origin, self._log_key).all
            roots, checkpoints = self._signed_roots(connection)
            cosignatures = self._check_cosignatures(connection)
            self._read_entries(connection, size, roots)
            compared = {area.name: self._compare(connection, area) for area in self._areas}
        return FsckReport(
            size=size,
            pending=self._pending,
            checkpoints=checkpoints,
            cosignatures=cosignatures,
            compared=compared,
            faults=tuple(self._faults),
            omitted=self._omitted,
        )

    # The entries

    def _signed_roots(self, connection: Connection) -> tuple[dict[int, bytes], int]:
        roots: dict[int, bytes] = {}
        rows = connection.execute(select(CHECKPOINTS.c.size, CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size)).all()
        for row in rows:
            try:
                note = Note.parse(row.note.encode())
                point, _ = open_by(note, self._log_keys, origin=self._origin)
            except DatongError as error:
                self._fault("ledger.checkpoint_unsigned", "ledger.checkpoint", str(row.size), error.what)
                continue
            if point.size != row.size:
                what = Text(
                    zh=f"检查点登记的大小是 {row.size}，所签的却是 {point.size}。",
                    en=f"The checkpoint is kept under size {row.size}, and signed for {point.size}.",
                )
                self._fault("ledger.checkpoint_size", "ledger.checkpoint", str(row.size), what)
            roots[point.size] = point.root
        return roots, len(rows)

    def _check_cosignatures(self, connection: Connection) -> int:
        rows = connection.execute(
            select(COSIGNATURES.c.size, CHECKPOINTS.c.note)
            .outerjoin(CHECKPOINTS, CHECKPOINTS.c.size == COSIGNATURES.c.size)
            .distinct()
            .order_by(COSIGNATURES.c.size)
        ).all()
        count = 0
        for row in rows:
            try:
                if row.note is None:
                    raise _no_checkpoint(row.size)
                note = self._witnesses.cosigned(connection, Note.parse(row.note.encode()))
                keys = self._witnesses.keys(connection, note)
                _, key = open_by(note, self._log_keys, origin=self._origin)
                count += len(check_witnesses(note, log_key=key, keys=keys))
            except DatongError as error:
                self._fault("ledger.cosignature_differs", "ledger.cosignature", str(row.size), error.what)
        return count

    def _read_entries(self, connection: Connection, size: int, roots: Mapping[int, bytes]) -> None:
        builder, expected, differing = TileBuilder(), 0, False
        runs = all_runs(connection)
        for rows in _chunks(_numbered(connection, runs), TILE_WIDTH):
            kept_for = _kept_for(connection, rows)
            for row in rows:
                if row.position != expected:
                    self._gap(expected, row.position)
                    differing, expected = True, row.position
                builder.add(leaf_hash_of(row.leaf))
                expected += 1
                self._take(row, kept_for[row.serial])
                # A gap is told once; every root behind it would say so again.
                if not differing and expected in roots and builder.root() != roots[expected]:
                    differing = True
                    self._fault("ledger.root_differs", "ledger.entry", str(expected), _root_differs(expected))
            self._compare_files(rows, size)
            self._progress(expected, size)
        if expected < size:
            self._gap(expected, size)
        for gap in outside(runs):
            waiting = _KEPT_ENTRY.where(ENTRIES.c.serial >= gap.serial, ENTRIES.c.serial < gap.until)
            for row in _entries(connection, waiting.order_by(ENTRIES.c.serial)):
                self._pending += 1
                self._take(row)

    def _take(self, row: _Entry, kept_for: set[str] | None = None) -> None:
        """Check that an entry's columns, and the departments it is kept for, are as its bytes say; keep what it states.

        Whom it is not kept for would not see what concerns them.
        """
        try:
            content = parse_leaf(row.leaf)
        except Corrupt as error:
            self._fault("ledger.entry_malformed", "ledger.entry", str(row.serial), error.what, row.place)
            return
        self._check_time(content, row)
        own = {
            "kind": content.kind.value == row.kind,
            "subject": content.subject == row.subject,
            "at": content.at == row.at,
            "leaf_hash": leaf_hash_of(row.leaf).hex() == row.leaf_hash,
        }
        for column in (name for name, same in own.items() if not same):
            what = Text(
                zh=f"存证条目的 {column} 列与条目内容不符。", en=f"The column {column} of an entry is not what it says."
            )
            self._fault("ledger.entry_column", "ledger.entry", str(row.serial), what, row.place)
        if kept_for is not None and kept_for != departments_concerned(content.actor, content.facts):
            what = Text(
                zh="存证条目登记的相关部门与条目内容不符。",
                en="The departments that an entry is kept for are not those it names.",
            )
            self._fault("ledger.entry_departments", "ledger.entry", str(row.serial), what, row.place)
        for area in self._areas:
            if content.kind in area.kinds:
                self._state(area, content, row.place)

    def _check_time(self, content: EntryContent, row: _Entry) -> None:
        """An entry stands behind those that were made before it: the log's own order shows what was back-dated."""
        newest = self._times.behind(content.at)
        if newest is not None and row.place is not None:
            what = Text(
                zh=f"第 {row.position} 号存证条目自称作于 {content.at.isoformat()}，"
                f"而它前面的条目已作于 {newest.isoformat()}：被倒填日期，或当时的时钟有误。",
                en=f"Entry {row.position} says that it was made at {content.at.isoformat()}; one before it was made at "
                f"{newest.isoformat()}: it was back-dated, or a clock was wrong.",
            )
            self._fault("ledger.entry_backdated", "ledger.entry", str(row.serial), what, row.place)

    def _state(self, area: Area, content: EntryContent, index: int | None) -> None:
        try:
            stated = area.stated(content)
        except UNREADABLE as error:
            what = Text(
                zh=f"{area.label.zh} {content.subject} 的存证所述事实不是该类条目应有的（{_cause(error)}）。",
                en=f"{area.label.en} {content.subject}: the facts of its entry are not those of its kind "
                f"({_cause(error)}).",
            )
            self._fault("ledger.entry_facts", area.name, content.subject, what, index)
            return
        if stated is None:
            return
        if area.own_entry:
            self._own[area.name] += 1
            return
        latest = self._latest[area.name]
        before = latest.get(stated.key)
        facts = {**before.facts, **stated.facts} if stated.adds and before is not None else stated.facts
        latest[stated.key] = _Latest(index, facts, stated.ends)

    def _compare_files(self, rows: Sequence[_Entry], size: int) -> None:
        """Compare a bundle's worth of entries with the log's own files."""
        published = [row for row in rows if row.position < size]
        if not published or published[0].position % TILE_WIDTH or not _consecutive(published):
            return
        first = published[0].position
        bundle = TilePath(level=None, number=first // TILE_WIDTH, width=len(published))
        hashes = TilePath(level=0, number=first // TILE_WIDTH, width=len(published))
        try:
            leaves = decode_entries(
                read_tile(bundle, self._tiles.read), count=len(published), name=str(bundle), first_index=first
            )
            tile = read_tile(hashes, self._tiles.read)
        except (Corrupt, NotFound) as error:
            self._fault("ledger.file_unreadable", "ledger.file", str(bundle), error.what, first)
            return
        for place, (row, leaf) in enumerate(zip(published, leaves, strict=True)):
            signed = tile[place * HASH_BYTES : (place + 1) * HASH_BYTES]
            if leaf_hash_of(row.leaf) != signed:
                what = Text(
                    zh=f"数据库中第 {row.position} 号存证条目被改动。",
                    en=f"Entry {row.position} was changed in the database.",
                )
                self._fault("ledger.entry_edited", "ledger.entry", str(row.serial), what, row.place)
            if leaf_hash_of(leaf) != signed:
                what = Text(
                    zh=f"日志文件 {bundle} 中第 {row.position} 号条目被改动。",
                    en=f"Entry {row.position} was changed in the log's file {bundle}.",
                )
                self._fault("ledger.file_edited", "ledger.file", str(bundle), what, row.place)

    # The state

    def _compare(self, connection: Connection, area: Area) -> int:
        if area.own_entry:
            return self._compare_records(connection, area)
        latest, count = self._latest[area.name], 0
        missing = dict.fromkeys(key for key, found in latest.items() if not found.ended)
        for held in self._held(connection, area):
            count += 1
            missing.pop(held.key, None)
            found = latest.get(held.key)
            if found is None or found.ended:
                self._without_evidence(area, held.key)
                continue
            self._compare_one(area, held, found)
        for key in () if area.name in self._cut else missing:
            self._without_row(area, key, latest[key].at)
        return count

    def _held(self, connection: Connection, area: Area) -> Iterator[Held]:
        """Yield what the database holds, up to the first row that cannot be read: a fault, which ends the area."""
        last = "-"
        try:
            for held in area.held(connection):
                last = held.key
                yield held
        except UNREADABLE as error:
            self._cut.add(area.name)
            what = Text(
                zh=f"{area.label.zh}：{last} 之后的一行无法读取（{_cause(error)}），其后各行未核对。",
                en=f"{area.label.en}: the row after {last} cannot be read ({_cause(error)}); those behind it were not "
                "compared.",
            )
            self._fault("ledger.state_unreadable", area.name, last, what)

    def _compare_records(self, connection: Connection, area: Area) -> int:
        count, named = 0, _Serials(connection.scalar(select(func.max(ENTRIES.c.serial))) or 0)
        columns = select(ENTRIES.c.id, ENTRIES.c.serial, PLACE, ENTRIES.c.leaf)
        for chunk in _chunks(self._held(connection, area), ROWS_AT_ONCE):
            ids = [held.entry_id for held in chunk]
            entries = {row.id: row for row in connection.execute(columns.where(ENTRIES.c.id.in_(ids)))}
            for held in chunk:
                count += 1
                row = entries.get(held.entry_id)
                stated = None if row is None else _stated(area, row.leaf)
                if row is None or stated is None or stated.key != held.key or not named.add(row.serial):
                    self._without_evidence(area, held.key)
                else:
                    self._compare_one(area, held, _Latest(row.position, stated.facts))
        if named.count < self._own[area.name] and area.name not in self._cut:
            self._name_missing(connection, area, named)
        return count

    def _name_missing(self, connection: Connection, area: Area, named: "_Serials") -> None:
        """Name the things whose entries are there and whose rows are not."""
        query = _KEPT_ENTRY.where(ENTRIES.c.kind.in_([kind.value for kind in area.kinds]))
        for row in _entries(connection, query):
            stated = None if row.serial in named else _stated(area, row.leaf)
            if stated is not None:
                self._without_row(area, stated.key, row.place)

    def _compare_one(self, area: Area, held: Held, latest: _Latest) -> None:
        for differing in differences(latest.facts, held, later=area.later):
            what = Text(
                zh=f"{area.label.zh} {held.key}：{differing.place} 中的 {differing.fact} 是 {differing.held!r}，"
                f"存证是 {differing.logged!r}。",
                en=f"{area.label.en} {held.key}: {differing.fact} in {differing.place} is {differing.held!r}; "
                f"the evidence says {differing.logged!r}.",
            )
            self._fault("ledger.state_differs", area.name, held.key, what, latest.at)

    def _without_evidence(self, area: Area, key: str) -> None:
        what = Text(
            zh=f"{area.label.zh} {key} 在数据库中，却没有任何存证。",
            en=f"{area.label.en} {key} is in the database, and nothing in the log is evidence of it.",
        )
        self._fault("ledger.state_without_evidence", area.name, key, what)

    def _without_row(self, area: Area, key: str, index: int | None) -> None:
        what = Text(
            zh=f"{area.label.zh} {key} 有存证，数据库中却没有。",
            en=f"{area.label.en} {key} stands in the log, and not in the database.",
        )
        self._fault("ledger.state_missing", area.name, key, what, index)

    def _gap(self, expected: int, found: int) -> None:
        what = Text(
            zh=f"数据库缺少第 {expected} 至 {found - 1} 号存证条目。",
            en=f"The database lacks the entries {expected} to {found - 1}.",
        )
        self._fault("ledger.entries_missing", "ledger.entry", str(expected), what, expected)

    def _fault(self, code: str, area: str, key: str, what: Text, index: int | None = None) -> None:
        if len(self._faults) >= FAULTS_MAX:
            self._omitted += 1
            return
        self._faults.append(Fault(code=code, area=area, key=key, index=index, what=what))


class _Serials:
    """A set of serial numbers, one bit each: of millions of entries, too."""

    def __init__(self, highest: int) -> None:
        self._bits = bytearray(highest // 8 + 1)
        self.count = 0

    def __contains__(self, serial: int) -> bool:
        return bool(self._bits[serial // 8] & (1 << serial % 8))

    def add(self, serial: int) -> bool:
        """Add a number; return whether it was not in the set."""
        if serial in self:
            return False
        self._bits[serial // 8] |= 1 << serial % 8
        self.count += 1
        return True


def _stated(area: Area, leaf: bytes) -> Stated | None:
    """Return what an entry states of one of an area; nothing if it cannot be read, which was told when it was taken."""
    try:
        content = parse_leaf(leaf)
        return area.stated(content) if content.kind in area.kinds else None
    except UNREADABLE:
        return None


def _cause(error: Exception) -> str:
    """Return what an area stumbled over: the kind of error, and the fact that is missing where it is one."""
    named = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    return type(error).__name__ + (f": {named}" if named else "")


def _kept_for(connection: Connection, rows: Sequence[_Entry]) -> dict[int, set[str]]:
    """Return by which departments entries are found, by serial."""
    named: dict[int, set[str]] = {row.serial: set() for row in rows}
    query = select(ENTRY_DEPARTMENTS.c.serial, ENTRY_DEPARTMENTS.c.department)
    for found in connection.execute(query.where(ENTRY_DEPARTMENTS.c.serial.in_(list(named)))):
        named[found.serial].add(found.department)
    return named


def _consecutive(rows: Sequence[_Entry]) -> bool:
    return rows[-1].position - rows[0].position == len(rows) - 1


def _entries(connection: Connection, query: Select[tuple[Any, ...]]) -> Iterator[_Entry]:
    """Return what a query of entries finds, row by row."""
    for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query):
        yield _Entry(*row)


def _numbered(connection: Connection, runs: Sequence[Run]) -> Iterator[_Entry]:
    """Return the entries that have a place, in the log's order."""
    columns = [
        ENTRIES.c.serial, ENTRIES.c.kind, ENTRIES.c.subject, ENTRIES.c.at, ENTRIES.c.leaf, ENTRIES.c.leaf_hash
    ]  # fmt: skip
    for run in runs:
        query = select(*columns).where(ENTRIES.c.serial >= run.serial, ENTRIES.c.serial < run.end)
        streamed = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query.order_by(ENTRIES.c.serial))
        for serial, *said in streamed:
            yield _Entry(serial, run.position + serial - run.serial, *said)


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _root_differs(size: int) -> Text:
    return Text(
        zh=f"前 {size} 条存证的根不是所签检查点的根：其中有条目被改动。",
        en=f"The root of the first {size} entries is not the one that was signed: an entry among them was changed.",
    )


def _no_checkpoint(size: int) -> NotFound:
    return NotFound(
        "ledger.checkpoint_missing",
        what=Text(
            zh=f"见证方签过的检查点（大小 {size}）不见了。", en=f"The cosigned checkpoint of size {size} is gone."
        ),
        remedy=Text(zh="请从备份恢复。", en="Restore it from a backup."),
    )
