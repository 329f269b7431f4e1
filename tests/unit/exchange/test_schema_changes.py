"""Changes of a source table: a compatible one is recorded and goes on, a breaking one stops the task."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.exchange import (
    Column,
    ColumnMap,
    Confirmed,
    SchemaDecision,
    SchemaFindingKind,
    SchemaReport,
    SchemaState,
    SchemaVerdict,
    SourceShape,
    Task,
    TaskState,
    signed_schema_report,
)
from datong.exchange.schema_changes import compare, widens
from datong.kernel import PLATFORM_ACTOR, Conflict, Corrupt, Database, Invalid, NodeId, Refused
from datong.ledger import EntryKind
from tests.unit.exchange.test_hub import COLUMNS, NODE, NOW, Scene

SPARE = Column(name="spare", type="string", source_type="text")
SHAPE = SourceShape(columns=(*COLUMNS, SPARE), key_columns=("id",))


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> Scene:
    return Scene(tmp_path, control_database)


def report(scene: Scene, task: Task, shape: SourceShape | None) -> SchemaVerdict:
    content = SchemaReport(task_id=task.id, department=task.provider, shape=shape, at=NOW)
    return scene.exchange.schemas.report(signed_schema_report(content, scene.police), actor=NODE)


def without(name: str) -> SourceShape:
    return SHAPE.model_copy(update={"columns": tuple(one for one in SHAPE.columns if one.name != name)})


def changed(column: str, **changes: object) -> SourceShape:
    columns = tuple(one.model_copy(update=changes) if one.name == column else one for one in SHAPE.columns)
    return SHAPE.model_copy(update={"columns": columns})


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (None, SchemaFindingKind.TABLE_GONE),
        (without("name"), SchemaFindingKind.COLUMN_GONE),
        (changed("name", name="full_name"), SchemaFindingKind.COLUMN_GONE),
        (changed("id", type="string"), SchemaFindingKind.RETYPED),
        (SHAPE.model_copy(update={"key_columns": ("name",)}), SchemaFindingKind.KEY_CHANGED),
        (without("spare"), SchemaFindingKind.UNUSED_COLUMN_GONE),
        (changed("spare", type="int64"), SchemaFindingKind.UNUSED_COLUMN_RETYPED),
        (changed("id", type="decimal(20,0)"), SchemaFindingKind.WIDENED),
        (changed("name", source_type="varchar(90)"), SchemaFindingKind.SOURCE_TYPE),
        (changed("name", nullable=False), SchemaFindingKind.NOT_NULL),
        (changed("name", comment="abc"), SchemaFindingKind.COMMENT),
        (
            SHAPE.model_copy(update={"columns": (*SHAPE.columns, Column(name="new", type="date"))}),
            SchemaFindingKind.COLUMN_ADDED,
        ),
    ],
)
def test_each_difference_has_its_name(scene: Scene, found: SourceShape | None, kind: SchemaFindingKind) -> None:
    task = scene.task()
    findings = compare(task, SHAPE, found)
    assert findings[0].kind is kind
    assert kind.label.zh
    assert kind.label.en
    verdict = report(scene, task, SHAPE)
    assert verdict == SchemaVerdict(goes_on=True)
    verdict = report(scene, task, found)
    assert verdict.goes_on is not kind.breaking
    state = scene.exchange.task(task.id).state
    assert state is (TaskState.BLOCKED if kind.breaking else TaskState.ACTIVE)
    assert scene.exchange.work_for(NodeId("node-police")).is_empty is kind.breaking
    newest = scene.exchange.schemas.records(task.id)[0]
    assert newest.state is (SchemaState.BLOCKED if kind.breaking else SchemaState.AGREED)
    facts = scene.hub.ledger.entry(newest.entry_id).facts
    assert facts["breaking"] is kind.breaking
    assert report(scene, task, found).goes_on is not kind.breaking
    assert len(scene.exchange.schemas.records(task.id)) == 2


def test_a_renamed_column_is_suspected_and_accepted_under_its_old_name(scene: Scene) -> None:
    task = scene.task()
    report(scene, task, SHAPE)
    verdict = report(scene, task, changed("name", name="full_name"))
    assert verdict.findings[0].after == "full_name"
    columns = (
        ColumnMap(column="id", item="id"),
        ColumnMap(column="full_name", item="name", target="name"),
        ColumnMap(column="changed", item="changed"),
    )
    accepted = scene.exchange.schemas.accept(task.id, SchemaDecision(columns=columns), actor=PLATFORM_ACTOR)
    assert accepted.state is TaskState.ACTIVE
    assert accepted.target_plan.renamed == (("full_name", "name"),)
    assert report(scene, accepted, changed("name", name="full_name")) == SchemaVerdict(goes_on=True)
    assert scene.exchange.schemas.records(task.id)[0].state is SchemaState.ACCEPTED
    assert scene.entries(EntryKind.TASK) == 5


def test_what_the_source_lacks_cannot_be_accepted(scene: Scene) -> None:
    task = scene.task()
    report(scene, task, SHAPE)
    with pytest.raises(Conflict, match="schema_not_blocked"):
        scene.exchange.schemas.accept(task.id, SchemaDecision(), actor=PLATFORM_ACTOR)
    report(scene, task, without("name"))
    with pytest.raises(Invalid, match="schema_columns"):
        scene.exchange.schemas.accept(task.id, SchemaDecision(), actor=PLATFORM_ACTOR)
    left = tuple(pair for pair in task.columns if pair.column != "name")
    scene.exchange.schemas.accept(task.id, SchemaDecision(columns=left), actor=PLATFORM_ACTOR)
    assert report(scene, task, without("name")).goes_on


def test_a_restored_table_goes_on_after_resuming(scene: Scene) -> None:
    task = scene.task()
    report(scene, task, SHAPE)
    report(scene, task, None)
    scene.exchange.resume(task.id, actor=PLATFORM_ACTOR)
    assert report(scene, task, SHAPE) == SchemaVerdict(goes_on=True)


def test_types_that_change_in_the_middle_of_a_run_begin_it_anew(scene: Scene) -> None:
    task = scene.task()
    report(scene, task, SHAPE)
    signed, payload = scene.cut(task, Confirmed(), range(3), last=False)
    confirmed = scene.upload(signed, payload)
    wider = changed("id", type="decimal(20,0)")
    assert report(scene, task, wider).begins_anew
    next_signed, _ = scene.cut(task, confirmed, range(3, 6))
    with pytest.raises(Conflict):
        scene.exchange.open_upload(next_signed, node=NodeId(NODE.id))
    (work,) = scene.exchange.work_for(NodeId("node-police")).produce
    assert (work.run, work.confirmed.part, work.confirmed.cursor) == (2, 0, confirmed.cursor)
    assert report(scene, task, wider).goes_on


def test_a_batch_of_other_types_than_agreed_is_refused(scene: Scene) -> None:
    task = scene.task()
    report(scene, task, changed("id", type="decimal(20,0)"))
    signed, _ = scene.cut(task, Confirmed(), range(3))
    with pytest.raises(Conflict, match="schema_changed"):
        scene.exchange.open_upload(signed, node=NodeId(NODE.id))


def test_only_the_provider_reports(scene: Scene) -> None:
    task = scene.task()
    content = SchemaReport(task_id=task.id, department=task.provider, shape=SHAPE, at=NOW)
    with pytest.raises(Refused):
        scene.exchange.schemas.report(signed_schema_report(content, scene.education), actor=NODE)
    forged = signed_schema_report(content, scene.police).model_copy(
        update={"report": content.model_copy(update={"shape": None})}
    )
    with pytest.raises(Corrupt):
        scene.exchange.schemas.report(forged, actor=NODE)


DECIMALS = st.tuples(st.integers(1, 38), st.integers(0, 38)).filter(lambda pair: pair[1] <= pair[0])


@given(DECIMALS, DECIMALS)
def test_a_type_is_wider_when_it_holds_the_largest_and_the_finest_value(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    holds = after[0] - after[1] >= before[0] - before[1] and after[1] >= before[1]
    assert widens(f"decimal({before[0]},{before[1]})", f"decimal({after[0]},{after[1]})") is holds


def test_integers_widen_into_decimals_that_hold_them() -> None:
    assert widens("int64", "decimal(19,0)")
    assert not widens("int64", "decimal(19,1)")
    assert widens("uint64", "decimal(20,0)")
    assert not widens("uint64", "decimal(19,0)")
    assert widens("float32", "float64")
    assert not widens("float64", "float32")
    assert not widens("int64", "string")
