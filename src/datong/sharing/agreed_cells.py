"""What a consumer may know of single cells of a resource outside of the gateway, as when it reports an error in one.

The same limits as at the gateway: items in an agreement in force, its rows only, masked as agreed, found by keys that
are agreed or that name the person or firm in question.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from datong.catalogue import Item, Resource
from datong.sharing.mask_keys import MaskKeys
from datong.sharing.masks import UNSHOWN, ColumnMask, MaskKind
from datong.sharing.request_rules import find_item
from datong.sharing.row_filters import RowCondition, passes
from datong.sharing.terms import Agreement, AgreementState

COLUMN_PREFIX = "column:"
ROW_KEY = "row_key"
SUBJECT_ELEMENTS = frozenset({"citizen_id", "uscc"})
"""Whoever asks about a person or a firm has the number from them: a key by it tells nothing that was not known."""


class AgreedCells(NamedTuple):
    """A consumer's sight of one resource: masks by column, and the conditions that its rows meet."""

    resource: Resource
    masks: Mapping[str, ColumnMask]
    conditions: frozenset[RowCondition]

    def covers(self, name: str) -> bool:
        """Whether an item, by column or element, is agreed; `row_key` if all keys of the resource are."""
        return name in SUBJECT_ELEMENTS or (bool(columns := self._columns(name)) and columns <= self.masks.keys())

    def mask_of(self, name: str) -> ColumnMask:
        """Return how an item is shown: hidden if it is not agreed, as is a row's key unless all of it is shown."""
        masks = {self.masks.get(column, UNSHOWN) for column in self._columns(name)}
        return masks.pop() if len(masks) == 1 else UNSHOWN

    def concerns(self, cells: Mapping[str, str | None]) -> bool:
        """Whether the agreements are about a record with these values, by element or `column:` and the column."""
        items = {item.column: item for item in self.resource.content.items}

        def value_of(column: str) -> str | None:
            item = items.get(column)
            by_element = cells.get(item.element) if item is not None and item.element else None
            return cells.get(f"{COLUMN_PREFIX}{column}", by_element)

        return passes(self.conditions, value_of)

    def _columns(self, name: str) -> set[str]:
        items: Iterable[Item | None] = (
            [item for item in self.resource.content.items if item.key]
            if name == ROW_KEY
            else [find_item(self.resource, name.removeprefix(COLUMN_PREFIX))]
        )
        return {item.column for item in items if item is not None}


def cells_agreed(
    resource: Resource, agreements: Iterable[Agreement], mask_keys: MaskKeys, now: datetime
) -> AgreedCells:
    """Return what agreements about a resource let their consumer know; of several masks of an item the first counts."""
    masks: dict[str, ColumnMask] = {}
    conditions: set[RowCondition] = set()
    for agreement in agreements:
        in_force = agreement.state is AgreementState.ACTIVE and agreement.valid_from <= now < agreement.valid_until
        # Whose consent it would take is not known here: such an agreement lets nothing be known.
        if in_force and not agreement.purpose.consent:
            masks = {**mask_keys.of(agreement), **masks}
            conditions.update(agreement.row_filter)
    return AgreedCells(resource, masks, frozenset(conditions))


def shown_plainly(mask: ColumnMask) -> bool:
    """Whether a value under this mask is shown as it is."""
    return mask.kind is MaskKind.NONE
