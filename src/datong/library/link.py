"""Conformed → linked: which record stands for which entity, and why.

The step leaves `links.parquet` (one row per linked record: source, row_key, first_sequence, entity_id, rule, weight,
joined_to, trusted, distrusted), `successions.parquet` (former, present, change), `review.parquet` (see `doubts`),
`decisions.parquet` (what people had decided) and `link.json` (counts for the report).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from datong.kernel import EntityId
from datong.library.cluster import Clustering, Decided, Pair, cluster
from datong.library.conform import ConformedSource
from datong.library.decisions import create_decided, decisions_table
from datong.library.definition import Definition, Identity, Linkage
from datong.library.described import create_described
from datong.library.doubts import write_review
from datong.library.engine import sql_text
from datong.library.features import create_records
from datong.library.geography import check_divisions
from datong.library.identify import identify
from datong.library.keys import create_keyed, pair_by_keys
from datong.library.naming import name_clusters
from datong.library.registry import Change, Succession
from datong.library.score import score_pairs
from datong.library.values import LinkDecision

LINKS = "links.parquet"
SUCCESSIONS = "successions.parquet"
COUNTS = "link.json"
DECISIONS = "decisions.parquet"
WEIGHTS = "weights.json"


def source_key(conformed: ConformedSource) -> str:
    """Return a name of the source that is the same in every installation."""
    return f"{conformed.source.department}\x1f{conformed.source.title.zh}"


def link_records(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    former: Sequence[tuple[str, str, str]],
    decisions: Sequence[LinkDecision],
    folder: Path,
) -> None:
    """Link the records in the conformed files below `conformed`, and write the step's files into `folder`.

    The table `previous_ids` (key, entity_id) gives the entity ids of the version before by record, `former` the
    successions up to it; `decisions` are what people decided about pairs of records.
    """
    limits = _score(connection, definition, sources, conformed, decisions)
    connection.execute("""
        CREATE OR REPLACE TABLE nodes AS
        SELECT unique_id AS record, coalesce(min(unique_id) OVER (PARTITION BY trusted), unique_id) AS head,
               trusted FROM linkable WHERE trusted IS NOT NULL
        UNION ALL SELECT unique_id, unique_id, NULL FROM linkable WHERE trusted IS NULL
    """)
    clustering = _cluster_nodes(connection, limits)
    _place_records(connection, clustering)
    successions = name_clusters(connection, {source.number: source_key(source) for source in sources})
    _write_links(connection, clustering, folder)
    write_review(connection, limits, sources, clustering, folder)
    if isinstance(limits, Linkage):
        _write_weights(connection, folder)
    connection.register("decision_rows", decisions_table(decisions))
    connection.execute(f"COPY (FROM decision_rows) TO {sql_text(str(folder / DECISIONS))} (FORMAT parquet)")
    connection.unregister("decision_rows")
    known = [Succession(EntityId(old), EntityId(new), Change(change)) for old, new, change in former]
    _write_successions(connection, sorted({*known, *successions}), folder)
    _write_counts(connection, clustering, folder)


def _score(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    decisions: Sequence[LinkDecision],
) -> Linkage | Identity:
    """Create `linkable`, `decided` and `pairs` in the way of the definition's kind; return the limits of clustering."""
    if definition.identity is not None:
        create_keyed(connection, definition, definition.identity, sources, conformed)
        create_decided(connection, "linkable", sources, decisions)
        pair_by_keys(connection, definition.identity)
        return definition.identity
    if definition.linkage is None:
        raise AssertionError("a linked library has a linkage model")
    create_linkable(connection, definition, definition.linkage, sources, conformed, decisions)
    score_pairs(connection, definition.linkage)
    return definition.linkage


def create_linkable(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    linkage: Linkage,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    decisions: Sequence[LinkDecision],
) -> None:
    """Create `linkable` and `decided`: what the model compares and blocks on, by its own features or as people."""
    if linkage.features:
        create_described(connection, definition, linkage.features, sources, conformed)
        create_decided(connection, "linkable", sources, decisions)
        return
    create_records(connection, definition, sources, conformed)
    create_decided(connection, "records", sources, decisions)
    identify(connection)


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
    """Cluster the nodes that occur in a pair or a decision; every other node is a cluster of its own."""
    connection.execute("""
        CREATE OR REPLACE TABLE node_pairs AS
        SELECT least(x.head, y.head) AS node_a, greatest(x.head, y.head) AS node_b, weight,
               CASE WHEN x.head <= y.head THEN a ELSE b END AS record_a,
               CASE WHEN x.head <= y.head THEN b ELSE a END AS record_b
        FROM pairs JOIN nodes x ON x.record = a JOIN nodes y ON y.record = b WHERE x.head <> y.head
        QUALIFY row_number() OVER (PARTITION BY node_a, node_b ORDER BY weight DESC, a, b) = 1
    """)
    decided = connection.execute("""
        SELECT least(x.head, y.head), greatest(x.head, y.head), same,
               CASE WHEN x.head <= y.head THEN a ELSE b END, CASE WHEN x.head <= y.head THEN b ELSE a END
        FROM decided JOIN nodes x ON x.record = a JOIN nodes y ON y.record = b
    """).fetchall()
    pairs = connection.execute("SELECT node_a, node_b, weight, record_a, record_b FROM node_pairs").fetchall()
    heads = connection.execute("""
        WITH met AS (
            SELECT node_a AS head FROM node_pairs UNION SELECT node_b FROM node_pairs
            UNION SELECT head FROM nodes WHERE record IN (SELECT a FROM decided UNION ALL SELECT b FROM decided)
        )
        SELECT head, count(*), any_value(trusted) FROM nodes SEMI JOIN met USING (head) GROUP BY head ORDER BY head
    """).fetchall()
    return cluster(
        sizes={head: size for head, size, _ in heads},
        identifiers={head: trusted for head, _, trusted in heads if trusted is not None},
        pairs=[Pair(*row) for row in pairs],
        accept_bits=limits.accept_bits,
        margin_bits=limits.margin_bits,
        members_max=limits.members_max,
        decided=[Decided(*row) for row in decided],
        sure_bits=limits.sure_bits if isinstance(limits, Linkage) else None,
    )


def _place_records(connection: duckdb.DuckDBPyConnection, clustering: Clustering) -> None:
    """Create `placed`: every record with its node and its cluster."""
    moved = sorted(clustering.cluster_of.items())
    connection.register(
        "roots",
        pa.table(
            {
                "head": pa.array([head for head, _ in moved], pa.int64()),
                "root": pa.array([r for _, r in moved], pa.int64()),
            }
        ),
    )
    connection.execute(
        "CREATE OR REPLACE TABLE placed AS "
        "SELECT record, head, coalesce(root, head) AS root FROM nodes LEFT JOIN roots USING (head)"
    )
    connection.unregister("roots")


def _write_links(connection: duckdb.DuckDBPyConnection, clustering: Clustering, folder: Path) -> None:
    joined = sorted(clustering.joined.items())
    connection.register(
        "joined",
        pa.table(
            {
                "head": pa.array([node for node, _ in joined], pa.int64()),
                "weight": pa.array([why.weight for _, why in joined], pa.float64()),
                "record": pa.array([why.record for _, why in joined], pa.int64()),
                "partner": pa.array([why.partner for _, why in joined], pa.int64()),
            }
        ),
    )
    connection.register("ambiguous", pa.table({"head": pa.array(sorted(clustering.ambiguous), pa.int64())}))
    connection.execute(f"""
        COPY (
            WITH entity AS (SELECT root, arg_min(trusted, rank * {2**40} + record) AS trusted, count(*) AS members
                            FROM placed JOIN linkable ON unique_id = record GROUP BY root),
            node AS (SELECT head, count(*) AS same_identifier FROM placed GROUP BY head),
            whys AS (
                SELECT l.unique_id, l.source, l.row_key, l.first_sequence, l.distrusted, l.trusted AS own,
                    e.trusted, n.head, named.entity_id, e.members, p.row_key AS partner_key,
                    h.row_key AS head_key, same_identifier, CASE WHEN l.is_open THEN j.weight END AS weight,
                    j.head IS NOT NULL AND j.weight IS NULL AND j.record = l.unique_id AS decided,
                    n.head IN (SELECT head FROM ambiguous) AS unsure
                FROM linkable l JOIN placed n ON n.record = l.unique_id JOIN entity e USING (root)
                JOIN named USING (root) JOIN node ON node.head = n.head
                LEFT JOIN joined j ON j.head = n.head
                LEFT JOIN linkable p ON p.unique_id = j.partner LEFT JOIN linkable h ON h.unique_id = n.head
            )
            SELECT source, row_key, first_sequence, entity_id,
                CASE WHEN decided THEN 'decision' WHEN weight IS NOT NULL THEN 'similarity'
                     WHEN own IS NOT NULL AND same_identifier > 1 THEN 'identifier'
                     WHEN unsure THEN 'ambiguous' WHEN members = 1 THEN 'single' ELSE 'anchor' END AS rule,
                weight, CASE WHEN decided OR weight IS NOT NULL THEN partner_key
                             WHEN own IS NOT NULL AND head <> unique_id THEN head_key END AS joined_to,
                trusted, distrusted
            FROM whys ORDER BY source, row_key
        ) TO {sql_text(str(folder / LINKS))} (FORMAT parquet)""")
    for name in ("joined", "ambiguous"):
        connection.unregister(name)


def _write_successions(connection: duckdb.DuckDBPyConnection, successions: list[Succession], folder: Path) -> None:
    columns = ("former", "present", "change")
    table = pa.table(
        {name: pa.array([str(getattr(row, name)) for row in successions], pa.string()) for name in columns}
    )
    connection.register("succession_rows", table)
    connection.execute(f"COPY (FROM succession_rows) TO {sql_text(str(folder / SUCCESSIONS))} (FORMAT parquet)")
    connection.unregister("succession_rows")


def _write_weights(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write how many pairs were compared, by weight; nothing where no pair was."""
    rows = connection.execute("SELECT low, pairs FROM weight_bins ORDER BY low").fetchall()
    bins = [{"low": float(low), "pairs": int(pairs)} for low, pairs in rows]
    (folder / WEIGHTS).write_text(json.dumps(bins))


def _write_counts(connection: duckdb.DuckDBPyConnection, clustering: Clustering, folder: Path) -> None:
    found = connection.execute("SELECT count(*) FILTER (distrusted) FROM linkable").fetchone()
    counts: dict[str, object] = {
        "vetoed_pairs": clustering.vetoed_pairs,
        "ambiguous_records": len(clustering.ambiguous),
        "distrusted_identifiers": int(found[0]) if found else 0,
        "contradicted_decisions": clustering.contradicted,
        "quarantined": {},
    }
    (folder / COUNTS).write_text(json.dumps(counts, sort_keys=True))
