"""All of a file or nothing of it, however much is wrong with it."""

import io

from openpyxl.reader.excel import load_workbook

from datong.catalogue import CatalogueFiles, FileFormat, Resource, ResourceContent, ResourceState
from datong.catalogue.spreadsheet import MAIN, PROBLEMS_MAX, write_spreadsheet
from datong.kernel import ResourceId, Text
from datong.norms import NormPack
from tests.unit.catalogue.conftest import POLICE, POLICE_ACTOR, Office

MANY = 400


def sheet_with_an_error_at_its_end(office: Office, pack: NormPack) -> bytes:
    """Bare resources, each a warning or more, and a last one whose update cycle does not read."""
    at = office.clock.now()
    bare = [
        Resource(
            id=ResourceId(""),
            code=None,
            department=POLICE,
            state=ResourceState.DRAFT,
            version=1,
            published_version=None,
            content=ResourceContent(title=Text(zh=f"资源{number}", en="")),
            created_at=at,
            updated_at=at,
        )
        for number in range(MANY)
    ]
    written = io.BytesIO()
    write_spreadsheet(written, bare, pack, {})
    book = load_workbook(written)
    sheet = book[MAIN]
    titles = [cell.value for cell in sheet[1]]
    sheet.cell(row=MANY + 1, column=titles.index("更新周期") + 1).value = "偶尔"
    spoilt = io.BytesIO()
    book.save(spoilt)
    return spoilt.getvalue()


def test_an_error_behind_many_warnings_keeps_everything_out(office: Office, pack: NormPack) -> None:
    files = CatalogueFiles(catalogue=office.catalogue, departments=office.departments, pack=pack)
    body = sheet_with_an_error_at_its_end(office, pack)
    report = files.take_in(body, FileFormat.SPREADSHEET, POLICE, POLICE_ACTOR)
    assert (report.taken, report.errors, report.readable) == (False, 1, MANY - 1)
    assert report.warnings > PROBLEMS_MAX
    assert len(report.problems) == PROBLEMS_MAX
    assert report.problems[0].error, "the error is listed first"
    assert office.catalogue.find(department=POLICE).total == 0
    partly = files.take_in(body, FileFormat.SPREADSHEET, POLICE, POLICE_ACTOR, readable_only=True)
    assert (partly.taken, partly.created, partly.left_out) == (True, MANY - 1, 1)
