"""Evidence of block-data views: each opening, and each refusal, is an access like those of the gateway.

The entry says who, for what and how much was shown; the entity and the citizens stand in it as salted commitments. No
agreement is behind it and no single department provides it, so it names all whose cells were shown.
"""

import secrets
from collections.abc import Sequence

from sqlalchemy import insert

from datong.kernel import (
    AccessId,
    Clock,
    Database,
    DepartmentCode,
    EntityId,
    EntryId,
    JsonValue,
    Text,
    Value,
    new_id,
)
from datong.ledger import EntryKind, Ledger, commitment
from datong.sharing import tables
from datong.sharing.evidence import item_facts, subject_fact, text_digest
from datong.sharing.principals import Principal
from datong.sharing.subjects import SALT_BYTES, marks

BLOCK_KIND = "block"


class BlockOpening(Value):
    """What somebody asked for: which entity, and for what."""

    library: str
    title: Text
    version: int | None
    entity_id: EntityId
    purpose: str
    case_number: str = ""


class BlockShown(Value):
    """What came of it: elements with their names, whose cells, about which citizens, and how many were left out."""

    elements: tuple[tuple[str, Text], ...] = ()
    departments: tuple[DepartmentCode, ...] = ()
    citizens: tuple[str, ...] = ()
    shown: int = 0
    hidden: int = 0


class BlockEvidence:
    """Writes what block-data views leave; `index_key` is the gateway's, so that citizens find these uses, too."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, index_key: bytes) -> None:
        self._database, self._clock, self._ledger, self._index_key = database, clock, ledger, index_key

    def record(
        self, caller: Principal, opening: BlockOpening, shown: BlockShown, policies: Sequence[str], *, allowed: bool
    ) -> tuple[AccessId, EntryId]:
        """Store the access with its entry, in one transaction; nothing is shown before."""
        access_id = AccessId(new_id())
        entity_salt, case_salt = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(SALT_BYTES)
        marked = marks(self._index_key, shown.citizens)
        facts: dict[str, JsonValue] = {
            "access_id": access_id,
            "kind": BLOCK_KIND,
            "allowed": allowed,
            "consumer": caller.department,
            "library": opening.library,
            "version": opening.version,
            "entity_commitment": commitment(entity_salt, opening.entity_id),
            "purpose_sha256": text_digest(opening.purpose),
            "case_commitment": commitment(case_salt, opening.case_number),
            "policies": list(policies),
            "shown": shown.shown,
            "hidden": shown.hidden,
            "departments": sorted(shown.departments),
            "subjects": len(marked),
            **{subject_fact(position): mark.commitment for position, mark in enumerate(marked)},
            **item_facts(code for code, _ in shown.elements),
        }
        content = {
            "resource_title": opening.title.model_dump(),
            "items": [name.model_dump() for _, name in shown.elements],
            "agreement_ids": [],
            "service_item": "",
            "scene": opening.purpose,
            "legal_basis": "",
            "case_number": opening.case_number,
            "case_salt": case_salt.hex(),
            "library": opening.library,
            "entity_salt": entity_salt.hex(),
            "policies": list(policies),
        }
        with self._database.transaction() as connection:
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.ACCESS if allowed else EntryKind.REFUSAL,
                subject=access_id,
                actor=caller.actor,
                facts=facts,
            )
            connection.execute(
                insert(tables.access).values(
                    id=access_id,
                    kind=BLOCK_KIND,
                    allowed=allowed,
                    at=self._clock.now(),
                    consumer=caller.department,
                    entry_id=entry_id,
                    content=content,
                )
            )
            if marked:
                connection.execute(
                    insert(tables.access_subject),
                    [
                        {
                            "access_id": access_id,
                            "subject_index": mark.subject_index,
                            "position": position,
                            "salt": mark.salt,
                        }
                        for position, mark in enumerate(marked)
                    ],
                )
        return access_id, entry_id
