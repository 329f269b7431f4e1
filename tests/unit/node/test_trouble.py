"""Trouble around a node's work is told by its own code, with a remedy in both languages."""

import errno
import sqlite3

import pytest

from datong.kernel import NotFound, Text
from datong.node.trouble import trouble_of

FULL = sqlite3.OperationalError("database or disk is full")
FULL.sqlite_errorcode = sqlite3.SQLITE_FULL


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "node.disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "node.disk_full"),
        (FULL, "node.disk_full"),
        (OSError(errno.EIO, "Input/output error"), "node.unexpected"),
        (sqlite3.OperationalError("database is locked"), "node.unexpected"),
        (KeyError("column"), "node.unexpected"),
    ],
)
def test_trouble_is_told_by_its_own_code(error: Exception, code: str) -> None:
    told = trouble_of(error)
    assert told.code == code
    assert told.remedy.zh
    assert told.remedy.en


def test_what_is_told_already_stays_as_it_is() -> None:
    text = Text(zh="没有", en="none")
    known = NotFound("x.y", what=text, remedy=text)
    assert trouble_of(known) is known
