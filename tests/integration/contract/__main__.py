"""Explore a hub for as long as you like: `python -m tests.integration.contract --minutes 10 --seed 1`.

Prints what was found and ends with 1 if it was anything.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

from datong.app.schema import migrate
from datong.kernel import Database
from tests.integration.contract.callers import everybody
from tests.integration.contract.exploring import Explored, Explorer
from tests.integration.contract.worlds import filled_hub, known_in

EXAMPLES = 20


def main() -> int:
    """Explore round by round, each with another seed, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="calls of each kind per operation and round")
    parser.add_argument("--only", default="", help="a regular expression over 'METHOD /path'")
    asked = parser.parse_args()
    everything, rounds = Explored(), 0
    deadline = time.monotonic() + 60 * asked.minutes
    wanted = re.compile(asked.only)
    while time.monotonic() < deadline:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            database = Database(f"sqlite:///{home / 'migrated.sqlite'}")
            migrate(database)
            database.close()
            with filled_hub(home / "migrated.sqlite", home) as world:
                explorer = Explorer(
                    url=world.hub.url,
                    callers=everybody(world),
                    known=known_in(world),
                    examples=asked.examples,
                    seed=asked.seed + rounds,
                    deadline=deadline,
                    only=lambda label: bool(wanted.search(label)),
                    told=lambda finding: print(finding, end="\n\n", flush=True),
                )
                explorer.explore(everything)
        rounds += 1
    print(
        f"{rounds} rounds, {everything.calls} calls of {len(everything.answers)} operations, "
        f"{everything.reached} of which did something; {len(everything.findings)} findings"
    )
    print("never did anything:", *sorted(everything.unreached), sep="\n  ", flush=True)
    return 1 if everything.findings else 0


if __name__ == "__main__":
    sys.exit(main())
