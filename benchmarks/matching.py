"""What a private matching costs, next to the scalar multiplications that it cannot do without.

Two sets, half of each common, go through all that both nodes compute: hashing to points, blinding, raising the other's
points, mixing, counting. The limit is a bare loop over the library's multiplication, as many as the protocol needs: two
per element of either set. Figures are in processor seconds, so that other work on the machine does not count.
"""

import time

from benchmarks import report
from datong.sharing.private_sets import blinded, common_places, group, new_order, new_secret, ordered, raised

SIZES = (2_000, 20_000)
QUICK_SIZES = (500,)


def protocol(size: int) -> tuple[float, float]:
    """Return processor seconds and seconds of one matching of two sets of `size`, half of each common."""
    mine = [f"{number:018d}" for number in range(size)]
    theirs = [f"{number:018d}" for number in range(size // 2, size // 2 + size)]
    began, clock = time.process_time(), time.perf_counter()
    ours, others = new_secret(), new_secret()
    own, other = blinded(mine, ours, "benchmark"), blinded(theirs, others, "benchmark")
    both_own, both_other = raised(own, others), raised(other, ours)
    counted = len(common_places(ordered(both_own, new_order(size)), both_other))
    if counted != size - size // 2:
        raise AssertionError(f"{counted} in common")
    return time.process_time() - began, time.perf_counter() - clock


def bare(size: int) -> float:
    """Return processor seconds of as many multiplications as a matching needs, by the library alone."""
    base, secret = group(), new_secret()
    point = base.crypto_core_ristretto255_from_hash(bytes(range(64)))
    began = time.process_time()
    for _ in range(4 * size):
        base.crypto_scalarmult_ristretto255(secret, point)
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    options = report.options(__doc__).parse_args()
    runs = 1 if options.quick else 3
    figures: dict[str, float] = {}
    sizes = QUICK_SIZES if options.quick else SIZES
    for size in sizes:
        report.say(f"two sets of {size}")
        measured = [(bare(size), *protocol(size)) for _ in range(runs)]
        limit, processor, seconds = (report.median(column) for column in zip(*measured, strict=True))
        figures = {
            "elements_per_second": report.rounded(2 * size / seconds),
            "elements_per_processor_second": report.rounded(2 * size / processor),
            "ratio_to_multiplications": report.rounded(limit / processor),
        }
        report.say(str(figures))
    report.finish(
        "matching",
        sizes={"elements_each": sizes[-1]},
        figures={**figures, "peak_rss_mb": report.peak_rss_mb()},
        runs=runs,
    )


if __name__ == "__main__":
    main()
