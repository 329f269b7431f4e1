"""Requests that wait: what a bell wakes, what time ends, and that no ring is lost between two looks."""

import asyncio
import threading
import time

from fastapi import FastAPI
from starlette.requests import Request

from datong.web.draining import Draining
from datong.web.waiting import Bell, await_change
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


def test_nobody_looks_while_nobody_commits() -> None:
    looks: list[float] = []
    marks = iter([1] * 9 + [2] * 90)

    def look() -> tuple[int, bool]:
        looks.append(time.monotonic())
        return len(looks), len(looks) == 2

    bell = Bell(lambda: next(marks))
    assert run_apart(lambda: await_change(request(), bell, 60, look, 0.01)) == 2
    assert next(marks) == 2, "it looked again before the mark had changed"
