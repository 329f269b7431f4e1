"""Who is calling: people with passwords and sessions, applications with secrets, departments' nodes with keys.

Random secrets are stored as SHA-256, passwords as Argon2id; nothing stored lets anybody sign in.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from datong.kernel import Clock, Database
from datong.ledger import Ledger, Signer
from datong.sharing.credentials import BoundedArgon2, PasswordHasher
from datong.sharing.machines import Machines
from datong.sharing.people import People
from datong.sharing.ports import DepartmentBook
from datong.sharing.tokens import AccessTokens


class Identity(People, Machines):
    """Everybody that can call the hub, in one service.

    `issuer` is the hub's public address: it stands in every access token and is the audience of nodes' assertions.
    `hub_keys` gives the hub's public keys that may sign now.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        departments: DepartmentBook,
        signer: Signer,
        issuer: str,
        session_hours: int = 12,
        token_seconds: int = 600,
        logins_at_once_max: int = 4,
        hasher: PasswordHasher | None = None,
        hub_keys: Callable[[], Sequence[bytes]] = lambda: (),
    ) -> None:
        People.__init__(
            self,
            database=database,
            clock=clock,
            ledger=ledger,
            departments=departments,
            hasher=hasher or BoundedArgon2(at_once_max=logins_at_once_max),
            session_life=timedelta(hours=session_hours),
        )
        Machines.__init__(
            self,
            database=database,
            clock=clock,
            ledger=ledger,
            departments=departments,
            tokens=AccessTokens(signer=signer, issuer=issuer, lifetime_seconds=token_seconds, keys=hub_keys),
        )
