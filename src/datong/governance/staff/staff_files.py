"""Reads a workbook of staff and trainings (xlsx): one row for each training, or for somebody without any.

Columns of the first sheet are found by their Chinese or English heading, in any order; each fault is named by its cell.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

from pydantic import ValidationError
from python_calamine import CalamineError, CalamineWorkbook

from datong.catalogue import check_archive, column_letters, columns_found, goes_on_after, too_many_rows
from datong.governance.staff.members import STAFF_ROLE_NAMES, NewMember, Training
from datong.kernel import Invalid, JsonValue, Text, Value

FILE_BYTES_MAX = 8 * 1024 * 1024
ROWS_MAX = 5000
PROBLEMS_MAX = 200
COLUMNS: Mapping[str, tuple[str, str]] = {
    "name": ("姓名", "name"),
    "role": ("岗位", "role"),
    "assigned_on": ("上岗日期", "assigned on"),
    "course": ("培训课程", "course"),
    "hours": ("学时", "hours"),
    "on": ("培训日期", "trained on"),
    "certificate": ("证书编号", "certificate"),
    "expires_on": ("有效期至", "expires on"),
}
NEEDED = ("name", "role", "assigned_on")
AValue = TypeVar("AValue", bound=Value)
_TRAINING = ("course", "hours", "on", "certificate", "expires_on")
_ROLES = {spelling: role for role, name in STAFF_ROLE_NAMES.items() for spelling in (role.value, name.zh, name.en)}
_DATE = Text(zh="应是日期，如 2026-11-02。", en="A date such as 2026-11-02 is needed.")
_HOURS = Text(zh="应是 1 到 1000 的整数。", en="A whole number from 1 to 1000 is needed.")
_LONG = Text(zh="为空或太长。", en="It is empty or too long.")
_ROLE = Text(
    zh="应是：" + "、".join(name.zh for name in STAFF_ROLE_NAMES.values()) + "。",
    en="One of: " + ", ".join(name.en for name in STAFF_ROLE_NAMES.values()) + ".",
)
_SAYS: Mapping[str, Text] = {"role": _ROLE, "hours": _HOURS, "assigned_on": _DATE, "on": _DATE, "expires_on": _DATE}


def read_staff(content: bytes) -> tuple[NewMember, ...]:
    """Return the people of a workbook with their trainings.

    Raises:
        Invalid: it is no workbook of this shape; `problems` in the context names every faulty cell.
    """
    check_archive(content)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheet = book.sheet_names[0]
        rows = book.get_sheet_by_name(sheet).to_python()
    except (CalamineError, ValueError, OSError, IndexError) as error:
        raise _faulty([_problem("-", Text(zh="不是可读的工作簿。", en="It is no readable workbook."))]) from error
    if goes_on_after(rows, ROWS_MAX):
        raise _faulty([_problem(f"{sheet}!{ROWS_MAX + 2}", too_many_rows(ROWS_MAX))])
    places = columns_found(rows[0] if rows else [], COLUMNS)
    missing = [field for field in NEEDED if field not in places]
    if missing:
        raise _faulty(
            [
                _problem(
                    f"{sheet}!1",
                    Text(zh=f"缺少列“{COLUMNS[field][0]}”。", en=f'The column "{COLUMNS[field][1]}" is missing.'),
                )
                for field in missing
            ]
        )
    problems: list[dict[str, JsonValue]] = []
    people: dict[str, NewMember] = {}
    for number, row in enumerate(rows[1:], start=2):
        if any(str(cell).strip() for cell in row):
            cells = {field: row[place] for field, place in places.items() if place < len(row)}
            where = {field: f"{sheet}!{column_letters(place)}{number}" for field, place in places.items()}
            _take(cells, where, people, problems)
    if not people and not problems:
        problems.append(_problem(sheet, Text(zh="文件里没有人员。", en="The file holds nobody.")))
    if problems:
        raise _faulty(problems[:PROBLEMS_MAX])
    return tuple(people.values())


def _take(
    cells: Mapping[str, object],
    where: Mapping[str, str],
    people: dict[str, NewMember],
    problems: list[dict[str, JsonValue]],
) -> None:
    said = {field: _plain(value) for field, value in cells.items()}
    said["role"] = _ROLES.get(str(said.get("role")), said.get("role"))
    training = {field: said[field] for field in _TRAINING if said.get(field) is not None}
    member = _read(NewMember, {field: said.get(field) for field in NEEDED}, where, problems)
    made = _read(Training, training, where, problems) if training else None
    if member is None or (training and made is None):
        return
    if made is not None:
        member = member.model_copy(update={"trainings": (made,)})
    known = people.get(member.name)
    if known is None:
        people[member.name] = member
    elif (known.role, known.assigned_on) != (member.role, member.assigned_on):
        what = Text(zh="与同名人员的前一行不一致。", en="It differs from an earlier row of this name.")
        problems.append(_problem(where["role"], what))
    else:
        people[member.name] = known.model_copy(update={"trainings": (*known.trainings, *member.trainings)})


def _read(
    of: type[AValue], said: Mapping[str, object], where: Mapping[str, str], problems: list[dict[str, JsonValue]]
) -> AValue | None:
    """Return a value of cells, or None after naming each that cannot be one."""
    try:
        return of.model_validate(dict(said))
    except ValidationError as error:
        for one in error.errors():
            field = str(one["loc"][0])
            problems.append(_problem(where.get(field, where["name"]), _SAYS.get(field, _LONG)))
        return None


def _plain(value: object) -> object:
    """Return a cell as values take it: days of dates, whole numbers, stripped text, None for nothing."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date | bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value) if abs(value) < 10**6 else str(int(value))
    text = str(value).strip()
    return text.replace("/", "-") if text[:4].isdecimal() and text.count("/") == 2 else text or None


def _problem(place: str, what: Text) -> dict[str, JsonValue]:
    return {"place": place, "zh": what.zh, "en": what.en}


def _faulty(problems: Sequence[dict[str, JsonValue]]) -> Invalid:
    return Invalid(
        "governance.staff_file_faulty",
        what=Text(
            zh=f"人员文件有 {len(problems)} 处问题，没有导入。",
            en=f"The file has {len(problems)} faults; nothing was imported.",
        ),
        remedy=Text(zh="请按所列位置改正后重新导入。", en="Mend the cells that are named and import it again."),
        context={"problems": list(problems)},
    )
