"""Quality of the catalogue's descriptions: overall, by department, for one resource, with what is missing."""

from datong.catalogue import DepartmentQuality, QualityOverview, QualityReport, QualityScheme, assess
from datong.kernel import DepartmentCode, ResourceId, Value
from datong.sharing import Action
from datong.web.api.resources import visible_resource
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="quality")


class QualityRanking(Value):
    """Everything's quality, and the departments', best first."""

    overall: QualityOverview
    departments: tuple[DepartmentQuality, ...]


@router.get("/quality")
def read_quality(caller: Caller, hub: Hub) -> QualityRanking:
    """Return the whole catalogue's quality and the departments' ranking."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return QualityRanking(overall=hub.quality.overview(), departments=hub.quality.ranking())


@router.get("/quality/scheme")
def read_quality_scheme(caller: Caller, hub: Hub) -> QualityScheme:
    """Return every indicator, with its points and what it brings."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return hub.quality.scheme


@router.get("/quality/departments/{department}")
def read_department_quality(department: DepartmentCode, caller: Caller, hub: Hub) -> QualityOverview:
    """Return one department's quality: standing, trend, what is missing most, where to begin."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    hub.departments.get(department)
    return hub.quality.overview(department)


@router.get("/resources/{resource_id}/quality")
def read_resource_quality(resource_id: ResourceId, caller: Caller, hub: Hub) -> QualityReport:
    """Return how well a resource is described, in the version that the caller sees, with every missing field."""
    hub.policy.require(caller, Action.RESOURCE_READ)
    return assess(visible_resource(hub, caller, resource_id).content, hub.pack)
