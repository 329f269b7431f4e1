"""The parts of a hub with which people sign in other than by a password, put together."""

from datong import __version__
from datong.adapters.provider_web import JudgedProviderWeb
from datong.governance.notifications import StoredAddresses
from datong.kernel import Clock, Database, Settings
from datong.ledger import Ledger
from datong.sharing import Identity, attempt_secret
from datong.sharing.oidc import IdentityLinks, OpenIdSignIn, load_providers
from datong.sharing.passkeys import Passkeys


def compose_sign_in(
    settings: Settings, *, clock: Clock, secret: bytes, database: Database, ledger: Ledger, people: Identity
) -> tuple[OpenIdSignIn, IdentityLinks, Passkeys]:
    """Return sign-in by the providers that the settings name, the links of accounts to them, and passkeys.

    `secret` is one of the hub's that outlives its signing key.

    Raises:
        Misconfigured: the file of the providers is not usable.
    """
    links = IdentityLinks(database=database, clock=clock, ledger=ledger)
    openid = OpenIdSignIn(
        database=database,
        clock=clock,
        people=people,
        links=links,
        providers=load_providers(settings.oidc_providers),
        web=JudgedProviderWeb(
            user_agent=f"Datong/{__version__} (+{settings.base_url})",
            allow_private=settings.oidc_private,
            networks=settings.intranets,
        ),
        addresses=StoredAddresses(database),
        secret=attempt_secret(secret),
        base_url=settings.base_url,
    )
    passkeys = Passkeys(
        database=database,
        clock=clock,
        ledger=ledger,
        people=people,
        secret=attempt_secret(secret),
        base_url=settings.base_url,
        use=settings.passkeys,
    )
    return openid, links, passkeys
