"""What a client asks for, read from its body and its query string; what does not fit the protocol is refused."""

import json
from collections.abc import Mapping
from datetime import datetime

from datong.kernel import Invalid, Text
from datong.sharing import ChangesAsk, QueryAsk

VERSION_DIGITS_MAX = 18
HINTS_MAX = 100


def read_query(body: bytes) -> QueryAsk:
    """Return what the body of a query asks for; fields it does not know are ignored.

    Raises:
        Invalid: the body is no JSON object, or a field is not of its kind.
    """
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise _bad("body") from error
    if not isinstance(given, dict):
        raise _bad("body")
    hints = given.get("predicateHints") or []
    if not isinstance(hints, list) or not all(isinstance(hint, str) for hint in hints):
        raise _bad("predicateHints")
    tree = given.get("jsonPredicateHints")
    if tree is not None and not isinstance(tree, str):
        raise _bad("jsonPredicateHints")
    return QueryAsk(
        sql_hints=tuple(hints[:HINTS_MAX]),
        tree_hint=tree,
        limit=_number(given, "limitHint"),
        version=_number(given, "version"),
        at=_moment(given, "timestamp"),
        starting_version=_number(given, "startingVersion"),
    )


def read_changes(parameters: Mapping[str, str]) -> ChangesAsk:
    """Return which changes are asked for.

    Raises:
        Invalid: a parameter is not of its kind.
    """
    return ChangesAsk(
        starting_version=_number(parameters, "startingVersion"),
        starting_at=_moment(parameters, "startingTimestamp"),
        ending_version=_number(parameters, "endingVersion"),
        ending_at=_moment(parameters, "endingTimestamp"),
    )


def read_since(parameters: Mapping[str, str]) -> datetime | None:
    """Return the time from which a version is asked for, if one is given.

    Raises:
        Invalid: it is no time.
    """
    return _moment(parameters, "startingTimestamp")


def _number(given: Mapping[str, object], field: str) -> int | None:
    value = given.get(field)
    if value is None:
        return None
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal()) or len(text) > VERSION_DIGITS_MAX:
        raise _bad(field)
    return int(text)


def _moment(given: Mapping[str, object], field: str) -> datetime | None:
    value = given.get(field)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError as error:
        raise _bad(field) from error
    if moment is None or moment.utcoffset() is None:
        raise _bad(field)
    return moment


def _bad(field: str) -> Invalid:
    return Invalid(
        "web.delta_request_invalid",
        what=Text(zh=f"请求中的 {field} 不可用。", en=f"The request's {field} is not usable."),
        remedy=Text(zh="请对照 Delta Sharing 协议修改请求。", en="Correct the request by the Delta Sharing protocol."),
        field=f"/{field}",
    )
