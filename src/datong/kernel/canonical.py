"""Canonical bytes of JSON-like facts, so that everybody hashes and signs the same thing.

The form is that of RFC 8785 restricted to the values the platform signs: objects with text keys, arrays, text,
integers, booleans and null. Floats are refused: two languages need not print them alike.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
JsonValue = Mapping[str, object] | Sequence[object] | str | int | bool | None


def canonical_json(value: JsonValue) -> bytes:
    """Return the canonical UTF-8 bytes of `value`.

    Raises:
        TypeError: `value` holds a float or a type that JSON does not know.
    """
    return _ENCODER.encode(_ordered(value)).encode()


class CommonMembers:
    """The canonical form of objects that have most of their members in common, which are written once.

    `LAYOUTS_MAX` bounds what is kept: a layout for each set of names that differ.
    """

    LAYOUTS_MAX = 256

    def __init__(self, common: Mapping[str, JsonValue]) -> None:
        self._common = {name: _ENCODER.encode(_ordered(value)) for name, value in common.items()}
        self._layouts: dict[tuple[str, ...], tuple[list[str], tuple[tuple[str, int], ...]]] = {}

    def text_with(self, own: Mapping[str, str | int | None]) -> str:
        """Return the canonical text of an object with the common members and its `own`, which come first.

        Raises:
            TypeError: an own value is neither text, nor a whole number, nor null.
        """
        names = tuple(own)
        layout = self._layouts.get(names)
        if layout is None:
            if len(self._layouts) >= self.LAYOUTS_MAX:
                self._layouts.clear()
            layout = self._layouts[names] = self._layout(names)
        pieces, places = layout
        written = pieces.copy()
        for name, place in places:
            value = own[name]
            if isinstance(value, str):
                written[place] = encode_basestring(value)
            elif type(value) is int:
                written[place] = str(value)
            elif value is None:
                written[place] = "null"
            else:
                raise TypeError(f"members that differ are text, whole numbers or null, not {type(value).__name__}")
        return "".join(written)

    def _layout(self, own: tuple[str, ...]) -> tuple[list[str], tuple[tuple[str, int], ...]]:
        pieces: list[str] = ["{"]
        places: list[tuple[str, int]] = []
        for number, name in enumerate(sorted({*self._common, *own}, key=_utf16)):
            pieces[-1] += f"{',' if number else ''}{encode_basestring(name)}:"
            if name in own:
                places.append((name, len(pieces)))
                pieces += ["", ""]
            else:
                pieces[-1] += self._common[name]
        pieces[-1] += "}"
        return pieces, tuple(places)


def sha256_hex(data: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def _ordered(value: object) -> object:
    """Return `value` with every object's keys in the order of their UTF-16 code units (RFC 8785 §3.2.3)."""
    # The common types first and by themselves: looking a type up among abstract ones costs ten times as much.
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, dict):
        return _ordered_object(value)
    if isinstance(value, str | int):
        return value
    if isinstance(value, float):
        raise TypeError("canonical JSON holds no floats; use an integer with a unit, or text")
    if isinstance(value, Mapping):
        return _ordered_object(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_ordered(member) for member in value]
    raise TypeError(f"canonical JSON cannot hold {type(value).__name__}")


def _ordered_object(value: Mapping[object, object]) -> dict[str, object]:
    ascii_only = True
    names: list[str] = []
    for key in value:
        if not isinstance(key, str):
            raise TypeError("canonical JSON has text keys only")
        ascii_only = ascii_only and key.isascii()
        names.append(key)
    # UTF-16 code units and code points order ASCII texts alike.
    names.sort(key=None if ascii_only else _utf16)
    return {name: _ordered(value[name]) for name in names}


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")
