"""Harvest a hub of 5,000 open resources into a second hub, over each interface: `make bench NAME=harvest`.

Ends with one JSON line: seconds per form for the first run, for the same again (full, nothing changed), and for 20
changes and 10 removals; whether the open catalogues were equal each time.
"""

import json
import os
import platform
import resource as usage
import tempfile
import time
from pathlib import Path

from tests.catalogue_filling import fill
from tests.integration.federation.test_own_hub import FORMS, Pair, change_origin
from tests.integration.open.serving import served

from datong.app.hub import Hub
from datong.app.schema import migrate
from datong.federation import RunMode
from datong.kernel import PLATFORM_ACTOR, Database, Settings

RESOURCES = int(os.environ.get("DATONG_HARVEST_RESOURCES", "9100"))
OPEN_PERCENT = 55


def measure(folder: Path, form: str) -> dict[str, object]:
    """Return the figures of one interface."""
    database = Database(f"sqlite:///{folder / 'origin.sqlite'}")
    migrate(database)
    second = Hub(Settings(home=folder / "second", log_origin="second.example/log"))
    with served(database, folder / "origin") as origin:
        filled = fill(database, origin.services.pack, RESOURCES, open_percent=OPEN_PERCENT)
        for department in origin.services.departments.all():
            second.services.departments.register(department, PLATFORM_ACTOR)
        pair = Pair(origin, filled, second, folder)
        source = pair.source(form)
        seconds: dict[str, float] = {}
        counts: dict[str, list[int]] = {}
        for name, mode in (("first", None), ("again", RunMode.FULL), ("changes", None)):
            if name == "changes":
                change_origin(pair)
            started = time.monotonic()
            run = pair.harvest(source, mode)
            seconds[name] = round(time.monotonic() - started, 1)
            counts[name] = [run.seen, run.added, run.changed, run.removed]
            equal = pair.compare()
            print(f"{form} {name}: {seconds[name]} s, {counts[name]}, {equal} entries equal", flush=True)
    second.close()
    database.close()
    return {"open": len(filled.open_ids), "seconds": seconds, "seen_added_changed_removed": counts, "equal": True}


if __name__ == "__main__":
    forms = os.environ.get("DATONG_HARVEST_FORMS", ",".join(FORMS)).split(",")
    figures = {}
    for chosen in forms:
        with tempfile.TemporaryDirectory() as temporary:
            figures[chosen] = measure(Path(temporary), chosen)
    print(
        json.dumps(
            {
                "name": "harvest",
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "forms": figures,
                "peak_rss_mb": usage.getrusage(usage.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )
