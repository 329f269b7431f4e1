"""The tables of ratings in the control database."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from datong.kernel import METADATA, JsonColumn, UtcDateTime

RATING = Table(
    "governance_rating",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("agreement_id", String(64), nullable=False),
    Column("period", String(10), nullable=False),
    Column("provider", String(18), nullable=False),
    Column("consumer", String(18), nullable=False),
    Column("resource_id", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("scores", JsonColumn, nullable=False),
    Column("reasons", JsonColumn, nullable=False),
    Column("answer", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("rated_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    Index("ix_governance_rating_agreement", "agreement_id", "period"),
    Index("ix_governance_rating_provider", "provider", "rated_at"),
    Index("ix_governance_rating_consumer", "consumer", "rated_at"),
)

RATING_ACT = Table(
    "governance_rating_act",
    METADATA,
    Column("rating_id", String(36), ForeignKey("governance_rating.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("action", String(20), nullable=False),
    Column("state_after", String(20), nullable=False),
    Column("actor", JsonColumn, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("scores", JsonColumn, nullable=False),
    Column("statement", Text, nullable=False),
    Column("entry_id", String(36), nullable=False),
)
