"""Consents in the control database, with their evidence; the person stands there as a keyed mark only.

A decision reads the consents of its subject anew at every call, so that a withdrawal works at once.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from datong.kernel import (
    Actor,
    AgreementId,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    JsonValue,
    NotFound,
    Page,
    ResourceId,
    Text,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, commitment
from datong.norms import validate_citizen_id
from datong.sharing import tables
from datong.sharing.agreements import Agreements
from datong.sharing.consent.rules import Consent, ConsentAction, ConsentState, ConsentWay, follow
from datong.sharing.credentials import invalid_field
from datong.sharing.evidence import instant, item_facts, subject_fact
from datong.sharing.subjects import SALT_BYTES, canonical_subject, subject_index
from datong.sharing.terms import Agreement, AgreementState

_HEX_DIGITS = 64
_CONTENT = {
    "provider",
    "resource_title",
    "scene",
    "columns",
    "names",
    "way",
    "document_sha256",
    "asked_at",
    "given_at",
    "ended_at",
}


class Consents:
    """Asks for, records and finds consents; `index_key` is the same as the gateway's."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, agreements: Agreements, index_key: bytes
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._agreements, self._index_key = agreements, index_key

    def ask(
        self,
        agreement_id: AgreementId,
        citizen_id: str,
        *,
        actor: Actor,
        columns: Sequence[str] = (),
        valid_until: datetime | None = None,
    ) -> Consent:
        """Ask a person to consent to the use of items (none named: all) under an agreement; they see it on their page.

        Raises:
            NotFound: there is no such agreement. Conflict: it needs no consent, or is not in force.
            Invalid: a malformed citizen ID, items outside the agreement, or a term that is over or longer than its.
        """
        consent = self._new(agreement_id, citizen_id, columns, valid_until)
        return self._add(consent, citizen_id, actor, "ask")

    def record(
        self,
        agreement_id: AgreementId,
        citizen_id: str,
        *,
        actor: Actor,
        way: ConsentWay,
        document_sha256: str,
        columns: Sequence[str] = (),
        valid_until: datetime | None = None,
    ) -> Consent:
        """Put down a consent that was given on paper or by electronic signature, with the document's SHA-256.

        Raises:
            As `ask`; Invalid also: the way is the person's own page, or the digest is none.
        """
        if way is ConsentWay.ON_PAGE:
            raise invalid_field("way", Text(zh="在平台上的同意只能由本人作出。", en="Only the person consents there."))
        digest = document_sha256.lower()
        if len(digest) != _HEX_DIGITS or not set(digest) <= set("0123456789abcdef"):
            raise invalid_field(
                "document_sha256",
                Text(zh="请给出授权文件的 SHA-256（64 位十六进制）。", en="Give the SHA-256 of the document in hex."),
            )
        asked = self._new(agreement_id, citizen_id, columns, valid_until)
        given = follow(asked, ConsentAction.GIVE, self._clock.now(), way=way)
        return self._add(given.model_copy(update={"document_sha256": digest}), citizen_id, actor, "record")

    def act(self, consent_id: str, action: ConsentAction, citizen_id: str, *, actor: Actor) -> Consent:
        """Give, decline or withdraw in the person's own name; a withdrawal works from the next call on.

        Raises:
            NotFound: the consent is not this person's. Conflict: its state does not allow the act.
        """
        table = tables.consent
        with self._database.transaction() as connection:
            mine = table.c.subject_index == subject_index(self._index_key, citizen_id)
            found = self._select(connection, [table.c.id == consent_id, mine], limit=1)
            if not found:
                raise _unknown(consent_id)
            after = follow(found[0], action, self._clock.now())
            entry_id = self._append(connection, after, citizen_id, actor, action.value)
            changed = connection.execute(
                update(table)
                .where(table.c.id == consent_id, table.c.revision == found[0].revision)
                .values({key: value for key, value in _row(after).items() if key != "id"} | {"entry_id": entry_id})
            ).rowcount
            if changed != 1:
                raise Conflict(
                    "sharing.consent_changed",
                    what=Text(zh="这项同意刚刚被办理。", en="This consent was just acted upon."),
                    remedy=Text(zh="请刷新后查看。", en="Reload to see the present state."),
                )
        return after.model_copy(update={"entry_id": entry_id})

    def of_subject(self, citizen_id: str) -> tuple[Consent, ...]:
        """Return a person's consents, newest first."""
        where = [tables.consent.c.subject_index == subject_index(self._index_key, citizen_id)]
        with self._database.snapshot() as connection:
            return self._select(connection, where, limit=PAGE_ROWS_MAX)

    def find(
        self, *, consumer: DepartmentCode | None = None, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT
    ) -> Page[Consent]:
        """Return the consents that a department asked for, or all of them; nothing in them says whose they are."""
        table = tables.consent
        where = [] if consumer is None else [table.c.consumer == consumer]
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
            rows = self._select(connection, where, offset=offset, limit=min(limit, PAGE_ROWS_MAX))
        return page_of(rows, total=total, offset=offset)

    def columns(
        self, consumer: DepartmentCode, resource_id: ResourceId, service_item: str, citizen_id: str
    ) -> frozenset[str]:
        """Return the columns that a person's consents in force let `consumer` use now."""
        table = tables.consent
        query = select(table.c.content).where(
            table.c.subject_index == subject_index(self._index_key, citizen_id),
            table.c.consumer == consumer,
            table.c.resource_id == resource_id,
            table.c.service_item == service_item,
            table.c.state == ConsentState.GIVEN.value,
            table.c.valid_until > self._clock.now(),
        )
        with self._database.reading() as connection:
            return frozenset(column for content in connection.scalars(query) for column in content["columns"])

    def _new(
        self, agreement_id: AgreementId, citizen_id: str, columns: Sequence[str], valid_until: datetime | None
    ) -> Consent:
        agreement, now = self._agreements.get(agreement_id), self._clock.now()
        if not agreement.purpose.consent or agreement.state is not AgreementState.ACTIVE:
            raise Conflict(
                "sharing.consent_not_needed",
                what=Text(
                    zh="该协议不以本人同意为条件，或者没有生效。",
                    en="The agreement does not depend on people's consent, or is not in force.",
                ),
                remedy=Text(zh="请核对协议。", en="Check the agreement."),
            )
        if not validate_citizen_id(canonical_subject(citizen_id)).valid:
            raise invalid_field("citizen_id", Text(zh="公民身份号码有误。", en="The citizen ID is not valid."))
        return _asked(agreement, columns, valid_until or agreement.valid_until, now)

    def _add(self, consent: Consent, citizen_id: str, actor: Actor, step: str) -> Consent:
        index = subject_index(self._index_key, citizen_id)
        with self._database.transaction() as connection:
            entry_id = self._append(connection, consent, citizen_id, actor, step)
            row = {**_row(consent), "subject_index": index, "entry_id": entry_id}
            connection.execute(insert(tables.consent).values(**row))
        return consent.model_copy(update={"entry_id": entry_id})

    def _append(self, connection: Connection, consent: Consent, citizen_id: str, actor: Actor, step: str) -> str:
        salt = secrets.token_bytes(SALT_BYTES)
        facts: dict[str, JsonValue] = {
            "step": step,
            subject_fact(0): commitment(salt, canonical_subject(citizen_id)),
            **consent_facts(consent),
        }
        return self._ledger.append(connection, kind=EntryKind.CONSENT, subject=consent.id, actor=actor, facts=facts)

    def _select(
        self, connection: Connection, where: Sequence[ColumnElement[bool]], *, limit: int, offset: int = 0
    ) -> tuple[Consent, ...]:
        table = tables.consent
        query = select(table).where(*where).order_by(table.c.id.desc()).offset(offset).limit(limit)
        return tuple(consent_of(row) for row in connection.execute(query).mappings())


def consent_of(row: tables.Row) -> Consent:
    """Return the consent that a row holds."""
    own = {key: row[key] for key in row if key not in {"content", "subject_index"}}
    return Consent.model_validate(own | row["content"])


def consent_facts(consent: Consent) -> dict[str, JsonValue]:
    """Return how a consent stands, for the ledger; whose it is stands beside it, as a commitment."""
    return {
        "state": consent.state.value,
        "agreement_id": consent.agreement_id,
        "consumer": consent.consumer,
        "provider": consent.provider,
        "resource_id": consent.resource_id,
        "service_item": consent.service_item,
        "way": consent.way.value if consent.way else None,
        "document_sha256": consent.document_sha256,
        "valid_until": instant(consent.valid_until),
        **item_facts(consent.columns),
    }


def _asked(agreement: Agreement, columns: Sequence[str], valid_until: datetime, now: datetime) -> Consent:
    wanted = tuple(dict.fromkeys(columns)) or tuple(item.column for item in agreement.items)
    if not set(wanted) <= agreement.columns:
        raise invalid_field("columns", Text(zh="信息项超出协议范围。", en="Items outside the agreement were named."))
    if valid_until.tzinfo is None or not now < valid_until <= agreement.valid_until:
        raise invalid_field(
            "valid_until",
            Text(zh="期限须在将来，且不超过协议的使用时限。", en="The term lies ahead and ends with the agreement's."),
        )
    items = {item.column: item.name for item in agreement.items}
    return Consent(
        id=new_id(),
        agreement_id=agreement.id,
        consumer=agreement.consumer,
        provider=agreement.provider,
        resource_id=agreement.resource_id,
        resource_title=agreement.resource_title,
        service_item=agreement.purpose.service_item,
        scene=agreement.purpose.scene,
        columns=wanted,
        names=tuple(items[column] for column in wanted),
        state=ConsentState.ASKED,
        asked_at=now,
        valid_until=valid_until,
    )


def _row(consent: Consent) -> dict[str, object]:
    return {
        "id": consent.id,
        "agreement_id": consent.agreement_id,
        "consumer": consent.consumer,
        "resource_id": consent.resource_id,
        "service_item": consent.service_item,
        "state": consent.state.value,
        "valid_until": consent.valid_until,
        "revision": consent.revision,
        "content": consent.model_dump(mode="json", include=_CONTENT),
    }


def _unknown(consent_id: str) -> NotFound:
    return NotFound(
        "sharing.consent_unknown",
        what=Text(zh="没有这项同意。", en="There is no such consent."),
        remedy=Text(zh="请在“我的数据”中选择。", en="Choose one on the page of your data."),
        context={"consent": consent_id[:64]},
    )
