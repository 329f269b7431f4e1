"""Transfers run beside each other: a long one holds back nobody, and nothing is begun twice."""

import threading
from collections.abc import Callable

import pytest

from datong.node.transfers import OF_ONE_KIND_MAX, TRANSFERS_AT_ONCE_MAX, Transfer, Transfers

NONE: frozenset[tuple[str, str]] = frozenset()


class Held:
    """Transfers that last until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun: list[str] = []

    def transfer(self, kind: str, task: str) -> Transfer:
        def job() -> list[str]:
            self.begun.append(task)
            assert self.go.wait(60)
            return [f"{task} failed"]

        return Transfer((kind, task), task, job)


@pytest.fixture
def transfers() -> Transfers:
    return Transfers(lambda name, error: [f"{name}: {error}"])


def _done(task: str) -> Transfer:
    return Transfer(("apply", task), task, list[str])


def _failing(error: BaseException) -> Callable[[], list[str]]:
    def job() -> list[str]:
        raise error

    return job


def test_a_short_one_ends_beside_a_long_one_and_neither_begins_twice(transfers: Transfers) -> None:
    held = Held()
    long = held.transfer("produce", "long")
    transfers.begin([long], NONE, every=False)
    transfers.begin([long, _done("short")], transfers.under_way, every=False)
    while transfers.under_way != {("produce", "long")}:
        transfers.rest(5)
        assert list(transfers.collected()) == []
    held.go.set()
    transfers.rest(None)
    assert list(transfers.collected()) == ["long failed"]
    assert held.begun == ["long"]
    transfers.close()


def test_what_was_under_way_when_the_hub_was_asked_is_not_begun_again(transfers: Transfers) -> None:
    transfers.begin([_done("a")], NONE, every=False)
    asked = transfers.under_way
    transfers.rest(None)
    list(transfers.collected())
    transfers.begin([_done("a")], asked, every=False)
    assert not transfers.under_way
    transfers.close()


def test_one_kind_leaves_room_for_the_other(transfers: Transfers) -> None:
    held = Held()
    many = [held.transfer("produce", str(number)) for number in range(10)]
    transfers.begin([*many, held.transfer("apply", "a"), held.transfer("apply", "b")], NONE, every=False)
    kinds = [kind for kind, _ in transfers.under_way]
    assert len(kinds) == TRANSFERS_AT_ONCE_MAX
    assert kinds.count("produce") == OF_ONE_KIND_MAX
    held.go.set()
    transfers.close()


def test_all_are_begun_when_asked_for_to_the_end(transfers: Transfers) -> None:
    transfers.begin([_done(str(number)) for number in range(10)], NONE, every=True)
    transfers.rest(None)
    assert list(transfers.collected()) == []
    assert not transfers.under_way
    transfers.close()


def test_an_unforeseen_error_is_told_and_a_kill_goes_through(transfers: Transfers) -> None:
    transfers.begin([Transfer(("apply", "a"), "a", _failing(ValueError("odd")))], NONE, every=True)
    transfers.rest(None)
    assert list(transfers.collected()) == ["a: odd"]
    transfers.begin([Transfer(("apply", "a"), "a", _failing(KeyboardInterrupt()))], NONE, every=True)
    transfers.rest(None)
    with pytest.raises(KeyboardInterrupt):
        list(transfers.collected())
    transfers.close()
