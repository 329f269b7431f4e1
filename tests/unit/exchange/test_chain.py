"""The chain rules: every way in which a batch may fail has its own error, and only a right one passes."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.exchange import (
    DELETED_COLUMN,
    GENESIS_DIGEST,
    Column,
    ColumnMap,
    Confirmed,
    ContentDigest,
    Cursor,
    Manifest,
    SignedManifest,
    Task,
    TaskState,
    TransferMode,
    data_columns,
    schema_fingerprint,
)
from datong.exchange.chain import (
    check_chain,
    check_content,
    check_payload,
    check_rows,
    check_signer,
    check_task,
    confirmed_after,
    hub_checks_content,
    work_of,
)
from datong.kernel import (
    AgreementId,
    BatchId,
    Conflict,
    Corrupt,
    DatongError,
    DepartmentCode,
    NodeId,
    Refused,
    ResourceId,
    TaskId,
)
from datong.kernel.limits import CONTENT_CHECK_ROWS_MAX

NOW = datetime(2026, 1, 5, tzinfo=UTC)
COLUMNS = (Column(name="id", type="int64"), Column(name="changed", type="timestamp"))


def task_of(**changes: object) -> Task:
    task = Task(
        id=TaskId("task"),
        agreement_id=AgreementId("agreement"),
        resource_id=ResourceId("resource"),
        resource_version=2,
        provider=DepartmentCode("police"),
        consumer=DepartmentCode("education"),
        producer_node=NodeId("node"),
        source="main",
        table="people",
        columns=tuple(ColumnMap(column=column.name, item=column.name) for column in COLUMNS),
        key_columns=("id",),
        cursor_column="changed",
        mode=TransferMode.INCREMENT,
        state=TaskState.ACTIVE,
        run_requested=1,
        created_at=NOW,
    )
    return task.model_copy(update=changes)


def manifest_of(**changes: object) -> Manifest:
    manifest = Manifest(
        batch_id=BatchId("batch"),
        task_id=TaskId("task"),
        agreement_id=AgreementId("agreement"),
        sequence=1,
        previous_digest=GENESIS_DIGEST,
        resource_id=ResourceId("resource"),
        resource_version=2,
        schema_fingerprint=schema_fingerprint(COLUMNS),
        columns=COLUMNS,
        cursor_from=None,
        cursor_to=Cursor(values=("2026-01-01", "1")),
        rows=1,
        content_digest="c",
        payload_digest="p",
        payload_bytes=10,
        produced_at=NOW,
        department=DepartmentCode("police"),
        mode=TransferMode.INCREMENT,
        run=1,
        part=1,
        last=False,
    )
    return manifest.model_copy(update=changes)


def code_of(raised: type[DatongError], check: object, *arguments: object, **named: object) -> str:
    assert callable(check)
    with pytest.raises(raised) as caught:
        check(*arguments, **named)
    return caught.value.code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"agreement_id": "other"}, "wrong_agreement"),
        ({"resource_id": "other"}, "wrong_resource"),
        ({"resource_version": 3}, "wrong_resource"),
        ({"department": "civil"}, "wrong_department"),
        ({"mode": TransferMode.SNAPSHOT}, "wrong_mode"),
        ({"columns": COLUMNS[:1]}, "wrong_columns"),
        ({"columns": COLUMNS[::-1]}, "wrong_columns"),
        ({"run": 2}, "run_not_requested"),
    ],
)
def test_a_batch_of_another_task_is_refused(changes: dict[str, object], code: str) -> None:
    check_task(task_of(), manifest_of())
    assert code_of(Refused, check_task, task_of(), manifest_of(**changes)) == f"exchange.{code}"


@pytest.mark.parametrize("state", [TaskState.PAUSED, TaskState.ENDED])
def test_an_inactive_task_takes_no_batch(state: TaskState) -> None:
    assert code_of(Refused, check_task, task_of(state=state), manifest_of()) == "exchange.task_not_active"


def test_only_the_provider_s_valid_key_signs() -> None:
    signed = SignedManifest(manifest=manifest_of(), key_id="k", signature="")
    check_signer(task_of(), signed, DepartmentCode("police"), revoked=False)
    wrong = code_of(Refused, check_signer, task_of(), signed, DepartmentCode("education"), revoked=False)
    assert wrong == "exchange.wrong_signer"
    revoked = code_of(Refused, check_signer, task_of(), signed, DepartmentCode("police"), revoked=True)
    assert revoked == "exchange.key_revoked"


def second(**changes: object) -> Manifest:
    first = manifest_of()
    base = {"batch_id": "b2", "sequence": 2, "part": 2, "previous_digest": first.digest, "cursor_from": first.cursor_to}
    return manifest_of(**(base | changes))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sequence": 1}, "replay"),
        ({"sequence": 3}, "gap"),
        ({"previous_digest": GENESIS_DIGEST}, "fork"),
        ({"part": 3}, "run_order"),
        ({"part": 1}, "run_order"),
        ({"run": 2, "part": 1}, "run_order"),
        ({"cursor_from": None}, "cursor_order"),
    ],
)
def test_what_does_not_follow_is_a_conflict(changes: dict[str, object], code: str) -> None:
    confirmed = confirmed_after(manifest_of())
    check_chain(confirmed, second())
    assert code_of(Conflict, check_chain, confirmed, second(**changes)) == f"exchange.{code}"


def test_types_may_change_between_runs_but_not_within_one() -> None:
    other = (Column(name="id", type="string"), COLUMNS[1])
    changed = {"columns": other, "schema_fingerprint": schema_fingerprint(other)}
    within = code_of(Conflict, check_chain, confirmed_after(manifest_of()), second(**changed))
    assert within == "exchange.schema_changed"
    ended = manifest_of(last=True)
    next_run = second(**changed, previous_digest=ended.digest, run=2, part=1)
    check_chain(confirmed_after(ended), next_run)


def test_a_false_fingerprint_is_corrupt() -> None:
    manifest = manifest_of(schema_fingerprint="0" * 64)
    assert code_of(Corrupt, check_chain, Confirmed(), manifest) == "exchange.schema_fingerprint"


def test_payload_and_content_are_checked_apart() -> None:
    manifest = manifest_of()
    check_payload(manifest, payload_digest="p", payload_bytes=10)
    check_content(manifest, ContentDigest(rows=1, sum="c"))
    check_rows(manifest, 1)
    wrong = code_of(Corrupt, check_payload, manifest, payload_digest="x", payload_bytes=10)
    assert wrong == "exchange.payload_digest"
    for content in (ContentDigest(rows=2, sum="c"), ContentDigest(rows=1, sum="d")):
        assert code_of(Corrupt, check_content, manifest, content) == "exchange.content_digest"
    assert code_of(Corrupt, check_rows, manifest, 2) == "exchange.content_digest"


@pytest.mark.parametrize(
    ("part", "rows", "checked"),
    [
        (1, CONTENT_CHECK_ROWS_MAX + 1, True),
        (2, CONTENT_CHECK_ROWS_MAX, True),
        (2, CONTENT_CHECK_ROWS_MAX + 1, False),
    ],
)
def test_the_hub_digests_first_parts_and_small_batches_itself(part: int, rows: int, *, checked: bool) -> None:
    assert hub_checks_content(manifest_of(part=part, rows=rows)) is checked


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_producer_that_follows_its_work_is_always_accepted(ends: list[bool]) -> None:
    confirmed, task = Confirmed(), task_of()
    for number, last in enumerate(ends, start=1):
        if confirmed.run_ended:
            task = task.model_copy(update={"run_requested": confirmed.run + 1})
        work = work_of(task, confirmed)
        manifest = manifest_of(
            batch_id=BatchId(f"b{number}"),
            sequence=work.confirmed.sequence + 1,
            previous_digest=work.confirmed.digest,
            cursor_from=work.confirmed.cursor,
            cursor_to=Cursor(values=("2026-01-01", str(number))),
            run=work.run,
            part=work.confirmed.part + 1,
            last=last,
        )
        check_task(task, manifest)
        check_chain(confirmed, manifest)
        confirmed = confirmed_after(manifest)
        with pytest.raises(Conflict):
            check_chain(confirmed, manifest)
    assert confirmed.sequence == len(ends)


def test_a_new_snapshot_starts_from_nothing_and_an_increment_goes_on() -> None:
    confirmed = confirmed_after(manifest_of(last=True))
    task = task_of(run_requested=2)
    assert work_of(task, confirmed).confirmed.cursor == confirmed.cursor
    snapshot = work_of(task.model_copy(update={"mode": TransferMode.SNAPSHOT}), confirmed)
    assert (snapshot.confirmed.cursor, snapshot.run, snapshot.confirmed.part) == (None, 2, 0)


CHANGES = (DELETED_COLUMN, *COLUMNS)


def test_a_task_of_changes_takes_changes_and_snapshots_each_with_its_columns() -> None:
    task = task_of(mode=TransferMode.DIFF)
    check_task(task, manifest_of(mode=TransferMode.DIFF, columns=CHANGES))
    check_task(task, manifest_of(mode=TransferMode.SNAPSHOT))
    assert code_of(Refused, check_task, task, manifest_of(mode=TransferMode.DIFF)) == "exchange.wrong_columns"
    mixed = manifest_of(mode=TransferMode.SNAPSHOT, columns=CHANGES)
    assert code_of(Refused, check_task, task, mixed) == "exchange.wrong_columns"
    assert code_of(Refused, check_task, task, manifest_of()) == "exchange.wrong_mode"


def test_a_snapshot_may_take_the_place_of_a_run_of_changes_that_did_not_end() -> None:
    confirmed = confirmed_after(manifest_of(mode=TransferMode.DIFF, columns=CHANGES))
    assert confirmed.mode is TransferMode.DIFF
    anew = manifest_of(
        mode=TransferMode.SNAPSHOT, sequence=2, previous_digest=confirmed.digest, run=2, cursor_from=confirmed.cursor
    )
    check_task(task_of(mode=TransferMode.DIFF), anew)
    check_chain(confirmed, anew, may_begin_anew=True)
    assert code_of(Conflict, check_chain, confirmed, anew) == "exchange.run_order"
    for other in ({"mode": TransferMode.DIFF}, {"part": 2}, {"run": 1}):
        changed = anew.model_copy(update=other)
        assert code_of(Conflict, check_chain, confirmed, changed, may_begin_anew=True) == "exchange.run_order"
    beyond = anew.model_copy(update={"run": 3})
    assert code_of(Refused, check_task, task_of(mode=TransferMode.DIFF), beyond) == "exchange.run_not_requested"


def test_only_data_columns_enter_a_table() -> None:
    assert data_columns(CHANGES) == COLUMNS
