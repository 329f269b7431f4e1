"""The points between two durable steps of a node's work, so that a test can stop the process at each of them."""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """A point that the node has just passed."""

    SCHEMA_REPORTED = "schema reported"
    ROWS_GATHERED = "rows gathered"
    STATE_WRITTEN = "state written"
    PAYLOAD_WRITTEN = "payload written"
    BATCH_SPOOLED = "batch spooled"
    UPLOAD_OPENED = "upload opened"
    CHUNK_SENT = "chunk sent"
    BATCH_COMMITTED = "batch committed"
    SLOT_MADE = "slot made"
    SLOT_ADVANCED = "slot advanced"
    PLACE_WRITTEN = "place written"
    BATCH_UNSPOOLED = "batch unspooled"
    RUN_FINISHED = "run finished"
    PAYLOAD_FETCHED = "payload fetched"
    BATCH_APPLIED = "batch applied"
    RECEIPT_SENT = "receipt sent"
    CURSOR_REWOUND = "cursor rewound"
    LETTERS_RESOLVED = "letters resolved"
    KEY_MADE = "key made"
    KEY_REGISTERED = "key registered"
    KEY_REPLACED = "key replaced"


Passed = Callable[[Step], None]
"""Called at every step with its name."""


def unobserved(step: Step) -> None:
    """Watch nothing: what a node does outside tests."""
