"""Gives every cluster of a build its entity id: in bulk where nothing has happened, by `registry` where something has.

A cluster that bears one former id, which no other cluster bears, keeps it; a cluster of new records is named after its
founder. Only merges, splits and the rare founder whose id is taken need the rules one by one.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain

import pyarrow as pa

from datong.kernel import EntityId
from datong.library.engine import Workspace, sql_text
from datong.library.registry import ATTEMPTS_MAX, ENTITY_ID_CHARS, Member, Succession, founded_id, name_entities

_SENIOR = f"first_sequence::HUGEINT * {2**40} + record"

ATTEMPTS_AT_ONCE = 4
"""Ids of a founder that are asked for together: nearly always one of them is free."""

Held = Callable[[str], str]
"""Returns the query for those ids in a table (entity_id) that entities have which are not looked at."""


def name_clusters(work: Workspace, names: Mapping[int, str], held: Held | None = None) -> list[Succession]:
    """Create `named` (root, entity_id) from `placed`, `linkable` and `previous_ids`; return what became of former ids.

    `names` gives the name of every source by its number. No new entity gets an id that is `held`.
    """
    known = ", ".join(f"({number}, {sql_text(name)})" for number, name in names.items())
    work.create(
        "seen",
        f"""
        SELECT record, root, source, row_key, first_sequence, entity_id AS former
        FROM placed JOIN linkable ON unique_id = record JOIN (VALUES {known}) known(source, name) USING (source)
        LEFT JOIN previous_ids ON key = name || chr(31) || row_key""",
    )
    founded = f"substr(sha256('datong/entity/0' || chr(31) || name || chr(31) || row_key), 1, {ENTITY_ID_CHARS})"
    work.create(
        "proposed",
        f"""
        WITH spread AS (
            SELECT former, count(DISTINCT root) AS parts FROM seen WHERE former IS NOT NULL GROUP BY former
        ), clusters AS (
            SELECT root, arg_min(record, {_SENIOR}) AS founder, min(former) AS former,
                   coalesce(min(former) = max(former), true) AS calm
            FROM seen GROUP BY root
        )
        SELECT root, former, calm AND coalesce(parts, 1) = 1 AS calm, coalesce(former, {founded}) AS entity_id
        FROM clusters JOIN linkable ON unique_id = founder JOIN (VALUES {known}) known(source, name) USING (source)
        LEFT JOIN spread USING (former)""",
    )
    work.create("fresh", "SELECT entity_id FROM proposed WHERE former IS NULL")
    taken = "SELECT former AS entity_id FROM seen WHERE former IS NOT NULL"
    work.create("taken", taken if held is None else f"{taken} UNION ALL {held('fresh')}")
    work.create(
        "named",
        """
        SELECT root, CASE WHEN calm AND (former IS NOT NULL OR entity_id NOT IN (SELECT entity_id FROM taken))
                          THEN entity_id END AS entity_id FROM proposed""",
    )
    successions = _name_one_by_one(work, names, held)
    work.drop("seen", "proposed", "fresh", "taken")
    return successions


def _name_one_by_one(work: Workspace, names: Mapping[int, str], held: Held | None) -> list[Succession]:
    rows = work.rows(
        "SELECT record, root, source, row_key, first_sequence, former FROM seen JOIN named USING (root) "
        "WHERE entity_id IS NULL ORDER BY record"
    )
    if not rows:
        return []
    clusters: dict[int, list[Member]] = defaultdict(list)
    previous: dict[str, EntityId] = {}
    root_of: dict[int, int] = {}
    for record, root, source, row_key, first, former in rows:
        member = Member(record, (first, source, row_key), f"{names[source]}\x1f{row_key}")
        clusters[root].append(member)
        root_of[record] = root
        if former is not None:
            previous[member.key] = EntityId(former)
    taken = {EntityId(former) for (former,) in work.rows("SELECT DISTINCT former FROM seen WHERE former IS NOT NULL")}
    if held is not None:
        taken |= _held_ids(work, clusters.values(), taken, held)
    ids, successions = name_entities(clusters.values(), previous, taken)
    found = {root_of[record]: entity for record, entity in ids.items()}
    roots = sorted(found)
    work.lend(
        "found",
        pa.table(
            {"root": pa.array(roots, pa.int64()), "entity_id": pa.array([found[root] for root in roots], pa.string())}
        ),
    )
    work.create(
        "named",
        "SELECT root, coalesce(named.entity_id, found.entity_id) AS entity_id FROM named LEFT JOIN found USING (root)",
    )
    work.drop("found")
    return successions


def _held_ids(
    work: Workspace, clusters: Collection[Sequence[Member]], taken: Collection[EntityId], held: Held
) -> set[EntityId]:
    """Return which of the ids that a cluster may be founded with are held, as far as `name_entities` may ask.

    It takes the first id of a founder that is neither `taken` nor held; so the further ones are asked for only where
    all before are.
    """
    founders = [min(cluster, key=lambda member: member.order).key for cluster in clusters]
    found: set[EntityId] = set()
    for first in range(0, ATTEMPTS_MAX, ATTEMPTS_AT_ONCE):
        asked = {
            key: [founded_id(key, attempt) for attempt in range(first, first + ATTEMPTS_AT_ONCE)] for key in founders
        }
        if not asked:
            break
        work.lend("founded", pa.table({"entity_id": pa.array([*chain(*asked.values())], pa.string())}))
        found |= {EntityId(entity_id) for (entity_id,) in work.rows(held("founded"))}
        work.drop("founded")
        founders = [key for key, ids in asked.items() if all(one in found or one in taken for one in ids)]
    return found
