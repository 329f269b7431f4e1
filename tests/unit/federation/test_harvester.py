import pytest
from sqlalchemy import func, select

from datong.catalogue import Item, ResourceAction, ResourceState, public_part
from datong.federation import Document, MemoryWeb, Outcome, RunMode, RunState, SourceKind, SourceState
from datong.kernel import Conflict, DatongError, Invalid, Text, Unavailable
from datong.ledger import EntryKind
from datong.ledger.tables import ENTRIES
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, CIVIL, POLICE, content
from tests.unit.federation.conftest import PORTAL, HarvestingHub, OneAnswer, Portal, package


def fill(portal: Portal, *names: str) -> None:
    portal.packages.update({f"id-{name}": package(name) for name in names})


def entries(hub: HarvestingHub, kind: EntryKind) -> int:
    with hub.office.database.snapshot() as connection:
        return connection.execute(
            select(func.count()).select_from(ENTRIES).where(ENTRIES.c.kind == kind.value)
        ).scalar_one()


def test_a_portal_is_harvested_page_by_page_into_the_catalogue(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, *"abcdefgh")
    source = hub.add()
    run = hub.harvest(source)
    assert (run.state, run.mode, run.seen, run.added, run.expected) == (RunState.SUCCEEDED, RunMode.FULL, 8, 8, 8)
    found = hub.visible()["数据集a"]
    assert found.department == POLICE
    assert found.content.origin is not None
    assert found.content.origin.remote_id == "id-a"
    assert found.content.origin.address == f"{PORTAL}/dataset/a"
    assert found.content.open
    assert found.content.distributions[0].access_url == f"{PORTAL}/a.csv"
    assert [hit.resource.id for hit in hub.office.catalogue.search("数据集a", open_only=True).hits][:1] == [found.id]
    assert [step.action for step in hub.office.catalogue.steps(found.id)] == ["receive"]
    assert entries(hub, EntryKind.FOREIGN) == 8
    (step,) = hub.office.catalogue.steps(found.id)
    entry = hub.office.ledger.entries(kind=EntryKind.FOREIGN, subject=found.id).rows[0]
    assert entry.entry_id == step.entry_id
    assert entry.facts["run"] == run.id


def test_harvesting_twice_changes_nothing(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, *"abcde")
    source = hub.add()
    hub.harvest(source)
    before = hub.visible()
    again = hub.harvest(source, mode=RunMode.FULL)
    assert (again.added, again.changed, again.unchanged, again.removed) == (0, 0, 5, 0)
    assert hub.visible() == before
    assert entries(hub, EntryKind.FOREIGN) == 5


def test_an_incremental_run_brings_changes_and_removals(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, *"abcdefgh")
    source = hub.add()
    hub.harvest(source)
    portal.packages["id-b"] = package("b", modified="2026-11-02T00:00:00.000000", title="改名")
    portal.packages["id-z"] = package("z", modified="2026-11-03T00:00:00.000000")
    del portal.packages["id-c"]
    run = hub.harvest(source)
    assert (run.mode, run.state) == (RunMode.INCREMENTAL, RunState.SUCCEEDED)
    assert (run.added, run.changed, run.removed) == (1, 1, 1)
    visible = hub.visible()
    assert set(visible) == {f"数据集{name}" for name in "adefghz"} | {"改名"}
    assert visible["改名"].version == 2
    (removed,) = hub.harvests.notes(run.id, outcome=Outcome.REMOVED).rows
    assert removed.remote_id == "id-c"
    assert removed.resource_id is not None
    retired = hub.office.catalogue.get(removed.resource_id)
    assert retired.state is ResourceState.RETIRED
    assert hub.office.catalogue.steps(retired.id)[-1].reason == "来源已不再提供"
    portal.packages["id-c"] = package("c", modified="2026-11-04T00:00:00.000000")
    back = hub.harvest(source)
    assert back.added == 1
    assert hub.visible()["数据集c"].id == retired.id
    assert hub.visible()["数据集c"].version == 2


def test_a_failing_or_half_finished_harvest_retires_nothing(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, *"abcdefgh")
    source = hub.add()
    hub.harvest(source)
    before = hub.visible()
    down = Unavailable("x.down", what=Text(zh="没有应答", en="down"), remedy=Text(zh="", en=""))
    fill(portal, *"ij")
    hub.harvests.start(source.id, "test", mode=RunMode.FULL)
    run = hub.harvester(web=portal.web(pages_before=2, fault=down)).perform_next()
    assert run is not None
    assert (run.state, run.failure_code, run.removed) == (RunState.FAILED, "x.down", 0)
    assert set(hub.visible()) == set(before)
    portal.announced_more = 5
    del portal.packages["id-a"]
    short = hub.harvest(source, mode=RunMode.FULL)
    assert (short.state, short.removed) == (RunState.INCOMPLETE, 0)
    assert "数据集a" in hub.visible()
    portal.announced_more = 0
    assert hub.harvest(source).removed == 1


def test_too_many_removals_wait_for_a_person(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, *"abcdefgh")
    source = hub.add(removed_percent_max=30)
    hub.harvest(source)
    for name in "abcdef":
        del portal.packages[f"id-{name}"]
    run = hub.harvest(source)
    assert (run.state, run.removed, run.held) == (RunState.SUCCEEDED, 0, 6)
    assert len(hub.visible()) == 8
    assert hub.harvests.notes(run.id, outcome=Outcome.HELD).total == 6
    accepted = hub.harvest(source, accept_removals=True)
    assert accepted.removed == 6
    assert set(hub.visible()) == {"数据集g", "数据集h"}


def test_odd_datasets_are_adjusted_or_rejected_by_name(hub: HarvestingHub, portal: Portal) -> None:
    portal.page_rows_max = 100
    portal.packages = {
        "1": {"id": "1", "name": "no-title", "metadata_modified": "2026-11-01", "notes": None},
        "2": package("html", notes="<p>第一行<br>第二&nbsp;行</p><script>alert(1)</script>"),
        "3": package("huge", notes="长" * 10_000, title="题" * 900),
        "4": package("again", id="id-html"),
        "5": {"metadata_modified": "2026-11-01", "title": "没有编号"},
        "6": package("nobody", organization=None),
        "7": package("links", resources=[{"url": "javascript:alert(1)"}, {"url": "ftp://x/y"}, None, 7]),
        "8": package("types", title=12, notes=["x"], tags="人口", extras={"frequency": "R/P1D"}, resources={}),
        "9": package("fluent", title={"en": "Rivers", "zh_CN": "河流"}, notes_translated={"zh": "河流说明"}),
        "10": package("nul", title="坏\x00字\ud800符"),
    }
    source = hub.add(fallback_department="", publishers=[{"publisher": "公安局", "department": POLICE}])
    run = hub.harvest(source)
    assert run.state is RunState.SUCCEEDED
    rejected = {
        note.title: note.reason.zh for note in hub.harvests.notes(run.id, outcome=Outcome.REJECTED, limit=50).rows
    }
    assert "没有对应的部门" in rejected["no-title"]
    assert "没有编号" in rejected["没有编号"]
    assert "没有对应的部门" in rejected["数据集nobody"]
    assert sum("重复" in reason for reason in rejected.values()) == 1
    assert run.rejected == 4
    adjusted = {note.title[:2]: note.reason.zh for note in hub.harvests.notes(run.id, outcome=Outcome.ADJUSTED).rows}
    assert "摘要超过" in adjusted["题题"]
    visible = hub.visible()
    html = next(found for title, found in visible.items() if title in ("数据集html", "数据集again"))
    if html.content.title.zh == "数据集html":
        assert html.content.summary.zh == "第一行\n第二 行"
    assert visible["河流"].content.title.en == "Rivers"
    assert visible["12"].content.update_cycle.value == "daily"
    assert "坏字符" in visible
    assert hub.harvest(source, mode=RunMode.FULL).added == 0


def test_an_entry_from_elsewhere_is_read_only(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, "a")
    hub.harvest(hub.add())
    found = hub.visible()["数据集a"]
    for action in ResourceAction:
        with pytest.raises(DatongError) as raised:
            hub.office.catalogue.act(found.id, action, AUTHORITY_ACTOR, "理由")
        assert raised.value.code in ("catalogue.kept_elsewhere", "catalogue.action_impossible")
    with pytest.raises(DatongError):
        hub.office.catalogue.edit(found.id, content(), AUTHORITY_ACTOR, 1)
    assert hub.visible()["数据集a"] == found


def test_a_mapping_decides_the_department_and_editing_it_moves_the_entries(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, *"ab")
    source = hub.add()
    hub.harvest(source)
    changed = source.settings.model_copy(update={"publishers": ()}).model_dump() | {
        "publishers": [{"publisher": "gongan", "department": CIVIL}]
    }
    hub.harvests.edit(source.id, type(source.settings).model_validate(changed), AUTHORITY_ACTOR)
    run = hub.harvest(source)
    assert (run.mode, run.changed) == (RunMode.FULL, 2)
    assert len(hub.visible(CIVIL)) == 2
    assert not hub.visible(POLICE)
    with pytest.raises(Invalid):
        hub.add(fallback_department="91440604MA0000015B")


def test_excluding_a_dataset_retires_it_and_ending_a_source_retires_the_rest(
    hub: HarvestingHub, portal: Portal
) -> None:
    fill(portal, *"abc")
    source = hub.add()
    hub.harvest(source)
    settings = source.settings.model_copy(update={"excluded": ("id-a",)})
    hub.harvests.edit(source.id, settings, AUTHORITY_ACTOR)
    assert hub.harvest(source).removed == 1
    assert set(hub.visible()) == {"数据集b", "数据集c"}
    ended = hub.harvests.set_state(source.id, SourceState.ENDED, AUTHORITY_ACTOR)
    assert (ended.state, ended.entries) == (SourceState.ENDED, 0)
    assert not hub.visible()
    with pytest.raises(Conflict):
        hub.harvests.start(source.id, "test")


def test_a_run_that_was_left_unfinished_is_taken_up_and_comes_out_the_same(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, *"abcdefgh")
    source = hub.add()
    hub.harvests.start(source.id, "test")
    with pytest.raises(KeyboardInterrupt):
        hub.harvester(web=portal.web(pages_before=1, fault=KeyboardInterrupt())).perform_next()
    assert hub.harvester("another").perform_next() is None
    run = hub.harvester().perform_next()
    assert run is not None
    assert (run.state, run.seen, run.added, run.unchanged) == (RunState.SUCCEEDED, 8, 8, 0)
    assert len(hub.visible()) == 8
    assert hub.harvests.notes(run.id).total == 8
    assert hub.harvester().perform_next() is None


def test_due_sources_are_queued_once(hub: HarvestingHub, portal: Portal) -> None:
    fill(portal, "a")
    source = hub.add()
    assert hub.harvests.start_due() == 1
    assert hub.harvests.start_due() == 0
    assert hub.harvests.runs(source.id).total == 1
    assert hub.harvests.start(source.id, "x").id == hub.harvests.runs(source.id).rows[0].id
    hub.harvests.set_state(source.id, SourceState.PAUSED, AUTHORITY_ACTOR)
    assert hub.harvester().perform_next() is None


TURTLE = """
@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
<urn:x:1> a dcat:Dataset ; dct:title "水质"@zh, "Water"@en ;
  dct:publisher [ <http://xmlns.com/foaf/0.1/name> "环保局" ] .
"""


def test_an_unchanged_dcat_file_is_not_read_again(hub: HarvestingHub) -> None:
    address = f"{PORTAL}/catalog.ttl"
    document = Document(address=address, media_type="text/turtle", body=TURTLE.encode(), etag='"1"')
    hub.web = MemoryWeb({address: document})
    source = hub.add(kind=SourceKind.DCAT, address=address)
    assert hub.harvest(source).added == 1
    again = hub.harvest(source)
    assert (again.state, again.seen, again.removed) == (RunState.SUCCEEDED, 0, 0)
    hub.web = MemoryWeb({address: document.model_copy(update={"body": b"# empty", "etag": '"2"'})})
    assert hub.harvest(source).removed == 1


def test_what_another_hub_declares_is_taken_whole(hub: HarvestingHub, portal: Portal) -> None:
    declared = public_part(content(open=True))
    portal.packages["id-a"] = package("a", extras=[{"key": "datong", "value": declared.model_dump_json()}])
    hub.harvest(hub.add())
    (found,) = hub.visible().values()
    assert public_part(found.content) == declared
    assert found.content.items == tuple(item for item in content().items if item.open)
    assert all(isinstance(item, Item) for item in found.content.items)


def test_an_answer_that_is_no_catalogue_fails_the_run(hub: HarvestingHub) -> None:
    source = hub.add()
    for body in (b"<html>", b"[]", b'{"success": false}', b'{"success": true, "result": {}}', b"\xff\xfe"):
        hub.harvests.start(source.id, "test")
        run = hub.harvester(web=OneAnswer(Document(address=PORTAL, body=body))).perform_next()
        assert run is not None
        assert run.state is RunState.FAILED
        assert run.failure is not None
        assert run.failure.zh
