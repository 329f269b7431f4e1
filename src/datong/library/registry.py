"""Entity ids that stay the same from build to build: pure rules.

A new entity is named after its *founder*, the record that landed first (then by source and key), so that a rebuild from
the same landing names it the same without any memory. Where records were named before, the names are inherited: an id
goes to the cluster that holds most of its former records; a cluster that inherits several keeps the oldest, and the
others become aliases of it (a merge). An id whose records scattered stays with the largest part (a split).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from datong.kernel import EntityId, sha256_hex

ENTITY_ID_CHARS = 32
ATTEMPTS_MAX = 64
"""Entities that one record may found in the course of time, while all of those before live on without it."""


class Change(StrEnum):
    """What happened to an entity id."""

    MERGE = "merge"
    SPLIT = "split"


class Member(NamedTuple):
    """One record of a cluster; `order` sorts records by seniority, `key` names the record in every installation."""

    record: int
    order: tuple[int, int, str]
    key: str


class Succession(NamedTuple):
    """`former` was merged into `present`, or part of `former` split off as `present`."""

    former: EntityId
    present: EntityId
    change: Change


def founded_id(founder_key: str, attempt: int = 0) -> EntityId:
    """Return the id of an entity founded by the record named `founder_key`."""
    return EntityId(sha256_hex(f"datong/entity/{attempt}\x1f{founder_key}".encode())[:ENTITY_ID_CHARS])


def name_entities(
    clusters: Iterable[Sequence[Member]], previous: Mapping[str, EntityId], held: Collection[EntityId] = ()
) -> tuple[dict[int, EntityId], list[Succession]]:
    """Return each record's entity id, and what became of former ids.

    `previous` maps record keys to their ids in the version before; no new entity gets an id of `held`.
    """
    ordered = sorted(
        (sorted(cluster, key=lambda member: member.order) for cluster in clusters), key=lambda c: c[0].order
    )
    heirs = _heirs(ordered, previous)
    inherited: dict[int, list[EntityId]] = defaultdict(list)
    for former, position in heirs.items():
        inherited[position].append(former)
    seniority = _seniority(ordered, previous)
    ids: dict[int, EntityId] = {}
    successions: list[Succession] = []
    taken = {*heirs, *held}
    for position, cluster in enumerate(ordered):
        claims = sorted(inherited.get(position, ()), key=lambda former: seniority[former])
        if claims:
            entity = claims[0]
            successions += [Succession(former, entity, Change.MERGE) for former in claims[1:]]
        else:
            entity = _fresh(cluster[0].key, taken)
            taken.add(entity)
            origins = {previous[member.key] for member in cluster if member.key in previous}
            successions += [Succession(former, entity, Change.SPLIT) for former in sorted(origins)]
        ids |= {member.record: entity for member in cluster}
    return ids, sorted(successions)


def _fresh(founder_key: str, taken: set[EntityId]) -> EntityId:
    for attempt in range(ATTEMPTS_MAX):
        if (entity := founded_id(founder_key, attempt)) not in taken:
            return entity
    raise AssertionError(f"a record has founded {ATTEMPTS_MAX} entities")


def _heirs(ordered: Sequence[Sequence[Member]], previous: Mapping[str, EntityId]) -> dict[EntityId, int]:
    """Return for each former id the position of the cluster that holds most of its records; the oldest on a tie."""
    held: dict[EntityId, Counter[int]] = defaultdict(Counter)
    for position, cluster in enumerate(ordered):
        for member in cluster:
            former = previous.get(member.key)
            if former is not None:
                held[former][position] += 1
    return {former: min(counts, key=lambda position: (-counts[position], position)) for former, counts in held.items()}


def _seniority(
    ordered: Sequence[Sequence[Member]], previous: Mapping[str, EntityId]
) -> dict[EntityId, tuple[int, int, str]]:
    oldest: dict[EntityId, tuple[int, int, str]] = {}
    for cluster in ordered:
        for member in cluster:
            former = previous.get(member.key)
            if former is not None and (former not in oldest or member.order < oldest[former]):
                oldest[former] = member.order
    return oldest
