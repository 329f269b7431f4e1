"""The names of decimal types, which carry their parameters; apart from `types`, so that reading one loads no Arrow."""

import re

DECIMAL_PRECISION_MAX = 38
_DECIMAL = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")


def decimal_parameters(name: str) -> tuple[int, int] | None:
    """Return precision and scale of a decimal type's name, or None for another type."""
    match = _DECIMAL.fullmatch(name)
    if match is None:
        return None
    return int(match[1]), int(match[2])
