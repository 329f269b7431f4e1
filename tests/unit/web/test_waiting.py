"""Requests that wait: what a bell wakes, what time ends, and that no ring is lost between two looks."""

import asyncio
import threading
from collections.abc import Collection
from itertools import count

import pytest
from fastapi import FastAPI
from starlette.requests import Request

from datong.web import waiting
from datong.web.draining import Draining
from datong.web.waiting import Bell, SharedLook, await_change
from tests.unit.web.asking import run_apart


async def receive() -> dict[str, object]:
    await asyncio.Event().wait()
    return {}


def request(draining: Draining | None = None) -> Request:
    app = FastAPI()
    app.state.draining = draining or Draining()
    return Request({"type": "http", "method": "GET", "headers": [], "app": app}, receive)


def test_what_is_there_is_answered_at_once() -> None:
    assert run_apart(lambda: await_change(request(), Bell(), 30, lambda: ("seen", True))) == "seen"


def test_nothing_is_answered_after_the_wait() -> None:
    looks: list[int] = []

    def look() -> tuple[int, bool]:
        looks.append(1)
        return len(looks), False

    assert run_apart(lambda: await_change(request(), Bell(), 0, look)) == 1


def test_a_process_that_goes_out_of_service_lets_nobody_wait() -> None:
    draining = Draining()

    def look() -> tuple[str, bool]:
        draining.begin()
        return "nothing", False

    assert run_apart(lambda: await_change(request(draining), Bell(), 60, look)) == "nothing"


def test_a_ring_from_another_thread_wakes_the_request_even_between_look_and_sleep() -> None:
    bell = Bell()
    rings: list[threading.Thread] = []

    def look() -> tuple[int, bool]:
        # Each look but the last is followed by a ring, which comes before, while or after the request falls asleep.
        if len(rings) < 20:
            rings.append(threading.Thread(target=bell.ring))
            rings[-1].start()
            return len(rings), False
        return len(rings), True

    assert run_apart(lambda: await_change(request(), bell, 60, look)) == 20


def test_a_bell_without_listeners_may_ring() -> None:
    Bell().ring()


def test_nobody_looks_while_nobody_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "UNCHANGED_SECONDS_MAX", 3600.0)
    looks: list[int] = []
    marks = iter([1] * 9 + [2] * 90)

    def look() -> tuple[int, bool]:
        looks.append(1)
        return len(looks), len(looks) == 2

    bell = Bell(lambda: next(marks))
    assert run_apart(lambda: await_change(request(), bell, 60, look, 0.01)) == 2
    assert next(marks) == 2, "it looked again before the mark had changed"


def test_many_that_wait_share_one_look_and_whoever_asks_meanwhile_the_next() -> None:
    looks: list[frozenset[int]] = []
    go_on = threading.Event()

    def look(keys: Collection[int]) -> Collection[int]:
        looks.append(frozenset(keys))
        assert go_on.wait(60)
        return {key for key in keys if key % 2}

    async def ask() -> list[bool]:
        shared = SharedLook(look)
        first = [asyncio.create_task(shared.concerns(key)) for key in range(10)]
        while not looks:
            await asyncio.sleep(0.001)
        late = [asyncio.create_task(shared.concerns(key)) for key in (3, 20)]
        await asyncio.sleep(0)
        late[1].cancel()
        go_on.set()
        assert await late[0]
        return list(await asyncio.gather(*first))

    assert run_apart(ask) == [bool(key % 2) for key in range(10)]
    assert looks == [frozenset(range(10)), frozenset({3, 20})]


def test_whom_no_change_concerns_looks_at_the_beginning_and_at_the_end() -> None:
    looks: list[int] = []
    asked: list[int] = []
    marks = count()

    def look() -> tuple[int, bool]:
        looks.append(1)
        return len(looks), False

    async def concerned() -> bool:
        asked.append(1)
        return False

    bell = Bell(lambda: next(marks))
    # A machine that stands still for the whole of the wait asks nobody.
    while not asked:
        looks.clear()
        assert run_apart(lambda: await_change(request(), bell, 0.3, look, 0.01, concerned)) == 2


def test_a_ring_while_others_are_looked_for_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "UNCHANGED_SECONDS_MAX", 3600.0)
    bell = Bell(lambda: 1)
    asked: list[int] = []

    async def concerned() -> bool:
        asked.append(1)
        # Each but the last look names nobody, and is followed by a change that came while it was under way.
        bell.ring()
        await asyncio.sleep(0)
        return len(asked) == 5

    def look() -> tuple[int, bool]:
        bell.ring()
        return len(asked), len(asked) == 5

    assert run_apart(lambda: await_change(request(), bell, 60, look, 30.0, concerned)) == 5
