"""The tables of governance in the control database."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from datong.kernel import METADATA, JsonColumn, UtcDateTime

FINDING = Table(
    "governance_finding",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("provider", String(18), nullable=False),
    Column("consumer", String(18)),
    Column("authority", String(18)),
    Column("delay_working_days", Integer, nullable=False),
    Column("points", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("entry_id", String(36), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("revised_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("document", JsonColumn, nullable=False),
    Index("ix_governance_finding_opened", "opened_at", "id"),
    Index("ix_governance_finding_provider", "provider", "opened_at"),
)

OPEN_DUTY = Table(
    "governance_open_duty",
    METADATA,
    Column("kind", String(20), primary_key=True),
    Column("subject", String(200), primary_key=True),
    Column("due_at", UtcDateTime, nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("document", JsonColumn, nullable=False),
)
"""What is not done and not yet due; derived by the monitor from the evidence."""

CASE = Table(
    "governance_case",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("finding_id", String(36), ForeignKey("governance_finding.id"), unique=True),
    Column("origin", String(20)),
    Column("origin_id", String(200)),
    Column("stage", String(20), nullable=False),
    Column("provider", String(18), nullable=False),
    Column("consumer", String(18)),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("stage_due_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Column("outcome", String(4000)),
    Column("ruling", String(20)),
    Index("ix_governance_case_stage", "stage", "opened_at"),
)
"""Cases; without an origin they are about their finding."""

CASE_ACT = Table(
    "governance_case_act",
    METADATA,
    Column("case_id", String(36), ForeignKey("governance_case.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("action", String(20), nullable=False),
    Column("stage_before", String(20)),
    Column("stage_after", String(20), nullable=False),
    Column("actor", JsonColumn, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("statement", String(4000), nullable=False),
    Column("entry_id", String(36), nullable=False),
    Column("evidence", JsonColumn),
    Column("recheck", JsonColumn),
)

PUBLICATION = Table(
    "governance_publication",
    METADATA,
    Column("period", String(10), primary_key=True),
    Column("published_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
    Column("document", JsonColumn, nullable=False),
)
"""Periods whose indicators were published: what was said then stays, whatever is found later."""

TALLY = Table(
    "governance_tally",
    METADATA,
    Column("day", String(10), primary_key=True),
    Column("series", String(300), primary_key=True),
    Column("content", JsonColumn, nullable=False),
    Index("ix_governance_tally_series", "series", "day"),
)
"""What each day's evidence adds up to by series; the row with an empty series says that the day is done."""

ALARM = Table(
    "governance_alarm",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("series", String(300), nullable=False),
    Column("day", String(10), nullable=False),
    Column("provider", String(18)),
    Column("consumer", String(18)),
    Column("state", String(20), nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", JsonColumn),
    Column("reason", String(4000)),
    Column("entry_id", String(36), nullable=False),
    Column("document", JsonColumn, nullable=False),
    Index("ix_governance_alarm_day", "day", "id"),
    Index("ix_governance_alarm_state", "state", "day"),
)
"""Alarms and what became of them."""

FLOW = Table(
    "governance_flow",
    METADATA,
    Column("request_id", String(64), primary_key=True),
    Column("agreement_id", String(64), index=True),
    Column("consumer", String(18), nullable=False),
    Column("provider", String(18), nullable=False),
    Column("resource_id", String(64), nullable=False),
    Column("submitted_at", UtcDateTime, nullable=False, index=True),
    Column("last_step", String(20), nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("total_seconds", BigInteger, nullable=False),
    Column("variant", String(1500), nullable=False),
)
"""Requests by the steps they took so far; derived from the ledger, times in working seconds."""

FLOW_ACT = Table(
    "governance_flow_act",
    METADATA,
    Column("request_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("step", String(20), nullable=False),
    Column("before", String(20)),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("party", String(20), nullable=False),
    Column("waited_seconds", BigInteger, nullable=False),
    Column("entry_id", String(36), nullable=False),
    Index("ix_governance_flow_act_edge", "before", "step"),
)
"""Each step of each request and the step before it."""

FLOW_MARK = Table(
    "governance_flow_mark",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("until", UtcDateTime, nullable=False),
)
"""Up to when the ledger was looked through for steps of requests: one row."""
