"""Names become pinyin, with the readings that characters have as surnames."""

import pytest

from datong.library.features import reading


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("张伟", "zhang wei"),
        ("曾单", "zeng dan"),
        ("单曾", "shan ceng"),
        ("仇英", "qiu ying"),
        ("欧阳A雪", "ou yang xue"),
        ("", ""),
    ],
)
def test_readings(name: str, expected: str) -> None:
    assert reading(name) == expected


def test_names_that_sound_alike_read_alike() -> None:
    assert reading("王丽") == reading("王莉") != reading("王一")
