"""What a recipient key is worth: the signature by which a node's registered key vouches for it. Nodes check it too."""

from datong.catalogue.values import RecipientKey
from datong.kernel import Corrupt, Text
from datong.ledger import key_id_of, verify_signature


def check_recipient_key(key: RecipientKey) -> None:
    """Check that the node's signing key vouches for `key`, and that its name is its own.

    Raises:
        Corrupt: `catalogue.recipient_key_forged`.
    """
    message = recipient_key_message(key.department, key.node_id, key.public_key)
    try:
        verify_signature(key.signing_key, message, key.signature)
    except Corrupt as error:
        raise forged(key.key_id) from error
    if key.key_id != key_id_of(key.public_key):
        raise forged(key.key_id)


def recipient_key_message(department: str, node_id: str, public_key: bytes) -> bytes:
    """Return what a node signs to vouch for its recipient key."""
    return "\x1f".join(("datong recipient key 1", department, node_id)).encode() + b"\x1f" + public_key


def forged(key_id: str) -> Corrupt:
    """Return the error of a key that nobody vouches for."""
    return Corrupt(
        "catalogue.recipient_key_forged",
        what=Text(
            zh=f"收件密钥 {key_id} 没有该前置机签名密钥的有效签名。",
            en=f"No valid signature of the node's signing key vouches for the recipient key {key_id}.",
        ),
        remedy=Text(
            zh="请勿向它加密；请核查部门密钥的存证。",
            en="Seal nothing to it, and look at the evidence of the department's keys.",
        ),
    )
