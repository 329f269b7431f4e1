"""Bytes as JSON carries them."""

import base64
import binascii
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema


def decoded(value: object) -> object:
    """Return the bytes of standard base64; anything but text passes unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def encoded(value: bytes) -> str:
    """Return `value` as standard base64."""
    return base64.b64encode(value).decode()


Base64Bytes = Annotated[
    bytes,
    BeforeValidator(decoded),
    PlainSerializer(encoded, return_type=str),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
"""Bytes that are base64 text in JSON."""
