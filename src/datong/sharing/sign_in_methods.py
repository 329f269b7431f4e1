"""Ways of signing in, and which of them the roles of an account ask for. Pure rules over a small table.

A rule names a role and the ways that suffice for it. An account with several roles needs a way that suffices for each
of them; without any rule every way will do.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from datong.kernel import Refused, Text, Value
from datong.sharing import sign_in_tables as tables
from datong.sharing.principals import Role


class SignInMethod(StrEnum):
    """How somebody was recognised when a session began."""

    PASSWORD = "password"  # noqa: S105
    OIDC = "oidc"
    PASSKEY = "passkey"
    PASSWORD_PASSKEY = "password+passkey"  # noqa: S105
    OIDC_PASSKEY = "oidc+passkey"

    @property
    def label(self) -> Text:
        """What the way is called."""
        return _LABELS[self]


_LABELS = {
    SignInMethod.PASSWORD: Text(zh="密码", en="password"),
    SignInMethod.OIDC: Text(zh="统一身份认证", en="identity provider"),
    SignInMethod.PASSKEY: Text(zh="通行密钥", en="passkey"),
    SignInMethod.PASSWORD_PASSKEY: Text(zh="密码加通行密钥", en="password and passkey"),
    SignInMethod.OIDC_PASSKEY: Text(zh="统一身份认证加通行密钥", en="identity provider and passkey"),
}
WITH_PASSKEY = {
    SignInMethod.PASSWORD: SignInMethod.PASSWORD_PASSKEY,
    SignInMethod.OIDC: SignInMethod.OIDC_PASSKEY,
}
"""What a way becomes when a passkey follows it."""


class SignedInBy(Value):
    """How, from where and on what somebody signs in; `device` is what the browser said it is, `address` its IP."""

    method: SignInMethod = SignInMethod.PASSWORD
    provider: str = ""
    device: str = ""
    address: str = ""


class SignInRule(Value):
    """The ways of signing in that suffice for a role, since when, and who said so."""

    role: Role
    methods: frozenset[SignInMethod]
    changed_at: datetime


def sufficient(roles: Iterable[Role], rules: Mapping[Role, frozenset[SignInMethod]]) -> frozenset[SignInMethod]:
    """Return the ways that suffice for all of `roles` together; a role without a rule asks for none."""
    return frozenset(SignInMethod).intersection(*(rules[role] for role in roles if role in rules))


def require_method(connection: Connection, roles: frozenset[Role], method: SignInMethod) -> None:
    """Let somebody with `roles` pass who was recognised by `method`.

    Raises:
        Refused: `sharing.method_insufficient`: a role asks for another way.
    """
    enough = sufficient(roles, {rule.role: rule.methods for rule in rules_of(connection)})
    if method in enough:
        return
    ways = sorted(enough)
    zh, en = "、".join(way.label.zh for way in ways), " or ".join(way.label.en for way in ways)
    raise Refused(
        "sharing.method_insufficient",
        what=Text(
            zh=f"您的角色不能只用{method.label.zh}登录。",
            en=f"Your role asks for more than a sign-in by {method.label.en}.",
        ),
        remedy=Text(zh=f"请改用：{zh}。", en=f"Sign in by: {en}.")
        if ways
        else Text(
            zh="各角色的要求互相矛盾，请联系平台运维员。",
            en="The rules of your roles contradict each other: ask an operator.",
        ),
        context={"methods": [way.value for way in ways]},
    )


def rules_of(connection: Connection) -> tuple[SignInRule, ...]:
    """Return every rule, by role."""
    table = tables.sign_in_rule
    rows = connection.execute(select(table).order_by(table.c.role)).mappings()
    return tuple(
        SignInRule(
            role=Role(row["role"]),
            methods=frozenset(SignInMethod(one) for one in row["methods"]),
            changed_at=row["changed_at"],
        )
        for row in rows
    )


def write_rule(connection: Connection, role: Role, methods: frozenset[SignInMethod], now: datetime) -> None:
    """Let these ways suffice for a role from now on; with all ways, or none named, there is no rule."""
    table = tables.sign_in_rule
    connection.execute(delete(table).where(table.c.role == role.value))
    if methods and methods != frozenset(SignInMethod):
        values = {"role": role.value, "methods": sorted(one.value for one in methods), "changed_at": now}
        connection.execute(insert(table).values(values))
