"""Calls that the provider's node answers: it reads agreed columns only, and masks or compares them itself."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from datong.kernel import Clock, Corrupt, ResourceId, Text
from datong.sharing.gateway_calls import Call, invalid_part, person_items, too_wide
from datong.sharing.live import LiveServices
from datong.sharing.live_values import LiveAnswer, LiveCall, LiveKind, LiveService
from datong.sharing.masks import ColumnMask, MaskKind
from datong.sharing.relay.answers import ask_higher
from datong.sharing.row_filters import RowCondition, passes


def ask_node(
    live: LiveServices,
    clock: Clock,
    call: Call,
    *,
    conditions: Iterable[RowCondition] = (),
    masks: Mapping[str, ColumnMask] | None = None,
    claims: Mapping[str, str] | None = None,
) -> LiveAnswer:
    """Have the provider's node answer a query (`masks` by column) or a verification (`claims` by column), about the
    rows that meet every condition.

    The node holds back all other rows and signs that it did; what it shows unmasked is looked at here once more.

    Raises:
        Invalid: the resource is bound to no table.
        TooLarge: the key meets more records than one answer may hold.
        Corrupt: `sharing.live_unfiltered` where rows outside the conditions came back, or may have been compared.
        Unavailable, Overloaded, TimedOut, Corrupt: see `LiveServices.ask`.
    """
    shape = call.shape
    binding, origin = shape.resource.content.binding, shape.resource.content.origin
    agreed = tuple(sorted(conditions, key=lambda one: (one.column, one.operator, one.values)))
    relayed = origin is not None and bool(origin.path)
    if relayed and origin is not None:
        higher = live.higher(origin.source_id)
        if higher is not None:
            return ask_higher(higher, clock, call, ResourceId(origin.remote_id), agreed, masks, claims)
        source, table = "", origin.remote_id
    elif binding is not None:
        source, table = binding.source, binding.table
    else:
        raise invalid_part("resource", Text(zh="该资源未挂接。", en="The resource is not bound to a table."))

    def make(service: LiveService, call_id: str, answer_key: bytes) -> LiveCall:
        return LiveCall(
            answer_key=answer_key,
            id=call_id,
            kind=LiveKind.VERIFY if masks is None else LiveKind.QUERY,
            source=source,
            table=table,
            key_column=shape.key.column,
            key_value=call.key_value,
            columns={column: mask.kind for column, mask in (masks or {}).items()},
            mask_keys={column: mask.key for column, mask in (masks or {}).items() if mask.key},
            claims=claims or {},
            conditions=agreed,
            subject_columns=tuple(sorted(item.column for item in person_items(shape))),
            rows_max=service.terms.rows_max,
            timeout_milliseconds=service.terms.timeout_milliseconds,
            purpose=shape.purpose if relayed else "",
            case_number=call.case_number if relayed else "",
            deadline_at=clock.now() + timedelta(milliseconds=service.terms.timeout_milliseconds),
        )

    answer = live.ask(shape.resource.id, make)
    if answer.conditions != agreed or not _shown_pass(answer, agreed, masks or {}):
        raise Corrupt(
            "sharing.live_unfiltered",
            what=Text(zh="节点的应答未按协议过滤数据行，已拒收。", en="The node's answer is not filtered as agreed."),
            remedy=Text(zh="请联系提供部门更新前置机。", en="Ask the provider to update its node."),
        )
    if answer.too_many:
        raise too_wide()
    return answer


def _shown_pass(answer: LiveAnswer, conditions: Iterable[RowCondition], masks: Mapping[str, ColumnMask]) -> bool:
    """Whether the rows meet the conditions on those columns that are shown as they are."""
    shown = [one for one in conditions if one.column in masks and masks[one.column].kind is MaskKind.NONE]
    return all(passes(shown, row.get) for row in answer.rows)
