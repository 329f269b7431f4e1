"""A world whose source is captured by node processes that may be told to die."""

from collections.abc import Callable

from datong.exchange import Task
from datong.node import Step
from tests.capture_node import capture
from tests.exchange_world import ExchangeWorld
from tests.processes import exit_code

SNAPSHOT_STEPS = [
    Step.SLOT_MADE,
    Step.PAYLOAD_WRITTEN,
    Step.BATCH_SPOOLED,
    Step.UPLOAD_OPENED,
    Step.CHUNK_SENT,
    Step.BATCH_COMMITTED,
    Step.BATCH_UNSPOOLED,
    Step.RUN_FINISHED,
]
CHANGE_STEPS = [
    Step.PAYLOAD_WRITTEN,
    Step.BATCH_SPOOLED,
    Step.UPLOAD_OPENED,
    Step.CHUNK_SENT,
    Step.BATCH_COMMITTED,
    Step.BATCH_UNSPOOLED,
    Step.SLOT_ADVANCED,
    Step.PLACE_WRITTEN,
]
NEVER = 2**128


class CaptureScene:
    """A task of a world, and the processes that capture it."""

    def __init__(self, world: ExchangeWorld, task: Task, number_of: Callable[[str], int]) -> None:
        self.world = world
        self.task = task
        self._number_of = number_of

    def capture(self, until: int, *fault: Step | int) -> int | None:
        """Capture up to the position numbered `until`, or until the process dies; return its exit code."""
        return exit_code(capture, self.world.folder / "police", self._number_of, until, *fault)

    def check(self) -> None:
        """Check that both ends are equal and that the chain has neither gap nor fork."""
        self.world.consume()
        assert self.world.equal(self.task)
        records = self.world.hub.exchange.batches(self.task.id)
        assert [record.manifest.sequence for record in records] == list(range(1, len(records) + 1))
