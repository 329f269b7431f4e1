"""Who sees which section, and which line is the present one."""

from datong.kernel import Actor, ActorKind
from datong.ledger import EntryKind
from datong.sharing import Principal, Role
from datong.web.console.navigation import SECTIONS, Link, folds_in, sections_for
from datong.web.console.vocabulary import ENTRY_KINDS


def person(*roles: Role) -> Principal:
    return Principal(actor=Actor(kind=ActorKind.PERSON, id="p"), roles=frozenset(roles))


def paths(principal: Principal | None) -> set[str]:
    return {link.path for section in sections_for(principal) for link in section.links}


def test_a_visitor_sees_nothing_and_a_citizen_only_the_public_part() -> None:
    assert paths(None) == set()
    assert paths(person(Role.CITIZEN)) == {"/me", "/me/consents", "/me/record", "/corrections", "/me/wishes", "/open"}


def test_staff_see_everything_but_the_citizens_pages_and_what_is_for_some() -> None:
    every = {link.path for section in SECTIONS for link in section.links}
    overseeing = {Role.AUTHORITY, Role.AUDITOR, Role.DATA_OFFICER}
    for_some = {
        "/simulator": overseeing,
        "/matchings": overseeing,
        "/overview": {Role.OPERATOR, Role.AUDITOR},
        "/operations": {Role.OPERATOR, Role.AUTHORITY},
        "/audit": {Role.AUDITOR, Role.AUTHORITY},
        "/objections": overseeing | {Role.BUSINESS, Role.DEPARTMENT_HEAD},
        "/ratings": overseeing | {Role.BUSINESS, Role.DEPARTMENT_HEAD},
        "/wishes": overseeing | {Role.BUSINESS, Role.DEPARTMENT_HEAD},
    }
    of_citizens = {"/me", "/me/consents", "/me/record", "/me/wishes"}
    for role in Role:
        if role is not Role.CITIZEN:
            hidden = {path for path, roles in for_some.items() if role not in roles}
            assert paths(person(role)) == every - hidden - of_citizens, role


def test_one_line_at_most_is_the_present_one() -> None:
    links: list[Link] = [link for section in SECTIONS for link in section.links]
    for path in ("/", "/catalogue/x", "/governance/findings/f", "/transfers", "/me", "/me/consents", "/requests/new"):
        present = [link.path for link in links if link.is_at(path)]
        assert len(present) == 1, (path, present)
    assert [link.path for link in links if link.is_at("/sign-in")] == []


def test_every_kind_of_entry_has_a_name() -> None:
    assert {kind.value for kind in EntryKind} == set(ENTRY_KINDS)


def test_daily_work_and_the_present_part_are_open_and_others_as_they_were_left() -> None:
    folded = folds_in("data+.work-..+.x")
    assert folded == {"data": True, "work": False}
    shown = {section.key: section.is_open("/evidence", folded) for section in SECTIONS}
    assert shown == {"work": False, "data": True, "oversight": True, "public": False}
    assert [section.key for section in SECTIONS if section.is_open("/", {})] == ["work"]
