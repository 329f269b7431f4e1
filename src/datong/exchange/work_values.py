"""What a node has to do."""

from datetime import datetime

from datong.catalogue import RecipientKey
from datong.exchange.questions import Question
from datong.exchange.reconciliation_values import ReconcileEnd, RepairOrder, SignedEndDigest
from datong.exchange.replay_values import ReplayWork
from datong.exchange.run_span import RunSpan
from datong.exchange.table_values import Column, Cursor
from datong.exchange.values import Confirmed, Task, TransferMode
from datong.kernel import Value


class ProduceWork(Value):
    """A task whose run `run` the node shall produce, from `confirmed` on, no longer than `until` (its time window)."""

    task: Task
    run: int
    confirmed: Confirmed
    recipients: tuple[RecipientKey, ...] = ()
    """The keys to which a sealed task's payloads are encrypted."""
    until: datetime | None = None
    span: RunSpan | None = None
    repair: RepairOrder | None = None
    """The approved repair that waits for this node."""


class ConsumeWork(Value):
    """A task with batches that the node shall apply; `receipted` is the newest sequence with a receipt.

    `run` is the run of the first of these batches.
    """

    task: Task
    receipted: int
    newest: int
    run: int = 0
    first: int = 1
    """The batch with which this consumer's copy begins."""
    repair: RepairOrder | None = None
    """The approved repair that waits for this node."""


class ReconcileWork(Value):
    """A question that the node shall answer for its end; `columns` are those of the newest batch.

    `as_of` is the cursor up to which the consumer holds the task's increments; None compares everything.
    """

    task: Task
    reconciliation_id: str
    end: ReconcileEnd
    columns: tuple[Column, ...]
    question: Question = Question()
    salt: str = "0" * 32
    as_of: Cursor | None = None
    recipients: tuple[RecipientKey, ...] = ()
    """Of a sealed task whose secret is still to be drawn: the keys of both ends."""
    opening: SignedEndDigest | None = None
    """Of a sealed task: the producer's first answer, in which the secret is."""


class WatchWork(Value):
    """A task whose source the producing node watches; `mark` is what it looked like when it was last seen to change.

    `idle`: no run is under way, so a change asks for one.
    """

    task: Task
    mark: str | None = None
    idle: bool = True


class NodeWork(Value):
    """Everything a node has to do now; empty when there is nothing. What it watches meanwhile does not count."""

    produce: tuple[ProduceWork, ...] = ()
    consume: tuple[ConsumeWork, ...] = ()
    replay: tuple[ReplayWork, ...] = ()
    reconcile: tuple[ReconcileWork, ...] = ()
    watch: tuple[WatchWork, ...] = ()

    @property
    def is_pressing(self) -> bool:
        """Whether something waits to be done, beside the capture of changes, which never ends."""
        return bool(self.consume or self.replay or self.reconcile) or any(
            one.task.mode is not TransferMode.CAPTURE for one in self.produce
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.produce or self.consume or self.replay or self.reconcile)
