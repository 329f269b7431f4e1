from collections.abc import Sequence

import pytest

from datong.kernel import Remembered


class Shelf:
    """Things with revisions, and how often they were looked at."""

    def __init__(self) -> None:
        self.things = {"a": (1, "first")}
        self.now = 0.0
        self.looked: list[tuple[str, ...]] = []
        self.read: list[str] = []
        self.kept = Remembered(self._stamps, self._read, most=3, fresh_seconds=1.0, seconds=lambda: self.now)

    def _stamps(self, keys: Sequence[str]) -> dict[str, object]:
        self.looked.append(tuple(keys))
        return {key: self.things[key][0] for key in keys if key in self.things}

    def _read(self, key: str) -> str:
        self.read.append(key)
        return self.things[key][1]

    def get(self, *keys: str, at_once: bool = False) -> list[str]:
        self.kept.refresh(keys, at_once=at_once)
        return [self.kept.get(key) for key in keys]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_a_value_is_read_again_when_its_stamp_changes_and_only_then(shelf: Shelf) -> None:
    assert shelf.get("a") == shelf.get("a") == ["first"]
    assert (shelf.looked, shelf.read) == ([("a",)], ["a"])
    shelf.now = 2.0
    assert shelf.get("a") == ["first"]
    assert (len(shelf.looked), shelf.read) == (2, ["a"])
    shelf.things["a"] = (2, "second")
    assert shelf.get("a") == ["first"], "within the time a stamp counts as present"
    assert shelf.get("a", at_once=True) == ["second"]
    shelf.things["a"] = (3, "third")
    shelf.now = 3.5
    assert shelf.get("a") == ["third"]


def test_many_keys_are_looked_up_in_one_go_and_the_number_kept_is_bounded(shelf: Shelf) -> None:
    shelf.things |= {name: (1, name) for name in "bcd"}
    assert shelf.get("a", "b", "b") == ["first", "b", "b"]
    assert shelf.looked == [("a", "b")]
    assert shelf.get("c", "d") == ["c", "d"]
    assert shelf.get("a") == ["first"]
    assert shelf.looked[-1] == ("a",), "what was let go is looked up again"


def test_what_is_not_there_is_not_kept(shelf: Shelf) -> None:
    for _ in range(2):
        with pytest.raises(KeyError):
            shelf.get("x")
    shelf.things["x"] = (1, "here")
    assert shelf.get("x", at_once=True) == ["here"]
    del shelf.things["x"]
    with pytest.raises(KeyError):
        shelf.get("x", at_once=True)
