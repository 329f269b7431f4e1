"""Signing and verifying what nodes state: manifests, receipts, end digests."""

import base64
import binascii

from datong.exchange.dead_letters import RejectReport, SignedRejectReport
from datong.exchange.file_values import FileManifest, FileReceipt, SignedFile, SignedFileReceipt
from datong.exchange.reconciliation_values import EndDigest, SignedEndDigest
from datong.exchange.replay_values import ReplayReport, SignedReplayReport
from datong.exchange.schema_changes import SchemaReport, SignedSchemaReport
from datong.exchange.values import Manifest, Receipt, SignedManifest, SignedReceipt
from datong.kernel import Corrupt, Text
from datong.ledger import Signer, verify_signature


def signed_manifest(manifest: Manifest, signer: Signer) -> SignedManifest:
    """Return `manifest` signed by `signer`."""
    return SignedManifest(
        manifest=manifest, key_id=signer.key_id, signature=_encode(signer.sign(manifest.signing_bytes()))
    )


def signed_receipt(receipt: Receipt, signer: Signer) -> SignedReceipt:
    """Return `receipt` signed by `signer`."""
    return SignedReceipt(receipt=receipt, key_id=signer.key_id, signature=_encode(signer.sign(receipt.signing_bytes())))


def signed_end_digest(end_digest: EndDigest, signer: Signer) -> SignedEndDigest:
    """Return `end_digest` signed by `signer`."""
    signature = _encode(signer.sign(end_digest.signing_bytes()))
    return SignedEndDigest(end_digest=end_digest, key_id=signer.key_id, signature=signature)


def signed_file(manifest: FileManifest, signer: Signer) -> SignedFile:
    """Return the manifest of a file signed by `signer`."""
    return SignedFile(manifest=manifest, key_id=signer.key_id, signature=_encode(signer.sign(manifest.signing_bytes())))


def signed_file_receipt(receipt: FileReceipt, signer: Signer) -> SignedFileReceipt:
    """Return the receipt of a file signed by `signer`."""
    return SignedFileReceipt(
        receipt=receipt, key_id=signer.key_id, signature=_encode(signer.sign(receipt.signing_bytes()))
    )


def signed_reject_report(report: RejectReport, signer: Signer) -> SignedRejectReport:
    """Return `report` signed by `signer`."""
    signature = _encode(signer.sign(report.signing_bytes()))
    return SignedRejectReport(report=report, key_id=signer.key_id, signature=signature)


def signed_replay_report(report: ReplayReport, signer: Signer) -> SignedReplayReport:
    """Return `report` signed by `signer`."""
    signature = _encode(signer.sign(report.signing_bytes()))
    return SignedReplayReport(report=report, key_id=signer.key_id, signature=signature)


def signed_schema_report(report: SchemaReport, signer: Signer) -> SignedSchemaReport:
    """Return `report` signed by `signer`."""
    signature = _encode(signer.sign(report.signing_bytes()))
    return SignedSchemaReport(report=report, key_id=signer.key_id, signature=signature)


def verify(key_id: str, public_key: bytes, message: bytes, signature: str) -> None:
    """Check that `signature` (base64) is that of `public_key` over `message`.

    Raises:
        Corrupt: `exchange.bad_signature`.
    """
    try:
        raw = base64.b64decode(signature, validate=True)
        verify_signature(public_key, message, raw)
    except (binascii.Error, ValueError, Corrupt) as error:
        raise Corrupt(
            "exchange.bad_signature",
            what=Text(zh=f"密钥 {key_id} 的签名不正确。", en=f"The signature of key {key_id} is wrong."),
            remedy=Text(
                zh="请用登记的密钥重新签名；内容可能被篡改。",
                en="Sign again with the registered key; the content may have been tampered with.",
            ),
            context={"key_id": key_id},
        ) from error


def _encode(signature: bytes) -> str:
    return base64.b64encode(signature).decode()
