"""Registered applications in the control database: registration, review, bindings and keys, each act on record.

Until it is approved, and while it is suspended, an application is *blocked*: nothing it holds opens real data, from the
next call on. A retired one is revoked for good.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

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
    Text,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, require_other_eyes
from datong.sharing import tables
from datong.sharing.agreements import Agreements
from datong.sharing.applications.keys import (
    KEY_DAYS_DEFAULT,
    KEY_DAYS_MAX,
    KEYS_IN_FORCE_MAX,
    OVERLAP_HOURS_DEFAULT,
    OVERLAP_HOURS_MAX,
    ApplicationKey,
    IssuedKey,
    KeyKind,
    shortened,
)
from datong.sharing.applications.rules import (
    ApplicationAction,
    ApplicationParty,
    ApplicationState,
    NewRegistration,
    Registration,
    follow,
)
from datong.sharing.credentials import invalid_field, new_token, token_hash
from datong.sharing.evidence import instant, text_digest
from datong.sharing.ports import DepartmentBook

AGREEMENTS_MAX = 100
BLOCKED_STATES = frozenset(ApplicationState) - {ApplicationState.APPROVED}
_REGISTERED = select(tables.registration.c.application_id).where(
    tables.registration.c.application_id.in_(bindparam("of_ids", expanding=True))
)
_BOUND = select(tables.application_binding.c.application_id, tables.application_binding.c.agreement_id).where(
    tables.application_binding.c.application_id.in_(bindparam("of_ids", expanding=True))
)


class Registrations:
    """Registers applications of departments and keeps them."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, departments: DepartmentBook, agreements: Agreements
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._departments, self._agreements = departments, agreements

    def register(self, new: NewRegistration, department: DepartmentCode, actor: Actor) -> Registration:
        """Register an application of a department for review; it may try the sandbox at once.

        Raises:
            NotFound: the department is not registered.
        """
        self._departments.get(department)
        now, client_id = self._clock.now(), new_id()
        made = Registration(
            **new.model_dump(),
            client_id=client_id,
            department=department,
            state=ApplicationState.SUBMITTED,
            registered_at=now,
            changed_at=now,
        )
        with self._database.transaction() as connection:
            connection.execute(
                insert(tables.application).values(
                    id=client_id,
                    name=made.name,
                    department=department,
                    # No secret has an empty hash: a registered application has keys instead.
                    secret_hash="",
                    created_by=actor.id,
                    created_at=now,
                    blocked_at=now,
                )
            )
            entry_id = self._append(connection, made, "register", actor)
            connection.execute(insert(tables.registration).values(**_row(made), entry_id=entry_id))
        return made.model_copy(update={"entry_id": entry_id})

    def act(
        self,
        client_id: str,
        action: ApplicationAction,
        *,
        parties: frozenset[ApplicationParty],
        actor: Actor,
        reason: str = "",
        change: NewRegistration | None = None,
    ) -> Registration:
        """Review, suspend, resume, retire, or submit again (with `change`: what was corrected).

        Raises:
            NotFound: there is none. Refused, Conflict, Invalid: see `rules.follow`; Refused also when who approves
                had a part in submitting it.
        """
        now = self._clock.now()
        with self._database.transaction() as connection:
            before = self._load(connection, client_id)
            after = follow(before, action, parties=parties, reason=reason, now=now)
            if action is ApplicationAction.APPROVE:
                acts = ("register", ApplicationAction.SUBMIT.value)
                require_other_eyes(connection, actor, subject=client_id, kinds=(EntryKind.APPLICATION,), acts=acts)
            if change is not None and action is ApplicationAction.SUBMIT:
                after = after.model_copy(update=change.model_dump())
            entry_id = self._append(connection, after, action.value, actor)
            table = tables.registration
            changed = connection.execute(
                update(table)
                .where(table.c.application_id == client_id, table.c.revision == before.revision)
                .values(**_row(after), entry_id=entry_id)
            ).rowcount
            if changed != 1:
                raise _just_changed()
            blocked = {"blocked_at": now if after.state in BLOCKED_STATES else None, "name": after.name}
            ended = {"revoked_at": now} if after.state is ApplicationState.RETIRED else {}
            own = tables.application.c.id == client_id
            connection.execute(update(tables.application).where(own).values(**blocked, **ended))
        return after.model_copy(update={"entry_id": entry_id})

    def bind(self, client_id: str, agreements: Sequence[AgreementId], actor: Actor) -> Registration:
        """Bind an application to agreements of its department, instead of those it was bound to.

        Raises:
            NotFound: there is no such application or agreement. Conflict: it is retired.
            Invalid: an agreement is another department's, or there are more than AGREEMENTS_MAX.
        """
        wanted = tuple(dict.fromkeys(agreements))
        registration = self.get(client_id)
        foreign = [one for one in wanted if self._agreements.get(one).consumer != registration.department]
        if foreign or len(wanted) > AGREEMENTS_MAX:
            raise invalid_field(
                "agreements",
                Text(
                    zh=f"只能绑定本部门为需求方的协议，至多 {AGREEMENTS_MAX} 项。",
                    en=f"Bind at most {AGREEMENTS_MAX} agreements whose consumer is the application's department.",
                ),
            )
        table, now = tables.application_binding, self._clock.now()
        with self._database.transaction() as connection:
            before = self._in_use(connection, client_id)
            after = before.model_copy(update={"agreements": tuple(sorted(wanted)), "changed_at": now})
            connection.execute(delete(table).where(table.c.application_id == client_id))
            if wanted:
                rows = [{"application_id": client_id, "agreement_id": one, "bound_at": now} for one in wanted]
                connection.execute(insert(table), rows)
            self._append(connection, after, "bind", actor, {"agreement_ids": list(after.agreements)})
        return after

    def issue_key(
        self,
        client_id: str,
        kind: KeyKind,
        actor: Actor,
        *,
        days: int = KEY_DAYS_DEFAULT,
        replace: bool = False,
        overlap_hours: int = OVERLAP_HOURS_DEFAULT,
    ) -> IssuedKey:
        """Issue a key; with `replace`, the older ones of its kind go on working for `overlap_hours` and no longer.

        Raises:
            NotFound: there is no such application. Invalid: a term or an overlap out of bounds.
            Conflict: it is retired; a live key before approval; or KEYS_IN_FORCE_MAX keys are in force.
        """
        if not (1 <= days <= KEY_DAYS_MAX and 0 <= overlap_hours <= OVERLAP_HOURS_MAX):
            raise invalid_field("days", Text(zh="密钥期限或过渡期超出范围。", en="Term or overlap is out of bounds."))
        now, secret = self._clock.now(), new_token()
        key = ApplicationKey(
            id=new_id(), client_id=client_id, kind=kind, created_at=now, expires_at=now + timedelta(days=days)
        )
        table = tables.application_key
        with self._database.transaction() as connection:
            registration = self._in_use(connection, client_id)
            if kind is KeyKind.LIVE and registration.state is not ApplicationState.APPROVED:
                raise Conflict(
                    "sharing.application_not_approved",
                    what=Text(zh="应用通过审核后才能签发正式密钥。", en="Live keys are issued once it is approved."),
                    remedy=Text(zh="审核期间可以使用沙箱密钥。", en="Until then use a sandbox key."),
                )
            older = [one for one in self._keys(connection, client_id) if one.kind is kind and one.works(now)]
            if replace:
                for one in older:
                    ends = shortened(one.expires_at, now, overlap_hours)
                    connection.execute(update(table).where(table.c.id == one.id).values(expires_at=ends))
            elif len(older) >= KEYS_IN_FORCE_MAX:
                raise Conflict(
                    "sharing.keys_too_many",
                    what=Text(zh=f"最多有 {KEYS_IN_FORCE_MAX} 把有效密钥。", en=f"At most {KEYS_IN_FORCE_MAX} keys."),
                    remedy=Text(zh="请轮换，或先作废不用的密钥。", en="Rotate, or revoke one that is not used."),
                )
            connection.execute(
                insert(table).values(
                    id=key.id,
                    application_id=client_id,
                    kind=kind.value,
                    secret_hash=token_hash(secret),
                    created_by=actor.id,
                    created_at=now,
                    expires_at=key.expires_at,
                )
            )
            facts: dict[str, JsonValue] = {
                "key_id": key.id,
                "kind": kind.value,
                "expires_at": instant(key.expires_at),
                "replaced": len(older) if replace else 0,
                "overlap_hours": overlap_hours if replace else None,
            }
            self._append(connection, registration, "issue_key", actor, facts)
        return IssuedKey(key=key, client_secret=secret)

    def revoke_key(self, client_id: str, key_id: str, actor: Actor) -> ApplicationKey:
        """Revoke a key: it gets no token any more, and what it got opens nothing from now on.

        Raises:
            NotFound: the application has no such key, or it was revoked.
        """
        table, now = tables.application_key, self._clock.now()
        with self._database.transaction() as connection:
            registration = self._load(connection, client_id)
            own = (table.c.id == key_id, table.c.application_id == client_id, table.c.revoked_at.is_(None))
            if connection.execute(update(table).where(*own).values(revoked_at=now)).rowcount != 1:
                raise NotFound(
                    "sharing.key_unknown",
                    what=Text(zh="没有这把密钥，或者已经作废。", en="There is no such key, or it was revoked."),
                    remedy=Text(zh="请刷新后查看。", en="Reload to see the present keys."),
                )
            self._append(connection, registration, "revoke_key", actor, {"key_id": key_id})
            return next(one for one in self._keys(connection, client_id) if one.id == key_id)

    def keys(self, client_id: str) -> tuple[ApplicationKey, ...]:
        """Return an application's keys, newest first, ended ones too."""
        with self._database.snapshot() as connection:
            return self._keys(connection, client_id)

    def get(self, client_id: str) -> Registration:
        """Return a registered application, or raise NotFound."""
        with self._database.snapshot() as connection:
            return self._load(connection, client_id)

    def is_registered(self, client_id: str) -> bool:
        """Whether an application was registered for review; others were made by an operator."""
        table = tables.registration
        query = select(table.c.application_id).where(table.c.application_id == client_id)
        with self._database.snapshot() as connection:
            return connection.scalar(query) is not None

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        state: ApplicationState | None = None,
        showcase: bool = False,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Registration]:
        """Return registered applications, newest first; with `showcase`, the approved ones that may be shown."""
        table = tables.registration
        where: list[ColumnElement[bool]] = []
        if department is not None:
            where.append(table.c.department == department)
        if state is not None:
            where.append(table.c.state == state.value)
        if showcase:
            where += [table.c.showcase.is_(True), table.c.state == ApplicationState.APPROVED.value]
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
            rows = self._select(connection, where, offset=offset, limit=min(limit, PAGE_ROWS_MAX))
        return page_of(rows, total=total, offset=offset)

    def bound(self, client_ids: Sequence[str]) -> dict[str, frozenset[AgreementId] | None]:
        """Return of each application which agreements it is bound to; None: it is not registered, and not narrowed."""
        wanted = {"of_ids": list(client_ids)}
        with self._database.reading() as connection:
            narrowed: dict[str, set[AgreementId]] = {name: set() for name in connection.scalars(_REGISTERED, wanted)}
            for row in connection.execute(_BOUND, wanted) if narrowed else ():
                narrowed[row.application_id].add(row.agreement_id)
        return {name: frozenset(narrowed[name]) if name in narrowed else None for name in client_ids}

    def _in_use(self, connection: Connection, client_id: str) -> Registration:
        found = self._load(connection, client_id)
        if found.state is ApplicationState.RETIRED:
            raise Conflict(
                "sharing.application_retired",
                what=Text(zh="应用已下线。", en="The application is retired."),
                remedy=Text(zh="请另行登记。", en="Register another one."),
            )
        return found

    def _load(self, connection: Connection, client_id: str) -> Registration:
        found = self._select(connection, [tables.registration.c.application_id == client_id], limit=1)
        if not found:
            raise NotFound(
                "sharing.application_unknown",
                what=Text(zh="没有这个应用。", en="There is no such application."),
                remedy=Text(zh="请核对编号。", en="Check the id."),
            )
        return found[0]

    def _select(
        self, connection: Connection, where: Sequence[ColumnElement[bool]], *, limit: int, offset: int = 0
    ) -> tuple[Registration, ...]:
        table, binding = tables.registration, tables.application_binding
        query = select(table).where(*where).order_by(table.c.application_id.desc()).offset(offset).limit(limit)
        rows = connection.execute(query).mappings().all()
        bound: dict[str, list[str]] = {row["application_id"]: [] for row in rows}
        wanted = select(binding).where(binding.c.application_id.in_(bound)).order_by(binding.c.agreement_id)
        for row in connection.execute(wanted).mappings():
            bound[row["application_id"]].append(row["agreement_id"])
        return tuple(registration_of(row, bound[row["application_id"]]) for row in rows)

    def _keys(self, connection: Connection, client_id: str) -> tuple[ApplicationKey, ...]:
        table = tables.application_key
        query = select(table).where(table.c.application_id == client_id).order_by(table.c.id.desc())
        return tuple(
            ApplicationKey(
                id=row["id"],
                client_id=client_id,
                kind=row["kind"],
                created_at=row["created_at"],
                expires_at=row["expires_at"],
                revoked_at=row["revoked_at"],
                last_used_at=row["last_used_at"],
            )
            for row in connection.execute(query.limit(PAGE_ROWS_MAX)).mappings()
        )

    def _append(
        self,
        connection: Connection,
        registration: Registration,
        step: str,
        actor: Actor,
        more: dict[str, JsonValue] | None = None,
    ) -> str:
        return self._ledger.append(
            connection,
            kind=EntryKind.APPLICATION,
            subject=registration.client_id,
            actor=actor,
            facts={
                "step": step,
                **registration_facts(registration),
                **(more or {}),
            },
        )


def registration_of(row: tables.Row, agreements: Sequence[str] = ()) -> Registration:
    """Return the registered application that a row holds, bound to these agreements."""
    own = ("department", "state", "showcase", "revision", "entry_id")
    return Registration.model_validate(
        {
            **row["content"],
            "client_id": row["application_id"],
            **{name: row[name] for name in own},
            "agreements": list(agreements),
        }
    )


def registration_facts(registration: Registration) -> dict[str, JsonValue]:
    """Return how a registered application stands, for the ledger."""
    return {
        "application_id": registration.client_id,
        "department": registration.department,
        "state": registration.state.value,
        "showcase": registration.showcase,
        "purpose_sha256": text_digest(registration.purpose),
        "reason_sha256": text_digest(registration.reason),
    }


def _row(registration: Registration) -> dict[str, object]:
    return {
        "application_id": registration.client_id,
        "department": registration.department,
        "state": registration.state.value,
        "showcase": registration.showcase,
        "revision": registration.revision,
        "content": registration.model_dump(
            mode="json",
            include={"name", "purpose", "scenes", "contacts", "reason", "registered_at", "changed_at"},
        ),
    }


def _just_changed() -> Conflict:
    return Conflict(
        "sharing.application_changed",
        what=Text(zh="该应用刚刚被他人办理。", en="Somebody else has just acted on this application."),
        remedy=Text(zh="请刷新后查看。", en="Reload to see the present state."),
    )
