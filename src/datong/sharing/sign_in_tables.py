"""Tables of ways to sign in other than a password. Nothing in them lets anybody in."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, Table, UniqueConstraint

from datong.kernel import METADATA, JsonColumn, UtcDateTime

ID = String(64)

identity_link = Table(
    "sharing_identity_link",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("sharing_account.id"), nullable=False, index=True),
    Column("issuer", String(500), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("provider", String(40), nullable=False),
    Column("linked_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=False),
    Column("salt", String(64)),
    UniqueConstraint("issuer", "subject"),
    UniqueConstraint("account_id", "issuer"),
)
"""Whom identity providers mean: the account that an issuer's subject is, one of each issuer. `salt` is that of the
commitment to both in the log; links of older releases have none."""

sign_in_rule = Table(
    "sharing_sign_in_rule",
    METADATA,
    Column("role", String(40), primary_key=True),
    Column("methods", JsonColumn, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
"""The ways of signing in that suffice for a role; one without a row asks for none."""

used_attempt = Table(
    "sharing_used_attempt",
    METADATA,
    Column("attempt_hash", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)
"""Attempts to sign in that came to their end, whatever that was, until they would be too old anyway."""

passkey = Table(
    "sharing_passkey",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("sharing_account.id"), nullable=False, index=True),
    Column("credential_hash", String(64), nullable=False, unique=True),
    Column("credential_id", String(1400), nullable=False),
    Column("public_key", String(2000), nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", JsonColumn, nullable=False),
    Column("name", String(60), nullable=False),
    Column("verifies", Boolean, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)
"""Public keys with which authenticators prove that somebody is there; `verifies`: it also saw who that is."""
