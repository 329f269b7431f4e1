"""An open hub: what every command that needs a hub's services begins with."""

from socket import gethostname

from datong import __version__
from datong.adapters.file_keys import load_or_create_signer, load_secrets
from datong.adapters.polite_web import PoliteWeb
from datong.app.composition import compose
from datong.app.opening import open_clock
from datong.app.schema import migrate
from datong.app.sweeps import sweeps_of
from datong.app.waiting import wait_for_database
from datong.app.worker import Sweep
from datong.catalogue import ForeignEntries
from datong.federation import Harvester, ReaderTerms, WebReader
from datong.kernel import Database, Misconfigured, Settings, Text, new_id
from datong.ledger import Ed25519Signer, LogKeyBook
from datong.sharing import HubSecrets

ONLY_WORKER = "hub"
"""The worker of a hub on an embedded database."""
HUB_KEY_FILE = "hub.key"
RESTORING = "restoring"
"""File in a hub's folder whose restore did not come to its end."""


class Hub:
    """An open hub: its services, and the sweeps that its background work consists of."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = open_clock(settings)
        if (settings.home / RESTORING).exists():
            raise Misconfigured(
                "app.restore_interrupted",
                what=Text(
                    zh=f"{settings.home} 的恢复被中断，没有完成。",
                    en=f"The restore of {settings.home} was interrupted.",
                ),
                remedy=Text(
                    zh="请清空数据库，再运行一次 datong hub restore。",
                    en="Empty the database and run datong hub restore once more.",
                ),
            )
        # Keys, people's data, the embedded database: nobody else on the machine has any business there.
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file = settings.home / "keys" / HUB_KEY_FILE
        self.signer: Ed25519Signer = load_or_create_signer(key_file)
        kept = load_secrets(key_file)
        self.secrets = HubSecrets.derived(self.signer) if kept is None else HubSecrets.parse(kept)
        self.database = Database(settings.effective_database_url)
        wait_for_database(self.database)
        migrate(self.database)
        self.services = compose(
            settings, clock=self.clock, signer=self.signer, database=self.database, secrets=self.secrets
        )
        book = LogKeyBook(database=self.database, clock=self.clock, ledger=self.services.ledger)
        book.require_usable(self.signer.public_key)
        self.worker_name = settings.worker_name or (ONLY_WORKER if self.database.is_sqlite else _own_name())

    def sweeps(self) -> list[Sweep]:
        """Return the periodic work of a hub; library builds come on top, as durable jobs."""
        return sweeps_of(
            self.services, database=self.database, clock=self.clock, signer=self.signer, harvester=self.harvester()
        )

    def harvester(self) -> Harvester:
        """Return what performs harvest runs in this process."""
        services, settings = self.services, self.settings
        agent = f"Datong/{__version__} (+{settings.base_url})"

        def open_reader(terms: ReaderTerms) -> WebReader:
            return PoliteWeb(user_agent=agent, terms=terms, networks=settings.intranets)

        return Harvester(
            database=self.database,
            clock=self.clock,
            ledger=services.ledger,
            departments=services.departments,
            foreign=ForeignEntries(clock=self.clock, ledger=services.ledger),
            pack=services.pack,
            open_reader=open_reader,
            worker=self.worker_name,
        )

    def close(self) -> None:
        """Close what was opened."""
        self.database.close()


def _own_name() -> str:
    """Return a name that no other process has: this machine's, and something by chance."""
    return f"{gethostname()[:24]}-{new_id()[-8:]}"
