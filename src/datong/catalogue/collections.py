"""Repeat collection (重复采集): what is asked although it is held, and what that costs; pure."""

from collections.abc import Iterable, Mapping, Sequence

from datong.catalogue.holdings import Holder
from datong.catalogue.service_values import (
    Burden,
    DepartmentBurden,
    ElementBurden,
    FieldState,
    RepeatCollection,
    RepeatReport,
    ServiceItem,
)
from datong.catalogue.source_values import Source
from datong.kernel import DepartmentCode, ResourceId, Value

SECONDS_PER_HOUR = 3600
_OPEN = (FieldState.ASKED, FieldState.REQUESTED)
_BY_SHARE_TYPE = {"1": 0, "2": 1}
"""Unconditional before conditional; what is not shared helps nobody."""


def repeats(
    items: Iterable[ServiceItem],
    *,
    holders: Iterable[Holder],
    sources: Iterable[Source],
    identifying: frozenset[str],
) -> tuple[RepeatCollection, ...]:
    """Return every field that need not be asked, in the order of the items.

    The designated source counts first, then whoever shares the element; what identifies the applicant is not a repeat,
    because somebody must say who they are. What must be given in person (`KEPT`) is none either.
    """
    sharing: dict[str, list[Holder]] = {}
    for one in holders:
        if one.share_type in _BY_SHARE_TYPE:
            sharing.setdefault(one.element, []).append(one)
    designated: dict[str, list[Source]] = {}
    for found in sources:
        designated.setdefault(found.element, []).append(found)
    return tuple(
        repeat for item in items if not item.retired for repeat in _of_item(item, sharing, designated, identifying)
    )


def _of_item(
    item: ServiceItem,
    holders: Mapping[str, Sequence[Holder]],
    designated: Mapping[str, Sequence[Source]],
    identifying: frozenset[str],
) -> Iterable[RepeatCollection]:
    for field in item.fields:
        element = field.element
        if element is None or element in identifying or field.state is FieldState.KEPT:
            continue
        origin = _origin(item.department, holders.get(element, ()), designated.get(element, ()))
        if origin is None:
            continue
        yield RepeatCollection(
            item_id=item.id,
            code=item.code,
            item_name=item.name,
            department=item.department,
            position=field.position,
            field_name=field.name,
            material=field.material,
            element=element,
            state=field.state,
            request_id=field.request_id,
            annual_cases=item.annual_cases,
            seconds=field.seconds,
            sheets=field.sheets,
            source=origin.department,
            resource_id=origin.resource_id,
            designated=origin.designated,
            own=origin.own,
        )


class _Origin(Value):
    """From whom an element can be had without asking."""

    department: DepartmentCode
    resource_id: ResourceId | None
    designated: bool
    own: bool


def _origin(asking: DepartmentCode, holders: Sequence[Holder], designated: Sequence[Source]) -> _Origin | None:
    """The designated source, unless that is the asking department; then whoever shares most freely; then itself."""
    ranked = sorted(holders, key=lambda holder: (_BY_SHARE_TYPE[holder.share_type], holder.department))
    own = [holder for holder in ranked if holder.department == asking]
    others = [holder for holder in ranked if holder.department != asking]
    if any(source.department == asking for source in designated):
        # The source itself has to collect; what it holds already it need not collect again from the same people.
        return None
    for source in designated:
        resource = source.resource_id or next(
            (holder.resource_id for holder in others if holder.department == source.department), None
        )
        return _Origin(department=source.department, resource_id=resource, designated=True, own=bool(own))
    if others:
        return _Origin(
            department=others[0].department, resource_id=others[0].resource_id, designated=False, own=bool(own)
        )
    if own:
        return _Origin(department=asking, resource_id=own[0].resource_id, designated=False, own=True)
    return None


def burden_of(found: Iterable[RepeatCollection]) -> Burden:
    """Return what asking for these fields costs in a year."""
    listed = list(found)
    return Burden(
        answers=sum(one.annual_cases for one in listed),
        hours=round(sum(one.annual_cases * one.seconds for one in listed) / SECONDS_PER_HOUR, 1),
        sheets=sum(one.annual_cases * one.sheets for one in listed),
        fields=len(listed),
        items=len({one.item_id for one in listed}),
    )


def report(found: Sequence[RepeatCollection]) -> RepeatReport:
    """Return the list of repeats, the heaviest first, with the burden by department and by element."""
    still = sorted(
        (one for one in found if one.state in _OPEN),
        key=lambda one: (-one.annual_cases * max(one.seconds, 1), one.code, one.position),
    )
    by_department: dict[DepartmentCode, list[RepeatCollection]] = {}
    by_element: dict[str, list[RepeatCollection]] = {}
    for one in still:
        by_department.setdefault(one.department, []).append(one)
        by_element.setdefault(one.element, []).append(one)
    departments = [DepartmentBurden(department=code, burden=burden_of(part)) for code, part in by_department.items()]
    elements = [
        ElementBurden(element=code, source=part[0].source, burden=burden_of(part)) for code, part in by_element.items()
    ]
    return RepeatReport(
        total=burden_of(still),
        relieved=burden_of(one for one in found if one.state is FieldState.SHARED),
        departments=tuple(sorted(departments, key=lambda one: (-one.burden.answers, one.department))),
        elements=tuple(sorted(elements, key=lambda one: (-one.burden.answers, one.element))),
        repeats=tuple(still),
    )
