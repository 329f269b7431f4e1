"""How fast a node sketches a column, and how far the estimates err; both beside what one would use otherwise.

Speed: sketching a column of citizen IDs (standardised first) and one of plain texts, against hashing the same column by
SHA-256 in the same engine and doing nothing with it, which is the limit. Error: containment by joint estimation against
b-bit MinHash of as many bytes (one permutation, 4096 registers of 8 bits) with exact cardinalities given to it, over
sets whose overlap is known. Exposure: what somebody with the nodes' secret learns of a member beyond a stranger.
"""

import argparse
import math
import statistics
from collections.abc import Sequence
from functools import partial

import duckdb
import pyarrow as pa

from benchmarks import report
from datong.catalogue import OverlapEstimate, SketchKey, SketchRequest, overlap, sketch_columns
from datong.norms import load_pack

KEY = SketchKey(epoch="benchmark", secret=b"b" * 32)
BINS = 4096
MINHASH_VALUES = 256
CASES = {
    "half of equal sets": (50_000, 50_000, 50_000),
    "2% of equal sets": (49_000, 49_000, 1_000),
    "all of a small set": (0, 190_000, 10_000),
    "95% of a small set": (500, 190_500, 9_500),
    "half of a small set": (5_000, 195_000, 5_000),
    "nothing": (50_000, 50_000, 0),
    "nearly equal": (20, 30, 100_000),
}
"""How many values only A, only B, and both have."""
EXPOSED_SIZES = (2_000, 20_000, 200_000)


def column(connection: duckdb.DuckDBPyConnection, expression: str, rows: int) -> pa.Table:
    """Return a column `v` made by an expression of `i`."""
    made: pa.Table = connection.execute(
        f"SELECT {expression} AS v FROM (SELECT i::BIGINT AS i FROM range({rows}) r(i))"
    ).to_arrow_table()
    return made


def speed(rows: int, runs: int) -> dict[str, float]:
    """Return seconds for one column of `rows` values: hashed only, sketched as text, sketched as citizen IDs."""
    pack = load_pack()
    connection = duckdb.connect()
    days = "strftime(DATE '1950-01-01' + (i % 25000)::INTEGER, '%Y%m%d')"
    ids = column(connection, f"'440106' || {days} || lpad((i // 25000)::VARCHAR, 3, '0') || (i % 10)::VARCHAR", rows)
    texts = column(connection, "'H' || lpad((i * 7919 % 100000000007)::VARCHAR, 11, '0')", rows)
    found: dict[str, list[float]] = {"hash": [], "text": [], "citizen_id": []}
    connection.register("ids", ids)
    for _ in range(runs):
        found["hash"].append(report.timed(partial(_hash_all, connection))[0])
        for name, table, element in (("text", texts, "student_id"), ("citizen_id", ids, "citizen_id")):
            request = (SketchRequest(column="v", element=element),)
            seconds, (sketch,) = report.timed(partial(sketch_columns, table.to_batches(), request, pack=pack, key=KEY))
            if sketch.too_few:
                raise RuntimeError("the column was not sketched")
            found[name].append(seconds)
    connection.close()
    return {name: report.median(values) for name, values in found.items()}


def _hash_all(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SELECT max(sha256(v)) FROM ids").fetchall()


class Ranks:
    """The lowest rank of each bin for sets of random values, as a keyed hash makes them."""

    def __init__(self, seed: float) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET threads = 1")
        self._connection.execute("SELECT setseed(?)", [seed])

    def of(self, number: int) -> list[float]:
        """Return the lowest rank (0 to 1) in each bin of a set of `number` values; 2 where there is none."""
        lowest = [2.0] * BINS
        rows = self._connection.execute(
            f"SELECT floor(random() * {BINS})::INTEGER AS place, min(random()) FROM range({number}) GROUP BY 1"
        ).fetchall()
        for place, rank in rows:
            lowest[place] = rank
        return lowest


def levels(ranks: Sequence[float]) -> bytes:
    """Return registers of the lowest ranks."""
    return bytes(0 if rank > 1 else min(255, 1 + math.floor(-10 * math.log2(max(rank, 1e-9)))) for rank in ranks)


def minhash(left: Sequence[float], right: Sequence[float], sizes: tuple[int, int]) -> float:
    """Return the share of the left set that the right one has, by 8-bit MinHash, cardinalities being known."""
    used = [(one, other) for one, other in zip(left, right, strict=True) if min(one, other) <= 1]
    same = sum(_low_bits(one) == _low_bits(other) for one, other in used) / len(used)
    jaccard = max(0.0, (same - 1 / MINHASH_VALUES) / (1 - 1 / MINHASH_VALUES))
    return min(1.0, jaccard * sum(sizes) / (1 + jaccard) / sizes[0])


def _low_bits(rank: float) -> int:
    return int(rank * 2**52) % MINHASH_VALUES if rank <= 1 else -1


def errors(name: str, trials: int) -> dict[str, float]:
    """Return the root mean square errors of one case, and what the estimate says its error is."""
    only_left, only_right, both = CASES[name]
    ranks = Ranks(0.1 + 0.1 * list(CASES).index(name))
    truth = both / (only_left + both)
    joint: list[OverlapEstimate] = []
    other: list[float] = []
    for _ in range(trials):
        a, b, c = (ranks.of(number) for number in (only_left, only_right, both))
        left, right = list(map(min, a, c)), list(map(min, b, c))
        joint.append(overlap(levels(left), levels(right)))
        other.append(minhash(left, right, (only_left + both, only_right + both)))
    return {
        "truth": report.rounded(truth),
        "joint_rmse": _rmse([one.left_held.value for one in joint], truth),
        "joint_stated": report.rounded(statistics.mean(one.left_held.error for one in joint)),
        "minhash_rmse": _rmse(other, truth),
        "jaccard_rmse": _rmse([one.jaccard.value for one in joint], both / (only_left + only_right + both)),
        "size_rmse_relative": report.rounded(
            _rmse([one.right.value for one in joint], only_right + both) / (only_right + both)
        ),
    }


def _rmse(values: Sequence[float], truth: float) -> float:
    return report.rounded(math.sqrt(statistics.mean((value - truth) ** 2 for value in values)))


def exposed(number: int) -> float:
    """Return how much more often a member than a stranger hits its register, for somebody who has the secret."""
    bins = BINS
    while bins > 256 and bins * 2 > number:
        bins //= 2
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute("SELECT setseed(0.5)")
    drawn = f"SELECT floor(random() * {bins}) AS place, 1 + floor(-10 * log2(random() + 1e-12)) AS level"
    connection.execute(f"CREATE TABLE members AS {drawn} FROM range({number})")
    connection.execute(f"CREATE TABLE strangers AS {drawn} FROM range({number})")
    connection.execute("CREATE TABLE registers AS SELECT place, max(level) AS level FROM members GROUP BY place")
    hits = [
        connection.execute(f"SELECT count(*) FROM {name} JOIN registers USING (place, level)").fetchall()[0][0]
        for name in ("members", "strangers")
    ]
    connection.close()
    return report.rounded((hits[0] - hits[1]) / number)


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="values in the column that is sketched")
    parser.add_argument("--trials", type=int, default=40, help="sets drawn for each case of the error table")
    chosen: argparse.Namespace = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.rows, chosen.trials = 1, 20_000, 2
    report.say(f"sketching {chosen.rows} values")
    seconds = speed(chosen.rows, chosen.runs)
    report.say(f"{seconds}")
    table = {}
    for name in CASES:
        table[name] = errors(name, chosen.trials)
        report.say(f"{name}: {table[name]}")
    shown = {str(number): exposed(number) for number in EXPOSED_SIZES}
    report.finish(
        "sketches",
        runs=chosen.runs,
        sizes={"rows": chosen.rows, "trials": chosen.trials, "registers": BINS},
        figures={
            "seconds": seconds["citizen_id"],
            "values_per_second": report.rounded(chosen.rows / seconds["citizen_id"]),
            "text_seconds": seconds["text"],
            "hash_seconds": seconds["hash"],
            "ratio_to_hashing": report.rounded(seconds["text"] / seconds["hash"]),
            "ratio_to_hashing_standardised": report.rounded(seconds["citizen_id"] / seconds["hash"]),
            **{f"error {name}": found for name, found in table.items()},
            "exposed_to_secret_holder": shown,
            "peak_rss_mb": report.peak_rss_mb(),
        },
    )


if __name__ == "__main__":
    main()
