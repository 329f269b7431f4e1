"""The evidence: entries, proofs, witnesses and the exported log."""

import base64
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from datong.kernel import DepartmentCode, EntryId, NodeId, Page, Value
from datong.ledger import (
    SAMPLE_ENTRIES_MAX,
    SEED_CHARS_MAX,
    EntryKind,
    PeerNote,
    RecordedEntry,
    Sample,
    WitnessState,
    bears_cosignature,
)
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/ledger", tag="ledger")

NOTE_CHARS_MAX = 16_384
TAR = "application/x-tar"
READ_BYTES = 1024 * 1024
"""Bytes of the exported archive sent at once."""


Seed = Annotated[str, Query(min_length=1, max_length=SEED_CHARS_MAX, description="What the draw follows from.")]
Count = Annotated[int, Query(ge=1, le=SAMPLE_ENTRIES_MAX, description="Entries to draw.")]


class NewCosignature(Value):
    """What a witness's update returned: the checkpoint with its own cosignature, as text."""

    note: str = Field(max_length=NOTE_CHARS_MAX)


@router.get("/entries")
def list_entries(
    caller: Caller,
    hub: Hub,
    kind: EntryKind | None = None,
    subject: str | None = None,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[RecordedEntry]:
    """Return entries, newest first: all of them, or those of the caller's department."""
    scope = department_in_scope(hub, caller, Action.LEDGER_READ, department)
    return hub.ledger.entries(kind=kind, subject=subject, department=scope, offset=offset, limit=limit)


@router.get("/sample")
def draw_sample(caller: Caller, hub: Hub, seed: Seed, count: Count = 25, kind: EntryKind | None = None) -> Sample:
    """Return entries drawn from the published log; who has the exported log and the seed draws the same ones."""
    hub.policy.require(caller, Action.LEDGER_READ)
    return hub.ledger.sample(seed=seed, count=count, kind=kind)


@router.get("/entries/{entry_id}")
def read_entry(entry_id: EntryId, caller: Caller, hub: Hub) -> RecordedEntry:
    """Return one entry."""
    return readable_entry(hub, caller, entry_id)


@router.get("/entries/{entry_id}/proof")
def read_proof(entry_id: EntryId, caller: Caller, hub: Hub) -> dict[str, object]:
    """Return a bundle that proves the entry offline (`datong ledger verify`)."""
    readable_entry(hub, caller, entry_id)
    return hub.ledger.proof_bundle(entry_id)


@router.get("/witnesses")
def list_witnesses(caller: Caller, hub: Hub) -> tuple[WitnessState, ...]:
    """Return the witnesses and the newest checkpoint that each has cosigned."""
    hub.policy.require(caller, Action.DASHBOARD_READ)
    return tuple(hub.ledger.witnesses())


@router.get("/witnesses/notes")
def relay_notes(caller: Caller, hub: Hub) -> tuple[PeerNote, ...]:
    """Return what each enrolled node cosigned last, for the others to compare with what they were shown."""
    hub.policy.require(caller, Action.LEDGER_COSIGN)
    words = hub.ledger.last_words()
    nodes = hub.identity.nodes()
    keys = {
        key.key_id: key.public_key for code in {node.department for node in nodes} for key in hub.departments.keys(code)
    }
    return tuple(
        PeerNote(
            name=node.id,
            department=node.department,
            public_key=base64.b64encode(keys[node.key_id]).decode(),
            note=words.get(node.id),
        )
        for node in nodes
        if node.key_id in keys
    )


@router.post("/cosignatures", status_code=204)
def cosign(body: NewCosignature, caller: Caller, hub: Hub) -> None:
    """Add the calling node's cosignature to a checkpoint: a node is the witness of its own id, with its own key."""
    hub.policy.require(caller, Action.LEDGER_COSIGN)
    node = hub.identity.node(NodeId(caller.actor.id))
    note = body.note.encode()
    key = hub.departments.key(node.key_id)
    if not bears_cosignature(note, node.id, key.public_key):
        # A process that began before its key was replaced signs with the one before, until that is revoked.
        mine = (one for one in hub.departments.keys(node.department) if one.node_id == node.id and not one.revoked_at)
        key = next((one for one in mine if bears_cosignature(note, node.id, one.public_key)), key)
    hub.ledger.cosign(witness_name=node.id, witness_key=key.public_key, note=note)


@router.get("/export", response_class=StreamingResponse, responses=told_in(TAR))
def export(caller: Caller, hub: Hub) -> StreamingResponse:
    """Return the whole log (checkpoint, tiles, keys) as a tar."""
    hub.policy.require(caller, Action.LEDGER_EXPORT)
    return StreamingResponse(
        in_parts(archive(hub.ledger.export)),
        media_type=TAR,
        headers={"Content-Disposition": 'attachment; filename="datong-log.tar"'},
    )


def readable_entry(hub: Services, caller: Principal, entry_id: EntryId) -> RecordedEntry:
    """Return an entry that `caller` may read.

    Raises:
        NotFound: there is no such entry.
        Refused: it concerns other departments.
    """
    entry = hub.ledger.entry(entry_id)
    hub.policy.require(caller, Action.LEDGER_READ, entry_target(entry))
    return entry


def entry_target(entry: RecordedEntry) -> Target:
    """Return an entry as the policy sees it: it concerns the parties that it names, and its actor's department."""
    facts = entry.facts
    return Target(
        id=entry.entry_id,
        department=facts.get("department") or entry.actor.department,
        provider=facts.get("provider"),
        consumer=facts.get("consumer"),
    )


def archive(write: Callable[[Path], None]) -> IO[bytes]:
    """Return an open tar of what `write` puts into a folder; what fails, fails before the answer begins."""
    with ExitStack() as opened:
        packed = opened.enter_context(tempfile.TemporaryFile())
        with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=packed, mode="w") as tar:
            write(Path(folder))
            tar.add(folder, arcname="log")
        packed.seek(0)
        opened.pop_all()
        return packed


def in_parts(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of `file` and close it."""
    with file:
        while data := file.read(READ_BYTES):
            yield data
