"""An iterator that runs ahead: same items, same order, same errors, bounded, and nothing left running."""

import threading
from collections.abc import Iterator
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.node.ahead import ahead


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(), max_size=30), st.integers(1, 4))
def test_the_same_items_in_the_same_order(items: list[int], depth: int) -> None:
    with ahead(items, depth) as running:
        assert list(running) == items


def test_it_is_never_further_ahead_than_allowed() -> None:
    made: list[int] = []
    enough = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 3:
                enough.set()
            yield number

    with ahead(items(), 2) as running:
        assert next(running) == 0
        assert enough.wait(60)
        # One is used, two wait, one is in the hand of the thread.
        assert made == [0, 1, 2, 3]
        assert list(running) == list(range(1, 10))


def test_what_is_raised_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    with ahead(items(), 3) as running:
        assert next(running) == 1
        with pytest.raises(KeyError, match="gone"):
            next(running)


def test_leaving_early_closes_the_generator_in_its_thread() -> None:
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    def leave() -> NoReturn:
        with ahead(items(), 1) as running:
            next(running)
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        leave()
    assert closed == ["ahead_0"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
