"""Which pairs of records are compared anew where some records changed, and how they come out.

The callers have left the tables `lost` and `gained`: the rows of `linkable` as they were and as they are now, of the
records that differ. What is found are the tables `pairs_was` and `pairs_now` (source_a, row_key_a, source_b, row_key_b,
weight): the pairs of before that may be other ones now, and what became of them. All other pairs are as they were.
"""

from collections.abc import Sequence
from pathlib import Path

from datong.library.definition import Identity, Linkage
from datong.library.engine import Workspace, sql_text
from datong.library.frequencies import create_classes
from datong.library.keys import pair_by_keys
from datong.library.layers import table_sql
from datong.library.link_state import PAIR, PAIRS, named_pairs_sql
from datong.library.score import BINS_SQL, compare, frequency_columns
from datong.library.twins import create_any, wanted_sql

Bins = dict[float, int]


def rescore(work: Workspace, linkage: Linkage, was: Path, bins: Bins) -> Bins:
    """Compare again whatever the model sees with other eyes; return how many pairs there are by weight, given `bins`
    of before. The tables of `count_changes` must be there.

    `was` is the table of all records as they were. A pair's weight depends on its two records and on the frequency
    classes of their values. So it is compared again if one of them changed, or has a value whose class changed;
    `crossing` has the latter.
    """
    _create_beside(work, linkage, was)
    bins = dict(bins)
    for world, changed, sign in (("was", "lost", -1), ("now", "gained", 1)):
        work.create(
            "linkable",
            "SELECT row_number() OVER (ORDER BY source, row_key) - 1 AS unique_id, * FROM ("
            f"FROM beside UNION ALL SELECT *, true FROM {changed}) ORDER BY unique_id",
        )
        create_classes(work, linkage, world, was.parent)
        compare(work, linkage, "(o.sought OR x.sought)")
        for low, pairs in work.rows(BINS_SQL):
            bins[float(low)] = bins.get(float(low), 0) + sign * int(pairs)
        accepted = f"(SELECT * FROM scored WHERE weight >= {linkage.accept_bits - linkage.margin_bits}::DOUBLE)"
        work.create(f"pairs_{world}", named_pairs_sql(accepted, "weight"))
        work.drop("scored")
    work.drop("beside")
    return {low: pairs for low, pairs in bins.items() if pairs}


def _create_beside(work: Workspace, linkage: Linkage, path: Path) -> None:
    """Create `crossing`: the records of before that did not change, but bear a value whose class did; and `beside`:
    these, which are `sought`, and those that share a block with one that is sought, one of the two being open.

    A few of the latter may share a hash only; no pair comes of that.
    """
    crossed = [
        ((column,), f"(SELECT value AS {column} FROM counted_{column} WHERE was_class IS DISTINCT FROM now_class)")
        for column in frequency_columns(linkage)
    ]
    create_any(work, "crossed", path, crossed, where=wanted_sql(crossed))
    work.create("crossing", "SELECT c.* FROM crossed c ANTI JOIN lost USING (source, row_key)")
    compared = ", ".join(dict.fromkeys(("is_open", *(column for rule in linkage.blocking for column in rule))))
    every = " UNION ALL ".join(f"SELECT {compared} FROM {name}" for name in ("lost", "gained", "crossing"))
    work.create("sought", every)
    for name, among, where in (
        ("near_open", "sought", "is_open"),
        ("near_closed", "(FROM sought WHERE is_open)", "NOT is_open"),
    ):
        create_any(work, name, path, [(rule, among) for rule in linkage.blocking], where=where)
    work.create(
        "beside",
        """
        SELECT n.*, false AS sought FROM (FROM near_open UNION ALL FROM near_closed) n
        ANTI JOIN (SELECT source, row_key FROM lost UNION ALL SELECT source, row_key FROM crossing)
        USING (source, row_key) UNION ALL SELECT c.*, true FROM crossing c""",
    )
    work.drop("crossed", "sought", "near_open", "near_closed")


def pair_again(work: Workspace, identity: Identity, now: str, former: Path) -> None:
    """Pair again the open records that share a key with a record of a group that changed.

    The table `regrouped` has all records of the identifiers that were touched as they are, `former_rows` as they were;
    `now` are all records, `former` is the step folder of before. What a key says depends on all records that bear it,
    and on the first record of each identifier among them. So a pair may change only if its open record bears a key that
    one of those records bears or bore; all pairs of such records are made again, from all that bear their keys.
    """
    rules = [f"rule_{place}" for place, _ in enumerate(identity.rules)]
    borne = " OR ".join(
        f"n.{rule} IN (SELECT {rule} FROM {table} WHERE {rule} IS NOT NULL)"
        for rule in rules
        for table in ("regrouped", "former_rows")
    )
    work.create("again", f"SELECT n.* FROM {now} n WHERE n.is_open AND ({borne or 'false'})")
    shared = " OR ".join(f"n.{rule} IN (SELECT {rule} FROM again WHERE {rule} IS NOT NULL)" for rule in rules)
    work.create("bearers", f"SELECT n.* FROM {now} n WHERE {shared or 'false'}")
    work.create(
        "linkable",
        f"""
        SELECT row_number() OVER (ORDER BY source, row_key) - 1 AS unique_id, * FROM (
            SELECT * FROM bearers UNION ALL SELECT n.* FROM {now} n ANTI JOIN bearers USING (source, row_key)
            WHERE n.trusted IN (SELECT trusted FROM bearers WHERE trusted IS NOT NULL)) ORDER BY unique_id""",
    )
    pair_by_keys(work, identity)
    named = f"({named_pairs_sql('pairs', 'weight')})"
    work.create("pairs_now", _with_end_in(named, "again"))
    touched = " UNION ".join(f"SELECT source, row_key FROM {name}" for name in ("again", "regrouped", "former_rows"))
    work.create("once_touched", touched)
    work.create("pairs_was", _with_end_in(table_sql(former / PAIRS), "once_touched"))
    work.drop("again", "bearers", "once_touched")


def _with_end_in(pairs: str, records: str) -> str:
    ends = " OR ".join(
        f"EXISTS (SELECT 1 FROM {records} e WHERE e.source = p.source_{end} AND e.row_key = p.row_key_{end})"
        for end in "ab"
    )
    return f"SELECT p.{', p.'.join(PAIR)}, p.weight FROM {pairs} p WHERE {ends}"


def create_differing_pairs(work: Workspace) -> None:
    """Create `pairs_differing`: the names of the pairs in `pairs_was` and `pairs_now` that are not in both alike."""
    names = ", ".join(f"coalesce(n.{name}, w.{name}) AS {name}" for name in PAIR)
    same = " AND ".join(f"n.{name} = w.{name}" for name in PAIR)
    work.create(
        "pairs_differing",
        f"SELECT {names} FROM pairs_now n FULL JOIN pairs_was w ON {same} WHERE n.weight IS DISTINCT FROM w.weight",
    )


def sources_sql(names: Sequence[tuple[int, str]]) -> str:
    """Return (number, resource) of the sources as something to select from."""
    return "(VALUES " + ", ".join(f"({number}, {sql_text(name)})" for number, name in names) + ")"
