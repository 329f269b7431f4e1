"""The catalogue in files: exported as the ministry's spreadsheet or as JSON, checked, and taken in.

Everything a file brings is a draft of the caller's own department. Nothing is half imported: one transaction takes in
the whole file, or, where the caller chose so, every resource that can be read and none of the others.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import IO

from pydantic import ValidationError

from datong.catalogue.catalogue import Catalogue
from datong.catalogue.completeness import content_problems
from datong.catalogue.departments import Departments
from datong.catalogue.intake import Arrival, IntakeResult
from datong.catalogue.records import declared
from datong.catalogue.spreadsheet import (
    PROBLEMS_MAX,
    RESOURCES_MAX,
    CellProblem,
    SheetReading,
    SheetResource,
    annotated_copy,
    read_spreadsheet,
    write_spreadsheet,
)
from datong.catalogue.values import Resource, ResourceContent, ResourceState
from datong.kernel import Actor, DepartmentCode, Invalid, ResourceId, Text, Value
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.norms import NormPack

JSON_FORMAT = "datong-catalogue-1"


class FileFormat(StrEnum):
    """In which form a catalogue travels."""

    SPREADSHEET = "xlsx"
    JSON = "json"


class ImportStage(StrEnum):
    """What an import is doing."""

    READING = "reading"
    WRITING = "writing"

    @property
    def label(self) -> Text:
        """The stage's name."""
        return _STAGES[self]


_STAGES = {
    ImportStage.READING: Text(zh="读取并检查", en="reading and checking"),
    ImportStage.WRITING: Text(zh="写入", en="writing"),
}
ImportProgress = Callable[[ImportStage, int, int], None]
"""Hears the stage, how many resources are through, and of how many."""


def silent(_stage: ImportStage, _done: int, _total: int) -> None:
    """Tell nobody how far it is."""


class ImportReport(Value):
    """What a file holds and what became of it; nothing was written unless `taken` says so."""

    resources: int
    readable: int
    errors: int
    warnings: int
    problems: tuple[CellProblem, ...]
    taken: bool
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    left_out: int = 0
    resource_ids: tuple[ResourceId, ...] = ()


class CatalogueFiles:
    """Export and import over the catalogue service."""

    def __init__(self, *, catalogue: Catalogue, departments: Departments, pack: NormPack) -> None:
        self._catalogue, self._departments, self._pack = catalogue, departments, pack

    def export(
        self,
        target: IO[bytes],
        file_format: FileFormat,
        *,
        department: DepartmentCode | None = None,
        state: ResourceState | None = None,
    ) -> int:
        """Write resources to `target`, the oldest first, and return how many; a page of them is in memory at a time."""
        resources = self._resources(department, state)
        if file_format is FileFormat.SPREADSHEET:
            names = {known.code: known.name.zh for known in self._departments.all()}
            return write_spreadsheet(target, resources, self._pack, names)
        count = 0
        target.write(f'{{"format":"{JSON_FORMAT}","resources":['.encode())
        for count, found in enumerate(resources, start=1):
            entry = {
                "id": found.id,
                "code": found.code,
                "department": found.department,
                "content": declared(found.content).model_dump(mode="json", exclude={"sign_off", "origin"}),
            }
            target.write((",\n" if count > 1 else "\n").encode() + json.dumps(entry, ensure_ascii=False).encode())
        target.write(b"\n]}\n")
        return count

    def check(
        self, body: bytes, file_format: FileFormat, department: DepartmentCode, *, progress: ImportProgress = silent
    ) -> ImportReport:
        """Read a file and report everything that is wrong with it; nothing is written."""
        return _report(self._read(body, file_format, department, progress))

    def take_in(
        self,
        body: bytes,
        file_format: FileFormat,
        department: DepartmentCode,
        actor: Actor,
        *,
        readable_only: bool = False,
        progress: ImportProgress = silent,
    ) -> ImportReport:
        """Take in a file as drafts: all of it, or with `readable_only` every resource without an error.

        Raises:
            Invalid: the file cannot be read at all.
            Refused: the actor belongs to another department.
        """
        reading = self._read(body, file_format, department, progress)
        if not readable_only and reading.errors:
            return _report(reading)
        arrivals = [_arrival(entry) for entry in reading.resources if entry.content is not None]
        result = self._catalogue.take_in(
            department,
            [one for one in arrivals if one],
            actor,
            partly=readable_only,
            told=lambda done, total: progress(ImportStage.WRITING, done, total),
        )
        places = {entry.serial: entry for entry in reading.resources}
        refused = [_refused(places[fault.serial], fault.what, fault.remedy) for fault in result.faults]
        return _report(_with_errors(reading, refused), result)

    def annotated(self, body: bytes, department: DepartmentCode) -> bytes:
        """Return a copy of a spreadsheet with a comment at each cell that has a problem."""
        return annotated_copy(body, self._read(body, FileFormat.SPREADSHEET, department).problems)

    def _resources(self, department: DepartmentCode | None, state: ResourceState | None) -> Iterator[Resource]:
        offset: int | None = 0
        while offset is not None:
            page = self._catalogue.find(department=department, state=state, offset=offset, limit=PAGE_ROWS_MAX)
            yield from page.rows
            offset = page.next_offset

    def _read(
        self, body: bytes, file_format: FileFormat, department: DepartmentCode, progress: ImportProgress = silent
    ) -> SheetReading:
        if file_format is FileFormat.JSON:
            reading = _read_json(body, lambda content: content_problems(content, self._pack))
        else:
            reading = read_spreadsheet(body, self._pack, lambda done, total: progress(ImportStage.READING, done, total))
        strangers = [entry for entry in reading.resources if entry.provider and entry.provider != department]
        if not strangers:
            return reading
        kept = [
            entry._replace(content=None) if entry.provider and entry.provider != department else entry
            for entry in reading.resources
        ]
        refused = [
            _refused(
                entry,
                Text(
                    zh=f"提供方代码 {entry.provider} 不是本部门的",
                    en=f"provider code {entry.provider} is not that of your department",
                ),
                Text(zh="只能导入本部门的目录。", en="Only the own department's catalogue can be imported."),
            )
            for entry in strangers
        ]
        return _with_errors(reading._replace(resources=tuple(kept)), refused)


def _with_errors(reading: SheetReading, more: Sequence[CellProblem]) -> SheetReading:
    """Return the reading with errors that were found beyond the cells."""
    return reading._replace(problems=(*reading.problems, *more), errors=reading.errors + len(more))


def _arrival(entry: SheetResource) -> Arrival | None:
    if entry.content is None:
        return None
    return Arrival(serial=entry.serial, resource_id=entry.resource_id, code=entry.code, content=entry.content)


def _refused(entry: SheetResource, what: Text, remedy: Text) -> CellProblem:
    return CellProblem(
        cell=entry.place,
        column="信息资源名称",
        serial=entry.serial,
        error=True,
        problem=what,
        remedy=remedy,
    )


def _report(reading: SheetReading, result: IntakeResult | None = None) -> ImportReport:
    ordered = sorted(reading.problems, key=lambda problem: not problem.error)
    report = ImportReport(
        resources=len(reading.resources),
        readable=sum(entry.content is not None for entry in reading.resources),
        errors=reading.errors,
        warnings=reading.warnings,
        problems=tuple(ordered[:PROBLEMS_MAX]),
        taken=False,
    )
    if result is None or not result.taken:
        return report
    written = result.created + result.updated + result.unchanged
    return report.model_copy(
        update={
            "taken": True,
            "created": result.created,
            "updated": result.updated,
            "unchanged": result.unchanged,
            "left_out": len(reading.resources) - written,
            "resource_ids": result.resource_ids,
        }
    )


def _read_json(body: bytes, problems_of: Callable[[ResourceContent], Sequence[tuple[str, Text]]]) -> SheetReading:
    """Read our JSON; a place in it is a JSON pointer, for example /resources/3/content/title."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _no_json(str(error)) from error
    entries = document.get("resources") if isinstance(document, dict) else None
    if not isinstance(entries, list) or document.get("format") != JSON_FORMAT or len(entries) > RESOURCES_MAX:
        raise _no_json(f"format is not {JSON_FORMAT}, or more than {RESOURCES_MAX} resources")
    found: list[SheetResource] = []
    problems: list[CellProblem] = []
    for number, entry in enumerate(entries):
        start = f"/resources/{number}"
        given = entry if isinstance(entry, dict) else {}
        content = None
        try:
            content = declared(ResourceContent.model_validate_json(json.dumps(given.get("content"))))
        except ValidationError as error:
            for one in error.errors(include_url=False, include_input=False):
                pointer = "/".join(str(part) for part in one["loc"])
                problems.append(_json_problem(f"{start}/content/{pointer}", str(one["msg"]), number, error=True))
        else:
            for pointer, text in problems_of(content):
                problems.append(_json_problem(f"{start}/content{pointer}", text, number, error=False))
        found.append(
            SheetResource(
                serial=str(number),
                code=str(given.get("code") or ""),
                resource_id=str(given.get("id") or ""),
                provider=str(given.get("department") or ""),
                place=start,
                content=content,
            )
        )
    errors = sum(problem.error for problem in problems)
    return SheetReading(tuple(found), tuple(problems), errors, len(problems) - errors)


def _json_problem(pointer: str, text: str | Text, number: int, *, error: bool) -> CellProblem:
    said = text if isinstance(text, Text) else Text(zh=f"格式不符：{text}", en=text)
    remedy = (
        Text(zh="请按导出文件的格式填写。", en="Write it as an exported file has it.")
        if error
        else Text(zh="可先作为草稿导入，提交审核前须补正。", en="It can be a draft; complete it before submitting.")
    )
    return CellProblem(cell=pointer, column="", serial=str(number), error=error, problem=said, remedy=remedy)


def _no_json(why: str) -> Invalid:
    return Invalid(
        "catalogue.not_our_json",
        what=Text(zh="这不是本平台导出的目录 JSON。", en="This is no catalogue JSON of this platform."),
        remedy=Text(zh="请用“导出 JSON”得到的文件。", en="Use a file from the JSON export."),
        field="/file",
        context={"why": why[:200]},
    )
