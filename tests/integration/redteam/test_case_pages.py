"""Cases over the web and from the command line: who has a part in a matter opens one, others do not."""

from datetime import timedelta

import httpx
from typer.testing import CliRunner

from datong.catalogue import DemandState
from datong.cli import govern
from datong.kernel import Actor, ActorKind, DepartmentCode
from datong.library import Claim, CorrectionAction, CorrectionSide, DisputedCell
from datong.norms import ShareMode
from datong.sharing import PurposeDraft, RequestAction, RequestLine
from datong.sharing.wishes import WishAct, WishAction, WishDraft
from tests.integration.open.serving import BUREAU
from tests.integration.redteam.world import POLICE, SCHOOLS, RedTeamWorld, police_officer

BUREAU_OFFICER = Actor(kind=ActorKind.PERSON, id="bureau", department=BUREAU)
SOURCE = frozenset({CorrectionSide.SOURCE})
CLERK = Actor(kind=ActorKind.PERSON, id="clerk", department=SCHOOLS)


def refused_request(world: RedTeamWorld) -> str:
    """Return a request of the schools that the police refused."""
    now = world.services.clock.now()
    purpose = PurposeDraft(
        scene="入学", service_item="x", legal_basis="《义务教育法》", scope="招生办",
        modes=(ShareMode.INTERFACE,), valid_from=now, valid_until=now + timedelta(days=99),
    )  # fmt: skip
    line = RequestLine(resource_id=world.depots, items=("no",))
    (request,) = world.services.requests.submit(consumer=SCHOOLS, lines=[line], purpose=purpose, actor=CLERK)
    done = world.services.requests.act(request.id, RequestAction.REFUSE, police_officer(), reason="不便提供")
    return done.id


def matters(world: RedTeamWorld) -> dict[str, str]:
    """Return one matter of each kind that can be contested."""
    services = world.services
    source = services.sources.designate(
        element="phone", department=POLICE, actor=BUREAU_OFFICER, legal_basis="三定", reason="职责"
    )
    objection = services.sources.object(source.id, CLERK, "我局采集更新")
    services.sources.answer(objection.id, BUREAU_OFFICER, uphold=False, answer="维持")
    wish = services.wishes.make(WishDraft(title="学位余量", purpose="选学校"), "asker")
    for act in (
        WishAct(action=WishAction.ADMIT),
        WishAct(action=WishAction.ASSIGN, department=POLICE),
    ):
        services.wishes.act(wish.id, act, BUREAU_OFFICER)
    world["officer"].get("/catalogue", params={"q": "校车轨迹实时点位"})
    (need, *_) = services.catalogue.discovery.demands().rows
    services.catalogue.discovery.handle_demand(need.key, DemandState.ASKED, BUREAU_OFFICER, department=POLICE)
    cell = DisputedCell(
        library="population", entity_id=world.people[0], resource_id=world.residents, provider=POLICE,
        row_key="JL0001", element="person_name", value="甲", batch_id="b",
    )  # fmt: skip
    report = services.corrections.report(cell, Claim(believed="乙", statement="户口簿"), actor=CLERK, consumer=SCHOOLS)
    services.corrections.act(report.id, CorrectionAction.REJECT, actor=police_officer(), sides=SOURCE, statement="无误")
    return {
        "refusal": refused_request(world),
        "agreement": world.agreement.id,
        "source": objection.id,
        "correction": report.id,
        "demand": need.key,
        "wish": wish.id,
    }


def test_cases_over_the_web(world: RedTeamWorld, authority: httpx.Client) -> None:
    officer, stranger = world["officer"], world["stranger"]
    found = matters(world)
    for origin, about in found.items():
        opener = authority if origin in {"demand", "wish"} else officer
        form = f"/cases/new?origin={origin}&about={about}"
        assert stranger.get(form).status_code == 403, origin
        shown = opener.get(form, headers={"Accept-Language": "en"})
        assert shown.status_code == 200, shown.text
        data = {"origin": origin, "about": about, "statement": "请协调"}
        assert stranger.post("/cases", data=data).status_code == 403
        assert opener.post("/cases", data={**data, "evidence": "nothing"}).status_code == 404
        opened = opener.post("/cases", data=data)
        assert opened.status_code == 303, opened.text
        page = opened.headers["location"].partition("?")[0]
        assert opener.get(page, headers={"Accept-Language": "en"}).status_code == 200
        assert stranger.get(page).status_code == 403
        again = {"origin": origin, "origin_id": about, "statement": "再次"}
        assert opener.post("/api/v1/cases", json=again).status_code == 409
    assert officer.get(f"/requests/{found['refusal']}").text.count("/cases/new?origin=refusal") == 1
    assert officer.get("/cases/new?origin=refusal&about=none").status_code == 404
    pending = world.services.wishes.make(WishDraft(title="公交到站", purpose="等车"), "asker")
    assert authority.get(f"/cases/new?origin=wish&about={pending.id}").status_code == 409
    for path in ("/cases", "/", "/meetings/new"):
        assert authority.get(path).status_code in {200, 404}
    from_the_command_line(world, authority)
    world.no_leak()


def from_the_command_line(world: RedTeamWorld, authority: httpx.Client) -> None:
    """List, read, act and decide by `datong govern`."""

    def run(client: httpx.Client, *arguments: str) -> str:
        token = client.headers["Authorization"].removeprefix("Bearer ")
        hub = ["--hub", world.hub.url, "--token", token]
        done = CliRunner().invoke(govern.app, [*arguments, *hub], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    officer = world["officer"]
    (line,) = [one for one in run(officer, "cases").splitlines() if "dispute under an agreement" in one]
    case = line.rpartition(" ")[2]
    assert "请协调" in run(officer, "case", case)
    assert "口径" in run(officer, "act-in-case", case, "state", "--statement", "口径不一")
    run(officer, "act-in-case", case, "escalate", "--statement", "协商未果")
    assert "[closed]" in run(authority, "act-in-case", case, "decide", "--statement", "按协议").replace("已办结 · ", "")
    assert run(officer, "cases", "--json").startswith("{")
    assert DepartmentCode(POLICE) in run(authority, "indicators", "--department", POLICE)
    assert run(authority, "findings", "--limit", "5") == ""
    assert run(authority, "findings", "--json").startswith("{")
