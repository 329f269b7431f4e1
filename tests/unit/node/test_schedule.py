"""The inventory that a running node takes by itself: when it is due, after a failure, across a restart."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from datong.kernel import FixedClock, Text, Unavailable
from datong.node.schedule import InventorySchedule

START = datetime(2026, 11, 26, 8, tzinfo=UTC)


class Taker:
    """Counts the inventories taken; fails when told to."""

    def __init__(self) -> None:
        self.times = 0
        self.fails = False
        self.done = threading.Event()

    def take(self, stop: Callable[[], bool]) -> None:
        self.times += not stop()
        self.done.set()
        if self.fails:
            text = Text(zh="没有应答。", en="No answer.")
            raise Unavailable("node.hub_unavailable", what=text, remedy=text)


def schedule(path: Path, clock: FixedClock, taker: Taker, told: list[Text]) -> InventorySchedule:
    return InventorySchedule(path=path / "schedule.json", clock=clock, hours=24, take=taker.take, tell=told.append)


def attend(one: InventorySchedule, taker: Taker) -> int:
    """Attend and wait for what was begun."""
    one.attend()
    running = one._running
    if running is not None:
        running.join()
    return taker.times


def test_an_inventory_is_taken_at_once_and_then_every_day(tmp_path: Path) -> None:
    taker, told = Taker(), list[Text]()
    clock = FixedClock(START)
    first = schedule(tmp_path, clock, taker, told)
    assert attend(first, taker) == 1
    assert attend(first, taker) == 1
    restarted = schedule(tmp_path, clock, taker, told)
    assert attend(restarted, taker) == 1
    later = schedule(tmp_path, FixedClock(START + timedelta(hours=25)), taker, told)
    assert attend(later, taker) == 2
    assert told == []


def test_a_failed_inventory_is_told_and_tried_again_within_the_hour(tmp_path: Path) -> None:
    taker, told = Taker(), list[Text]()
    taker.fails = True
    assert attend(schedule(tmp_path, FixedClock(START), taker, told), taker) == 1
    assert [text.en for text in told] == ["No answer."]
    soon = schedule(tmp_path, FixedClock(START + timedelta(minutes=61)), taker, told)
    assert attend(soon, taker) == 2


def test_a_note_that_cannot_be_read_means_at_once(tmp_path: Path) -> None:
    (tmp_path / "schedule.json").write_text("{")
    taker = Taker()
    assert attend(schedule(tmp_path, FixedClock(START), taker, []), taker) == 1


def test_stopping_waits_for_the_inventory_under_way(tmp_path: Path) -> None:
    taker = Taker()
    one = schedule(tmp_path, FixedClock(START), taker, [])
    one.attend()
    one.stop()
    assert taker.done.is_set()
    assert not (tmp_path / "schedule.json").exists() or taker.times == 1
