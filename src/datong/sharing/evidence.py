"""What the sharing system writes into the ledger: facts and digests, never free text and never personal values."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from datong.kernel import JsonValue, canonical_json, sha256_hex
from datong.kernel.limits import GATEWAY_ITEMS_MAX
from datong.sharing.terms import Agreement, Request


def instant(at: datetime) -> str:
    """Return a time in UTC as the ledger writes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def subject_fact(position: int) -> str:
    """Return the name of the fact that holds the commitment to the citizen at `position` of an access."""
    return f"subject_{position:04d}"


def item_facts(columns: Iterable[str]) -> Mapping[str, JsonValue]:
    """Return items by name, or by number and digest when there are many, so that a leaf stays under its limit."""
    listed = sorted(columns)
    if len(listed) <= GATEWAY_ITEMS_MAX:
        return {"items": listed}
    return {"items_count": len(listed), "items_sha256": sha256_hex(canonical_json(listed))}


def text_digest(text: str) -> str | None:
    """Return the SHA-256 of a free text, which may hold anything and therefore stays out of the log; None if empty."""
    return sha256_hex(text.encode()) if text else None


def request_facts(request: Request, step: str) -> Mapping[str, JsonValue]:
    """Return the facts of one step of a request."""
    return {
        "request_id": request.id,
        "bundle_id": request.bundle_id,
        "step": step,
        "state": request.state.value,
        "consumer": request.consumer,
        "provider": request.provider,
        "resource_id": request.resource_id,
        "resource_version": request.resource_version,
        "title": request.resource_title.model_dump(),
        "share_type": request.share_type.value,
        "service_item": request.purpose.service_item,
        "submitted_at": instant(request.submitted_at),
        "due_at": instant(request.due_at),
        "extension": request.extension.value,
        "agreement_id": request.agreement_id,
        "reason_sha256": text_digest(request.reason or request.extension_reason),
        **item_facts(request.columns),
    }


def agreement_facts(agreement: Agreement, step: str) -> Mapping[str, JsonValue]:
    """Return the facts of one step of an agreement; the terms themselves appear as the digest that is signed."""
    return {
        "agreement_id": agreement.id,
        "request_id": agreement.request_id,
        "step": step,
        "state": agreement.state.value,
        "consumer": agreement.consumer,
        "provider": agreement.provider,
        "resource_id": agreement.resource_id,
        "resource_version": agreement.resource_version,
        "terms_sha256": agreement.terms_digest,
        "valid_from": instant(agreement.valid_from),
        "valid_until": instant(agreement.valid_until),
        "provide_due_at": instant(agreement.provide_due_at),
        "modes": sorted(mode.value for mode in agreement.purpose.modes),
        "levels": agreement.levels.model_dump(),
        "liability": agreement.liability.model_dump(),
        "reason_sha256": text_digest(agreement.state_reason),
        **({"cause": agreement.cause.value} if agreement.cause else {}),
        **(
            {"disposed_at": instant(agreement.disposed_at), "disposal_sha256": text_digest(agreement.disposal)}
            if agreement.disposed_at
            else {}
        ),
        "confirmed_by": sorted(done.department for done in agreement.confirmations),
        "signed_by": sorted(done.key_id for done in agreement.signatures),
    }
