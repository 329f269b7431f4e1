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
    RepairOrder,
    Sealing,
    SignedEndDigest,
    Task,
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
        self.sealing: Sealing | None = None
        self.sealed_as_of: bytes | None = None
        self.as_of: Cursor | None = None
        if work.opening is None:
            self._key = ContentKey.generate(_context(work.task, work.reconciliation_id))
            self.sealing = self._key.sealing(work.recipients)
            if work.as_of is not None:
                self.as_of = keyring.opened_cursor(work.task.id, work.as_of)
                self.sealed_as_of = self._key.seal_note(self.as_of.model_dump_json().encode())
            return
        self._key = opened(client, keyring, work.task, work.reconciliation_id, work.opening)
        sealed_as_of = work.opening.end_digest.sealed_as_of
        if sealed_as_of is not None:
            self.as_of = Cursor.model_validate_json(self._key.open_note(sealed_as_of))

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


def opened(
    client: HubClient, keyring: Keyring, task: Task, reconciliation_id: str, opening: SignedEndDigest
) -> ContentKey:
    """Return the secret that the provider drew for a reconciliation and signed with its first answer.

    Raises:
        Corrupt: `node.opening_not_signed`. What a `Keyring` raises.
    """
    told = opening.end_digest
    keys = client.department_keys(task.provider)
    own = (told.reconciliation_id, told.end) == (reconciliation_id, ReconcileEnd.PRODUCER)
    if told.sealing is None or not own or opening.key_id not in keys:
        raise _not_signed()
    verify(opening.key_id, keys[opening.key_id], told.signing_bytes(), opening.signature)
    return keyring.key_of(told.sealing, _context(task, reconciliation_id))


def opened_order(client: HubClient, keyring: Keyring | None, task: Task, order: RepairOrder) -> RepairOrder:
    """Return the order of a repair with the salt of its places, which of a sealed task only the two nodes know.

    Raises:
        Corrupt: `node.opening_not_signed`. What a `Keyring` raises.
    """
    if not task.sealed:
        return order
    if keyring is None or order.opening is None:
        raise _not_signed()
    secret = opened(client, keyring, task, order.reconciliation_id, order.opening)
    return order.model_copy(update={"salt": secret.places_salt})


def _context(task: Task, reconciliation_id: str) -> bytes:
    facts = {"reconciliation": reconciliation_id, "task": task.id, "provider": task.provider}
    return sealing_context("reconciliation", dict(facts))


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
