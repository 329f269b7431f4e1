"""Kill hubs of a chain of three processes while they exchange: in the end every hub holds what it is shown."""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.federation.hub_processes import HubProcess, hub_process, settle

ROUNDS = max(int(os.environ.get("DATONG_FAULT_ROUNDS", "3")) // 10, 3)
RESOURCES = 150
"""Of each hub; with those from above, the county is shown more than one batch."""


@dataclass
class Chain:
    """A county below a city below a province, each a process with a database of its own."""

    county: HubProcess
    city: HubProcess
    province: HubProcess
    below: str = ""
    above: str = ""

    @property
    def hubs(self) -> tuple[HubProcess, ...]:
        return self.county, self.city, self.province

    def links(self) -> list[dict[str, object]]:
        """Return both links as their lower ends know them."""
        return [
            self.county.call("GET", f"/cascade/peers/{self.below}").json(),
            self.city.call("GET", f"/cascade/peers/{self.above}").json(),
        ]

    def moved(self) -> int:
        """Return how much has gone over the links in both directions."""
        return sum(int(str(link[name])) for link in self.links() for name in ("sent_serial", "received_serial"))

    def kill_one(self, dice: random.Random) -> None:
        """Kill a hub at a moment when something moves, or moved long enough ago that nothing will; start it again."""
        before, tries = self.moved(), dice.randrange(20)
        while tries and self.moved() == before:
            tries -= 1
            time.sleep(0.1)
        time.sleep(dice.uniform(0, 0.4))
        victim = dice.choice(self.hubs)
        victim.kill()
        victim.start()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    county, city, province = (hub_process(name, tmp_path) for name in ("county", "city", "province"))
    made = Chain(county, city, province)
    yield made
    for hub in made.hubs:
        hub.kill()


def settings_for(other: HubProcess, here: HubProcess, scope: str) -> dict[str, str]:
    department = here.call("GET", "/departments").json()[0]["code"]
    return {"name": other.name, "department": department, "region": "440600", "scope": scope}


def join(lower: HubProcess, higher: HubProcess) -> str:
    """Join two running hubs; return the lower one's id of the link."""
    answer = higher.call("POST", "/cascade/subordinates", settings_for(lower, higher, "shared"))
    assert answer.status_code == 201, answer.text
    body = {
        "settings": settings_for(higher, lower, "shared"),
        "address": higher.url,
        "token": answer.json()["token"],
        "own_name": lower.name,
    }
    joined = lower.call("POST", "/cascade/superiors", body)
    assert joined.status_code == 201, joined.text
    return str(joined.json()["id"])


def seen_at(hub: HubProcess, *, only_open: bool = False) -> dict[tuple[str, str], str]:
    """Return (own hub, id there) of every entry that is shared, whichever hub it is of, with its title."""
    return {
        (found.content.origin.path[0], found.content.origin.root_id)
        if found.content.origin
        else (hub.name, str(found.id)): found.content.title.zh
        for found in hub.visible()
        if found.content.share_type != "3" and (found.content.open or not only_open)
    }


def of_hub(seen: dict[tuple[str, str], str], hub: HubProcess) -> dict[tuple[str, str], str]:
    return {key: title for key, title in seen.items() if key[0] == hub.name}


def test_three_hub_processes_in_a_chain_agree_after_kills(chain: Chain) -> None:
    dice = random.Random(os.environ.get("DATONG_FAULT_SEED", "cascade"))
    for seed, hub in enumerate(chain.hubs, start=1):
        hub.prepare(RESOURCES, seed=seed)
        hub.start()
    own = [seen_at(hub) for hub in chain.hubs]
    everything = own[0] | own[1] | own[2]
    assert len(everything) == sum(len(part) for part in own) > 2 * RESOURCES
    chain.below, chain.above = join(chain.county, chain.city), join(chain.city, chain.province)
    for _ in range(ROUNDS):
        chain.kill_one(dice)

    def in_step() -> bool:
        return all(link["in_step"] and link["failure"] is None for link in chain.links())

    settle(lambda: in_step() and all(seen_at(hub) == everything for hub in chain.hubs))
    for hub in chain.hubs:
        assert {found.version for found in hub.visible()} == {1}

    # What is no longer shown is withdrawn along the whole chain, killed again on the way.
    narrowed = settings_for(chain.city, chain.county, "open")
    assert chain.county.call("PUT", f"/cascade/peers/{chain.below}", narrowed).status_code == 200
    chain.kill_one(dice)
    county_open = of_hub(seen_at(chain.county, only_open=True), chain.county)
    assert 0 < len(county_open) < len(own[0])
    settle(
        lambda: (
            in_step() and all(of_hub(seen_at(hub), chain.county) == county_open for hub in (chain.city, chain.province))
        )
    )
    for hub, mine in zip(chain.hubs, own, strict=True):
        assert of_hub(seen_at(hub), hub) == mine
