"""`datong cascade` between two hubs that answer over HTTP."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from datong.cli.cascade import app
from datong.kernel import PLATFORM_ACTOR, Database, Refused
from datong.sharing import Role
from tests.catalogue_filling import fill
from tests.integration.open.serving import BUREAU, OpenHub, served

PASSWORD = "correct horse battery"
Reach = tuple[str, ...]


@pytest.fixture
def reaches(migrated_sqlite: Path, tmp_path: Path) -> Iterator[tuple[OpenHub, Reach, Reach]]:
    """Yield the higher hub, and how an operator reaches the lower and the higher one."""
    found: list[tuple[OpenHub, Reach]] = []
    with ExitStack() as stack:
        for name in ("city", "province"):
            file = tmp_path / f"{name}.sqlite"
            shutil.copy(migrated_sqlite, file)
            database = Database(f"sqlite:///{file}")
            stack.callback(database.close)
            hub = stack.enter_context(served(database, tmp_path / name, log_origin=f"{name}.example/log"))
            fill(database, hub.services.pack, 12, seed=len(found) + 1, open_percent=100, departments_max=3)
            hub.services.identity.create_account(
                username="operator",
                password=PASSWORD,
                name="运维员",
                roles=frozenset({Role.OPERATOR}),
                actor=PLATFORM_ACTOR,
                department=None,
            )
            account = {"username": "operator", "password": PASSWORD}
            answer = httpx.post(f"{hub.url}/api/v1/session", json=account, timeout=60)
            found.append((hub, ("--hub", hub.url, "--token", answer.json()["token"])))
        yield found[1][0], found[0][1], found[1][1]


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, arguments, env={"DATONG_LANGUAGE": "en"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_two_hubs_are_joined_compared_paused_and_parted_by_commands(reaches: tuple[OpenHub, Reach, Reach]) -> None:
    province, lower, higher = reaches
    assert json.loads(run("list", "--json", *lower)) == []
    told = run("expect", "--name", "某市", "--department", BUREAU, "--region", "440600", *higher)
    assert "Lower hub  某市  Waiting to join" in told
    token = re.findall(r"Token to join with: (\S+)", told)[0]
    joining = ("--join-token", token, "--own-name", "某市", "--name", "某省", "--department", BUREAU)
    joined = json.loads(run("join", province.url, *joining, "--scope", "open", "--json", *lower))
    assert (joined["side"], joined["state"], joined["settings"]["scope"]) == ("superior", "active", "open")
    peer = joined["id"]
    assert "not compared yet" in run("status", peer, *lower, code=1)
    assert "in step, 0 to be applied there, received up to 12" in run("exchange", peer, *lower)
    assert "in step" in run("status", peer, *lower)
    (above,) = json.loads(run("list", "--json", *higher))
    assert (above["hub"], above["in_step"], above["received_serial"]) == ("city.example/log", True, 12)
    assert "Paused" in run("pause", peer, *lower)
    with pytest.raises(Refused, match="Paused"):
        run("exchange", peer, *lower)
    assert "Linked" in run("resume", peer, *lower)
    assert "Linked" in run("list", *lower)
    run("end", peer, *lower, code=1)
    assert "Ended" in run("end", peer, "--yes", *lower)


def test_a_refusal_is_told_in_the_hubs_words(reaches: tuple[OpenHub, Reach, Reach]) -> None:
    _, lower, higher = reaches
    with pytest.raises(Refused, match="no department"):
        run("expect", "--name", "某市", "--department", "114406000000000999", *higher)
    with pytest.raises(Refused):
        run("status", "no-such-link", *lower)
    joining = ("--join-token", "wrong", "--own-name", "某市", "--name", "某省", "--department", BUREAU)
    with pytest.raises(Refused):
        run("join", reaches[0].url, *joining, *lower)
