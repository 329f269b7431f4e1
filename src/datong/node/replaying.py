"""Replays at this node's end: taken from the hub with other work, or ordered here; told under the node's signature."""

from collections.abc import Callable
from contextlib import suppress

from datong.exchange import (
    Failure,
    Replay,
    ReplayDraft,
    ReplayReport,
    ReplayWork,
    TransferEnd,
    signed_replay_report,
)
from datong.kernel import Clock, Conflict, DatongError, DepartmentCode, NodeId, Refused, TaskId, Text
from datong.ledger import Signer
from datong.node.consumer import Consumer
from datong.node.hub_answers import HUB_UNAVAILABLE
from datong.node.hub_client import HubClient
from datong.node.trouble import trouble_of

BUSY_SECONDS_MAX = 600.0
LOOK_SECONDS = 0.5


class Replaying:
    """Carries replays out, and says so."""

    def __init__(
        self,
        *,
        client: HubClient,
        consumer: Consumer,
        signer: Signer,
        clock: Clock,
        department: DepartmentCode,
        node_id: NodeId,
        sleep: Callable[[float], None],
    ) -> None:
        self._client = client
        self._consumer = consumer
        self._signer = signer
        self._clock = clock
        self._department = department
        self._node_id = node_id
        self._sleep = sleep

    def attend(self, work: ReplayWork) -> int | None:
        """Carry a replay out and report it; return how many batches it applied, None while another process is at it.

        Raises:
            DatongError: it could not; the hub was told.
        """
        try:
            told = self._consumer.replay(work)
        except DatongError as error:
            trouble = trouble_of(error)
            if trouble.code != HUB_UNAVAILABLE:
                failure = Failure(
                    end=TransferEnd.CONSUMER,
                    code=trouble.code[:100],
                    what=trouble.what,
                    remedy=trouble.remedy,
                    transient=trouble.transient,
                )
                with suppress(DatongError):
                    self._client.report_replay_failure(work.replay, failure.cut())
            raise
        if told is None:
            return None
        report = ReplayReport(
            replay_id=work.replay.id,
            task_id=work.task.id,
            department=self._department,
            from_sequence=work.replay.from_sequence,
            to_sequence=told.to_sequence,
            batches=max(told.to_sequence - work.replay.from_sequence + 1, 0),
            table_digest=told.table_digest,
            at=self._clock.now(),
        )
        self._client.report_replay(signed_replay_report(report, self._signer))
        return report.batches

    def order(self, task_id: TaskId, from_sequence: int) -> int:
        """Order a replay here and carry it out, or see how a node that runs beside this process does.

        Raises:
            DatongError: the hub does not allow it, or it failed. Conflict: `node.replay_busy`.
        """
        draft = ReplayDraft(from_sequence=from_sequence, consumer=self._department)
        replay = self._client.order_replay(task_id, draft)
        if replay.consumer_node != self._node_id:
            raise _elsewhere(replay)
        waited = 0.0
        while waited < BUSY_SECONDS_MAX:
            work = next((one for one in self._client.work(0).replay if one.replay.id == replay.id), None)
            if work is None:
                return self._outcome(replay)
            done = self.attend(work)
            if done is not None:
                return done
            self._sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
        raise Conflict(
            "node.replay_busy",
            what=Text(
                zh="节点正在应用该任务的批次；重放已登记，节点随后执行。",
                en="The node is applying batches of the task; the replay is ordered, and the node does it afterwards.",
            ),
            remedy=Text(zh="请在任务页查看结果。", en="See the task's page for how it ends."),
        )

    def _outcome(self, replay: Replay) -> int:
        """Return what the node that runs beside this process did of a replay, or raise what it met."""
        found = next((one for one in self._client.replays(replay.task_id) if one.id == replay.id), replay)
        if found.signed is None:
            met = found.failure
            raise Conflict(
                "node.replay_ended",
                what=met.what if met else Text(zh="重放已取消。", en="The replay was cancelled."),
                remedy=met.remedy
                if met
                else Text(zh="如仍需要，请重新登记。", en="Order it again if it is still wanted."),
            )
        return found.signed.report.batches


def _elsewhere(replay: Replay) -> Refused:
    return Refused(
        "node.not_the_consumer",
        what=Text(
            zh=f"本节点不是该任务的接收节点；重放已登记，由节点 {replay.consumer_node} 执行。",
            en=f"This node does not receive the task; the replay is ordered, and node {replay.consumer_node} does it.",
        ),
        remedy=Text(zh="请在任务页查看结果。", en="See the task's page for how it ends."),
    )
