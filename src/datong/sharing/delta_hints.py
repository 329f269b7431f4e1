"""Which files a query may leave out: hints of clients, judged by the bounds of each file's columns.

Hints are a service, not a rule: what cannot be read or judged keeps the file. Clients filter the rows themselves. Only
columns that are handed out have bounds here, so a hint about any other says nothing about it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from datong.sharing.delta_values import Bound, ReleaseFile

HINTS_MAX = 100
HINT_CHARS_MAX = 100_000
DEPTH_MAX = 20
_COMPARISONS: Mapping[str, str] = {
    "equal": "=",
    "lessThan": "<",
    "lessThanOrEqual": "<=",
    "greaterThan": ">",
    "greaterThanOrEqual": ">=",
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
_SQL = re.compile(r"""\s*[`"]?(?P<column>\w+)[`"]?\s*(?P<sign><=|>=|=|<|>)\s*(?P<value>'[^']*'|-?\d+(?:\.\d+)?)\s*""")
_NUMBERS = ("long", "integer", "double", "decimal")


def kept_files(
    files: Sequence[ReleaseFile],
    types: Mapping[str, str],
    *,
    sql: Sequence[str] = (),
    tree: str | None = None,
    limit: int | None = None,
) -> tuple[ReleaseFile, ...]:
    """Return the files that a query needs: those that may meet every hint, and of them no more than `limit` rows ask.

    `sql` are predicateHints, `tree` is the text of jsonPredicateHints.
    """
    parsed = _read_tree(tree)
    wanted = [
        file
        for file in files
        if all(_sql_may_meet(hint, file.bounds, types) for hint in sql[:HINTS_MAX])
        and _tree_may_meet(parsed, file.bounds, types, 0)
    ]
    if limit is None:
        return tuple(wanted)
    kept: list[ReleaseFile] = []
    for file in wanted:
        if sum(one.rows for one in kept) >= limit:
            break
        kept.append(file)
    return tuple(kept)


def _read_tree(text: str | None) -> object:
    if text is None or len(text) > HINT_CHARS_MAX:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _sql_may_meet(hint: str, bounds: Mapping[str, Bound], types: Mapping[str, str]) -> bool:
    match = _SQL.fullmatch(hint[:HINT_CHARS_MAX])
    if match is None:
        return True
    return _may_meet(match["column"], match["sign"], match["value"].strip("'"), bounds, types)


def _tree_may_meet(node: object, bounds: Mapping[str, Bound], types: Mapping[str, str], depth: int) -> bool:
    """Judge one operation of the protocol's JSON predicates; `not` and `isNull` are never judged."""
    if not isinstance(node, dict) or depth > DEPTH_MAX:
        return True
    children = node.get("children")
    if not isinstance(children, list):
        return True
    kind = node.get("op")
    if kind == "and":
        return all(_tree_may_meet(child, bounds, types, depth + 1) for child in children)
    if kind == "or":
        return not children or any(_tree_may_meet(child, bounds, types, depth + 1) for child in children)
    sign = _COMPARISONS.get(kind) if isinstance(kind, str) else None
    if sign is None or len(children) != 2 or not all(isinstance(child, dict) for child in children):
        return True
    left, right = children
    if left.get("op") == "literal":
        left, right, sign = right, left, _TURNED[sign]
    if left.get("op") != "column" or right.get("op") != "literal":
        return True
    return _may_meet(str(left.get("name")), sign, right.get("value"), bounds, types)


def _may_meet(column: str, sign: str, value: object, bounds: Mapping[str, Bound], types: Mapping[str, str]) -> bool:
    """Return whether a file with these bounds may have a row that meets the comparison."""
    bound = bounds.get(column)
    if bound is None or bound.least is None or bound.greatest is None or not isinstance(value, str | int | float):
        return True
    kind = types.get(column, "")
    try:
        below, above = _order(bound.least, str(value), kind), _order(bound.greatest, str(value), kind)
    except (InvalidOperation, ValueError):
        return True
    return {"=": below <= 0 <= above, "<": below < 0, "<=": below <= 0, ">": above > 0, ">=": above >= 0}[sign]


def _order(left: str, right: str, kind: str) -> int:
    """Return whether `left` is less than (-1), equal to (0) or greater than (1) `right` in a column of type `kind`.

    Raises:
        ValueError: the column's order is not that of any text, or one of the two is none of its values.
    """
    if kind.startswith(_NUMBERS):
        numbers = Decimal(left), Decimal(right)
        if not all(number.is_finite() for number in numbers):
            raise ValueError(left)
        return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])
    if kind == "date" and not all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) for text in (left, right)):
        raise ValueError(left)
    if kind not in {"date", "string"}:
        raise ValueError(kind)
    texts = left.encode(errors="surrogatepass"), right.encode(errors="surrogatepass")
    return (texts[0] > texts[1]) - (texts[0] < texts[1])
