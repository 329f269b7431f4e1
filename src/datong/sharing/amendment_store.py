"""Versions of agreements in the control database: proposed, replaced, or come to nothing."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, insert, or_, select, union, update

from datong.kernel import AgreementId, DepartmentCode, NotFound, Text
from datong.sharing import tables
from datong.sharing.agreement_store import agreement_changed
from datong.sharing.amendment_rules import Amendment, AmendmentState
from datong.sharing.terms import AgreementState

_VERSION = tables.agreement_version
_CONFIRMED = (
    (tables.agreement, tables.agreement.c.state == AgreementState.CONFIRMED.value),
    (
        _VERSION,
        (_VERSION.c.state == AmendmentState.OPEN.value)
        & (_VERSION.c.content["proposal"]["state"].as_string() == AgreementState.CONFIRMED.value),
    ),
)
_SIGNING = union(
    *(
        select(party).where(party.in_(bindparam("departments", expanding=True)), confirmed)
        for table, confirmed in _CONFIRMED
        for party in (table.c.provider, table.c.consumer)
    )
)


def amendments_of(connection: Connection, agreement_id: AgreementId) -> tuple[Amendment, ...]:
    """Return every stored version of an agreement, newest first; one without amendments has none."""
    query = select(_VERSION).where(_VERSION.c.agreement_id == agreement_id)
    rows = connection.execute(query.order_by(_VERSION.c.version.desc())).mappings()
    return tuple(_amendment(row) for row in rows)


def open_amendment(connection: Connection, agreement_id: AgreementId) -> Amendment | None:
    """Return the amendment of an agreement that waits for the parties; there is at most one."""
    query = select(_VERSION).where(
        _VERSION.c.agreement_id == agreement_id, _VERSION.c.state == AmendmentState.OPEN.value
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _amendment(row)


def load_amendment(connection: Connection, agreement_id: AgreementId, version: int) -> Amendment:
    """Return one version.

    Raises:
        NotFound: there is none with that number.
    """
    query = select(_VERSION).where(_VERSION.c.agreement_id == agreement_id, _VERSION.c.version == version)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(
            "sharing.amendment_unknown",
            what=Text(zh=f"协议没有第 {version} 版。", en=f"The agreement has no version {version}."),
            remedy=Text(zh="请在协议页面查看版本。", en="See the versions on the agreement's page."),
        )
    return _amendment(row)


def version_with_code(connection: Connection, code: str) -> Amendment | None:
    """Return the stored version that bears a verification code."""
    row = connection.execute(select(_VERSION).where(_VERSION.c.code == code)).mappings().first()
    return None if row is None else _amendment(row)


def open_amendments(connection: Connection, department: DepartmentCode, *, limit: int) -> tuple[Amendment, ...]:
    """Return the amendments that wait for one of two parties, of which `department` is one, oldest first."""
    party = or_(_VERSION.c.provider == department, _VERSION.c.consumer == department)
    query = (
        select(_VERSION).where(_VERSION.c.state == AmendmentState.OPEN.value, party).order_by(_VERSION.c.proposed_at)
    )
    return tuple(_amendment(row) for row in connection.execute(query.limit(limit)).mappings())


def signing_parties(connection: Connection, departments: Collection[DepartmentCode]) -> frozenset[DepartmentCode]:
    """Return those of some departments that are party to something confirmed: an agreement, or a new version of one."""
    found = connection.scalars(_SIGNING, {"departments": list(departments)})
    return frozenset(DepartmentCode(party) for party in found)


def add_amendment(connection: Connection, amendment: Amendment) -> None:
    """Store a version that is new."""
    connection.execute(insert(_VERSION).values(_row(amendment)))


def save_amendment(connection: Connection, before: Amendment, after: Amendment) -> None:
    """Write `after` over `before`.

    Raises:
        Conflict: `sharing.agreement_changed`: somebody changed it in between.
    """
    changed = connection.execute(
        update(_VERSION)
        .where(
            _VERSION.c.agreement_id == before.agreement_id,
            _VERSION.c.version == before.version,
            _VERSION.c.revision == before.revision,
        )
        .values(_row(after))
    ).rowcount
    if changed != 1:
        raise agreement_changed()


def _row(amendment: Amendment) -> dict[str, object]:
    return {
        "agreement_id": amendment.agreement_id,
        "version": amendment.version,
        "provider": amendment.proposal.provider,
        "consumer": amendment.proposal.consumer,
        "state": amendment.state.value,
        "proposed_at": amendment.proposed_at,
        "code": amendment.proposal.code or None,
        "revision": amendment.revision,
        "content": amendment.model_dump(
            mode="json", include={"kind", "reason", "proposed_by", "closed_reason", "proposal"}
        ),
    }


def _amendment(row: tables.Row) -> Amendment:
    columns = {key: row[key] for key in row if key not in {"content", "code", "provider", "consumer"}}
    return Amendment.model_validate({**columns, **row["content"]})
