"""How much a resource is used by departments other than its own: what ranking may look at.

Departments are counted, not clicks, so that nobody pushes a resource up by asking for it again and again.
"""

import math
from collections.abc import Mapping
from enum import StrEnum

USE_LEVEL_MAX = 10


class UseKind(StrEnum):
    """A way in which a department made use of a resource."""

    VIEW = "view"
    REQUEST = "request"
    AGREEMENT = "agreement"

    @property
    def weight(self) -> int:
        """How much one department's use of this kind counts."""
        return _WEIGHTS[self]


_WEIGHTS = {UseKind.VIEW: 1, UseKind.REQUEST: 4, UseKind.AGREEMENT: 8}


def use_level(departments: Mapping[str, int]) -> int:
    """Return the level (0 to `USE_LEVEL_MAX`) for the number of departments by kind of use: two per doubling."""
    score = sum(_WEIGHTS[UseKind(kind)] * number for kind, number in departments.items())
    return min(USE_LEVEL_MAX, round(1.5 * math.log2(1 + score)))
