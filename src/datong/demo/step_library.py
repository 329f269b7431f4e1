"""Step 6: the library cleans, links and fuses the sources; the truth, which only the generator knows, judges it."""

from collections.abc import Hashable

import pyarrow as pa

from datong.demo.cast import AUTHORITY, listings
from datong.demo.client import Json, Problem, once, wait_until
from datong.demo.places import divisions
from datong.demo.records import Source
from datong.demo.results import Check, joined
from datong.demo.step_transfer import change_a_byte
from datong.demo.world import World
from datong.kernel import Text
from datong.library import SURVIVORSHIP_NAMES, LinkScore, evaluate_links

BUILD_SECONDS_MAX = 180.0
F1_MIN = 0.98
POPULATION, GEOGRAPHY = "population", "geography"
LIBRARIES = {GEOGRAPHY: Text(zh="地理库", en="geography"), POPULATION: Text(zh="人口库", en="population")}
CELLS_TOLD = {
    "person_name": Text(zh="姓名", en="name"),
    "address": Text(zh="住址", en="address"),
    "annual_income": Text(zh="年收入", en="annual income"),
    "marital_status": Text(zh="婚姻状况", en="marital status"),
}
"""The cells of the golden record that the story shows."""


def build(world: World) -> list[Check]:
    """Step 6: build both libraries; compare the links with the truth; read one person with lineage."""
    world.narrator.say(
        "资源库清洗、标准化，把五个部门的记录关联到人，融合成金记录；行政区划形成地理库。",
        "The library cleans and standardises, links five departments' records to people, and fuses golden records.",
    )
    if world.sabotaged(6):
        _tamper(world)
    builds = {name: _requested(world, name) for name in (GEOGRAPHY, POPULATION)}
    finished = {name: _finished(world, name, build_) for name, build_ in builds.items()}
    published = {name: build_ is not None and build_["state"] == "published" for name, build_ in finished.items()}
    checks = [
        Check(
            label=Text(zh="人口库和地理库构建并发布", en="Population and geography are built and published"),
            holds=all(published.values()),
            detail=joined([_told(name, build_) for name, build_ in finished.items()]),
        )
    ]
    population = finished[POPULATION]
    if population is None or not all(published.values()):
        return checks
    world.facts["golden_digest"] = str(population["digest"])
    world.facts["entities"] = int(population["entities"])
    return [*checks, *_geography(world), *_linkage(world), *_lineage(world)]


def _requested(world: World, library: str) -> Json:
    """Request a build, once."""
    person = world.person(AUTHORITY)

    def known() -> Json | None:
        builds = person.get(f"/api/v1/libraries/{library}/builds")["rows"]
        return builds[0] if builds else None

    return once(known, lambda: person.post(f"/api/v1/libraries/{library}/builds"))


def _finished(world: World, library: str, requested: Json) -> Json | None:
    person = world.person(AUTHORITY)
    title = LIBRARIES[library]
    with world.narrator.bar(Text(zh=f"构建{title.zh}", en=f"Building {title.en}")) as bar:
        steps = ("conform", "link", "fuse", "publish")

        def ended() -> Json | None:
            build_ = person.get(f"/api/v1/builds/{requested['id']}")
            bar.show(steps.index(build_["step"]) if build_["step"] in steps else 0, len(steps))
            return build_ if build_["state"] in {"published", "failed"} else None

        return wait_until(ended, seconds=BUILD_SECONDS_MAX, pause=0.25)


def _told(library: str, build_: Json | None) -> Text:
    title = LIBRARIES[library]
    if build_ is None:
        return Text(
            zh=f"{title.zh}：超过 {BUILD_SECONDS_MAX:.0f} 秒", en=f"{title.en}: more than {BUILD_SECONDS_MAX:.0f} s"
        )
    if build_["state"] != "published":
        return Text(zh=f"{title.zh}：{build_['error']}", en=f"{title.en}: {build_['error']}")
    records, entities = build_["records"], build_["entities"]
    return Text(
        zh=f"{title.zh}：{records} 条记录，{entities} 个实体",
        en=f"{title.en}: {records} records, {entities} entities",
    )


def _geography(world: World) -> list[Check]:
    datasets = world.person(AUTHORITY).get("/api/v1/datasets")
    rows = next((dataset["rows"] for dataset in datasets if dataset["name"] == GEOGRAPHY), 0)
    return [
        Check(
            label=Text(zh="地理库收下全部真实行政区划", en="Geography holds all real divisions"),
            holds=rows == len(divisions()),
            detail=f"{rows}/{len(divisions())}",
        )
    ]


def _linkage(world: World) -> list[Check]:
    score = score_links(world)
    world.facts.update(precision=score.precision, recall=score.recall, f1=score.f1)
    world.narrator.say(
        f"与真相相比：精确率 {score.precision:.4f}，召回率 {score.recall:.4f}，F1 {score.f1:.4f}"
        f"（{score.records} 条记录，误并实体 {score.false_merges} 个）。",
        f"Against the truth: precision {score.precision:.4f}, recall {score.recall:.4f}, F1 {score.f1:.4f} "
        f"({score.records} records, {score.false_merges} entities mix people).",
    )
    return [
        Check(
            label=Text(zh=f"关联质量 F1 不低于 {F1_MIN}", en=f"Linkage reaches an F1 of {F1_MIN}"),
            holds=score.f1 >= F1_MIN,
            detail=f"{score.f1:.4f}",
        )
    ]


def score_links(world: World) -> LinkScore:
    """Return how well the library's links agree with the truth."""
    body = world.person(AUTHORITY).get(f"/api/v1/libraries/{POPULATION}/links")
    links = pa.ipc.open_stream(body).read_all().select(["resource_id", "row_key", "entity_id"]).to_pydict()
    source_of = {resource["id"]: source for source, resource in world.resources.items()}
    linked: dict[Hashable, Hashable] = {
        (source_of.get(resource), key): entity
        for resource, key, entity in zip(links["resource_id"], links["row_key"], links["entity_id"], strict=True)
    }
    truth: dict[Hashable, Hashable] = {(source, key): person for source, key, person in world.departments.truth()}
    return evaluate_links(linked, truth)


def _lineage(world: World) -> list[Check]:
    """Read the golden record of the story's father, every cell with its source."""
    person = world.person(AUTHORITY)
    father = world.departments.city.guardian
    hits = person.get(f"/api/v1/libraries/{POPULATION}/entities", query=father.official_id)
    label = Text(
        zh="金记录逐格有来源，汇集多个部门", en="The golden record joins departments, each cell with its source"
    )
    try:
        entity = person.get(f"/api/v1/libraries/{POPULATION}/entities/{hits[0]['entity_id']}")
    except (IndexError, Problem) as error:
        return [Check(label=label, holds=False, detail=str(error))]
    cells = {element: cell for element, cell in entity["cells"].items() if cell["value"] is not None}
    departments = {cell["department"] for cell in cells.values()}
    sourced = all(cell["batch_id"] and cell["row_key"] and cell["rule"] for cell in cells.values())
    for element, name in CELLS_TOLD.items():
        if element in cells:
            cell = cells[element]
            source, rule = world.member(cell["department"]).short_name, SURVIVORSHIP_NAMES[cell["rule"]]
            world.narrator.say(
                f"　{name.zh}：{cell['value']}　← {source.zh} {cell['row_key']}（{rule.zh}）",
                f"　{name.en}: {cell['value']}  ← {source.en} {cell['row_key']} ({rule.en})",
            )
    members = {member["resource_id"] for member in entity["members"]}
    wanted = {
        world.resources[source]["id"]
        for source in (Source.RESIDENTS, Source.MARRIAGES, Source.INSURED, Source.PROPERTY)
    }
    return [
        Check(
            label=label,
            holds=sourced and len(departments) >= 3 and cells["person_name"]["value"] == father.name,
            detail=Text(
                zh=f"{len(cells)} 个数据项，{len(departments)} 个部门",
                en=f"{len(cells)} cells, {len(departments)} departments",
            ),
        ),
        Check(
            label=Text(zh="四个部门关于他的记录连成一人", en="Four departments' records about him are one person"),
            holds=wanted <= members,
            detail=f"{len(wanted & members)}/{len(wanted)}",
        ),
    ]


def _tamper(world: World) -> None:
    """Change a byte in a landed batch that the library is going to read."""
    world.narrator.warn(
        Text(
            zh=f"破坏：落地区里{listings()[Source.INSURED].title.zh}的一个字节被改动。",
            en=f"Sabotage: a byte of a landed batch changes ({listings()[Source.INSURED].title.en}).",
        )
    )
    task = next(
        task for (consumer, source), task in world.tasks.items() if consumer == "bureau" and source is Source.INSURED
    )
    for path in sorted((world.home / "hub" / "lake" / "batches" / str(task["id"])).glob("*.arrow")):
        change_a_byte(path)
