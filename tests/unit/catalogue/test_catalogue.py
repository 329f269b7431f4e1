import threading

import pytest

from datong.catalogue import FieldComment, Item, Origin, ResourceAction, ResourceState, SignOff, content_digest
from datong.kernel import Conflict, Database, DatongError, Invalid, NotFound, Refused, Text
from datong.ledger import EntryKind
from datong.norms import NormPack, ShareType
from tests.unit.catalogue.conftest import (
    AUTHORITY_ACTOR,
    CIVIL,
    CIVIL_ACTOR,
    POLICE,
    POLICE_ACTOR,
    POLICE_NODE,
    Office,
    content,
    make_office,
)


def test_a_resource_from_draft_to_published(office: Office) -> None:
    made = office.publish(content())
    assert made.state is ResourceState.PUBLISHED
    assert made.code == "101001/00001"
    assert made.published_at is not None
    assert office.catalogue.published(made.id).content == made.content
    steps = office.catalogue.steps(made.id)
    assert [step.action for step in steps] == ["draft", "sign_off", "submit", "approve", "publish"]
    entries = office.ledger.entries(kind=EntryKind.CATALOGUE_STEP, subject=made.id)
    assert {entry.entry_id for entry in entries.rows} == {step.entry_id for step in steps}


def test_drafting_the_same_table_again_updates_the_draft(office: Office) -> None:
    first = office.catalogue.draft(POLICE, content(table="t"), POLICE_NODE)
    again = office.catalogue.draft(POLICE, content("人口信息", table="t"), POLICE_NODE)
    assert again.id == first.id
    assert again.content.title.zh == "人口信息"
    assert office.catalogue.draft(CIVIL, content(table="t"), CIVIL_ACTOR).id != first.id


def test_a_scan_never_overwrites_what_a_person_edited(office: Office) -> None:
    made = office.catalogue.draft(POLICE, content(table="t"), POLICE_NODE)
    edited = office.catalogue.edit(made.id, content("户籍人口", table="t"), POLICE_ACTOR, 1)
    assert office.catalogue.draft(POLICE, content("机器名", table="t"), POLICE_NODE) == edited


def test_a_submission_gets_the_complete_list_of_what_is_missing(office: Office) -> None:
    made = office.catalogue.draft(
        POLICE, content(classification="", share_condition="", share_modes=(), summary=Text(zh="", en="")), POLICE_ACTOR
    )
    with pytest.raises(Invalid) as raised:
        office.catalogue.act(made.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
    problems = raised.value.context["problems"]
    assert isinstance(problems, list)
    assert {problem["field"] for problem in problems} == {
        "/summary",
        "/classification",
        "/share_condition",
        "/share_modes",
    }
    assert office.catalogue.get(made.id).state is ResourceState.DRAFT


def test_unshared_needs_a_basis_and_personal_items_are_never_open(office: Office) -> None:
    items = (
        Item(name=Text(zh="姓名", en=""), column="a", element="person_name", share_condition="x", open=True),
        Item(name=Text(zh="住址", en=""), column="b", element="nothing", share_type=ShareType.NONE),
    )
    made = office.catalogue.draft(POLICE, content(items=items), POLICE_ACTOR)
    with pytest.raises(Invalid) as raised:
        office.catalogue.act(made.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
    problems = raised.value.context["problems"]
    assert isinstance(problems, list)
    assert [problem["field"] for problem in problems] == ["/items/0/open", "/items/1/element", "/items/1/legal_basis"]


def test_only_the_right_party_acts(office: Office) -> None:
    made = office.catalogue.draft(POLICE, content(), POLICE_ACTOR)
    with pytest.raises(Refused):
        office.catalogue.act(made.id, ResourceAction.SUBMIT, CIVIL_ACTOR)
    with pytest.raises(Refused):
        office.catalogue.edit(made.id, content(), CIVIL_ACTOR, 1)
    office.catalogue.act(made.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    with pytest.raises(Refused):
        office.catalogue.act(made.id, ResourceAction.APPROVE, POLICE_ACTOR)
    assert office.catalogue.get(made.id).due_at is not None


def test_a_revision_leaves_the_published_version_visible(office: Office) -> None:
    made = office.publish(content())
    office.catalogue.act(made.id, ResourceAction.REVISE, POLICE_ACTOR)
    revised = office.catalogue.edit(made.id, content("户籍人口"), POLICE_ACTOR, 2)
    assert (revised.version, revised.published_version, revised.state) == (2, 1, ResourceState.DRAFT)
    assert office.catalogue.published(made.id).content.title.zh == "常住人口基本信息"
    assert office.catalogue.search("户籍人口").hits[0].resource.version == 1
    office.catalogue.act(made.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.APPROVE, AUTHORITY_ACTOR)
    done = office.catalogue.act(made.id, ResourceAction.PUBLISH, AUTHORITY_ACTOR)
    assert done.code == made.code
    assert office.catalogue.published(made.id).content.title.zh == "户籍人口"
    history = office.catalogue.history(made.id)
    assert [entry.version for entry in history] == [2, 1]
    assert history[1].superseded_at is not None
    assert office.catalogue.version(made.id, 1).content.title.zh == "常住人口基本信息"


def test_a_rejected_revision_can_be_discarded_and_its_number_is_not_reused(office: Office) -> None:
    made = office.publish(content())
    office.catalogue.act(made.id, ResourceAction.REVISE, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.REJECT, AUTHORITY_ACTOR, "口径不一致")
    back = office.catalogue.act(made.id, ResourceAction.DISCARD, POLICE_ACTOR)
    assert (back.version, back.state) == (1, ResourceState.PUBLISHED)
    assert office.catalogue.act(made.id, ResourceAction.REVISE, POLICE_ACTOR).version == 3
    assert [entry.version for entry in office.catalogue.history(made.id)] == [3, 2, 1]


def test_a_suspended_resource_is_hidden_and_comes_back(office: Office) -> None:
    made = office.publish(content())
    office.catalogue.act(made.id, ResourceAction.SUSPEND, AUTHORITY_ACTOR, "质量问题")
    with pytest.raises(NotFound):
        office.catalogue.published(made.id)
    assert office.catalogue.search("人口").total == 0
    office.catalogue.act(made.id, ResourceAction.RESUME, AUTHORITY_ACTOR)
    assert office.catalogue.search("人口").total == 1


def test_a_retired_resource_frees_its_table(office: Office) -> None:
    made = office.publish(content(table="t"))
    office.catalogue.act(made.id, ResourceAction.RETIRE, AUTHORITY_ACTOR, "系统下线")
    again = office.publish(content(table="t"))
    assert again.id != made.id
    assert again.code == "101001/00002"


def test_the_classification_in_a_code_stays(office: Office) -> None:
    made = office.publish(content())
    office.catalogue.act(made.id, ResourceAction.REVISE, POLICE_ACTOR)
    with pytest.raises(Conflict, match="classification"):
        office.catalogue.edit(made.id, content(classification="203001"), POLICE_ACTOR, 2)
    with pytest.raises(Conflict, match="version"):
        office.catalogue.edit(made.id, content(), POLICE_ACTOR, 1)


def test_lists_and_counts(office: Office) -> None:
    office.publish(content("甲类信息", open=True))
    office.publish(content("乙类信息"), department=CIVIL)
    office.catalogue.draft(POLICE, content("丙类信息"), POLICE_ACTOR)
    assert office.catalogue.find().total == 3
    assert office.catalogue.find(state=ResourceState.PUBLISHED).total == 2
    assert office.catalogue.find(department=POLICE, state=ResourceState.DRAFT).total == 1
    page = office.catalogue.find(limit=2)
    assert page.next_offset == 2
    public = office.catalogue.find(open_only=True)
    assert [item.column for item in public.rows[0].content.items] == ["xzqh"]
    assert public.rows[0].content.binding is None
    counts = office.catalogue.counts()
    assert (counts.visible, counts.open, counts.items) == (2, 1, 4)
    assert counts.by_state[ResourceState.DRAFT] == 1


def test_codes_have_no_gaps_or_duplicates_under_concurrency(control_database: Database, pack: NormPack) -> None:
    office = make_office(control_database, pack)
    made = [office.catalogue.draft(POLICE, content(f"资源{number}"), POLICE_ACTOR) for number in range(12)]
    for entry in made:
        office.catalogue.act(entry.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
        office.catalogue.act(entry.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    errors: list[Exception] = []

    def approve(share: int) -> None:
        try:
            for entry in made[share::4]:
                office.catalogue.act(entry.id, ResourceAction.APPROVE, AUTHORITY_ACTOR)
                with pytest.raises(Conflict):
                    office.catalogue.act(entry.id, ResourceAction.APPROVE, AUTHORITY_ACTOR)
        except (AssertionError, DatongError) as error:
            errors.append(error)

    threads = [threading.Thread(target=approve, args=(share,)) for share in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    codes = sorted(str(office.catalogue.get(entry.id).code) for entry in made)
    assert codes == [f"101001/{number:05d}" for number in range(1, 13)]


def test_scanning_the_same_table_at_once_makes_one_draft(control_database: Database, pack: NormPack) -> None:
    office = make_office(control_database, pack)
    found: list[str] = []

    def draft() -> None:
        found.append(office.catalogue.draft(POLICE, content(table="t"), POLICE_NODE).id)

    threads = [threading.Thread(target=draft) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_signature_and_origin_are_never_set_by_an_edit(office: Office) -> None:
    signature = SignOff(by="局长", position="局长", at=office.clock.now())
    origin = Origin(source_id="s", remote_id="r")
    made = office.catalogue.draft(POLICE, content(sign_off=signature, origin=origin), POLICE_ACTOR)
    assert (made.content.sign_off, made.content.origin) == (None, None)
    edited = office.catalogue.edit(made.id, content("户籍人口", sign_off=signature, origin=origin), POLICE_ACTOR, 1)
    assert (edited.content.sign_off, edited.content.origin) == (None, None)
    assert edited.content == content("户籍人口")


def test_nothing_is_submitted_unsigned_and_an_edit_voids_the_signature(office: Office) -> None:
    made = office.catalogue.draft(POLICE, content(), POLICE_ACTOR)
    with pytest.raises(Invalid) as raised:
        office.catalogue.act(made.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    assert raised.value.field == "/sign_off"
    signed = office.catalogue.act(made.id, ResourceAction.SIGN_OFF, POLICE_ACTOR, position="副局长")
    assert signed.content.sign_off == SignOff(by="管理员", position="副局长", at=office.clock.now())
    kept = office.catalogue.edit(made.id, content(), POLICE_ACTOR, 1)
    assert kept.content.sign_off == signed.content.sign_off
    assert office.catalogue.edit(made.id, content("户籍人口"), POLICE_ACTOR, 1).content.sign_off is None
    with pytest.raises(Invalid):
        office.catalogue.act(made.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.APPROVE, AUTHORITY_ACTOR)
    published = office.catalogue.act(made.id, ResourceAction.PUBLISH, AUTHORITY_ACTOR)
    assert published.content.sign_off is not None
    assert office.catalogue.act(made.id, ResourceAction.REVISE, POLICE_ACTOR).content.sign_off is None
    facts = [entry.facts for entry in office.ledger.entries(kind=EntryKind.CATALOGUE_STEP, subject=made.id).rows]
    digests = {fact["content_digest"] for fact in facts if fact["signed_off"] and fact["to_state"] == "published"}
    assert digests == {content_digest(content("户籍人口"))}


def test_a_return_says_field_by_field_what_is_wrong(office: Office) -> None:
    made = office.catalogue.draft(POLICE, content(), POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.SIGN_OFF, POLICE_ACTOR)
    office.catalogue.act(made.id, ResourceAction.SUBMIT, POLICE_ACTOR)
    comments = (FieldComment(field="/items/0/name", text="请用规范名称"), FieldComment(field="/summary", text="过短"))
    office.catalogue.act(made.id, ResourceAction.RETURN, AUTHORITY_ACTOR, "请修改", comments=comments)
    kept = (comments[0].model_copy(update={"column": "xm"}), comments[1])
    assert office.catalogue.steps(made.id)[-1].comments == kept
    facts = office.ledger.entries(kind=EntryKind.CATALOGUE_STEP, subject=made.id).rows
    (returned,) = [entry.facts for entry in facts if entry.facts["action"] == "return"]
    assert returned["comments"] == 2
    assert len(str(returned["comments_sha256"])) == 64
    assert "请用规范名称" not in str(returned)


def test_nobody_overwrites_what_another_has_saved_meanwhile(office: Office) -> None:
    made = office.catalogue.draft(POLICE, content(), POLICE_ACTOR)
    read = content_digest(made.content)
    office.catalogue.edit(made.id, content("甲"), POLICE_ACTOR, 1, expected_digest=read)
    with pytest.raises(Conflict) as raised:
        office.catalogue.edit(made.id, content("乙"), POLICE_ACTOR, 1, expected_digest=read)
    assert raised.value.context["digest"] == content_digest(content("甲"))
    assert office.catalogue.get(made.id).content.title.zh == "甲"


def test_one_table_is_one_resource_also_after_edits(office: Office) -> None:
    first = office.publish(content(table="t"))
    office.catalogue.act(first.id, ResourceAction.REVISE, POLICE_ACTOR)
    office.catalogue.edit(first.id, content(table="u"), POLICE_ACTOR, 2)
    other = office.catalogue.draft(POLICE, content(table="t"), POLICE_ACTOR)
    assert other.id != first.id
    with pytest.raises(Conflict, match="bound"):
        office.catalogue.edit(other.id, content(table="u"), POLICE_ACTOR, 1)
    back = office.catalogue.act(first.id, ResourceAction.DISCARD, POLICE_ACTOR)
    assert back.content == office.catalogue.version(first.id, 1).content


def test_the_numbers_of_a_classification_can_be_used_up(control_database: Database, pack: NormPack) -> None:
    office = make_office(control_database, pack.model_copy(update={"code_serial_digits": 1}))
    codes = [office.publish(content(f"第{number}类信息")).code for number in range(9)]
    assert codes == [f"101001/{number}" for number in range(1, 10)]
    with pytest.raises(Conflict, match="used up"):
        office.publish(content("多出的一类"))
    assert office.publish(content("细分类", classification="101001ab")).code == "101001ab/1"


def test_a_cancelled_publication_is_hidden_and_keeps_its_code_and_content(office: Office) -> None:
    made = office.publish(content(open=True))
    hidden = office.catalogue.act(made.id, ResourceAction.UNPUBLISH, AUTHORITY_ACTOR, "分级有误")
    assert (hidden.state, hidden.published_version, hidden.code) == (ResourceState.REGISTERED, None, made.code)
    assert office.catalogue.search("人口", open_only=True).total == 0
    assert office.catalogue.version(made.id, 1).superseded_at is not None
    with pytest.raises(Conflict):
        office.catalogue.act(made.id, ResourceAction.RETURN, AUTHORITY_ACTOR, "改")
    again = office.catalogue.act(made.id, ResourceAction.PUBLISH, AUTHORITY_ACTOR)
    assert again.content == made.content
    assert office.catalogue.version(made.id, 1).superseded_at is None
