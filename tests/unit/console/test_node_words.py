"""What a node said is told in words: chores by name, transfers by their resource, nothing where all is well."""

from datong.kernel import Text
from datong.web.console.node_words import said_by


def transfer(task_id: str) -> Text:
    return Text(zh=f"任务 {task_id}", en=f"task {task_id}")


def test_a_status_is_told_part_by_part() -> None:
    assert said_by("ok", transfer) == ()
    assert said_by("", transfer) == ()
    said = said_by("witness: ledger.rollback; t-1: adapters.refused; clock: +3 s; odd", transfer)
    assert [(one.what.en, one.detail) for one in said] == [
        ("witnessing the log", "ledger.rollback"),
        ("task t-1", "adapters.refused"),
        ("its clock is off", "+3 s"),
        ("task odd", ""),
    ]
