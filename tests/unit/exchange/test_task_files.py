"""Files of tasks: every error names its line and column; whatever the text, the answer is in words."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.exchange import (
    ColumnMap,
    NodeChoice,
    PlanAct,
    Planning,
    PlanStep,
    Schedule,
    TaskDraft,
    TaskOffer,
    TaskState,
    TaskText,
    Window,
)
from datong.kernel import (
    PLATFORM_ACTOR,
    AgreementId,
    Conflict,
    Database,
    DatongError,
    DepartmentCode,
    Invalid,
    NodeId,
    NotFound,
    Refused,
    ResourceId,
    Text,
    TooLarge,
)
from datong.ledger import EntryKind
from tests.unit.exchange.test_hub import Scene

FILE = """\
# 夜间交换 · tasks of the night
tasks:
  - name: residents
    agreement: agreement-1
    to: {table: received}
    mode: increment
    schedule: {cron: "0 2 * * 1-5", misfire: skip}
    window:
      start: 22:00
      end: 06:00
      days: working
    priority: 7
    target_names: {name: full_name}
    added_columns: [{name: received_at, type: timestamp_utc, now: true}]
  - name: residents-to-library
    agreement: agreement-1
    columns: [id, name]
"""
AGREED = "    agreement: agreement-1\n"
POLICE, CIVIL = DepartmentCode("police"), DepartmentCode("education")


class Offers:
    """One agreement, its resource bound to one node."""

    def __init__(self) -> None:
        self.nodes: tuple[NodeChoice, ...] = (
            NodeChoice(id=NodeId("node-police"), name="police-1", department=POLICE),
            NodeChoice(id=NodeId("node-education"), name="education-1", department=CIVIL),
        )
        self.bound = True

    def offer(self, agreement_id: AgreementId) -> TaskOffer:
        if agreement_id != "agreement-1":
            words = Text(zh="没有该协议", en="no such agreement")
            raise NotFound("sharing.agreement_not_found", what=words, remedy=words)
        return TaskOffer(
            agreement_id=agreement_id,
            title=Text(zh="人口", en="People"),
            resource_id=ResourceId("resource"),
            resource_version=1,
            provider=POLICE,
            consumer=CIVIL,
            columns=tuple(ColumnMap(column=name, item=name) for name in ("id", "name", "changed")),
            key_columns=("id",),
            cursor_column="changed",
            producer_node=NodeId("node-police") if self.bound else None,
            source="main",
            table="people",
            nodes=self.nodes,
        )


class Desk:
    """A hub, its planning, and what the policy was asked."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.scene = Scene(folder, database)
        self.exchange = self.scene.exchange
        self.offers = Offers()
        self.planning = Planning(database=database, exchange=self.exchange, offers=self.offers)
        self.asked: list[tuple[str, PlanAct]] = []

    def permit(self, draft: TaskDraft, act: PlanAct) -> None:
        self.asked.append((draft.name, act))

    def plan(self, text: str) -> list[tuple[str, PlanAct]]:
        return acts(self.planning.plan(text, self.permit))

    def apply(self, text: str, *, replace: bool = False) -> list[tuple[str, PlanAct]]:
        return acts(self.planning.apply(text, self.permit, allow_replace=replace, actor=PLATFORM_ACTOR))


def acts(steps: tuple[PlanStep, ...]) -> list[tuple[str, PlanAct]]:
    return [(step.name, step.act) for step in steps]


@pytest.fixture
def desk(tmp_path: Path, control_database: Database) -> Desk:
    return Desk(tmp_path, control_database)


def refused(act: Callable[[], object]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        act()
    return caught.value


def test_a_file_is_planned_applied_and_then_changes_nothing(desk: Desk) -> None:
    assert desk.plan(FILE) == [("residents", PlanAct.CREATE), ("residents-to-library", PlanAct.CREATE)]
    assert desk.exchange.tasks().total == 0
    desk.apply(FILE)
    tasks = {task.name: task for task in desk.exchange.tasks().rows}
    task = tasks["residents"]
    assert (task.consumer_node, task.target_table, task.cursor_column) == ("node-education", "received", "changed")
    assert task.window == Window.model_validate({"start": "22:00", "end": "06:00", "days": "working"})
    assert tasks["residents-to-library"].consumer_node is None
    assert tasks["residents-to-library"].cursor_column is None
    before = desk.scene.entries(EntryKind.TASK)
    assert [act for _, act in desk.apply(FILE)] == [PlanAct.SAME, PlanAct.SAME]
    assert desk.scene.entries(EntryKind.TASK) == before


def test_when_it_runs_is_changed_in_place_with_evidence(desk: Desk) -> None:
    desk.apply(FILE)
    changed = FILE.replace('"0 2 * * 1-5"', '"30 3 * * *"').replace("priority: 7", "priority: 2")
    (first, _) = desk.planning.plan(changed, desk.permit)
    assert first.act is PlanAct.CHANGE
    assert {change.field for change in first.changes} == {"schedule", "priority"}
    desk.apply(changed)
    task = next(task for task in desk.exchange.tasks().rows if task.name == "residents")
    assert (task.priority, task.schedule and task.schedule.cron) == (2, "30 3 * * *")
    facts = desk.scene.hub.ledger.entries(kind=EntryKind.TASK, subject=task.id).rows[0].facts
    assert facts["action"] == "change"


def test_another_table_or_column_ends_the_task_and_begins_another_only_when_allowed(desk: Desk) -> None:
    desk.apply(FILE)
    changed = FILE.replace("received", "elsewhere")
    assert desk.plan(changed)[0] == ("residents", PlanAct.REPLACE)
    with pytest.raises(Conflict, match="replace_not_allowed"):
        desk.apply(changed)
    desk.apply(changed, replace=True)
    states = [task.state for task in desk.exchange.tasks().rows if task.name == "residents"]
    assert states == [TaskState.ACTIVE, TaskState.ENDED]


def test_what_is_exported_changes_nothing_when_it_is_applied(desk: Desk) -> None:
    desk.apply(FILE)
    desk.exchange.create_task(
        desk.scene.draft(agreement_id="agreement-1", schedule=Schedule(cron="* * * * *")), actor=PLATFORM_ACTOR
    )
    written = desk.planning.export(None, desk.offers.nodes)
    assert "node: police-1" in written
    assert [act for _, act in desk.plan(written)] == [PlanAct.SAME] * 3
    assert desk.planning.export(DepartmentCode("nobody"), ()) == "tasks: []\n"


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("priority: 7", "priority: 70", "line 12, column 5: tasks[0].priority: must be 9 or less", "不能大于 9"),
        ("priority: 7", "urgency: 7", "line 12, column 5: tasks[0].urgency: there is no such field", "没有这个字段"),
        ("mode: increment", "mode: sometimes", "line 6, column 5: tasks[0].mode: must be one of", "之一"),
        (f"{AGREED}    to", "    to", "line 3, column 5: tasks[0].agreement: this field is missing", "缺少"),
        ("start: 22:00", "start: 25:00", "line 9, column 7: tasks[0].window.start: is not written", "写法不对"),
        ("columns: [id, name]", "columns: id", "line 17, column 5: tasks[1].columns: must be a list", "应为列表"),
        ("name: residents-to-library", "name: residents", "line 15, column 5: tasks[1].name: the name", "重复"),
        ("priority: 7", "priority: 7\n    priority: 8", "line 13, column 5: tasks[0].priority: the field", "重复"),
        ('"0 2 * * 1-5"', '"0 2 * *"', "line 7, column 16: tasks[0].schedule.cron:", "cron"),
        ("columns: [id, name]", "columns: [id, age]", "line 17, column 19: tasks[1].columns[1]:", "没有约定列"),
        ("{table: received}", "{node: x, table: received}", "line 5, column 10: tasks[0].to.node:", "没有名为"),
        (f"{AGREED}    c", "    agreement: x\n    c", "line 16, column 5: tasks[1].agreement:", "没有该协议"),
        ("tasks:", "tasks: [", "line 3, column 3: this is not YAML", "不是 YAML"),
    ],
)  # fmt: skip
def test_every_error_names_its_place(desk: Desk, old: str, new: str, place: str, words: str) -> None:
    assert old in FILE
    error = refused(lambda: desk.plan(FILE.replace(old, new, 1)))
    assert place in error.what.en
    assert words in error.what.zh


def test_the_example_is_a_file_of_tasks() -> None:
    example = Path(__file__).parents[3] / "docs" / "examples" / "tasks.yaml"
    names = [declared.name for declared in TaskText(example.read_text(encoding="utf-8")).file.tasks]
    assert names == ["residents-to-civil-affairs", "residents-to-library"]


def test_several_errors_are_told_at_once(desk: Desk) -> None:
    error = refused(lambda: desk.plan("tasks:\n" + "  - {priority: x}\n" * 8))
    assert len(error.what.en.splitlines()) == 11
    assert error.what.en.splitlines()[-1] == "and 14 more"


def test_a_consumer_with_several_nodes_must_name_one(desk: Desk) -> None:
    desk.offers.nodes += (NodeChoice(id=NodeId("node-2"), name="education-2", department=CIVIL),)
    assert "2 nodes" in refused(lambda: desk.plan(FILE)).what.en
    desk.offers.nodes += (NodeChoice(id=NodeId("node-3"), name="education-2", department=CIVIL),)
    several = FILE.replace("{table: received}", "{node: education-2, table: received}")
    assert "several nodes" in refused(lambda: desk.plan(several)).what.en


def test_an_unbound_resource_needs_a_source_in_the_file(desk: Desk) -> None:
    desk.offers.bound = False
    assert "bound to no source" in refused(lambda: desk.plan(FILE)).what.en


def test_nothing_is_done_when_the_policy_refuses_one_of_the_tasks(desk: Desk) -> None:
    def refuse_second(draft: TaskDraft, _act: PlanAct) -> None:
        if draft.name == "residents-to-library":
            words = Text(zh="不允许", en="no")
            raise Refused("sharing.refused", what=words, remedy=words)

    with pytest.raises(Refused):
        desk.planning.apply(FILE, refuse_second, allow_replace=False, actor=PLATFORM_ACTOR)
    assert desk.exchange.tasks().total == 0


def test_a_file_that_is_too_large_or_too_deep_is_refused() -> None:
    with pytest.raises(TooLarge):
        TaskText("#" * 500_001)
    with pytest.raises(Invalid, match="too deep"):
        TaskText("tasks: " + "[" * 50 + "]" * 50)
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(Invalid, match="too much"):
        TaskText(bomb)


PIECES = st.lists(
    st.sampled_from(
        ["tasks:", "\n", "  ", "- ", "name: a", "agreement: b", "schedule: ", "{", "}", "[", "]", "cron: '* * * * *'"]
        + [
            "&a",
            "*a",
            "!!python/object:x ",
            "? ",
            ": ",
            "|",
            ">",
            "'",
            '"',
            "22:00",
            "~",
            "\t",
            "%",
            "---",
            "\x00",
            "𠮷",
        ]
    ),
    max_size=30,
).map("".join)


@given(st.one_of(st.text(max_size=80), PIECES))
def test_any_text_is_a_file_or_an_error_in_words(text: str) -> None:
    told = "exchange.task_file", "line ", "第"
    try:
        TaskText(text)
    except DatongError as error:
        told = error.code, error.what.en[:5], error.what.zh[:1]
    assert told == ("exchange.task_file", "line ", "第")
