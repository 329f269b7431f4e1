"""What goes wrong around a node's work, told as the platform's errors: a full disk, or something nobody foresaw."""

import errno
import sqlite3

from datong.kernel import DatongError, Text, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT}


def trouble_of(error: Exception) -> DatongError:
    """Return `error` as one that can be told, with what its owner can do; the node tries again later in any case."""
    if isinstance(error, DatongError):
        return error
    if _is_full(error):
        return Unavailable(
            "node.disk_full",
            what=Text(zh="前置机磁盘已满，未完成的批次没有丢失。", en="The node's disk is full; no batch was lost."),
            remedy=Text(zh="请腾出磁盘空间，节点会自动继续。", en="Make room on the disk; the node goes on by itself."),
        )
    return Unavailable(
        "node.unexpected",
        what=Text(
            zh=f"节点遇到未预料的错误：{type(error).__name__}：{error}",
            en=f"The node met an error that was not foreseen: {type(error).__name__}: {error}",
        ),
        remedy=Text(
            zh="节点会重试；若再次出现，请把节点日志交给平台运维。",
            en="The node tries again; if it comes back, give the node's log to the operator.",
        ),
    )


def _is_full(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL
