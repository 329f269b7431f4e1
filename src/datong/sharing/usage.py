"""What citizens see: who used their record, for what, on which basis, with a proof that needs no trust in the hub."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from datong.kernel import (
    AccessId,
    AgreementId,
    Database,
    DepartmentCode,
    EntryId,
    NotFound,
    ResourceId,
    Text,
    Value,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.sharing import tables
from datong.sharing.delta_evidence import subject_list_fact
from datong.sharing.evidence import subject_fact
from datong.sharing.subjects import canonical_subject, subject_index

if TYPE_CHECKING:
    from datong.sharing.delta_release import Releases

HANDED_OUT_MAX = 5_000
"""Releases handed out, the newest first, among which a citizen's are looked for."""
USES_MAX = 5_000
"""Uses that one citizen is shown, the newest first."""


class Use(Value):
    """One use of a citizen's record; a block-data view (kind `block`) has no resource and no single provider."""

    access_id: AccessId
    entry_id: EntryId
    at: datetime
    kind: str
    consumer: DepartmentCode
    provider: DepartmentCode | None
    resource_id: ResourceId | None
    resource_title: Text
    items: tuple[Text, ...]
    service_item: str
    scene: str
    legal_basis: str
    case_number: str
    agreement_ids: tuple[AgreementId, ...]

    @property
    def department(self) -> DepartmentCode:
        """The department that used the record."""
        return self.consumer


class Usage:
    """The uses of citizens' records; `index_key` is the same as the gateway's."""

    def __init__(
        self, *, database: Database, ledger: Ledger, index_key: bytes, releases: "Releases | None" = None
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._index_key = index_key
        self._releases = releases

    def uses_of(self, citizen_id: str, *, limit: int = PAGE_ROWS_MAX) -> list[Use]:
        """Return the uses of a citizen's record, newest first; refused attempts are not uses."""
        access, subject = tables.access, tables.access_subject
        query = (
            select(access)
            .join(subject, subject.c.access_id == access.c.id)
            .where(subject.c.subject_index == subject_index(self._index_key, citizen_id), access.c.allowed.is_(True))
            .order_by(access.c.at.desc(), access.c.id.desc())
            .limit(min(limit, USES_MAX))
        )
        with self._database.snapshot() as connection:
            uses = [_use(row) for row in connection.execute(query).mappings()]
        # Whom a whole table concerns stands in lists of their own, not in rows of the control database.
        uses += [_use(row) for row, _, _ in self._shared(citizen_id)]
        return sorted(uses, key=lambda use: (use.at, use.access_id), reverse=True)[: min(limit, USES_MAX)]

    def uses(self, access_ids: Sequence[AccessId]) -> list[Use]:
        """Return those of some accesses that were uses, newest first; refused attempts are none."""
        access, found = tables.access, []
        with self._database.snapshot() as connection:
            for begin in range(0, len(access_ids), PAGE_ROWS_MAX):
                some = access.c.id.in_(access_ids[begin : begin + PAGE_ROWS_MAX])
                rows = connection.execute(select(access).where(some, access.c.allowed.is_(True))).mappings()
                found += [_use(row) for row in rows]
        return sorted(found, key=lambda use: (use.at, use.access_id), reverse=True)

    def proof(self, access_id: AccessId, *, citizen_id: str) -> dict[str, Any]:
        """Return the proof bundle of one use, with the salt that opens the commitment to this citizen and no other.

        Raises:
            NotFound: the access does not concern this citizen.
            Conflict: no checkpoint covers the entry yet.
        """
        access, subject = tables.access, tables.access_subject
        query = (
            select(access.c.entry_id, subject.c.position, subject.c.salt)
            .join(subject, subject.c.access_id == access.c.id)
            .where(
                access.c.id == access_id,
                subject.c.subject_index == subject_index(self._index_key, citizen_id),
            )
        )
        with self._database.snapshot() as connection:
            found = connection.execute(query).first()
        if found is None:
            for row, place, (release_id, number) in self._shared(citizen_id, access_id):
                opened = self._releases.opening(citizen_id, release_id, number) if self._releases else {}
                return self._ledger.proof_bundle(
                    EntryId(row["entry_id"]), disclosures={subject_list_fact(place): opened} if opened else {}
                )
            raise NotFound(
                "sharing.use_unknown",
                what=Text(zh="没有这条使用记录。", en="There is no such use of your record."),
                remedy=Text(zh="请在“我的数据”中选择记录。", en="Choose one on the page of your data."),
            )
        opening = {"salt": bytes(found.salt).hex(), "value": canonical_subject(citizen_id)}
        return self._ledger.proof_bundle(EntryId(found.entry_id), disclosures={subject_fact(found.position): opening})

    def _shared(
        self, citizen_id: str, access_id: AccessId | None = None
    ) -> list[tuple[tables.Row, int, tuple[str, int]]]:
        """Return the accesses that handed out a file of a table with the citizen's rows, newest first.

        With each: the file's place in the answer, its release and its number there. `access_id` asks about one.
        """
        if self._releases is None:
            return []
        access, handed = tables.access, tables.access_release
        query = (
            select(access, handed.c.release_id, handed.c.files)
            .join(handed, handed.c.access_id == access.c.id)
            .where(access.c.allowed.is_(True))
            .order_by(access.c.at.desc(), access.c.id.desc())
            .limit(HANDED_OUT_MAX)
        )
        with self._database.snapshot() as connection:
            limited = query if access_id is None else query.where(access.c.id == access_id)
            rows = list(connection.execute(limited).mappings())
        concerned = self._releases.concerning(citizen_id, dict.fromkeys(row["release_id"] for row in rows))
        found: dict[str, tuple[tables.Row, int, tuple[str, int]]] = {}
        for row in rows:
            files = concerned.get(row["release_id"], frozenset())
            for number, place in row["files"]:
                if number in files:
                    found.setdefault(row["id"], (row, place, (row["release_id"], number)))
        return list(found.values())


def _use(row: tables.Row) -> Use:
    content = row["content"]
    return Use(
        access_id=row["id"],
        entry_id=row["entry_id"],
        at=row["at"],
        kind=row["kind"],
        consumer=row["consumer"],
        provider=row["provider"],
        resource_id=row["resource_id"],
        resource_title=Text.model_validate(content["resource_title"]),
        items=tuple(Text.model_validate(item) for item in content["items"]),
        service_item=content["service_item"],
        scene=content["scene"],
        legal_basis=content["legal_basis"],
        case_number=content["case_number"],
        agreement_ids=tuple(content["agreement_ids"]),
    )
