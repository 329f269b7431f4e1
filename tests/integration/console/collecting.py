"""What the seeded city collects several times over: sketches of its tables, a source department, service items."""

import random
from typing import TYPE_CHECKING

from datong.catalogue import (
    NewServiceField,
    NewServiceItem,
    Resource,
    ServiceAction,
    SketchKey,
    sketch_columns,
    sketch_requests,
)
from datong.demo.cast import AUTHORITY, CIVIL, EDUCATION, POLICE, Member
from datong.demo.records import Source
from datong.kernel import Text
from tests.unit.catalogue.sketching import citizen_ids, table

if TYPE_CHECKING:
    from tests.integration.console.city import ConsoleCity

PEOPLE = 2400
KEY = SketchKey(epoch="2026-1", secret=b"c" * 32)


def collect(city: "ConsoleCity") -> None:
    """Sketch two overlapping tables, designate a source, object to it, and register what the school asks."""
    hub = city.hub
    hub.sketch_keys.open_epoch(city.nodes[POLICE.key].actor, KEY.epoch, "0" * 64, ())
    ids = citizen_ids(random.Random(9), PEOPLE)
    for member, source, people in (
        (POLICE, Source.RESIDENTS, ids),
        (CIVIL, Source.LOW_INCOME, ids[900:]),
    ):
        _sketch(city, member, city.resources[source], people)
    while hub.overlaps.compare():
        pass
    designation = hub.sources.designate(
        element="address",
        department=POLICE.code,
        actor=city.account(AUTHORITY).actor,
        legal_basis="《户口登记条例》",
        reason="覆盖全体常住人口，每日更新",
        resource_id=city.resources[Source.RESIDENTS].id,
    )
    hub.sources.object(designation.id, city.officer(CIVIL).actor, "低保对象的实际住址由民政入户核实")
    item = hub.service_items.put(
        NewServiceItem(
            code="RX-2026-01",
            name=Text(zh="公办学校学位申请", en="Application for a school place"),
            department=EDUCATION.code,
            legal_basis="《义务教育法》第十二条",
            annual_cases=12_000,
            fields=(
                _field("学生姓名", "Name of the pupil"),
                _field("户籍地址", "Registered address", material="户口簿", sheets=2),
                _field("父母婚姻状况", "Parents' marital status", "marital_status", material="结婚证", sheets=1),
                _field("房屋坐落", "Address of the home", "property_address", material="不动产权证", sheets=1),
                _field("特长说明", "Talents"),
            ),
        ),
        city.officer(EDUCATION).actor,
    )
    repeats = hub.service_items.repeats(item_id=item.id)
    hub.service_items.mark(item.id, ServiceAction.SHARE, [repeats[-1].position], city.officer(EDUCATION).actor)


def _sketch(city: "ConsoleCity", member: Member, resource: Resource, people: list[str]) -> None:
    elements = {item.column: item.element for item in resource.content.items}
    columns: dict[str, list[str | None]] = {}
    for column, element in elements.items():
        if element == "citizen_id":
            columns[column] = list(people)
        else:
            columns[column] = [f"{element}{number[-6:]}" for number in people]
    requests = sketch_requests(resource.content.items, city.hub.pack)
    sketches = sketch_columns(table(**columns), requests, pack=city.hub.pack, key=KEY)
    city.hub.overlaps.accept(city.nodes[member.key].actor, resource.id, sketches)


def _field(zh: str, en: str, element: str | None = None, *, material: str = "", sheets: int = 0) -> NewServiceField:
    return NewServiceField(name=Text(zh=zh, en=en), element=element, material=material, sheets=sheets)
