"""Errors of harvesting and cascading, worded once."""

from datong.kernel import Conflict, Corrupt, Invalid, NotFound, Text

CHECK_ADDRESS = Text(
    zh="请核对来源地址和类型；来源修复后会自动重试。",
    en="Check the source's address and kind; it is tried again when the origin is mended.",
)


def source_not_found(source_id: str) -> NotFound:
    """No such source."""
    return NotFound(
        "federation.source_not_found",
        what=Text(zh="没有这个采集来源。", en="There is no such harvest source."),
        remedy=Text(zh="请核对编号。", en="Check the id."),
        context={"source_id": source_id},
    )


def run_not_found(run_id: str) -> NotFound:
    """No such run."""
    return NotFound(
        "federation.run_not_found",
        what=Text(zh="没有这次采集。", en="There is no such harvest run."),
        remedy=Text(zh="请核对编号。", en="Check the id."),
        context={"run_id": run_id},
    )


def run_lost(run_id: str) -> Conflict:
    """Another process has taken the run over."""
    return Conflict(
        "federation.run_taken_over",
        what=Text(zh="这次采集已由另一个进程接手。", en="Another process has taken this run over."),
        remedy=Text(zh="无需处理，另一个进程会完成它。", en="Nothing to do: the other process completes it."),
        context={"run_id": run_id},
    )


def source_ended() -> Conflict:
    """The source was ended for good."""
    return Conflict(
        "federation.source_ended",
        what=Text(zh="这个来源已终止，不能再采集。", en="This source was ended and is harvested no more."),
        remedy=Text(zh="请另建来源。", en="Make a new source."),
    )


def department_unknown(code: str, field: str) -> Invalid:
    """A mapping names a department that is not registered."""
    return Invalid(
        "federation.department_unknown",
        what=Text(zh=f"部门 {code} 没有登记。", en=f"Department {code} is not registered."),
        remedy=Text(zh="请先登记该部门，或改用别的部门。", en="Register it first, or name another."),
        field=field,
    )


def unreadable(what: Text, *, address: str, detail: str = "") -> Corrupt:
    """The origin's document is not what it should be."""
    tail_zh, tail_en = (f"（{detail}）", f" ({detail})") if detail else ("", "")
    return Corrupt(
        "federation.document_unreadable",
        what=Text(zh=f"{what.zh}{tail_zh}。", en=f"{what.en}{tail_en}."),
        remedy=CHECK_ADDRESS,
        context={"address": address},
    )
