"""What of accounts and of the ways in to them `fsck` compares with the log: roles, links, passkeys, rules.

Names, passwords' hashes and citizens' numbers are not in the log. A commitment to them is, so that whoever writes
another hash into a row, or binds an account to another person, is found all the same.
"""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, select

from datong.kernel import JsonValue, Text
from datong.ledger import Area, EntryContent, EntryKind, Held, Stated, streamed
from datong.sharing import sign_in_tables, tables
from datong.sharing.sign_in_evidence import identity_commitment, passkey_digest, sign_in_commitment
from datong.sharing.sign_in_methods import SignInMethod

_SET_BY: Mapping[str, tuple[str, ...]] = {
    "open": ("department", "roles", "disabled", "sign_in_commitment"),
    "roles": ("department", "roles"),
    "close": ("disabled",),
    "reopen": ("disabled",),
    "password": ("sign_in_commitment",),
}
"""What each step of an account changes: others name its roles as they found them, which another act may overtake."""


def _account(entry: EntryContent) -> Stated | None:
    names = _SET_BY.get(entry.facts["step"])
    if names is None:
        return None
    said = {name: entry.facts[name] for name in names if name in entry.facts}
    return Stated(entry.subject, said, adds=True)


def _accounts(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(tables.account)):
        own: dict[str, JsonValue] = {name: row[name] for name in ("department", "disabled")}
        own |= {"roles": sorted(row["roles"]), "sign_in_commitment": sign_in_commitment(row)}
        yield Held(row["id"], {"sharing_account": own})


def _link(entry: EntryContent) -> Stated | None:
    if entry.facts["step"] not in ("link", "unlink"):
        return None
    return Stated(entry.facts["link_id"], entry.facts, ends=entry.facts["step"] == "unlink")


def _links(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(sign_in_tables.identity_link)):
        own: dict[str, JsonValue] = {name: row[name] for name in ("account_id", "provider")}
        yield Held(row["id"], {"sharing_identity_link": own | {"identity_commitment": identity_commitment(row)}})


def _passkey(entry: EntryContent) -> Stated | None:
    step = entry.facts["step"]
    if step not in ("passkey_add", "passkey_rename", "passkey_remove"):
        return None
    key = entry.facts["passkey_id"]
    return Stated(key, entry.facts, adds=step == "passkey_rename", ends=step == "passkey_remove")


def _passkeys(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(sign_in_tables.passkey)):
        own: dict[str, JsonValue] = {name: row[name] for name in ("account_id", "verifies")}
        yield Held(row["id"], {"sharing_passkey": own | {"passkey_sha256": passkey_digest(row)}})


def _rule(entry: EntryContent) -> Stated | None:
    if entry.facts["step"] != "sign_in_rule":
        return None
    # A rule that lets everything suffice, or nothing, is none.
    lifted = len(entry.facts["methods"]) in (0, len(SignInMethod))
    return Stated(entry.facts["role"], entry.facts, ends=lifted)


def _rules(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(sign_in_tables.sign_in_rule)).mappings():
        yield Held(row["role"], {"sharing_sign_in_rule": {"methods": sorted(row["methods"])}})


_ACCOUNT = frozenset({EntryKind.ACCOUNT})
SIGN_IN_AREAS = (
    Area(
        "sharing.account",
        Text(zh="账号", en="Account"),
        _ACCOUNT,
        _account,
        _accounts,
        later=frozenset({"sign_in_commitment"}),
    ),
    Area(
        "sharing.identity_link",
        Text(zh="关联的身份", en="Linked identity"),
        _ACCOUNT,
        _link,
        _links,
        later=frozenset({"identity_commitment"}),
    ),
    Area(
        "sharing.passkey",
        Text(zh="通行密钥", en="Passkey"),
        _ACCOUNT,
        _passkey,
        _passkeys,
        later=frozenset({"passkey_sha256"}),
    ),
    Area("sharing.sign_in_rule", Text(zh="登录要求", en="Sign-in rule"), _ACCOUNT, _rule, _rules),
)
