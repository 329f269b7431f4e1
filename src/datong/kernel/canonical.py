"""Canonical bytes of JSON-like facts, so that everybody hashes and signs the same thing.

The form is that of RFC 8785 restricted to the values the platform signs: objects with text keys, arrays, text,
integers, booleans and null. Floats are refused: two languages need not print them alike.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

JsonValue = Mapping[str, object] | Sequence[object] | str | int | bool | None


def canonical_json(value: JsonValue) -> bytes:
    """Return the canonical UTF-8 bytes of `value`.

    Raises:
        TypeError: `value` holds a float or a type that JSON does not know.
    """
    return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":")).encode()


def sha256_hex(data: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def _ordered(value: object) -> object:
    """Return `value` with every object's keys in the order of their UTF-16 code units (RFC 8785 §3.2.3)."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        raise TypeError("canonical JSON holds no floats; use an integer with a unit, or text")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("canonical JSON has text keys only")
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_ordered(member) for member in value]
    raise TypeError(f"canonical JSON cannot hold {type(value).__name__}")
