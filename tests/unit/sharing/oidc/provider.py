"""An identity provider of the tests' own making, which may lie in every way that there is."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jws
from joserfc.jwk import Key, RSAKey

from datong.sharing.accounts import Session
from datong.sharing.oidc import IdentityLinks, MemoryProviderWeb, NoAddresses, OpenIdSignIn, Provider, ProviderAnswer
from datong.sharing.oidc.ports import ConfirmedAddresses
from datong.sharing.oidc.sign_in import Begun, CameBack
from tests.unit.sharing.world import ISSUER, World

ADDRESS = "https://id.example"
SECRET = b"of these tests only"
KEY = RSAKey.generate_key(2048, auto_kid=True)
OTHER_KEY = RSAKey.generate_key(2048, auto_kid=True)


def declared(**changes: object) -> Provider:
    """Return the declaration of the provider."""
    return Provider.model_validate(
        {
            "id": "city",
            "name": {"zh": "市认证", "en": "City"},
            "issuer": ADDRESS,
            "client_id": "datong",
            "client_secret": "s3cret",
            "claim": "employee_number",
        }
        | changes
    )


class Liar:
    """A provider whose documents and tokens a test may change: `key` signs, `keys` are published."""

    def __init__(self, world: World, addresses: ConfirmedAddresses | None = None, **changes: object) -> None:
        self.world = world
        self.provider = declared(**changes)
        self.key: Key | bytes = KEY
        self.keys: list[Mapping[str, Any]] = [KEY.as_dict(private=False, use="sig", alg="RS256")]
        self.claims: dict[str, Any] = {"employee_number": "e1001", "name": "王芳"}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": KEY.kid}
        self.metadata: dict[str, Any] = {
            "issuer": ADDRESS,
            "authorization_endpoint": f"{ADDRESS}/authorize?tenant=1",
            "token_endpoint": f"{ADDRESS}/token",
            "jwks_uri": f"{ADDRESS}/keys",
            "userinfo_endpoint": f"{ADDRESS}/me",
            "end_session_endpoint": f"{ADDRESS}/end",
        }
        self.told: dict[str, Any] = {}
        self.token: Callable[[str], str] = lambda made: made
        self.nonce = ""
        answers: dict[str, Callable[[Mapping[str, str]], ProviderAnswer]] = {
            f"{ADDRESS}/.well-known/openid-configuration": lambda _: _json(self.metadata),
            f"{ADDRESS}/keys": lambda _: _json({"keys": self.keys}),
            f"{ADDRESS}/token": lambda _: _json({"id_token": self.token(self.signed()), "access_token": "a"}),
            f"{ADDRESS}/me": lambda _: _json(self.told),
        }
        self.web = MemoryProviderWeb(answers)
        self.links = IdentityLinks(database=world.database, clock=world.clock, ledger=world.ledger)
        self.service = OpenIdSignIn(
            database=world.database,
            clock=world.clock,
            people=world.identity,
            links=self.links,
            providers=(self.provider,),
            web=self.web,
            addresses=addresses or NoAddresses(),
            secret=SECRET,
            base_url=ISSUER,
        )

    def signed(self) -> str:
        """Return an identity token as things stand."""
        at = int(self.world.clock.now().timestamp())
        claims = {"iss": ADDRESS, "aud": "datong", "sub": "s-1", "nonce": self.nonce, "iat": at, "exp": at + 300}
        stated = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return signed_token(self.header, json.dumps(stated).encode(), self.key)

    def begin(self, **options: str) -> tuple[Begun, dict[str, str]]:
        """Begin an attempt; return it and what the provider is asked."""
        begun = self.service.begin("city", **options)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.address).query).items()}
        self.nonce = asked["nonce"]
        return begun, asked

    def sign_in(self, person: str = "", **options: str) -> Session | None:
        """Go the whole way; None: a link was made."""
        begun, asked = self.begin(person=person, **options)
        return self.finish(CameBack(state=asked["state"], code="c"), begun.cookie, person)

    def finish(self, came: CameBack, cookie: str, person: str = "") -> Session | None:
        """Bring the provider's answer to the hub, and open the session that follows."""
        done = self.service.complete("city", came, cookie, device="Chrome", address="192.0.2.1", person=person)
        return None if done.linked else self.world.identity.open_session(done.person, done.by)


def signed_token(header: Mapping[str, Any], payload: bytes, key: Key | bytes) -> str:
    """Return a token signed with a key, or with bytes as the secret that both sides share (HS256)."""
    if not isinstance(key, bytes):
        return jws.serialize_compact(dict(header), payload, key, algorithms=[str(header["alg"])])
    said = ".".join(base64url(part) for part in (json.dumps(header).encode(), payload))
    return f"{said}.{base64url(hmac.digest(key, said.encode(), 'sha256'))}"


def base64url(data: bytes) -> str:
    """Return bytes in base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: object) -> ProviderAnswer:
    return ProviderAnswer(status=200, body=json.dumps(value).encode())
