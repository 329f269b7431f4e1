"""Registers of staff: any acts in any order, workbooks good and bad, and what the log says of them."""

import io
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from datong.governance import Measure
from datong.governance.counting import observations_of_staff
from datong.governance.staff import (
    STAFF_AREAS,
    STAFF_ROLE_NAMES,
    Member,
    NewMember,
    StaffRegister,
    StaffRole,
    Training,
    read_staff,
)
from datong.governance.staff.members import departed, facts_of, numbers_of, struck, trained
from datong.governance.staff.tables import STAFF
from datong.kernel import Actor, ActorKind, Conflict, DatongError, DepartmentCode, Invalid, NotFound
from datong.ledger import EntryKind
from tests.unit.governance.samples import entry
from tests.unit.ledger.logs import NOW, SmallLog

HEALTH = DepartmentCode("114406000000000193")
HEAD = Actor(kind=ActorKind.PERSON, id="head", department=HEALTH)
FIRST = date(2026, 1, 5)
HEADINGS = ("姓名", "岗位", "上岗日期", "培训课程", "学时", "培训日期", "证书编号", "有效期至")
days = st.integers(-20, 400).map(lambda count: FIRST + timedelta(days=count))
trainings = st.builds(
    Training,
    course=st.sampled_from(["数据安全", "目录编制", "接口"]),
    hours=st.integers(1, 40),
    on=days,
    certificate=st.sampled_from(["", "C-1"]),
    expires_on=st.none() | days,
)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("train"), trainings),
        st.tuples(st.just("strike"), st.integers(0, 4)),
        st.tuples(st.just("leave"), days),
    )
)


def member(name: str = "张三", *, on: date = FIRST, trained_in: tuple[Training, ...] = ()) -> Member:
    return Member(id=name, department=HEALTH, name=name, role=StaffRole.OFFICER, assigned_on=on, trainings=trained_in)


@given(acts, days)
def test_nobody_is_trained_after_leaving_and_counts_follow_the_rows(done: list[tuple[str, Any]], day: date) -> None:
    change: dict[str, Callable[[Member, Any], Member]] = {"train": trained, "strike": struck, "leave": departed}
    one, kept = member(), list[Training]()
    for act, what in done:
        try:
            after = change[act](one, what)
        except Conflict:
            continue
        assert one.left_on is None
        if act == "train":
            kept.append(what)
        elif act == "strike":
            del kept[what - 1]
        one = after
    assert one.trainings == tuple(kept)
    assert len({(training.course, training.on) for training in kept}) == len(kept)
    valid = any(each.certificate and (each.expires_on is None or day <= each.expires_on) for each in kept)
    assert one.is_certified(day) is valid
    there = one.left_on is None
    numbers, facts = numbers_of(HEALTH, [one], day), facts_of(HEALTH, [one])
    assert (numbers.assigned, numbers.certified) == (int(there), int(there and valid))
    assert one.name not in repr(facts)
    until = datetime(day.year, day.month, day.day, 16, tzinfo=UTC)  # The end of that day in China.
    seen = observations_of_staff(entry(EntryKind.STAFF, HEALTH, NOW, {**facts, "action": "train"}), until=until)
    counted = {each.measure: each.count for each in seen}
    assert counted == {Measure.STAFF_ASSIGNED: numbers.assigned, Measure.STAFF_CERTIFIED: numbers.certified}


def workbook(*rows: tuple[object, ...], headings: tuple[str, ...] = HEADINGS) -> bytes:
    body = io.BytesIO()
    with xlsxwriter.Workbook(body, {"default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet("人员")
        for number, row in enumerate((headings, *rows)):
            for column, cell in enumerate(row):
                sheet.write(number, column, cell)
    return body.getvalue()


def _places(error: DatongError) -> list[object]:
    problems = error.context["problems"]
    assert isinstance(problems, list)
    return [problem["place"] for problem in problems if isinstance(problem, dict)]


def test_a_workbook_names_every_faulty_cell() -> None:
    good = workbook(
        ("张三", "数据管理员", date(2026, 1, 5), "数据安全", 16, "2026-02-03", "C-7", date(2027, 2, 3)),
        ("张三", "数据管理员", "2026/01/05", "目录编制", 8, "2026-03-03", "", ""),
        ("李四", "clerk", "2026-01-06"),
    )
    first, second = read_staff(good)
    assert [(one.course, one.hours, one.certificate) for one in first.trainings] == [
        ("数据安全", 16, "C-7"), ("目录编制", 8, ""),
    ]  # fmt: skip
    assert (first.assigned_on, second.role, second.trainings) == (FIRST, StaffRole.CLERK, ())
    bad = workbook(
        ("", "数据管理员", "昨天"),
        ("张三", "局长", "2026-01-05", "数据安全", 0, "2026-02-03"),
        ("李四", "业务经办人", "2026-01-05", "接口", 8, ""),
        ("王五", "业务经办人", "2026-01-05"),
        ("王五", "技术人员", "2026-01-05"),
    )
    with pytest.raises(Invalid) as caught:
        read_staff(bad)
    assert _places(caught.value) == ["人员!A2", "人员!C2", "人员!B3", "人员!E3", "人员!F4", "人员!B6"]
    with pytest.raises(Invalid) as missing:
        read_staff(workbook(("张三",), headings=("姓名",)))
    assert _places(missing.value) == ["人员!1", "人员!1"]
    with pytest.raises(Invalid):
        read_staff(workbook())
    with pytest.raises(Invalid) as long:
        read_staff(workbook(*((f"员工{number}", "clerk", "2026-01-06") for number in range(5001))))
    assert _places(long.value) == ["人员!5002"]


@given(
    st.binary(max_size=200),
    st.lists(st.text(max_size=6) | st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=8),
)
def test_any_file_is_read_or_refused(junk: bytes, cells: list[object]) -> None:
    for content in (junk, b"PK" + junk):
        with pytest.raises(DatongError):
            read_staff(content)
    row = tuple(cell.replace("\x00", "") if isinstance(cell, str) else cell for cell in cells)
    with suppress(DatongError):
        read_staff(workbook(row))


def test_a_register_over_the_database_and_its_log(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    register = StaffRegister(database=log.database, clock=log.clock, ledger=log.ledger)
    security = Training(course="数据安全", hours=16, on=FIRST, certificate="C-1", expires_on=date(2026, 3, 20))
    zhang = register.assign(HEALTH, NewMember(name="张三", role=StaffRole.OFFICER, assigned_on=FIRST), HEAD)
    assert register.train(zhang.id, security, HEAD).trainings == (security,)
    with pytest.raises(Conflict):
        register.assign(HEALTH, NewMember(name="张三", role=StaffRole.CLERK, assigned_on=FIRST), HEAD)
    file = workbook(("张三", "数据管理员", "2026-01-05", "目录编制", 8, "2026-02-03"), ("李四", "clerk", "2026-01-06"))
    for _ in range(2):
        register.take_file(HEALTH, file, HEAD)
        assert [(one.name, len(one.trainings)) for one in register.members(HEALTH)] == [("张三", 2), ("李四", 0)]
    assert [(one.assigned, one.certified, one.hours) for one in register.numbers()] == [(2, 1, 24)]
    assert register.expiring(NOW) == ((HEALTH, date(2026, 3, 20), 1),)
    assert register.expiring(NOW + timedelta(days=30)) == ()
    register.strike(zhang.id, 1, HEAD)
    register.leave(zhang.id, date(2026, 2, 1), HEAD)
    with pytest.raises(NotFound):
        register.leave("nobody", FIRST, HEAD)
    log.integrate()
    rows = log.ledger.entries(kind=EntryKind.STAFF, limit=10).rows
    assert [one.facts["action"] for one in rows] == ["leave", "strike", "import", "import", "train", "assign"]
    assert not any("张三" in repr(one.facts) or "C-1" in repr(one.facts) for one in rows)
    assert _faults(log) == []
    with log.database.transaction() as connection:
        connection.execute(update(STAFF).where(STAFF.c.name == "李四").values(name="王五"))
    assert _faults(log) == ["ledger.state_differs"]
    log.database.close()


def _faults(log: SmallLog) -> list[str]:
    return [fault.code for fault in log.ledger.fsck(STAFF_AREAS).faults]


def test_every_role_has_a_name() -> None:
    assert STAFF_ROLE_NAMES.keys() == set(StaffRole)
