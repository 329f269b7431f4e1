"""Agreements in the control database: rows to values and back; whoever saves first decides."""

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from datong.kernel import AgreementId, Conflict, NotFound, Text
from datong.sharing import tables
from datong.sharing.terms import Agreement, Confirmation, PartySignature

_MUTABLE = {"state", "state_reason", "cause", "suspended_by", "reminded_at", "disposed_at", "disposal", "revision"}


def load_agreement(connection: Connection, agreement_id: AgreementId) -> Agreement:
    """Return an agreement.

    Raises:
        NotFound: there is none with that id.
    """
    found = select_agreements(connection, [tables.agreement.c.id == agreement_id], limit=1)
    if not found:
        raise NotFound(
            "sharing.agreement_unknown",
            what=Text(zh=f"没有这个协议：{agreement_id}。", en=f"There is no such agreement: {agreement_id}."),
            remedy=Text(zh="请核对编号。", en="Check the id."),
        )
    return found[0]


def select_agreements(
    connection: Connection, where: list[ColumnElement[bool]], *, limit: int, offset: int = 0
) -> tuple[Agreement, ...]:
    """Return agreements, newest first, with their confirmations and signatures in the order in which they came."""
    table = tables.agreement
    query = select(table).where(*where).order_by(table.c.drawn_up_at.desc(), table.c.id.desc())
    rows = connection.execute(query.offset(offset).limit(limit)).mappings().all()
    ids = [row["id"] for row in rows]
    confirmations: dict[str, list[Confirmation]] = {}
    signatures: dict[str, list[PartySignature]] = {}
    done = tables.confirmation
    for row in connection.execute(select(done).where(done.c.agreement_id.in_(ids)).order_by(done.c.at)).mappings():
        confirmations.setdefault(row["agreement_id"], []).append(
            Confirmation(department=row["department"], by=row["confirmed_by"], at=row["at"])
        )
    given = tables.signature
    for row in connection.execute(select(given).where(given.c.agreement_id.in_(ids)).order_by(given.c.at)).mappings():
        signatures.setdefault(row["agreement_id"], []).append(
            PartySignature(department=row["department"], key_id=row["key_id"], signature=row["signature"], at=row["at"])
        )
    return tuple(
        Agreement.model_validate(
            {
                **{key: row[key] for key in row if key != "content"},
                **row["content"],
                "code": row["code"] or "",
                "confirmations": confirmations.get(row["id"], []),
                "signatures": signatures.get(row["id"], []),
            }
        )
        for row in rows
    )


def add_agreement(connection: Connection, agreement: Agreement) -> None:
    """Store an agreement that has just been drawn up."""
    connection.execute(insert(tables.agreement).values(_row(agreement)))


def save_agreement(connection: Connection, before: Agreement, after: Agreement) -> None:
    """Write `after` over `before`: its state, and the confirmations and signatures that came to it.

    Raises:
        Conflict: `sharing.agreement_changed`: somebody changed it in between.
    """
    changed = connection.execute(
        update(tables.agreement)
        .where(tables.agreement.c.id == before.id, tables.agreement.c.revision == before.revision)
        .values({key: value for key, value in _row(after).items() if key in _MUTABLE})
    ).rowcount
    if changed != 1:
        raise agreement_changed()
    _add_words(connection, after, confirmations=len(before.confirmations), signatures=len(before.signatures))


def replace_agreement(connection: Connection, before: Agreement, after: Agreement) -> None:
    """Write a new version over the one in force, with its own confirmations and signatures.

    Raises:
        Conflict: `sharing.agreement_changed`: somebody changed it in between.
    """
    table = tables.agreement
    where = (table.c.id == before.id, table.c.revision == before.revision)
    if connection.execute(update(table).where(*where).values(_row(after))).rowcount != 1:
        raise agreement_changed()
    for words in (tables.confirmation, tables.signature):
        connection.execute(delete(words).where(words.c.agreement_id == before.id))
    _add_words(connection, after, confirmations=0, signatures=0)


def agreement_changed() -> Conflict:
    """Return the error of whoever comes second."""
    return Conflict(
        "sharing.agreement_changed",
        what=Text(zh="该协议刚刚被他人办理。", en="Somebody else has just acted on this agreement."),
        remedy=Text(zh="请刷新后查看最新状态。", en="Reload to see the present state."),
    )


def _add_words(connection: Connection, agreement: Agreement, *, confirmations: int, signatures: int) -> None:
    """Store the confirmations and signatures after the first so many."""
    for confirmed in agreement.confirmations[confirmations:]:
        connection.execute(
            insert(tables.confirmation).values(
                agreement_id=agreement.id, department=confirmed.department, confirmed_by=confirmed.by, at=confirmed.at
            )
        )
    for signed in agreement.signatures[signatures:]:
        connection.execute(insert(tables.signature).values(agreement_id=agreement.id, **signed.model_dump()))


def _row(agreement: Agreement) -> dict[str, object]:
    return {
        "id": agreement.id,
        "request_id": agreement.request_id,
        "provider": agreement.provider,
        "consumer": agreement.consumer,
        "resource_id": agreement.resource_id,
        "state": agreement.state.value,
        "state_reason": agreement.state_reason,
        "cause": agreement.cause.value if agreement.cause else None,
        "suspended_by": agreement.suspended_by,
        "valid_until": agreement.valid_until,
        "provide_due_at": agreement.provide_due_at,
        "drawn_up_at": agreement.drawn_up_at,
        "reminded_at": agreement.reminded_at,
        "disposed_at": agreement.disposed_at,
        "disposal": agreement.disposal,
        "code": agreement.code or None,
        "revision": agreement.revision,
        "content": agreement.model_dump(
            mode="json",
            include={
                "version",
                "resource_version",
                "resource_title",
                "items",
                "row_filter",
                "calls",
                "purpose",
                "levels",
                "liability",
                "obligations",
                "valid_from",
            },
        ),
    }
