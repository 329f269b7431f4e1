"""Repairs of what a reconciliation found: approved by a person, done by one run of the task, closed by its receipt."""

from collections.abc import Callable

from sqlalchemy import Connection

from datong.exchange import reconciliation_store as rows
from datong.exchange import store
from datong.exchange.facts import repair_facts, task_facts
from datong.exchange.questions import DifferenceKind, Findings, Repair, RepairKind
from datong.exchange.reconciliation_values import NO_SALT, Reconciliation, ReconciliationState, RepairOrder
from datong.exchange.refusals import check_approval, repair_not_approved
from datong.exchange.repairs import plan
from datong.exchange.values import Manifest, Task
from datong.kernel import PLATFORM_ACTOR, Actor, Clock, Database, TaskId
from datong.ledger import EntryKind, Ledger


class RepairRuns:
    """The approved repairs, which become runs of their tasks."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, request_run: Callable[[TaskId, Actor], int]
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._request_run = request_run

    def approve(self, task_id: TaskId, reconciliation_id: str, *, actor: Actor) -> Reconciliation:
        """Have the differences of the task's newest reconciliation repaired by one more run of the task.

        Raises:
            NotFound: there is no such reconciliation. Refused: `exchange.repair_impossible`.
            Conflict: `exchange.repair_not_wanted`, or `exchange.repair_waits` while a run is under way.
        """
        now = self._clock.now()
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task = store.task_of(row)
            found = rows.reconciliation_of(rows.row_of(connection, task_id, reconciliation_id))
            check_approval(
                found,
                rows.newest(connection, task_id),
                task,
                receipted=row["receipted_sequence"],
                batches=row["batches"],
            )
            repair = (found.repair or plan(task, found.findings or Findings())).model_copy(
                update={"approved_by": actor.id, "approved_at": now}
            )
            found = found.model_copy(update={"state": ReconciliationState.REPAIRING, "repair": repair})
            facts = task_facts(task, "approve_repair") | repair_facts(found)
            self._ledger.append(connection, kind=EntryKind.TASK, subject=task_id, actor=actor, facts=facts)
            rows.set_repair(connection, found)
        self.keep_up(task_id)
        return found

    def check(self, manifest: Manifest) -> None:
        """Check that a batch that repairs does so for an approved repair, in the run that was requested for it.

        Raises:
            Refused: `exchange.repair_not_approved`.
        """
        if manifest.repair is None:
            return
        with self._database.snapshot() as connection:
            newest = rows.newest(connection, manifest.task_id)
        repair = None if newest is None or newest.id != manifest.repair else newest.repair
        repairing = newest is not None and newest.state is ReconciliationState.REPAIRING
        if repair is None or not repairing or repair.run != manifest.run or repair.kind is not RepairKind.ROWS:
            raise repair_not_approved()

    @staticmethod
    def orders(connection: Connection) -> dict[TaskId, tuple[int, RepairOrder]]:
        """Return the orders of all repairs of rows that are under way, with the run that carries each out, by task."""
        result = {}
        for found in rows.in_state(connection, ReconciliationState.REPAIRING.value):
            search, repair = rows.search_of(connection, found.id), found.repair
            if search is None or found.findings is None or repair is None or repair.run is None:
                continue
            if repair.kind is not RepairKind.ROWS:
                continue
            extra = {one.place for one in found.findings.differences if one.kind is DifferenceKind.EXTRA}
            order = RepairOrder(
                reconciliation_id=found.id,
                salt=search.salt or NO_SALT,
                opening=search.opening,
                send=tuple(one.place for one in found.findings.differences if one.place not in extra),
                delete=tuple(sorted(extra)),
            )
            result[found.task_id] = (repair.run, order)
        return result

    def keep_up(self, task_id: TaskId | None = None) -> bool:
        """Request the runs of approved repairs, and close those whose run is applied; return whether any was."""
        done = False
        with self._database.snapshot() as connection:
            open_repairs = self._open(connection, task_id)
        for task, found, applied in open_repairs:
            repair = found.repair or Repair(kind=RepairKind.NONE)
            if repair.run is None:
                run = self._request_run(task.id, PLATFORM_ACTOR)
                changed = found.model_copy(update={"repair": repair.model_copy(update={"run": run})})
                with self._database.transaction() as connection:
                    rows.set_repair(connection, changed)
                done = True
            elif applied and task.run_done >= repair.run:
                self._close(task, found, repair)
                done = True
        return done

    def _close(self, task: Task, found: Reconciliation, repair: Repair) -> None:
        """Record that a repair is applied, and forget its salt; the task is then due to be reconciled again."""
        done = repair.model_copy(update={"done_at": self._clock.now()})
        closed = found.model_copy(update={"state": ReconciliationState.REPAIRED, "repair": done})
        with self._database.transaction() as connection:
            store.task_row(connection, task.id, lock=True)
            present = rows.reconciliation_of(rows.row_of(connection, task.id, found.id))
            if present.state is not ReconciliationState.REPAIRING:
                return
            facts = task_facts(task, "repaired") | repair_facts(closed)
            self._ledger.append(connection, kind=EntryKind.TASK, subject=task.id, actor=PLATFORM_ACTOR, facts=facts)
            rows.set_repair(connection, closed)
            rows.forget_salt(connection, found.id)

    @staticmethod
    def _open(connection: Connection, task_id: TaskId | None) -> tuple[tuple[Task, Reconciliation, bool], ...]:
        """Return the open repairs with their tasks, and whether all that was sent so far is applied."""
        result = []
        for found in rows.in_state(connection, ReconciliationState.REPAIRING.value, task_id):
            own = store.task_row(connection, found.task_id)
            result.append((store.task_of(own), found, own["receipted_sequence"] >= own["batches"]))
        return tuple(result)
