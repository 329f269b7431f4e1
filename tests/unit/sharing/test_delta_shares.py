"""Whole tables under agreements: what is seen, what is handed out, what is refused, and what is on record."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from datong.kernel import Corrupt, Invalid, NotFound, Refused
from datong.ledger import EntryKind, verify_bundle
from datong.norms import ShareMode
from datong.sharing.delta_shares import DeltaShares, FileAction, QueryAsk
from datong.sharing.delta_values import SharedTableName
from datong.sharing.delta_versions import ChangesAsk
from datong.sharing.principals import Principal
from datong.sharing.row_filters import RowCondition, RowOperator
from tests.new_control import new_control
from tests.unit.sharing.samples import EDUCATION, POLICE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.shared_world import FIRST, LI, NAME, WANG, ZHAO, SharedWorld
from tests.unit.sharing.world import World

CALLER = application(EDUCATION)
MASKED = [
    {"gmsfhm": "1101**********0011", "xm": "李**", "hh": "H1"},
    {"gmsfhm": "1101**********0042", "xm": "王*", "hh": "H2"},
]


def in_any_order(rows: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return rows comparably: each preparation of a file has an order of its own."""
    return sorted(rows, key=lambda row: str(row["gmsfhm"]))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedWorld]:
    """One agreement and three versions; tests only read it."""
    folder = tmp_path_factory.mktemp("shared")
    database = new_control(folder)
    made = SharedWorld(World(database), folder)
    made.agree()
    made.publish(FIRST[:1], FIRST[1:])
    made.publish([(LI, "李四光", "H9"), (ZHAO, "赵六", "H3")])
    made.publish([(LI, "李四光", "H9")], [(ZHAO, "赵六", "H3")])
    yield made
    database.close()


def ask_file(
    shares: DeltaShares, file: FileAction, caller: Principal | None = None, change: Mapping[str, str] | None = None
) -> Path:
    """Fetch a file by its address, changed as told."""
    parts = urlsplit(file.url)
    _, _, release, name = parts.path.strip("/").split("/")
    fields = {**dict(parse_qsl(parts.query)), **(change or {})}
    return shares.file(fields.pop("release", release), fields.pop("name", name), fields, caller)


def test_a_consumer_sees_its_tables_and_nobody_else_does(shared: SharedWorld) -> None:
    (table,) = shared.shares.tables(CALLER)
    assert (table.name, table.purpose) == (NAME, "school-admission")
    assert shared.shares.tables(application(SOCIAL)) == ()
    for name in (NAME, SharedTableName(share=POLICE, schema_name="SCHOOL-ADMISSION", table=RESOURCE)):
        assert shared.shares.version(CALLER, name) == 3
        with pytest.raises(NotFound, match=r"sharing\.table_unknown"):
            shared.shares.version(application(SOCIAL), name)


def test_only_agreed_columns_masked(shared: SharedWorld) -> None:
    answer = shared.shares.metadata(CALLER, NAME)
    assert dict(answer.types) == {"gmsfhm": "string", "xm": "string", "hh": "string"}
    assert in_any_order(shared.rows(shared.shares.query(CALLER, NAME, QueryAsk(version=1)))) == in_any_order(MASKED)


def test_versions_by_number_and_time(shared: SharedWorld) -> None:
    shares, now = shared.shares, shared.world.clock.now()
    hour = timedelta(hours=1)
    assert shares.query(CALLER, NAME, QueryAsk()).version == 3
    assert shares.query(CALLER, NAME, QueryAsk(at=now - hour)).version == 2
    assert shares.version(CALLER, NAME, since=now - 2 * hour) == 1
    for wrong in (QueryAsk(version=4), QueryAsk(at=now - 9 * hour), QueryAsk(version=1, starting_version=1)):
        with pytest.raises(Invalid, match=r"sharing\.table_version_invalid"):
            shares.query(CALLER, NAME, wrong)
    with pytest.raises(Invalid, match=r"sharing\.table_version_invalid"):
        shares.version(CALLER, NAME, since=now + hour)


def test_hints_leave_files_out(shared: SharedWorld) -> None:
    def numbers(**hint: object) -> list[object]:
        ask = QueryAsk.model_validate({"version": 1, **hint})
        return [row["hh"] for row in shared.rows(shared.shares.query(CALLER, NAME, ask))]

    assert numbers(limit=1) == ["H1"]
    assert numbers(limit=0) == []
    assert numbers(sql_hints=("hh = 'H2'",)) == ["H2"]
    assert numbers(sql_hints=("zw = 'finger'", "nonsense (")) == ["H1", "H2"], "not agreed, not asked"


def test_changes_between_versions(shared: SharedWorld) -> None:
    answer = shared.shares.changes(CALLER, NAME, ChangesAsk(starting_version=1))
    assert [(file.kind, file.version) for file in answer.files] == [("add", 1), ("add", 1), ("cdf", 2)]
    said = [(row["xm"], row["hh"], row["_change_type"]) for row in shared.rows(answer, "cdf")]
    assert sorted(said) == sorted(
        [
            ("李**", "H1", "update_preimage"),
            ("李**", "H9", "update_postimage"),
            ("王*", "H2", "delete"),
            ("赵*", "H3", "insert"),
        ]
    )
    later = shared.shares.changes(CALLER, NAME, ChangesAsk(starting_at=shared.world.clock.now()))
    assert later.files == (), "version 3 has the same rows as version 2"
    for wrong in (ChangesAsk(), ChangesAsk(starting_version=2, ending_version=1), ChangesAsk(starting_version=0)):
        with pytest.raises(Invalid, match=r"sharing\.table_version_invalid"):
            shared.shares.changes(CALLER, NAME, wrong)


def test_files_that_came_and_went_since_a_version(shared: SharedWorld) -> None:
    answer = shared.shares.query(CALLER, NAME, QueryAsk(starting_version=1))
    kinds = [(file.kind, file.version) for file in answer.files]
    assert kinds == [
        ("add", 1), ("add", 1), ("remove", 2), ("remove", 2), ("add", 2), ("remove", 3), ("add", 3), ("add", 3)
    ]  # fmt: skip


def test_every_query_is_on_record_before_it_is_answered(shared: SharedWorld) -> None:
    answer = shared.shares.query(CALLER, NAME, QueryAsk(version=1))
    (entry,) = shared.world.ledger.entries(subject=answer.access_id, limit=9).rows
    facts = entry.facts
    assert entry.kind is EntryKind.ACCESS
    assert (facts["kind"], facts["rows"], facts["subjects"]) == ("table", 2, 2)
    assert facts["items"] == ["gmsfhm", "hh", "xm"]
    assert facts["table_versions"] == [1]
    assert [file["rows"] for file in facts["files"]] == [1, 1]
    assert facts["subjects_0000"] != facts["subjects_0001"]
    lists = str({name: value for name, value in facts.items() if name.startswith("subjects_")})
    # The lists are digests, in which any four digits may stand.
    assert all(citizen not in lists for citizen in (LI, WANG, ZHAO))


def test_a_release_knows_whom_it_concerns(shared: SharedWorld) -> None:
    answer = shared.shares.query(CALLER, NAME, QueryAsk(version=1))
    (release,) = {file.release for file in answer.files}
    releases = [release, "../.."]
    assert shared.releases.concerning(LI, releases) == {release: frozenset({0})}
    assert shared.releases.concerning(WANG, releases) == {release: frozenset({1})}
    assert shared.releases.concerning(ZHAO, releases) == {}


def test_citizens_see_which_tables_with_their_rows_were_handed_out_and_prove_it(world: World, tmp_path: Path) -> None:
    made = SharedWorld(world, tmp_path)
    made.agree()
    made.publish(FIRST[:1], FIRST[1:])
    part = made.shares.query(CALLER, NAME, QueryAsk(limit=1))
    whole = made.shares.query(CALLER, NAME, QueryAsk())
    uses = made.usage.uses_of(LI)
    assert {use.access_id for use in uses} == {part.access_id, whole.access_id}
    assert {(use.kind, use.service_item, use.consumer) for use in uses} == {("table", "school-admission", EDUCATION)}
    (use,) = made.usage.uses_of(WANG)
    assert use.access_id == whole.access_id, "the first answer held only the file without her"
    assert made.usage.uses_of(ZHAO) == []
    world.ledger.integrate()
    bundle = made.usage.proof(use.access_id, citizen_id=WANG)
    assert verify_bundle(bundle).disclosed == {"subjects_0001": WANG}
    with pytest.raises(NotFound, match=r"sharing\.use_unknown"):
        made.usage.proof(use.access_id, citizen_id=ZHAO)
    (opened,) = bundle["disclosures"].values()
    changes: tuple[dict[str, object], ...] = ({"value": ZHAO}, {"among": {"branch": ["x"], "others": {}}})
    for change in changes:
        forged = {**bundle, "disclosures": {"subjects_0001": {**opened, **change}}}
        with pytest.raises(Corrupt, match=r"ledger\.disclosure_wrong"):
            verify_bundle(forged)


def test_addresses_hold_for_one_file_one_consumer_and_a_quarter_of_an_hour(shared: SharedWorld) -> None:
    shares = shared.shares
    first, second = shares.query(CALLER, NAME, QueryAsk(version=1)).files
    assert ask_file(shares, first).read_bytes()[:4] == b"PAR1"
    assert ask_file(shares, first, CALLER).exists()
    with pytest.raises(Refused, match=r"sharing\.url_of_other"):
        ask_file(shares, first, application(SOCIAL))
    for change in (
        {"name": second.name},
        {"release": "0" * 64},
        {"expires": "9999999999"},
        {"expires": "９"},
        {"expires": "9" * 40},
        {"client": application(SOCIAL).actor.id},
        {"access": "0"},
        {"signature": "0" * 64},
        {"signature": ""},
    ):
        with pytest.raises(Refused, match=r"sharing\.url_invalid"):
            ask_file(shares, first, change=change)


def test_addresses_end(world: World, tmp_path: Path) -> None:
    made = SharedWorld(world, tmp_path)
    agreement = made.agree()
    made.publish(FIRST)
    (file,) = made.shares.query(CALLER, NAME, QueryAsk()).files
    world.clock.advance(timedelta(minutes=14))
    assert ask_file(made.shares, file).exists()
    world.agreements.suspend(agreement.id, person(POLICE), "抽查")
    with pytest.raises(Refused, match=r"sharing\.url_agreement_ended"):
        ask_file(made.shares, file)
    refused = (
        lambda: made.shares.query(CALLER, NAME, QueryAsk()),
        lambda: made.shares.metadata(CALLER, NAME),
        lambda: made.shares.changes(CALLER, NAME, ChangesAsk(starting_version=1)),
    )
    for act in refused:
        with pytest.raises(Refused, match="agreement is suspended") as caught:
            act()
        (entry,) = world.ledger.entries(subject=str(caught.value.context["access_id"]), limit=2).rows
        assert entry.kind is EntryKind.REFUSAL
        assert entry.facts["policies"] == ["data.suspended"]
    assert made.shares.tables(CALLER) == ()
    world.agreements.resume(agreement.id, person(POLICE))
    assert ask_file(made.shares, file).exists()
    assert made.releases.sweep(unused_seconds=-1) == 1
    with pytest.raises(NotFound, match=r"sharing\.release_gone"):
        ask_file(made.shares, file)
    world.clock.advance(timedelta(minutes=1))
    with pytest.raises(Refused, match=r"sharing\.url_expired"):
        ask_file(made.shares, file)
    again = made.rows(made.shares.query(CALLER, NAME, QueryAsk()))
    assert in_any_order(again) == in_any_order(MASKED), "it is prepared again"


def test_without_bulk_in_the_agreement_or_before_it_began_nothing_is_read(world: World, tmp_path: Path) -> None:
    made = SharedWorld(world, tmp_path)
    made.publish(FIRST[:1])
    made.publish(FIRST)
    world.clock.advance(timedelta(hours=1))
    made.agree(modes=(ShareMode.INTERFACE,))
    assert made.shares.tables(CALLER) == ()
    with pytest.raises(Refused, match="does not allow this mode"):
        made.shares.query(CALLER, NAME, QueryAsk())
    made.agree(valid_from=world.clock.now(), service_item="另一 事项")
    other = NAME.model_copy(update={"schema_name": "另一_事项"})
    assert made.shares.query(CALLER, other, QueryAsk()).version == 2
    with pytest.raises(Invalid, match=r"sharing\.table_version_invalid"):
        made.shares.query(CALLER, other, QueryAsk(version=1))


def test_a_table_that_was_not_published_is_not_listed(world: World, tmp_path: Path) -> None:
    made = SharedWorld(world, tmp_path)
    made.agree()
    assert made.shares.tables(CALLER) == ()
    with pytest.raises(NotFound, match=r"sharing\.table_unpublished"):
        made.shares.version(CALLER, NAME)


def test_rows_outside_the_filter_are_in_no_file_no_change_and_no_list(world: World, tmp_path: Path) -> None:
    made = SharedWorld(world, tmp_path)
    made.agree(["xm", "gmsfhm"], rows=(RowCondition(column="hh", operator=RowOperator.IS, values=("H1",)),))
    made.publish(FIRST)
    made.publish([(LI, "李四光", "H9"), (WANG, "王丽", "H1"), (ZHAO, "赵六", "H3")])
    answer = made.shares.query(CALLER, NAME, QueryAsk(version=1))
    assert made.rows(answer) == [{"gmsfhm": MASKED[0]["gmsfhm"], "xm": "李**"}]
    assert made.releases.concerning(WANG, [answer.files[0].release]) == {}
    changes = made.shares.changes(CALLER, NAME, ChangesAsk(starting_version=2))
    assert sorted((row["xm"], row["_change_type"]) for row in made.rows(changes, "cdf")) == [
        ("李**", "delete"),
        ("王*", "insert"),
    ], "who moves out of the filter is gone, who moves into it is new"
    assert made.releases.concerning(ZHAO, [changes.files[0].release]) == {}
    assert made.releases.concerning(WANG, [changes.files[0].release])


def test_a_filter_on_a_column_that_the_table_lacks_lets_nothing_through(world: World, tmp_path: Path) -> None:
    made = SharedWorld(world, tmp_path)
    made.agree(["xm"], rows=(RowCondition(column="hh", operator=RowOperator.IS, values=("H1",)),))
    made.publish(FIRST)
    version, files = made.tables.tables[RESOURCE][0]
    lacking = version.model_copy(update={"columns": {"xm": "xm"}})
    made.tables.tables[RESOURCE][0] = (lacking, files)
    assert made.shares.query(CALLER, NAME, QueryAsk()).files == ()
