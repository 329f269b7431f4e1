"""A build killed in any step: the last version stays served, the build resumes, and the result is the same."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.adapters.launcher import Launched
from datong.app.schema import migrate
from datong.kernel import PLATFORM_ACTOR, BuildId, Database
from datong.ledger import EntryKind, Ledger
from datong.library import Build, BuildState, BuildStep, FixedLanding, LandedSource, Library
from tests.fault.library_worker import open_library
from tests.library_sources import landed_city, with_increment
from tests.processes import launcher

PEOPLE = 200
WAIT_SECONDS = 240.0
NEWCOMER = (
    "RY999999999", "司徒云", "110101199003070011", "1", "01", "19900307", "4406049999999", "02", "10",
    "广东省示例市禅城区祖庙街道汾江路12号3栋2单元101室", "440604", "20251201", "13812345678", "2026-01-05 09:00:00",
)  # fmt: skip
OF_RECORDS = [step for step in BuildStep if step is not BuildStep.DERIVE]
"""The steps of a library that is built of what landed."""
DERIVED = "relations"


Landings = tuple[tuple[LandedSource, ...], tuple[LandedSource, ...]]


class World:
    """A hub's folder with one published version, and landed data for the next."""

    def __init__(self, folder: Path, landed: tuple[LandedSource, ...]) -> None:
        self.folder = folder
        self.landing = FixedLanding(landed)
        self.library: Library
        self.ledger: Ledger
        self.database: Database
        self.library, self.ledger, self.database = open_library(folder, self.landing)
        migrate(self.database)

    def request(self, name: str = "population") -> Build:
        return self.library.request_build(name, actor=PLATFORM_ACTOR)

    def build(self) -> Build:
        return self.library.run_build(self.request().id)

    def start(self, build_id: BuildId) -> Launched:
        command = ["-m", "tests.fault.library_worker", str(self.folder), build_id]
        with (self.folder / "worker.log").open("ab") as log:
            return launcher().start(command, environment=os.environ, output=log)

    def build_folder(self, build: Build) -> Path:
        return self.folder / "lake" / "library" / build.library / "builds" / build.id


@pytest.fixture(scope="module")
def landings(tmp_path_factory: pytest.TempPathFactory) -> Landings:
    """What landed before the first version, and before the second."""
    folder = tmp_path_factory.mktemp("landing")
    first, _ = landed_city(folder, people=PEOPLE, seed=3)
    residents = next(source for source in first if source.resource_id == "residents")
    second = with_increment(residents, folder, [NEWCOMER])
    return first, tuple(second if source is residents else source for source in first)


@pytest.fixture(scope="module")
def first_version(tmp_path_factory: pytest.TempPathFactory, landings: Landings) -> Path:
    """The folder of a hub that has published the first landing."""
    folder = tmp_path_factory.mktemp("first")
    world = World(folder, landings[0])
    world.build()
    world.database.close()
    return folder


@pytest.fixture(scope="module")
def undisturbed_digest(tmp_path_factory: pytest.TempPathFactory, landings: Landings) -> str | None:
    """The digest of a build from scratch of all that landed, which nobody disturbed."""
    calm = World(tmp_path_factory.mktemp("calm"), landings[1])
    done = calm.build()
    calm.database.close()
    return done.digest


@pytest.fixture
def world(tmp_path: Path, landings: Landings, first_version: Path) -> Iterator[World]:
    """A hub that serves the first version; the second landing waits to be built."""
    made = World(Path(shutil.copytree(first_version, tmp_path / "hub")), landings[1])
    yield made
    made.database.close()


def _kill_when(process: Launched, sign: Path) -> None:
    """Kill the process as soon as `sign` exists."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not sign.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait()


@pytest.mark.parametrize("step", OF_RECORDS)
def test_killed_within_a_step(world: World, step: BuildStep, undisturbed_digest: str | None) -> None:
    served = world.library.dataset("population")
    build = world.request()
    folder = world.build_folder(build)
    _kill_when(world.start(build.id), folder / f".{step.value}.part")
    assert world.library.build(build.id).state is BuildState.RUNNING
    assert world.library.dataset("population") == served
    assert world.library.lookup("population", "person_name", "陈志强")
    _ends_well(world, build, undisturbed_digest)


@pytest.mark.parametrize("step", OF_RECORDS)
def test_killed_after_a_step(world: World, step: BuildStep, undisturbed_digest: str | None) -> None:
    build = world.request()
    _kill_when(world.start(build.id), world.build_folder(build) / step.value)
    _ends_well(world, build, undisturbed_digest)


@pytest.mark.parametrize("step", [BuildStep.DERIVE, BuildStep.PUBLISH])
def test_a_derived_library_killed_within_a_step(
    tmp_path: Path, world: World, landings: Landings, step: BuildStep
) -> None:
    calm = World(Path(shutil.copytree(world.folder, tmp_path / "calm")), landings[0])
    undisturbed = calm.library.run_build(calm.request(DERIVED).id)
    calm.database.close()
    build = world.request(DERIVED)
    _kill_when(world.start(build.id), world.build_folder(build) / f".{step.value}.part")
    assert world.library.build(build.id).state is BuildState.RUNNING
    done = world.library.run_build(build.id)
    assert done.state is BuildState.PUBLISHED
    assert done.entities
    assert (done.digest, done.entities) == (undisturbed.digest, undisturbed.entities)


def _ends_well(world: World, build: Build, undisturbed_digest: str | None) -> None:
    """Resume the build, and compare it with one that nobody disturbed and that knew no first version."""
    assert world.library.pending_builds() in ((build.id,), ())
    done = world.library.run_build(build.id)
    assert done.state is BuildState.PUBLISHED
    assert done.version == 2
    assert world.library.report("population").base is not None
    assert len(world.ledger.entries(kind=EntryKind.DATASET).rows) == 2
    assert done.digest == undisturbed_digest
