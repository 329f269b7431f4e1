"""Evidence of whole tables: each query with the files it hands out, and each refusal, as an access like any other."""

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select

from datong.kernel import (
    AccessId,
    AgreementId,
    Database,
    DepartmentCode,
    EntryId,
    JsonValue,
    Text,
    Value,
    canonical_json,
    new_id,
    sha256_hex,
)
from datong.ledger import EntryKind, Ledger, commitment
from datong.sharing import tables
from datong.sharing.delta_values import Release, ReleaseFile, SharedTable
from datong.sharing.evidence import item_facts
from datong.sharing.principals import Principal
from datong.sharing.subjects import SALT_BYTES
from datong.sharing.terms import Agreement

SHARE_KIND = "table"
FILES_LISTED_MAX = 100
"""Files that an entry lists one by one; of more it holds their number and the digest of the list."""


class HandedFile(Value):
    """A file that an answer hands out: of which release, and which table version it stands for."""

    release: Release
    file: ReleaseFile

    @property
    def number(self) -> int:
        """The number of the file in its release, as the list of subjects has it."""
        return int(self.file.name.removeprefix("part-").removesuffix(".parquet"))


class Handover(Value):
    """What is on record of one call: the table, under which agreements, which columns and files; or why nothing."""

    table: SharedTable
    at: datetime
    agreements: tuple[Agreement, ...]
    columns: tuple[str, ...]
    names: tuple[Text, ...]
    versions: tuple[int, ...] = ()
    files: tuple[HandedFile, ...] = ()
    policy_ids: tuple[str, ...]
    allowed: bool
    kind: str = SHARE_KIND
    content_sha256: str = ""
    """Digest of what the caller was told, where that is no file of a release."""


class DeltaEvidence:
    """Writes accesses to whole tables, each in one transaction with its entry."""

    def __init__(self, *, database: Database, ledger: Ledger) -> None:
        self._database, self._ledger = database, ledger

    def record(self, caller: Principal, handover: Handover) -> AccessId:
        """Store the access with its entry; nothing is handed out before."""
        return self.recorded(caller, handover)[0]

    def recorded(self, caller: Principal, handover: Handover) -> tuple[AccessId, EntryId]:
        """Do as `record` does, and return the entry, too."""
        access_id = AccessId(new_id())
        salt = secrets.token_bytes(SALT_BYTES)
        with self._database.transaction() as connection:
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.ACCESS if handover.allowed else EntryKind.REFUSAL,
                subject=access_id,
                actor=caller.actor,
                facts=_facts(access_id, caller, handover, salt),
            )
            _store(connection, access_id, entry_id, caller, handover, salt)
        return access_id, entry_id

    def handed_under(self, access_id: AccessId) -> tuple[DepartmentCode, tuple[AgreementId, ...]] | None:
        """Return to whom an access handed something out, and under which agreements; None: it did not."""
        table = tables.access
        query = select(table.c.consumer, table.c.content).where(table.c.id == access_id, table.c.allowed.is_(True))
        with self._database.snapshot() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return DepartmentCode(row.consumer), tuple(AgreementId(one) for one in row.content["agreement_ids"])


def subject_list_fact(place: int) -> str:
    """Return the name of the fact that holds the digest of the list of citizens whom the file at `place` concerns."""
    return f"subjects_{place:04d}"


def _facts(access_id: AccessId, caller: Principal, handover: Handover, salt: bytes) -> dict[str, JsonValue]:
    table = handover.table
    facts: dict[str, JsonValue] = {
        "access_id": access_id,
        "kind": handover.kind,
        "allowed": handover.allowed,
        "consumer": caller.department,
        "provider": table.provider,
        "resource_id": table.resource_id,
        "agreement_ids": [agreement.id for agreement in handover.agreements],
        "service_item": table.purpose,
        "case_commitment": commitment(salt, ""),
        "policies": list(handover.policy_ids),
        "rows": sum(one.file.rows for one in handover.files),
        "subjects": sum(one.file.subjects for one in handover.files),
        **item_facts(handover.columns),
    }
    if not handover.allowed:
        return facts
    listed: list[JsonValue] = [_file_facts(one) for one in handover.files]
    if len(listed) <= FILES_LISTED_MAX:
        lists = {subject_list_fact(place): one.file.subjects_sha256 for place, one in enumerate(handover.files)}
        told: dict[str, JsonValue] = {"files": listed, **lists}
    else:
        told = {"files_count": len(listed), "files_sha256": sha256_hex(canonical_json(listed))}
    if handover.content_sha256:
        told["content_sha256"] = handover.content_sha256
    return {**facts, "table_versions": list(handover.versions), **told}


def _file_facts(one: HandedFile) -> dict[str, JsonValue]:
    return {
        "version": one.release.plan.version,
        "changes_since": one.release.plan.former,
        "sha256": one.file.sha256,
        "rows": one.file.rows,
        "subjects": one.file.subjects,
    }


def _store(
    connection: Connection, access_id: AccessId, entry_id: EntryId, caller: Principal, handover: Handover, salt: bytes
) -> None:
    purposes = [agreement.purpose for agreement in handover.agreements]
    table = handover.table
    connection.execute(
        insert(tables.access).values(
            id=access_id,
            kind=handover.kind,
            allowed=handover.allowed,
            at=handover.at,
            consumer=caller.department,
            provider=table.provider,
            resource_id=table.resource_id,
            entry_id=entry_id,
            content={
                "resource_title": table.title.model_dump(),
                "items": [name.model_dump() for name in handover.names],
                "agreement_ids": [agreement.id for agreement in handover.agreements],
                "service_item": table.purpose,
                "scene": purposes[0].scene if purposes else "",
                "legal_basis": purposes[0].legal_basis if purposes else "",
                "case_number": "",
                "case_salt": salt.hex(),
                "client": caller.actor.id,
                "policies": list(handover.policy_ids),
                "rows": sum(one.file.rows for one in handover.files),
            },
        )
    )
    handed = _by_release(handover.files)
    if handed:
        connection.execute(
            insert(tables.access_release),
            [
                {"access_id": access_id, "release_id": release_id, "files": files}
                for release_id, files in handed.items()
            ],
        )


def _by_release(files: Sequence[HandedFile]) -> dict[str, list[list[int]]]:
    """Return, by release, which of its files were handed out: number and place in the answer."""
    found: dict[str, list[list[int]]] = {}
    for place, one in enumerate(files):
        found.setdefault(one.release.id, []).append([one.number, place])
    return found
