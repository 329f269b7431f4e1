"""Lists by filter: whole without repetition, masked, within the agreement; tokens good for one question only."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Database, Invalid, NotFound, Overloaded, Refused
from datong.ledger import EntryKind, verify_bundle
from datong.sharing.page_tokens import LIFETIME_SECONDS, PageTokens, Place
from datong.sharing.quotas import CallQuota
from datong.sharing.record_pages import PageAsk, RecordPage, RecordPages
from datong.sharing.row_filters import RowCondition, RowOperator
from tests.new_control import new_control
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.shared_world import LI, WANG, ZHAO, SharedWorld
from tests.unit.sharing.test_quotas import gateway_of
from tests.unit.sharing.world import World

CALLER = application(EDUCATION)
QIAN = "370102198502150024"
ROWS = ((LI, "李四光", "H1"), (WANG, "王丽", "H2"), (ZHAO, "赵六", "X3"), (QIAN, "钱七", "H4"))


class Listed:
    """A table in two files of which one row is outside the agreement."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.shared = SharedWorld(World(database), folder)
        self.world = self.shared.world
        condition = RowCondition(column="hh", operator=RowOperator.STARTS_WITH, values=("H",))
        self.agreement = self.shared.agree(rows=(condition,))
        self.shared.publish(ROWS[:2], ROWS[2:])
        self.pages = self.of()

    def of(self, quota: CallQuota | None = None) -> RecordPages:
        gateway = gateway_of(self.world, quota)
        return RecordPages(gateway=gateway, tables=self.shared.tables, clock=self.world.clock, key=b"of the hub")

    def page(self, **change: object) -> RecordPage:
        ask = {"items": ("姓名", "citizen_id", "hh"), "purpose": "school-admission", "case_number": "RX-1", **change}
        return self.pages.page(CALLER, RESOURCE, PageAsk.model_validate(ask))


@pytest.fixture
def listed(tmp_path: Path) -> Iterator[Listed]:
    database = new_control(tmp_path)
    yield Listed(tmp_path, database)
    database.close()


def test_pages_make_the_whole_list_masked_and_each_is_on_record(listed: Listed) -> None:
    pages = [listed.page(limit=1)]
    while pages[-1].next_page_token is not None:
        pages.append(listed.page(limit=1, page_token=pages[-1].next_page_token))
    told = [dict(row) for page in pages for row in page.rows]
    assert sorted(told, key=lambda row: row["hh"] or "") == [
        {"姓名": "李**", "citizen_id": "1101**********0011", "hh": "H1"},
        {"姓名": "王*", "citizen_id": "1101**********0042", "hh": "H2"},
        {"姓名": "钱*", "citizen_id": "3701**********0024", "hh": "H4"},
    ]
    assert listed.page().rows == tuple(row for page in pages for row in page.rows)
    assert listed.world.ledger.entries(kind=EntryKind.ACCESS).total == len(pages) + 1
    assert {use.kind for use in listed.shared.usage.uses_of(QIAN)} == {"query"}
    assert listed.shared.usage.uses_of(ZHAO) == [], "who is outside the agreement's rows is not concerned"
    listed.world.ledger.integrate()
    verify_bundle(listed.shared.usage.proof(listed.shared.usage.uses_of(LI)[0].access_id, citizen_id=LI))


def test_the_order_tells_nothing_of_masked_keys(listed: Listed) -> None:
    """In one file, so that the order of files says nothing: sorted by key, which is masked, and shuffled."""
    people = [(f"11010119900307{number:04d}", "张三", f"H{number:02d}") for number in range(20)]
    listed.shared.publish(people)
    listed.world.clock.advance(-timedelta(hours=1))
    households = [row["hh"] or "" for row in listed.page().rows]
    assert len(households) == 20
    assert households != sorted(households)
    assert households != sorted(households, reverse=True)
    again: list[str | None] = []
    token: str | None = None
    while len(again) < 20:
        page = listed.page(limit=7, page_token=token)
        again += [row["hh"] for row in page.rows]
        token = page.next_page_token
    assert again == households
    assert token is None


def test_a_filter_names_what_is_shown_as_it_is_and_nothing_else(listed: Listed) -> None:
    def by(column: str, operator: RowOperator, *values: str) -> list[dict[str, str | None]]:
        condition = RowCondition(column=column, operator=operator, values=values)
        return [dict(row) for row in listed.page(items=("hh",), filter=[condition]).rows]

    found = by("hh", RowOperator.ONE_OF, "H2", "H4", "X3")
    assert sorted(row["hh"] or "" for row in found) == ["H2", "H4"]
    assert by("household_id", RowOperator.IS, "X3") == [], "the agreement's rows are left out all the same"
    assert by("hh", RowOperator.IS, "' OR 1=1 --") == []
    for masked in ("citizen_id", "xm"):
        with pytest.raises(Invalid, match="filter_invalid"):
            by(masked, RowOperator.STARTS_WITH, LI[:6])
    for outside in ("hjdz", "bz"):
        with pytest.raises(Refused):
            by(outside, RowOperator.IS, "X")
    with pytest.raises(Invalid, match="items_invalid"):
        by("nothing", RowOperator.IS, "X")
    with pytest.raises(Invalid, match="filter_invalid"):
        by("hh", RowOperator.IS, "H1", "H2")


def test_a_token_goes_on_in_its_version_for_its_question_and_its_time_only(listed: Listed) -> None:
    first = listed.page(limit=1)
    token = first.next_page_token
    listed.shared.publish([(ZHAO, "赵六", "H9")])
    listed.world.clock.advance(-timedelta(hours=1))
    rest = [row["hh"] or "" for row in listed.page(limit=5, page_token=token).rows]
    assert sorted([first.rows[0]["hh"] or "", *rest]) == ["H1", "H2", "H4"]
    assert [row["hh"] for row in listed.page().rows] == ["H9"]
    condition = RowCondition(column="hh", operator=RowOperator.IS, values=("H4",))
    for change in (
        {"items": ("姓名",)},
        {"filter": [condition]},
        {"case_number": "RX-2"},
        {"page_token": f"{token}x"},
        {"page_token": "x"},
        {"page_token": "名"},
        {"page_token": ""},
    ):
        with pytest.raises(Invalid, match="page_token_invalid"):
            listed.page(**{"limit": 5, "page_token": token, **change})
    other = CALLER.model_copy(update={"actor": CALLER.actor.model_copy(update={"id": "another"})})
    ask = PageAsk(items=("姓名", "citizen_id", "hh"), purpose="school-admission", case_number="RX-1", page_token=token)
    with pytest.raises(Invalid, match="page_token_invalid"):
        listed.pages.page(other, RESOURCE, ask)
    listed.shared.tables.tables[RESOURCE].pop(0)
    with pytest.raises(NotFound, match="table_unpublished"):
        listed.page(page_token=token)
    listed.world.clock.advance(timedelta(seconds=LIFETIME_SECONDS))
    with pytest.raises(Invalid, match="expired"):
        listed.page(page_token=token)


def test_who_may_not_read_gets_no_page_and_quotas_count(listed: Listed) -> None:
    ask = PageAsk(items=("hh",), purpose="school-admission", case_number="RX-1")
    with pytest.raises(Refused):
        listed.pages.page(application(SOCIAL), RESOURCE, ask)
    with pytest.raises(Refused):
        listed.page(purpose="another")
    with pytest.raises(Refused):
        listed.page(case_number=" ")
    limited = listed.of(CallQuota(per_minute=1))
    limited.page(CALLER, RESOURCE, ask)
    with pytest.raises(Overloaded, match="quota_reached"):
        limited.page(CALLER, RESOURCE, ask)
    listed.world.agreements.suspend(listed.agreement.id, person(POLICE), "超范围使用")
    with pytest.raises(Refused):
        listed.page()


@given(st.text(max_size=600))
def test_any_token_opens_or_is_our_error(token: str) -> None:
    tokens = PageTokens(b"key")
    question = {"a": 1}
    made = tokens.seal(Place(1, 2, "3"), question, NOW)
    assert tokens.open(made, question, NOW) == Place(1, 2, "3")
    with pytest.raises(Invalid):
        tokens.open(token, question, NOW)
