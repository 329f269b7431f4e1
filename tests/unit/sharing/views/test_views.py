"""Saved views: what of an address is kept, for whom, and with which view a list begins."""

import pytest
from pydantic import ValidationError

from datong.kernel import Conflict, NotFound
from datong.sharing.views import SavedViews, ViewDraft, view_query
from datong.sharing.views.views import VIEWS_OF_ACCOUNT_MAX
from tests.unit.sharing.samples import EDUCATION, POLICE
from tests.unit.sharing.world import World


@pytest.fixture
def views(world: World) -> SavedViews:
    return SavedViews(database=world.database, clock=world.clock)


def test_only_filters_of_known_lists_are_kept() -> None:
    assert view_query("?show=late&offset=20&done=x&state=&view=all".lstrip("?")) == "show=late"
    draft = ViewDraft(page="/requests", name="  逾期   申请 ", query="show=overdue&offset=40")
    assert (draft.name, draft.query) == ("逾期 申请", "show=overdue")
    for page, name in (("/me", "x"), ("https://elsewhere.example/", "x"), ("/requests", " ")):
        with pytest.raises(ValidationError):
            ViewDraft(page=page, name=name)


def test_a_list_begins_with_one_view_and_a_name_stands_for_one(views: SavedViews) -> None:
    late = views.save(ViewDraft(page="/requests", name="逾期", query="show=overdue", opens=True), "a", EDUCATION)
    mine = views.save(ViewDraft(page="/requests", name="我的", query="show=sent", opens=True), "a", EDUCATION)
    other = views.save(ViewDraft(page="/agreements", name="逾期", query="state=active", opens=True), "a", EDUCATION)
    assert {one.id: one.opens for one in views.of("a", EDUCATION)} == {late.id: False, mine.id: True, other.id: True}
    again = views.save(ViewDraft(page="/requests", name="逾期", query="show=overdue&state=submitted"), "a", EDUCATION)
    assert (again.id, again.address) == (late.id, "/requests?show=overdue&state=submitted")
    with pytest.raises(Conflict):
        views.change(late.id, "a", name="我的", shared=False, opens=False)
    assert views.change(late.id, "a", name="急件", shared=False, opens=True).name == "急件"
    assert [one.name for one in views.of("a", None, "/requests") if one.opens] == ["急件"]


def test_colleagues_see_what_is_shared_and_change_nothing(views: SavedViews) -> None:
    own = views.save(ViewDraft(page="/requests", name="甲", query="show=sent", shared=True, opens=True), "a", EDUCATION)
    views.save(ViewDraft(page="/requests", name="乙", query="show=sent"), "a", EDUCATION)
    (seen,) = views.of("b", EDUCATION, "/requests")
    assert (seen.id, seen.own, seen.opens) == (own.id, False, False)
    assert views.of("b", POLICE) == views.of("b", None) == ()
    for account in ("b", "c"):
        with pytest.raises(NotFound):
            views.change(own.id, account, name="丙", shared=False, opens=False)
        with pytest.raises(NotFound):
            views.drop(own.id, account)
    views.drop(own.id, "a")
    assert views.of("b", EDUCATION) == ()


def test_an_account_keeps_so_many(views: SavedViews) -> None:
    for number in range(VIEWS_OF_ACCOUNT_MAX):
        views.save(ViewDraft(page="/requests", name=str(number)), "a", None)
    with pytest.raises(Conflict):
        views.save(ViewDraft(page="/requests", name="one more"), "a", None)
    assert views.save(ViewDraft(page="/requests", name="7", query="show=sent"), "a", None).query == "show=sent"
