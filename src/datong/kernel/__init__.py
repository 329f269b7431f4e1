"""Ids, clock, working-day calendar, errors, limits, settings values: no behaviour of any domain."""

from typing import TYPE_CHECKING

from datong.kernel.answers import answered_error, error_class
from datong.kernel.base64_bytes import Base64Bytes
from datong.kernel.canonical import CommonMembers, JsonValue, canonical_json, sha256_hex
from datong.kernel.clock import CHINA, Clock, FixedClock, OffsetClock, SystemClock, minute
from datong.kernel.errors import (
    Conflict,
    Corrupt,
    DatongError,
    Invalid,
    Misconfigured,
    NotFound,
    Overloaded,
    Refused,
    StorageFull,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from datong.kernel.facade import on_demand
from datong.kernel.ids import (
    PLAIN_ID,
    PLATFORM_ACTOR,
    AccessId,
    Actor,
    ActorKind,
    AgreementId,
    BatchId,
    BuildId,
    CaseId,
    CorrectionId,
    DepartmentCode,
    EntityId,
    EntryId,
    FindingId,
    NodeId,
    PersonId,
    RequestId,
    ResourceId,
    TaskId,
    new_id,
)
from datong.kernel.paging import Page, page_of
from datong.kernel.randomness import random_bytes
from datong.kernel.remembered import Remembered
from datong.kernel.settings import Settings
from datong.kernel.texts import Language, Text, both
from datong.kernel.values import Value

if TYPE_CHECKING:
    from datong.kernel.bulk import JsonText, Part, insert_rows, insert_together, rows_of
    from datong.kernel.calendar import WorkingCalendar
    from datong.kernel.database import METADATA, Database, JsonColumn, UtcDateTime
else:
    __getattr__ = on_demand(
        __name__,
        {
            "bulk": ["JsonText", "Part", "insert_rows", "insert_together", "rows_of"],
            "calendar": ["WorkingCalendar"],
            "database": ["METADATA", "Database", "JsonColumn", "UtcDateTime"],
        },
    )

__all__ = [
    "CHINA",
    "METADATA",
    "PLAIN_ID",
    "PLATFORM_ACTOR",
    "AccessId",
    "Actor",
    "ActorKind",
    "AgreementId",
    "Base64Bytes",
    "BatchId",
    "BuildId",
    "CaseId",
    "Clock",
    "CommonMembers",
    "Conflict",
    "CorrectionId",
    "Corrupt",
    "Database",
    "DatongError",
    "DepartmentCode",
    "EntityId",
    "EntryId",
    "FindingId",
    "FixedClock",
    "Invalid",
    "JsonColumn",
    "JsonText",
    "JsonValue",
    "Language",
    "Misconfigured",
    "NodeId",
    "NotFound",
    "OffsetClock",
    "Overloaded",
    "Page",
    "Part",
    "PersonId",
    "Refused",
    "Remembered",
    "RequestId",
    "ResourceId",
    "Settings",
    "StorageFull",
    "SystemClock",
    "TaskId",
    "Text",
    "TimedOut",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "UtcDateTime",
    "Value",
    "WorkingCalendar",
    "answered_error",
    "both",
    "canonical_json",
    "error_class",
    "insert_rows",
    "insert_together",
    "minute",
    "new_id",
    "on_demand",
    "page_of",
    "random_bytes",
    "rows_of",
    "sha256_hex",
]
