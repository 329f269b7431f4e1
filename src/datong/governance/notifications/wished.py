"""What an act on a wish of the public means for people: somebody is to read and assign it, or to answer it. Pure."""

from collections.abc import Sequence

from datong.governance.notifications.matters import AUTHORITY, OFFICERS, Audience, Matter, Names, Topic
from datong.kernel import DepartmentCode, Text
from datong.ledger import RecordedEntry
from datong.sharing import Action, Target


def of_wish(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    """Return whom a wish concerns after an act; nobody once it was answered: the public follows it on the wall."""
    named, step = entry.facts.get("department"), entry.facts.get("step")
    department = DepartmentCode(named) if isinstance(named, str) and named else None
    if step in {"make", "hand_back"}:
        audience = Audience(department=None, roles=AUTHORITY)
        what = Text(zh="待审核、交办。", en="Read it and give it to the department that holds the data.")
    elif step == "assign" and department is not None:
        audience, name = Audience(department=department, roles=OFFICERS), names.department(department)
        what = Text(zh=f"待{name.zh}答复。", en=f"{name.en} is to answer.")
    else:
        return ()
    return (
        Matter(
            key=f"wish:{entry.subject}",
            topic=Topic.DUTY,
            title=Text(zh="公众提出数据需求", en="The public asks for data"),
            what=what,
            address=f"/wishes/{entry.subject}",
            audiences=(audience,),
            action=Action.WISH_READ,
            target=Target(id=entry.subject, department=department),
        ),
    )
