"""Which versions of a shared table a call is about: by number, by time, from one to another."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest

from datong.kernel import Invalid, Text, TooLarge, Value
from datong.sharing.delta_values import TableVersion

CHANGES_VERSIONS_MAX = 50
"""Versions whose changes one call may ask for: each is prepared on its own."""


class ChangesAsk(Value):
    """From which version to which changes are wanted, by number or by time."""

    starting_version: int | None = None
    starting_at: datetime | None = None
    ending_version: int | None = None
    ending_at: datetime | None = None


def current_since(versions: Sequence[TableVersion], begun: datetime) -> tuple[TableVersion, ...]:
    """Return the versions that were current at `begun` or came later."""
    return tuple(
        one
        for one, following in zip_longest(versions, versions[1:])
        if following is None or following.published_at > begun
    )


def in_both(present: Mapping[str, str], former: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that both versions have: of what only one has, no change can be told."""
    return {column: published for column, published in present.items() if former.get(column) == published}


def span_of(versions: tuple[TableVersion, ...], ask: ChangesAsk) -> tuple[TableVersion, ...]:
    """Return the versions from the one asked for to the other, both included.

    Raises:
        Invalid: no start is given, a version is not there, or the last is before the first.
        TooLarge: there are more than CHANGES_VERSIONS_MAX.
    """
    if ask.starting_version is not None:
        first = numbered(versions, ask.starting_version)
    elif ask.starting_at is not None:
        first = first_since(versions, ask.starting_at)
    else:
        raise version_invalid(
            "startingVersion",
            "请给出 startingVersion 或 startingTimestamp。",
            "Give startingVersion or startingTimestamp.",
        )
    last = versions[-1]
    if ask.ending_version is not None:
        last = numbered(versions, ask.ending_version)
    elif ask.ending_at is not None:
        last = last_until(versions, ask.ending_at)
    span = versions[versions.index(first) : versions.index(last) + 1]
    if not span:
        raise version_invalid("endingVersion", "结束版本早于起始版本。", "The last version is before the first.")
    if len(span) > CHANGES_VERSIONS_MAX:
        raise TooLarge(
            "sharing.changes_too_many",
            what=Text(
                zh=f"一次最多查询 {CHANGES_VERSIONS_MAX} 个版本的变化。",
                en=f"Changes of at most {CHANGES_VERSIONS_MAX} versions are told at once.",
            ),
            remedy=Text(zh="请分段查询。", en="Ask for them in parts."),
        )
    return span


def numbered(versions: Sequence[TableVersion], number: int) -> TableVersion:
    """Return the version with that number, or raise Invalid."""
    found = next((one for one in versions if one.version == number), None)
    if found is None:
        raise version_invalid(
            "version",
            f"没有可读的第 {number} 版；可读的是第 {versions[0].version} 至 {versions[-1].version} 版。",
            f"Version {number} cannot be read; there are {versions[0].version} to {versions[-1].version}.",
        )
    return found


def first_since(versions: Sequence[TableVersion], at: datetime) -> TableVersion:
    """Return the first version that was published at `at` or later, or raise Invalid."""
    found = next((one for one in versions if one.published_at >= at), None)
    if found is None:
        raise version_invalid("timestamp", "该时间之后没有发布版本。", "No version was published since then.")
    return found


def last_until(versions: Sequence[TableVersion], at: datetime) -> TableVersion:
    """Return the last version that was published at `at` or before, or raise Invalid."""
    found = next((one for one in reversed(versions) if one.published_at <= at), None)
    if found is None:
        raise version_invalid("timestamp", "该时间之前没有可读的版本。", "No version from then can be read.")
    return found


def version_invalid(field: str, zh: str, en: str) -> Invalid:
    """Return the error of a version that cannot be read."""
    return Invalid(
        "sharing.table_version_invalid",
        what=Text(zh=zh, en=en),
        remedy=Text(zh="请先查询表的当前版本。", en="Ask for the table's version first."),
        field=f"/{field}",
    )
