"""What a link step keeps for the next build: the records as they were compared, the pairs that came near, and the pairs
that were not followed.

Records are named by source and key, because their numbers change with every record that comes or goes; the order of the
numbers is that of source and key. `linkable.parquet` is the table of that name without the numbers, but with one for
every block; `pairs.parquet` has the pairs with their weight, `unjoined.parquet` those of `Clustering.open_pairs` with
the reason.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from datong.library.cluster import Pair, Unjoined
from datong.library.definition import Identity, Linkage
from datong.library.engine import Workspace
from datong.library.twins import write_twin

LINKABLE = "linkable.parquet"
PAIRS = "pairs.parquet"
UNJOINED = "unjoined.parquet"
RECORD = ("source", "row_key")
PAIR = ("source_a", "row_key_a", "source_b", "row_key_b")


def keep_state(
    work: Workspace, limits: Linkage | Identity, open_pairs: Sequence[tuple[Pair, Unjoined]], folder: Path
) -> None:
    """Write the three files into the step's `folder`, from `linkable` and `pairs`."""
    work.write(f"SELECT {kept_columns_sql(limits)} FROM linkable ORDER BY {', '.join(RECORD)}", folder / LINKABLE)
    write_twin(folder / LINKABLE)
    work.write(f"{named_pairs_sql('pairs', 'weight')} ORDER BY {', '.join(PAIR)}", folder / PAIRS)
    keep_unjoined(work, open_pairs, folder)


def block_columns(limits: Linkage | Identity) -> list[str]:
    """Return the columns of `linkable.parquet` that have a number for what a record says in a block, NULL for nothing.

    Who agrees in a block has the same number; few others have. So blocks are looked through without their texts.
    """
    return [f"block_{place}" for place, _ in enumerate(limits.blocking)] if isinstance(limits, Linkage) else []


def without_blocks_sql(limits: Linkage | Identity) -> str:
    """Return what to write behind a `*` to leave the blocks' columns out."""
    blocks = ", ".join(block_columns(limits))
    return f"EXCLUDE ({blocks})" if blocks else ""


def kept_columns_sql(limits: Linkage | Identity) -> str:
    """Return the select list of what is kept of `linkable`."""
    rules = limits.blocking if isinstance(limits, Linkage) else ()
    said = (" AND ".join(f"{column} IS NOT NULL" for column in rule) for rule in rules)
    blocks = (
        f"CASE WHEN {condition} THEN hash({', '.join(rule)}) END AS {name}"
        for condition, rule, name in zip(said, rules, block_columns(limits), strict=True)
    )
    return ", ".join(("* EXCLUDE (unique_id)", *blocks))


def keep_unjoined(work: Workspace, open_pairs: Sequence[tuple[Pair, Unjoined]], folder: Path) -> None:
    """Write `unjoined.parquet` into `folder`."""
    rows = [
        (min(pair.record_a, pair.record_b), max(pair.record_a, pair.record_b), str(why)) for pair, why in open_pairs
    ]
    columns = {
        "a": pa.array([a for a, _, _ in rows], pa.int64()),
        "b": pa.array([b for _, b, _ in rows], pa.int64()),
        "reason": pa.array([why for _, _, why in rows], pa.string()),
    }
    work.lend("unjoined", pa.table(columns))
    work.write(f"{named_pairs_sql('unjoined', 'reason')} ORDER BY {', '.join(PAIR)}", folder / UNJOINED)
    work.drop("unjoined")


def named_pairs_sql(pairs: str, told: str) -> str:
    """Return the query for the table `pairs` (a, b, `told`) with the records' names in place of their numbers."""
    return (
        "SELECT l.source AS source_a, l.row_key AS row_key_a, r.source AS source_b, r.row_key AS row_key_b, "
        f"p.{told} FROM {pairs} p JOIN linkable l ON l.unique_id = p.a JOIN linkable r ON r.unique_id = p.b"
    )
