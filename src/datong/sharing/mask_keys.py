"""The keys of keyed masks: one for each consumer, service item, data element and kind of mask, none of them stored.

They are derived from a secret of the hub and a generation that the control database keeps per consumer and service
item. So equal values get equal pseudonyms in everything a department receives for one purpose, whoever provides it, and
nothing links two purposes or two departments. A new generation makes new keys: pseudonyms from before and after cannot
be linked either.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.kernel import Actor, Clock, Database, canonical_json
from datong.ledger import EntryKind, Ledger, Signer
from datong.sharing import tables
from datong.sharing.masks import ColumnMask
from datong.sharing.terms import Agreement, AgreementItem

_SECRET_LABEL = b"datong sharing mask keys v1"
FIRST_GENERATION = 1


def mask_secret(signer: Signer) -> bytes:
    """Return the secret of which mask keys are derived, from the hub's own key.

    Ed25519 signatures are deterministic (RFC 8032) and this one is never published, so it serves as a secret.
    """
    return hashlib.sha256(signer.sign(_SECRET_LABEL)).digest()


def mask_key(secret: bytes, agreement: Agreement, item: AgreementItem, generation: int) -> bytes:
    """Return the key (32 bytes) of an item that `agreement` gives under a keyed mask."""
    # An item without a data element means what its own table means by it, and is equal to nothing elsewhere.
    meaning = item.element or f"{agreement.resource_id}/{item.column}"
    scope = [agreement.consumer, agreement.purpose.service_item, generation, item.mask.value, meaning]
    return hmac.new(secret, canonical_json(scope), hashlib.sha256).digest()


class MaskKeys:
    """Hands out how the columns of an agreement are masked, with keys; counts their generations."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._secret = secret

    def of(self, agreement: Agreement) -> Mapping[str, ColumnMask]:
        """Return for each column of `agreement` how it is masked; without keyed masks nothing is read."""
        if not any(item.mask.keyed for item in agreement.items):
            return {item.column: ColumnMask(item.mask) for item in agreement.items}
        generation = self.generation(agreement)
        return {
            item.column: ColumnMask(
                item.mask, mask_key(self._secret, agreement, item, generation) if item.mask.keyed else None
            )
            for item in agreement.items
        }

    def generation(self, agreement: Agreement) -> int:
        """Return the generation in force for the consumer and the service item of `agreement`."""
        with self._database.snapshot() as connection:
            table = tables.mask_generation
            found = connection.execute(
                select(table.c.generation).where(
                    table.c.consumer == agreement.consumer, table.c.service_item == agreement.purpose.service_item
                )
            ).scalar_one_or_none()
        return FIRST_GENERATION if found is None else int(found)

    def renew(self, agreement: Agreement, actor: Actor) -> int:
        """Begin a new generation and return its number; every agreement of the consumer for that service item changes.

        Two at the same time are two generations, one after the other.
        """
        with self._database.transaction() as connection:
            after = _next_generation(connection, agreement, self._clock.now())
            self._ledger.append(
                connection,
                kind=EntryKind.MASK_KEY,
                subject=agreement.id,
                actor=actor,
                facts={
                    "step": "renew_keys",
                    "consumer": agreement.consumer,
                    "provider": agreement.provider,
                    "service_item": agreement.purpose.service_item,
                    "generation": after,
                },
            )
        return after


def _next_generation(connection: Connection, agreement: Agreement, now: datetime) -> int:
    """Count one generation further in one statement, so that two callers get two numbers."""
    table = tables.mask_generation
    values = {
        "consumer": agreement.consumer,
        "service_item": agreement.purpose.service_item,
        "generation": FIRST_GENERATION + 1,
        "begun_at": now,
    }
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = (
        insert(table)
        .values(values)
        .on_conflict_do_update(
            index_elements=["consumer", "service_item"],
            set_={"generation": table.c.generation + 1, "begun_at": now},
        )
    )
    return int(connection.execute(statement.returning(table.c.generation)).scalar_one())
