"""Reads service items from a spreadsheet (xlsx) or YAML that a department wrote; every fault is named by its cell.

A workbook has two sheets: 事项 (a row for each service item) and 字段 (a row for each thing asked, tied by 事项代码).
Columns are found by their Chinese or English heading, in any order. In YAML, `items` is a list with `fields` in each.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from datong.catalogue.service_values import (
    CASES_MAX,
    FIELDS_MAX,
    SECONDS_DEFAULT,
    SECONDS_MAX,
    SHEETS_MAX,
    NewServiceField,
    NewServiceItem,
)
from datong.catalogue.sheet_places import column_letters, columns_found, goes_on_after, too_many_rows
from datong.catalogue.spreadsheet_guard import check_archive, not_a_spreadsheet
from datong.kernel import DatongError, DepartmentCode, Invalid, Text, TooLarge, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.norms import NormPack, read_mapping

FILE_BYTES_MAX = 8 * 1024 * 1024
ROWS_MAX = 50_000
PROBLEMS_MAX = 200
CODE_CHARS_MAX = 64
ITEM_SHEETS = ("事项", "items")
FIELD_SHEETS = ("字段", "fields")
ITEM_COLUMNS = {
    "code": ("事项代码", "code"),
    "name": ("事项名称", "name"),
    "name_en": ("事项英文名称", "name_en"),
    "department": ("部门", "department"),
    "legal_basis": ("设定依据", "legal_basis"),
    "annual_cases": ("年办件量", "annual_cases"),
}
FIELD_COLUMNS = {
    "code": ("事项代码", "code"),
    "name": ("字段名称", "name"),
    "name_en": ("字段英文名称", "name_en"),
    "material": ("材料", "material"),
    "element": ("数据元", "element"),
    "seconds": ("填写秒数", "seconds"),
    "sheets": ("份数", "sheets"),
}
NEEDED = {"code", "name"}


class FileProblem(Value):
    """One fault of a file: where (`事项!C5`, or a path in YAML), and what."""

    place: str
    what: Text


class _Row(Value):
    """One row as it was read: the raw values by field, and the place of each."""

    values: dict[str, Any]
    places: dict[str, str]
    place: str


class _Reader:
    """Gathers problems while it makes values of raw rows."""

    def __init__(self, pack: NormPack, departments: Mapping[str, DepartmentCode], own: DepartmentCode | None) -> None:
        self.problems: list[FileProblem] = []
        self._departments, self._own = departments, own
        self._elements = {element.code: element.code for element in pack.elements} | {
            element.name.zh: element.code for element in pack.elements
        }

    def report(self, place: str, zh: str, en: str) -> None:
        """Note a problem."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(FileProblem(place=place, what=Text(zh=zh, en=en)))

    def report_too_many(self, place: str) -> None:
        """Note where there are more rows than go at once."""
        said = too_many_rows(ROWS_MAX)
        self.report(place, said.zh, said.en)

    def item(self, row: _Row, fields: Sequence[_Row]) -> NewServiceItem | None:
        """Return a service item, or None after noting what is wrong with it."""
        before = len(self.problems)
        code = self.text(row, "code", needed=True, chars_max=CODE_CHARS_MAX)
        if any(character.isspace() for character in code):
            self.report(row.places.get("code", row.place), "事项代码中不能有空格。", "The code must not hold spaces.")
        name = self.text(row, "name", needed=True)
        name_en = self.text(row, "name_en") or name
        department = self.department(row)
        legal_basis = self.text(row, "legal_basis", chars_max=TEXT_CHARS_MAX)
        cases = self.number(row, "annual_cases", 0, CASES_MAX, None)
        asked = [self.field(field) for field in fields]
        if not asked:
            self.report(row.place, "该事项没有字段。", "The item has no fields.")
        if len(asked) > FIELDS_MAX:
            self.report(row.place, f"字段超过 {FIELDS_MAX} 个。", f"There are more than {FIELDS_MAX} fields.")
        if len(self.problems) > before or department is None or cases is None:
            return None
        return NewServiceItem(
            code=code,
            name=Text(zh=name, en=name_en),
            department=department,
            legal_basis=legal_basis,
            annual_cases=cases,
            fields=tuple(field for field in asked if field is not None),
        )

    def field(self, row: _Row) -> NewServiceField | None:
        """Return a field, or None after noting what is wrong with it."""
        before = len(self.problems)
        name = self.text(row, "name", needed=True)
        name_en = self.text(row, "name_en") or name
        material = self.text(row, "material")
        wanted = self.text(row, "element")
        if wanted and wanted not in self._elements:
            self.report(
                row.places.get("element", row.place),
                f"规范中没有数据元“{wanted}”。",
                f'The norms know no data element "{wanted}".',
            )
        seconds = self.number(row, "seconds", 0, SECONDS_MAX, SECONDS_DEFAULT)
        sheets = self.number(row, "sheets", 0, SHEETS_MAX, 0)
        if len(self.problems) > before or seconds is None or sheets is None:
            return None
        return NewServiceField(
            name=Text(zh=name, en=name_en),
            material=material,
            element=self._elements.get(wanted),
            seconds=seconds,
            sheets=sheets,
        )

    def department(self, row: _Row) -> DepartmentCode | None:
        """Return the department by its code or name; an empty cell means the importing one."""
        wanted = self.text(row, "department")
        found = self._departments.get(wanted) if wanted else self._own
        if found is None:
            self.report(
                row.places.get("department", row.place),
                f"没有部门“{wanted}”。" if wanted else "没有写部门。",
                f'There is no department "{wanted}".' if wanted else "The department is missing.",
            )
        return found

    def text(self, row: _Row, name: str, *, needed: bool = False, chars_max: int = NAME_CHARS_MAX) -> str:
        """Return a cell as text; whole numbers as spreadsheets keep them lose their `.0`."""
        value = row.values.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        place = row.places.get(name, row.place)
        if isinstance(value, Mapping | list | tuple | bool):
            self.report(place, "这里应是文字。", "A text is needed here.")
            return ""
        text = "" if value is None else str(value).strip()
        if needed and not text:
            self.report(place, "不能为空。", "This must not be empty.")
        if len(text) > chars_max:
            self.report(place, f"超过 {chars_max} 个字符。", f"This is longer than {chars_max} characters.")
            return ""
        if not text.isprintable() and any(ord(one) < 32 and one not in "\r\n\t" for one in text):
            self.report(place, "含有不可见的控制字符。", "This holds control characters.")
        return text

    def number(self, row: _Row, name: str, low: int, high: int, default: int | None) -> int | None:
        """Return a cell as a whole number between `low` and `high`; an empty one is `default`, if there is one."""
        value = row.values.get(name)
        place = row.places.get(name, row.place)
        text = self.text(row, name).replace(",", "").replace("，", "")
        if not text and default is not None and not isinstance(value, Mapping | list | tuple | bool):
            return default
        if text.isascii() and text.isdecimal() and len(text) < 12 and low <= int(text) <= high:
            return int(text)
        if text or not isinstance(value, Mapping | list | tuple | bool):
            self.report(place, f"应是 {low} 到 {high} 的整数。", f"A whole number from {low} to {high} is needed.")
        return None


def read_service_items(
    content: bytes,
    *,
    pack: NormPack,
    departments: Mapping[str, DepartmentCode],
    own: DepartmentCode | None,
) -> tuple[NewServiceItem, ...]:
    """Return the service items of a file; `departments` finds a code by code or name, `own` is the importer's.

    Raises:
        Invalid: it is neither a workbook nor YAML of this shape; `problems` in the context names every faulty place.
        TooLarge: it is larger than `FILE_BYTES_MAX`.
    """
    if len(content) > FILE_BYTES_MAX:
        raise TooLarge(
            "catalogue.service_file_too_large",
            what=Text(zh="文件超过 8 MiB。", en="The file is larger than 8 MiB."),
            remedy=Text(zh="请分成几个文件导入。", en="Split it into several files."),
        )
    reader = _Reader(pack, departments, own)
    read = _read_workbook if content[:2] == b"PK" else _read_yaml
    rows = read(content, reader)
    items = [reader.item(row, fields) for row, fields in rows]
    _report_repeats([row for row, _ in rows], reader)
    if not rows and not reader.problems:
        reader.report("", "文件里没有事项。", "The file holds no service items.")
    if reader.problems:
        raise _faulty(reader.problems)
    return tuple(item for item in items if item is not None)


def _report_repeats(rows: Sequence[_Row], reader: _Reader) -> None:
    seen: set[str] = set()
    for row in rows:
        code = str(row.values.get("code", "")).strip()
        if code and code in seen:
            reader.report(row.places.get("code", row.place), f"事项代码 {code} 重复。", f"The code {code} is repeated.")
        seen.add(code)


def _read_workbook(content: bytes, reader: _Reader) -> list[tuple[_Row, list[_Row]]]:
    check_archive(content)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = {name: workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names}
    except (CalamineError, ValueError, OSError) as error:
        raise not_a_spreadsheet(str(error)) from error
    items = _sheet_rows(sheets, ITEM_SHEETS, ITEM_COLUMNS, reader)
    fields = _sheet_rows(sheets, FIELD_SHEETS, FIELD_COLUMNS, reader)
    by_code: dict[str, list[_Row]] = {}
    for row in fields:
        by_code.setdefault(reader.text(row, "code", needed=True, chars_max=CODE_CHARS_MAX), []).append(row)
    known = {reader.text(row, "code", chars_max=CODE_CHARS_MAX) for row in items}
    for code, rows in by_code.items():
        if code and code not in known:
            reader.report(
                rows[0].places.get("code", rows[0].place),
                f"“事项”表里没有代码 {code}。",
                f"The sheet of items has no code {code}.",
            )
    return [(row, by_code.get(reader.text(row, "code", chars_max=CODE_CHARS_MAX), [])) for row in items]


def _sheet_rows(
    sheets: Mapping[str, list[list[Any]]],
    names: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    reader: _Reader,
) -> list[_Row]:
    name = next((one for one in sheets if one.strip().casefold() in names), None)
    if name is None:
        reader.report(names[0], f"缺少工作表“{names[0]}”。", f'The sheet "{names[0]}" is missing.')
        return []
    rows = sheets[name]
    if goes_on_after(rows, ROWS_MAX):
        reader.report_too_many(f"{name}!{ROWS_MAX + 2}")
        return []
    places = columns_found(rows[0] if rows else [], columns)
    for field in NEEDED - places.keys():
        reader.report(f"{name}!1", f"缺少列“{columns[field][0]}”。", f'The column "{columns[field][0]}" is missing.')
    if NEEDED - places.keys():
        return []
    return [
        _Row(
            values={field: row[place] for field, place in places.items() if place < len(row)},
            places={field: f"{name}!{column_letters(place)}{number}" for field, place in places.items()},
            place=f"{name}!{number}",
        )
        for number, row in enumerate(rows[1 : ROWS_MAX + 1], start=2)
        if any(str(cell).strip() for cell in row)
    ]


def _read_yaml(content: bytes, reader: _Reader) -> list[tuple[_Row, list[_Row]]]:
    try:
        document = read_mapping(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _unreadable("it is no UTF-8 text", "不是 UTF-8 文本") from error
    except DatongError as error:
        where = error.field or ""
        raise _unreadable(f"it is no usable YAML {where}".strip(), f"不是可用的 YAML {where}".strip()) from error
    found = []
    for place, item in _listed(document.get("items"), "/items", reader):
        row = _mapping_row(item, place, reader, ITEM_COLUMNS, more={"fields"})
        fields = [
            _mapping_row(field, where, reader, FIELD_COLUMNS)
            for where, field in _listed(item.get("fields"), f"{place}/fields", reader)
        ]
        found.append((row, fields))
    for name in document.keys() - {"items"}:
        reader.report(f"/{name}", "不认识的内容。", "Nothing of this name is known.")
    return found


def _listed(value: object, place: str, reader: _Reader) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(value, list):
        reader.report(place, "这里应是列表。", "A list is needed here.")
        return []
    if len(value) > ROWS_MAX:
        reader.report_too_many(f"{place}/{ROWS_MAX}")
        return []
    found = []
    for number, one in enumerate(value):
        if isinstance(one, Mapping):
            found.append((f"{place}/{number}", one))
        else:
            reader.report(f"{place}/{number}", "这里应是键值表。", "A mapping is needed here.")
    return found


def _mapping_row(
    item: Mapping[str, Any],
    place: str,
    reader: _Reader,
    columns: Mapping[str, Sequence[str]],
    more: set[str] | None = None,
) -> _Row:
    for unknown in item.keys() - columns.keys() - (more or set()):
        reader.report(f"{place}/{unknown}", "不认识的内容。", "Nothing of this name is known.")
    values = {name: value for name, value in item.items() if name in columns}
    name = values.get("name")
    if isinstance(name, Mapping):
        # A name may be written in both languages, as in the norms.
        values["name"], values["name_en"] = name.get("zh"), name.get("en")
    return _Row(values=values, places={field: f"{place}/{field}" for field in columns}, place=place)


def _faulty(problems: Sequence[FileProblem]) -> Invalid:
    first = problems[0]
    return Invalid(
        "catalogue.service_file_faulty",
        what=Text(
            zh=f"文件有 {len(problems)} 处问题，第一处在 {first.place}：{first.what.zh}",
            en=f"The file has {len(problems)} faults, the first at {first.place}: {first.what.en}",
        ),
        remedy=Text(
            zh="请逐处改正后重新导入；未导入任何内容。", en="Correct each and import again; nothing was imported."
        ),
        field="/file",
        context={"problems": [{"place": one.place, "zh": one.what.zh, "en": one.what.en} for one in problems]},
    )


def _unreadable(problem_en: str, problem_zh: str) -> Invalid:
    return Invalid(
        "catalogue.service_file_unreadable",
        what=Text(zh=f"文件无法读取：{problem_zh}。", en=f"The file cannot be read: {problem_en}."),
        remedy=Text(zh="请使用平台给出的模板。", en="Use the template that the platform offers."),
        field="/file",
    )
