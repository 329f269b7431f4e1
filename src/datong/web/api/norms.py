"""The norms of this hub: elements, code lists, classes, limits, layers; checks and differences of packs; scores."""

from typing import Annotated

from pydantic import Field

from datong.catalogue import Holding, holdings_of, score_content
from datong.kernel import DepartmentCode, Page, ResourceId, Text, Value, page_of
from datong.norms import (
    Classification,
    CodeList,
    DataCategory,
    DataElement,
    DescribedScore,
    Division,
    GradeNorm,
    IdentifierNorm,
    IndicatorGroup,
    Licence,
    PackDifference,
    PackLayer,
    PackProblem,
    TimeLimit,
    check_pack,
    compare_packs,
    find_elements,
    load_pack,
    parse_pack,
)
from datong.sharing import Action, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="norms")

PACK_CHARS_MAX = 1024 * 1024
PackText = Annotated[str, Field(max_length=PACK_CHARS_MAX)]


class PackView(Value):
    """The pack in force: its version, the layers it is made of, and how much it holds."""

    name: Text
    version: str
    layers: tuple[PackLayer, ...]
    elements: int
    code_lists: int
    codes: int
    divisions: int


class ElementView(Value):
    """A data element, the layer it comes from, and the layer of each field that a lower one changed."""

    element: DataElement
    origin: PackLayer | None
    overrides: dict[str, PackLayer]


class PackTexts(Value):
    """Packs in YAML, the higher level first; they are laid over the national pack."""

    texts: tuple[PackText, ...] = Field(min_length=1, max_length=4)


class TwoPacks(Value):
    """Two versions of a local pack in YAML, and the layers above both."""

    before: PackText
    after: PackText
    above: tuple[PackText, ...] = Field((), max_length=3)


class DepartmentStandard(Value):
    """A department's degree of standardisation: indicator values (None without evidence) and their group's score."""

    department: DepartmentCode
    name: Text
    values: dict[str, float | None]
    score: float | None


@router.get("/norms")
def show_pack(caller: Caller, hub: Hub) -> PackView:
    """Return the pack in force and its layers."""
    hub.policy.require(caller, Action.NORM_READ)
    return pack_view(hub)


@router.get("/norms/elements")
def list_elements(
    caller: Caller, hub: Hub, q: str = "", domain: str = "", limit: Limit = LIMIT_DEFAULT, offset: Offset = 0
) -> Page[DataElement]:
    """Find data elements by code, name, alias or definition, the closest first."""
    hub.policy.require(caller, Action.NORM_READ)
    found = find_elements(hub.pack, q, domain=domain)
    return page_of(found[offset : offset + limit], total=len(found), offset=offset)


@router.get("/norms/elements/{code}")
def show_element(code: str, caller: Caller, hub: Hub) -> ElementView:
    """Return a data element with the layers its values come from."""
    hub.policy.require(caller, Action.NORM_READ)
    return element_view(hub, code)


@router.get("/norms/elements/{code}/resources")
def list_uses(code: str, caller: Caller, hub: Hub, limit: Limit = LIMIT_DEFAULT, offset: Offset = 0) -> Page[Holding]:
    """Return the items of visible resources that are this element, by department, what is shared most freely first."""
    hub.policy.require(caller, Action.NORM_READ)
    return holdings_of(hub.database, hub.pack.element(code).code, offset=offset, limit=limit)


@router.get("/norms/code-lists")
def list_code_lists(caller: Caller, hub: Hub) -> tuple[CodeList, ...]:
    """Return every code list with its codes."""
    hub.policy.require(caller, Action.NORM_READ)
    return hub.pack.code_lists


@router.get("/norms/code-lists/{key}")
def show_code_list(key: str, caller: Caller, hub: Hub) -> CodeList:
    """Return one code list."""
    hub.policy.require(caller, Action.NORM_READ)
    return hub.pack.code_list(key)


@router.get("/norms/identifiers")
def list_identifiers(caller: Caller, hub: Hub) -> tuple[IdentifierNorm, ...]:
    """Return what identifiers consist of and how they are checked."""
    hub.policy.require(caller, Action.NORM_READ)
    return hub.pack.identifiers


@router.get("/norms/classifications")
def list_classifications(caller: Caller, hub: Hub) -> tuple[Classification, ...]:
    """Return the resource classification, by code."""
    hub.policy.require(caller, Action.NORM_READ)
    return tuple(sorted(hub.pack.classifications, key=lambda known: known.code))


@router.get("/norms/time-limits")
def list_time_limits(caller: Caller, hub: Hub) -> tuple[TimeLimit, ...]:
    """Return every time limit with its article."""
    hub.policy.require(caller, Action.NORM_READ)
    return hub.pack.time_limits


@router.get("/norms/grades")
def list_grades(caller: Caller, hub: Hub) -> tuple[GradeNorm, ...]:
    """Return the security grades and how data of each is handled."""
    hub.policy.require(caller, Action.NORM_READ)
    return hub.pack.grades


@router.get("/norms/data-categories")
def list_data_categories(caller: Caller, hub: Hub) -> tuple[DataCategory, ...]:
    """Return the data categories (GB/T 43697)."""
    hub.policy.require(caller, Action.NORM_READ)
    return hub.pack.data_categories


@router.get("/norms/licences")
def list_licences(caller: Caller, hub: Hub) -> tuple[Licence, ...]:
    """Return the licences of open data; the first is the default."""
    hub.policy.require(caller, Action.NORM_READ)
    return hub.pack.licences


@router.get("/norms/divisions/{code}")
def show_division(code: str, caller: Caller, hub: Hub) -> tuple[Division, ...]:
    """Return what a division code has meant over the years, the oldest first; empty if it is unknown."""
    hub.policy.require(caller, Action.NORM_READ)
    return hub.pack.division_register.known(code)


@router.get("/norms/local-changes")
def show_local_changes(caller: Caller, hub: Hub) -> PackDifference:
    """Return what the local layers of this hub change in the national pack."""
    hub.policy.require(caller, Action.NORM_READ)
    return local_changes(hub)


@router.post("/norms/check")
def check_texts(body: PackTexts, caller: Caller, hub: Hub) -> tuple[PackProblem, ...]:
    """Check packs laid over the national one; return every problem with its place."""
    hub.policy.require(caller, Action.NORM_READ)
    return check_pack(*body.texts)


@router.post("/norms/diff")
def diff_texts(body: TwoPacks, caller: Caller, hub: Hub) -> PackDifference:
    """Return what a new version of a local pack breaks."""
    hub.policy.require(caller, Action.NORM_READ)
    return compare_packs(parse_pack(*body.above, body.before), parse_pack(*body.above, body.after))


@router.get("/norms/scores")
def list_scores(caller: Caller, hub: Hub, period: str | None = None) -> tuple[DepartmentStandard, ...]:
    """Return every department's degree of standardisation in a period."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return department_standards(hub, period)


@router.get("/norms/scores/resources/{resource_id}")
def score_resource(resource_id: ResourceId, caller: Caller, hub: Hub) -> DescribedScore:
    """Return how far a published resource's entry agrees with the norms, with the items that deviate."""
    found = hub.catalogue.published(resource_id)
    hub.policy.require(caller, Action.RESOURCE_READ, Target.of_department(found.department))
    return score_content(found.content, hub.pack)


def pack_view(hub: Services) -> PackView:
    """The pack in force, counted."""
    pack = hub.pack
    return PackView(
        name=pack.name,
        version=pack.version,
        layers=pack.layers,
        elements=len(pack.elements),
        code_lists=len(pack.code_lists),
        codes=sum(len(codes.codes) for codes in pack.code_lists),
        divisions=len(pack.division_register),
    )


def element_view(hub: Services, code: str) -> ElementView:
    """A data element with its layers; raises NotFound if the pack has none of that code."""
    pack = hub.pack
    element = pack.element(code)
    return ElementView(
        element=element,
        origin=pack.origin("elements", code),
        overrides=dict(pack.overrides("elements", code)),
    )


def local_changes(hub: Services) -> PackDifference:
    """What the layers below the national one change."""
    return compare_packs(load_pack(on=hub.clock.now().date()), hub.pack)


def department_standards(hub: Services, period: str | None = None) -> tuple[DepartmentStandard, ...]:
    """Every department's indicators of standardisation, the best first."""
    performance = hub.indicators.compute(period)
    keys = [known.key for known in performance.definitions if known.group is IndicatorGroup.STANDARDISATION]
    found = [
        DepartmentStandard(
            department=line.department,
            name=line.name,
            values={value.key: value.value for value in line.values if value.key in keys},
            score=line.groups[IndicatorGroup.STANDARDISATION],
        )
        for line in performance.departments
    ]
    return tuple(sorted(found, key=lambda line: (line.score is None, -(line.score or 0), line.department)))
