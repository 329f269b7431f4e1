"""Conformed → linked: which record stands for which entity, and why.

The step leaves `links.parquet` (one row per linked record: source, row_key, first_sequence, entity_id, rule, weight,
joined_to, trusted, distrusted), `successions.parquet` (former, present, change) and `link.json` (counts for the
report).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from datong.kernel import EntityId
from datong.library.cluster import Clustering, Pair, cluster
from datong.library.conform import ConformedSource
from datong.library.definition import Definition, Identity, Linkage
from datong.library.engine import sql_text
from datong.library.features import create_records
from datong.library.geography import check_divisions
from datong.library.identify import identify
from datong.library.keys import pair_by_keys
from datong.library.model import score_pairs
from datong.library.registry import Change, Member, Succession, name_entities

LINKS = "links.parquet"
SUCCESSIONS = "successions.parquet"
COUNTS = "link.json"


def source_key(conformed: ConformedSource) -> str:
    """Return a name of the source that is the same in every installation."""
    return f"{conformed.source.department}\x1f{conformed.source.title.zh}"


def link_records(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    previous: Mapping[str, EntityId],
    former: Sequence[tuple[str, str, str]],
    folder: Path,
) -> None:
    """Link the records in the conformed files below `conformed`, and write the step's files into `folder`.

    `previous` gives the entity ids of the version before by record, `former` the successions up to it.
    """
    limits = _score(connection, definition, sources, conformed)
    connection.execute("""
        CREATE OR REPLACE TABLE nodes AS
        SELECT unique_id AS record, coalesce(min(unique_id) OVER (PARTITION BY trusted), unique_id) AS head,
               trusted FROM linkable WHERE trusted IS NOT NULL
        UNION ALL SELECT unique_id, unique_id, NULL FROM linkable WHERE trusted IS NULL
    """)
    clustering = _cluster_nodes(connection, limits)
    ids, successions = _name(connection, sources, clustering, previous)
    _write_links(connection, clustering, ids, folder)
    known = [Succession(EntityId(old), EntityId(new), Change(change)) for old, new, change in former]
    _write_successions(connection, sorted({*known, *successions}), folder)
    _write_counts(connection, clustering, folder)


def _score(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
) -> Linkage | Identity:
    """Create `linkable` and `pairs` in the way of the definition's kind; return the limits of the clustering."""
    if definition.identity is not None:
        pair_by_keys(connection, definition, definition.identity, sources, conformed)
        return definition.identity
    if definition.linkage is None:
        raise AssertionError("a linked library has a linkage model")
    create_records(connection, definition, sources, conformed)
    identify(connection)
    score_pairs(connection, definition.linkage)
    return definition.linkage


def link_divisions(
    connection: duckdb.DuckDBPyConnection, sources: tuple[ConformedSource, ...], conformed: Path, folder: Path
) -> None:
    """Check the divisions below `conformed`; an entity of this library is its code."""
    quarantined = check_divisions(connection, sources, conformed)
    connection.execute(f"""
        COPY (SELECT source, row_key, first_sequence, division_code AS entity_id, 'code' AS rule,
                     NULL::DOUBLE AS weight, NULL::VARCHAR AS joined_to, division_code AS trusted, false AS distrusted
              FROM divisions WHERE problem IS NULL ORDER BY source, row_key)
        TO {sql_text(str(folder / LINKS))} (FORMAT parquet)""")
    _write_successions(connection, [], folder)
    counts = {"vetoed_pairs": 0, "ambiguous_records": 0, "distrusted_identifiers": 0, "quarantined": quarantined}
    (folder / COUNTS).write_text(json.dumps(counts, sort_keys=True))


def _cluster_nodes(connection: duckdb.DuckDBPyConnection, limits: Linkage | Identity) -> Clustering:
    heads = connection.execute(
        "SELECT head, count(*), any_value(trusted) FROM nodes GROUP BY head ORDER BY head"
    ).fetchall()
    rows = connection.execute("""
        SELECT least(x.head, y.head), greatest(x.head, y.head), weight,
               CASE WHEN x.head <= y.head THEN a ELSE b END, CASE WHEN x.head <= y.head THEN b ELSE a END
        FROM pairs JOIN nodes x ON x.record = a JOIN nodes y ON y.record = b WHERE x.head <> y.head
        QUALIFY row_number() OVER (PARTITION BY least(x.head, y.head), greatest(x.head, y.head)
                                   ORDER BY weight DESC, a, b) = 1
    """).fetchall()
    return cluster(
        sizes={head: size for head, size, _ in heads},
        identifiers={head: trusted for head, _, trusted in heads if trusted is not None},
        pairs=[Pair(*row) for row in rows],
        accept_bits=limits.accept_bits,
        margin_bits=limits.margin_bits,
        members_max=limits.members_max,
    )


def _name(
    connection: duckdb.DuckDBPyConnection,
    sources: tuple[ConformedSource, ...],
    clustering: Clustering,
    previous: Mapping[str, EntityId],
) -> tuple[dict[int, EntityId], list[Succession]]:
    names = {source.number: source_key(source) for source in sources}
    clusters: dict[int, list[Member]] = defaultdict(list)
    for record, head, source, row_key, first in connection.execute(
        "SELECT unique_id, head, source, row_key, first_sequence FROM linkable JOIN nodes ON record = unique_id"
    ).fetchall():
        member = Member(record, (first, source, row_key), f"{names[source]}\x1f{row_key}")
        clusters[clustering.cluster_of[head]].append(member)
    return name_entities(clusters.values(), previous)


def _write_links(
    connection: duckdb.DuckDBPyConnection, clustering: Clustering, ids: Mapping[int, EntityId], folder: Path
) -> None:
    records = sorted(ids)
    connection.register(
        "named",
        pa.table(
            {"record": pa.array(records, pa.int64()), "entity_id": pa.array([ids[r] for r in records], pa.string())}
        ),
    )
    joined = sorted(clustering.joined.items())
    connection.register(
        "joined",
        pa.table(
            {
                "head": pa.array([node for node, _ in joined], pa.int64()),
                "weight": pa.array([why.weight for _, why in joined], pa.float64()),
                "partner": pa.array([why.partner for _, why in joined], pa.int64()),
            }
        ),
    )
    connection.register("ambiguous", pa.table({"head": pa.array(sorted(clustering.ambiguous), pa.int64())}))
    connection.execute(f"""
        COPY (
            WITH entity AS (SELECT entity_id, min(trusted) AS trusted, count(*) AS members
                            FROM named JOIN linkable ON unique_id = record GROUP BY entity_id),
            whys AS (
                SELECT l.unique_id, l.source, l.row_key, l.first_sequence, l.distrusted, l.trusted AS own,
                    e.trusted, n.head, named.entity_id, e.members, j.weight, p.row_key AS partner_key,
                    h.row_key AS head_key,
                    count(*) OVER (PARTITION BY n.head) AS same_identifier,
                    n.head IN (SELECT head FROM ambiguous) AS unsure
                FROM linkable l JOIN named ON named.record = l.unique_id JOIN entity e USING (entity_id)
                JOIN nodes n ON n.record = l.unique_id
                LEFT JOIN joined j ON j.head = n.head AND l.is_open LEFT JOIN linkable p ON p.unique_id = j.partner
                LEFT JOIN linkable h ON h.unique_id = n.head
            )
            SELECT source, row_key, first_sequence, entity_id,
                CASE WHEN weight IS NOT NULL THEN 'similarity'
                     WHEN own IS NOT NULL AND same_identifier > 1 THEN 'identifier'
                     WHEN unsure THEN 'ambiguous' WHEN members = 1 THEN 'single' ELSE 'anchor' END AS rule,
                weight, CASE WHEN weight IS NOT NULL THEN partner_key
                             WHEN own IS NOT NULL AND head <> unique_id THEN head_key END AS joined_to,
                trusted, distrusted
            FROM whys ORDER BY source, row_key
        ) TO {sql_text(str(folder / LINKS))} (FORMAT parquet)""")
    for name in ("named", "joined", "ambiguous"):
        connection.unregister(name)


def _write_successions(connection: duckdb.DuckDBPyConnection, successions: list[Succession], folder: Path) -> None:
    columns = ("former", "present", "change")
    table = pa.table(
        {name: pa.array([str(getattr(row, name)) for row in successions], pa.string()) for name in columns}
    )
    connection.register("succession_rows", table)
    connection.execute(f"COPY (FROM succession_rows) TO {sql_text(str(folder / SUCCESSIONS))} (FORMAT parquet)")
    connection.unregister("succession_rows")


def _write_counts(connection: duckdb.DuckDBPyConnection, clustering: Clustering, folder: Path) -> None:
    found = connection.execute("SELECT count(*) FILTER (distrusted) FROM linkable").fetchone()
    counts: dict[str, object] = {
        "vetoed_pairs": clustering.vetoed_pairs,
        "ambiguous_records": len(clustering.ambiguous),
        "distrusted_identifiers": int(found[0]) if found else 0,
        "quarantined": {},
    }
    (folder / COUNTS).write_text(json.dumps(counts, sort_keys=True))
