"""Sign-in by OpenID Connect: the authorization code flow with PKCE, for a hub that is a confidential client.

Numbered as in OpenID Connect Core 1.0 §3.1.1. Between two requests nothing is kept but the browser's sealed attempt
(`sign_in_attempts`); the provider's tokens are looked at once and forgotten.
"""

import hashlib
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic import Field, ValidationError

from datong.kernel import (
    PLATFORM_ACTOR,
    Clock,
    Database,
    DatongError,
    NotFound,
    Overloaded,
    PersonId,
    Refused,
    Text,
    Value,
)
from datong.sharing.oidc.documents import Metadata, TokenAnswer, answer_unusable, read_claims, read_tokens
from datong.sharing.oidc.identity_tokens import KeyUnknown, token_refused, verified_claims
from datong.sharing.oidc.links import IdentityLinks
from datong.sharing.oidc.ports import ConfirmedAddresses, ProviderWeb
from datong.sharing.oidc.provider_cache import ProviderCache
from datong.sharing.oidc.providers import Provider
from datong.sharing.people import People
from datong.sharing.sign_in_attempts import Attempt, attempt_over, opened_attempt
from datong.sharing.sign_in_methods import SignedInBy, SignInMethod

CODE_CHARS_MAX = 4096
ANSWERS_AT_ONCE_MAX = 8
"""Providers are asked by so many visitors at once; others are told to come again."""
VALUE_CHARS_MAX = 200


class CameBack(Value, extra="ignore"):
    """What a browser brings from a provider: foreign input (RFC 6749 §4.1.2, RFC 9207)."""

    state: str = Field("", max_length=200)
    code: str = Field("", max_length=CODE_CHARS_MAX)
    error: str = Field("", max_length=200)
    iss: str = Field("", max_length=500)

    @classmethod
    def read(cls, parameters: Sequence[tuple[str, str]]) -> "CameBack":
        """Return the parameters of an answer.

        Raises:
            Unauthenticated: one is there twice, or longer than any should be.
        """
        named = [name for name, _ in parameters if name in cls.model_fields]
        if len(named) > len(set(named)):
            raise attempt_over()
        try:
            return cls.model_validate(dict(parameters))
        except ValidationError as error:
            raise attempt_over() from error


class Begun(Value):
    """Where to send a browser, and what it must keep meanwhile."""

    address: str
    cookie: str


class Recognised(Value):
    """What came of an attempt: whom the provider vouches for; `linked`: of somebody signed in, a link was made."""

    person: PersonId
    by: SignedInBy
    next_page: str
    linked: bool = False


class OpenIdSignIn:
    """Signs people in whom a declared provider vouches for. `base_url` is the hub's public address."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        people: People,
        links: IdentityLinks,
        providers: Sequence[Provider],
        web: ProviderWeb,
        addresses: ConfirmedAddresses,
        secret: bytes,
        base_url: str,
    ) -> None:
        self._database, self._clock, self._people, self._links = database, clock, people, links
        self._providers = {provider.id: provider for provider in providers}
        self._web, self._addresses, self._secret, self._base_url = web, addresses, secret, base_url
        self._cache = ProviderCache(web)
        self._slots = threading.BoundedSemaphore(ANSWERS_AT_ONCE_MAX)

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The declared providers, in the order of the file."""
        return tuple(self._providers.values())

    def provider(self, provider_id: str) -> Provider:
        """Return a provider.

        Raises:
            NotFound: none of that name is declared.
        """
        if provider_id not in self._providers:
            raise NotFound(
                "sharing.provider_unknown",
                what=Text(zh="没有这个身份提供方。", en="There is no such identity provider."),
                remedy=Text(zh="请从登录页选择。", en="Choose one on the sign-in page."),
            )
        return self._providers[provider_id]

    def metadata(self, provider_id: str) -> Metadata:
        """Return what a provider says of itself, asked now or within the last hour.

        Raises:
            NotFound: see `provider`. Unreachable, Refused, Corrupt, Overloaded: it cannot be had.
        """
        with self._slot():
            return self._cache.metadata(self.provider(provider_id))

    def begin(self, provider_id: str, *, next_page: str = "", person: str = "") -> Begun:
        """Begin an attempt; with `person`, one that ends in a link of that account.

        Raises:
            NotFound, Unreachable, Refused, Corrupt, Overloaded: see `metadata`.
        """
        # Step 1 and 2: the question, bound to this browser by state, nonce and the verifier of which it tells a digest.
        provider, metadata = self.provider(provider_id), self.metadata(provider_id)
        attempt = Attempt.begin(_way(provider), self._clock.now(), person=person, next_page=next_page)
        challenge = hashlib.sha256(attempt.derived(self._secret, "verifier").encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": self._redirect_uri(provider),
            "scope": " ".join(provider.scopes),
            "state": attempt.derived(self._secret, "state"),
            "nonce": attempt.derived(self._secret, "nonce"),
            "code_challenge": urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        address = metadata.authorization_endpoint
        mark = "&" if urlsplit(address).query else "?"
        return Begun(address=f"{address}{mark}{urlencode(asked)}", cookie=attempt.sealed(self._secret))

    def complete(
        self, provider_id: str, came: CameBack, cookie: str | None, *, device: str, address: str, person: str = ""
    ) -> Recognised:
        """Take a provider's answer to an attempt; `person` is who is signed in in the browser that brings it.

        Raises:
            Unauthenticated: the attempt is over, or what the provider sent does not verify.
            Refused: the provider or the person said no, or the person is unknown here.
            Conflict: account or identity is linked otherwise. NotFound, Unreachable, Corrupt, Overloaded: see `begin`.
        """
        provider, now = self.provider(provider_id), self._clock.now()
        attempt = opened_attempt(cookie, self._secret, now, way=_way(provider))
        if came.state != attempt.derived(self._secret, "state") or attempt.person != (person if attempt.person else ""):
            raise attempt_over()
        with self._database.transaction() as connection:
            attempt.use(connection, self._secret)
        with self._slot():
            claims = self._claims(provider, came, attempt)
        subject = str(claims["sub"])
        by = SignedInBy(method=SignInMethod.OIDC, provider=provider.id, device=device, address=address)
        if attempt.person:
            self._link_own(attempt.person, provider, subject)
            return Recognised(person=PersonId(attempt.person), by=by, next_page=attempt.next_page, linked=True)
        account = self._account(provider, claims)
        self._links.used(provider.issuer, subject)
        return Recognised(person=account, by=by, next_page=attempt.next_page)

    def end_address(self, provider_id: str) -> str | None:
        """Return where somebody signs out at the provider, too (RP-Initiated Logout 1.0 §2); None: nowhere, or unknown.

        The client's id goes along instead of the identity token, which is not kept.
        """
        try:
            metadata = self.metadata(provider_id)
        except DatongError:
            # Signing out here has happened; that of a provider that does not answer is not offered.
            return None
        if not metadata.end_session_endpoint:
            return None
        told = {
            "client_id": self.provider(provider_id).client_id,
            "post_logout_redirect_uri": f"{self._base_url}/sign-in",
        }
        mark = "&" if urlsplit(metadata.end_session_endpoint).query else "?"
        return f"{metadata.end_session_endpoint}{mark}{urlencode(told)}"

    def _claims(self, provider: Provider, came: CameBack, attempt: Attempt) -> dict[str, Any]:
        """Return who signed in, as the provider signed it."""
        metadata = self._cache.metadata(provider)
        # RFC 9207: another provider's answer is not taken for this one's.
        if came.iss != provider.issuer and (came.iss or metadata.authorization_response_iss_parameter_supported):
            raise token_refused("iss")
        if came.error or not came.code:
            raise _said_no(provider, came.error)
        # Step 6 and 7: the code becomes tokens, of which only the signed one says who it is.
        tokens = self._tokens(provider, metadata, came.code, attempt)
        nonce, now = attempt.derived(self._secret, "nonce"), self._clock.now()
        try:
            keys = self._cache.keys(provider, metadata)
            claims = verified_claims(tokens.id_token, provider, keys, nonce=nonce, now=now)
        except KeyUnknown:
            try:
                keys = self._cache.fresh_keys(provider, metadata)
                claims = verified_claims(tokens.id_token, provider, keys, nonce=nonce, now=now)
            except KeyUnknown as error:
                raise token_refused("kid") from error
        if provider.claim and provider.claim not in claims and metadata.userinfo_endpoint and tokens.access_token:
            answer = self._web.ask(
                metadata.userinfo_endpoint,
                headers={"Authorization": f"Bearer {tokens.access_token}", "Accept": "application/json"},
            )
            if answer.status != 200:
                raise answer_unusable(provider, f"userinfo {answer.status}")
            claims = read_claims(answer.body, provider, str(claims["sub"])) | claims
        return claims

    def _tokens(self, provider: Provider, metadata: Metadata, code: str, attempt: Attempt) -> TokenAnswer:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri(provider),
            "code_verifier": attempt.derived(self._secret, "verifier"),
        }
        headers = {"Accept": "application/json"}
        secret = provider.client_secret.get_secret_value()
        if secret and provider.client_authentication == "client_secret_basic":
            # RFC 6749 §2.3.1: both are form-encoded first.
            pair = f"{quote(provider.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": provider.client_id} | ({"client_secret": secret} if secret else {})
        answer = self._web.ask(metadata.token_endpoint, headers=headers, form=form)
        if answer.status != 200:
            raise answer_unusable(provider, f"token {answer.status}")
        return read_tokens(answer.body, provider)

    def _account(self, provider: Provider, claims: Mapping[str, Any]) -> PersonId:
        """Return whose account it is: the linked one, else the one that the claim names, which is then linked."""
        subject = str(claims["sub"])
        linked = self._links.find(provider.issuer, subject)
        if linked is not None:
            return linked
        named = _named(provider, claims)
        if not named:
            raise _unknown(provider)
        if provider.account == "email":
            people = self._addresses.people_at(named)
            if len(people) != 1:
                raise _unknown(provider)
            found = PersonId(people[0])
        else:
            try:
                found = self._people.account_of(named).id
            except NotFound:
                return self._created(provider, subject, named, claims)
        account = self._people.account(found)
        if account.disabled:
            raise _unknown(provider)
        self._links.link(found, provider, subject, actor=account.principal.actor, how="claim")
        return found

    def _created(self, provider: Provider, subject: str, username: str, claims: Mapping[str, Any]) -> PersonId:
        if provider.unknown != "create":
            raise _unknown(provider)
        stated = claims.get("name")
        name = stated[:VALUE_CHARS_MAX] if isinstance(stated, str) and stated.strip() else username
        account = self._people.open_recognised(username=username, name=name, actor=PLATFORM_ACTOR)
        self._links.link(account.id, provider, subject, actor=PLATFORM_ACTOR, how="created")
        return account.id

    def _link_own(self, person: str, provider: Provider, subject: str) -> None:
        if self._links.find(provider.issuer, subject) == person:
            return
        actor = self._people.account(PersonId(person)).principal.actor
        self._links.link(PersonId(person), provider, subject, actor=actor, how="session")

    def _redirect_uri(self, provider: Provider) -> str:
        return f"{self._base_url}/sign-in/with/{provider.id}/back"

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise Overloaded(
                "sharing.providers_busy",
                what=Text(zh="同时登录的人太多。", en="Too many people are signing in at once."),
                remedy=Text(zh="请稍候再试。", en="Try again in a moment."),
            )
        try:
            yield
        finally:
            self._slots.release()


def _way(provider: Provider) -> str:
    return f"oidc/{provider.id}"


def _named(provider: Provider, claims: Mapping[str, Any]) -> str:
    """Return the value of the claim that names the account, empty where it says nothing that can be trusted."""
    value = claims.get(provider.claim) if provider.claim else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value.strip()) <= VALUE_CHARS_MAX:
        return ""
    if provider.account == "email" and claims.get("email_verified") is not True:
        return ""
    return value.strip()


def _said_no(provider: Provider, error: str) -> Refused:
    known = error if error and error.isascii() and error.replace("_", "").isalpha() and len(error) <= 40 else ""
    return Refused(
        "sharing.provider_refused",
        what=Text(
            zh=f"{provider.name.zh}没有让您登录{f'（{known}）' if known else ''}。",
            en=f"{provider.name.en} did not let you in{f' ({known})' if known else ''}.",
        ),
        remedy=Text(zh="请重试，或用其他方式登录。", en="Try again, or sign in another way."),
    )


def _unknown(provider: Provider) -> Refused:
    return Refused(
        "sharing.person_unknown",
        what=Text(
            zh=f"{provider.name.zh}认识您，但本平台没有您的账号，或尚未关联。",
            en=f"{provider.name.en} knows you, but you have no account here, or it is not linked.",
        ),
        remedy=Text(
            zh="请请本部门数据管理员开立账号；已有账号的，用密码登录后在“我的账号”中关联。",
            en="Ask your department's data officer for one; or sign in by password and link it under My account.",
        ),
    )
