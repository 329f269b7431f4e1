"""Tables of the sharing system: secrets as hashes only, personal values only where a citizen's own rights need them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from datong.kernel import METADATA, JsonColumn, UtcDateTime

ID = String(64)
DEPARTMENT = String(18)
Row = RowMapping | Mapping[str, Any]
"""A row by column name, as read or as about to be written."""

account = Table(
    "sharing_account",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("username", String(200), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("department", DEPARTMENT, index=True),
    Column("roles", JsonColumn, nullable=False),
    Column("password_hash", String(500), nullable=False),
    Column("citizen_id", String(18)),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

login_failure = Table(
    "sharing_login_failure",
    METADATA,
    Column("username_hash", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_failure_at", UtcDateTime, nullable=False, index=True),
)

delegation = Table(
    "sharing_delegation",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("delegator", ID, ForeignKey("sharing_account.id"), nullable=False, index=True),
    Column("substitute", ID, ForeignKey("sharing_account.id"), nullable=False, index=True),
    Column("department", DEPARTMENT, nullable=False, index=True),
    Column("begins_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("proposed_by", ID, nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
"""Substitutes: whose roles whom is lent, from when until when."""

session = Table(
    "sharing_session",
    METADATA,
    Column("token_hash", String(64), primary_key=True),
    Column("account_id", ID, ForeignKey("sharing_account.id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("device", String(200), nullable=False, server_default=""),
    Column("address", String(45), nullable=False, server_default=""),
    Column("method", String(20), nullable=False, server_default="password"),
    Column("provider", String(40), nullable=False, server_default=""),
    Column("delegation_id", ID),
)
"""`delegation_id`: the delegation by which the session acts for somebody else, while that is in force."""

application = Table(
    "sharing_application",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("department", DEPARTMENT, nullable=False, index=True),
    Column("secret_hash", String(64), nullable=False),
    Column("created_by", ID, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("blocked_at", UtcDateTime),
)
"""Programs of departments. One that is registered for review is blocked until it is approved, and while suspended."""

profile = Table(
    "sharing_profile",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("application_id", ID, ForeignKey("sharing_application.id"), nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_by", ID, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)
"""Bearer tokens with which applications read whole tables through Delta Sharing."""

enrolment = Table(
    "sharing_enrolment",
    METADATA,
    Column("token_hash", String(64), primary_key=True),
    Column("department", DEPARTMENT, nullable=False),
    Column("created_by", ID, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("node_id", ID),
    Column("public_key", LargeBinary(32)),
)

node = Table(
    "sharing_node",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("department", DEPARTMENT, nullable=False, index=True),
    Column("key_id", String(16), nullable=False),
    Column("enrolled_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime),
    Column("last_status", String(2000), nullable=False),
)

assertion = Table(
    "sharing_assertion",
    METADATA,
    Column("jti_hash", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

request = Table(
    "sharing_request",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("bundle_id", ID, nullable=False, index=True),
    Column("consumer", DEPARTMENT, nullable=False, index=True),
    Column("provider", DEPARTMENT, nullable=False, index=True),
    Column("resource_id", ID, nullable=False, index=True),
    Column("state", String(20), nullable=False),
    Column("submitted_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("extension", String(20), nullable=False),
    Column("extension_reason", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("agreement_id", ID),
    Column("revision", Integer, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
Index("ix_sharing_request_state_due", request.c.state, request.c.due_at)

agreement = Table(
    "sharing_agreement",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("request_id", ID, ForeignKey("sharing_request.id"), nullable=False),
    Column("provider", DEPARTMENT, nullable=False, index=True),
    Column("consumer", DEPARTMENT, nullable=False),
    Column("resource_id", ID, nullable=False),
    Column("state", String(20), nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("cause", String(20)),
    Column("suspended_by", DEPARTMENT),
    Column("valid_until", UtcDateTime, nullable=False),
    Column("provide_due_at", UtcDateTime, nullable=False),
    Column("drawn_up_at", UtcDateTime, nullable=False),
    Column("reminded_at", UtcDateTime),
    Column("disposed_at", UtcDateTime),
    Column("disposal", Text, nullable=False, server_default=""),
    Column("code", String(16)),
    Column("revision", Integer, nullable=False),
    Column("content", JsonColumn, nullable=False),
    UniqueConstraint("request_id"),
)
Index("ix_sharing_agreement_code", agreement.c.code, unique=True)
Index("ix_sharing_agreement_use", agreement.c.consumer, agreement.c.resource_id)
Index("ix_sharing_agreement_state_until", agreement.c.state, agreement.c.valid_until)

mask_generation = Table(
    "sharing_mask_generation",
    METADATA,
    Column("consumer", DEPARTMENT, primary_key=True),
    Column("service_item", String(200), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
)

agreement_version = Table(
    "sharing_agreement_version",
    METADATA,
    Column("agreement_id", ID, ForeignKey("sharing_agreement.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("provider", DEPARTMENT, nullable=False),
    Column("consumer", DEPARTMENT, nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("code", String(16), unique=True),
    Column("revision", Integer, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
"""Versions of agreements that were ever amended: proposed, in force, replaced, or come to nothing."""

release = Table(
    "sharing_release",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("dataset", String(200), nullable=False, index=True),
    Column("released_at", UtcDateTime, nullable=False, index=True),
    Column("entry_id", ID, nullable=False),
    Column("content", JsonColumn, nullable=False),
)

privacy_budget = Table(
    "sharing_privacy_budget",
    METADATA,
    Column("dataset", String(200), primary_key=True),
    Column("granted_milli", Integer, nullable=False),
    Column("spent_milli", Integer, nullable=False),
)

statistic = Table(
    "sharing_statistic",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("dataset", String(200), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("entry_id", ID, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
Index("ix_sharing_statistic_dataset_at", statistic.c.dataset, statistic.c.asked_at)

confirmation = Table(
    "sharing_confirmation",
    METADATA,
    Column("agreement_id", ID, ForeignKey("sharing_agreement.id"), primary_key=True),
    Column("department", DEPARTMENT, primary_key=True),
    Column("confirmed_by", ID, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

signature = Table(
    "sharing_signature",
    METADATA,
    Column("agreement_id", ID, ForeignKey("sharing_agreement.id"), primary_key=True),
    Column("department", DEPARTMENT, primary_key=True),
    Column("key_id", String(16), nullable=False),
    Column("signature", String(100), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

access = Table(
    "sharing_access",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("consumer", DEPARTMENT),
    Column("provider", DEPARTMENT),
    Column("resource_id", ID),
    Column("entry_id", ID, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
"""Uses of data and refused attempts. A block-data view has no resource and no single provider."""
_REFUSED = access.c.allowed.is_(False)
Index(
    "ix_sharing_access_refused",
    access.c.consumer,
    access.c.resource_id,
    access.c.at,
    sqlite_where=_REFUSED,
    postgresql_where=_REFUSED,
)

access_subject = Table(
    "sharing_access_subject",
    METADATA,
    Column("subject_index", String(64), primary_key=True),
    Column("access_id", ID, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("salt", LargeBinary(32), nullable=False),
)
"""Whom an access concerns, written in one statement with it; `fsck` compares the numbers. No foreign key looks the
access up again as it is written, and locks it."""

access_release = Table(
    "sharing_access_release",
    METADATA,
    Column("access_id", ID, ForeignKey("sharing_access.id"), primary_key=True),
    Column("release_id", String(64), primary_key=True),
    Column("files", JsonColumn, nullable=False),
)
"""Which files of which releases of tables an access handed out; whom they concern stands in lists of their own."""
Index("ix_sharing_access_release_release", access_release.c.release_id)

guess = Table(
    "sharing_guess",
    METADATA,
    Column("consumer", DEPARTMENT, primary_key=True),
    Column("resource_id", ID, primary_key=True),
    Column("subject_index", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("wrong", Integer, nullable=False),
)

once = Table(
    "sharing_once",
    METADATA,
    Column("slot", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)
"""Answers of calls with an Idempotency-Key, sealed under keys that are not in the database."""

quota = Table(
    "sharing_quota",
    METADATA,
    Column("holder", String(80), primary_key=True),
    Column("span", String(10), primary_key=True),
    Column("started_second", BigInteger, primary_key=True),
    Column("ends_at", UtcDateTime, nullable=False, index=True),
    Column("calls", BigInteger, nullable=False),
)
"""Calls per window of an application or under an agreement."""

subscription = Table(
    "sharing_subscription",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("client_id", ID, nullable=False, index=True),
    Column("department", DEPARTMENT, nullable=False),
    Column("resource_id", ID, nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
"""Where applications want to be told of new versions; `version` is the newest one that a delivery was made for."""

delivery = Table(
    "sharing_delivery",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("subscription_id", ID, ForeignKey("sharing_subscription.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("status", Integer),
    Column("detail", String(300), nullable=False),
    Column("access_id", ID),
    Column("entry_id", ID),
    Column("content_sha256", String(64), nullable=False),
    Column("settled_at", UtcDateTime),
)
"""What is told of a version to a subscription: once each, and again when it is replayed."""
Index("ix_sharing_delivery_state_due", delivery.c.state, delivery.c.due_at)
Index("ix_sharing_delivery_subscription", delivery.c.subscription_id, delivery.c.version)

live_service = Table(
    "sharing_live_service",
    METADATA,
    Column("resource_id", ID, primary_key=True),
    Column("node_id", ID, nullable=False),
    Column("terms", JsonColumn, nullable=False),
    Column("breaker", JsonColumn, nullable=False),
)

live_call = Table(
    "sharing_live_call",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("resource_id", ID, nullable=False, index=True),
    Column("node_id", ID, nullable=False, index=True),
    Column("state", String(10), nullable=False),
    Column("request", JsonColumn, nullable=False),
    Column("answer", JsonColumn),
    Column("deadline_at", UtcDateTime, nullable=False),
)
"""Calls on their way: a row lives while its caller waits, and no longer."""

call_failure = Table(
    "sharing_call_failure",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("hour", UtcDateTime, nullable=False, index=True),
    Column("content", JsonColumn, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)
"""Failed calls of an hour that is not on record yet; `key` is a digest of `content`, which says what is counted."""

live_presence = Table(
    "sharing_live_presence",
    METADATA,
    Column("node_id", ID, primary_key=True),
    Column("polled_at", UtcDateTime, nullable=False),
    Column("node_key", String(64)),
)

service_case = Table(
    "sharing_service_case",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("item_id", ID, nullable=False),
    Column("code", ID, nullable=False),
    Column("department", DEPARTMENT, nullable=False, index=True),
    Column("case_number", String(200), nullable=False),
    Column("subject_index", String(64), nullable=False, index=True),
    Column("documents", Integer, nullable=False),
    Column("sheets", Integer, nullable=False),
    Column("trips", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("entry_id", ID, nullable=False),
    Column("content", JsonColumn, nullable=False),
    UniqueConstraint("item_id", "case_number"),
)
"""Cases of service items: what each spared people; the applicant as a keyed mark only, and none of the values."""

consent = Table(
    "sharing_consent",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("agreement_id", ID, nullable=False, index=True),
    Column("consumer", DEPARTMENT, nullable=False, index=True),
    Column("resource_id", ID, nullable=False),
    Column("service_item", String(200), nullable=False),
    Column("subject_index", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("valid_until", UtcDateTime, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("entry_id", ID, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
"""Consents; the person is a keyed mark. The index is what a call looks up."""
Index("ix_sharing_consent_subject", consent.c.subject_index, consent.c.consumer, consent.c.resource_id)

disclosure_hold = Table(
    "sharing_disclosure_hold",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("agreement_id", ID, nullable=False, index=True),
    Column("ordered_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("content", JsonColumn, nullable=False),
)
"""Orders by which uses under an agreement are told to the people concerned later."""

use_objection = Table(
    "sharing_use_objection",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("access_id", ID, nullable=False),
    Column("subject_index", String(64), nullable=False, index=True),
    Column("consumer", DEPARTMENT, nullable=False, index=True),
    Column("state", String(20), nullable=False),
    Column("entry_id", ID, nullable=False),
    Column("content", JsonColumn, nullable=False),
    UniqueConstraint("access_id", "subject_index"),
)
"""Objections of citizens to uses of their data."""

registration = Table(
    "sharing_registration",
    METADATA,
    Column("application_id", ID, ForeignKey("sharing_application.id"), primary_key=True),
    Column("department", DEPARTMENT, nullable=False, index=True),
    Column("state", String(20), nullable=False, index=True),
    Column("showcase", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("entry_id", ID, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
"""Applications that were registered for review."""

application_binding = Table(
    "sharing_application_binding",
    METADATA,
    Column("application_id", ID, ForeignKey("sharing_application.id"), primary_key=True),
    Column("agreement_id", ID, ForeignKey("sharing_agreement.id"), primary_key=True),
    Column("bound_at", UtcDateTime, nullable=False),
)

application_key = Table(
    "sharing_application_key",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("application_id", ID, ForeignKey("sharing_application.id"), nullable=False, index=True),
    Column("kind", String(10), nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("created_by", ID, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)

application_day = Table(
    "sharing_application_day",
    METADATA,
    Column("application_id", ID, primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("slow", Integer, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    Column("milliseconds_max", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)
"""How applications are doing, by day."""
matching = Table(
    "sharing_matching",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("proposer", DEPARTMENT, nullable=False, index=True),
    Column("other", DEPARTMENT, nullable=False, index=True),
    Column("pair", String(64), nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("valid_until", UtcDateTime, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
"""Private matchings; `pair` is the digest of the two columns, in either order, by which they are counted."""
