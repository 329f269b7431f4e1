"""Taking in many drafts at once: what each arrival meets in the catalogue, and why it cannot be taken."""

from sqlalchemy import Connection, select

from datong.catalogue.lifecycle import EDITABLE_STATES
from datong.catalogue.records import binding_key, declared, locked
from datong.catalogue.tables import resource
from datong.catalogue.values import Resource, ResourceContent
from datong.kernel import DepartmentCode, ResourceId, Text, Value


class Arrival(Value):
    """One resource from a file; `serial` names it in the report."""

    serial: str
    resource_id: str = ""
    code: str = ""
    content: ResourceContent


class IntakeFault(Value):
    """Why one arrival was not taken."""

    serial: str
    what: Text
    remedy: Text


class IntakeResult(Value):
    """What became of the arrivals; with faults nothing was written, unless a part was asked for."""

    taken: bool
    faults: tuple[IntakeFault, ...]
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    resource_ids: tuple[ResourceId, ...] = ()


def untold(_done: int, _total: int) -> None:
    """Tell nobody how far it is."""


def known_as(connection: Connection, department: DepartmentCode, arrival: Arrival) -> Resource | None:
    """Return the department's resource that an arrival describes, held until the transaction ends.

    It is found by its id, else its code, else the table it is bound to.
    """
    clauses = [resource.c.id == arrival.resource_id] if arrival.resource_id else []
    clauses += [resource.c.code == arrival.code] if arrival.code else []
    if arrival.content.binding is not None:
        clauses.append(resource.c.binding_key == binding_key(arrival.content.binding, ""))
    for clause in clauses:
        statement = select(resource.c.id).where(resource.c.department == department, clause)
        found = connection.execute(statement).scalar()
        if found is not None:
            return locked(connection, ResourceId(found))
    return None


def claims_of(arrival: Arrival, known: Resource | None) -> set[str]:
    """Return what only one arrival may describe: its resource and its table."""
    claims = {known.id} if known is not None else set()
    binding = arrival.content.binding
    return claims | ({binding_key(binding, "")} if binding is not None else set())


def fault_of(arrival: Arrival, known: Resource | None, seen: set[str]) -> IntakeFault | None:
    """Return why an arrival cannot be taken, if it cannot; `seen` are the claims of those before it."""
    if seen & claims_of(arrival, known):
        return IntakeFault(
            serial=arrival.serial,
            what=Text(zh="文件中另一行已描述同一资源", en="another row of the file describes the same resource"),
            remedy=Text(zh="请合并这两行。", en="Merge the two rows."),
        )
    if known is None:
        return None
    if is_same(arrival, known):
        return None
    if known.content.origin is not None:
        return IntakeFault(
            serial=arrival.serial,
            what=Text(zh="该资源采集自其他平台，在本平台只读", en="the resource was harvested and is read-only here"),
            remedy=Text(zh="请在来源平台修改。", en="Change it where it comes from."),
        )
    if known.state not in EDITABLE_STATES:
        return IntakeFault(
            serial=arrival.serial,
            what=Text(
                zh=f"该资源处于“{known.state.label.zh}”状态，不能修改",
                en=f'the resource is "{known.state.label.en}" and cannot be edited',
            ),
            remedy=Text(zh="请先在平台上“修订”，再导入。", en="Revise it on the platform first, then import."),
        )
    if known.code is not None and arrival.content.classification != known.content.classification:
        return IntakeFault(
            serial=arrival.serial,
            what=Text(
                zh="信息资源代码已经编定，不能再改分类", en="the code has been given; the classification cannot change"
            ),
            remedy=Text(zh="请恢复原分类。", en="Restore the classification."),
        )
    return None


def is_same(arrival: Arrival, known: Resource) -> bool:
    """Whether an arrival says what the catalogue says already."""
    return declared(arrival.content) == declared(known.content)
