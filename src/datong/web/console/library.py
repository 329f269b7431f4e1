"""The unified resource store: libraries, a build's report with charts, one entity with the source of every cell."""

from typing import Annotated

from fastapi import Form, Query
from fastapi.responses import Response

from datong.kernel import DatongError, EntityId, ResourceId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.library import (
    VERDICT_COLUMN,
    VERDICT_TITLE,
    Build,
    BuildState,
    Cell,
    Dataset,
    Definition,
    Dimension,
    EntityView,
    LinkReport,
    ScoreAt,
    WholeReason,
)
from datong.sharing import Action, BlockPurpose, Target
from datong.web.api.libraries import read_failing_rows
from datong.web.console.charts import Chart, bars, columns, heat, trend
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.maps import GEOMETRY_ELEMENT, shape_in_words
from datong.web.console.vocabulary import LINK_RULES
from datong.web.routing import unlisted_routes

router = unlisted_routes()

ElementName = Annotated[str, Query(max_length=NAME_CHARS_MAX)]

FOUND_MAX = 30
BUILDS_SHOWN = 8
RULES_SHOWN_MAX = 12
ELEMENTS_SHOWN_MAX = 12
NAME_ELEMENTS = ("person_name", "organisation_name", "division_name", "certificate_name", "head_name")
NODE_NAMES = {"household": Text(zh="家庭户", en="Household"), "property": Text(zh="不动产", en="Real estate")}
UNFINISHED = frozenset({BuildState.REQUESTED, BuildState.RUNNING})


class LibraryLine(Value):
    """A library in the list."""

    name: str
    title: Text
    dataset: Dataset | None
    build: Build | None


@router.get("/library")
def list_libraries(desk: SignedIn) -> Response:
    """Show every library and the datasets that are published."""
    desk.require(Action.LIBRARY_READ)
    library = desk.services.library
    datasets = library.datasets()
    lines = [
        LibraryLine(
            name=definition.name,
            title=definition.title,
            dataset=next((dataset for dataset in datasets if dataset.name == definition.name), None),
            build=next(iter(library.builds(definition.name, offset=0, limit=1).rows), None),
        )
        for definition in library.definitions()
    ]
    return desk.page(
        "library/list.html",
        lines=lines,
        datasets=datasets,
        running=any(line.build is not None and line.build.state in UNFINISHED for line in lines),
    )


@router.get("/library/{name}")
def show_library(desk: SignedIn, name: str, q: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "") -> Response:
    """Show one library: builds, the newest report, and the search for an entity."""
    desk.require(Action.LIBRARY_READ)
    library = desk.services.library
    definition = library.definition(name)
    verdicts = verdict_titles(desk, definition)
    builds = library.builds(name, offset=0, limit=BUILDS_SHOWN).rows
    report: LinkReport | None = None
    if any(build.state is BuildState.PUBLISHED for build in builds):
        report = library.report(name)
    may_read = desk.may(Action.LIBRARY_READ_ENTITY)
    return desk.page(
        "library/library.html",
        name=name,
        title=definition.title,
        builds=builds,
        running=any(build.state in UNFINISHED for build in builds),
        report=report,
        scores={score.resource_id: score for score in library.quality(name)},
        charts=() if report is None else report_charts(desk, report),
        may_build=desk.may(Action.LIBRARY_BUILD),
        may_read=may_read,
        may_review=desk.may(Action.LIBRARY_REVIEW),
        has_map=report is not None and library.definition(name).spatial is not None,
        may_block=desk.may(Action.LIBRARY_READ_BLOCK),
        q=q,
        column_title=lambda code: _column_title(desk, definition, code),
        in_words=lambda element, value: (
            verdicts.get(value, "") if element == VERDICT_COLUMN else in_words(desk, element, value)
        ),
        derived=bool(definition.reads),
        may_rebuild=report is not None and definition.publishes_records,
        anew=WholeReason(report.whole).meaning if report is not None and report.whole else None,
        hits=library.find_entities(name, q.strip(), limit=FOUND_MAX) if may_read and q.strip() else (),
    )


@router.post("/library/{name}/builds")
def build_library(desk: SignedIn, name: str, full: Annotated[bool, Form()] = False) -> Response:
    """Ask for a build over what has landed; `full`: that makes everything anew."""
    desk.require(Action.LIBRARY_BUILD)
    desk.services.library.request_build(name, actor=desk.caller.actor, whole=full)
    return desk.go(f"/library/{name}", done="build")


@router.get("/library/{name}/quality/{resource_id}")
def show_quality(
    desk: SignedIn, name: str, resource_id: ResourceId, element: ElementName = "", flag: ElementName = ""
) -> Response:
    """Show a source's quality over the versions, its flaws, and to its department the rows that have them."""
    desk.require(Action.LIBRARY_READ)
    hub = desk.services
    history = hub.library.quality_history(name, resource_id)
    resource = hub.catalogue.get(resource_id)
    may_see = desk.may(Action.LIBRARY_READ_FAILING, Target(id=resource_id, provider=resource.department))
    rows = read_failing_rows(name, resource_id, desk.caller, hub, element, flag) if element and flag else ()
    return desk.page(
        "library/quality.html",
        name=name,
        library_title=desk.speech.named(_titles(desk), name),
        title=desk.speech.say(resource.content.title),
        department=resource.department,
        newest=history[-1] if history else None,
        chart=quality_trend(desk, history),
        faults=[
            (element_of, kind, count)
            for element_of, flags in (history[-1].score.faults if history else {}).items()
            for kind, count in flags.items()
        ],
        may_see=may_see,
        element=element,
        flag=flag,
        rows=rows,
    )


def quality_trend(desk: Desk, history: tuple[ScoreAt, ...]) -> Chart | None:
    """Return the line of each dimension over the versions, in percent; None before the second version."""
    if len(history) < 2:
        return None
    t = desk.speech.t
    series: dict[str, list[int | None]] = {t("总分", "Overall"): [one.score.overall // 100 for one in history]}
    for dimension in Dimension:
        shares = [one.score.dimensions.get(dimension) for one in history]
        if any(share is not None for share in shares):
            series[desk.speech.say(dimension.label)] = [None if share is None else share // 100 for share in shares]
    return trend(
        "quality-trend",
        t("各版本的质量得分（百分制）", "Quality by version, out of 100"),
        times=[t("第 {n} 版", "v{n}", n=one.score.version) for one in history],
        series=series,
        time_name=t("版本", "Version"),
        filled=False,
    )


@router.get("/library/{name}/entities/{entity_id}")
def show_entity(desk: SignedIn, name: str, entity_id: EntityId) -> Response:
    """Show one entity: the golden cells with their sources, the conflicts, the records of each department."""
    desk.require(Action.LIBRARY_READ_ENTITY)
    view = desk.services.library.entity(name, entity_id)
    if view.findings:
        return show_judged(desk, view)
    return desk.page(
        "library/entity.html",
        view=view,
        may_trace=desk.may(Action.CORRECTION_READ_VALUES),
        cells=ordered_cells(desk, view),
        in_words=lambda element, value: in_words(desk, element, value),
        title=entity_title(desk, view),
        library_title=desk.speech.named(_titles(desk), name),
        source_title=lambda resource_id: _source_title(desk, view, resource_id),
        batch_address=lambda cell: _batch_address(desk, cell),
    )


@router.get("/library/{name}/block")
def find_block(
    desk: SignedIn,
    name: str,
    key: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
    value: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
) -> Response:
    """Find an entity for its block-data view by a key that one knows already."""
    desk.require(Action.LIBRARY_READ_BLOCK)
    definition = desk.services.library.definition(name)
    sought = key in definition.key_elements and value.strip()
    return desk.page(
        "library/find_block.html",
        definition=definition,
        key=key,
        value=value,
        found=desk.services.blocks.by_key(desk.caller, name, key, value.strip()) if sought else None,
    )


@router.get("/library/{name}/entities/{entity_id}/block")
def show_block(
    desk: SignedIn,
    name: str,
    entity_id: EntityId,
    purpose: Annotated[str, Query(max_length=TEXT_CHARS_MAX)] = "",
    case_number: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
) -> Response:
    """Ask for what it is; then show one entity over all departments, every cell as far as the policy allows."""
    definitions = {known.name: known for known in desk.services.library.definitions()}
    if not purpose.strip():
        desk.require(Action.LIBRARY_READ_BLOCK)
        title = desk.services.library.definition(name).title
        return desk.page("library/block_purpose.html", name=name, title=title, entity_id=entity_id)
    asked = BlockPurpose(purpose=purpose.strip(), case_number=case_number.strip())
    block = desk.services.blocks.open(desk.caller, name, entity_id, asked)
    named = next((cell.value for cell in block.cells if cell.element in NAME_ELEMENTS and cell.value), None)
    return desk.page(
        "library/block.html",
        block=block,
        asked=asked,
        title=named or desk.speech.t("实体 {id}", "Entity {id}", id=block.entity_id[:12]),
        library_title=desk.speech.say(definitions[name].title),
        entities={known.name: known.entity for known in definitions.values()} | NODE_NAMES,
        libraries=frozenset(definitions),
        verdict_name=lambda library, verdict: verdict_titles(desk, definitions[library]).get(verdict, verdict),
        in_words=lambda element, value: in_words(desk, element, value),
    )


def show_judged(desk: Desk, view: EntityView) -> Response:
    """Show an entity of a derived library: in or out, rule by rule, what was measured, and who belongs to it."""
    library = desk.services.library
    definition = library.definition(view.library)
    derivation = definition.derivation
    titles = {column.name: column.title for column in library.dataset(view.library).columns}
    verdict = view.cells[VERDICT_COLUMN].value or ""
    return desk.page(
        "library/judged.html",
        view=view,
        cells=[(code, view.cells[code]) for code in titles if code in view.cells and code != VERDICT_COLUMN],
        column_title=lambda code: desk.speech.named(titles, code),
        units={measure.code: measure.unit for measure in derivation.measures} if derivation else {},
        title=entity_title(desk, view),
        library_title=desk.speech.say(definition.title),
        entity=definition.entity,
        verdict=verdict,
        verdict_title=verdict_titles(desk, definition).get(verdict, verdict),
        base=derivation.inputs[0].library if derivation else "",
        libraries=_titles(desk),
    )


def _column_title(desk: Desk, definition: Definition, code: str) -> str:
    """Return the title of a column in a list of hits: a measure's own, or the data element's."""
    measures = definition.derivation.measures if definition.derivation else ()
    titles = {measure.code: measure.title for measure in measures} | {VERDICT_COLUMN: VERDICT_TITLE}
    return desk.speech.say(titles[code]) if measures and code in titles else desk.element_name(code)


def verdict_titles(desk: Desk, definition: Definition) -> dict[str, str]:
    """Return what the verdicts are called in a derived library."""
    if definition.derivation is None:
        return {}
    named = definition.derivation.verdicts
    say = desk.speech.say
    return {"pass": say(named.passed), "fail": say(named.failed), "unknown": say(named.unknown)}


def ordered_cells(desk: Desk, view: EntityView) -> list[tuple[str, Cell]]:
    """Return the golden cells, those that say who it is first."""
    definition = next((found for found in desk.services.library.definitions() if found.name == view.library), None)
    first = {element: place for place, element in enumerate(definition.summary_elements if definition else ())}
    return sorted(view.cells.items(), key=lambda pair: (first.get(pair[0], len(first)), pair[0]))


def in_words(desk: Desk, element: str, value: str | None) -> str:
    """Return what a coded value means; empty when it is no code."""
    if element == GEOMETRY_ELEMENT:
        return shape_in_words(desk, value)
    pack = desk.services.pack
    name = pack.element(element).code_name(value) if value is not None and pack.has_element(element) else None
    return "" if name is None else desk.speech.say(name)


def entity_title(desk: Desk, view: EntityView) -> str:
    """Return what the page calls the entity: its name if it has one."""
    for element in NAME_ELEMENTS:
        cell = view.cells.get(element)
        if cell is not None and cell.value:
            return cell.value
    return desk.speech.t("实体 {id}", "Entity {id}", id=view.entity_id)


def report_charts(desk: Desk, report: LinkReport) -> tuple[Chart, ...]:
    """Return a report's pictures: what joined records, how large entities are, where sources disagree or err."""
    t = desk.speech.t
    charts: list[Chart] = _judgements(desk, report)
    rules = sorted(report.pairs_by_rule.items(), key=lambda pair: -pair[1])[:RULES_SHOWN_MAX]
    if rules:
        charts.append(
            bars(
                "rules",
                t("关联依据：各规则归并的记录", "Why records were joined: records by rule"),
                names=[desk.speech.named(LINK_RULES, rule) for rule, _ in rules],
                values=[pairs for _, pairs in rules],
                header=(t("规则", "Rule"), t("记录", "Records")),
            )
        )
    if report.clusters_by_size:
        sizes = sorted(report.clusters_by_size.items())
        charts.append(
            columns(
                "clusters",
                t("实体大小：每个实体合并了几条记录", "Entity sizes: records joined into one"),
                names=[str(size) for size, _ in sizes],
                values=[count for _, count in sizes],
                header=(t("记录数", "Records"), t("实体数", "Entities")),
            )
        )
    conflicts = sorted(report.conflicts_by_element.items(), key=lambda pair: -pair[1])[:ELEMENTS_SHOWN_MAX]
    if conflicts:
        charts.append(
            bars(
                "conflicts",
                t("各部门说法不一的数据元", "Where departments disagree"),
                names=[desk.element_name(element) for element, _ in conflicts],
                values=[count for _, count in conflicts],
                header=(t("数据元", "Data element"), t("实体数", "Entities")),
            )
        )
    quality = _quality(desk, report)
    return (*charts, quality) if quality is not None else tuple(charts)


def _judgements(desk: Desk, report: LinkReport) -> list[Chart]:
    """Return the pictures of a derived library (entities by verdict, who misses each rule) or graph (edges by kind)."""
    t = desk.speech.t
    definition = desk.services.library.definition(report.library)
    if definition.graph is not None:
        kinds = {edge.kind: edge.title for edge in definition.graph.edges}
        return [
            bars(
                "edges",
                t("关系", "Relations"),
                names=[desk.speech.named(kinds, kind) for kind in report.edges],
                values=list(report.edges.values()),
                header=(t("关系", "Relation"), t("数量", "Number")),
            )
        ]
    if not report.verdicts:
        return []
    titles = verdict_titles(desk, definition)
    rules = {rule.code: rule.title for rule in definition.derivation.rules} if definition.derivation else {}
    missed = {
        rule: sum(count for said, count in found.items() if said != "pass") for rule, found in report.rules.items()
    }
    return [
        bars(
            "verdicts",
            t("结论", "Verdicts"),
            names=[titles.get(verdict, verdict) for verdict in report.verdicts],
            values=list(report.verdicts.values()),
            header=(t("结论", "Verdict"), t("实体数", "Entities")),
        ),
        bars(
            "missed",
            t("未达到各规则的实体", "Entities that do not meet each rule"),
            names=[desk.speech.named(rules, rule) for rule in missed],
            values=list(missed.values()),
            header=(t("规则", "Rule"), t("实体数", "Entities")),
        ),
    ]


def _quality(desk: Desk, report: LinkReport) -> Chart | None:
    """Return the heat map of missing and flawed values: sources down, data elements across, in percent of rows."""
    sources = [source for source in report.sources if source.rows]
    worst: dict[str, float] = {}
    shares: dict[tuple[str, int], float] = {}
    for place, source in enumerate(sources):
        for element in {*source.missing, *source.flags}:
            flawed = source.missing.get(element, 0) + sum(
                count for flag, count in source.flags.get(element, {}).items() if flag != "missing"
            )
            share = round(100 * min(flawed / source.rows, 1), 1)
            shares[element, place] = share
            worst[element] = max(worst.get(element, 0), share)
    elements = [code for code in sorted(worst, key=lambda code: -worst[code]) if worst[code] > 0][:ELEMENTS_SHOWN_MAX]
    if not elements:
        return None
    t, say = desk.speech.t, desk.speech.say
    return heat(
        "quality",
        t("质量热力图：缺失或不合规的值占比", "Quality: share of missing or flawed values"),
        across=[desk.element_name(code) for code in elements],
        down=[say(source.title) for source in sources],
        cells={
            (elements.index(element), place): share for (element, place), share in shares.items() if element in elements
        },
        corner=t("来源", "Source"),
    )


def _titles(desk: Desk) -> dict[str, Text]:
    return {definition.name: definition.title for definition in desk.services.library.definitions()}


def _source_title(desk: Desk, view: EntityView, resource_id: str) -> str:
    """Return the title of a member's source."""
    return next(
        (desk.speech.say(member.title) for member in view.members if member.resource_id == resource_id), resource_id
    )


def _batch_address(desk: Desk, cell: Cell) -> str:
    """Return where the batch that brought a cell is on record; empty when the hub no longer knows it."""
    try:
        return f"/evidence/{desk.services.exchange.batch(cell.batch_id).entry_id}"
    except DatongError:
        return ""
