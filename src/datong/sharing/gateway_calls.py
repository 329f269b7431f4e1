"""A call of the gateway: what was asked, what its names mean, and what it is told."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from datong.catalogue import Item, Resource
from datong.kernel import AccessId, AgreementId, EntryId, Invalid, ResourceId, Text, TooLarge, Value
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing.actions import Action
from datong.sharing.masks import MaskKind
from datong.sharing.matching import Match
from datong.sharing.principals import Principal
from datong.sharing.records import Record
from datong.sharing.request_rules import find_item
from datong.sharing.subjects import CITIZEN_ELEMENT

FRESH_SECONDS = 0.05
"""How long a call may rely on what was looked up for another one: an agreement that ends stops calls so soon."""
ROWS_MAX = 100
"""Records that one query may return; a key that meets more is too wide."""
KEY_ELEMENTS = frozenset(
    {"citizen_id", "household_id", "real_estate_unit", "uscc", "certificate_id", "student_id", "record_id"}
)


class GatewayAnswer(Value):
    """What a query answers. Rows and masks go by the names the caller used.

    `answer_salt` opens the ledger's commitment to the rows: the caller can later prove what it was told.
    """

    access_id: AccessId
    entry_id: EntryId
    at: datetime
    agreement_ids: tuple[AgreementId, ...]
    rows: tuple[dict[str, str | None], ...]
    masks: dict[str, MaskKind]
    answer_salt: str


class VerifyAnswer(Value):
    """What a verification answers: one of match, no_match and unknown for each claim, by the names the caller used."""

    access_id: AccessId
    entry_id: EntryId
    at: datetime
    agreement_ids: tuple[AgreementId, ...]
    results: dict[str, Match]
    answer_salt: str


Answer = GatewayAnswer | VerifyAnswer


class Once(NamedTuple):
    """A call that is to be carried out once: the caller's key for it, a digest of what is asked, and which part of a
    call about several records it is."""

    key: str
    digest: str
    part: int = 0


class Asked(NamedTuple):
    """A call as it came: a verification has `claims`, a query none.

    `proved` says that the caller's credentials were looked up in the control database, not only verified.
    """

    principal: Principal
    resource_id: ResourceId
    key: Mapping[str, str]
    names: tuple[str, ...]
    purpose: str
    case_number: str
    claims: Mapping[str, str] | None = None
    proved: bool = True
    once: Once | None = None

    @property
    def action(self) -> Action:
        """The act that the policy decides about."""
        return Action.DATA_QUERY if self.claims is None else Action.DATA_VERIFY


class Shape(NamedTuple):
    """What calls of one caller have in common that ask the same of different records: names resolved."""

    action: Action
    principal: Principal
    resource: Resource
    key: Item
    items: Mapping[str, Item]
    purpose: str

    @property
    def key_name(self) -> str:
        """By what the record is looked up."""
        return self.key.element or self.key.column

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are asked for."""
        return frozenset(item.column for item in self.items.values())


class Call(NamedTuple):
    """One call: its shape, the record it is about, and the case it is for."""

    shape: Shape
    key_value: str
    case_number: str
    at: datetime

    @property
    def people(self) -> tuple[str, ...]:
        """The citizen whom the key itself names."""
        return (self.key_value,) if self.shape.key.element == CITIZEN_ELEMENT else ()


def require_call(asked: Asked) -> tuple[str, str]:
    """Return name and value of the key of a call that has the form it must have; see `resolve`."""
    if len(asked.key) != 1 or not 0 < len(next(iter(asked.key.values())).strip()) <= NAME_CHARS_MAX:
        raise invalid_part("key", Text(zh="须恰好给出一个查询键及其值。", en="Give exactly one key with its value."))
    too_long = len(asked.purpose) > NAME_CHARS_MAX or len(asked.case_number) > TEXT_CHARS_MAX
    if len(asked.names) > GATEWAY_ITEMS_MAX or too_long:
        raise TooLarge(
            "sharing.call_too_large",
            what=Text(zh="一次调用的内容过多。", en="The call asks for too much at once."),
            remedy=Text(
                zh=f"一次最多 {GATEWAY_ITEMS_MAX} 个信息项。", en=f"Ask for at most {GATEWAY_ITEMS_MAX} items."
            ),
        )
    ((name, value),) = asked.key.items()
    return name, value.strip()


def resolve(asked: Asked, resource: Resource, key_name: str) -> Shape:
    """Resolve the names of a call, or say what is wrong with it. Nothing is read.

    Raises:
        Invalid: unknown names, or a key that identifies nothing.
    """
    key_item = find_item(resource, key_name)
    if key_item is None or not (key_item.key or key_item.element in KEY_ELEMENTS):
        raise invalid_part(
            "key", Text(zh=f"不能按 {key_name} 查询该资源。", en=f"This resource is not looked up by {key_name}.")
        )
    return Shape(
        asked.action, asked.principal, resource, key_item, _items(resource, asked.names), asked.purpose.strip()
    )


def resolve_names(
    action: Action, principal: Principal, resource: Resource, names: Sequence[str], purpose: str
) -> Shape:
    """Resolve the items of a read that has no key.

    Raises:
        Invalid: unknown names.
    """
    items = _items(resource, names)
    key = next(iter(items.values()), resource.content.items[0])
    return Shape(action, principal, resource, key, items, purpose.strip())


def _items(resource: Resource, names: Sequence[str]) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for name in names:
        item = find_item(resource, name)
        if item is None:
            raise invalid_part("items", Text(zh=f"该资源没有信息项 {name}。", en=f"The resource has no item {name}."))
        items[name] = item
    return items


def value_of(record: Record, item: Item) -> str | None:
    """Return a record's value of an item: by its column, else by its data element."""
    if item.column in record.values:
        return record.values[item.column]
    return record.values.get(item.element) if item.element else None


def values_by_column(record: Record, shape: Shape) -> Callable[[str], str | None]:
    """Return what a record says by column; a column that the resource has no more says nothing."""
    columns = {item.column: item for item in shape.resource.content.items}
    return lambda column: value_of(record, columns[column]) if column in columns else None


def person_items(shape: Shape) -> tuple[Item, ...]:
    """Return the items that hold citizens' numbers: the record's own, and those that are asked for."""
    own = {item.column: item for item in shape.resource.content.items if item.element == CITIZEN_ELEMENT}
    asked = {item.column: item for item in shape.items.values() if (item.element or "").endswith(CITIZEN_ELEMENT)}
    return tuple({**own, **asked}.values())


def people_of(records: Sequence[Record], items: Sequence[Item]) -> tuple[str, ...]:
    """Return the numbers of the people whom records concern."""
    return tuple(value_of(record, item) or "" for record in records for item in items)


def too_wide() -> TooLarge:
    """Return the error of a key that names too many records."""
    return TooLarge(
        "sharing.answer_too_large",
        what=Text(zh="查询键对应的记录过多。", en="The key meets more records than one answer may hold."),
        remedy=Text(zh="请使用能唯一确定对象的查询键。", en="Use a key that identifies one thing."),
    )


def invalid_part(field: str, what: Text) -> Invalid:
    """Return the error of a part of a call that says nothing usable."""
    return Invalid(
        f"sharing.{field}_invalid",
        what=what,
        remedy=Text(zh="请对照目录中的信息项修改。", en="Compare with the items in the catalogue."),
        field=f"/{field}",
    )
