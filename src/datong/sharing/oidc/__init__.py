"""Sign-in by identity providers of others (OpenID Connect), and the accounts that their people have here."""

from datong.sharing.oidc.links import IdentityLink, IdentityLinks
from datong.sharing.oidc.ports import (
    PROVIDER_ANSWER_BYTES_MAX,
    ConfirmedAddresses,
    MemoryProviderWeb,
    NoAddresses,
    ProviderAnswer,
    ProviderWeb,
    provider_unanswered,
)
from datong.sharing.oidc.providers import Provider, load_providers
from datong.sharing.oidc.sign_in import CameBack, OpenIdSignIn

__all__ = [
    "PROVIDER_ANSWER_BYTES_MAX",
    "CameBack",
    "ConfirmedAddresses",
    "IdentityLink",
    "IdentityLinks",
    "MemoryProviderWeb",
    "NoAddresses",
    "OpenIdSignIn",
    "Provider",
    "ProviderAnswer",
    "ProviderWeb",
    "load_providers",
    "provider_unanswered",
]
