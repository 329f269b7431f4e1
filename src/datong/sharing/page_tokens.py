"""Tokens that continue a list where its last page ended: sealed, for minutes, for one question only.

A token holds a place in a version of a table. It is encrypted (AES-256-GCM) under the hub's key and bound to everything
that decided about the page before: the caller, the resource, the items, the filter, the purpose, the case, the
agreements with their terms. Carried to anything else, it does not open.
"""

import base64
import binascii
import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from datong.kernel import Invalid, JsonValue, Text, canonical_json

LIFETIME_SECONDS = 900
NONCE_BYTES = 12
TOKEN_CHARS_MAX = 500
_LABEL = b"datong gateway page token v1\n"


class Place(NamedTuple):
    """Where a page ended: the version, the number of its file, what the last row in it is ordered by; "": before it."""

    version: int
    file: int
    after: str


class PageTokens:
    """Seals and opens places; `key` is the hub's own."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(hashlib.sha256(_LABEL + key).digest())

    def seal(self, place: Place, question: JsonValue, now: datetime) -> str:
        """Return the token of a place, good for `question` alone."""
        until = int((now + timedelta(seconds=LIFETIME_SECONDS)).timestamp())
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, json.dumps([*place, until]).encode(), canonical_json(question))
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, token: str, question: JsonValue, now: datetime) -> Place:
        """Return the place in a token.

        Raises:
            Invalid: it is none of ours, was for another question, or is too old.
        """
        try:
            raw = base64.urlsafe_b64decode(token[:TOKEN_CHARS_MAX] + "=" * (-len(token) % 4))
            plain = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], canonical_json(question))
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise _refused(
                Text(
                    zh="翻页令牌不是平台签发的，或不是为这一查询签发的",
                    en="the token is none of ours, or was given for another question",
                )
            ) from error
        version, file, after, until = json.loads(plain)
        if now >= datetime.fromtimestamp(until, tz=UTC):
            raise _refused(Text(zh="翻页令牌已过期", en="the token has expired"))
        return Place(version, file, after)


def _refused(why: Text) -> Invalid:
    return Invalid(
        "sharing.page_token_invalid",
        what=Text(zh=f"不能继续翻页：{why.zh}。", en=f"The list cannot be continued: {why.en}."),
        remedy=Text(
            zh="请不带令牌从第一页重新查询，并保持查询条件不变。",
            en="Begin again without a token, and leave the question as it is.",
        ),
        field="/page_token",
    )
