"""People: accounts with passwords, and sessions.

An unknown name and a wrong password get the same answer after the same work: nobody can ask which accounts exist.
"""

from contextlib import suppress
from datetime import timedelta

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    NotFound,
    Page,
    PersonId,
    Refused,
    Text,
    Unauthenticated,
    Unavailable,
    new_id,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.norms import to_18, validate_citizen_id
from datong.sharing import tables
from datong.sharing.accounts import Account, Session, account_from, record_account, require_roles
from datong.sharing.credentials import (
    FAILURES_FORGOTTEN_AFTER,
    PASSWORD_CHARS_MAX,
    PASSWORD_CHARS_MIN,
    PasswordHasher,
    blocked_until,
    invalid_field,
    new_token,
    require_name,
)
from datong.sharing.ports import DepartmentBook
from datong.sharing.principals import Role
from datong.sharing.sessions import Sessions
from datong.sharing.sign_in_evidence import sign_in_commitment
from datong.sharing.sign_in_methods import SignedInBy


class People(Sessions):
    """Accounts and sessions of people."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        departments: DepartmentBook,
        hasher: PasswordHasher,
        session_life: timedelta,
    ) -> None:
        super().__init__(database=database, clock=clock, ledger=ledger, session_life=session_life)
        self._departments = departments
        self._hasher = hasher
        self._decoy: str | None = None

    def create_account(
        self,
        *,
        username: str,
        password: str,
        name: str,
        roles: frozenset[Role],
        actor: Actor,
        department: DepartmentCode | None = None,
        citizen_id: str | None = None,
    ) -> Account:
        """Open an account.

        Raises:
            Invalid: a name, the password, the roles or the citizen ID will not do.
            NotFound: the department is not registered.
            Conflict: the username is taken.
        """
        subject = self._check_account(username, password, name, roles, department, citizen_id)
        row = {
            "id": new_id(),
            "username": username.strip().lower(),
            "name": name.strip(),
            "department": department,
            "roles": sorted(role.value for role in roles),
            "password_hash": self._hasher.hash(password),
            "citizen_id": subject,
            "disabled": False,
            "created_at": self._clock.now(),
        }
        self._insert(row, actor)
        return account_from(row)

    def open_recognised(self, *, username: str, name: str, actor: Actor) -> Account:
        """Open an account without roles, department or password for somebody whom an identity provider vouches for.

        Raises:
            Invalid: a name will not do. Conflict: the username is taken.
        """
        require_name(username, "username")
        require_name(name, "name")
        account = Account(
            id=PersonId(new_id()),
            username=username.strip().lower(),
            name=name.strip(),
            department=None,
            roles=frozenset(),
            has_subject=False,
            disabled=False,
            created_at=self._clock.now(),
        )
        row = account.model_dump(exclude={"has_subject", "roles"})
        # A hash of what nobody has ever seen: no password opens the account until an operator gives it one.
        row |= {"roles": [], "citizen_id": None, "password_hash": self._hasher.hash(new_token())}
        self._insert(row, actor)
        return account

    def accounts(self, *, department: DepartmentCode | None = None, offset: int = 0, limit: int = 50) -> Page[Account]:
        """Return accounts by username, of one department or of all."""
        where = [] if department is None else [tables.account.c.department == department]
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(tables.account).where(*where)).scalar_one()
            rows = connection.execute(
                select(tables.account)
                .where(*where)
                .order_by(tables.account.c.username)
                .offset(offset)
                .limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            return page_of(tuple(account_from(row) for row in rows), total=total, offset=offset)

    def account(self, person: PersonId) -> Account:
        """Return one account.

        Raises:
            NotFound: there is none.
        """
        with self._database.snapshot() as connection:
            row = connection.execute(select(tables.account).where(tables.account.c.id == person)).mappings().first()
        if row is None:
            raise NotFound(
                "sharing.account_not_found",
                what=Text(zh="没有这个账号。", en="There is no such account."),
                remedy=Text(zh="请核对编号。", en="Check the id."),
            )
        return account_from(row)

    def account_of(self, username: str) -> Account:
        """Return the account with which somebody signs in by that name.

        Raises:
            NotFound: there is none.
        """
        query = select(tables.account.c.id).where(tables.account.c.username == username.strip().lower())
        with self._database.snapshot() as connection:
            found = connection.execute(query).scalar()
        return self.account(PersonId(found or ""))

    def check_password(self, username: str, password: str) -> Account:
        """Return the account whose name and password these are.

        Raises:
            Unauthenticated: name or password is wrong, or the account is disabled.
            Refused: `sharing.login_blocked`: too many wrong passwords in a row for this name.
            Unavailable: too many passwords are being checked now.
        """
        name = username.strip().lower()
        # Counted before the password is looked at: else many guesses at once would all come before the first failure.
        self._count_attempt(name)
        with self._database.snapshot() as connection:
            row = connection.execute(select(tables.account).where(tables.account.c.username == name)).mappings().first()
        usable = row is not None and not row["disabled"]
        hashed = row["password_hash"] if row is not None else self._decoy_hash()
        try:
            matches = len(password) <= PASSWORD_CHARS_MAX and self._hasher.verify(password, hashed)
        except Unavailable:
            self._forget_attempt(name)
            raise
        if row is None or not usable or not matches:
            raise Unauthenticated(
                "sharing.login_wrong",
                what=Text(zh="用户名或密码不正确。", en="The username or the password is wrong."),
                remedy=Text(zh="请核对后重试。", en="Check both and try again."),
            )
        with self._database.transaction() as connection:
            connection.execute(
                delete(tables.login_failure).where(tables.login_failure.c.username_hash == sha256_hex(name.encode()))
            )
        return account_from(row)

    def authenticate(self, username: str, password: str, *, device: str = "", address: str = "") -> Session:
        """Check a password and open a session on `device`, which is what the browser says it is.

        Raises:
            Unauthenticated, Unavailable: see `check_password`. Refused: there too, or a role asks for another way.
        """
        account = self.check_password(username, password)
        return self.open_session(account.id, SignedInBy(device=device, address=address))

    def set_roles(
        self, person: PersonId, roles: frozenset[Role], *, actor: Actor, department: DepartmentCode | None = None
    ) -> Account:
        """Give an account these roles instead of those it has; they hold with the next call.

        `department` is that of an account that has none yet.

        Raises:
            NotFound: there is no such account or department. Conflict: the account is of another department.
            Invalid: staff and citizens keep apart, and nobody is without a role.
        """
        account = self.account(person)
        if department is not None:
            self._departments.get(department)
            if account.department not in (None, department):
                raise Conflict(
                    "sharing.department_kept",
                    what=Text(zh="该账号属于另一部门。", en="The account is of another department."),
                    remedy=Text(zh="调动请另开账号。", en="Whoever moves gets another account."),
                )
            account = account.model_copy(update={"department": department})
        require_roles(roles, account.department)
        if (Role.CITIZEN in roles) != (Role.CITIZEN in account.roles):
            raise invalid_field(
                "roles", Text(zh="自然人角色随账号设立，不能增减。", en="A citizen's role comes with the account.")
            )
        changed = account.model_copy(update={"roles": roles})
        values = {"roles": sorted(role.value for role in roles), "department": account.department}
        with self._database.transaction() as connection:
            connection.execute(update(tables.account).where(tables.account.c.id == person).values(values))
            given, taken = roles - account.roles, account.roles - roles
            facts = {"given": sorted(role.value for role in given), "taken": sorted(role.value for role in taken)}
            record_account(self._ledger, connection, changed, "roles", actor, facts)
        return changed

    def set_disabled(self, person: PersonId, *, disabled: bool, actor: Actor) -> Account:
        """Close an account, which ends every session of the person at once, or open it again.

        Raises:
            NotFound: there is no such account.
        """
        changed = self.account(person).model_copy(update={"disabled": disabled})
        with self._database.transaction() as connection:
            connection.execute(
                update(tables.account).where(tables.account.c.id == person).values(disabled=changed.disabled)
            )
            if disabled:
                connection.execute(delete(tables.session).where(tables.session.c.account_id == person))
            record_account(self._ledger, connection, changed, "close" if disabled else "reopen", actor)
        return changed

    def set_password(self, person: PersonId, password: str, *, actor: Actor) -> Account:
        """Give an account another password: sessions that are open end, and no attempt counts any more.

        Raises:
            NotFound: there is no such account. Invalid: the password will not do.
        """
        account = self.account(person)
        _check_password(password)
        hashed = self._hasher.hash(password)
        with self._database.transaction() as connection:
            connection.execute(update(tables.account).where(tables.account.c.id == person).values(password_hash=hashed))
            connection.execute(delete(tables.session).where(tables.session.c.account_id == person))
            connection.execute(
                delete(tables.login_failure).where(
                    tables.login_failure.c.username_hash == sha256_hex(account.username.encode())
                )
            )
            query = select(tables.account).where(tables.account.c.id == person)
            facts = {"sign_in_commitment": sign_in_commitment(connection.execute(query).mappings().one())}
            record_account(self._ledger, connection, account, "password", actor, facts)
        return account

    def change_password(self, person: PersonId, old: str, new: str, *, token: str = "", device: str = "") -> Session:
        """Let a person choose another password; every other session ends, and that of `token` goes on as a fresh one.

        Raises:
            Unauthenticated, Refused, Unavailable: see `check_password`. Invalid: the new password will not do.
        """
        username = self.account(person).username
        _check_password(new)
        by = self.began_by(token)
        account = self.check_password(username, old)
        self.set_password(person, new, actor=account.principal.actor)
        if by is None:
            return self.open_session(person, SignedInBy(device=device))
        with self._database.transaction() as connection:
            return self._begin(connection, account, by)

    def _insert(self, row: tables.Row, actor: Actor) -> None:
        try:
            with self._database.transaction() as connection:
                connection.execute(insert(tables.account).values(dict(row)))
                facts = {"sign_in_commitment": sign_in_commitment(row)}
                record_account(self._ledger, connection, account_from(row), "open", actor, facts)
        except IntegrityError as error:
            username = row["username"]
            raise Conflict(
                "sharing.username_taken",
                what=Text(zh=f"用户名 {username} 已被使用。", en=f"The username {username} is taken."),
                remedy=Text(zh="请换一个用户名。", en="Choose another one."),
                field="/username",
                context={"by": actor.id},
            ) from error

    def _check_account(
        self,
        username: str,
        password: str,
        name: str,
        roles: frozenset[Role],
        department: DepartmentCode | None,
        citizen_id: str | None,
    ) -> str | None:
        require_name(username, "username")
        require_name(name, "name")
        _check_password(password)
        require_roles(roles, department)
        if department is not None:
            self._departments.get(department)
        if Role.CITIZEN not in roles:
            return None
        check = validate_citizen_id(citizen_id or "")
        if citizen_id is None or not check.valid:
            raise invalid_field("citizen_id", Text(zh="居民身份证号不正确。", en="The citizen ID is not valid."))
        return to_18(citizen_id)

    def _decoy_hash(self) -> str:
        """Return a hash that matches nothing, so that an unknown name costs the work of a known one."""
        if self._decoy is None:
            self._decoy = self._hasher.hash(new_token())
        return self._decoy

    def _count_attempt(self, username: str) -> None:
        """Count an attempt as a failure until it has succeeded.

        Raises:
            Refused: `sharing.login_blocked`.
        """
        table = tables.login_failure
        key = sha256_hex(username.encode())
        now = self._clock.now()
        with self._database.transaction() as connection:
            connection.execute(delete(table).where(table.c.last_failure_at < now - FAILURES_FORGOTTEN_AFTER))
            with suppress(IntegrityError), connection.begin_nested():
                connection.execute(insert(table).values(username_hash=key, failures=0, last_failure_at=now))
            row = connection.execute(select(table).where(table.c.username_hash == key).with_for_update()).one()
            until = blocked_until(row.failures, row.last_failure_at)
            if until is not None and now < until:
                raise _blocked(int((until - now).total_seconds()) + 1)
            connection.execute(
                update(table)
                .where(table.c.username_hash == key)
                .values(failures=table.c.failures + 1, last_failure_at=now)
            )

    def _forget_attempt(self, username: str) -> None:
        """Take back an attempt that came to nothing, since no password was looked at."""
        table = tables.login_failure
        with self._database.transaction() as connection:
            connection.execute(
                update(table)
                .where(table.c.username_hash == sha256_hex(username.encode()), table.c.failures > 0)
                .values(failures=table.c.failures - 1)
            )


def _check_password(password: str) -> None:
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise invalid_field(
            "password",
            Text(
                zh=f"密码须为 {PASSWORD_CHARS_MIN} 到 {PASSWORD_CHARS_MAX} 个字符。",
                en=f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.",
            ),
        )


def _blocked(seconds: int) -> Refused:
    return Refused(
        "sharing.login_blocked",
        what=Text(
            zh=f"密码连续输错多次，请 {seconds} 秒后再试。",
            en=f"Too many wrong passwords in a row: try again in {seconds} seconds.",
        ),
        remedy=Text(zh="如忘记密码，请联系平台运维员。", en="If you forgot it, ask an operator."),
        context={"retry_after_seconds": seconds},
    )
