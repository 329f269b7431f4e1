"""The bulk filling of tests and benchmarks leaves what publishing leaves."""

import pytest
from sqlalchemy import Connection, RowMapping, func, select

from datong.catalogue import OpenCatalogue, ResourceAction, ResourceContent, content_problems
from datong.catalogue.quality_scores import CatalogueQuality
from datong.catalogue.source_tables import holding
from datong.catalogue.tables import (
    code_counter,
    listing,
    open_edition,
    open_listing,
    open_term,
    quality,
    resource,
    search_change,
    version,
)
from datong.kernel import Actor, ActorKind, Database, FixedClock, ResourceId
from datong.norms import NormPack
from tests.catalogue_filling import FIRST_DAY, fill, made_up
from tests.catalogue_multiplying import multiply
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, make_office

MOVES = {
    "id",
    "resource_id",
    "binding_key",
    "created_at",
    "updated_at",
    "published_at",
    "opened_at",
    "first_opened_at",
    "changed_at",
    "code",
}
"""Columns that differ between two resources of one content: who and when."""


def rows_of(connection: Connection, resource_id: ResourceId) -> dict[str, list[dict[str, object]]]:
    """Return every row of a resource, without what tells two resources of one content apart."""

    def bare(row: RowMapping) -> dict[str, object]:
        found = {name: value for name, value in row.items() if name not in MOVES}
        return {name: value for name, value in found.items() if row.get("field") != "distribution" or name != "value"}

    found = {
        "resource": [bare(connection.execute(select(resource).where(resource.c.id == resource_id)).mappings().one())]
    }
    for table in (version, listing, open_edition, open_listing, open_term, quality, holding):
        statement = select(table).where(table.c.resource_id == resource_id)
        rows = [bare(row) for row in connection.execute(statement).mappings()]
        found[table.name] = sorted(rows, key=str)
    changes = select(func.count()).select_from(search_change).where(search_change.c.resource_id == resource_id)
    found["changes"] = [{"number": connection.execute(changes).scalar_one()}]
    return found


def test_a_filled_resource_has_the_rows_of_a_published_one(control_database: Database, pack: NormPack) -> None:
    office = make_office(control_database, pack)
    filled = fill(control_database, pack, 12, open_percent=50)
    assert filled.open_ids
    assert filled.inside_ids
    for resource_id in filled.ids:
        one = office.catalogue.published(resource_id)
        assert content_problems(one.content, pack) == ()
        binding = one.content.binding
        assert binding is not None
        content: ResourceContent = one.content.model_copy(
            update={"binding": binding.model_copy(update={"table": f"{binding.table}_again"})}
        )
        provider = Actor(kind=ActorKind.PERSON, id="p", department=one.department)
        made = office.catalogue.draft(one.department, content, provider)
        office.catalogue.act(made.id, ResourceAction.SIGN_OFF, provider)
        office.catalogue.act(made.id, ResourceAction.SUBMIT, provider)
        office.catalogue.act(made.id, ResourceAction.APPROVE, AUTHORITY_ACTOR)
        published = office.catalogue.act(made.id, ResourceAction.PUBLISH, AUTHORITY_ACTOR)
        with control_database.snapshot() as connection:
            by_hand, in_bulk = rows_of(connection, published.id), rows_of(connection, resource_id)
        bindings = [rows["catalogue_version"][0]["content"] for rows in (by_hand, in_bulk)]
        assert all(isinstance(content, dict) for content in bindings)
        for entry in bindings:
            assert isinstance(entry, dict)
            entry.pop("binding")
            assert isinstance(entry.pop("sign_off"), dict)
        assert by_hand == in_bulk
        assert one.code is not None
        assert published.code is not None
        assert one.code.partition("/")[0] == published.code.partition("/")[0] == content.classification


def test_codes_go_on_and_the_same_seed_gives_the_same_catalogue(control_database: Database, pack: NormPack) -> None:
    first = fill(control_database, pack, 40, seed=1)
    second = fill(control_database, pack, 40, seed=2)
    assert not set(first.ids) & set(second.ids)
    with control_database.snapshot() as connection:
        codes = list(connection.execute(select(resource.c.code)).scalars())
        counted = sum(connection.execute(select(code_counter.c.last)).scalars())
    assert len(set(codes)) == counted == 80
    again = [made_up(pack, number, 1, list(first.departments)) for number in range(40)]
    assert {found.id for found in again} == set(first.ids)
    open_now = OpenCatalogue(database=control_database, pack=pack)
    assert set(open_now.ids()) == set(first.open_ids + second.open_ids)


@pytest.mark.parametrize("control_database", ["postgresql"], indirect=True)
def test_multiplied_resources_have_the_rows_of_their_originals(control_database: Database, pack: NormPack) -> None:
    filled = fill(control_database, pack, 30, open_percent=50)
    CatalogueQuality(database=control_database, pack=pack, clock=FixedClock(FIRST_DAY)).refresh()
    assert list(multiply(control_database, 3)) == [2, 3]
    with control_database.snapshot() as connection:
        ids = set(connection.execute(select(resource.c.id)).scalars())
        assert len(ids) == 90
        assert set(filled.ids) < ids
        codes = list(connection.execute(select(resource.c.code)).scalars())
        assert len(set(codes)) == sum(connection.execute(select(code_counter.c.last)).scalars()) == 90
        for original in filled.ids:
            copied = next(one for one in ids - set(filled.ids) if one[:24] + one[28:] == original[:24] + original[28:])
            rows = [rows_of(connection, ResourceId(one)) for one in (original, copied)]
            for found in rows:
                for row in found["catalogue_version"] + found["catalogue_open_edition"]:
                    content = row["content"]
                    assert isinstance(content, dict)
                    content["classification"] = str(content["classification"])[:6]
                    content.pop("binding", None)
            assert rows[0] == rows[1]
