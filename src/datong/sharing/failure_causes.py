"""Why calls fail whose callers have a right to an answer; what is refused, or asked wrongly, has no cause here."""

from collections.abc import Mapping
from enum import StrEnum

from datong.kernel import Corrupt, DatongError, Overloaded, Text, Unavailable


class FailureCause(StrEnum):
    """Why a call failed. The first two are the platform's, the others the provider's or of the way to it."""

    PLATFORM_ERROR = "platform_error"
    PLATFORM_BUSY = "platform_busy"
    NODE_OFFLINE = "node_offline"
    NODE_TIMEOUT = "node_timeout"
    PROVIDER_ERROR = "provider_error"

    @property
    def by_provider(self) -> bool:
        """Whether it lies with the provider, or on the way to its node."""
        return self not in {FailureCause.PLATFORM_ERROR, FailureCause.PLATFORM_BUSY}

    @property
    def label(self) -> Text:
        """What it is called."""
        return _LABELS[self]


_LABELS: Mapping[FailureCause, Text] = {
    FailureCause.PLATFORM_ERROR: Text(zh="平台故障", en="error of the platform"),
    FailureCause.PLATFORM_BUSY: Text(zh="平台繁忙", en="platform overloaded"),
    FailureCause.NODE_OFFLINE: Text(zh="前置机离线", en="node offline"),
    FailureCause.NODE_TIMEOUT: Text(zh="前置机超时", en="node did not answer in time"),
    FailureCause.PROVIDER_ERROR: Text(zh="提供方系统出错", en="error of the provider's system"),
}
_CAUSES: Mapping[str, FailureCause] = {
    "sharing.gateway_busy": FailureCause.PLATFORM_BUSY,
    "sharing.live_offline": FailureCause.NODE_OFFLINE,
    "sharing.live_circuit_open": FailureCause.NODE_OFFLINE,
    "sharing.relay_offline": FailureCause.NODE_OFFLINE,
    "sharing.live_timeout": FailureCause.NODE_TIMEOUT,
    "sharing.live_failed": FailureCause.PROVIDER_ERROR,
    "sharing.live_bad_signature": FailureCause.PROVIDER_ERROR,
    "sharing.live_unfiltered": FailureCause.PROVIDER_ERROR,
}
"""By the code of the error."""


def cause_of(error: BaseException) -> FailureCause | None:
    """Return why a call failed that ended in `error`; None if it was refused, or asked for what makes no sense.

    A limit that was stated beforehand (a quota, calls at once) is a refusal. An error that nobody foresaw is the
    platform's.
    """
    if not isinstance(error, DatongError):
        return FailureCause.PLATFORM_ERROR
    known = _CAUSES.get(error.code)
    if known is None and isinstance(error, Unavailable | Corrupt) and not isinstance(error, Overloaded):
        return FailureCause.PLATFORM_ERROR
    return known
