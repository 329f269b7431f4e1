"""The hub's disk has an end: uploads are turned away while there still is room for everything else."""

import shutil
from collections.abc import Callable
from pathlib import Path

from datong.kernel import StorageFull, Text


def free_bytes_of(folder: Path) -> int:
    """Return how many bytes are free where `folder` is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


class DiskReserve:
    """Keeps `reserve_bytes` of the disk under `folder` free of uploads: the database and the log need them."""

    def __init__(self, folder: Path, reserve_bytes: int, free_bytes: Callable[[Path], int] = free_bytes_of) -> None:
        self._folder, self._reserve_bytes, self._free_bytes = folder, reserve_bytes, free_bytes

    def require(self, wanted_bytes: int) -> None:
        """Return when so many bytes may be written.

        Raises:
            StorageFull: `exchange.storage_full`; transient, since retention and operators make room.
        """
        free = self._free_bytes(self._folder)
        if free - wanted_bytes < self._reserve_bytes:
            raise StorageFull(
                "exchange.storage_full",
                what=Text(
                    zh=f"枢纽的磁盘将满：剩余 {free:,} 字节，需保留 {self._reserve_bytes:,} 字节。",
                    en=f"The hub's disk is nearly full: {free:,} bytes free, {self._reserve_bytes:,} kept in reserve.",
                ),
                remedy=Text(
                    zh="前置机会保留数据并自动重试；请运维员扩容或缩短留存期。",
                    en="Nodes keep their data and try again by themselves; the operator must add space or shorten "
                    "the retention.",
                ),
                context={"free_bytes": free, "reserve_bytes": self._reserve_bytes, "wanted_bytes": wanted_bytes},
            )
