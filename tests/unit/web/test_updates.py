"""Live updates: which topics entries change, how often a browser is told, and how many listen at once."""

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest

from datong.kernel import Overloaded
from datong.ledger import EntryKind
from datong.web import Draining, updates
from datong.web.updates import STREAMS_OF_ACCOUNT_MAX, Topic, Updates, topics_of
from tests.unit.web.asking import run_apart


class Log:
    """What one look after the other finds; how often was looked."""

    def __init__(self, *looks: Collection[EntryKind]) -> None:
        self.looks, self.count = list(looks), 0

    def __call__(self) -> tuple[Collection[EntryKind], bool]:
        self.count += 1
        return (self.looks.pop(0) if self.looks else ()), False


async def next_topic(stream: AsyncIterator[str]) -> str:
    async for text in stream:
        if text.startswith("event: update"):
            return text.partition("data: ")[2].strip()
    return "ended"


def test_entries_change_the_topics_that_they_are_about() -> None:
    assert topics_of([], told=False) == frozenset()
    assert topics_of([EntryKind.REQUEST], told=False) == {Topic.DASHBOARD, Topic.EVIDENCE}
    assert topics_of([EntryKind.BATCH], told=True) == {*Topic} - {Topic.FILES}
    assert topics_of([EntryKind.HARVEST], told=False) == {Topic.DASHBOARD, Topic.EVIDENCE, Topic.OPERATIONS}
    assert topics_of([EntryKind.FILE], told=False) == {Topic.DASHBOARD, Topic.EVIDENCE, Topic.FILES}


def test_one_look_serves_all_listeners_and_ends_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(updates, "PAUSE_SECONDS", dict.fromkeys(Topic, 0.0))

    async def listen() -> tuple[list[str], int]:
        log = Log((), (EntryKind.TASK,))
        board = Updates(log, Draining())
        streams = [board.stream(name, {Topic.TRANSFERS}) for name in ("a", "a", "b")]
        heard = list(await asyncio.gather(*(next_topic(stream) for stream in streams)))
        looked = log.count
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]
        assert board.streams == 0
        await asyncio.sleep(0.05)
        assert log.count <= looked + 1
        return heard, looked

    heard, looked = run_apart(listen)
    assert heard == ["transfers"] * 3
    assert looked < 12


def test_a_topic_is_told_no_more_often_than_its_pause_and_a_beat_comes_without_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(updates, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(updates, "PAUSE_SECONDS", dict.fromkeys(Topic, 60.0))
    monkeypatch.setattr(updates, "BEAT_SECONDS", {Topic.OPERATIONS: 0.05})

    async def listen() -> str:
        board = Updates(Log(*((EntryKind.TASK,),) * 50), Draining())
        return await next_topic(board.stream("a", {Topic.TRANSFERS, Topic.OPERATIONS}))

    assert run_apart(listen) == "operations"


def test_streams_are_bounded_for_an_account_and_end_when_the_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "LOOK_SECONDS", 0.01)

    async def fill() -> str:
        draining = Draining()
        board = Updates(Log(), draining)
        streams = [board.stream("a", {Topic.NOTICES}) for _ in range(STREAMS_OF_ACCOUNT_MAX)]
        for stream in streams:
            assert (await anext(stream)).startswith("retry: ")
        with pytest.raises(Overloaded):
            board.require_room("a")
        board.require_room("b")
        draining.begin()
        ended = [await next_topic(stream) for stream in streams]
        board.require_room("a")
        return ended[0]

    assert run_apart(fill) == "ended"
