"""What a link step keeps for the next build: the records as they were compared, the pairs that came near, and the pairs
that were not followed.

Records are named by source and key, because their numbers change with every record that comes or goes; the order of the
numbers is that of source and key. `linkable.parquet` is the table of that name without the numbers; `pairs.parquet` has
the pairs with their weight, `unjoined.parquet` those of `Clustering.open_pairs` with the reason.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from datong.library.cluster import Pair, Unjoined
from datong.library.definition import Identity, Linkage
from datong.library.engine import Workspace
from datong.library.score import frequency_columns
from datong.library.twins import write_twin

LINKABLE = "linkable.parquet"
PAIRS = "pairs.parquet"
UNJOINED = "unjoined.parquet"
RECORD = ("source", "row_key")
CLAIM = ("claimed",)
PAIR = ("source_a", "row_key_a", "source_b", "row_key_b")


def keep_state(
    work: Workspace, limits: Linkage | Identity, open_pairs: Sequence[tuple[Pair, Unjoined]], folder: Path
) -> None:
    """Write the three files into the step's `folder`, from `linkable` and `pairs`."""
    work.write(f"SELECT * EXCLUDE (unique_id) FROM linkable ORDER BY {', '.join(RECORD)}", folder / LINKABLE)
    write_twin(work, folder / LINKABLE, *sought_by(limits))
    work.write(f"{named_pairs_sql('pairs', 'weight')} ORDER BY {', '.join(PAIR)}", folder / PAIRS)
    keep_unjoined(work, open_pairs, folder)


def sought_by(limits: Linkage | Identity) -> list[tuple[str, ...]]:
    """Return what the records in `linkable.parquet` are sought by: themselves, what they claim, what makes two of them
    compared, and the values whose frequency counts."""
    if isinstance(limits, Identity):
        return [RECORD, CLAIM]
    return [RECORD, CLAIM, *map(tuple, limits.blocking), *((column,) for column in frequency_columns(limits))]


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
