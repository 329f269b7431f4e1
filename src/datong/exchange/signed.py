"""What a department states under its signature; each kind of statement adds the field that was signed."""

import base64
from datetime import UTC, datetime

from datong.kernel import Value


class Signed(Value):
    """A statement with the signature (base64) of the key `key_id` of the department that makes it."""

    key_id: str
    signature: str

    def signature_bytes(self) -> bytes:
        """Return the raw signature.

        Raises:
            ValueError: it is not base64.
        """
        return base64.b64decode(self.signature, validate=True)


def utc_text(moment: datetime) -> str:
    """Return `moment` as ISO 8601 in UTC with microseconds and a Z, the form that is signed."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
