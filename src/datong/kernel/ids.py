"""Identifiers, each a type of its own, and the actor in whose name something is done."""

import time
from enum import StrEnum
from typing import NewType

from datong.kernel.randomness import random_bytes
from datong.kernel.values import Value

DepartmentCode = NewType("DepartmentCode", str)
"""A department's 18-character unified social credit code (GB 32100)."""
PersonId = NewType("PersonId", str)
NodeId = NewType("NodeId", str)
ResourceId = NewType("ResourceId", str)
RequestId = NewType("RequestId", str)
AgreementId = NewType("AgreementId", str)
TaskId = NewType("TaskId", str)
BatchId = NewType("BatchId", str)
EntryId = NewType("EntryId", str)
BuildId = NewType("BuildId", str)
EntityId = NewType("EntityId", str)
AccessId = NewType("AccessId", str)
FindingId = NewType("FindingId", str)
CaseId = NewType("CaseId", str)
CorrectionId = NewType("CorrectionId", str)

PLAIN_ID = r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$"
"""What an id that others chose must look like before it becomes part of a path or a row."""


def new_id() -> str:
    """Return a UUID of version 7 (RFC 9562): unique, and sorted by creation time."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(random_bytes(10), "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= ((random >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & ((1 << 62) - 1)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class ActorKind(StrEnum):
    """What kind of party acts."""

    PERSON = "person"
    NODE = "node"
    APPLICATION = "application"
    SANDBOX = "sandbox"
    CITIZEN = "citizen"
    PLATFORM = "platform"


class Actor(Value):
    """Who does an act, and in whose name; recorded with its evidence."""

    kind: ActorKind
    id: str
    department: DepartmentCode | None = None
    name: str = ""
    acting_for: str = ""
    """The account of the person whose substitute acts here; empty for everybody who acts in their own name."""

    @property
    def persons(self) -> frozenset[str]:
        """Who stands behind an act: whoever does it, and whoever it is done for."""
        return frozenset({self.id, self.acting_for} - {""})


PLATFORM_ACTOR = Actor(kind=ActorKind.PLATFORM, id="platform", name="平台")
