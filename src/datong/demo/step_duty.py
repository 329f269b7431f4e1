"""Step 9: the monitor finds who is late, says whose fault it is and proves it; indicators rank; a case is opened."""

from datong.demo.cast import AUTHORITY, DEPARTMENTS, EDUCATION, ESTATE
from datong.demo.client import Json, once, patiently, wait_until
from datong.demo.records import Source
from datong.demo.results import Check, joined
from datong.demo.world import World, everything
from datong.governance import PARTY_NAMES, STAGE_NAMES, CaseStage, Party
from datong.kernel import Text

MONITOR_SECONDS_MAX = 20.0


def supervise(world: World) -> list[Check]:
    """Step 9: run the monitor, read its finding, its case and the ranking."""
    world.narrator.say(
        "监督程序核对每一项职责的期限，从存证中算出谁延误、延误多久、责任各占多少。",
        "The monitor compares every duty with its deadline and computes from the evidence who was late, by how much.",
    )
    if world.sabotaged(9):
        world.narrator.warn(
            Text(zh="破坏：时钟被拨回申请当天。", en="Sabotage: the clock is set back to the day of the request.")
        )
        world.clock.set(0)
    authority = world.person(AUTHORITY)
    patiently(lambda: authority.post("/api/v1/monitor/runs"))
    finding = wait_until(lambda: _finding(world), seconds=MONITOR_SECONDS_MAX if not world.sabotaged(9) else 3.0)
    if finding is None:
        label = Text(zh="监督发现自然资源局逾期", en="The monitor finds Natural Resources overdue")
        return [Check(label=label, holds=False)]
    world.narrator.say(f"　认定：{finding['summary']['zh']}", f"　Finding: {finding['summary']['en']}")
    return [*_finding_checks(world, finding), _case(world, finding), *_ranking(world)]


def _finding(world: World) -> Json | None:
    overdue = world.requests[EDUCATION.key, Source.PROPERTY]["id"]
    for record in everything(world.person(AUTHORITY), "/api/v1/findings", kind="reply"):
        if record["finding"]["subject"] == overdue:
            return record["finding"]
    return None


def _finding_checks(world: World, finding: Json) -> list[Check]:
    shares = {share["party"]: share["basis_points"] for share in finding["parties"]}
    authority = world.person(AUTHORITY)
    entries = [authority.get(f"/api/v1/ledger/entries/{entry}") for entry in finding["evidence"]]
    return [
        Check(
            label=Text(
                zh="认定逾期的是自然资源局，延误以工作日计", en="Natural Resources is found late, in working days"
            ),
            holds=finding["provider"] == ESTATE.code and finding["delay_working_days"] >= 1,
            detail=Text(
                zh=f"{finding['delay_working_days']} 个工作日", en=f"{finding['delay_working_days']} working days"
            ),
        ),
        Check(
            label=Text(zh="责任份额合计为一，提供部门为主", en="The shares sum to one, the provider's is the largest"),
            holds=sum(shares.values()) == 10_000 and max(shares, key=lambda party: shares[party]) == "provider",
            detail=joined(
                [
                    Text(zh=f"{name.zh} {points / 100:g}%", en=f"{name.en} {points / 100:g}%")
                    for name, points in ((PARTY_NAMES[Party(party)], points) for party, points in shares.items())
                ]
            ),
        ),
        Check(
            label=Text(zh="认定的每一条证据都在存证日志里", en="Every piece of evidence is an entry of the log"),
            holds=bool(entries) and all(entry["entry_id"] for entry in entries),
            detail=f"{len(entries)}",
        ),
    ]


def _case(world: World, finding: Json) -> Check:
    """Whether the overdue request became a case, in which education can make its statement."""
    label = Text(
        zh="逾期申请转为协调事项，教育局可陈述", en="The overdue request became a case; education can speak in it"
    )
    officer = world.officer(EDUCATION)
    cases = [case for case in everything(officer, "/api/v1/cases") if case["finding_id"] == finding["id"]]
    if not cases:
        return Check(label=label, holds=False)
    path = f"/api/v1/cases/{cases[0]['id']}"

    def stated() -> Json | None:
        case = officer.get(path)
        return case if any(act["action"] == "state" for act in case["acts"]) else None

    statement = {"action": "state", "statement": "入学审核即将开始，请自然资源局尽快答复。"}
    case = once(stated, lambda: officer.post(f"{path}/actions", statement))
    return Check(label=label, holds=case["finding_id"] == finding["id"], detail=STAGE_NAMES[CaseStage(case["stage"])])


def _ranking(world: World) -> list[Check]:
    performance = world.person(AUTHORITY).get("/api/v1/indicators")
    rows = {row["department"]: row for row in performance["departments"]}
    ranked = [row for row in performance["departments"] if row["department"] in {member.code for member in DEPARTMENTS}]
    for row in ranked:
        world.narrator.say(
            f"　第 {row['rank']} 名　{row['name']['zh']}　{row['score']} 分",
            f"　{row['rank']}. {row['name']['en']}  {row['score']}",
        )
    late = rows.get(ESTATE.code)
    return [
        Check(
            label=Text(
                zh="指标给五个部门排名，逾期者垫底", en="Indicators rank the five departments, the late one last"
            ),
            holds=late is not None
            and len(ranked) == len(DEPARTMENTS)
            and late["rank"] == max(row["rank"] for row in ranked),
            detail=", ".join(str(row["score"]) for row in ranked),
        )
    ]
