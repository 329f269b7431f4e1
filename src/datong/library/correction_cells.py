"""Which cell a report is about, and what the library says of it now: reading only."""

from collections.abc import Callable, Mapping
from typing import Any

from datong.kernel import BatchId, Conflict, EntityId, NotFound, ResourceId, Text
from datong.library.correction_values import DisputedCell
from datong.library.published import Published
from datong.library.values import Cell


class CorrectionCells:
    """Finds cells of entities and of sources' records in what the libraries publish."""

    def __init__(self, library: Published) -> None:
        self._library = library

    def cell_of_entity(
        self, library: str, entity_id: EntityId, element: str, resource_id: ResourceId | None = None
    ) -> DisputedCell:
        """Return an entity's cell: what a source says of `element`; without `resource_id`, the golden one.

        Raises:
            NotFound: no such entity, or nobody says anything of the element.
        """
        view = self._library.entity(library, entity_id)
        said = [view.cells[element]] if element in view.cells and resource_id is None else []
        said += [
            member.cells[element]
            for member in view.members
            if element in member.cells and member.resource_id == resource_id
        ]
        if not said:
            raise _no_such_cell(element)
        return _disputed(library, view.entity_id, element, said[0])

    def cell_of_record(
        self,
        resource_id: ResourceId,
        key_element: str,
        key_value: str,
        element: str,
        *,
        among: Callable[[Mapping[str, str | None]], bool],
    ) -> DisputedCell:
        """Return the cell of a source's record that is found by a key, as a consumer of the resource knows it.

        Records that do not belong `among` those that the consumer may know of, by their values, are not there.

        Raises:
            NotFound: no such record, or the resource has no such element.
            Conflict: the key fits several records.
        """
        found = [
            one
            for one in self._library.lookup(f"resource:{resource_id}", key_element, key_value)
            if among({name: cell.value for name, cell in one.cells.items()})
        ]
        if len(found) > 1:
            raise Conflict(
                "library.correction_key_ambiguous",
                what=Text(zh=f"该值对应 {len(found)} 条记录。", en=f"The key fits {len(found)} records."),
                remedy=Text(zh="请用主键（row_key）指定。", en="Name the one by its own key (row_key)."),
            )
        cells = found[0].cells if found else {}
        cell = cells.get(element) or cells.get(f"column:{element}")
        if cell is None:
            raise _no_such_cell(element)
        library = self._library.resource_dataset(resource_id).library
        return _disputed(library, found[0].entity_id, element if element in cells else f"column:{element}", cell)

    def publisher(self, cell: DisputedCell) -> str:
        """Return the library that publishes the record's source: after its versions the record is looked at again."""
        try:
            return self._library.resource_dataset(cell.resource_id).library
        except NotFound:
            return cell.library

    def present(self, row: Mapping[str, Any]) -> tuple[BatchId, Cell | None]:
        """Return the reported cell as its source says it now, and the newest batch of the record.

        A record that its source has deleted says nothing; the batch is then unknown.
        """
        values, element = row["personal"]["values"], row["element"]
        try:
            found = self._library.lookup(f"resource:{row['resource_id']}", "row_key", values["row_key"])
            cells = dict(found[0].cells) if found else {}
        except NotFound:
            cells = self._member_cells(row)
        batches = [cell.batch_id for cell in cells.values()]
        return (batches[0] if batches else BatchId("")), cells.get(element)

    def _member_cells(self, row: Mapping[str, Any]) -> dict[str, Cell]:
        """Return the record's cells where the library publishes no sources: from the entity's members."""
        values = row["personal"]["values"]
        try:
            view = self._library.entity(row["library"], EntityId(values["entity_id"] or ""))
        except NotFound:
            return {}
        members = [member for member in view.members if member.resource_id == row["resource_id"]]
        return next((dict(one.cells) for one in members if one.row_key == values["row_key"]), {})

    def is_golden(self, row: Mapping[str, Any], seen: str | None) -> bool:
        """Whether the golden record of the reported entity says what its source now says."""
        entity_id = row["personal"]["values"]["entity_id"]
        if entity_id is None:
            return False
        try:
            cell = self._library.entity(row["library"], EntityId(entity_id)).cells.get(row["element"])
        except NotFound:
            return seen is None
        return (None if cell is None else cell.value) == seen


def _disputed(library: str, entity_id: EntityId | None, element: str, cell: Cell) -> DisputedCell:
    return DisputedCell(
        library=library,
        entity_id=entity_id,
        resource_id=cell.resource_id,
        provider=cell.department,
        row_key=cell.row_key,
        element=element,
        value=cell.value,
        batch_id=cell.batch_id,
    )


def _no_such_cell(element: str) -> NotFound:
    return NotFound(
        "library.correction_no_cell",
        what=Text(zh=f"没有这条记录，或其中没有 {element}。", en=f"There is no such record, or no {element} in it."),
        remedy=Text(zh="请核对记录和数据元。", en="Check the record and the data element."),
        field="/element",
    )
