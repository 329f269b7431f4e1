"""Which tests of a whole run go to one process, and in which order: whole files, and files that share a dear world."""

from collections.abc import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

WORLDS = {
    "tests/integration/console/test_days.py": "the city of the console",
    "tests/integration/console/test_pages.py": "the city of the console",
    "tests/integration/console/test_substitutes.py": "the city of the console",
    "tests/integration/console/test_tampering.py": "the city of the console",
    "tests/integration/open/test_ckan.py": "the filled hub",
    "tests/integration/open/test_dcat.py": "the filled hub",
    "tests/integration/open/test_portal.py": "the filled hub",
    "tests/integration/redteam/test_alarm_pages.py": "the world under attack",
    "tests/integration/redteam/test_case_pages.py": "the world under attack",
    "tests/integration/redteam/test_coordination_pages.py": "the world under attack",
    "tests/integration/redteam/test_flow_pages.py": "the world under attack",
    "tests/integration/redteam/test_notice_pages.py": "the world under attack",
    "tests/integration/redteam/test_rating_pages.py": "the world under attack",
    "tests/integration/redteam/test_staff_pages.py": "the world under attack",
    "tests/integration/redteam/test_ways_out.py": "the world under attack",
}
"""Files, and the world that they share: a fixture of the session, made for each engine that it is asked for on."""
LONGEST_FIRST = (
    "tests/fault/test_demo_kill.py",
    "tests/integration/console/test_tampering.py",
    "tests/integration/console/test_pages.py",
    "tests/integration/console/test_substitutes.py",
    "tests/fault/test_exchange_storm.py",
    "tests/drills/test_engines.py",
    "tests/drills/operation/test_operation_guide.py",
    "tests/fault/test_demo_sabotage.py",
    "tests/smoke/test_benchmarks.py",
    "tests/integration/console/test_days.py",
    "tests/fault/test_exchange_surroundings.py",
    "tests/integration/open/test_invisible.py",
    "tests/fault/test_exchange_kill.py",
    "tests/integration/exchange/test_ranges.py",
    "tests/fault/test_cascade_kill.py",
    "tests/integration/exchange/test_binlog.py",
    "tests/fault/test_federation_kill.py",
    "tests/integration/exchange/test_capture.py",
    "tests/drills/operation/test_howto.py",
    "tests/drills/test_story.py",
)
"""Files that take minutes; in the alphabet's order the last of them ran alone while the other processes were done.

Those that wait for what they killed stand among those that compute.
"""
LAST = "unit"
"""The folder below `tests` whose files take a second each: at the end they leave no process without work."""
ENGINES = ("sqlite", "postgresql")


def order_of(files: Sequence[str]) -> dict[str, tuple[int, float, str]]:
    """Return by what each of `files` below `tests`, named in the alphabet's order, is put in order.

    The longest are first, the short ones of `LAST` last. Between them the folders' files are spread evenly among each
    other, since those of one folder wait for what they killed while those of another compute; files that share a world
    stay together.
    """
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    together = {file: file if file in ranks else WORLDS.get(file, file) for file in files}
    folders: dict[str, list[str]] = {}
    for file, name in together.items():
        names = folders.setdefault(file.split("/")[1], [])
        if name not in names:
            names.append(name)
    places: dict[str, tuple[int, float, str]] = {}
    for folder, names in folders.items():
        for place, name in enumerate(names):
            if name in ranks:
                places[name] = (0, ranks[name], "")
            elif folder == LAST:
                places[name] = (2, place, "")
            else:
                places[name] = (1, (place + 0.5) / len(names), folder)
    return {file: places[name] for file, name in together.items()}


def unit_of(nodeid: str) -> str:
    """Return what goes to one process together with the test `nodeid`: its file, or its world on its engine."""
    file, _, test = nodeid.partition("::")
    world = WORLDS.get(file)
    if world is None:
        return file
    return f"{world} on {next((engine for engine in ENGINES if engine in test.partition('[')[2]), ENGINES[0])}"


class WorldScheduling(LoadFileScheduling):
    """Hands out whole files as `--dist=loadfile` does, and the files of a world together."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def scheduling(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Return the scheduling of a run that hands out files; None for every other, which xdist then chooses."""
    return WorldScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
