"""Calls that are carried out once: the same Idempotency-Key with the same call gets the same answer and one record.

What was answered is kept for a day, sealed (AES-256-GCM) under a key that is made of the hub's secret and the caller's
own Idempotency-Key: the control database alone does not tell it. Only calls that are on record are kept; one that did
nothing (a malformed call, a busy hub) is simply tried again.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, bindparam, delete, select

from datong.kernel import Database, Invalid, Refused, Text, insert_rows
from datong.sharing import tables
from datong.sharing.gateway_calls import Answer, Asked, GatewayAnswer, Once, VerifyAnswer

KEPT_HOURS = 24
NONCE_BYTES = 12
SLOT_LABEL = b"datong gateway once slot v1\n"
SEAL_LABEL = b"datong gateway once seal v1\n"
_TABLE = tables.once
_KEPT = select(_TABLE.c.slot, _TABLE.c.digest, _TABLE.c.sealed).where(
    _TABLE.c.slot.in_(bindparam("of_slots", expanding=True)), _TABLE.c.expires_at > bindparam("now")
)


class ToldBefore(NamedTuple):
    """What a caller was told before: of which call (`digest`), and the answer or the refusal on record."""

    digest: str
    answer: Answer | Refused


def slot_of(secret: bytes, asked: Asked, once: Once) -> str:
    """Return where the answer of a call is kept: nobody else's call, key or resource has the same place."""
    return hmac.new(secret, SLOT_LABEL + _said(asked, once), hashlib.sha256).hexdigest()


def first_slot_of(secret: bytes, asked: Asked, once: Once) -> str:
    """Return the slot of the first part of the call that this one is part of: it tells a key that is used again."""
    return slot_of(secret, asked, once._replace(part=0))


def told_before(database: Database, secret: bytes, calls: Iterable[Asked], now: datetime) -> dict[str, ToldBefore]:
    """Return by slot what the callers of `calls` were told before."""
    asking: dict[str, tuple[Asked, Once]] = {}
    for asked in calls:
        if asked.once is not None:
            first = asked.once._replace(part=0)
            asking[slot_of(secret, asked, first)] = (asked, first)
            asking[slot_of(secret, asked, asked.once)] = (asked, asked.once)
    if not asking:
        return {}
    with database.reading() as connection:
        rows = connection.execute(_KEPT, {"of_slots": list(asking), "now": now}).all()
    found: dict[str, ToldBefore] = {}
    for row in rows:
        told = _opened(secret, *asking[row.slot], bytes(row.sealed))
        if told is not None:
            found[row.slot] = ToldBefore(row.digest, told)
    return found


def keep(
    connection: Connection, secret: bytes, told: Sequence[tuple[Asked, Once, Answer | Refused]], now: datetime
) -> None:
    """Keep answers in the transaction that puts their calls on record.

    Raises:
        IntegrityError: another process answers the same call at the same time.
    """
    if not told:
        return
    rows = sorted(
        (
            {
                "slot": slot_of(secret, asked, once),
                "digest": once.digest,
                "sealed": _sealed(secret, asked, once, answer),
                "expires_at": now + timedelta(hours=KEPT_HOURS),
            }
            for asked, once, answer in told
        ),
        key=lambda row: str(row["slot"]),
    )
    expired = delete(_TABLE).where(_TABLE.c.slot.in_([row["slot"] for row in rows]), _TABLE.c.expires_at <= now)
    connection.execute(expired)
    insert_rows(connection, _TABLE, rows)


def forget_answers(connection: Connection, now: datetime) -> int:
    """Remove the answers whose time is over; return how many."""
    return connection.execute(delete(_TABLE).where(_TABLE.c.expires_at <= now)).rowcount


def used_for_another_call() -> Invalid:
    """Return the error of an Idempotency-Key that comes with another call than before."""
    return Invalid(
        "sharing.idempotency_key_reused",
        what=Text(
            zh="同一个 Idempotency-Key 已用于内容不同的调用。",
            en="The Idempotency-Key was used for a call that says something else.",
        ),
        remedy=Text(zh="新的调用请换用新的 Idempotency-Key。", en="Give a new call a key of its own."),
        field="Idempotency-Key",
    )


def _said(asked: Asked, once: Once) -> bytes:
    actor = asked.principal.actor
    parts = [actor.kind.value, actor.id, str(asked.resource_id), asked.action.value, once.key, once.part]
    return json.dumps(parts, ensure_ascii=True).encode()


def _key(secret: bytes, asked: Asked, once: Once) -> bytes:
    return hmac.new(secret, SEAL_LABEL + _said(asked, once), hashlib.sha256).digest()


def _sealed(secret: bytes, asked: Asked, once: Once, answer: Answer | Refused) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(_key(secret, asked, once)).encrypt(nonce, _written(answer), None)


def _opened(secret: bytes, asked: Asked, once: Once, sealed: bytes) -> Answer | Refused | None:
    """Return what was sealed; None: it was sealed by a hub with another key, so nothing is known of the call."""
    try:
        # The digest is checked by the caller of `told_before`; a slot has one answer, whatever is asked now.
        nonce, cipher = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return _read(AESGCM(_key(secret, asked, once)).decrypt(nonce, cipher, None))
    except InvalidTag:
        return None


def _written(answer: Answer | Refused) -> bytes:
    if isinstance(answer, Refused):
        said: Mapping[str, object] = {
            "code": answer.code,
            "what": answer.what.model_dump(),
            "remedy": answer.remedy.model_dump(),
            "context": answer.context,
        }
        return json.dumps({"kind": "refused", "said": said}, ensure_ascii=False).encode()
    kind = "query" if isinstance(answer, GatewayAnswer) else "verify"
    return json.dumps({"kind": kind, "said": answer.model_dump(mode="json")}, ensure_ascii=False).encode()


def _read(plain: bytes) -> Answer | Refused:
    document = json.loads(plain)
    said = document["said"]
    if document["kind"] == "refused":
        return Refused(
            said["code"],
            what=Text.model_validate(said["what"]),
            remedy=Text.model_validate(said["remedy"]),
            context=said["context"],
        )
    return (GatewayAnswer if document["kind"] == "query" else VerifyAnswer).model_validate(said)
