"""A reconciliation from PostgreSQL to MariaDB and SQLite, through a hub process and real nodes."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import uvicorn

from datong.adapters.connections import open_connector
from datong.adapters.file_keys import load_or_create_signer
from datong.exchange import (
    Answer,
    ColumnMap,
    DifferenceKind,
    Question,
    RangeReader,
    ReadQuery,
    ReconcileEnd,
    ReconcileWork,
    Reconciliation,
    ReconciliationState,
    RepairKind,
    Task,
    TransferMode,
    content_digest,
    data_columns,
    range_query,
    signed_end_digest,
)
from datong.kernel import PLATFORM_ACTOR, Conflict, Corrupt, NodeId, canonical_json
from datong.ledger import verify_signature
from datong.node import NodeHome
from datong.node.keyring import Keyring
from datong.node.sealed_reconciling import SealedComparison
from datong.node.steps import unobserved
from tests.exchange_hub import TestHub, app_of, task_draft
from tests.exchange_node import program_of
from tests.free_ports import free_port
from tests.integration.exchange.test_fidelity import run_mariadb, run_postgresql
from tests.servers import MariadbServer, PostgresqlServer

ROWS = 3000
PEOPLE = "id, name, amount, ratio, born, changed"


class Ends:
    """A hub in a thread, a police node over PostgreSQL, an education node over MariaDB."""

    def __init__(self, folder: Path, source: str, target: str) -> None:
        self.folder, self.source, self.target = folder, source, target
        self.hub = TestHub(folder / "hub")
        self.port = free_port()
        for party, url in (("police", source), ("education", target)):
            self.hub.enrol(folder / party, party, self.port, url, writable=party == "education")

    def work(self, *parties: str) -> None:
        """Let nodes work, in turn, until nothing waits for any of them."""
        with ExitStack() as stack:
            loops = []
            for party in parties or ("police", "education"):
                program = program_of(self.folder / party, unobserved)
                client = program.client()
                stack.callback(client.close)
                loops.append((client, program.loop(client, lambda text: print(text.en))))
            for _ in range(60):
                busy = [(client, loop) for client, loop in loops if not client.work(0).is_empty]
                if not busy:
                    return
                for _, loop in busy:
                    loop.round(0)
        raise AssertionError("there is always more to do")

    def sealed_task(self, mode: TransferMode) -> Task:
        """Create a sealed task, once both nodes have a recipient key, and have it moved once."""
        for party in ("police", "education"):
            program = program_of(self.folder / party, unobserved)
            client = program.client()
            program.loop(client, lambda text: print(text.en)).round(0)
            client.close()
        return self.task(mode, sealed=True)

    def opened(self, found: Reconciliation, task: Task) -> SealedComparison:
        """Return what the education's node compares under, once more."""
        work = ReconcileWork(
            task=task, reconciliation_id=found.id, end=ReconcileEnd.CONSUMER, columns=(), opening=found.producer
        )
        return self.comparison(work)

    def comparison(self, work: ReconcileWork) -> SealedComparison:
        """Return what the education's node makes of a question about a sealed task."""
        home, node = NodeHome(self.folder / "education"), NodeId("node-education")
        signer = load_or_create_signer(home.key_path)
        keyring = Keyring(folder=home.directory, signer=signer, node_id=node, department=work.task.consumer)
        client = program_of(home.directory, unobserved).client()
        try:
            return SealedComparison(client, keyring, work)
        finally:
            client.close()

    def task(self, mode: TransferMode, **changes: object) -> Task:
        """Create a task and have it moved once."""
        names = PEOPLE.split(", ")
        wanted = {
            "key_columns": ("id",),
            "cursor_column": "changed" if mode is TransferMode.INCREMENT else None,
            "target_table": "received",
            "mode": mode,
        }
        draft = task_draft("people", names, **wanted | changes)
        task = self.hub.exchange.create_task(draft, actor=PLATFORM_ACTOR)
        self.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
        self.work()
        return task

    def reconcile(self, task: Task) -> Reconciliation:
        """Reconcile a task to its end."""
        self.hub.exchange.reconciliations.request(task.id, actor=PLATFORM_ACTOR)
        self.work()
        found = self.hub.exchange.reconciliations.newest(task.id)
        assert found is not None
        assert found.finished_at is not None
        return found


@pytest.fixture
def ends(tmp_path: Path, postgresql_server: PostgresqlServer, mariadb_server: MariadbServer) -> Iterator[Ends]:
    source, target = postgresql_server.create_database(), mariadb_server.create_database()
    run_postgresql(
        source,
        "CREATE TABLE people (id text PRIMARY KEY, name text, amount numeric(12,2), ratio float8, born date, "
        "changed timestamp NOT NULL)",
        f"INSERT INTO people SELECT md5(n::text), CASE WHEN n % 7 > 0 THEN '人😀' || n END, n / 4.0, n / 100.0, "
        f"DATE '1950-01-01' + n, TIMESTAMP '2026-01-01' + n * interval '1 s' FROM generate_series(1, {ROWS}) AS g(n)",
    )
    world = Ends(tmp_path, source, target)
    config = uvicorn.Config(app_of(world.hub), host="127.0.0.1", port=world.port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield world
    server.should_exit = True
    thread.join(20)
    postgresql_server.drop_database(source)
    mariadb_server.drop_database(target)


def counts(found: Reconciliation) -> dict[DifferenceKind, int]:
    assert found.findings is not None
    return {kind: found.findings.count(kind) for kind in DifferenceKind}


def test_equal_ends_are_found_equal_in_one_round(ends: Ends) -> None:
    task = ends.task(TransferMode.INCREMENT)
    found = ends.reconcile(task)
    assert (found.state, found.round) == (ReconciliationState.EQUAL, 1)
    assert found.producer is not None
    assert found.producer.end_digest.digest.rows == ROWS
    assert found.findings is not None
    assert sum(one.consumer_rows for one in found.findings.ranges) == ROWS


def test_a_sealed_task_is_compared_without_a_digest_that_the_hub_could_try(ends: Ends) -> None:
    task = ends.sealed_task(TransferMode.INCREMENT)
    run_mariadb(
        ends.target,
        "DELETE FROM received ORDER BY id LIMIT 3",
        "UPDATE received SET name = '改' WHERE id LIKE 'ff%' ORDER BY id LIMIT 2",
        "INSERT INTO received VALUES ('nobody-here', NULL, 1, 2, '2000-01-01', '2026-01-01')",
    )
    run_postgresql(ends.source, "INSERT INTO people VALUES ('later', 'x', 1, 1, '2000-01-01', '2027-01-01')")
    found = ends.reconcile(task)
    assert found.state is ReconciliationState.DIFFERENT
    assert counts(found) == {DifferenceKind.MISSING: 3, DifferenceKind.CHANGED: 2, DifferenceKind.EXTRA: 1}
    assert found.findings is not None
    assert found.findings.producer_newer == 1
    assert found.repair is not None
    assert (found.repair.kind, found.repair.send, found.repair.delete) == (RepairKind.ROWS, 5, 1)
    # What both ends would tell of an open task is nowhere among what the hub was told.
    report = ends.hub.exchange.reconciliations.document(task.id, found.id).model_dump_json()
    columns = data_columns(ends.hub.exchange.batches(task.id)[-1].manifest.columns)
    source = open_connector(ends.source)
    rows = source.read(ReadQuery(table="people", columns=tuple(column.name for column in columns)))
    kept = pa.Table.from_batches(rows).filter(pc.field("id") != "later").to_batches()
    opened = ends.opened(found, task)
    plain = RangeReader(range_query(task, columns, Question(), opened.salt, None, ReconcileEnd.PRODUCER)).ranges(kept)
    assert {one.prefix for one in plain} <= {one.prefix for one in found.findings.ranges}
    assert opened.keyed(Answer(ranges=plain[:1])).ranges[0].sum in report
    assert not any(one.sum in report for one in plain)
    assert content_digest(kept, columns).sum not in report
    assert opened.salt not in report
    assert "2026-01-01" not in report
    # Row by row it is repaired all the same: both nodes take the salt from the secret, and the hub never has it.
    ends.hub.exchange.repairs.approve(task.id, found.id, actor=PLATFORM_ACTOR)
    (ordered,) = ends.hub.exchange.work_for(NodeId("node-police")).produce
    assert ordered.repair is not None
    assert opened.salt not in ordered.model_dump_json()
    ends.work()
    assert ends.hub.exchange.reconciliations.keep_up()
    ends.work()
    assert [one.state for one in ends.hub.exchange.reconciliations.history(task.id, 2)] == [
        ReconciliationState.EQUAL,
        ReconciliationState.REPAIRED,
    ]
    batch = ends.hub.exchange.batches(task.id)[-1].manifest
    assert (batch.repair, batch.rows, batch.sealing is None) == (found.id, 5, False)


def test_a_secret_that_the_provider_did_not_sign_gets_no_answer(ends: Ends) -> None:
    task = ends.sealed_task(TransferMode.SNAPSHOT)
    ends.hub.exchange.reconciliations.request(task.id, actor=PLATFORM_ACTOR)
    ends.work("police")
    (work,) = ends.hub.exchange.work_for(NodeId("node-education")).reconcile
    assert work.opening is not None
    assert ends.comparison(work).salt != "0" * 32
    forged = work.opening.end_digest.model_copy(update={"rejected": 9})
    opening = work.opening.model_copy(update={"end_digest": forged})
    with pytest.raises(Corrupt, match="bad_signature"):
        ends.comparison(work.model_copy(update={"opening": opening}))
    stranger = load_or_create_signer(NodeHome(ends.folder / "education").key_path)
    opening = signed_end_digest(work.opening.end_digest, stranger)
    with pytest.raises(Corrupt, match="opening_not_signed"):
        ends.comparison(work.model_copy(update={"opening": opening}))


def test_every_kind_of_difference_is_found_down_to_its_row(ends: Ends) -> None:
    task = ends.task(TransferMode.SNAPSHOT)
    run_mariadb(
        ends.target,
        "DELETE FROM received ORDER BY id LIMIT 3",
        "UPDATE received SET name = '改' WHERE id LIKE 'ff%' ORDER BY id LIMIT 2",
        "INSERT INTO received VALUES ('nobody-here', NULL, 1, 2, '2000-01-01', '2026-01-01')",
    )
    found = ends.reconcile(task)
    assert found.state is ReconciliationState.DIFFERENT
    assert counts(found) == {DifferenceKind.MISSING: 3, DifferenceKind.CHANGED: 2, DifferenceKind.EXTRA: 1}
    assert found.findings is not None
    assert found.findings.unresolved_ranges == 0
    document = ends.hub.exchange.reconciliations.document(task.id, found.id)
    signature = bytes.fromhex(document.signature)
    verify_signature(ends.hub.signer.public_key, canonical_json(document.report), signature)
    assert "nobody-here" not in str(document)
    assert "改" not in str(document)


def test_rows_beyond_the_confirmed_cursor_are_no_differences(ends: Ends) -> None:
    task = ends.task(TransferMode.INCREMENT)
    run_postgresql(
        ends.source,
        "INSERT INTO people VALUES ('new', '新', 1, 1, '2000-01-01', '2026-02-01')",
        "UPDATE people SET name = '后来', changed = '2026-02-02' WHERE id = md5('17')",
    )
    run_mariadb(ends.target, "DELETE FROM received WHERE id = MD5('18')")
    found = ends.reconcile(task)
    assert counts(found)[DifferenceKind.MISSING] == 1
    assert found.findings is not None
    assert len(found.findings.differences) == 1
    assert found.findings.producer_newer == 2
    # What only waits for its transfer shows when its range is searched, or not at all; never as a difference.
    assert found.findings.pending <= 2


def test_changed_names_and_histories_are_compared_as_the_source_has_them(ends: Ends) -> None:
    renamed = tuple(
        ColumnMap(column=name, item=name, target={"id": "no", "name": "姓名"}.get(name, name))
        for name in PEOPLE.split(", ")
    )
    task = ends.task(TransferMode.INCREMENT, columns=renamed)
    assert ends.reconcile(task).state is ReconciliationState.EQUAL
    run_mariadb(ends.target, "UPDATE received SET `姓名` = '' WHERE no = MD5('3')")
    assert counts(ends.reconcile(task))[DifferenceKind.CHANGED] == 1


def repair(ends: Ends, task: Task, found: Reconciliation) -> Reconciliation:
    """Approve a repair, let it be carried out, and return the reconciliation that follows it."""
    reconciliations = ends.hub.exchange.reconciliations
    ends.hub.exchange.repairs.approve(task.id, found.id, actor=PLATFORM_ACTOR)
    ends.work()
    assert reconciliations.keep_up()
    ends.work()
    newest, repaired = reconciliations.history(task.id, 2)
    assert repaired.id == found.id
    assert repaired.state is ReconciliationState.REPAIRED
    return newest


def test_a_repair_sends_and_deletes_exactly_the_named_rows(ends: Ends) -> None:
    task = ends.task(TransferMode.INCREMENT)
    run_mariadb(
        ends.target,
        "DELETE FROM received ORDER BY id LIMIT 3",
        "UPDATE received SET name = '改' WHERE id LIKE 'ff%' ORDER BY id LIMIT 2",
        "INSERT INTO received VALUES ('nobody-here', NULL, 1, 2, '2000-01-01', '2026-01-01')",
    )
    found = ends.reconcile(task)
    assert found.repair is not None
    assert (found.repair.kind, found.repair.send, found.repair.delete) == (RepairKind.ROWS, 5, 1)
    before = ends.hub.exchange.progress(task.id)
    assert repair(ends, task, found).state is ReconciliationState.EQUAL
    after = ends.hub.exchange.progress(task.id)
    assert (after.batches - before.batches, after.rows - before.rows) == (1, 5)
    batch = ends.hub.exchange.batches(task.id)[-1].manifest
    assert (batch.repair, batch.last, batch.cursor_to) == (found.id, True, batch.cursor_from)
    # The task goes on from the cursor that it had.
    run_postgresql(ends.source, "INSERT INTO people VALUES ('later', '后', 1, 1, '2000-01-01', '2027-02-01')")
    ends.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    ends.work()
    assert ends.hub.exchange.progress(task.id).rows - after.rows == 1
    assert ends.reconcile(task).state is ReconciliationState.EQUAL


def test_a_row_that_the_source_has_again_is_sent_and_not_deleted(ends: Ends) -> None:
    task = ends.task(TransferMode.INCREMENT)
    row = "('again', 'x', 1, 2, '2000-01-01', '2026-01-01')"
    run_mariadb(ends.target, f"INSERT INTO received VALUES {row}")
    found = ends.reconcile(task)
    assert counts(found)[DifferenceKind.EXTRA] == 1
    run_postgresql(ends.source, f"INSERT INTO people VALUES {row}")
    assert repair(ends, task, found).state is ReconciliationState.EQUAL
    assert open_connector(ends.target).count("received") == ROWS + 1


def test_a_snapshot_is_repaired_by_another_copy(ends: Ends) -> None:
    run_postgresql(ends.source, "ANALYZE people")
    task = ends.task(TransferMode.SNAPSHOT)
    # What the engine's statistics say is what the hub reckons the time left with.
    assert ends.hub.exchange.runs.run(task.id, 1).expected_rows == ROWS
    run_mariadb(ends.target, "DELETE FROM received ORDER BY id LIMIT 3")
    found = ends.reconcile(task)
    assert found.repair is not None
    assert found.repair.kind is RepairKind.COPY
    assert repair(ends, task, found).state is ReconciliationState.EQUAL


def test_only_the_newest_reconciliation_with_differences_is_repaired_and_only_once(ends: Ends) -> None:
    task = ends.task(TransferMode.INCREMENT)
    approve = ends.hub.exchange.repairs.approve
    equal = ends.reconcile(task)
    with pytest.raises(Conflict, match="repair_not_wanted"):
        approve(task.id, equal.id, actor=PLATFORM_ACTOR)
    run_mariadb(ends.target, "DELETE FROM received ORDER BY id LIMIT 1")
    found = ends.reconcile(task)
    ends.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    with pytest.raises(Conflict, match="repair_waits"):
        approve(task.id, found.id, actor=PLATFORM_ACTOR)
    ends.work()
    approve(task.id, found.id, actor=PLATFORM_ACTOR)
    with pytest.raises(Conflict, match="repair_not_wanted"):
        approve(task.id, found.id, actor=PLATFORM_ACTOR)
