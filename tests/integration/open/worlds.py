"""Two catalogues that the public cannot tell apart: one holds only what is open, the other everything else besides.

`open_world` publishes the public parts of some resources. `whole_world` publishes the same resources with all that is
inside them, and around them resources that are not open, suspended, retired, drafted, opened and closed again, and a
department that has nothing open. `Secrets` lists every word, id, code and name that only the whole world has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from datong.catalogue import (
    Binding,
    Contact,
    Department,
    Distribution,
    Item,
    Origin,
    Resource,
    ResourceAction,
    ResourceContent,
    ResourceState,
    public_part,
)
from datong.catalogue.records import show
from datong.kernel import Actor, ActorKind, FixedClock, NodeId, ResourceId, Text
from datong.norms import Grade, ShareType
from datong.web import Services
from tests.catalogue_filling import department_code, made_up, publish_all, publishers, register

OPEN_RESOURCES = 104
INSIDE_RESOURCES = 30
CODES_TAKEN = 17
START = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SHADOW = Department(
    code=department_code(999), name=Text(zh="幽冥事务署", en="Shadow office"), short_name=Text(zh="幽冥署", en="Shadow")
)
PEOPLE = publishers(12)


@dataclass
class Secrets:
    """Everything that the public must not find: words of texts, ids, codes."""

    words: list[str] = field(default_factory=list)
    ids: list[ResourceId] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        """Return every secret as it could stand in an answer."""
        return sorted({*self.words, *self.ids, *self.codes})


def clock() -> FixedClock:
    """Return the clock of both worlds."""
    return FixedClock(START)


def open_resources(services: Services) -> list[Resource]:
    """Return the public parts of the resources that are open in both worlds."""
    made = [made_up(services.pack, number, 5, PEOPLE, open_percent=100) for number in range(OPEN_RESOURCES)]
    return [found.model_copy(update={"content": public_part(found.content)}) for found in made]


def open_world(services: Services) -> None:
    """Publish what is open, and nothing else."""
    register(services.database, PEOPLE)
    publish_all(services.database, services.pack, open_resources(services))


def whole_world(services: Services) -> Secrets:
    """Publish the same, and everything that the public must not see; return it."""
    secrets = Secrets()
    register(services.database, [*PEOPLE, SHADOW])
    secrets.words += [SHADOW.name.zh, SHADOW.name.en, SHADOW.code, SHADOW.code.lower()]
    inside = [
        made_up(services.pack, number, 6, [*PEOPLE, SHADOW], open_percent=0) for number in range(INSIDE_RESOURCES)
    ]
    # Codes are taken before the open ones get theirs: in this world their serials are others.
    publish_all(services.database, services.pack, [_marked(found, secrets) for found in inside[:CODES_TAKEN]])
    publish_all(services.database, services.pack, [_with_inside(found, secrets) for found in open_resources(services)])
    publish_all(services.database, services.pack, [_marked(found, secrets) for found in inside[CODES_TAKEN:]])
    for made in _acted(services, secrets):
        secrets.ids.append(made)
    for found in services.catalogue.find(limit=200).rows:
        if found.code is not None:
            secrets.codes.append(found.code)
    return secrets


def _word(secrets: Secrets, stem: str) -> str:
    """Return a text that occurs nowhere else, and remember it."""
    word = f"{stem}幽{chr(0x5000 + len(secrets.words) * 7)}{chr(0x6000 + len(secrets.words) * 5)}"
    secrets.words.append(word)
    return word


def _column(secrets: Secrets) -> str:
    word = f"zzq{len(secrets.words)}xkv"
    secrets.words.append(word)
    return word


def _marked(found: Resource, secrets: Secrets) -> Resource:
    """Return a resource that is not open, every text of which is a secret."""
    secrets.ids.append(found.id)
    return found.model_copy(update={"content": _secret_content(found.content, secrets)})


def _secret_content(content: ResourceContent, secrets: Secrets, *, is_open: bool = False) -> ResourceContent:
    return content.model_copy(
        update={
            "title": Text(zh=_word(secrets, "题"), en=_column(secrets)),
            "summary": Text(zh=_word(secrets, "摘"), en=""),
            "keywords": (_word(secrets, "键"),),
            "items": (_secret_item(secrets, is_open=is_open),),
            "source_system": _word(secrets, "系"),
            "binding": Binding(node_id=NodeId("n"), source=_column(secrets), table=_column(secrets)),
            "contact": Contact(unit=_word(secrets, "科"), person=_word(secrets, "人")),
            "open": is_open,
            "distributions": (),
            "open_condition": "",
        }
    )


def _secret_item(secrets: Secrets, *, is_open: bool = False) -> Item:
    return Item(
        name=Text(zh=_word(secrets, "项"), en=_column(secrets)),
        column=_column(secrets),
        grade=Grade.L1 if is_open else Grade.L4,
        share_type=ShareType.UNCONDITIONAL,
        open=is_open,
    )


def _with_inside(found: Resource, secrets: Secrets) -> Resource:
    """Return an open resource with much about it that is not open."""
    content = found.content
    contact = content.contact
    hidden = Distribution(
        id=_column(secrets),
        title=Text(zh=_word(secrets, "档"), en=""),
        access_url=f"https://inside.example.cn/{_column(secrets)}",
    )
    return found.model_copy(
        update={
            "content": content.model_copy(
                update={
                    "items": (_secret_item(secrets), *content.items),
                    "distributions": (hidden, *content.distributions),
                    "related_codes": ("999888/00007",),
                    "source_system": _word(secrets, "系"),
                    "binding": Binding(node_id=NodeId("n"), source=_column(secrets), table=_column(secrets)),
                    "contact": contact and contact.model_copy(update={"person": _word(secrets, "人")}),
                    "origin": Origin(
                        source_id=_column(secrets), remote_id=_column(secrets), address="https://inside.example.cn/"
                    )
                    if len(secrets.words) % 2
                    else None,
                }
            ),
            "version": found.version,
        }
    )


def _acted(services: Services, secrets: Secrets) -> Iterator[ResourceId]:
    """Yield resources in every state in which the public sees nothing, brought there by the service's own acts."""
    pack = services.pack
    seeds = iter(made_up(pack, number, 7, [SHADOW], open_percent=0) for number in range(100))
    provider = Actor(kind=ActorKind.PERSON, id="p", department=SHADOW.code, name="p")
    base = next(seeds).content.model_copy(update={"share_type": ShareType.UNCONDITIONAL, "legal_basis": ""})

    def content(*, is_open: bool) -> ResourceContent:
        return _secret_content(base, secrets, is_open=is_open)

    shown_ids = services.open_catalogue.ids(limit=10)
    revised = next(found for found in map(services.catalogue.get, shown_ids) if found.content.origin is None)
    owner = Actor(kind=ActorKind.PERSON, id="o", department=revised.department, name="o")
    working = services.catalogue.act(revised.id, ResourceAction.REVISE, owner)
    coming = content(is_open=True).model_copy(update={"classification": revised.content.classification})
    services.catalogue.edit(revised.id, coming, owner, working.version)
    draft = services.catalogue.draft(SHADOW.code, content(is_open=True), provider)
    yield draft.id
    # Open and then suspended, retired, or revised to be closed: the public saw it once and does not any more.
    for action in (ResourceAction.SUSPEND, ResourceAction.RETIRE):
        shown = _published(services, next(seeds), content(is_open=True))
        services.catalogue.act(shown.id, action, provider, "核查")
        yield shown.id
    closed = _published(services, next(seeds), content(is_open=True))
    again = closed.model_copy(update={"content": closed.content.model_copy(update={"open": False})})
    _republish(services, again)
    yield closed.id


def _published(services: Services, seed: Resource, content: ResourceContent) -> Resource:
    made = seed.model_copy(update={"content": content, "department": SHADOW.code, "state": ResourceState.PUBLISHED})
    publish_all(services.database, services.pack, [made])
    return services.catalogue.get(made.id)


def _republish(services: Services, found: Resource) -> None:
    """Show another content of a published resource, as publishing its next version does."""
    with services.database.transaction() as connection:
        show(connection, [found.model_copy(update={"updated_at": START + timedelta(days=1)})])
