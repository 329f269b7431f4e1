"""Steps 7 and 8: the admission check asks the gateway; the citizen sees who used his record and proves it offline."""

import json
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from datong.demo.cast import AUDITOR, CITIZEN, EDUCATION, SERVICE_ITEM, SOCIAL
from datong.demo.client import Application, Json, Problem, patiently, wait_until
from datong.demo.processes import CommandFailed
from datong.demo.records import Source
from datong.demo.results import Check, joined
from datong.demo.step_transfer import change_a_byte
from datong.demo.world import World
from datong.kernel import Text
from datong.kernel.archives import unpack

CASE_NUMBER = "RX-2026-000001"
LEDGER_SECONDS_MAX = 90.0
CLAIMS = {"person_name": Text(zh="姓名", en="name"), "household_id": Text(zh="户号", en="household number")}
OUTCOMES = {
    "match": Text(zh="相符", en="matches"),
    "no_match": Text(zh="不符", en="does not match"),
    "unknown": Text(zh="无从核对", en="is unknown"),
}


def admit(world: World) -> list[Check]:
    """Step 7: verify and masked query under the agreements; what lies outside them is refused, with the reason."""
    application = _application(world)
    child, father = world.departments.city.child, world.departments.city.guardian
    world.narrator.say(
        f"{child.name}报名入学。教育局的审核系统不再要家长交材料，而是向网关核验。",
        f"{child.name} applies for a school place. Education's system asks the gateway instead of the parents.",
    )
    if world.sabotaged(7):
        _terminate(world)
    household = {"citizen_id": child.official_id}
    claims = {"person_name": child.name, "household_id": child.household.number}
    wrong = {"person_name": child.name, "household_id": "4406040999999"}
    checks = [
        _verified(world, application, household, claims, {"person_name": "match", "household_id": "match"}),
        _verified(world, application, household, wrong, {"person_name": "match", "household_id": "no_match"}),
        _masked_query(world, application),
    ]
    about_father = {"key": {"citizen_id": father.official_id}, "case_number": CASE_NUMBER}
    checks += [
        _refused(
            application,
            f"/gateway/v1/{world.resources[Source.PROPERTY]['id']}/query",
            {**about_father, "items": ["property_address"], "purpose": SERVICE_ITEM},
            Text(zh="没有协议的不动产数据：拒绝", en="Property, without an agreement: refused"),
        ),
        _refused(
            application,
            f"/gateway/v1/{world.resources[Source.INSURED]['id']}/query",
            {**about_father, "items": ["annual_income"], "purpose": "商业贷款审核"},
            Text(zh="约定用途以外：拒绝", en="Another purpose than agreed: refused"),
        ),
        _refused(
            application,
            f"/gateway/v1/{world.resources[Source.INSURED]['id']}/query",
            {**about_father, "items": ["annual_income", "phone"], "purpose": SERVICE_ITEM},
            Text(zh="约定信息项以外：拒绝", en="An item beyond those agreed: refused"),
        ),
    ]
    for check in checks[3:]:
        world.narrator.say(f"　拒绝理由：{check.detail}", f"　Refused: {check.detail}")
    return checks


def _application(world: World) -> Application:
    known = world.applications.get(EDUCATION.key)
    if known is None:
        body = {"name": "入学审核系统", "department": EDUCATION.code}
        issued = patiently(lambda: world.officer(EDUCATION).post("/api/v1/applications", body))
        known = Application(
            world.hub, client_id=issued["application"]["client_id"], client_secret=issued["client_secret"]
        )
        world.applications[EDUCATION.key] = known
    return known


def _told(outcome: Mapping[str, str]) -> Text:
    """Return what a verification found, in words."""
    return joined(
        [
            Text(zh=f"{CLAIMS[claim].zh}{OUTCOMES[found].zh}", en=f"{CLAIMS[claim].en} {OUTCOMES[found].en}")
            for claim, found in outcome.items()
        ]
    )


def _verified(world: World, application: Application, key: Json, claims: Json, expected: Json) -> Check:
    wanted = _told(expected)
    label = Text(zh=f"户籍核验：{wanted.zh}", en=f"Household verified: {wanted.en}")
    path = f"/gateway/v1/{world.resources[Source.RESIDENTS]['id']}/verify"
    body = {"key": key, "claims": claims, "purpose": SERVICE_ITEM, "case_number": CASE_NUMBER}
    try:
        answer = application.post(path, body)
    except Problem as problem:
        return Check(label=label, holds=False, detail=problem.detail)
    outcome = answer["results"]
    return Check(label=label, holds=outcome == expected, detail=_told(outcome))


def _masked_query(world: World, application: Application) -> Check:
    label = Text(zh="社保查询：证件号遮盖，收入只给区间", en="Social security: the ID is masked, income is a band")
    father = world.departments.city.guardian
    body = {
        "key": {"citizen_id": father.official_id},
        "items": ["citizen_id", "annual_income", "employer_name"],
        "purpose": SERVICE_ITEM,
        "case_number": CASE_NUMBER,
    }
    try:
        answer = application.post(f"/gateway/v1/{world.resources[Source.INSURED]['id']}/query", body)
    except Problem as problem:
        return Check(label=label, holds=False, detail=problem.detail)
    shown = json.dumps(answer["rows"], ensure_ascii=False)
    whole = str(father.income_yuan)
    world.narrator.say(f"　网关返回：{shown}", f"　The gateway answers: {shown}")
    return Check(
        label=label,
        holds=len(answer["rows"]) == 1
        and father.official_id not in shown
        and whole not in shown
        and "50000-100000" in shown,
        detail=shown,
    )


def _refused(application: Application, path: str, body: Json, label: Text) -> Check:
    try:
        application.post(path, body)
    except Problem as problem:
        return Check(label=label, holds=problem.status == 403 and bool(problem.detail), detail=problem.detail)
    return Check(label=label, holds=False, detail="200")


def _terminate(world: World) -> None:
    world.narrator.warn(
        Text(
            zh="破坏：人社局在调用前终止协议。",
            en="Sabotage: Social Security terminates its agreement before the call.",
        )
    )
    agreement = world.agreements[EDUCATION.key, Source.INSURED]
    world.officer(SOCIAL).post(
        f"/api/v1/agreements/{agreement['id']}/actions", {"action": "terminate", "reason": "破坏演示"}
    )


def watch(world: World) -> list[Check]:
    """Step 8: the citizen's list of uses, a proof verified offline, the whole log exported and verified."""
    citizen = world.person(CITIZEN)
    world.narrator.say(
        "市民登录后看到哪些部门用了自己的数据、做什么、依据哪份协议，并离线验证其中一条的存证。",
        "The citizen sees who used his record, for what, under which agreement, and verifies one entry offline.",
    )
    uses = citizen.get("/api/v1/me/uses")
    for use in uses[:3]:
        world.narrator.say(
            f"　{use['at'][:16]}　{use['service_item']}　{use['kind']}",
            f"　{use['at'][:16]}  {use['service_item']}  {use['kind']}",
        )
    evidence = world.home / "evidence"
    evidence.mkdir(exist_ok=True)
    bundle = _proof(world, uses[0]["access_id"]) if uses else None
    proof = evidence / "use-proof.json"
    proof.write_text(json.dumps(bundle, ensure_ascii=False))
    log = _export(world, evidence)
    if world.sabotaged(8):
        world.narrator.warn(
            Text(zh="破坏：导出的存证日志被改动一个字节。", en="Sabotage: one byte of the exported log is changed.")
        )
        change_a_byte(next(path for path in sorted(log.rglob("tile/entries/**/*")) if path.is_file()))
    return [
        Check(
            label=Text(zh="市民看到教育局的使用及其协议", en="The citizen sees education's use and its agreement"),
            holds=any(
                use["consumer"] == EDUCATION.code and use["service_item"] == SERVICE_ITEM and use["agreement_ids"]
                for use in uses
            ),
            detail=Text(zh=f"{len(uses)} 次", en=f"{len(uses)} uses"),
        ),
        _verified_by_command(
            world,
            Text(zh="离线验证一条使用的包含证明", en="The inclusion proof of one use verifies offline"),
            str(proof),
        ),
        _verified_by_command(
            world, Text(zh="离线验证整个存证日志", en="The whole exported log verifies offline"), str(log)
        ),
        _witnessed(world),
    ]


def _proof(world: World, access_id: str) -> Json | None:
    """Return the proof of a use; the log integrates it within moments."""
    citizen = world.person(CITIZEN)

    def proven() -> Json | None:
        try:
            return citizen.get(f"/api/v1/me/uses/{access_id}/proof")
        except Problem as problem:
            if problem.status in {404, 409}:
                return None
            raise

    return wait_until(proven, seconds=LEDGER_SECONDS_MAX)


def _export(world: World, folder: Path) -> Path:
    """Unpack the exported log into `folder`, as an auditor would keep it, and return where it lies."""
    body = world.person(AUDITOR).get("/api/v1/ledger/export")
    with tarfile.open(fileobj=BytesIO(body)) as archive:
        unpack(archive, folder)
    return folder / "log"


def _verified_by_command(world: World, label: Text, path: str) -> Check:
    try:
        output = world.supervisor.command("ledger", "verify", path, "--key", world.log_key)
    except CommandFailed as failure:
        return Check(label=label, holds=False, detail=failure.output.strip()[-300:])
    return Check(label=label, holds=True, detail=output.strip().splitlines()[0][:100] if output.strip() else "")


def _witnessed(world: World) -> Check:
    """Whether every department's node has checked and cosigned the log."""

    def all_cosigned() -> Json | None:
        witnesses = world.person(AUDITOR).get("/api/v1/ledger/witnesses")
        return witnesses if len(witnesses) >= len(world.nodes) else None

    witnesses = wait_until(all_cosigned, seconds=LEDGER_SECONDS_MAX) or []
    return Check(
        label=Text(zh="五个部门的节点都为日志作证", en="All five departments' nodes have cosigned the log"),
        holds=len(witnesses) >= len(world.nodes) > 0,
        detail=f"{len(witnesses)}/{len(world.nodes)}",
    )
