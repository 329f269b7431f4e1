"""What a wrong value means for departments that were answered with it: to look again at what they decided. Pure."""

from collections.abc import Iterable, Sequence

from datong.governance.notifications.matters import STAFF, Audience, Matter, Names, Topic
from datong.kernel import DepartmentCode, ResourceId, Text
from datong.ledger import RecordedEntry
from datong.sharing import Action, Target

_SAID = {
    "accept": Text(
        zh="贵部门办事时依据过的一项数据经核实有误，请复核据此作出的决定。",
        en="A value that your department relied on was found to be wrong: look again at what was decided on it.",
    ),
    "see": Text(
        zh="贵部门办事时依据过的一项有误数据已经更正，请复核据此作出的决定。",
        en="A wrong value that your department relied on is corrected: look again at what was decided on it.",
    ),
}
"""By the act with which the source owns up to the error. A report alone says nothing yet."""


def owns_up(entry: RecordedEntry) -> bool:
    """Whether an entry about a report says that the value was wrong."""
    return entry.facts.get("action") in _SAID


def of_relied(entry: RecordedEntry, departments: Iterable[DepartmentCode], names: Names) -> Sequence[Matter]:
    """Return one matter for each department that relied on the value: each may read of its own uses."""
    facts = entry.facts
    return tuple(
        Matter(
            key=f"relied:{entry.subject}",
            topic=Topic.CORRECTION,
            title=names.resource(ResourceId(str(facts["resource_id"]))),
            what=_SAID[str(facts["action"])],
            address=f"/corrections/{entry.subject}/uses",
            audiences=(Audience(department=code, roles=STAFF),),
            action=Action.CORRECTION_READ,
            target=Target(id=entry.subject, provider=DepartmentCode(str(facts["provider"])), consumer=code),
        )
        for code in departments
    )
