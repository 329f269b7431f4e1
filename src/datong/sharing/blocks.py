"""The block-data view (块数据): one entity over all departments, every cell decided by the policy engine.

Golden cells, each department's own records, relations and the verdicts of derived libraries come together on one page;
what the caller may not see is counted and left out whole, since that a register knows somebody is personal by itself
(whoever has a cell 低收入认定状态 is on the register of assistance). A decision depends on the department that answers
for the cell and on the grade of its element, so a page asks the engine once per such pair.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from datong.kernel import AccessId, DepartmentCode, EntityId, EntryId, NotFound, Text, Value
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.norms import NormPack
from datong.sharing.actions import Action, Decision, Target
from datong.sharing.block_evidence import BlockEvidence, BlockOpening, BlockShown
from datong.sharing.policy import PolicyEngine
from datong.sharing.principals import Principal
from datong.sharing.subjects import CITIZEN_ELEMENT

if TYPE_CHECKING:
    from datong.library import Cell, EntityView, GoldenRow, Library

VERDICT_COLUMN = "verdict"
KEY_MATCHES_MAX = 20


class BlockCell(Value):
    """One cell that the caller may see."""

    element: str
    value: str | None
    raw: str | None
    department: DepartmentCode
    resource_id: str
    row_key: str
    rule: str
    flag: str | None
    observed_at: str | None
    others: tuple["BlockCell", ...] = ()
    """What other sources say of the element."""


class BlockRecord(Value):
    """A department's own record of the entity."""

    title: Text
    resource_id: str
    row_key: str
    cells: tuple[BlockCell, ...]


class BlockDepartment(Value):
    """All that one department knows of the entity."""

    department: DepartmentCode
    records: tuple[BlockRecord, ...]


class BlockEdge(Value):
    """A relation of the entity to another: `outward` if it leads from the entity."""

    kind: str
    title: Text
    outward: bool
    other_type: str
    other_id: EntityId
    attribute: str | None
    department: DepartmentCode


class BlockVerdict(Value):
    """What a derived library says of the entity, or of what it belongs to."""

    library: str
    title: Text
    entity_id: EntityId
    verdict: str


class Block(Value):
    """The block-data view of one entity; `hidden` counts what the caller may not see, `reasons` say why."""

    library: str
    version: int
    entity_id: EntityId
    cells: tuple[BlockCell, ...]
    departments: tuple[BlockDepartment, ...]
    edges: tuple[BlockEdge, ...]
    verdicts: tuple[BlockVerdict, ...]
    shown: int
    hidden: int
    reasons: tuple[Text, ...]
    access_id: AccessId
    entry_id: EntryId


class BlockPurpose(Value):
    """For what a view is opened, in words, and the case it is opened for, if there is one."""

    purpose: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    case_number: str = Field("", max_length=NAME_CHARS_MAX)


class Blocks:
    """Opens block-data views; every opening and every refusal is on record before anything is shown."""

    def __init__(self, *, library: "Library", policy: PolicyEngine, pack: NormPack, evidence: BlockEvidence) -> None:
        self._library = library
        self._policy = policy
        self._pack = pack
        self._evidence = evidence

    def by_key(self, caller: Principal, library: str, key_element: str, key_value: str) -> tuple[EntityId, ...]:
        """Return the entities that bear exactly this key, as far as the caller may see in their cells that they do.

        Otherwise whoever tries values learns them: that two keys lead to one entity says that they belong together.

        Raises:
            Refused: the caller may not open block-data views.
            NotFound: the library is not looked up by that element.
        """
        self._policy.require(caller, Action.LIBRARY_READ_BLOCK)
        sight = _Sight(caller, self._policy, self._pack)
        rows = self._library.lookup(library, key_element, key_value)[:KEY_MATCHES_MAX]
        return tuple(
            row.entity_id for row in rows if row.entity_id is not None and self._bears(sight, library, row, key_element)
        )

    def _bears(self, sight: "_Sight", library: str, row: "GoldenRow", key_element: str) -> bool:
        """Whether the caller sees the key in the golden record, or in that of a department which says the same."""
        cell = row.cells.get(key_element)
        if cell is None or row.entity_id is None:
            return sight.sees(key_element, "")
        if sight.sees(key_element, cell.department):
            return True
        members = self._library.entity(library, row.entity_id).members
        said = (member.cells.get(key_element) for member in members)
        return any(
            one is not None and one.value == cell.value and sight.sees(key_element, one.department) for one in said
        )

    def open(self, caller: Principal, library: str, entity_id: EntityId, asked: BlockPurpose) -> Block:
        """Return the block-data view of an entity as `caller` may see it.

        Raises:
            Refused: the caller may not open block-data views.
            NotFound: there is no such entity.
        """
        opening = BlockOpening(
            library=library,
            title=self._library.definition(library).title,
            version=None,
            entity_id=entity_id,
            purpose=asked.purpose,
            case_number=asked.case_number,
        )
        decision = self._policy.authorise(caller, Action.LIBRARY_READ_BLOCK)
        if not decision.allowed:
            self._evidence.record(caller, opening, BlockShown(), decision.policy_ids, allowed=False)
        self._policy.require(caller, Action.LIBRARY_READ_BLOCK)
        view = self._library.entity(library, entity_id)
        sight = _Sight(caller, self._policy, self._pack)
        cells = self._cells(sight, view)
        departments = _departments(sight, view)
        edges = self._edges(sight, view.entity_id)
        verdicts = self._verdicts(sight, view)
        shown = BlockShown(
            elements=tuple((code, self._name(code)) for code in sorted(sight.elements)),
            departments=tuple(sorted(sight.departments)),
            citizens=_citizens(view, sight.elements),
            shown=sight.shown,
            hidden=sight.hidden,
        )
        opening = opening.model_copy(update={"version": view.version, "entity_id": view.entity_id})
        access_id, entry_id = self._evidence.record(caller, opening, shown, decision.policy_ids, allowed=True)
        return Block(
            library=library,
            version=view.version,
            entity_id=view.entity_id,
            cells=cells,
            departments=departments,
            edges=edges,
            verdicts=verdicts,
            shown=sight.shown,
            hidden=sight.hidden,
            reasons=tuple(dict.fromkeys(sight.reasons)),
            access_id=access_id,
            entry_id=entry_id,
        )

    def _name(self, code: str) -> Text:
        return self._pack.element(code).name if self._pack.has_element(code) else Text(zh=code, en=code)

    def _cells(self, sight: "_Sight", view: "EntityView") -> tuple[BlockCell, ...]:
        others = {conflict.element: conflict.candidates[1:] for conflict in view.conflicts}
        return tuple(
            shown.model_copy(update={"others": sight.cells((element, other) for other in others.get(element, ()))})
            for element, cell in view.cells.items()
            for shown in sight.cells([(element, cell)])
        )

    def _edges(self, sight: "_Sight", entity_id: EntityId) -> tuple[BlockEdge, ...]:
        titles = {
            edge.kind: edge.title
            for known in self._library.definitions()
            for edge in (known.graph.edges if known.graph is not None else ())
        }
        return tuple(
            _edge(row, entity_id, titles)
            for row in self._library.relations(entity_id)
            if sight.sees(row.cells["element"].value or "", row.cells["kind"].department)
        )

    def _verdicts(self, sight: "_Sight", view: "EntityView") -> tuple[BlockVerdict, ...]:
        found: list[BlockVerdict] = []
        for known in self._library.definitions():
            if known.derivation is None or known.derivation.inputs[0].library != view.library:
                continue
            try:
                rows = self._library.lookup(known.name, "member_id", view.entity_id)
            except NotFound:
                continue
            # A verdict is made of many departments' cells: no single department answers for it.
            found.extend(
                BlockVerdict(
                    library=known.name,
                    title=known.title,
                    entity_id=row.entity_id,
                    verdict=row.cells[VERDICT_COLUMN].value or "",
                )
                for row in rows
                if row.entity_id is not None and sight.sees(VERDICT_COLUMN, "")
            )
        return tuple(found)


class _Sight:
    """What one caller may see, decided once per department and grade; counts what was shown and hidden."""

    def __init__(self, caller: Principal, policy: PolicyEngine, pack: NormPack) -> None:
        self._caller = caller
        self._policy = policy
        self._pack = pack
        self._decisions: dict[tuple[str, str], Decision] = {}
        self.shown = 0
        self.hidden = 0
        self.reasons: list[Text] = []
        self.elements: set[str] = set()
        self.departments: set[DepartmentCode] = set()

    def sees(self, element: str, department: str) -> bool:
        """Decide about one cell, and count it."""
        grade = self._pack.element(element).grade.value if self._pack.has_element(element) else ""
        decision = self._decisions.get((department, grade))
        if decision is None:
            target = Target(
                id=element, department=DepartmentCode(department) if department else None, grade=grade or None
            )
            decision = self._policy.authorise(self._caller, Action.LIBRARY_READ_CELL, target)
            self._decisions[department, grade] = decision
        if decision.allowed:
            self.shown += 1
            self.elements.add(element)
            self.departments |= {DepartmentCode(department)} if department else set()
        else:
            self.hidden += 1
            self.reasons.extend(decision.reasons)
        return decision.allowed

    def cells(self, given: Iterable[tuple[str, "Cell"]]) -> tuple[BlockCell, ...]:
        """Return those of `given`, each with its element, that the caller may see."""
        return tuple(
            BlockCell(
                element=element,
                value=cell.value,
                raw=cell.raw,
                department=cell.department,
                resource_id=cell.resource_id,
                row_key=cell.row_key,
                rule=cell.rule,
                flag=cell.flag,
                observed_at=cell.observed_at,
            )
            for element, cell in given
            if self.sees(element, cell.department)
        )


def _citizens(view: "EntityView", seen: Collection[str]) -> tuple[str, ...]:
    """Return the citizens concerned: whose entity it is by any source's word, and whose numbers the view shows."""
    shown = {CITIZEN_ELEMENT, *(element for element in seen if element.endswith(CITIZEN_ELEMENT))}
    cells = [(element, cell) for member in view.members for element, cell in member.cells.items()]
    cells += list(view.cells.items())
    found = {cell.value for element, cell in cells if element in shown and cell.value}
    return tuple(sorted(found))[:GATEWAY_ITEMS_MAX]


def _departments(sight: _Sight, view: "EntityView") -> tuple[BlockDepartment, ...]:
    """Return each department's own records as far as they are seen, in the order of the departments' codes."""
    records: dict[DepartmentCode, list[BlockRecord]] = {}
    for member in view.members:
        cells = sight.cells(
            (element, cell) for element, cell in member.cells.items() if cell.value is not None or cell.raw
        )
        if cells:
            record = BlockRecord(
                title=member.title, resource_id=member.resource_id, row_key=member.row_key, cells=cells
            )
            records.setdefault(member.department, []).append(record)
    return tuple(
        BlockDepartment(department=department, records=tuple(mine)) for department, mine in sorted(records.items())
    )


def _edge(row: "GoldenRow", entity_id: EntityId, titles: Mapping[str, Text]) -> BlockEdge:
    """Return a relation as seen from `entity_id`."""
    said = {name: cell.value or "" for name, cell in row.cells.items()}
    outward = said["from_id"] == entity_id
    kind = said["kind"]
    return BlockEdge(
        kind=kind,
        title=titles.get(kind, Text(zh=kind, en=kind)),
        outward=outward,
        other_type=said["to_type" if outward else "from_type"],
        other_id=EntityId(said["to_id" if outward else "from_id"]),
        attribute=said.get("attribute") or None,
        department=row.cells["kind"].department,
    )
