"""Who holds which element: the sums are those of the rows after every act, on each control database."""

import random

import pytest
from sqlalchemy import func, select

from datong.catalogue import Resource, holdings_of
from datong.catalogue.holdings import drop_holdings, holders_of, put_holdings, recount
from datong.catalogue.source_tables import holder, holding
from datong.kernel import Database, DepartmentCode, ResourceId
from datong.norms import NormPack, ShareType
from tests.unit.catalogue.conftest import CIVIL, POLICE, Office, content, make_office
from tests.unit.catalogue.sketching import item


@pytest.fixture
def office(control_database: Database, pack: NormPack) -> Office:
    return make_office(control_database, pack)


def publish(office: Office, title: str, department: DepartmentCode, share: ShareType, *elements: str) -> Resource:
    items = tuple(
        item(f"c{number}", element).model_copy(update={"share_type": share, "share_condition": "履职所需"})
        for number, element in enumerate(elements)
    )
    return office.publish(content(title, items=items, share_type=share), department=department)


def summed(database: Database) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """What the sums say, and what the rows say."""
    place = holding.c.element, holding.c.department, holding.c.share_type
    counted = select(*place, func.count(holding.c.resource_id.distinct()), func.count()).group_by(*place)
    with database.snapshot() as connection:
        said = sorted(tuple(row) for row in connection.execute(select(holder)))
        return said, sorted(tuple(row) for row in connection.execute(counted))


def test_sums_follow_what_is_shown_and_hidden(office: Office) -> None:
    chosen = random.Random(7)
    made = [
        publish(office, f"表{number}", department, share, *elements)
        for number, (department, share, elements) in enumerate(
            (
                (POLICE, ShareType.UNCONDITIONAL, ("citizen_id", "address", "address")),
                (POLICE, ShareType.CONDITIONAL, ("citizen_id", "sex")),
                (CIVIL, ShareType.UNCONDITIONAL, ("citizen_id", "address")),
                (CIVIL, ShareType.CONDITIONAL, ("sex", "sex", "address")),
            )
        )
    ]
    said, rows = summed(office.database)
    assert said == rows
    assert ("address", POLICE, "1", 1, 2) in said
    shown = dict.fromkeys(range(len(made)), True)
    for _ in range(30):
        some = chosen.sample(range(len(made)), chosen.randint(1, len(made)))
        with office.database.transaction() as connection:
            drop_holdings(connection, [made[one].id for one in some])
            for one in some:
                shown[one] = not shown[one]
            put_holdings(connection, [made[one] for one in some if shown[one]])
        said, rows = summed(office.database)
        assert said == rows
        assert {row[0] for row in said} == {
            item.element for one, seen in shown.items() if seen for item in made[one].content.items
        }


def test_what_an_older_version_published_and_hid_is_counted_in_the_end(office: Office) -> None:
    made = publish(office, "户籍", POLICE, ShareType.CONDITIONAL, "citizen_id", "sex")
    gone = publish(office, "低保", CIVIL, ShareType.UNCONDITIONAL, "citizen_id")
    with office.database.transaction() as connection:
        connection.execute(holding.delete().where(holding.c.resource_id == gone.id))
        connection.execute(holding.update().values(share_type=None))
    assert recount(office.database) is False
    said, rows = summed(office.database)
    assert said == rows == [("citizen_id", POLICE, "2", 1, 1), ("sex", POLICE, "2", 1, 1)]
    with office.database.snapshot() as connection:
        assert {one.resource_id for one in holders_of(connection, ["sex"])} == {made.id}


def test_holders_have_their_first_resource_and_pages_hold_everything(office: Office) -> None:
    made = [publish(office, f"表{number}", POLICE, ShareType.UNCONDITIONAL, "address") for number in range(3)]
    publish(office, "别的", CIVIL, ShareType.CONDITIONAL, "address", "address")
    with office.database.snapshot() as connection:
        found = holders_of(connection, ["address", "sex"])
    assert [(one.department, one.share_type, one.resources) for one in found] == sorted(
        [(POLICE, "1", 3), (CIVIL, "2", 1)]
    )
    assert next(one.resource_id for one in found if one.department == POLICE) == min(one.id for one in made)
    ids: list[ResourceId] = []
    offset: int | None = 0
    while offset is not None:
        page = holdings_of(office.database, "address", offset=offset, limit=2)
        assert page.total == 5
        ids += [row.resource_id for row in page.rows]
        offset = page.next_offset
    assert len(ids) == 5
    assert {one.id for one in made} <= set(ids)
