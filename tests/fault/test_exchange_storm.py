"""Anything that can die dies, any link fails, at random moments while rows move: nothing is lost and nothing doubled.

`DATONG_FAULT_ROUNDS` (200 by `make fault-long`) and `DATONG_FAULT_SEED` choose how long and which; a failure names its
seed.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.exchange_world import World
from tests.fault.proxy import Weather

ROUNDS = int(os.environ.get("DATONG_FAULT_ROUNDS", "20"))
SEED = int(os.environ.get("DATONG_FAULT_SEED", "20261126"))
FAULTS_PER_ROUND_MAX = 3
MOMENT_SECONDS_MAX = 1.5
DOWN_SECONDS_MAX = 0.5
WEATHERS = {
    "cut": Weather(cut=True),
    "half open": Weather(half_open=True),
    "30 % loss": Weather(loss=0.3),
    "2 s delay": Weather(delay_seconds=2.0),
    "altered uploads": Weather(alter=0.3),
    "truncated answers": Weather(truncate=0.2),
}
CONTROLS = ["sqlite", "postgresql"] if "DATONG_FAULT_ROUNDS" in os.environ else ["sqlite"]


@pytest.fixture(params=CONTROLS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, control=request.param, seed=SEED)
    world.start()
    yield world
    world.close()


@pytest.mark.timeout(60 * max(ROUNDS, 20))
def test_kills_at_random_moments_lose_and_double_nothing(world: World) -> None:
    for number in range(ROUNDS):
        world.change()
        world.request()
        for _ in range(world.random.randint(1, FAULTS_PER_ROUND_MAX)):
            time.sleep(world.random.uniform(0, MOMENT_SECONDS_MAX))
            part = world.parts[world.random.choice(list(world.parts))]
            part.kill()
            time.sleep(world.random.uniform(0, DOWN_SECONDS_MAX))
            part.start()
        world.settle()
        world.check()
        print(f"round {number + 1} of {ROUNDS} holds")
    world.check_log()


@pytest.mark.timeout(60 * max(ROUNDS, 20))
def test_bad_links_lose_and_double_nothing(world: World) -> None:
    for number in range(max(len(WEATHERS), ROUNDS // 4)):
        name = list(WEATHERS)[number % len(WEATHERS)]
        weather = WEATHERS[name]
        altering = bool(weather.alter or weather.truncate)
        # Only the hub's protocol carries digests of its own; a database's link is guarded by its driver's TLS.
        link = world.links["hub" if altering else world.random.choice(list(world.links))]
        world.change()
        world.request()
        time.sleep(world.random.uniform(0, 1.0))
        link.set(weather)
        time.sleep(world.random.uniform(1.0, 4.0))
        link.calm()
        world.settle()
        world.check()
        print(f"round {number + 1}, {name}: holds")
    world.check_log()
