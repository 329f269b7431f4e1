"""Why a build makes everything anew, although a version is published."""

from collections.abc import Mapping
from enum import StrEnum

from datong.kernel import Text


class WholeReason(StrEnum):
    """Why a build makes everything anew."""

    FIRST = "first"
    ASKED = "asked"
    KIND = "kind"
    ENGINE = "engine"
    PLATFORM = "platform"
    DEFINITION = "definition"
    NORMS = "norms"
    SOURCES = "sources"
    FILES = "files"
    SHARE = "share"

    @property
    def meaning(self) -> Text:
        """What it says to people."""
        return _MEANINGS[self]


_MEANINGS: Mapping[WholeReason, Text] = {
    WholeReason.FIRST: Text(zh="这是第一个版本", en="it is the first version"),
    WholeReason.ASKED: Text(zh="申请人要求全量重建", en="whoever asked for it wanted everything made anew"),
    WholeReason.KIND: Text(zh="此类资源库总是全量构建", en="a library of this kind is always made anew"),
    WholeReason.ENGINE: Text(zh="该计算引擎总是全量构建", en="this table engine always makes everything anew"),
    WholeReason.PLATFORM: Text(zh="平台版本或计算引擎已变更", en="the platform's version or its engine changed"),
    WholeReason.DEFINITION: Text(zh="资源库定义已变更", en="the library's definition changed"),
    WholeReason.NORMS: Text(zh="标准已变更", en="the norms changed"),
    WholeReason.SOURCES: Text(zh="来源或其字段已变更", en="the sources or their columns changed"),
    WholeReason.FILES: Text(zh="上一版本的工作文件已不在", en="the working files of the version before are gone"),
    WholeReason.SHARE: Text(zh="变更的记录过多", en="too many records changed"),
}
