"""Two departments match their sets through a live hub: real nodes, real tables, points sealed from node to node."""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from datong.adapters.connections import open_connector
from datong.catalogue import ResourceAction, ResourceContent
from datong.kernel import (
    Actor,
    ActorKind,
    Conflict,
    Corrupt,
    Database,
    DatongError,
    Invalid,
    Refused,
    SystemClock,
)
from datong.ledger import EntryKind
from datong.node.matching import RESULT, STATE, Matcher
from datong.norms import load_pack
from datong.sharing import MatchingStep, tables
from datong.sharing.rights_state import RIGHTS_AREAS
from tests.integration.web.conftest import EDUCATION, POLICE, RunningHub, running_hub
from tests.integration.web.test_story import Node, content, posted

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
COMMON, ONLY = 40, 110


def citizen(number: int) -> str:
    """Return the citizen number of the `number`-th person of a day."""
    first = f"440604{19800101 + number // 900:08}{number % 900:03}"
    return first + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(first, WEIGHTS, strict=True)) % 11]


def table(path: Path, numbers: list[str]) -> str:
    """Write a table of people and return the address of its database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE people (id TEXT, name TEXT)")
        connection.executemany("INSERT INTO people VALUES (?, '某')", [(number,) for number in numbers])
        connection.commit()
    return f"sqlite:///{path}"


class Matched:
    """A hub with two departments whose nodes have a table each."""

    def __init__(self, hub: RunningHub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.operator, self.authority = hub.person("operator"), hub.person("authority")
        self.police, self.education = hub.person("police"), hub.person("education")
        self.nodes = {code: Node(hub, self.operator, code) for code in (POLICE, EDUCATION)}
        common = [citizen(number) for number in range(COMMON)]
        # What one of them writes with small letters or spaces, or in 15 characters, is the same person.
        theirs = [f" {number.lower()}" for number in common]
        self.sets = {
            POLICE: common + [citizen(1000 + number) for number in range(ONLY)] + ["none of any", ""],
            EDUCATION: theirs + [citizen(3000 + number) for number in range(ONLY)] + theirs[:5],
        }
        self.urls = {code: table(folder / f"{code}.db", numbers) for code, numbers in self.sets.items()}
        self.resources = {code: self._published(code) for code in (POLICE, EDUCATION)}
        self.pack = load_pack()

    def _published(self, code: Any) -> str:
        """Publish a department's people, the way that is shortest for a test."""
        services, node = self.hub.services, self.nodes[code]
        officer = Actor(kind=ActorKind.PERSON, id=code, department=code)
        chief = Actor(kind=ActorKind.PERSON, id="chief", department=services.departments.all()[0].code)
        made = services.catalogue.draft(code, ResourceContent.model_validate(content(node.id)), officer)
        for action in (ResourceAction.SIGN_OFF, ResourceAction.SUBMIT):
            services.catalogue.act(made.id, action, officer)
        for action in (ResourceAction.APPROVE, ResourceAction.PUBLISH):
            services.catalogue.act(made.id, action, chief)
        return made.id

    def matcher(self, code: Any, passed: Any = lambda _: None) -> Matcher:
        """Return a department's node as it is after any start."""
        node = self.nodes[code]
        return Matcher(
            client=node.client,
            folder=self.folder / str(code),
            signer=node.signer,
            clock=SystemClock(),
            department=code,
            node_id=node.id,
            open_source=lambda _: open_connector(self.urls[code]),
            load_pack=lambda: self.pack,
            passed=passed,
        )

    def propose(self, **change: object) -> str:
        """Let education propose and the police approve; return the id."""
        draft = {
            "own_resource": self.resources[EDUCATION], "own_column": "id", "other_resource": self.resources[POLICE],
            "other_column": "id", "purpose": "核对在校学生与常住人口", "legal_basis": "《义务教育法》", **change,
        }  # fmt: skip
        made: Any = posted(self.education, "/api/v1/matchings", draft)
        matching_id = str(made["terms"]["id"])
        posted(self.police, f"/api/v1/matchings/{matching_id}/actions", {"action": "approve"}, status=200)
        return matching_id

    def run(self, *codes: Any, rounds: int = 8) -> None:
        """Let both nodes attend until nothing is left to do."""
        for _ in range(rounds):
            for code in codes or (POLICE, EDUCATION):
                self.matcher(code).attend()

    def state(self, matching_id: str) -> dict[str, Any]:
        """Return what the hub says of a matching."""
        found: dict[str, Any] = self.authority.get(f"/api/v1/matchings/{matching_id}").json()
        return found

    def learned(self, code: Any, matching_id: str) -> list[str] | None:
        """Return which values a node has learned to be common."""
        path = self.folder / str(code) / "matchings" / matching_id / RESULT
        return path.read_text().split("\n") if path.exists() else None

    def fresh(self) -> None:
        """Forget earlier matchings at hub and nodes, so that the quota of one test is not that of the next."""
        with self.hub.services.database.transaction() as connection:
            connection.execute(delete(tables.matching))
        for path in self.folder.glob(f"*/matchings/*/{STATE}"):
            path.unlink()


@pytest.fixture(scope="module")
def shared(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matched]:
    home = tmp_path_factory.mktemp("matchings")
    file = home / "control.sqlite"
    file.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{file}")
    with running_hub(database, home / "hub") as hub:
        yield Matched(hub, home)
    database.close()


@pytest.fixture
def matched(shared: Matched) -> Matched:
    shared.fresh()
    return shared


@pytest.mark.parametrize(
    ("reveal", "knows"), [("nobody", ()), ("proposer", (EDUCATION,)), ("both", (POLICE, EDUCATION))]
)
def test_both_learn_how_many_and_who_is_to_learn_which(matched: Matched, reveal: str, knows: tuple[Any, ...]) -> None:
    matching_id = matched.propose(reveal=reveal)
    matched.run()
    found = matched.state(matching_id)
    assert found["state"] == "done", found["reason"]
    assert {report["common"] for report in found["reports"]} == {COMMON}
    expected = sorted(citizen(number) for number in range(COMMON))
    for code in (POLICE, EDUCATION):
        assert matched.learned(code, matching_id) == (expected if code in knows else None)
        (said,) = [one for one in matched.matcher(code).results() if one["matching_id"] == matching_id]
        assert (said["own_size"], said["other_size"], said["common"]) == (COMMON + ONLY, COMMON + ONLY, COMMON)
    entries = matched.hub.services.ledger.entries(kind=EntryKind.MATCHING, limit=50).rows
    assert [entries[0].facts[name] for name in ("state", "proposer_size", "other_size", "common")] == [
        "done", COMMON + ONLY, COMMON + ONLY, COMMON,
    ]  # fmt: skip
    compared = matched.hub.services.ledger.fsck(RIGHTS_AREAS)
    assert compared.compared["sharing.matching"] == 1
    assert "ledger.state_differs" not in {fault.code for fault in compared.faults}
    kept = [path for code in (POLICE, EDUCATION) for path in (matched.folder / str(code)).rglob("*") if path.is_file()]
    assert {path.name for path in kept} <= {STATE, RESULT}
    assert not any("secret" in json.loads(path.read_text()) for path in kept if path.name == STATE)
    assert not list((matched.hub.services.settings.lake / "matchings").rglob("*.bin"))
    said_to_hub = matched.hub.services.settings.lake / "matchings" / matching_id
    assert not said_to_hub.exists()


def test_the_hub_sees_no_value_and_no_point_that_it_could_compare(matched: Matched) -> None:
    matching_id = matched.propose()
    for _ in range(2):
        for code in (POLICE, EDUCATION):
            matched.matcher(code).attend()
    parts = [path.read_bytes() for path in (matched.hub.services.settings.lake / "matchings" / matching_id).iterdir()]
    assert len(parts) >= 2
    own = [
        path.read_bytes()[at : at + 32]
        for path in matched.folder.glob(f"*/matchings/{matching_id}/own.points")
        for at in range(0, 320, 32)
    ]
    everything = b"".join(parts)
    assert own
    assert not any(point in everything for point in own), "sealed"
    assert not any(citizen(number).encode() in everything for number in range(COMMON))
    matched.run()
    assert matched.state(matching_id)["state"] == "done"


def test_fewer_than_agreed_are_not_told_and_nothing_is_revealed(matched: Matched) -> None:
    matching_id = matched.propose(reveal="both", common_min=COMMON + 1)
    matched.run()
    found = matched.state(matching_id)
    assert found["state"] == "done"
    assert [report["common"] for report in found["reports"]] == [None, None]
    assert [matched.learned(code, matching_id) for code in (POLICE, EDUCATION)] == [None, None]
    assert {part["step"] for part in found["parts"]} == {"blinded", "doubled"}


def test_a_set_that_is_too_small_ends_the_matching_before_anything_is_sent(matched: Matched) -> None:
    matching_id = matched.propose(size_min=COMMON + ONLY + 1)
    matched.run()
    found = matched.state(matching_id)
    assert (found["state"], found["reason"], found["parts"]) == ("failed", "node.matching_set_size", [])


def test_the_quota_of_a_pair_holds_at_the_hub_and_at_the_nodes(matched: Matched) -> None:
    for _ in range(4):
        matched.propose()
    draft = {
        "own_resource": matched.resources[POLICE], "own_column": "id", "other_resource": matched.resources[EDUCATION],
        "other_column": "id", "purpose": "x", "legal_basis": "x",
    }  # fmt: skip
    answer = matched.police.post("/api/v1/matchings", json=draft)
    assert (answer.status_code, answer.json()["code"]) == (403, "sharing.matching_quota"), answer.text
    assert matched.matcher(POLICE).attend() == 4
    for path in (matched.hub.services.settings.lake / "matchings").glob("*"):
        assert path.is_dir()
    with matched.hub.services.database.transaction() as connection:
        connection.execute(delete(tables.matching))
    fifth = matched.propose()
    matched.matcher(POLICE).attend()
    assert matched.state(fifth)["reason"] == "node.matching_refused", "whatever the hub lets through"


class Killed(Exception):
    """The process is gone."""


def test_killed_at_any_point_a_node_goes_on_with_the_same_bytes(matched: Matched) -> None:
    points: list[str] = []
    matching_id = matched.propose(reveal="both")
    for code in (POLICE, EDUCATION):
        matched.matcher(code).attend()
    # Each point is passed once more often than the process dies there.
    died: set[tuple[Any, str]] = set()

    def dying(code: Any) -> Any:
        def passed(point: str) -> None:
            points.append(point)
            if (code, point) not in died:
                died.add((code, point))
                raise Killed(point)

        return passed

    for _ in range(40):
        for code in (POLICE, EDUCATION):
            try:
                matched.matcher(code, dying(code)).attend()
            except Killed:
                continue
    found = matched.state(matching_id)
    assert found["state"] == "done", found["reason"]
    assert {report["common"] for report in found["reports"]} == {COMMON}
    assert matched.learned(POLICE, matching_id) == matched.learned(EDUCATION, matching_id)
    assert {
        "set kept",
        "secret kept",
        "blinded sealed",
        "blinded sent",
        "order kept",
        "result kept",
        "reported",
    } <= set(points)


def test_a_secret_is_never_used_with_another_set(matched: Matched) -> None:
    matching_id = matched.propose()
    for code in (POLICE, EDUCATION):
        matched.matcher(code).attend()
    with pytest.raises(Killed):
        matched.matcher(POLICE, _killed_at("secret kept")).attend()
    values = next(matched.folder.glob(f"{POLICE}/matchings/{matching_id}/values.txt"))
    values.write_text(values.read_text() + "\n" + citizen(9))
    matched.run()
    found = matched.state(matching_id)
    assert (found["state"], found["reason"]) == ("failed", "node.matching_state_lost")
    assert not values.exists()


def _killed_at(point: str) -> Any:
    def passed(reached: str) -> None:
        if reached == point:
            raise Killed(point)

    return passed


@pytest.mark.parametrize("harm", ["noise", "twice", "identity", "short"])
def test_what_no_honest_node_sends_is_refused(matched: Matched, harm: str) -> None:
    """A node with the right keys that seals malformed points: the other one ends the matching."""
    matching_id = matched.propose()
    for code in (POLICE, EDUCATION):
        matched.matcher(code).attend()
    with pytest.raises(Killed):
        matched.matcher(POLICE, _killed_at("secret kept")).attend()
    own = matched.folder / str(POLICE) / "matchings" / matching_id / "own.points"
    size = (COMMON + ONLY) * 32
    bad = {
        "noise": secrets.token_bytes(size),
        "twice": (b"\xe2" + bytes(31)) * (COMMON + ONLY),
        "identity": bytes(size),
        "short": secrets.token_bytes(size - 1),
    }[harm]
    own.write_bytes(bad)
    matched.run()
    found = matched.state(matching_id)
    assert found["state"] == "failed", found
    assert found["reason"] == "sharing.matching_malformed"


def test_who_may_not_is_refused(matched: Matched) -> None:
    draft = {
        "own_resource": matched.resources[EDUCATION], "own_column": "id", "other_resource": matched.resources[POLICE],
        "other_column": "id", "purpose": "x", "legal_basis": "x",
    }  # fmt: skip
    for change in ({"own_column": "name", "other_column": "name"}, {"other_column": "nothing"}, {"size_min": 1},
                   {"common_min": 1}, {"own_resource": draft["other_resource"]}):  # fmt: skip
        assert matched.education.post("/api/v1/matchings", json={**draft, **change}).status_code == 422
    assert matched.operator.post("/api/v1/matchings", json=draft).status_code == 403
    made: Any = posted(matched.education, "/api/v1/matchings", draft)
    address = f"/api/v1/matchings/{made['terms']['id']}"
    assert matched.education.post(f"{address}/actions", json={"action": "approve"}).status_code == 403
    assert matched.operator.get(address).status_code == 403
    posted(matched.police, f"{address}/actions", {"action": "refuse"}, status=200)
    assert matched.police.post(f"{address}/actions", json={"action": "approve"}).status_code == 409
    listed = matched.police.get("/api/v1/matchings").json()["rows"]
    assert [one["state"] for one in listed] == ["refused"]
    node = matched.nodes[POLICE].client
    with pytest.raises((Conflict, Refused, Invalid, Corrupt, DatongError)):
        node.matching_part(made["terms"]["id"], MatchingStep.BLINDED, 0)
