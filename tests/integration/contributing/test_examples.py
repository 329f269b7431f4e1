"""What CONTRIBUTING.md shows works as it stands there."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from fastapi import FastAPI
from jinja2 import FileSystemLoader
from starlette.types import ASGIApp

from datong.exchange import Connector, Cursor, ReadQuery
from datong.governance import Measure, Observation, Period
from datong.governance.indicators import FORMULAS, assess
from datong.kernel import EntryId, Invalid, NotFound, Refused, Text
from datong.library.definition import shipped_definitions
from datong.library.definition_reading import check_definition, read_definition
from datong.norms import load_pack
from datong.web.console.desk import environment
from datong.web.routing import RouteIndex
from tests.integration.contributing import departments_page
from tests.integration.contributing.indicator_formula import FORMULA
from tests.integration.contributing.lines_folder import LinesFolder
from tests.integration.web.conftest import running_hub
from tests.new_control import new_control
from tests.unit.governance.samples import MONDAY, POLICE

HERE = Path(__file__).parent
GUIDE = HERE.parents[2] / "CONTRIBUTING.md"
LINES_MAX = 100
EXAMPLES = [path for path in sorted(HERE.rglob("*")) if path.suffix in {".py", ".yaml", ".html"}]


def test_every_example_is_short_and_named_in_the_guide() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for path in EXAMPLES:
        if path.name not in {"__init__.py", Path(__file__).name}:
            assert len(path.read_text(encoding="utf-8").splitlines()) < LINES_MAX
            assert f"tests/integration/contributing/{path.relative_to(HERE)}" in guide


def test_the_connector_hands_out_rows_in_order_and_after_a_cursor(tmp_path: Path) -> None:
    people = [{"no": f"{number:03}", "name": f"张{number}"} for number in (3, 1, 2)]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(one) + "\n" for one in people), encoding="utf-8")
    source: Connector = LinesFolder(tmp_path)
    (schema,) = source.inspect()
    assert schema == source.schema("people")
    assert [column.name for column in schema.columns] == ["no", "name"]
    query = ReadQuery(table="people", columns=("name",), key_columns=("no",))
    assert source.read(query).read_all().column("name").to_pylist() == ["张1", "张2", "张3"]
    later = query.model_copy(update={"after": Cursor(values=("001",))})
    assert source.read(later).read_all().column("name").to_pylist() == ["张2", "张3"]
    assert source.digest("people", schema.columns).rows == source.count("people") == 3
    assert source.sample(schema, 2).read_all().num_rows == 2
    assert source.newest("people", "no") is None
    assert source.schema("other") is None
    with pytest.raises((Invalid, NotFound, Refused)):
        source.count("other")
    assert isinstance(source.read(query), pa.RecordBatchReader)
    source.close()


def test_the_indicator_is_taken_from_a_local_pack_and_counted() -> None:
    definition = load_pack(HERE / "indicator.yaml").indicator("refused_share")
    measures = [Measure.CALL_MADE] * 4 + [Measure.CALL_REFUSED]
    seen = [
        Observation(measure=measure, department=POLICE, at=MONDAY, entry_id=EntryId(f"entry-{number}"))
        for number, measure in enumerate(measures)
    ]
    names = {POLICE: Text(zh="公安局", en="Police")}
    table = assess((definition,), seen, names, {}, period=Period.parse("2026-11"), formulas={**FORMULAS, **FORMULA})
    (value,) = table.departments[0].values
    assert (value.counted, value.base, value.score) == (1, 4, 75.0)
    assert FORMULA.keys().isdisjoint(FORMULAS)


def test_the_thematic_library_is_a_good_definition() -> None:
    definition, problems = read_definition((HERE / "large_families.yaml").read_text(encoding="utf-8"))
    assert definition is not None
    known = {one.name: one for one in shipped_definitions()}
    assert not problems
    assert not check_definition(definition, known, known, load_pack(None))
    assert definition.name not in known


def test_the_page_is_shown_in_both_languages_to_those_who_may_see_it(tmp_path: Path) -> None:
    loader = environment().loader
    assert isinstance(loader, FileSystemLoader)
    loader.searchpath.append(str(HERE / "templates"))
    database = new_control(tmp_path)
    try:
        with running_hub(database, tmp_path / "hub", with_example) as hub:
            officer, visitor = hub.person("authority"), hub.client()
            for language, title in (("zh", "参与部门"), ("en", "Departments taking part")):
                page = officer.get(departments_page.router.prefix, headers={"Accept-Language": language})
                assert page.status_code == 200
                assert title in page.text
            assert page.text.index("政数局") < page.text.index("公安局")
            assert visitor.get(departments_page.router.prefix).status_code in {303, 401}
    finally:
        database.close()
        loader.searchpath.pop()


def with_example(app: ASGIApp) -> ASGIApp:
    """Add the page's routes to a hub's, as its line in `PARTS` of the console does."""
    assert isinstance(app, FastAPI)
    app.router.routes.extend(departments_page.router.routes)
    app.router.middleware_stack = RouteIndex(app.router)
    return app
