"""Reading what allowed calls ask for: the keys of one resource together, since each look-up costs turns of threads."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from datong.kernel import DatongError, ResourceId
from datong.sharing.gateway_calls import ROWS_MAX, Asked, Call, too_wide, values_by_column
from datong.sharing.gateway_told import Told, told_of
from datong.sharing.grants import Grant
from datong.sharing.records import Record, RecordSource
from datong.sharing.row_filters import passes

KEYS_AT_ONCE = 32
"""Keys that are looked up together; a key may meet many records, all of which are in memory then."""


class Allowed(NamedTuple):
    """A call that the policy allows, before what it asks for is read."""

    asked: Asked
    call: Call
    grant: Grant


def read_together(records: RecordSource, calls: Mapping[int, Allowed]) -> dict[int, Told | DatongError]:
    """Return of each call what its caller is to be told, or what hinders it."""
    alike: dict[tuple[ResourceId, str], list[int]] = {}
    for place, one in calls.items():
        alike.setdefault((one.call.shape.resource.id, one.call.shape.key_name), []).append(place)
    told: dict[int, Told | DatongError] = {}
    for (resource_id, key_name), places in alike.items():
        for begin in range(0, len(places), KEYS_AT_ONCE):
            some = places[begin : begin + KEYS_AT_ONCE]
            try:
                found = records.lookup(resource_id, key_name, [calls[place].call.key_value for place in some])
            except DatongError as error:
                told.update(dict.fromkeys(some, error))
                continue
            for place, rows in zip(some, found, strict=True):
                told[place] = _told(calls[place], rows)
    return told


def _told(one: Allowed, found: Sequence[Record]) -> Told | DatongError:
    """Return what is told of the records that the key meets and every agreement of the call is about."""
    grant = one.grant
    if grant.conditions:
        found = [row for row in found if passes(grant.conditions, values_by_column(row, grant.shape))]
    if len(found) > ROWS_MAX:
        return too_wide()
    return told_of(one.asked, one.call, grant, found)
