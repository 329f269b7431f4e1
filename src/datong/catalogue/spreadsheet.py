"""The catalogue as a spreadsheet (xlsx) in the ministry's layout: written, read back, and copied with comments.

A resource takes one row for each of its items; its own columns stand in its first row. Two more sheets hold what may
occur more than once in a resource or an item. Written and read back, a content is the same.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

import python_calamine
import xlsxwriter
from pydantic import ValidationError

from datong.catalogue.completeness import content_problems
from datong.catalogue.intake import untold
from datong.catalogue.spreadsheet_columns import (
    CODE,
    EXTENSION,
    ITEM_COLUMNS,
    PROVIDER,
    PROVIDER_CODE,
    PUBLISHED,
    RESOURCE_COLUMNS,
    RESOURCE_ID,
    SERIAL,
    CellProblemFound,
    Column,
    cell_text,
)
from datong.catalogue.spreadsheet_guard import check_archive, not_a_spreadsheet
from datong.catalogue.values import Resource, ResourceContent
from datong.kernel import DepartmentCode, Invalid, Text, Value
from datong.norms import NormPack

MAIN, EVIDENCE, DISTRIBUTIONS = "信息资源目录", f"{EXTENSION}映射依据", f"{EXTENSION}获取方式"
RESOURCES_MAX = 5000
PROBLEMS_MAX = 1000
COMMENT_CHARS_MAX = 1000
CELL_CHARS_MAX = 32_767
_ABOUT = (CODE, PROVIDER, PROVIDER_CODE, PUBLISHED, RESOURCE_ID)
_EVIDENCE_TITLES = (SERIAL, "信息项序号", "依据", "依据（英文）")
_DISTRIBUTION_TITLES = (
    SERIAL,
    "编号",
    "名称",
    "名称（英文）",
    "媒体类型",
    "访问地址",
    "下载地址",
    "字节数",
    "是否开放",
)
_DISTRIBUTION_FIELDS = ("id", "", "", "media_type", "access_url", "download_url", "bytes", "open")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_IN_TIME = Text(
    zh="可先作为草稿导入，提交审核前须补正。", en="It can be imported as a draft; complete it before submitting."
)
_AS_SHOWN = Text(zh="请按导出模板的格式填写。", en="Fill it in as the exported template shows.")


class CellProblem(Value):
    """What is wrong in one cell, and what to do; an `error` keeps the resource out, a warning does not."""

    cell: str
    column: str
    serial: str
    error: bool
    problem: Text
    remedy: Text


class Place(NamedTuple):
    """A cell: its sheet, and row and column from 0."""

    sheet: str
    row: int
    column: int

    @property
    def name(self) -> str:
        """The cell as spreadsheets name it, for example 信息资源目录!B7."""
        return f"{self.sheet}!{xlsxwriter.utility.xl_rowcol_to_cell(self.row, self.column)}"


class SheetResource(NamedTuple):
    """One resource as a file has it; without content it could not be read. `place` names where it stands."""

    serial: str
    code: str
    resource_id: str
    provider: str
    place: str
    content: ResourceContent | None


class SheetReading(NamedTuple):
    """Everything read from a file: the first problems of either kind, and how many there are of each."""

    resources: tuple[SheetResource, ...]
    problems: tuple[CellProblem, ...]
    errors: int
    warnings: int


def write_spreadsheet(
    target: IO[bytes], resources: Iterable[Resource], pack: NormPack, department_names: Mapping[DepartmentCode, str]
) -> int:
    """Write resources to an xlsx file, a row at a time, and return how many there were.

    Every cell is text; what a spreadsheet could take for a formula carries the mark of a quoted text.

    Raises:
        Invalid: a text is longer than a cell can hold.
    """
    # Closing writes the end of the file, and frees the pieces on disk also after a failure.
    with xlsxwriter.Workbook(target, {"constant_memory": True, "strings_to_urls": False}) as book:
        return _fill(book, resources, pack, department_names)


def _fill(
    book: Any, resources: Iterable[Resource], pack: NormPack, department_names: Mapping[DepartmentCode, str]
) -> int:
    title = book.add_format({"bold": True, "bg_color": "#DCE6F1", "text_wrap": True, "valign": "vcenter"})
    extension = book.add_format({"bold": True, "bg_color": "#EFEFEF", "text_wrap": True, "valign": "vcenter"})
    quoted = book.add_format({"quote_prefix": True})
    main = book.add_worksheet(MAIN)
    main.freeze_panes(1, 2)
    columns = (*RESOURCE_COLUMNS, *ITEM_COLUMNS)
    titles = (SERIAL, *_ABOUT, *(column.title for column in columns))
    for number, name in enumerate(titles):
        main.write_string(0, number, name, extension if name.startswith(EXTENSION) else title)
    for number, column in enumerate(columns, start=1 + len(_ABOUT)):
        main.set_column(number, number, column.width)
    evidence, distributions = [list(_EVIDENCE_TITLES)], [list(_DISTRIBUTION_TITLES)]
    row, count = 1, 0
    for count, found in enumerate(resources, start=1):
        serial = str(count)
        for cells in _rows(found, serial, pack, department_names):
            _put(main, row, cells, quoted)
            row += 1
        evidence += _evidence_rows(found, serial)
        distributions += _distribution_rows(found, serial)
    for name, rows in ((EVIDENCE, evidence), (DISTRIBUTIONS, distributions)):
        sheet = book.add_worksheet(name)
        for number, cells in enumerate(rows):
            _put(sheet, number, cells, quoted)
    return count


def _put(sheet: Any, row: int, cells: Sequence[str], quoted: Any) -> None:
    for number, text in enumerate(cells):
        if not text:
            continue
        if len(text) > CELL_CHARS_MAX:
            raise Invalid(
                "catalogue.cell_too_long",
                what=Text(
                    zh=f"一个单元格最多 {CELL_CHARS_MAX} 字，有文字更长，无法导出到表格。",
                    en=f"A cell holds at most {CELL_CHARS_MAX} characters; a text is longer than that.",
                ),
                remedy=Text(zh="请改用 JSON 导出。", en="Export as JSON instead."),
                context={"sheet": sheet.name, "row": row + 1},
            )
        sheet.write_string(row, number, text, quoted if text.startswith(_FORMULA_STARTS) else None)


def _rows(found: Resource, serial: str, pack: NormPack, names: Mapping[DepartmentCode, str]) -> Iterator[list[str]]:
    content = found.content
    published = found.published_at.date().isoformat() if found.published_at else ""
    about = [serial, found.code or "", names.get(found.department, ""), found.department, published, found.id]
    own = [_written(column, content, pack) for column in RESOURCE_COLUMNS]
    blank = [""] * (len(about) + len(own))
    items = content.items or (None,)
    for number, item in enumerate(items):
        first = [*about, *own] if number == 0 else blank
        yield [*first, *(("" if item is None else _written(column, item, pack)) for column in ITEM_COLUMNS)]


def _written(column: Column, holder: Any, pack: NormPack) -> str:
    value = holder
    for name in column.path:
        value = None if value is None else getattr(value, name)
    if value is None:
        return ""
    return column.write(value, pack)


def _evidence_rows(found: Resource, serial: str) -> list[list[str]]:
    return [
        [serial, str(number), text.zh, text.en]
        for number, item in enumerate(found.content.items, start=1)
        for text in item.mapping_evidence
    ]


def _distribution_rows(found: Resource, serial: str) -> list[list[str]]:
    return [
        [
            serial,
            entry.id,
            entry.title.zh,
            entry.title.en,
            entry.media_type,
            entry.access_url,
            entry.download_url,
            "" if entry.bytes is None else str(entry.bytes),
            "是" if entry.open else "否",
        ]
        for entry in found.content.distributions
    ]


def read_spreadsheet(body: bytes, pack: NormPack, told: Callable[[int, int], None] = untold) -> SheetReading:
    """Read resources from an xlsx file, and say of every cell what is wrong with it; `told` hears how far it is.

    Raises:
        Invalid: it is no xlsx file, has no sheet of the layout, or is larger than may be read.
    """
    sheets = _sheets(body)
    if MAIN not in sheets:
        # A file made by others may call its only sheet anything.
        first = next(iter(sheets))
        sheets[MAIN] = sheets[first]
        return _Reader(sheets, pack, main=first).read(told)
    return _Reader(sheets, pack, main=MAIN).read(told)


def _sheets(body: bytes) -> dict[str, list[list[str]]]:
    check_archive(body)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(body))
        return {
            name: [
                [cell_text(value) for value in row]
                for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            ]
            for name in book.sheet_names
        }
    except (python_calamine.CalamineError, ValueError, OSError) as error:
        raise not_a_spreadsheet(str(error)) from error


class _Reader:
    """Reads one file; keeps where each value stood, so that what is wrong with it names the cell."""

    def __init__(self, sheets: dict[str, list[list[str]]], pack: NormPack, *, main: str) -> None:
        self._sheets, self._pack, self._main = sheets, pack, main
        self._problems: list[CellProblem] = []
        self._counts = {True: 0, False: 0}
        self._places: dict[str, Place] = {}
        titles = [title.strip() for title in sheets[MAIN][0]] if sheets[MAIN] else []
        self._columns = {title: number for number, title in enumerate(titles) if title}
        if "信息资源名称" not in self._columns:
            raise Invalid(
                "catalogue.layout_unknown",
                what=Text(
                    zh=f"工作表“{main}”第一行没有“信息资源名称”列。",
                    en=f'The first row of sheet "{main}" has no column "信息资源名称".',
                ),
                remedy=Text(zh="请使用本平台导出的模板。", en="Use the template that this platform exports."),
                field="/file",
            )

    def read(self, told: Callable[[int, int], None]) -> SheetReading:
        groups = self._groups()
        if len(groups) > RESOURCES_MAX:
            raise Invalid(
                "catalogue.too_many_resources",
                what=Text(
                    zh=f"一个文件最多 {RESOURCES_MAX} 条资源。", en=f"A file holds at most {RESOURCES_MAX} resources."
                ),
                remedy=Text(zh="请分成几个文件导入。", en="Import it in several files."),
                field="/file",
            )
        evidence, distributions = self._by_serial(EVIDENCE), self._by_serial(DISTRIBUTIONS)
        found: list[SheetResource] = []
        for serial, rows in groups:
            told(len(found), len(groups))
            found.append(self._resource(serial, rows, evidence.get(serial, []), distributions.get(serial, [])))
        return SheetReading(
            resources=tuple(found),
            problems=tuple(self._problems),
            errors=self._counts[True],
            warnings=self._counts[False],
        )

    def _groups(self) -> list[tuple[str, list[int]]]:
        """Return the rows of each resource: a new number, or a new name where there are no numbers, starts one."""
        groups: list[tuple[str, list[int]]] = []
        current = ("", "")
        for row in range(1, len(self._sheets[MAIN])):
            serial, name = self._cell(row, SERIAL), self._cell(row, "信息资源名称")
            if not any(self._sheets[MAIN][row]):
                continue
            starts = (serial != current[0]) if serial else bool(name and name != current[1])
            if starts or not groups:
                groups.append((serial or f"#{row + 1}", []))
                current = (serial, name)
            groups[-1][1].append(row)
        return groups

    def _by_serial(self, sheet: str) -> dict[str, list[tuple[int, list[str]]]]:
        found: dict[str, list[tuple[int, list[str]]]] = {}
        for row, cells in enumerate(self._sheets.get(sheet, [])[1:], start=1):
            if cells and cells[0]:
                found.setdefault(cells[0], []).append((row, cells))
        return found

    def _resource(
        self, serial: str, rows: list[int], evidence: list[tuple[int, list[str]]], files: list[tuple[int, list[str]]]
    ) -> SheetResource:
        before = self._counts[True]
        self._places = {}
        first = rows[0]
        raw = self._values(RESOURCE_COLUMNS, first, "")
        shared: dict[str, Any] = {
            name: raw[name] for name in ("share_type", "share_condition", "share_modes") if name in raw
        }
        items = [row for row in rows if any(self._cell(row, column.title) for column in ITEM_COLUMNS)]
        raw["items"] = [self._item(row, number, shared) for number, row in enumerate(items)]
        self._add_evidence(raw["items"], evidence)
        raw["distributions"] = [self._distribution(number, row, cells) for number, (row, cells) in enumerate(files)]
        content = None
        if self._counts[True] == before:
            content = self._validated(raw, serial, first)
        return SheetResource(
            serial=serial,
            code=self._cell(first, CODE).strip(),
            resource_id=self._cell(first, RESOURCE_ID).strip(),
            provider=self._cell(first, PROVIDER_CODE).strip(),
            place=self._place(first, "信息资源名称").name,
            content=content,
        )

    def _values(self, columns: Sequence[Column], row: int, pointer: str) -> dict[str, Any]:
        """Return what the row says in `columns`, nested by their paths; what it does not say is left out."""
        values: dict[str, Any] = {}
        for column in columns:
            if column.read is None or column.title not in self._columns:
                continue
            place = self._place(row, column.title)
            path = f"{pointer}/{'/'.join(column.path)}"
            self._places.setdefault(f"{pointer}/{column.path[0]}", place)
            self._places[path] = place
            try:
                value = column.read(self._cell(row, column.title), self._pack)
            except CellProblemFound as found:
                self._note(place, column.title, found.problem, found.remedy, error=True)
                continue
            if value is not None:
                holder = values
                for name in column.path[:-1]:
                    holder = holder.setdefault(name, {})
                holder[column.path[-1]] = value
        for name in ("contact", "assessment", "binding"):
            if name in values and not any(values[name].values()):
                del values[name]
        return values

    def _item(self, row: int, number: int, shared: Mapping[str, Any]) -> dict[str, Any]:
        values = self._values(ITEM_COLUMNS, row, f"/items/{number}")
        values.setdefault("name", {}).setdefault("en", "")
        values["column"] = values.get("column") or values["name"].get("zh", "")
        if "share_type" not in values:
            # The layout of others states the terms once, for the resource.
            values.update({name: value for name, value in shared.items() if not values.get(name)})
        return values

    def _add_evidence(self, items: list[dict[str, Any]], evidence: list[tuple[int, list[str]]]) -> None:
        for row, cells in evidence:
            _serial, number, zh, en = (*cells, "", "", "")[:4]
            if number.isascii() and number.isdecimal() and 0 < int(number[:9]) <= len(items):
                items[int(number) - 1].setdefault("mapping_evidence", []).append({"zh": zh, "en": en})
                continue
            self._note(
                Place(EVIDENCE, row, 1),
                _EVIDENCE_TITLES[1],
                Text(zh=f"没有第“{number}”个信息项", en=f'there is no item number "{number}"'),
                Text(zh="请填该资源的信息项序号。", en="Give the number of an item of this resource."),
                error=True,
            )

    def _distribution(self, number: int, row: int, cells: list[str]) -> dict[str, Any]:
        _serial, key, zh, en, media_type, access, download, size, is_open = (*cells, *[""] * 9)[:9]
        for place, field in enumerate(_DISTRIBUTION_FIELDS, start=1):
            self._places[f"/distributions/{number}/{field or 'title'}"] = Place(DISTRIBUTIONS, row, place)
        return {
            "id": key,
            "title": {"zh": zh, "en": en},
            "media_type": media_type,
            "access_url": access,
            "download_url": download,
            "bytes": size.strip() or None,
            "open": is_open.strip() == "是",
        }

    def _validated(self, raw: dict[str, Any], serial: str, row: int) -> ResourceContent | None:
        raw.setdefault("title", {}).setdefault("en", "")
        raw.setdefault("summary", {}).setdefault("zh", "")
        raw["summary"].setdefault("en", "")
        try:
            content = ResourceContent.model_validate(raw)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                pointer = "/" + "/".join(str(part) for part in found["loc"])
                place, title = self._where(pointer, row)
                message = Text(zh=f"格式不符：{found['msg']}", en=str(found["msg"]))
                self._note(place, title, message, _AS_SHOWN, error=True, serial=serial)
            return None
        for pointer, text in content_problems(content, self._pack):
            place, title = self._where(pointer, row)
            self._note(place, title, text, _IN_TIME, error=False, serial=serial)
        return content

    def _where(self, pointer: str, row: int) -> tuple[Place, str]:
        """Return the cell of a value, or of the nearest thing around it, with its column's title."""
        while pointer:
            place = self._places.get(pointer)
            if place is not None:
                return place, self._title_at(place)
            pointer = pointer.rpartition("/")[0]
        return self._place(row, "信息资源名称"), "信息资源名称"

    def _title_at(self, place: Place) -> str:
        sheet = MAIN if place.sheet == self._main else place.sheet
        titles = self._sheets[sheet][0]
        return titles[place.column] if place.column < len(titles) else ""

    def _place(self, row: int, title: str) -> Place:
        return Place(self._main, row, self._columns.get(title, 0))

    def _cell(self, row: int, title: str) -> str:
        number = self._columns.get(title)
        cells = self._sheets[MAIN][row]
        return cells[number] if number is not None and number < len(cells) else ""

    def _note(self, place: Place, column: str, problem: Text, remedy: Text, *, error: bool, serial: str = "") -> None:
        self._counts[error] += 1
        if self._counts[error] > PROBLEMS_MAX:
            # Counted, not listed: a file with thousands of errors is told about the first.
            return
        self._problems.append(
            CellProblem(cell=place.name, column=column, serial=serial, error=error, problem=problem, remedy=remedy)
        )


def annotated_copy(body: bytes, problems: Sequence[CellProblem]) -> bytes:
    """Return a copy of a file with a comment at each cell that has a problem; layout beyond the texts is not kept."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_urls": False})
    bad = book.add_format({"bg_color": "#F8CBAD"})
    doubtful = book.add_format({"bg_color": "#FFE699"})
    by_cell: dict[str, list[CellProblem]] = {}
    for problem in problems:
        by_cell.setdefault(problem.cell, []).append(problem)
    for name, rows in _sheets(body).items():
        sheet = book.add_worksheet(name)
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                told = by_cell.get(Place(name, row, column).name, [])
                if told:
                    style = bad if any(problem.error for problem in told) else doubtful
                    sheet.write_string(row, column, text, style)
                    words = "\n".join(
                        f"{one.problem.zh}。{one.remedy.zh}\n{one.problem.en}. {one.remedy.en}" for one in told
                    )
                    sheet.write_comment(row, column, words[:COMMENT_CHARS_MAX], {"x_scale": 2, "y_scale": 2})
                elif text:
                    sheet.write_string(row, column, text)
    book.close()
    return target.getvalue()
