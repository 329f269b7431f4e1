"""No item outside the agreement, no row outside the filter, no value below its grade: by no way out of the hub.

Attacks by name first, then a sweep over everything that answers GET, then the question whether any route was left out.
"""

import itertools
import re
import time
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import event

from datong.kernel.tls import tls_context
from datong.sharing.gateway_calls import FRESH_SECONDS
from datong.web import create_app
from tests.integration.redteam import attacks, live_attacks
from tests.integration.redteam.changing import CHANGING
from tests.integration.redteam.ways import ATTACKS, BY_HAND, NOT_APPLICABLE, Aim, Attack, Way
from tests.integration.redteam.world import SEEN, UNSEEN, RedTeamWorld

ATTACKING = (attacks, live_attacks)
"""The modules whose attacks are gathered."""
NAMED = sorted({made.__name__: made for found in ATTACKS.values() for made in found}.items())
SWEEPERS = ("officer", "auditor", "application")
"""For whom everything is read: a consumer who may do most, who may read every record, and a machine."""
CALLED: set[tuple[str, str]] = set()
"""What the attacks called, before the sweep."""


def test_every_way_has_its_attacks() -> None:
    table = set(itertools.product(Way, Aim))
    assert not ATTACKS.keys() & NOT_APPLICABLE.keys()
    assert table - ATTACKS.keys() - NOT_APPLICABLE.keys() == set(), "an attack or a reason for each"
    assert all(len(reason) > 20 for reason in NOT_APPLICABLE.values())


@pytest.mark.parametrize("made", [made for _, made in NAMED], ids=[name for name, _ in NAMED])
def test_attack(world: RedTeamWorld, made: Attack) -> None:
    made(world)
    for attacker in world.attackers.values():
        CALLED.update(attacker.called)
    world.no_leak()


def test_everything_that_answers_is_read(world: RedTeamWorld) -> None:
    values = parameters(world)
    for method, template in routes(world):
        if method != "GET" or template in NOT_SWEPT or _noun(template) in BY_HAND:
            continue
        unknown = [name for name in re.findall(r"\{(\w+)", template) if name not in values]
        assert not unknown, f"say in parameters() what {unknown} of {template} may be, so that it is read"
        path = re.sub(r"\{(\w+)(?::path)?\}", lambda found: values[found[1]], template)
        for who in SWEEPERS:
            if who != "officer" and not path.startswith(("/api", "/log", "/metrics", "/evidence")):
                continue
            answer = world[who].get(path, params=QUERIES.get(template, {}))
            assert answer.status_code < 500, (who, path, answer.text)
    world.no_leak()


def test_no_act_is_taken_from_another_sites_page(world: RedTeamWorld) -> None:
    """With the officer's cookie, as a browser sends it wherever a form points; nothing may come of any route."""
    values = {"resource_id": world.residents, "agreement_id": world.agreement.id, "number": "1", "version": "1"}
    token = world["officer"].headers["Authorization"].removeprefix("Bearer ")
    headers = {"Cookie": f"datong_session={token}", "Origin": "https://evil.example", "Accept": "application/json"}
    taken: dict[str, int] = {}
    with httpx.Client(
        base_url=world.hub.url, headers=headers, timeout=60, verify=tls_context(world.hub.url)
    ) as browser:
        for method, template in routes(world):
            if method in {"GET", "HEAD", "OPTIONS"}:
                continue
            path = re.sub(r"\{(\w+)(?::path)?\}", lambda found: values.get(found[1], "nothing"), template)
            answer = browser.request(method, path, content=b"")
            known = answer.headers["content-type"].startswith("application/problem+json")
            refused = known and answer.json()["code"] == "web.cross_origin"
            if not refused:
                taken[f"{method} {template}"] = answer.status_code
    assert taken.keys() == NO_COOKIE.keys(), taken
    for path, body in (("/language", "language=en"), ("/api/v1/session", '{"username": "a", "password": "b"}')):
        kind = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
        whole = httpx.post(
            world.hub.url + path,
            content=body,
            headers={**headers, "Content-Type": kind},
            timeout=60,
            verify=tls_context(world.hub.url),
        )
        assert (whole.status_code, whole.json()["code"]) == (403, "web.cross_origin")


NO_COOKIE = {
    "POST /api/v1/oauth/token": "machines come with credentials of their own",
    "POST /api/v1/nodes": "a node comes with its enrolment token",
    "POST /delta-sharing/shares/{share}/schemas/{schema}/tables/{table}/query": "bearer tokens only",
    "POST /api/action/{action}": "open catalogue: it only reads, for everybody",
    "POST /api/3/action/{action}": "open catalogue: it only reads, for everybody",
    "POST /api/v1/session": "the body is judged first; see below",
    "POST /language": "the form is judged first; see below",
}
"""Routes that no cookie opens, each with the reason."""


def test_no_route_is_left_out(world: RedTeamWorld) -> None:
    """The last test of the file: a new route is attacked, or changes something and answers no records (CHANGING)."""
    patterns = {
        (method, template): re.compile(
            re.sub(r"\\\{\w+(:path)?\\\}", lambda at: ".+" if at[1] else "[^/]+", re.escape(template))
        )
        for method, template in routes(world)
    }
    left: list[str] = []
    for (method, template), pattern in patterns.items():
        swept = method == "GET" and _noun(template) not in BY_HAND
        called = any(done == method and pattern.fullmatch(path) for done, path in CALLED)
        if not swept and not called and f"{method} {template}" not in CHANGING and method != "HEAD":
            left.append(f"{method} {template}")
    assert not left, "\n".join(left)
    unknown = sorted(CHANGING - {f"{method} {template}" for method, template in patterns})
    assert unknown == [], "routes that there are no more"


NOT_SWEPT = frozenset({"/static", "/api/v1/nodes/me/work", "/api/v1/nodes/me/calls"})
WITHOUT_RECORDS = (
    "access_id", "alarm_id", "assignment_id", "batch_id", "build_id", "case_id", "consent_id", "finding_id", "hold_id",
    "incident_id", "meeting_id", "objection_id", "id", "inventory_id", "item_id", "matching_id", "job_id", "key",
    "peer_id", "profile_id", "provider_id", "rating_id", "reconciliation_id", "release_id", "run_id", "session_id",
    "source_id", "subscription_id", "task_id", "wish_id",
)  # fmt: skip
"""Names in paths of which this world has none."""
QUERIES: dict[str, dict[str, str]] = {
    "/api/v1/libraries/{name}/entities/{entity_id}/block": {"purpose": "好奇"},
    "/library/{name}/entities/{entity_id}/block": {"purpose": "好奇"},
    "/api/v1/libraries/{name}/block": {"key": "phone", "value": "1"},
    "/find": {"words": "户籍"},
    "/find/suggestions": {"words": "户籍"},
}


def routes(world: RedTeamWorld) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route of the hub."""
    for context in iter_route_contexts(create_app(world.services).routes):
        for method in sorted(context.methods or ()):
            if context.path is not None:
                yield method, context.path


def _noun(template: str) -> str:
    return template.removeprefix("/api/v1").split("/")[1]


def parameters(world: RedTeamWorld) -> dict[str, str]:
    """Return what stands in paths, so that pages and answers have something to say."""
    services = world.services
    correction = services.corrections.find(department=world.agreement.consumer).rows[0]
    return dict.fromkeys(WITHOUT_RECORDS, "nothing") | {
        "resource_id": world.residents, "agreement_id": world.agreement.id, "request_id": world.agreement.request_id,
        "entity_id": world.people[-1], "name": "population", "dataset": "population", "file_id": world.file,
        "entry_id": services.ledger.entries(limit=1).rows[0].entry_id, "correction_id": correction.id,
        "code": world.agreement.provider, "department": world.agreement.provider, "element": "person_name",
        "number": "1", "step": "blinded", "version": "1", "older": "1", "newer": "1", "run": "1", "path": "0/000.p/1",
        "client_id": world.client_id, "action": "package_list", "period": "2026-01", "address": "en/index.html",
    }  # fmt: skip


def test_verifying_takes_the_same_work_whether_or_not_there_is_somebody(world: RedTeamWorld) -> None:
    """Work is counted in statements and look-ups, since time on a loaded machine says nothing.

    That a claim matches is the answer itself. That a row is outside the filter, that there is nobody, and that nothing
    stands where the claim points must not be told apart.
    """
    nobody, outside, empty = (_work(world, one) for one in ("JL9999", UNSEEN[0].bh, SEEN[1].bh))
    assert nobody == outside
    assert nobody[0] == empty[0]
    assert len(nobody[0]) > 3


def _work(world: RedTeamWorld, number: str) -> tuple[list[str], object]:
    """Return the statements of a verification of somebody's diagnosis by record number, and what it told."""
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    engine = world.services.database.engine
    attacks.verify(world, "application", {"bh": number}, {"zd": "猜的"})
    # What the first call looked up no longer counts: the second one looks everything up again.
    time.sleep(2 * FRESH_SECONDS)
    event.listen(engine, "before_cursor_execute", note)
    try:
        answer = attacks.verify(world, "application", {"bh": number}, {"zd": "猜的"})
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert answer.json()["results"] == {"zd": "unknown"}, answer.text
    return said, len(answer.content)


def test_the_search_for_canaries_finds_them(world: RedTeamWorld) -> None:
    """A canary in any packing is found, so that silence means something."""
    canary = next(iter(world.canaries.why))
    for packed in attacks.packings(canary):
        assert world.canaries.found_in([packed]) == {canary}, packed[:8]
    world.attackers["visitor"].leaks.append("visitor: GET /x tells it")
    with pytest.raises(AssertionError, match="tells"):
        world.no_leak()
