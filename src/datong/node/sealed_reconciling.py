"""Reconciling a sealed task: both nodes digest under a secret that the hub only carries.

The producer draws the secret, seals it by HPKE for both nodes' recipient keys and signs it with its first answer. From
it come the salt of places, and a keyed digest (HMAC) in the place of each range's sum. Equal ranges still have equal
digests, so the hub can steer the search; but who lacks the secret can try no value against any of them.
"""

from datong.exchange import (
    Answer,
    ContentDigest,
    ContentKey,
    Cursor,
    ReconcileEnd,
    ReconcileWork,
    Sealing,
    sealing_context,
    verify,
)
from datong.kernel import Corrupt, Text
from datong.node.hub_client import HubClient
from datong.node.keyring import Keyring


class SealedComparison:
    """The secret of one reconciliation, as this node holds it."""

    def __init__(self, client: HubClient, keyring: Keyring, work: ReconcileWork) -> None:
        """Draw the secret, or open the one that was drawn.

        Raises:
            Corrupt: `node.opening_not_signed`. What a `ContentKey` and a `Keyring` raise.
        """
        facts = {"reconciliation": work.reconciliation_id, "task": work.task.id, "provider": work.task.provider}
        context = sealing_context("reconciliation", dict(facts))
        self.sealing: Sealing | None = None
        self.sealed_as_of: bytes | None = None
        self.as_of: Cursor | None = None
        if work.opening is None:
            self._key = ContentKey.generate(context)
            self.sealing = self._key.sealing(work.recipients)
            if work.as_of is not None:
                self.as_of = keyring.opened_cursor(work.task.id, work.as_of)
                self.sealed_as_of = self._key.seal_note(self.as_of.model_dump_json().encode())
            return
        opening = work.opening.end_digest
        keys = client.department_keys(work.task.provider)
        own = (opening.reconciliation_id, opening.end) == (work.reconciliation_id, ReconcileEnd.PRODUCER)
        if opening.sealing is None or not own or work.opening.key_id not in keys:
            raise _not_signed()
        verify(work.opening.key_id, keys[work.opening.key_id], opening.signing_bytes(), work.opening.signature)
        self._key = keyring.key_of(opening.sealing, context)
        if opening.sealed_as_of is not None:
            self.as_of = Cursor.model_validate_json(self._key.open_note(opening.sealed_as_of))

    @property
    def salt(self) -> str:
        """The salt of places."""
        return self._key.places_salt

    def keyed(self, answer: Answer) -> Answer:
        """Return an answer whose sums only the two ends could have made; rows are listed by salted digests already."""
        ranges = tuple(
            one.model_copy(update={"sum": self._key.commitment(ContentDigest(rows=one.rows, sum=one.sum))})
            for one in answer.ranges
        )
        return answer.model_copy(update={"ranges": ranges})


def _not_signed() -> Corrupt:
    return Corrupt(
        "node.opening_not_signed",
        what=Text(
            zh="对账密钥没有提供方的签名，可能是他人代拟；未给出任何摘要。",
            en="The reconciliation's secret is not signed by the provider, and may be another's; nothing was told.",
        ),
        remedy=Text(
            zh="请重新对账；再次出现请核查证据。", en="Reconcile again; if it comes back, look at the evidence."
        ),
    )
