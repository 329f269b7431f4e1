"""Steps 1 and 2: the departments' databases are inventoried and drafted, completed, reviewed, published and found."""

from concurrent.futures import ThreadPoolExecutor

from datong.demo.cast import AUTHORITY, CLERK, DEPARTMENTS, OWNER_OF, Member, listings
from datong.demo.client import Json, once, patiently
from datong.demo.databases import TABLES
from datong.demo.processes import CommandFailed
from datong.demo.records import Source
from datong.demo.results import Check
from datong.demo.world import World, everything
from datong.kernel import Text

SCANS_AT_ONCE = 2
SCAN_ATTEMPTS_MAX = 4
SEARCHES = (
    ("户籍 家庭成员", Source.RESIDENTS),
    ("低保", Source.LOW_INCOME),
    ("工资收入", Source.INSURED),
    ("房产登记", Source.PROPERTY),
    ("行政区划", Source.DIVISIONS),
)
GRADE_OF_OPEN_DATA = "L1"
_REASONS = {"suspend": "演示中的破坏"}
GRADES_OF_PERSONAL_IDS = {"L3", "L4"}


def scan(world: World) -> list[Check]:
    """Step 1: every node inventories its department's database and drafts catalogue entries."""
    narrator = world.narrator
    narrator.say(
        "五个部门各有自己的数据库、自己的字段名。节点在部门内部盘点，只上报结构和比率，不上报数据。",
        "Five departments, five databases, five vocabularies. Nodes look inside; only structure and ratios leave.",
    )
    if world.sabotaged(1):
        _spoil_a_database(world)
    with ThreadPoolExecutor(SCANS_AT_ONCE) as pool:
        failures = list(filter(None, pool.map(lambda member: _scan(world, member), DEPARTMENTS)))
    for member in DEPARTMENTS:
        drafts = everything(world.officer(member), "/api/v1/resources", department=member.code)
        for source, owner in OWNER_OF.items():
            if owner is member:
                draft = _of_table(drafts, TABLES[source].table)
                if draft is not None:
                    world.resources[source] = draft
        narrator.say(
            f"{member.name.zh}：起草 {len(drafts)} 条目录。", f"{member.name.en}: {len(drafts)} entries drafted."
        )
    return _scan_checks(world, failures)


def _scan(world: World, member: Member) -> str:
    """Scan with the node's own command, which is repeatable: again, with a bound, if the hub was just being restarted.

    Return why it failed in the end, or nothing.
    """
    failure = ""
    for _ in range(1 if world.sabotaged(1) else SCAN_ATTEMPTS_MAX):
        try:
            world.supervisor.command("node", "inventory", "--home", str(world.node_home(member)))
        except CommandFailed as failed:
            failure = f"{member.key}: {failed.output.strip()[-300:]}"
        else:
            return ""
    return failure


def _spoil_a_database(world: World) -> None:
    world.narrator.warn(
        Text(zh="破坏：民政局的数据库文件被写坏。", en="Sabotage: the database file of Civil Affairs is overwritten.")
    )
    path = world.departments.path(Source.MARRIAGES)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(b"this is no database" * 1000)


def _of_table(drafts: list[Json], table: str) -> Json | None:
    for draft in drafts:
        binding = draft["content"]["binding"]
        if binding and binding["table"].split(".")[0].split("/")[-1] == table:
            return draft
    return None


def _scan_checks(world: World, failures: list[str]) -> list[Check]:
    tables = list(Source)
    found = [source for source in tables if source in world.resources]
    right = total = recognised = identifiers = graded = 0
    for source in found:
        items = {item["column"]: item for item in world.resources[source]["content"]["items"]}
        for column, listed in listings()[source].columns.items():
            item = items.get(column, {})
            total += listed.element is not None
            right += listed.element is not None and item.get("element") == listed.element
            if listed.element == "citizen_id":
                identifiers += 1
                recognised += item.get("element") == "citizen_id"
                graded += item.get("grade") in GRADES_OF_PERSONAL_IDS
    world.facts["elements_proposed_right"] = right
    world.facts["elements_in_truth"] = total
    return [
        Check(
            label=Text(zh="七张业务表都有目录草稿", en="All seven tables have a draft"),
            holds=len(found) == len(tables),
            detail="  ".join((f"{len(found)}/{len(tables)}", *failures)),
        ),
        Check(
            label=Text(
                zh="公民身份号码按校验率识别，无论列名",
                en="Citizen IDs are recognised by checksum, whatever they are called",
            ),
            holds=identifiers > 0 and recognised == identifiers,
            detail=f"{recognised}/{identifiers}",
        ),
        Check(
            label=Text(zh="公民身份号码建议分级不低于 L3", en="Citizen IDs are proposed as grade L3 or above"),
            holds=identifiers > 0 and graded == identifiers,
            detail=f"{graded}/{identifiers}",
        ),
        Check(
            label=Text(zh="自动映射的数据元大半正确", en="Most data elements are proposed rightly"),
            holds=total > 0 and right / total >= 0.6,
            detail=f"{right}/{total}",
        ),
    ]


def publish(world: World) -> list[Check]:
    """Step 2: data officers complete and submit, the authority reviews and publishes, and the search finds."""
    world.narrator.say(
        "数据管理员补全名称、数据元、共享条件和评估结论，负责人签批后提交；主管部门两个工作日内审核发布。",
        "Data officers complete the entries, their heads sign them off; the authority reviews within two working days.",
    )
    checks: list[Check] = []
    due: list[bool] = []
    for source in Source:
        submitted = _complete_and_submit(world, source)
        due.append(submitted["state"] == "submitted" and submitted["due_at"] is not None)
    for source in Source:
        world.resources[source] = _review(world, source)
    if world.sabotaged(2):
        _withdraw(world)
    states = [_read(world, source)["state"] for source in Source]
    codes = {resource["code"] for resource in world.resources.values()}
    checks.append(
        Check(
            label=Text(zh="提交后有审核期限", en="A submitted entry has its review deadline"),
            holds=all(due),
            detail=f"{sum(due)}/{len(due)}",
        )
    )
    checks.append(
        Check(
            label=Text(zh="七条目录均已发布，各有信息资源代码", en="All seven are published, each with its own code"),
            holds=states == ["published"] * len(states) and None not in codes and len(codes) == len(states),
            detail=", ".join(sorted(code or "?" for code in codes)[:3]) + " …",
        )
    )
    checks.extend(_search(world, query, source) for query, source in SEARCHES)
    return checks


def completed(content: Json, source: Source) -> Json:
    """Return the content of a draft as its data officer completes it."""
    listing = listings()[source]
    items = []
    for item in content["items"]:
        listed = listing.columns.get(item["column"])
        if listed is None:
            continue
        items.append(
            {
                **item,
                "name": listed.name.model_dump(),
                "element": listed.element,
                "grade": GRADE_OF_OPEN_DATA if listing.open else item["grade"],
                "share_type": listing.share_type,
                "share_condition": listing.share_condition,
                "share_modes": ["bulk", "interface"],
                "open": listing.open,
                "mapping_confidence": 100,
            }
        )
    return {
        **content,
        "title": listing.title.model_dump(),
        "summary": listing.summary.model_dump(),
        "classification": listing.classification,
        "items": items,
        "share_type": listing.share_type,
        "share_condition": listing.share_condition,
        "share_modes": ["bulk", "interface"],
        "open": listing.open,
        "update_cycle": listing.update_cycle,
        "theme": listing.theme,
        "keywords": list(listing.keywords),
        "data_category": "public_geography" if listing.open else "personal",
        "use_condition": "限于本部门依法履职，不得转用他途",
        "assessment": {
            "secrecy": "已按《保守国家秘密法》审查，不涉及国家秘密",
            "personal_information": "已开展个人信息保护影响评估，按最小必要共享，风险可控",
            "conclusion": "passed",
            "assessed_by": "保密与数据安全工作组",
            "assessed_on": "2026-11-02",
        },
    }


def _complete_and_submit(world: World, source: Source) -> Json:
    officer = world.officer(OWNER_OF[source])
    resource = officer.get(f"/api/v1/resources/{world.resources[source]['id']}")
    path = f"/api/v1/resources/{resource['id']}"
    if resource["state"] == "draft":
        body = {"content": completed(resource["content"], source), "expected_version": resource["version"]}
        officer.put(path, body)
    head = world.head(OWNER_OF[source])

    def signed() -> Json | None:
        present = head.get(path)
        return present if present["content"]["sign_off"] is not None else None

    once(signed, lambda: head.post(f"{path}/actions", {"action": "sign_off", "position": "分管副局长"}))
    return _act(world, source, "submit", before="draft", officer=True)


def _act(world: World, source: Source, action: str, *, before: str, officer: bool = False) -> Json:
    """Take one action, unless the resource has already left the state `before`."""
    person = world.officer(OWNER_OF[source]) if officer else world.person(AUTHORITY)
    path = f"/api/v1/resources/{world.resources[source]['id']}"

    def moved_on() -> Json | None:
        resource = person.get(path)
        return resource if resource["state"] != before else None

    return once(
        moved_on, lambda: person.post(f"{path}/actions", {"action": action, "reason": _REASONS.get(action, "")})
    )


def _review(world: World, source: Source) -> Json:
    _act(world, source, "approve", before="submitted")
    return _act(world, source, "publish", before="registered")


def _read(world: World, source: Source) -> Json:
    return world.person(AUTHORITY).get(f"/api/v1/resources/{world.resources[source]['id']}")


def _withdraw(world: World) -> None:
    world.narrator.warn(
        Text(zh="破坏：户籍目录发布后又被停用。", en="Sabotage: the household register is suspended after publication.")
    )
    _act(world, Source.RESIDENTS, "suspend", before="published")


def _search(world: World, query: str, source: Source) -> Check:
    page = patiently(lambda: world.person(CLERK).get("/api/v1/search", q=query))
    found = [hit["resource"]["id"] for hit in page["hits"]]
    wanted = world.resources[source]["id"]
    place = found.index(wanted) + 1 if wanted in found else None
    title = listings()[source].title
    return Check(
        label=Text(zh=f"搜索“{query}”首先找到{title.zh}", en=f"Searching “{query}” finds first: {title.en}"),
        holds=place == 1,
        detail=Text(zh=f"共 {page['total']} 条，排第 {place or '—'}", en=f"place {place or '—'} of {page['total']}"),
    )
