"""What clients send to an action: query parameters or a JSON or form body, all of it text as often as not."""

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

from datong.kernel import Invalid, Text

JSON_DEPTH_MAX = 50
BODY_BYTES_MAX = 256 * 1024
VALUE_CHARS_MAX = 10_000
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n", "", "none"})


class Parameters:
    """The parameters of one call by name; each reader says what is wrong with a value in CKAN's way."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        found = self._given.get(name)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if found is None:
            return default
        if not isinstance(found, str | int | float) or len(str(found)) > VALUE_CHARS_MAX:
            raise unusable(name, Text(zh="应为一段文字", en="must be a text"))
        return str(found)

    def needed(self, name: str) -> str:
        """Return a text that must be there."""
        found = self.text(name).strip()
        if not found:
            raise unusable(name, Text(zh="缺少值", en="Missing value"))
        return found

    def number(self, name: str, default: int, *, most: int) -> int:
        """Return a whole number from 0 to `most`; a greater one counts as `most`."""
        found = self.text(name)
        if not found:
            return default
        digits = found.removeprefix("+").removesuffix(".0")
        if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
            raise unusable(name, Text(zh="应为非负整数", en="must be a natural number"))
        return min(int(digits), most)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a yes or no, in any of the spellings that clients send (Python's `False` too)."""
        found = self.text(name, "true" if default else "false").strip().lower()
        if found not in _TRUE | _FALSE:
            raise unusable(name, Text(zh="应为 true 或 false", en="must be true or false"))
        return found in _TRUE

    def several(self, name: str) -> tuple[str, ...]:
        """Return texts: repeated, as a JSON array, or as one text."""
        found = self._given.get(name)
        if found is None or found == "":
            return ()
        values = found if isinstance(found, list) else [found]
        if len(values) == 1 and isinstance(values[0], str) and values[0].lstrip().startswith("["):
            read = read_json(values[0].encode(), name)
            values = read if isinstance(read, list) else values
        if not all(isinstance(value, str) for value in values):
            raise unusable(name, Text(zh="应为文字的列表", en="must be a list of texts"))
        return tuple(str(value)[:VALUE_CHARS_MAX] for value in values if value)


async def parameters_of(request: Request) -> Parameters:
    """Return the parameters of a call: the query's, and those of a body.

    Raises:
        Invalid: the body is too long, or neither a JSON object nor a form.
    """
    given: dict[str, object] = {}
    for name, value in request.query_params.multi_items():
        _add(given, name, value)
    if request.method == "POST":
        body = await request.body()
        if len(body) > BODY_BYTES_MAX:
            raise unusable("", Text(zh="请求体太长", en="the body is too long"))
        given |= _body(body, request.headers.get("content-type", ""))
    return Parameters(given)


def _body(body: bytes, media_type: str) -> dict[str, object]:
    if not body.strip():
        return {}
    if media_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded" and body[:1] != b"{":
        found: dict[str, object] = {}
        for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
            _add(found, name, value)
        return found
    read = read_json(body, "")
    if not isinstance(read, dict):
        raise unusable("", Text(zh="请求体应为 JSON 对象", en="the body must be a JSON object"))
    return read


def read_json(text: bytes, name: str) -> object:
    """Return what `text` says as JSON, or raise Invalid."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unusable(name, Text(zh="不是 JSON", en="is no JSON")) from error
    return found


def _add(given: dict[str, object], name: str, value: str) -> None:
    before = given.get(name)
    if before is None:
        given[name] = value
    elif isinstance(before, list):
        before.append(value)
    else:
        given[name] = [before, value]


def unusable(name: str, why: Text) -> Invalid:
    """A parameter cannot be used; `name` is empty for the body."""
    shown = name[:100] or "body"
    return Invalid(
        "ckan.parameter_invalid",
        what=Text(zh=f"参数 {shown}：{why.zh}。", en=f"Parameter {shown}: {why.en}."),
        remedy=Text(
            zh="请按 docs/interfaces.md 修改后重发。", en="Correct it by docs/interfaces.md and send it again."
        ),
        field=f"/{name[:100]}",
    )
