"""Live calls and answers, sealed for the process that shall read them, so that no database ever holds one in the clear.

Both ends make an X25519 key in memory when they begin: the node's process one for as long as it runs, the asking hub
process one for each call. A call goes by HPKE (RFC 9180) to the node's key, its answer to the call's; both keys end
with their process. What a write-ahead log or a backup keeps of a call's row can then be opened by nobody.
"""

from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from pydantic import ValidationError

from datong.kernel import Corrupt, Text
from datong.sharing.live_values import LiveCall, SealedLiveAnswer, SealedLiveCall, SignedLiveAnswer

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_Sealed = TypeVar("_Sealed", LiveCall, SignedLiveAnswer)
ADDED = ("mask_keys", "purpose", "case_number")
"""Fields of a call that earlier versions do not know."""
_CALL = b"datong live call 1:"
_ANSWER = b"datong live answer 1:"


class LiveKey:
    """A key of this process, never written down."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    @property
    def public_key(self) -> bytes:
        """What others seal to."""
        return self._private.public_key().public_bytes_raw()

    def open_call(self, sealed: SealedLiveCall) -> LiveCall:
        """Return the call.

        Raises:
            Corrupt: `sharing.live_unsealable`: it was sealed for another process, or changed on its way.
        """
        return self._opened(sealed.sealed, _CALL + sealed.id.encode(), LiveCall)

    def open_answer(self, sealed: SealedLiveAnswer) -> SignedLiveAnswer:
        """Return the answer.

        Raises:
            Corrupt: `sharing.live_unsealable`: it was sealed for another process, or changed on its way.
        """
        return self._opened(sealed.sealed, _ANSWER + sealed.call_id.encode(), SignedLiveAnswer)

    def _opened(self, sealed: bytes, info: bytes, kind: type[_Sealed]) -> _Sealed:
        try:
            return kind.model_validate_json(_SUITE.decrypt(sealed, self._private, info))
        except (InvalidTag, ValidationError, ValueError) as error:
            raise Corrupt(
                "sharing.live_unsealable",
                what=Text(
                    zh="该实时调用是为另一进程加密的，或在途中被改动。",
                    en="The live call was sealed for another process, or changed on its way.",
                ),
                remedy=Text(zh="请重新调用。", en="Call again."),
            ) from error


def sealed_call(call: LiveCall, node_key: bytes) -> SealedLiveCall:
    """Return a call that only the node's process can read."""
    # Nodes of earlier versions refuse what they do not know.
    told = call.model_dump_json(exclude={name for name in ADDED if not getattr(call, name)})
    sealed = _SUITE.encrypt(told.encode(), X25519PublicKey.from_public_bytes(node_key), _CALL + call.id.encode())
    return SealedLiveCall(id=call.id, node_key=node_key.hex(), sealed=sealed)


def sealed_answer(signed: SignedLiveAnswer, call: LiveCall) -> SealedLiveAnswer:
    """Return an answer that only the process that asked can read."""
    sealed = _SUITE.encrypt(
        signed.model_dump_json().encode(),
        X25519PublicKey.from_public_bytes(call.answer_key),
        _ANSWER + call.id.encode(),
    )
    return SealedLiveAnswer(call_id=call.id, sealed=sealed)
