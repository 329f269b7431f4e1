"""The secrets that a hub's first key stood for, and that outlive it: of the index of subjects, and of masks."""

from typing import Self

from datong.kernel import Misconfigured, Text, Value
from datong.ledger import Signer
from datong.sharing.mask_keys import mask_secret
from datong.sharing.subjects import subject_index_key

SECRET_BYTES = 32


class HubSecrets(Value):
    """Two secrets of 32 bytes. A hub whose key was never replaced derives them from it."""

    index: bytes
    mask: bytes

    @classmethod
    def derived(cls, signer: Signer) -> Self:
        """Return the secrets that a key stands for."""
        return cls(index=subject_index_key(signer), mask=mask_secret(signer))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            Misconfigured: it is something else.
        """
        if len(data) != 2 * SECRET_BYTES:
            raise Misconfigured(
                "sharing.hub_secrets_malformed",
                what=Text(
                    zh="hub.key 中密钥之后的内容不完整。", en="What stands behind the key in hub.key is damaged."
                ),
                remedy=Text(zh="请从备份恢复该文件。", en="Restore the file from a backup."),
            )
        return cls(index=data[:SECRET_BYTES], mask=data[SECRET_BYTES:])

    def encode(self) -> bytes:
        """Return both, one after the other."""
        return self.index + self.mask
