"""The index of one hub process: derived from the control database, brought up to date before every search.

It may be lost at any time: what it holds is built again from the database. With a folder, segments lie in files that
every process of the machine maps, so that a start costs nothing and memory is shared; without one (tests, tools) they
stay in memory. One process at a time writes the folder, under a lock of its own; nobody ever waits for a lock to read.
"""

import fcntl
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from datong.catalogue.search_feed import (
    CHANGES_MAX,
    EVERYTHING,
    Change,
    changes_since,
    newest_change,
    read_all,
    read_some,
)
from datong.catalogue.search_segment import (
    SearchDocument,
    Segment,
    build_segment,
    load_segment,
    merge_segments,
    remove_segment,
    save_segment,
)
from datong.catalogue.search_view import IndexView, Mask
from datong.kernel import new_id
from datong.kernel.files import replace_file

FORMAT = 2
"""Raised whenever terms or files change their meaning: an index of another format is built anew."""
SMALL_SEGMENTS_MAX = 8
SMALL_DOCS_MAX = 4_000
"""Changes are kept in memory until they are so many; then they are written to the folder."""
FILED_SEGMENTS_MAX = 6
DEAD_SHARE_MAX = 0.3
LOAD_ATTEMPTS_MAX = 5


class IndexState(NamedTuple):
    """Both views after the change `sequence`; `filed` is the number up to which the folder has it."""

    sequence: int
    token: str
    internal: IndexView
    public: IndexView
    filed: int = -1

    @property
    def views(self) -> tuple[IndexView, IndexView]:
        """The view of departments and that of the public."""
        return self.internal, self.public


class SearchIndex:
    """Gives the state of the index that belongs to a state of the database."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        small_docs_max: int = SMALL_DOCS_MAX,
        filed_segments_max: int = FILED_SEGMENTS_MAX,
    ) -> None:
        self._folder, self._small_docs_max, self._filed_segments_max = folder, small_docs_max, filed_segments_max
        self._lock = threading.Lock()
        self._state: IndexState | None = None

    def current(self, connection: Connection) -> IndexState:
        """Return the index with everything that `connection` can see; later changes may be in it too."""
        with self._lock:
            state = self._state or self._load()
            if state is not None:
                state = self._caught_up(connection, state)
            if state is None:
                state = self._build(connection)
            if self._folder is not None and _unfiled(state) > 4 * self._small_docs_max:
                state = self._filed(state, wait=False)
            self._state = state
            return state

    def keep_up(self, connection: Connection) -> bool:
        """Do the work that searches should not wait for: write what is in memory, and merge what is in many pieces.

        Returns whether anything was done.
        """
        state = self.current(connection)
        crowded = any(
            len(view.segments) > self._filed_segments_max or _dead_share(view) > DEAD_SHARE_MAX for view in state.views
        )
        if self._folder is None or (_unfiled(state) <= self._small_docs_max and not crowded):
            return False
        # Merging a large index takes long, and searches go on with the state as it was. The next one catches up with
        # what changed meanwhile, from the log.
        filed = self._filed(state, wait=True, merge=crowded)
        with self._lock:
            self._state = filed
        return True

    def _caught_up(self, connection: Connection, state: IndexState) -> IndexState | None:
        """Return `state` with what changed since, or None if the index must be built anew."""
        changes = changes_since(connection, state.sequence)
        if state.sequence:
            if not changes or changes[0].sequence != state.sequence:
                # The connection sees an older state than another thread's: what it misses is in the index already.
                newest = newest_change(connection)
                return state if 0 < newest.sequence < state.sequence and self._state is not None else None
            if changes[0].token != state.token:
                return None
            changes = changes[1:]
        if not changes:
            return state
        if len(changes) > CHANGES_MAX or any(change.resource_id == EVERYTHING for change in changes):
            return None
        resource_ids = sorted({change.resource_id for change in changes})
        internal = _changed(state.internal, resource_ids, read_some(connection, resource_ids, public=False))
        public = _changed(state.public, resource_ids, read_some(connection, resource_ids, public=True))
        last = changes[-1]
        return IndexState(last.sequence, last.token, internal, public, state.filed)

    def _build(self, connection: Connection) -> IndexState:
        """Build the index from the database; into the folder, if there is one, under its lock."""
        if self._folder is None:
            return _built(connection, None)
        with self._writing(wait=True):
            # Another process may have built it while this one waited.
            state = self._load()
            if state is not None and state.sequence <= newest_change(connection).sequence:
                caught_up = self._caught_up(connection, state)
                if caught_up is not None:
                    return caught_up
            state = _built(connection, self._folder)
            self._write_manifest(state)
            return state._replace(filed=state.sequence)

    def _filed(self, state: IndexState, *, wait: bool, merge: bool = False) -> IndexState:
        """Write what is in memory only, merged; or everything, if it lies in too many pieces."""
        folder = self._folder
        if folder is None:
            return state
        with self._writing(wait=wait) as mine:
            if not mine:
                return state
            views = [_written(view, folder, merge=merge) for view in state.views]
            filed = IndexState(state.sequence, state.token, views[0], views[1], state.sequence)
            self._write_manifest(filed)
            return filed

    def _load(self) -> IndexState | None:
        """Return what the folder has, or None if it has nothing usable."""
        if self._folder is None:
            return None
        for _ in range(LOAD_ATTEMPTS_MAX):
            try:
                described = json.loads((self._folder / "manifest.json").read_text())
            except (OSError, ValueError):
                return None
            try:
                return _opened(self._folder, described)
            except (OSError, ValueError, KeyError, TypeError):
                # The segment was merged away between the two looks: look again. A damaged one stays so.
                continue
        return None

    def _write_manifest(self, state: IndexState) -> None:
        if self._folder is None:
            return
        described: dict[str, object] = {"format": FORMAT, "sequence": state.sequence, "token": state.token}
        kept = set()
        for name, view in (("internal", state.internal), ("public", state.public)):
            entries = []
            for segment, mask in zip(view.segments, view.masks, strict=True):
                if segment.folder is None:
                    continue
                kept.add(segment.folder.name)
                entry = {"folder": segment.folder.name, "mask": ""}
                if mask is not None:
                    entry["mask"] = f"mask-{new_id()}"
                    mask.tofile(self._folder / entry["mask"])
                    kept.add(entry["mask"])
                entries.append(entry)
            described[name] = entries
        replace_file(self._folder / "manifest.json", json.dumps(described).encode())
        for path in self._folder.iterdir():
            if path.name not in kept and path.name not in ("manifest.json", "lock"):
                remove_segment(path) if path.is_dir() else path.unlink(missing_ok=True)

    @contextmanager
    def _writing(self, *, wait: bool) -> Iterator[bool]:
        """Hold the folder's lock; yields False if another process has it and `wait` is not set."""
        if self._folder is None:
            yield False
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True


def _changed(view: IndexView, resource_ids: Sequence[str], documents: Sequence[SearchDocument]) -> IndexView:
    """Return a view where `resource_ids` are gone, and those of them that are visible are there anew."""
    segments: list[Segment] = []
    masks: list[Mask | None] = []
    for segment, known in zip(view.segments, view.masks, strict=True):
        places = [place for place in map(segment.find, resource_ids) if place is not None]
        mask = known
        if places:
            mask = np.ones(len(segment), np.bool_) if known is None else known.copy()
            mask[places] = False
        if mask is None or mask.any():
            segments.append(segment)
            masks.append(mask)
    if documents:
        segments.append(build_segment(documents))
        masks.append(None)
    small = [
        index for index, segment in enumerate(segments) if segment.folder is None and len(segment) <= SMALL_DOCS_MAX
    ]
    if len(small) > SMALL_SEGMENTS_MAX:
        merged = merge_segments([(segments[index], masks[index]) for index in small])
        segments = [segment for index, segment in enumerate(segments) if index not in small] + [merged]
        masks = [mask for index, mask in enumerate(masks) if index not in small] + [None]
    return IndexView(segments, masks)


def _built(connection: Connection, folder: Path | None) -> IndexState:
    newest: Change = newest_change(connection)
    views = [_built_view(connection, folder, public=public) for public in (False, True)]
    return IndexState(newest.sequence, newest.token, views[0], views[1])


def _built_view(connection: Connection, folder: Path | None, *, public: bool) -> IndexView:
    """Index some thousands of resources at a time, so that memory stays bounded, and merge the parts."""
    parts: list[Segment] = []
    for documents in read_all(connection, public=public):
        built = build_segment(documents)
        parts.append(built if folder is None else save_segment(built, folder / f"part-{new_id()}"))
    if len(parts) > 1:
        target = None if folder is None else folder / f"segment-{new_id()}"
        parts = [merge_segments([(part, None) for part in parts], target)]
    return IndexView(parts, [None] * len(parts))


def _written(view: IndexView, folder: Path, *, merge: bool) -> IndexView:
    parts = list(zip(view.segments, view.masks, strict=True))
    chosen = [part for part in parts if merge or part[0].folder is None]
    kept = [part for part in parts if not (merge or part[0].folder is None)]
    if chosen:
        kept.append((merge_segments(chosen, folder / f"segment-{new_id()}"), None))
    return IndexView([segment for segment, _ in kept], [mask for _, mask in kept])


def _opened(folder: Path, described: dict[str, object]) -> IndexState | None:
    if described.get("format") != FORMAT:
        return None
    views = []
    for name in ("internal", "public"):
        segments: list[Segment] = []
        masks: list[Mask | None] = []
        entries = described[name]
        for entry in entries if isinstance(entries, list) else ():
            segments.append(load_segment(folder / entry["folder"]))
            mask = np.fromfile(folder / entry["mask"], np.bool_) if entry["mask"] else None
            if mask is not None and len(mask) != len(segments[-1]):
                raise ValueError("a mask of another length than its segment")
            masks.append(mask)
        views.append(IndexView(segments, masks))
    sequence = described["sequence"]
    if not isinstance(sequence, int):
        return None
    return IndexState(sequence, str(described["token"]), views[0], views[1], sequence)


def _unfiled(state: IndexState) -> int:
    return sum(len(segment) for view in state.views for segment in view.segments if segment.folder is None)


def _dead_share(view: IndexView) -> float:
    whole = sum(len(segment) for segment in view.segments)
    return 1 - view.size / whole if whole else 0.0
