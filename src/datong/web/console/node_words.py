"""What a node last said of itself, for people: it tells `ok`, or what failed, each with the code of its error."""

from collections.abc import Callable

from datong.kernel import Text, Value

FINE = "ok"
SEPARATOR = "; "
_CHORES = {
    "recipient key": Text(zh="登记收件密钥", en="registering its recipient key"),
    "agreements": Text(zh="签署协议", en="signing agreements"),
    "witness": Text(zh="见证日志", en="witnessing the log"),
    "sketches": Text(zh="生成草图", en="sketching tables"),
    "matchings": Text(zh="隐私求交", en="private matching"),
    "dead letters": Text(zh="上报拒收的行", en="telling of refused rows"),
    "inventory": Text(zh="数据资源清单", en="the inventory"),
    "fetched payloads": Text(zh="清理已取的批次", en="sweeping fetched batches"),
    "clock": Text(zh="时钟偏差", en="its clock is off"),
    "gossip": Text(zh="与其他见证方核对", en="comparing with other witnesses"),
}


class Said(Value):
    """One thing that a node is in trouble with; `detail` is the error's code, or how far off a clock is."""

    what: Text
    detail: str


def said_by(status: str, transfer: Callable[[str], Text]) -> tuple[Said, ...]:
    """Return what troubles a node; `transfer` names the task that a part of its status is about."""
    parts = [part for part in status.split(SEPARATOR) if part and part != FINE]
    said = []
    for part in parts:
        subject, _, detail = part.partition(": ")
        said.append(Said(what=_CHORES.get(subject) or transfer(subject), detail=detail))
    return tuple(said)
