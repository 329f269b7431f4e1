"""Which versions of a library are due for disposal: rules over facts, no I/O.

A version is superseded by the next one. It is kept for the days that the library's rule says from then on, and longer
while it is held: by a person who says why, by a report of a wrong cell (校核) that waits for its answer, or by a build
that reads it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from datong.kernel import Text, Value

RETENTION_DAYS_MAX = 36_500
VERSIONS_MIN_MAX = 1_000


class RetentionRule(Value):
    """How long superseded versions are kept, in days, and how many of the newest are kept whatever their age."""

    days: int = Field(ge=0, le=RETENTION_DAYS_MAX)
    versions_min: int = Field(2, ge=1, le=VERSIONS_MIN_MAX)


class HoldReason(StrEnum):
    """Why a version that is old enough is kept all the same."""

    PERSON = "person"
    CORRECTION = "correction"
    BUILD = "build"

    @property
    def label(self) -> Text:
        """What the reason is called."""
        return _REASONS[self]


class VersionTime(Value):
    """When a version was published, and when the next one was (None: it is the current one)."""

    version: int
    published_at: datetime
    superseded_at: datetime | None


def version_times(published: Sequence[tuple[int, datetime]]) -> tuple[VersionTime, ...]:
    """Return the versions with the time at which each was superseded, oldest first; `published` is in that order."""
    ends: list[datetime | None] = [at for _, at in published[1:]]
    ends += [None] * bool(published)
    return tuple(
        VersionTime(version=version, published_at=at, superseded_at=end)
        for (version, at), end in zip(published, ends, strict=True)
    )


def disposable_at(version: VersionTime, rule: RetentionRule) -> datetime | None:
    """Return when `version` has been kept long enough; None for the current one."""
    return None if version.superseded_at is None else version.superseded_at + timedelta(days=rule.days)


def due_versions(
    versions: Sequence[VersionTime], rule: RetentionRule, *, held: Collection[int], now: datetime
) -> tuple[int, ...]:
    """Return the versions to dispose of now, oldest first; `versions` are those that still exist, oldest first."""
    old = versions[: max(0, len(versions) - rule.versions_min)]
    ends = [(one.version, disposable_at(one, rule)) for one in old]
    return tuple(version for version, end in ends if end is not None and end <= now and version not in held)


def version_at(versions: Sequence[VersionTime], moment: datetime) -> int | None:
    """Return the version that was served at `moment`; None before the first."""
    return next((one.version for one in reversed(versions) if one.published_at <= moment), None)


_REASONS = {
    HoldReason.PERSON: Text(zh="人工保全", en="held by a person"),
    HoldReason.CORRECTION: Text(zh="未办结的校核引用", en="cited by an open report (校核)"),
    HoldReason.BUILD: Text(zh="构建正在读取", en="read by a build"),
}
