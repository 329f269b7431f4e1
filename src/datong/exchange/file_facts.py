"""What the ledger says about files in exchange: digests, sizes and parties; never a name, which may be somebody's."""

from datong.exchange.file_values import SignedFile
from datong.kernel import JsonValue


def file_facts(signed: SignedFile, action: str) -> dict[str, JsonValue]:
    """Return the facts of a step of a file; what it was sent with stands at `send` only."""
    manifest = signed.manifest
    facts: dict[str, JsonValue] = {
        "action": action,
        "file": manifest.file_id,
        "agreement": manifest.agreement_id,
        "provider": manifest.sender,
        "consumer": manifest.recipient,
        "manifest_digest": manifest.digest,
        "payload_digest": manifest.payload_digest,
        "payload_bytes": manifest.payload_bytes,
    }
    if action == "send":
        facts |= {"sm3": manifest.sm3, "key_id": signed.key_id, "signature": signed.signature}
        if manifest.sealing is not None:
            facts["sealed_to"] = list(manifest.sealing.key_ids)
    return facts
