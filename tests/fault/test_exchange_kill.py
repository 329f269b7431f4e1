"""Exactly once under kill -9: the node dies at each step of a transfer, the hub dies midway, all starts again."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx
import pytest

from datong.adapters.connections import open_connector, open_target
from datong.exchange import Reconciliation, ReconciliationState, RunAgain, Task, TransferMode
from datong.kernel import PLATFORM_ACTOR
from datong.node import Step
from tests.exchange_hub import TestHub, serve, task_draft
from tests.exchange_node import correct_letters, replay_batches, work_off
from tests.free_ports import free_port
from tests.processes import PROCESSES, exit_code

ROWS = 1000
BATCH_ROWS = 150
PARTIES = ("police", "education")


class World:
    """A hub process and two node folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.hub = TestHub(folder / "hub")
        self.process: ForkServerProcess | None = None
        for party in PARTIES:
            self.add(party)

    def add(self, party: str) -> None:
        """Give a department a node; all but the police's may receive."""
        source = f"sqlite:///{self.database(party)}"
        self.hub.enrol(self.folder / party, party, self.port, source, writable=party != "police")

    def database(self, party: str) -> Path:
        return self.folder / party / "data.sqlite"

    def start_hub(self) -> None:
        self.process = PROCESSES.Process(target=serve, args=(self.folder / "hub", self.port))
        self.process.start()
        for _ in range(1200):
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/", timeout=60, trust_env=False)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the hub did not start")

    def stop_hub(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process.close()
            self.process = None

    def node(self, party: str, *fault: Step | int) -> int | None:
        """Run a node until it is idle, or until it kills itself, and return its exit code."""
        return exit_code(work_off, self.folder / party, *fault)

    def correct(self, party: str, fatal: Step | None = None) -> int | None:
        """Correct every dead letter of a node in a process of its own, and return its exit code."""
        return exit_code(correct_letters, self.folder / party, fatal)

    def fill(self, first: int, end: int, changed: str) -> None:
        with closing(sqlite3.connect(self.database("police"))) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS people "
                "(id INTEGER PRIMARY KEY, name TEXT, income DECIMAL(12,2), changed TEXT)"
            )
            connection.executemany(
                "INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?)",
                [(n, f"人{n}", f"{n}.25", f"{changed} {n % 24:02d}:00:00") for n in range(first, end)],
            )

    def task(self, mode: TransferMode, **changes: object) -> Task:
        names = ("id", "name", "income", "changed")
        wanted = {
            "key_columns": ("id",),
            "cursor_column": "changed",
            "target_table": "received",
            "mode": mode,
            "batch_rows": BATCH_ROWS,
        }
        draft = task_draft("people", names, **wanted | changes)
        task = self.hub.exchange.create_task(draft, actor=PLATFORM_ACTOR)
        return self.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)

    def check_equal(self, task: Task, rows: int) -> None:
        batches = self.hub.exchange.batches(task.id)
        assert [record.manifest.sequence for record in batches] == list(range(1, len(batches) + 1))
        columns = batches[0].manifest.columns
        source = open_connector(f"sqlite:///{self.database('police')}").digest("people", columns)
        target = open_target(f"sqlite:///{self.database('education')}").digest("received", columns)
        assert source == target
        assert target.rows == rows
        progress = self.hub.exchange.progress(task.id)
        assert progress.receipted_batches == len(batches)
        assert progress.rows == progress.rows_applied
        assert not list((self.folder / "police" / "spool").iterdir())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.start_hub()
    yield world
    world.stop_hub()


CONSUMING = {Step.PAYLOAD_FETCHED, Step.BATCH_APPLIED, Step.RECEIPT_SENT}
COMPARING = {Step.ROWS_GATHERED, Step.STATE_WRITTEN}
CAPTURING = {Step.SLOT_MADE, Step.SLOT_ADVANCED, Step.PLACE_WRITTEN}
CHANGING_KEYS = {Step.KEY_MADE, Step.KEY_REGISTERED, Step.KEY_REPLACED}
ELSEWHERE = CAPTURING | CHANGING_KEYS | {Step.LETTERS_RESOLVED, Step.CURSOR_REWOUND}
TRANSFERRING = [step for step in Step if step not in ELSEWHERE]
PRODUCING = [step for step in TRANSFERRING if step not in CONSUMING]


@pytest.mark.parametrize("step", [Step.CURSOR_REWOUND, Step.BATCH_APPLIED])
def test_a_replay_that_is_killed_is_caught_up_with_by_the_next_batch(world: World, step: Step) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert (world.node("police"), world.node("education")) == (0, 0)
    with closing(sqlite3.connect(world.database("education"))) as connection, connection:
        connection.execute("UPDATE received SET name = 'wrong'")
    assert exit_code(replay_batches, world.folder / "education", task.id, step) == -signal.SIGKILL
    world.fill(ROWS, ROWS + 10, "2026-02-01")
    world.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert (world.node("police"), world.node("education")) == (0, 0)
    with closing(sqlite3.connect(world.database("education"))) as connection:
        rows = connection.execute("SELECT id, name FROM received ORDER BY id").fetchall()
    assert rows == [(n, f"人{n}") for n in range(ROWS + 10)]


@pytest.mark.parametrize("step", [step for step in TRANSFERRING if step not in COMPARING])
def test_a_node_killed_at_any_step_loses_and_doubles_nothing(world: World, step: Step) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    party = "police" if step in PRODUCING else "education"
    if party == "education":
        assert world.node("police") == 0
    number = 1 if step in {Step.RUN_FINISHED, Step.SCHEMA_REPORTED} else 3
    assert world.node(party, step, number) == -signal.SIGKILL
    assert world.node("police") == 0
    assert world.node("education") == 0
    world.check_equal(task, ROWS)


@pytest.mark.parametrize("step", TRANSFERRING)
@pytest.mark.parametrize("run", [1, 2] if "DATONG_FAULT_ROUNDS" in os.environ else [2])
def test_a_difference_survives_a_kill_at_any_step_of_either_run(world: World, step: Step, run: int) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.DIFF)
    if run == 2:
        assert (world.node("police"), world.node("education")) == (0, 0)
        world.fill(100, 600, "2026-02-01")
        world.fill(ROWS, ROWS + 50, "2026-02-01")
        with closing(sqlite3.connect(world.database("police"))) as connection, connection:
            connection.execute("DELETE FROM people WHERE id < 50")
        world.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    party = "education" if step in CONSUMING else "police"
    if party == "education":
        assert world.node("police") == 0
    number = 1 if step in COMPARING | {Step.RUN_FINISHED, Step.SCHEMA_REPORTED} else 3
    assert world.node(party, step, number) == -signal.SIGKILL
    assert (world.node("police"), world.node("education")) == (0, 0)
    world.check_equal(task, ROWS)
    modes = [record.manifest.mode for record in world.hub.exchange.batches(task.id)]
    assert modes.count(TransferMode.SNAPSHOT) == 7
    assert len(modes) == (7 if run == 1 else 7 + 1 + 4)


def test_a_node_killed_after_the_last_commit_leaves_nothing_in_its_spool(world: World) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    last = -(-ROWS // BATCH_ROWS)
    assert world.node("police", Step.BATCH_COMMITTED, last) == -signal.SIGKILL
    assert world.node("police") == 0
    assert world.node("education") == 0
    world.check_equal(task, ROWS)


def test_increment_after_kills_moves_only_the_changes(world: World) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert world.node("police", Step.CHUNK_SENT, 2) == -signal.SIGKILL
    assert world.node("police") == 0
    assert world.node("education", Step.BATCH_APPLIED, 2) == -signal.SIGKILL
    assert world.node("education") == 0
    before = world.hub.exchange.progress(task.id)
    world.fill(ROWS - 10, ROWS + 30, "2026-02-01")
    world.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert world.node("police", Step.BATCH_COMMITTED, 1) == -signal.SIGKILL
    assert world.node("police") == 0
    assert world.node("education") == 0
    assert world.hub.exchange.progress(task.id).rows - before.rows == 40
    world.check_equal(task, ROWS + 30)


def test_a_backfill_killed_midway_restores_what_the_target_lost_and_the_chain_goes_on(world: World) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert world.node("police") == 0
    assert world.node("education") == 0
    with closing(sqlite3.connect(world.database("education"))) as connection, connection:
        connection.execute("DELETE FROM received WHERE id % 3 = 0")
    world.hub.exchange.runs.again(task.id, RunAgain(from_sequence=1, until_sequence=7), actor=PLATFORM_ACTOR)
    assert world.node("police", Step.BATCH_COMMITTED, 2) == -signal.SIGKILL
    assert world.node("police") == 0
    assert world.node("education", Step.BATCH_APPLIED, 2) == -signal.SIGKILL
    assert world.node("education") == 0
    world.check_equal(task, ROWS)
    world.fill(ROWS, ROWS + 20, "2026-02-01")
    before = world.hub.exchange.progress(task.id).rows
    world.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert world.node("police") == 0
    assert world.node("education") == 0
    assert world.hub.exchange.progress(task.id).rows - before == 20
    world.check_equal(task, ROWS + 20)


def test_snapshot_replaces_what_was_deleted_at_the_source(world: World) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.SNAPSHOT)
    assert world.node("police", Step.BATCH_SPOOLED, 4) == -signal.SIGKILL
    assert world.node("police") == 0
    assert world.node("education") == 0
    with closing(sqlite3.connect(world.database("police"))) as connection, connection:
        connection.execute("DELETE FROM people WHERE id < 500")
    world.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert world.node("police") == 0
    assert world.node("education", Step.BATCH_APPLIED, 2) == -signal.SIGKILL
    assert world.node("education") == 0
    world.check_equal(task, 500)


def test_a_killed_hub_goes_on_where_it_was(world: World) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert world.node("police", Step.UPLOAD_OPENED, 3) == -signal.SIGKILL
    world.stop_hub()
    world.start_hub()
    assert world.node("police") == 0
    world.stop_hub()
    world.start_hub()
    assert world.node("education") == 0
    world.check_equal(task, ROWS)
    world.hub.exchange.reconciliations.request(task.id, actor=PLATFORM_ACTOR)
    assert world.node("police") == 0
    assert world.node("education") == 0
    reconciliation = world.hub.exchange.reconciliations.newest(task.id)
    assert reconciliation is not None
    assert reconciliation.state is ReconciliationState.EQUAL


def test_letters_corrected_before_a_kill_are_applied_once_and_reported_afterwards(world: World) -> None:
    with closing(sqlite3.connect(world.database("education"))) as connection, connection:
        connection.execute(
            "CREATE TABLE received (id INTEGER UNIQUE, name TEXT CHECK (length(name) < 4), "
            "income TEXT_DECIMAL(12,2), changed TEXT)"
        )
    world.fill(95, 105, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert (world.node("police"), world.node("education")) == (0, 0)
    assert world.hub.exchange.progress(task.id).rows_rejected == 5
    assert world.correct("education", Step.LETTERS_RESOLVED) == -signal.SIGKILL
    assert world.hub.exchange.progress(task.id).rows_rejected == 5
    assert world.correct("education") == 0
    with closing(sqlite3.connect(world.database("education"))) as connection:
        rows = connection.execute("SELECT id, name FROM received ORDER BY id").fetchall()
    assert rows == [(n, f"人{n}" if n < 100 else "改") for n in range(95, 105)]
    world.hub.exchange.reconciliations.request(task.id, actor=PLATFORM_ACTOR)
    assert (world.node("police"), world.node("education")) == (0, 0)
    progress = world.hub.exchange.progress(task.id)
    assert (progress.rows, progress.rows_applied, progress.rows_rejected) == (10, 10, 0)
    record = world.hub.exchange.rejects.newest(task.id)
    assert record is not None
    assert (record.counts.open, record.counts.corrected) == ({}, 5)


REPAIRING = (
    Step.PAYLOAD_WRITTEN, Step.BATCH_SPOOLED, Step.UPLOAD_OPENED, Step.BATCH_COMMITTED, Step.BATCH_UNSPOOLED,
    Step.RUN_FINISHED, Step.PAYLOAD_FETCHED, Step.BATCH_APPLIED, Step.RECEIPT_SENT,
)  # fmt: skip


@pytest.mark.parametrize("step", REPAIRING)
def test_a_repair_is_done_once_whatever_is_killed(world: World, step: Step) -> None:
    world.fill(0, ROWS, "2026-01-01")
    task = world.task(TransferMode.INCREMENT)
    assert world.node("police") == world.node("education") == 0
    with closing(sqlite3.connect(world.database("education"))) as connection, connection:
        connection.execute("DELETE FROM received WHERE id < 7")
        connection.execute("INSERT INTO received VALUES (99999, 'x', '1.25', '2026-01-01 00:00:00')")
    found = reconciled(world, task)
    assert found.state is ReconciliationState.DIFFERENT
    reconciliations = world.hub.exchange.reconciliations
    world.hub.exchange.repairs.approve(task.id, found.id, actor=PLATFORM_ACTOR)
    batches = world.hub.exchange.progress(task.id).batches
    party = "police" if step in PRODUCING else "education"
    if party == "education":
        assert world.node("police") == 0
    assert world.node(party, step, 1) == -signal.SIGKILL
    world.stop_hub()
    world.start_hub()
    assert world.node("police") == world.node("education") == 0
    assert reconciliations.keep_up()
    assert world.hub.exchange.progress(task.id).batches == batches + 1
    world.check_equal(task, ROWS)


def reconciled(world: World, task: Task) -> Reconciliation:
    """Reconcile a task to its end; the nodes take turns, one question at a time."""
    world.hub.exchange.reconciliations.request(task.id, actor=PLATFORM_ACTOR)
    for _ in range(10):
        assert world.node("police") == world.node("education") == 0
        found = world.hub.exchange.reconciliations.newest(task.id)
        assert found is not None
        if found.finished_at is not None:
            return found
    raise AssertionError("the search does not end")
