"""Steps 3 and 4: education and the bureau ask for data, providers reply or do not, agreements are signed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from datong.demo.cast import (
    AUTHORITY,
    BUREAU,
    CIVIL,
    CLERK,
    EDUCATION,
    ESTATE,
    LIBRARY_ITEM,
    OWNER_OF,
    POLICE,
    SERVICE_ITEM,
    Member,
    listings,
)
from datong.demo.client import Json, Problem, once, patiently, wait_until
from datong.demo.records import Source
from datong.demo.results import Check, joined
from datong.demo.world import World, everything
from datong.kernel import CHINA, Text
from datong.sharing import RequestState

EDUCATION_ASKS: dict[Source, tuple[str, ...]] = {
    Source.RESIDENTS: (
        "rybh", "xm", "gmsfhm", "xb", "csrq", "hh", "yhzgx", "hjdz", "xzqh", "qrrq", "gxsj",
    ),
    Source.MARRIAGES: (
        "record_no", "full_name", "id_card", "spouse_id_card", "marry_status", "marry_date", "update_time",
    ),
    Source.INSURED: (
        "AAC001", "AAC003", "AAC002", "AAB004", "AAC008", "AAE201", "AAC150", "AAE036",
    ),
    Source.PROPERTY: ("登记编号", "不动产单元号", "权利人姓名", "权利人证件号", "坐落", "建筑面积", "更新时间"),
}  # fmt: skip
"""What the admission check needs, by table: household, family, income and employment, property."""
APPROVED_FOR_EDUCATION = (Source.MARRIAGES, Source.INSURED)
REPLY_WORKING_DAYS = 10
SIGNING_SECONDS_MAX = 120.0
"""A node that waits for a hub which was killed tries again after at most half a minute."""
SABOTAGED_SECONDS_MAX = 20.0


def request(world: World) -> list[Check]:
    """Step 3: requests with their purpose; granted at once, approved, or left to lapse."""
    narrator = world.narrator
    narrator.say(
        "教育局为入学审核申请户籍、婚姻、社保和不动产数据；数据局为建设基础库申请全部七项。",
        "Education asks for household, family, income and property data; the Bureau for all seven, for the library.",
    )
    education = _submit(world, EDUCATION, _demand(world, EDUCATION))
    bureau = _submit(world, BUREAU, _demand(world, BUREAU))
    checks = [_incomplete_is_listed(world), *_first_replies(education, bureau)]
    _decide(world)
    later = world.clock.pass_working_days(REPLY_WORKING_DAYS + 1)
    narrator.say(
        f"自然资源局没有答复。模拟时间过去 {REPLY_WORKING_DAYS + 1} 个工作日，现在是 {later:%Y-%m-%d}。",
        f"Natural Resources does not reply. {REPLY_WORKING_DAYS + 1} working days pass (simulated): {later:%Y-%m-%d}.",
    )
    return [*checks, *_outcomes(world)]


def _demand(world: World, member: Member) -> Json:
    now = world.clock.now()
    if member is EDUCATION:
        wanted = EDUCATION_ASKS
        purpose = {
            "legal_basis": "《中华人民共和国义务教育法》第十二条；《政务数据共享条例》第二十条",
            "scene": "义务教育入学资格审核，替代家长提交户口簿、结婚证、社保和房产证明",
            "scope": "仅限当年报名学生及其监护人",
            "modes": ["interface", "bulk"],
            "service_item": SERVICE_ITEM,
        }
    else:
        wanted = {source: tuple(listings()[source].columns) for source in Source}
        purpose = {
            "legal_basis": "《政务数据共享条例》第二十三条",
            "scene": "建设人口基础库和空间地理基础库",
            "scope": "全市常住人口和全国行政区划",
            "modes": ["bulk"],
            "service_item": LIBRARY_ITEM,
        }
    purpose["valid_from"] = now.isoformat()
    purpose["valid_until"] = (now + timedelta(days=365)).isoformat()
    lines = [{"resource_id": world.resources[source]["id"], "items": list(items)} for source, items in wanted.items()]
    return {"lines": lines, "purpose": purpose}


def _asker(world: World, member: Member) -> Json:
    return world.person(CLERK if member is EDUCATION else AUTHORITY)


def _submit(world: World, member: Member, demand: Json) -> dict[Source, Json]:
    """Submit a demand once and remember the requests it became, by table."""
    asker = _asker(world, member)

    def submitted() -> list[Json] | None:
        own = [row for row in everything(asker, "/api/v1/requests") if row["consumer"] == member.code]
        return own or None

    rows = once(submitted, lambda: asker.post("/api/v1/requests", demand)["requests"])
    by_resource = {row["resource_id"]: row for row in rows}
    requests = {
        source: by_resource[resource["id"]]
        for source, resource in world.resources.items()
        if resource["id"] in by_resource
    }
    world.requests.update({(member.key, source): row for source, row in requests.items()})
    world.narrator.say(
        f"{member.name.zh}的申请形成 {len(requests)} 项。", f"The request of {member.name.en} becomes {len(requests)}."
    )
    return requests


def _incomplete_is_listed(world: World) -> Check:
    """Whether a request without its purpose gets one complete list of what is missing (Art. 21)."""
    demand = _demand(world, EDUCATION)
    demand["purpose"] |= {"legal_basis": "", "scene": "", "scope": ""}
    label = Text(
        zh="材料不全时一次性告知全部缺项",
        en="An incomplete request is answered with everything that is missing, at once",
    )
    try:
        patiently(lambda: _asker(world, EDUCATION).post("/api/v1/requests", demand))  # refused, so safe to repeat
    except Problem as problem:
        return Check(label=label, holds=problem.status == 422, detail=problem.detail)
    return Check(label=label, holds=False)


def _states(states: Sequence[Json]) -> Text:
    """Return the states of requests in words."""
    return joined([RequestState(state).label if state else Text(zh="无", en="none") for state in states])


def _due(request: Json) -> Text:
    """Return when a reply was due, by the city's clock."""
    due = datetime.fromisoformat(request["due_at"]).astimezone(CHINA)
    return Text(zh=f"期限 {due:%Y-%m-%d %H:%M}", en=f"due {due:%Y-%m-%d %H:%M}")


def _first_replies(education: dict[Source, Json], bureau: dict[Source, Json]) -> list[Check]:
    granted = education.get(Source.RESIDENTS, {}).get("state")
    waiting = [education.get(source, {}).get("state") for source in (*APPROVED_FOR_EDUCATION, Source.PROPERTY)]
    return [
        Check(
            label=Text(zh="七项资源逐项形成申请", en="Each resource becomes a request of its own"),
            holds=len(bureau) == len(Source) and len(education) == len(EDUCATION_ASKS),
            detail=Text(
                zh=f"{EDUCATION.short_name.zh} {len(education)} 项，{BUREAU.short_name.zh} {len(bureau)} 项",
                en=f"{EDUCATION.short_name.en} {len(education)}, {BUREAU.short_name.en} {len(bureau)}",
            ),
        ),
        Check(
            label=Text(zh="无条件共享的户籍数据当即同意", en="The unconditional household data is granted at once"),
            holds=granted == "granted",
            detail=_states([granted]),
        ),
        Check(
            label=Text(zh="有条件共享的等待提供部门答复", en="The conditional data waits for its providers"),
            holds=waiting == ["submitted"] * 3,
            detail=_states(waiting),
        ),
    ]


def _decide(world: World) -> None:
    """Providers reply to whatever waits for them, except real estate to education."""
    for (consumer, source), row in world.requests.items():
        provider = OWNER_OF[source]
        if row["state"] != "submitted" or (consumer == EDUCATION.key and provider is ESTATE):
            continue
        refuse = world.sabotaged(3) and consumer == EDUCATION.key and provider is CIVIL
        if refuse:
            world.narrator.warn(Text(zh="破坏：民政局改为拒绝。", en="Sabotage: Civil Affairs refuses instead."))
        _reply(world, provider, row["id"], "refuse" if refuse else "approve")


def _reply(world: World, provider: Member, request_id: str, action: str) -> None:
    officer = world.officer(provider)
    path = f"/api/v1/requests/{request_id}"

    def replied() -> Json | None:
        row = officer.get(path)
        return row if row["state"] != "submitted" else None

    reason = "不符合共享条件" if action == "refuse" else "符合共享条件，同意"
    once(replied, lambda: officer.post(f"{path}/actions", {"action": action, "reason": reason}))


def _outcomes(world: World) -> list[Check]:
    states: dict[tuple[str, Source], Json] = {}
    for (consumer, source), row in world.requests.items():
        member = EDUCATION if consumer == EDUCATION.key else BUREAU
        states[consumer, source] = _asker(world, member).get(f"/api/v1/requests/{row['id']}")
    world.requests = states
    approved = [states[EDUCATION.key, source]["state"] for source in APPROVED_FOR_EDUCATION]
    library = [row["state"] for (consumer, _), row in states.items() if consumer == BUREAU.key]
    silent = states[EDUCATION.key, Source.PROPERTY]
    return [
        Check(
            label=Text(
                zh="民政、人社同意教育局的申请", en="Civil Affairs and Social Security approve education's requests"
            ),
            holds=approved == ["granted"] * len(approved),
            detail=_states(approved),
        ),
        Check(
            label=Text(
                zh="各部门同意数据局的建库申请", en="Every provider approves the Bureau's requests for the library"
            ),
            holds=library == ["granted"] * len(Source),
            detail=f"{library.count('granted')}/{len(Source)}",
        ),
        Check(
            label=Text(zh="自然资源局的答复已经逾期", en="The reply of Natural Resources is overdue"),
            holds=silent["state"] == "submitted" and datetime.fromisoformat(silent["due_at"]) < world.clock.now(),
            detail=_due(silent),
        ),
    ]


def agree(world: World) -> list[Check]:
    """Step 4: agreements are drawn up, confirmed by both officers, signed by both departments' keys."""
    world.narrator.say(
        "同意的申请自动形成协议；双方数据管理员确认，双方节点用部门密钥签署。",
        "Granted requests become agreements; both officers confirm them, both departments' nodes sign with their keys.",
    )
    if world.sabotaged(4):
        _exchange_the_key(world)
    granted = {key: row for key, row in world.requests.items() if row["state"] == "granted"}
    for (consumer, source), row in granted.items():
        for side in (OWNER_OF[source], EDUCATION if consumer == EDUCATION.key else BUREAU):
            _confirm(world, side, row["agreement_id"])
    with world.narrator.bar(Text(zh="等待双方签署", en="Waiting for the signatures")) as bar:

        def all_active() -> bool | None:
            for key, row in granted.items():
                world.agreements[key] = world.person(AUTHORITY).get(f"/api/v1/agreements/{row['agreement_id']}")
            active = sum(agreement["state"] == "active" for agreement in world.agreements.values())
            bar.show(active, len(granted))
            return True if active == len(granted) else None

        limit = SABOTAGED_SECONDS_MAX if world.sabotaged(4) else SIGNING_SECONDS_MAX
        wait_until(all_active, seconds=limit, pause=0.3)
    return _agreement_checks(world, len(granted))


def _confirm(world: World, side: Member, agreement_id: str) -> None:
    officer = world.officer(side)
    path = f"/api/v1/agreements/{agreement_id}"

    def confirmed() -> Json | None:
        agreement = officer.get(path)
        done = {confirmation["department"] for confirmation in agreement["confirmations"]}
        return agreement if side.code in done else None

    once(confirmed, lambda: officer.post(f"{path}/confirm"))


def _exchange_the_key(world: World) -> None:
    """Take away the police node's key: at its next start it makes a new one, which nobody registered."""
    world.narrator.warn(
        Text(zh="破坏：公安局节点换上未登记的密钥。", en="Sabotage: the police node gets a key that nobody registered.")
    )
    node = world.supervisor.processes[POLICE.key]
    node.kill()
    (world.node_home(POLICE) / "key.pem").unlink()
    node.start()


def _agreement_checks(world: World, granted: int) -> list[Check]:
    agreements = world.agreements.values()
    active = [agreement for agreement in agreements if agreement["state"] == "active"]
    signed = [
        agreement
        for agreement in active
        if {signature["department"] for signature in agreement["signatures"]}
        == {agreement["provider"], agreement["consumer"]}
    ]
    contract = world.person(AUTHORITY).get(f"/api/v1/agreements/{active[0]['id']}/contract.yaml") if active else b""
    return [
        Check(
            label=Text(zh="每项同意都有生效协议", en="Every granted request has an agreement in force"),
            holds=granted > 0 and len(active) == granted,
            detail=f"{len(active)}/{granted}",
        ),
        Check(
            label=Text(zh="每份协议都有双方签名", en="Every agreement bears both departments' signatures"),
            holds=granted > 0 and len(signed) == granted,
            detail=f"{len(signed)}/{granted}",
        ),
        Check(
            label=Text(zh="协议可导出为开放数据契约", en="An agreement is available as an open data contract"),
            holds=b"apiVersion: v3" in contract and b"DataContract" in contract,
            detail=Text(zh=f"{len(contract):,} 字节", en=f"{len(contract):,} bytes"),
        ),
    ]
