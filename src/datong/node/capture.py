"""Change capture: a consistent snapshot, then every committed change, continuously while the task is active.

What is advanced when: a piece of the log is cut, signed and spooled; uploaded; the hub confirms it; only then may the
source forget it. The cursor in the manifest is the position after the piece, so the hub's confirmation says where to
go on after any kill. A log that does not connect (slot dropped, table emptied, columns changed) means a new snapshot.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event, Lock, Thread

from datong.exchange import (
    DELETED_COLUMN,
    ChangesLost,
    ChangeSource,
    ChangeStream,
    Column,
    Confirmed,
    Connector,
    Cursor,
    Following,
    ProduceWork,
    Task,
    TaskState,
    TransferMode,
    schema_fingerprint,
)
from datong.kernel import Conflict, Corrupt, DatongError, Invalid, Refused, TaskId, Text, Value
from datong.node.outbox import Cut, Outbox, Pace, source_columns, with_last
from datong.node.owned_files import write_owned
from datong.node.source_watch import SourceWatch
from datong.node.spool import SpooledBatch
from datong.node.steps import Passed, Step, unobserved
from datong.node.trouble import trouble_of

POLL_SECONDS = 0.5
REST_INTERVAL_SECONDS = 10.0
KEPT_INTERVAL_SECONDS = 30.0
WATCH_INTERVAL_SECONDS = 60.0
"""How often a stream, which has no beginning of a run, looks whether its table is still as agreed."""
KEPT_BYTES_WARN = 2 * 1024**3
SWEEP_INTERVAL_SECONDS = 30.0

_NO_POSITION = Text(
    zh="还没有可接续的完整全量，任务先做全量。", en="No whole snapshot to go on from: the task begins with one."
)

Stop = Callable[[str], bool]
"""Asked with how far the log was read, whenever the stream is at a point where it may end."""
Tell = Callable[[Text], None]


def no_changes(_name: str) -> ChangeSource:
    """Say that the node was composed without sources that keep a log."""
    raise Invalid(
        "node.no_change_log",
        what=Text(zh="该节点不支持变更捕获。", en="This node cannot capture changes."),
        remedy=Text(zh="请改用比对增量方式。", en="Use the mode diff."),
    )


class Place(Value):
    """What a node remembers of a task's place in the log of its source."""

    source: str
    cursor: str
    """The confirmed position from which the node went on."""
    resting: str
    """A later position up to which nothing concerned the table; the source may have forgotten its log up to it."""


class Places:
    """The places of a node, one file per task."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, task_id: TaskId) -> Place | None:
        """Return what is remembered; a file that a crash cut short counts as none."""
        try:
            return Place.model_validate_json(self._path(task_id).read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def write(self, task_id: TaskId, place: Place) -> None:
        """Remember a place, durably."""
        write_owned(self._path(task_id), place.model_dump_json().encode())

    def forget(self, task_id: TaskId) -> None:
        """Remember nothing of a task."""
        self._path(task_id).unlink(missing_ok=True)

    def tasks(self) -> list[TaskId]:
        """Return the tasks that have a place."""
        return [TaskId(path.stem) for path in self._folder.glob("*.json")] if self._folder.is_dir() else []

    def _path(self, task_id: TaskId) -> Path:
        return self._folder / f"{task_id}.json"


def place_name(task_id: TaskId) -> str:
    """Return how a task's slot and publication are called: letters, digits and underscores, at most 63."""
    return "datong_" + "".join(letter if letter.isalnum() else "_" for letter in task_id.lower())[:56]


class Capture:
    """Produces tasks of the mode CAPTURE."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        folder: Path,
        open_source: Callable[[str], Connector],
        open_changes: Callable[[str], ChangeSource] = no_changes,
        tell: Tell,
        watch: SourceWatch | None = None,
        sleep: Callable[[float], None] = time.sleep,
        passed: Passed = unobserved,
        rest_seconds: float = REST_INTERVAL_SECONDS,
        watch_seconds: float = WATCH_INTERVAL_SECONDS,
    ) -> None:
        self._watch_seconds = watch_seconds
        self._outbox = outbox
        self._rest_seconds = rest_seconds
        self._places = Places(folder)
        self._open_source = open_source
        self._open_changes = open_changes
        self._tell = tell
        self._watch = watch
        self._sleep = sleep
        self._passed = passed

    def produce(self, work: ProduceWork, stop: Stop) -> None:
        """Go on from the confirmed position until `stop`.

        Raises:
            Unavailable: hub or source do not answer; calling again goes on where this stopped.
            Refused, Conflict, Corrupt: the hub did not accept a batch, or the source cannot tell its changes.
        """
        task = work.task
        pace = Pace(task.rate_limit_rows_per_second, self._sleep)
        changes = self._open_changes(task.source)
        try:
            confirmed = self._send_pending(work, pace)
            if confirmed.run_ended and confirmed.sequence:
                self._outbox.finish_run(task, confirmed.run)
            while not stop(self._position(task, confirmed) or ""):
                if self._watch is not None and not self._watch.stands(task):
                    return
                columns = self._columns(task)
                gone: Text | None = _NO_POSITION
                if _connects(confirmed, columns):
                    confirmed, gone = self._follow(work, confirmed, changes, columns, stop, pace)
                if gone is None:
                    return
                self._tell(gone)
                confirmed = self._snapshot(work, confirmed, changes, columns, pace)
        except (Refused, Conflict, Corrupt):
            self._outbox.drop_all(task)
            raise

    def forget_ended(self, active: Sequence[TaskId], state_of: Callable[[TaskId], TaskState]) -> None:
        """Give up the places of tasks that have ended, so that no source keeps its log for them."""
        for task_id in self._places.tasks():
            place = self._places.read(task_id)
            if task_id not in active and state_of(task_id) is TaskState.ENDED:
                if place is not None:
                    self._open_changes(place.source).forget(place_name(task_id))
                self._places.forget(task_id)

    # Inside

    def _columns(self, task: Task) -> tuple[Column, ...]:
        source = self._open_source(task.source)
        try:
            return source_columns(source, task)
        finally:
            source.close()

    def _send_pending(self, work: ProduceWork, pace: Pace) -> Confirmed:
        """Upload what was cut before a restart; a snapshot only when it is whole, for its source's view is gone."""
        confirmed = work.confirmed
        batches = self._outbox.pending(work.task, confirmed)
        first = batches[0].signed.manifest if batches else None
        follows = first is not None and (first.sequence, first.previous_digest) == (
            confirmed.sequence + 1,
            confirmed.digest,
        )
        if not (follows and _usable(batches)):
            self._outbox.drop(batches)
            return confirmed
        for batch in batches:
            confirmed = self._outbox.send(batch, pace)
        return confirmed

    def _snapshot(
        self, work: ProduceWork, confirmed: Confirmed, changes: ChangeSource, columns: tuple[Column, ...], pace: Pace
    ) -> Confirmed:
        """Move the whole table as of a new place in the log; return the end of the chain."""
        task = work.task
        run = max(confirmed.run + 1, work.run)
        self._places.write(task.id, Place(source=task.source, cursor="", resting=""))
        with changes.begin(place_name(task.id), task.query(None), columns) as (position, reader):
            self._passed(Step.SLOT_MADE)
            for rows, last in with_last(reader):
                cut = Cut(
                    run=run,
                    mode=TransferMode.SNAPSHOT,
                    columns=columns,
                    cursor_to=Cursor(values=(position,)),
                    last=last,
                )
                batch = self._outbox.add(work, confirmed, cut, [] if rows is None else [rows])
                confirmed = self._outbox.send(batch, pace)
        self._outbox.finish_run(task, run)
        return confirmed

    def _follow(
        self,
        work: ProduceWork,
        confirmed: Confirmed,
        changes: ChangeSource,
        columns: tuple[Column, ...],
        stop: Stop,
        pace: Pace,
    ) -> tuple[Confirmed, Text | None]:
        """Move changes until `stop`; return the end of the chain, and why the log cannot be followed any longer."""
        task = work.task
        after = self._position(task, confirmed) or ""
        place = self._places.read(task.id)
        resting = place.resting if place is not None and place.cursor == after else ""
        following = Following(task.table, columns, task.key_columns, after, resting or after)
        name = place_name(task.id)
        try:
            stream = changes.follow(name, following)
        except ChangesLost as error:
            return confirmed, error.what
        run = max(confirmed.run + 1, work.run) if confirmed.run_ended else confirmed.run
        idle = _Every(self._rest_seconds)
        look = _Every(KEPT_INTERVAL_SECONDS)
        structure = _Every(self._watch_seconds)
        try:
            while not stop(stream.seen):
                piece = stream.next(task.batch_rows, POLL_SECONDS)
                if look.due():
                    self._warn(task, changes.kept_bytes(name))
                if self._watch is not None and structure.due() and not self._watch.stands(task):
                    return confirmed, None
                if piece is None:
                    if idle.due():
                        self._rest(task, after, stream)
                    continue
                cut = Cut(
                    run=run,
                    mode=TransferMode.CAPTURE,
                    columns=(DELETED_COLUMN, *columns),
                    cursor_to=Cursor(values=(piece.position,)),
                    last=False,
                )
                batch = self._outbox.add(work, confirmed, cut, [piece.rows])
                confirmed = self._outbox.send(batch, pace)
                after = piece.position
                stream.confirm(after)
                self._passed(Step.SLOT_ADVANCED)
        except ChangesLost as error:
            return confirmed, error.what
        finally:
            stream.close()
        return confirmed, None

    def _rest(self, task: Task, cursor: str, stream: ChangeStream) -> None:
        """Let the source forget a log that does not concern the table; remember first that this was done."""
        resting = stream.resting
        if resting is not None:
            self._places.write(task.id, Place(source=task.source, cursor=cursor, resting=resting))
            self._passed(Step.PLACE_WRITTEN)
            stream.confirm(resting)

    def _warn(self, task: Task, kept: int) -> None:
        if kept > KEPT_BYTES_WARN:
            size = f"{kept / 1024**3:.1f} GiB"
            self._tell(
                Text(
                    zh=f"任务 {task.id} 使数据源保留了 {size} 日志，请检查平台是否可达。",
                    en=f"The source keeps {size} of its log for task {task.id}: see whether the hub can be reached.",
                )
            )

    def _position(self, task: Task, confirmed: Confirmed) -> str | None:
        cursor = self._outbox.opened_cursor(task, confirmed.cursor)
        return cursor.values[0] if cursor is not None and cursor.values else None


class Streams:
    """Keeps one thread for each captured task that the hub offers, beside the node's rounds."""

    def __init__(
        self,
        capture: Capture,
        *,
        state_of: Callable[[TaskId], TaskState],
        reporting: Callable[[ProduceWork], AbstractContextManager[None]],
        stopped: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._capture = capture
        self._reporting = reporting
        self._state_of = state_of
        self._stopped = stopped
        self._threads: dict[TaskId, tuple[Thread, Event]] = {}
        self._failures: list[tuple[TaskId, DatongError]] = []
        self._lock = Lock()
        self._sweep = _Every(SWEEP_INTERVAL_SECONDS)

    def attend(self, works: Sequence[ProduceWork]) -> list[tuple[TaskId, DatongError]]:
        """Start what is wanted and does not run, stop what is not wanted; return what failed since the last call."""
        wanted = {work.task.id: work for work in works}
        for task_id, (thread, event) in list(self._threads.items()):
            if task_id not in wanted:
                event.set()
            if not thread.is_alive():
                del self._threads[task_id]
        for task_id, work in wanted.items():
            if task_id not in self._threads:
                event = Event()
                thread = Thread(target=self._run, args=(work, event), name=f"capture {task_id}", daemon=True)
                self._threads[task_id] = (thread, event)
                thread.start()
        if self._sweep.due():
            self._capture.forget_ended(list(wanted), self._state_of)
        with self._lock:
            failures, self._failures = self._failures, []
        return failures

    def close(self) -> None:
        """Stop every stream, and wait until it stands."""
        for _, event in self._threads.values():
            event.set()
        for thread, _ in self._threads.values():
            thread.join()

    def _run(self, work: ProduceWork, event: Event) -> None:
        try:
            with self._reporting(work):
                self._capture.produce(work, lambda _: event.is_set())
        except self._stopped:
            return
        except (DatongError, OSError, sqlite3.Error) as error:
            with self._lock:
                self._failures.append((work.task.id, trouble_of(error)))


class _Every:
    """Says once per interval that it is time; the first time one interval after it was made."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def _usable(batches: Sequence[SpooledBatch]) -> bool:
    """Whether spooled batches may be sent: changes always, of a snapshot only what reaches its end."""
    manifests = [batch.signed.manifest for batch in batches]
    return any(one.mode is TransferMode.CAPTURE for one in manifests) or manifests[-1].last


def _connects(confirmed: Confirmed, columns: tuple[Column, ...]) -> bool:
    """Whether changes may follow: after a whole snapshot or other changes, of the same columns."""
    whole = confirmed.mode is TransferMode.CAPTURE or (confirmed.run_ended and confirmed.mode is not None)
    known = {schema_fingerprint(columns), schema_fingerprint((DELETED_COLUMN, *columns))}
    return whole and confirmed.cursor is not None and confirmed.schema_fingerprint in known
