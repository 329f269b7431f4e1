"""What is open is shown at once, and gone at once; what is not leaves no trace."""

from datetime import timedelta

import pytest

from datong.catalogue import (
    AllOf,
    AnyOf,
    Changed,
    Distribution,
    FirstOpened,
    NoneOf,
    Nothing,
    OfDepartments,
    OfThemes,
    OpenCatalogue,
    OpenFacet,
    OpenField,
    OpenFilter,
    OpenOrder,
    OpenSort,
    Resource,
    ResourceAction,
    WithId,
    WithTerm,
    WithText,
    distribution_id,
)
from datong.kernel import NotFound, ResourceId, Text
from datong.norms import NormPack
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, CIVIL, POLICE, POLICE_ACTOR, Office, content


@pytest.fixture
def opened(office: Office, pack: NormPack) -> OpenCatalogue:
    return OpenCatalogue(database=office.database, pack=pack)


def revise(office: Office, resource: Resource, **changes: object) -> Resource:
    """Publish a new version with `changes`."""
    draft = office.catalogue.act(resource.id, ResourceAction.REVISE, POLICE_ACTOR)
    changed = draft.content.model_copy(update=changes)
    office.catalogue.edit(resource.id, changed, POLICE_ACTOR, draft.version)
    office.catalogue.act(resource.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
    office.catalogue.act(resource.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    office.catalogue.act(resource.id, ResourceAction.APPROVE, AUTHORITY_ACTOR)
    return office.catalogue.act(resource.id, ResourceAction.PUBLISH, AUTHORITY_ACTOR)


def test_an_open_flag_publishes_at_once_and_its_end_hides_at_once(office: Office, opened: OpenCatalogue) -> None:
    made = office.publish(content(open=False))
    assert opened.ids() == ()
    office.clock.advance(timedelta(hours=1))
    revise(office, made, open=True)
    shown = opened.get(made.id)
    assert (shown.edition, shown.first_opened_at) == (1, office.clock.now())
    assert [item.column for item in shown.content.items] == ["xzqh"]
    assert shown.content.binding is None
    revise(office, made, open=False)
    assert opened.ids() == ()
    assert opened.find(text="行政区划").total == 0
    assert opened.counts(OpenFacet.DEPARTMENT) == ()
    assert opened.publishers() == ()
    with pytest.raises(NotFound):
        opened.get(made.id)
    with pytest.raises(NotFound):
        opened.editions(made.id)


def test_what_is_not_open_is_not_told_from_what_does_not_exist(office: Office, opened: OpenCatalogue) -> None:
    inside = office.publish(content(open=False))
    refusals = []
    for resource_id in (inside.id, ResourceId("nothing")):
        with pytest.raises(NotFound) as raised:
            opened.get(resource_id)
        refusals.append((raised.value.code, raised.value.what, raised.value.remedy))
    assert refusals[0] == refusals[1]


def test_a_change_inside_shows_nowhere(office: Office, opened: OpenCatalogue) -> None:
    made = office.publish(content(open=True))
    before = opened.get(made.id)
    office.clock.advance(timedelta(days=1))
    items = content().items
    revise(office, made, items=(items[0].model_copy(update={"name": Text(zh="全名", en="")}), items[1]))
    assert opened.get(made.id) == before
    office.clock.advance(timedelta(days=1))
    revise(office, made, keywords=("户籍",))
    after = opened.get(made.id)
    assert (after.edition, after.first_opened_at, after.changed_at) == (2, before.changed_at, office.clock.now())
    assert [edition.edition for edition in opened.editions(made.id)] == [2, 1]


def test_suspension_hides_and_resumption_is_a_change(office: Office, opened: OpenCatalogue) -> None:
    made = office.publish(content(open=True))
    office.catalogue.act(made.id, ResourceAction.SUSPEND, POLICE_ACTOR, "核查")
    assert opened.ids() == ()
    office.clock.advance(timedelta(days=1))
    office.catalogue.act(made.id, ResourceAction.RESUME, POLICE_ACTOR)
    shown = opened.get(made.id)
    assert (shown.edition, shown.changed_at) == (1, office.clock.now())


def test_filters(office: Office, opened: OpenCatalogue) -> None:
    start = office.clock.now()
    file = Distribution(
        id="f", title=Text(zh="文件", en=""), media_type="text/csv", access_url="https://a.cn", open=True
    )
    one = office.publish(content("常住人口", open=True, keywords=("户籍", "人口"), distributions=(file,)))
    office.clock.advance(timedelta(hours=1))
    two = office.publish(content("婚姻登记", open=True, theme="family"), department=CIVIL)
    office.publish(content("宠物芯片", open=False, keywords=("宠物",)))
    middle = start + timedelta(minutes=30)

    def found(where: OpenFilter, text: str = "") -> list[str]:
        page = opened.find(text=text, where=where, order=(OpenSort(by=OpenOrder.ID),))
        assert page.total == len(page.rows) == opened.count(text=text, where=where)
        return [resource.content.title.zh for resource in page.rows]

    both = [entry.content.title.zh for entry in sorted((one, two), key=lambda entry: entry.id)]
    assert found(AllOf(members=())) == both
    assert found(AnyOf(members=())) == found(Nothing()) == []
    assert found(OfDepartments(codes=(POLICE,))) == ["常住人口"]
    assert found(OfThemes(keys=("family",))) == ["婚姻登记"]
    assert found(NoneOf(member=OfThemes(keys=("family",)))) == ["常住人口"]
    assert found(WithTerm(field=OpenField.KEYWORD, value="户籍")) == ["常住人口"]
    assert found(WithTerm(field=OpenField.KEYWORD, value="户", prefix=True)) == ["常住人口"]
    assert found(WithTerm(field=OpenField.KEYWORD, value="宠物")) == []
    assert found(WithTerm(field=OpenField.FORMAT, value="CSV")) == ["常住人口"]
    assert found(WithText(text="婚姻")) == ["婚姻登记"]
    assert found(WithText(text="宠物")) == []
    assert found(AnyOf(members=(WithText(text="婚姻"), WithText(text="人口")))) == both
    assert found(WithId(ids=(one.id,))) == ["常住人口"]
    assert found(Changed(since=middle)) == found(FirstOpened(since=middle)) == ["婚姻登记"]
    assert found(Changed(until=start)) == ["常住人口"]
    assert found(OfThemes(keys=("family",)), text="登记") == ["婚姻登记"]
    assert {entry.value: entry.count for entry in opened.counts(OpenFacet.KEYWORD)} == {"户籍": 1, "人口": 1}
    assert {entry.value: entry.count for entry in opened.counts(OpenFacet.FORMAT)} == {"HTML": 2, "CSV": 1}
    with_keyword = WithTerm(field=OpenField.KEYWORD, value="户籍")
    for facet in OpenFacet:
        assert sum(entry.count for entry in opened.counts(facet, where=NoneOf(member=with_keyword))) <= 1
    assert [entry.value for entry in opened.counts(OpenFacet.KEYWORD, where=with_keyword, text="人口")] == [
        "人口",
        "户籍",
    ]
    assert [publisher.department.code for publisher in opened.publishers()] == sorted((POLICE, CIVIL))
    assert opened.of_distribution(distribution_id(one.id, "f")).id == one.id
    with pytest.raises(NotFound):
        opened.of_distribution("none")


def test_pages_neither_overlap_nor_skip(office: Office, opened: OpenCatalogue) -> None:
    made = [office.publish(content(f"人口表{number}", open=True)).id for number in range(7)]
    for order in ((), (OpenSort(by=OpenOrder.ID),), (OpenSort(by=OpenOrder.TITLE, descending=True),)):
        seen: list[ResourceId] = []
        offset: int | None = 0
        while offset is not None:
            page = opened.find(text="人口", order=order, offset=offset, limit=3)
            seen += [resource.id for resource in page.rows]
            offset = page.next_offset
        assert sorted(seen) == sorted(made)
    assert opened.ids(offset=2, limit=2) == tuple(sorted(made)[2:4])
