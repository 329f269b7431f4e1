"""Conformed → linked: which record stands for which entity, and why.

The step leaves `links.parquet` (one row per linked record: source, row_key, first_sequence, entity_id, rule, weight,
joined_to, trusted, distrusted), `successions.parquet` (former, present, change), `review.parquet` (see `doubts`),
`decisions.parquet` (what people had decided) and `link.json` (counts for the report).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from datong.kernel import EntityId
from datong.library.cluster import Clustering, Decided, Pair, cluster
from datong.library.conform import ConformedSource
from datong.library.decisions import create_decided, decisions_table
from datong.library.definition import Definition, Identity, Linkage
from datong.library.described import create_described
from datong.library.doubts import write_review
from datong.library.engine import Workspace
from datong.library.features import create_records
from datong.library.frequencies import keep_frequencies
from datong.library.geography import check_divisions
from datong.library.identify import identify
from datong.library.keys import create_keyed, pair_by_keys, part_decided
from datong.library.link_state import RECORD, keep_state
from datong.library.naming import Held, name_clusters
from datong.library.registry import Change, Succession
from datong.library.score import score_pairs
from datong.library.twins import write_twin
from datong.library.values import LinkDecision

LINKS = "links.parquet"
SUCCESSIONS = "successions.parquet"
COUNTS = "link.json"
DECISIONS = "decisions.parquet"
WEIGHTS = "weights.json"
LINK_KEYS = (RECORD, ("entity_id",))
"""What links are sought by."""


def source_key(conformed: ConformedSource) -> str:
    """Return a name of the source that is the same in every installation."""
    return f"{conformed.source.department}\x1f{conformed.source.title.zh}"


def link_records(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    former: Sequence[tuple[str, str, str]],
    decisions: Sequence[LinkDecision],
    folder: Path,
    *,
    keep: bool = False,
) -> None:
    """Link the records in the conformed files below `conformed`, and write the step's files into `folder`.

    With `keep`, what the next build needs to start from this one is written, too (see `link_state`).

    The table `previous_ids` (key, entity_id) gives the entity ids of the version before by record, `former` the
    successions up to it; `decisions` are what people decided about pairs of records.
    """
    limits = create_described_records(work, definition, sources, conformed, decisions)
    if isinstance(limits, Linkage):
        score_pairs(work, limits)
    else:
        pair_by_keys(work, limits)
    settled = settle(work, limits, sources, folder)
    if keep:
        keep_state(work, limits, settled.clustering.open_pairs, folder)
        if isinstance(limits, Linkage):
            keep_frequencies(work, limits, folder)
        write_twin(work, folder / LINKS, *LINK_KEYS)
    if isinstance(limits, Linkage):
        write_weights(
            [(float(low), int(pairs)) for low, pairs in work.rows("SELECT low, pairs FROM weight_bins")], folder
        )
    pq.write_table(decisions_table(decisions), folder / DECISIONS)
    write_successions(former, settled.successions, folder)
    [found] = work.rows("SELECT count(*) FILTER (distrusted) FROM linkable")
    write_counts(
        folder,
        vetoed=settled.clustering.vetoed_pairs,
        ambiguous=len(settled.clustering.ambiguous),
        distrusted=int(found[0]),
        contradicted=settled.clustering.contradicted,
    )


class Settled(NamedTuple):
    """What clustering came to, and what became of former entity ids."""

    clustering: Clustering
    successions: list[Succession]


def settle(
    work: Workspace,
    limits: Linkage | Identity,
    sources: tuple[ConformedSource, ...],
    folder: Path,
    held: Held | None = None,
) -> Settled:
    """Cluster the records in `linkable` by `pairs` and `decided`, name the clusters, and write links and review.

    `held` tells the ids of entities whose records are not in `linkable`.
    """
    work.create(
        "nodes",
        """
        SELECT unique_id AS record, coalesce(min(unique_id) OVER (PARTITION BY trusted), unique_id) AS head,
               trusted FROM linkable WHERE trusted IS NOT NULL
        UNION ALL SELECT unique_id, unique_id, NULL FROM linkable WHERE trusted IS NULL""",
    )
    clustering = _cluster_nodes(work, limits)
    _place_records(work, clustering)
    successions = name_clusters(work, {source.number: source_key(source) for source in sources}, held)
    _write_links(work, clustering, folder)
    write_review(work, limits, sources, clustering, folder)
    return Settled(clustering, successions)


def create_described_records(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    decisions: Sequence[LinkDecision],
) -> Linkage | Identity:
    """Create `linkable` and `decided` in the way of the definition's kind; return the limits of clustering."""
    if definition.identity is not None:
        create_keyed(work, definition, definition.identity, sources, conformed)
        create_decided(work, "linkable", sources, decisions)
        part_decided(work)
        return definition.identity
    if definition.linkage is None:
        raise AssertionError("a linked library has a linkage model")
    create_linkable(work, definition, definition.linkage, sources, conformed, decisions)
    return definition.linkage


def create_linkable(
    work: Workspace,
    definition: Definition,
    linkage: Linkage,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    decisions: Sequence[LinkDecision],
) -> None:
    """Create `linkable` and `decided`: what the model compares and blocks on, by its own features or as people."""
    if linkage.features:
        create_described(work, definition, linkage.features, sources, conformed)
        create_decided(work, "linkable", sources, decisions)
        return
    create_records(work, definition, sources, conformed)
    create_decided(work, "records", sources, decisions)
    identify(work)


def link_divisions(work: Workspace, sources: tuple[ConformedSource, ...], conformed: Path, folder: Path) -> None:
    """Check the divisions below `conformed`; an entity of this library is its code."""
    quarantined = check_divisions(work, sources, conformed)
    work.write(
        """
        SELECT source, row_key, first_sequence, division_code AS entity_id, 'code' AS rule, NULL::DOUBLE AS weight,
            NULL::VARCHAR AS joined_to, division_code AS trusted, false AS distrusted
        FROM divisions WHERE problem IS NULL ORDER BY source, row_key""",
        folder / LINKS,
    )
    write_successions((), (), folder)
    counts = {"vetoed_pairs": 0, "ambiguous_records": 0, "distrusted_identifiers": 0, "quarantined": quarantined}
    (folder / COUNTS).write_text(json.dumps(counts, sort_keys=True))


def _cluster_nodes(work: Workspace, limits: Linkage | Identity) -> Clustering:
    """Cluster the nodes that occur in a pair or a decision; every other node is a cluster of its own."""
    work.create(
        "node_pairs",
        """
        SELECT least(x.head, y.head) AS node_a, greatest(x.head, y.head) AS node_b, weight,
               CASE WHEN x.head <= y.head THEN a ELSE b END AS record_a,
               CASE WHEN x.head <= y.head THEN b ELSE a END AS record_b
        FROM pairs JOIN nodes x ON x.record = a JOIN nodes y ON y.record = b WHERE x.head <> y.head
        QUALIFY row_number() OVER (PARTITION BY least(x.head, y.head), greatest(x.head, y.head)
                                   ORDER BY weight DESC, a, b) = 1""",
    )
    decided = work.rows("""
        SELECT least(x.head, y.head), greatest(x.head, y.head), same,
               CASE WHEN x.head <= y.head THEN a ELSE b END, CASE WHEN x.head <= y.head THEN b ELSE a END
        FROM decided JOIN nodes x ON x.record = a JOIN nodes y ON y.record = b""")
    pairs = work.rows("SELECT node_a, node_b, weight, record_a, record_b FROM node_pairs")
    heads = work.rows("""
        WITH met AS (
            SELECT node_a AS head FROM node_pairs UNION SELECT node_b FROM node_pairs
            UNION SELECT head FROM nodes WHERE record IN (SELECT a FROM decided UNION ALL SELECT b FROM decided)
        )
        SELECT head, count(*), max(trusted) FROM nodes SEMI JOIN met USING (head) GROUP BY head ORDER BY head""")
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


def _place_records(work: Workspace, clustering: Clustering) -> None:
    """Create `placed`: every record with its node and its cluster."""
    moved = sorted(clustering.cluster_of.items())
    work.lend(
        "roots",
        pa.table(
            {
                "head": pa.array([head for head, _ in moved], pa.int64()),
                "root": pa.array([r for _, r in moved], pa.int64()),
            }
        ),
    )
    work.create("placed", "SELECT record, head, coalesce(root, head) AS root FROM nodes LEFT JOIN roots USING (head)")
    work.drop("roots")


def _write_links(work: Workspace, clustering: Clustering, folder: Path) -> None:
    joined = sorted(clustering.joined.items())
    work.lend(
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
    work.lend("ambiguous", pa.table({"head": pa.array(sorted(clustering.ambiguous), pa.int64())}))
    work.write(
        f"""
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
            FROM whys ORDER BY source, row_key""",
        folder / LINKS,
    )
    work.drop("joined", "ambiguous")


def write_successions(former: Sequence[tuple[str, str, str]], successions: Sequence[Succession], folder: Path) -> None:
    """Write what became of entity ids: up to the version before (`former`), and now."""
    known = {Succession(EntityId(old), EntityId(new), Change(change)) for old, new, change in former}
    every = sorted({*known, *successions})
    columns = ("former", "present", "change")
    table = pa.table({name: pa.array([str(getattr(row, name)) for row in every], pa.string()) for name in columns})
    pq.write_table(table, folder / SUCCESSIONS)


def write_weights(bins: Sequence[tuple[float, int]], folder: Path) -> None:
    """Write how many pairs were compared, by weight; nothing where no pair was."""
    (folder / WEIGHTS).write_text(json.dumps([{"low": low, "pairs": pairs} for low, pairs in sorted(bins)]))


def write_counts(folder: Path, *, vetoed: int, ambiguous: int, distrusted: int, contradicted: int) -> None:
    """Write the counts that the report takes from the linkage."""
    counts: dict[str, object] = {
        "vetoed_pairs": vetoed,
        "ambiguous_records": ambiguous,
        "distrusted_identifiers": distrusted,
        "contradicted_decisions": contradicted,
        "quarantined": {},
    }
    (folder / COUNTS).write_text(json.dumps(counts, sort_keys=True))
