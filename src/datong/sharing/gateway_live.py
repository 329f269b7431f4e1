"""Calls that the provider's node answers: it reads agreed columns only, and masks or compares them itself."""

from collections.abc import Mapping
from datetime import timedelta

from datong.kernel import Clock, Text
from datong.sharing.gateway_calls import Call, invalid_part, person_items, too_wide
from datong.sharing.live import LiveServices
from datong.sharing.live_values import LiveAnswer, LiveCall, LiveKind, LiveService
from datong.sharing.masks import ColumnMask


def ask_node(
    live: LiveServices,
    clock: Clock,
    call: Call,
    *,
    masks: Mapping[str, ColumnMask] | None = None,
    claims: Mapping[str, str] | None = None,
) -> LiveAnswer:
    """Have the provider's node answer a query (`masks` by column) or a verification (`claims` by column).

    Raises:
        Invalid: the resource is bound to no table.
        TooLarge: the key meets more records than one answer may hold.
        Unavailable, Overloaded, TimedOut, Corrupt: see `LiveServices.ask`.
    """
    shape = call.shape
    binding = shape.resource.content.binding
    if binding is None:
        raise invalid_part("resource", Text(zh="该资源未挂接。", en="The resource is not bound to a table."))

    def make(service: LiveService, call_id: str, answer_key: bytes) -> LiveCall:
        return LiveCall(
            answer_key=answer_key,
            id=call_id,
            kind=LiveKind.VERIFY if masks is None else LiveKind.QUERY,
            source=binding.source,
            table=binding.table,
            key_column=shape.key.column,
            key_value=call.key_value,
            columns={column: mask.kind for column, mask in (masks or {}).items()},
            mask_keys={column: mask.key for column, mask in (masks or {}).items() if mask.key},
            claims=claims or {},
            subject_columns=tuple(sorted(item.column for item in person_items(shape))),
            rows_max=service.terms.rows_max,
            timeout_milliseconds=service.terms.timeout_milliseconds,
            deadline_at=clock.now() + timedelta(milliseconds=service.terms.timeout_milliseconds),
        )

    answer = live.ask(shape.resource.id, make)
    if answer.too_many:
        raise too_wide()
    return answer
