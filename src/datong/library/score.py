"""Scored pairs: the committed linkage model as SQL of our own, over `linkable`.

The model is that of Fellegi and Sunter, as Splink has it: the weight of a pair, in bits, is the prior's, plus per
comparison log2(m / u) of the first level that holds; a comparison for which a needed column is missing says nothing.
Weights are committed, so nothing of Splink's is needed when a library is built; a test holds both to the same weights.

Term frequency: agreement on a rare value weighs more than on a common one. The frequency is taken in classes of half a
bit, relative to the class of the number of records, so that a few more records leave the weights of all others alone
(a rebuild of what changed then equals a rebuild of everything).
"""

from math import log2

from datong.library.definition import Comparison, Level, Linkage
from datong.library.engine import Workspace
from datong.library.model import level_sql
from datong.library.thresholds import BIN_BITS

WEIGHT_DECIMALS = 6
WEIGHT_SHOWN_MIN = -20
LACKING_BITS = 1
"""How far below the accepted weight a pair stays that lacks the evidence: near enough for a person to look at it."""
CLASSES_PER_BIT = 2
"""Classes of term frequency per doubling."""
BINS_SQL = (
    f"SELECT floor(greatest(weight, {WEIGHT_SHOWN_MIN}) / {BIN_BITS}) * {BIN_BITS} AS low, count(*) AS pairs "
    "FROM scored GROUP BY low ORDER BY low"
)


def class_sql(count: str) -> str:
    """Return the SQL of the frequency class of a `count`."""
    return f"CAST(floor({CLASSES_PER_BIT} * log2({count})) AS INTEGER)"


def missing_sql(comparison: Comparison) -> str:
    """Return the SQL condition under which a comparison says nothing."""
    return " OR ".join(f"{column}_l IS NULL OR {column}_r IS NULL" for column in comparison.needs)


def bits_sql(level: Level) -> str:
    """Return the SQL of what a level adds to a pair's weight."""
    if level.frequency is None:
        return f"{log2(level.m / level.u):.9f}::DOUBLE"
    common = f"greatest({level.frequency}_class_l, {level.frequency}_class_r)"
    return f"({log2(level.m):.9f}::DOUBLE + (every_class - {common}) / {float(CLASSES_PER_BIT)})"


def comparison_sql(comparison: Comparison) -> str:
    """Return the SQL of what a comparison adds to a pair's weight."""
    cases = [f"WHEN {missing_sql(comparison)} THEN 0"]
    cases += [f"WHEN {level_sql(level)} THEN {bits_sql(level)}" for level in comparison.levels[:-1]]
    return f"CASE {' '.join(cases)} ELSE {bits_sql(comparison.levels[-1])} END"


def weight_sql(linkage: Linkage) -> str:
    """Return the SQL of the weight of a pair, from columns that end in `_l` and `_r`."""
    prior = log2(linkage.match_share / (1 - linkage.match_share))
    parts = " + ".join(f"({comparison_sql(comparison)})" for comparison in linkage.comparisons)
    return f"round({prior:.9f}::DOUBLE + {parts}, {WEIGHT_DECIMALS})"


def joining_weight_sql(linkage: Linkage) -> str:
    """Return the SQL of the weight by which a pair may join: below the accepted one where the evidence is lacking."""
    weight = weight_sql(linkage)
    if not linkage.evidence:
        return weight
    known = {comparison.name: comparison for comparison in linkage.comparisons}
    lines = (" AND ".join(_agrees_sql(known[name]) for name in line) for line in linkage.evidence)
    held = " OR ".join(f"({line})" for line in lines)
    below = f"{linkage.accept_bits - LACKING_BITS}::DOUBLE"
    return f"CASE WHEN {held} THEN {weight} ELSE least({weight}, {below}) END"


def _agrees_sql(comparison: Comparison) -> str:
    """Return the SQL condition under which a comparison says something, and not the least alike."""
    levels = " OR ".join(f"({level_sql(level)})" for level in comparison.levels[:-1])
    return f"(NOT ({missing_sql(comparison)}) AND coalesce({levels}, false))"


def compared_columns(linkage: Linkage) -> tuple[str, ...]:
    """Return the columns of `linkable` that the comparisons read, in a stable order."""
    needed = [
        column
        for comparison in linkage.comparisons
        for column in (*comparison.needs, *(column for level in comparison.levels for column in level.columns))
    ]
    return tuple(sorted({*needed, *frequency_columns(linkage)}))


def frequency_columns(linkage: Linkage) -> tuple[str, ...]:
    """Return the columns of which the frequency of a value counts."""
    levels = (level for comparison in linkage.comparisons for level in comparison.levels)
    return tuple(sorted({level.frequency for level in levels if level.frequency}))


def create_frequencies(work: Workspace, linkage: Linkage) -> None:
    """Create one table `frequency_<column>` (value, class) per column whose frequency counts, and `frequency_every`
    (class) for the number of records."""
    for column in frequency_columns(linkage):
        work.create(
            f"frequency_{column}",
            f"SELECT {column} AS value, {class_sql('count(*)')} AS class "
            f"FROM linkable WHERE {column} IS NOT NULL GROUP BY {column}",
        )
    work.create("frequency_every", f"SELECT {class_sql('greatest(count(*), 1)')} AS class FROM linkable")


def pair_columns_sql(linkage: Linkage, pairs: str) -> str:
    """Return the query for `pairs` (a, b) with what the comparisons read of both records, and `every_class`."""
    frequencies = frequency_columns(linkage)
    columns = [f"{side}.{column} AS {column}_{side}" for column in compared_columns(linkage) for side in "lr"]
    columns += [f"{column}_{side}.class AS {column}_class_{side}" for column in frequencies for side in "lr"]
    joins = " ".join(
        f"LEFT JOIN frequency_{column} {column}_{side} ON {column}_{side}.value = {side}.{column}"
        for column in frequencies
        for side in "lr"
    )
    every = "(SELECT class FROM frequency_every)" if frequencies else "0"
    return (
        f"SELECT a, b, {every} AS every_class, {', '.join(columns)} FROM {pairs} "
        f"JOIN linkable l ON l.unique_id = a JOIN linkable r ON r.unique_id = b {joins}"
    )


def score_pairs(work: Workspace, linkage: Linkage) -> None:
    """Create `pairs` (a, b, weight in bits) from `linkable`: every pair that comes near the accepted weight.

    `weight_bins` (low, pairs) counts all pairs that were compared, by weight: the threshold tool reads it.

    Pairs are sought for open records only: two records with trusted identifiers need no likeness.
    """
    create_frequencies(work, linkage)
    compare(work, linkage)
    work.create(
        "pairs", f"FROM scored WHERE weight >= {linkage.accept_bits - linkage.margin_bits}::DOUBLE ORDER BY a, b"
    )
    work.create("weight_bins", BINS_SQL)
    work.drop("scored")


def compare(work: Workspace, linkage: Linkage, condition: str = "true") -> None:
    """Create `scored` (a, b, weight): all pairs that agree in a block, if one of them, `o` or `x`, meets `condition`.

    The tables of `create_frequencies` must be there.
    """
    found = " UNION ".join(
        f"SELECT least(o.unique_id, x.unique_id) AS a, greatest(o.unique_id, x.unique_id) AS b FROM open_records o "
        f"JOIN linkable x ON {' AND '.join(f'o.{column} = x.{column}' for column in rule)} "
        f"WHERE (x.unique_id > o.unique_id OR (x.unique_id < o.unique_id AND NOT x.is_open)) AND {condition}"
        for rule in linkage.blocking
    )
    work.create("open_records", "FROM linkable WHERE is_open")
    work.create("candidates", found)
    work.create(
        "scored",
        f"SELECT a, b, {joining_weight_sql(linkage)} AS weight FROM ({pair_columns_sql(linkage, 'candidates')})",
    )
    work.drop("open_records", "candidates")
