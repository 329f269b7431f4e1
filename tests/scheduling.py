"""Which tests of a whole run go to one process: those of a file, and files that read a world which is dear to build."""

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
}
"""Files, and the world that they share: a fixture of the session, made for each engine that it is asked for on."""
ENGINES = ("sqlite", "postgresql")


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
