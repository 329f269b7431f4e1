"""Tables of the federation: sources, what of them is kept here, runs and their notes."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from datong.kernel import METADATA, JsonColumn, UtcDateTime

source = Table(
    "federation_source",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("settings", JsonColumn, nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("next_due_at", UtcDateTime, index=True),
    Column("position", JsonColumn, nullable=False),
    Column("last_full_at", UtcDateTime),
)

entry = Table(
    "federation_entry",
    METADATA,
    Column("source_id", String(64), primary_key=True),
    Column("remote_id", String(200), primary_key=True),
    Column("remote_name", String(200), nullable=False),
    Column("resource_id", String(64), nullable=False, unique=True),
    Column("department", String(18), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("present", Boolean, nullable=False),
    Column("seen_run", String(64)),
    Index("ix_federation_entry_source_present", "source_id", "present"),
)
"""What of a source (or of another hub) is kept here: the resource it became, and the digest of what it said last."""

run = Table(
    "federation_run",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("source_id", String(64), ForeignKey("federation_source.id"), nullable=False),
    Column("mode", String(20), nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("requested_by", String(200), nullable=False),
    Column("accept_removals", Boolean, nullable=False),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("expected", Integer),
    *(
        Column(name, Integer, nullable=False, default=0)
        for name in ("seen", "added", "changed", "unchanged", "removed", "rejected", "adjusted", "held")
    ),
    Column("failure_code", String(100), nullable=False, default=""),
    Column("failure", JsonColumn),
    Column("holder", String(64), nullable=False, default=""),
    Column("held_until", UtcDateTime),
    Index("ix_federation_run_source_queued", "source_id", "queued_at"),
)

note = Table(
    "federation_note",
    METADATA,
    Column("serial", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("run_id", String(64), ForeignKey("federation_run.id"), nullable=False),
    Column("remote_id", String(200), nullable=False),
    Column("title", String(200), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("reason_zh", Text, nullable=False),
    Column("reason_en", Text, nullable=False),
    Column("resource_id", String(64)),
    Index("ix_federation_note_run_outcome", "run_id", "outcome"),
)

peer = Table(
    "federation_peer",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("side", String(20), nullable=False),
    Column("settings", JsonColumn, nullable=False),
    Column("state", String(20), nullable=False),
    Column("address", String(2000), nullable=False),
    Column("hub", String(200), nullable=False),
    Column("node_id", String(64), nullable=False, index=True),
    Column("token_digest", String(64), nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_serial", BigInteger, nullable=False),
    Column("acknowledged_serial", BigInteger, nullable=False),
    Column("received_serial", BigInteger, nullable=False),
    Column("looked_at", UtcDateTime),
    Column("exchanged_at", UtcDateTime),
    Column("in_step", Boolean),
    Column("failure", JsonColumn),
)
"""Another hub, higher or lower, and how far each direction has come."""

outgoing = Table(
    "federation_outgoing",
    METADATA,
    Column("peer_id", String(64), ForeignKey("federation_peer.id"), primary_key=True),
    Column("resource_id", String(64), primary_key=True),
    Column("serial", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Index("ix_federation_outgoing_peer_serial", "peer_id", "serial"),
)
"""What a peer is shown of each resource: the number of its last change, and the digest of what it says."""

incoming = Table(
    "federation_incoming",
    METADATA,
    Column("peer_id", String(64), ForeignKey("federation_peer.id"), primary_key=True),
    Column("remote_id", String(64), primary_key=True),
    Column("root", String(64), nullable=False, index=True),
    Column("resource_id", String(64)),
    Column("digest", String(64), nullable=False),
    Column("standing", String(20), nullable=False),
)
"""What came from a peer: shown, shadowed by the same entry that came another way, our own come back, or withdrawn."""
