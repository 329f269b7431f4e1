"""The transparency log for people: its head, its witnesses, its entries, and the proof of each."""

import base64
import json
from collections.abc import Mapping

from fastapi.responses import Response

from datong.kernel import Conflict, DatongError, DepartmentCode, EntryId, Text, Value
from datong.ledger import EntryKind
from datong.sharing import Action
from datong.web.api.ledger import read_proof, readable_entry
from datong.web.api.scope import department_in_scope
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.console.facts import fact_rows
from datong.web.routing import unlisted_routes

router = unlisted_routes()


class LogHead(Value):
    """The newest signed checkpoint, in its parts and as the note that verifiers read."""

    origin: str
    size: int
    root: str
    signatures: tuple[str, ...]
    note: str


def read_head(note: bytes) -> LogHead:
    """Return the parts of a checkpoint (C2SP tlog-checkpoint): origin, size, root, blank line, signatures."""
    text = note.decode()
    body, _, signed = text.partition("\n\n")
    origin, size, root = body.split("\n")[:3]
    names = tuple(line.split(" ")[1] for line in signed.splitlines() if line.startswith("— "))
    return LogHead(origin=origin, size=int(size), root=base64.b64decode(root).hex(), signatures=names, note=text)


def readable_department(desk: Desk) -> DepartmentCode | None:
    """Return the department to which the caller's view of the log is narrowed; None: all of it."""
    return department_in_scope(desk.services, desk.caller, Action.LEDGER_READ)


@router.get("/evidence")
def list_entries(desk: SignedIn, offset: Offset, kind: str = "", subject: str = "") -> Response:
    """List the entries that the caller may read, newest first."""
    if view := desk.opening_view():
        return desk.go(view)
    chosen = EntryKind(kind) if kind in set(EntryKind) else None
    ledger = desk.services.ledger
    page = ledger.entries(
        kind=chosen,
        subject=subject.strip() or None,
        department=readable_department(desk),
        offset=offset,
        limit=PAGE_ROWS,
    )
    try:
        head = read_head(ledger.checkpoint())
    except DatongError:
        head = None
    return desk.page(
        "evidence/list.html",
        page=page,
        head=head,
        quorum=desk.services.quorum.state(),
        witness_names=_witness_names(desk),
        offset=offset,
        step=PAGE_ROWS,
        kind=kind,
        subject=subject,
        may_export=desk.may(Action.LEDGER_EXPORT),
    )


def _witness_names(desk: Desk) -> dict[str, str]:
    """Return what to call each witness; a witness signs under the id of its node."""
    return {
        node.id: f"{desk.department_name(node.department)} · {node.name}" for node in desk.services.identity.nodes()
    }


@router.get("/evidence/{entry_id}")
def show_entry(desk: SignedIn, entry_id: EntryId) -> Response:
    """Show one entry with its proof of inclusion."""
    entry = readable_entry(desk.services, desk.caller, entry_id)
    proof: Mapping[str, object] | None = None
    waiting: Text | None = None
    try:
        proof = desk.services.ledger.proof_bundle(entry_id)
    except Conflict as error:
        waiting = error.what
    return desk.page(
        "evidence/entry.html",
        entry=entry,
        facts=fact_rows(desk, entry.facts),
        proof=proof,
        waiting=waiting,
        proof_hashes=() if proof is None else proof_hashes(proof),
    )


def proof_hashes(bundle: Mapping[str, object]) -> tuple[str, ...]:
    """Return the sibling hashes of a proof bundle, from the leaf to the root, as hexadecimal digits."""
    hashes = bundle.get("proof")
    if not isinstance(hashes, list):
        return ()
    return tuple(base64.b64decode(str(hash_)).hex() for hash_ in hashes)


@router.get("/evidence/{entry_id}/proof")
def download_proof(desk: SignedIn, entry_id: EntryId) -> Response:
    """Return the proof bundle as a file for `datong ledger verify`."""
    return json_file(read_proof(entry_id, desk.caller, desk.services), f"datong-proof-{entry_id}.json")


def json_file(document: Mapping[str, object], name: str) -> Response:
    """Return a JSON document that the browser saves as `name`."""
    return Response(
        json.dumps(document, ensure_ascii=False, indent=2),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
