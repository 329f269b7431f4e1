"""What is signed when one signing key takes the place of another; nodes sign it too."""

from typing import NamedTuple

from datong.kernel import DepartmentCode, NodeId


class RotationProof(NamedTuple):
    """Signatures over `rotation_message`: by the key that goes, and by the one that comes."""

    by_old: bytes
    by_new: bytes


def rotation_message(department: DepartmentCode, node_id: NodeId, old_key_id: str, public_key: bytes) -> bytes:
    """Return what the old and the new key sign when the new one (raw, 32 bytes) takes the old one's place."""
    return f"datong.key/1\nrotate\n{department}\n{node_id}\n{old_key_id}\n{public_key.hex()}\n".encode()
