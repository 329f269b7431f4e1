"""Invisible stays invisible: nobody can find, count or infer what is not open.

Two hubs are compared (see `worlds`). Whatever anybody can read of the one must be, byte for byte, what they can read of
the other; and no answer of the hub that has secrets holds one.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from datong.app.schema import migrate
from datong.catalogue.records import show
from datong.kernel import Database
from datong.ledger import Ed25519Signer
from datong.web import create_app
from tests.conftest import sqlalchemy_url
from tests.integration.open.audiences import PUBLIC, SIGNED, readable
from tests.integration.open.crawler import PUBLIC_URL, SEEDS, VOLATILE_PATHS, Crawl, typed, without_echo
from tests.integration.open.serving import OpenHub, served
from tests.integration.open.worlds import START, Secrets, clock, open_world, whole_world
from tests.servers import PostgresqlServer

WORDS_TYPED_MAX = 12
NONSENSE = "无此之词qqzzy"
NO_CODE = "999999/99999"


@dataclass
class TwoWorlds:
    """The hub that has only what is open, the hub that has everything, and what the second must keep to itself."""

    open_only: OpenHub
    whole: OpenHub
    secrets: Secrets


@pytest.fixture(scope="module")
def worlds(postgresql_server: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoWorlds]:
    """Both hubs, running."""
    home = tmp_path_factory.mktemp("worlds")
    databases = [Database(sqlalchemy_url(postgresql_server.create_database())) for _ in range(2)]
    for database in databases:
        migrate(database)
    signer = Ed25519Signer.generate()

    def hub(database: Database, folder: Path) -> AbstractContextManager[OpenHub]:
        return served(database, folder, clock=clock(), public_url=PUBLIC_URL, signer=signer)

    with hub(databases[0], home / "a") as open_only, hub(databases[1], home / "b") as whole:
        open_world(open_only.services)
        secrets = whole_world(whole.services)
        whole.services.ledger.integrate()
        yield TwoWorlds(open_only, whole, secrets)
    for database in databases:
        database.close()


def seeds(worlds: TwoWorlds) -> list[str]:
    """Return where a crawl begins: every public route, and the addresses of everything, open or not."""
    opened = worlds.open_only.services.open_catalogue.ids()
    found = [seed.replace("{id}", worlds.secrets.ids[0]) for seed in SEEDS]
    for path, public in readable(create_app(worlds.whole.services)):
        if not public:
            continue
        if "{resource_id}" in path:
            found += [path.replace("{resource_id}", key) for key in (*opened, *worlds.secrets.ids)]
        elif "{action}" in path:
            found += [path.replace("{action}", "help_show?name=package_search")]
        elif "{" not in path:
            found.append(path)
    return [*found, "/log/tile/0/000.p/1", "/log/tile/entries/000.p/1", "/log/tile/entries/000"]


def test_every_route_has_a_declared_audience(worlds: TwoWorlds) -> None:
    found = dict(readable(create_app(worlds.whole.services)))
    assert {path for path, public in found.items() if public} == PUBLIC
    with worlds.whole.visitor() as visitor:
        for path, public in found.items():
            if public:
                continue
            answer = visitor.get(path.replace("{", "").replace("}", "").replace(":path", ""), headers={"Accept": "*/*"})
            assert answer.status_code == (403 if path in SIGNED else 401), (path, answer.status_code, answer.text[:200])


def test_the_public_reads_the_same_whether_or_not_there_is_more(worlds: TwoWorlds) -> None:
    with worlds.open_only.visitor() as first, worlds.whole.visitor() as second:
        mine, whole = Crawl(first), Crawl(second)
        start = seeds(worlds)
        mine.walk(start)
        whole.walk([*start, *mine.answers])
        assert mine.answers.keys() == whole.answers.keys()
        opened = worlds.open_only.services.open_catalogue.ids()
        assert all(f"/open/{key}" in mine.answers for key in opened)
        different = [
            address
            for address, answer in mine.answers.items()
            if answer != whole.answers[address] and not address.startswith(VOLATILE_PATHS)
        ]
        assert different == []
        # Pages say most things many times over: what stands between two quotation marks is looked through once.
        pieces = {piece for _, _, body in whole.answers.values() for piece in body.split(b'"')}
        everything, secrets = b'"'.join(pieces), worlds.secrets.all()
        assert not any('"' in secret for secret in secrets), "one that holds the mark would not be found"
        asked = set(worlds.secrets.ids)
        leaked = [secret for secret in secrets if secret.encode() in everything and secret not in asked]
        assert leaked == []


def test_typing_a_secret_tells_no_more_than_typing_nonsense(worlds: TwoWorlds) -> None:
    secrets = worlds.secrets
    words = [*secrets.words[:WORDS_TYPED_MAX], *secrets.words[-WORDS_TYPED_MAX:], *secrets.ids[:4], *secrets.codes[:4]]
    with worlds.whole.visitor() as visitor:
        crawl = Crawl(visitor)
        nothing = {
            shape: [without_echo(crawl.read(address), shape) for address in typed(shape)]
            for shape in (NONSENSE, NO_CODE)
        }
        for word in words:
            for address, expected in zip(typed(word), nothing[NO_CODE if "/" in word else NONSENSE], strict=True):
                assert without_echo(crawl.read(address), word) == expected, address


def test_the_entries_of_the_log_are_for_auditors(worlds: TwoWorlds) -> None:
    with worlds.whole.visitor() as visitor:
        size = int(visitor.get("/log/checkpoint").text.split("\n")[1])
        bundle = f"000.p/{size}"
        assert visitor.get(f"/log/tile/0/{bundle}").status_code == 200
        for path in ("entries/", "%65ntries/", "/entries/", "0/../entries/", "0/%2e%2e/entries/", "Entries/"):
            answer = visitor.get(f"/log/tile/{path}{bundle}")
            assert answer.status_code in (401, 404, 422), path
            assert b"catalogue.step" not in answer.content


def test_times_are_those_of_what_is_open(worlds: TwoWorlds) -> None:
    newest = worlds.whole.services.open_catalogue.newest_change()
    assert newest is not None
    assert newest < START


def test_the_comparison_notices_a_leak(worlds: TwoWorlds) -> None:
    """The last test of the file: it opens one of the secrets, and every kind of answer has to show it."""
    inside = worlds.whole.services.catalogue.published(worlds.secrets.ids[0])
    with worlds.whole.visitor() as visitor:
        crawl = Crawl(visitor)
        addresses = ("/open", "/catalog.ttl?page=1", "/catalog.rdf?page=1", "/api/3/action/package_list")
        before = [crawl.read(address) for address in addresses]
        opened = inside.content.model_copy(update={"open": True})
        with worlds.whole.services.database.transaction() as connection:
            show(connection, [inside.model_copy(update={"content": opened})])
        for address, answer in zip(addresses, before, strict=True):
            assert crawl.read(address) != answer, address
        assert inside.content.title.zh in visitor.get(f"/open/{inside.id}").text
