"""The trace that a line of the program's log belongs to: one for each request, one for each turn of background work.

A request that brings W3C Trace Context (`traceparent`) goes on in its trace; others get a trace of their own, whose id
is the `X-Request-Id` of the answer without its hyphens.
"""

import re
from contextvars import ContextVar

TRACE: ContextVar[str] = ContextVar("datong_trace", default="")
"""32 hexadecimal digits, or nothing."""
_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def trace_of(traceparent: str | None) -> str | None:
    """Return the trace that a header names; None where it is absent, or not as the recommendation has it."""
    match = None if traceparent is None else _PARENT.fullmatch(traceparent)
    return None if match is None or traceparent is None or traceparent.startswith("ff") else match[1]
