"""Identity providers as an operator declares them, in a YAML file that only the hub's user may read.

    providers:
      - id: city
        name: {zh: 市统一身份认证, en: City sign-in}
        issuer: https://id.example.gov.cn
        client_id: datong
        client_secret: …            # or client_secret_file: /etc/datong/city.secret; neither: a public client
        claim: employee_number      # whose value is the account's username; empty: only accounts that were linked
        unknown: refuse             # or create: an account without roles

The client secret stands in that file (or in another), never in the control database.
"""

import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from datong.kernel import Misconfigured, Text, Value

PROVIDERS_MAX = 20
FILE_BYTES_MAX = 256 * 1024
URL_CHARS_MAX = 500
OTHERS_MAY_READ = 0o077
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""Signatures with a public key only: with a shared one (HS256) whoever may check a token could make one."""


class Provider(Value):
    """An identity provider: where it is, who the hub is there, and which account its people have here."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    name: Text
    issuer: str = Field(max_length=URL_CHARS_MAX)
    client_id: str = Field(min_length=1, max_length=200)
    client_secret: SecretStr = SecretStr("")
    client_secret_file: Path | None = None
    client_authentication: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "PS256", "ES256"), min_length=1)
    scopes: tuple[str, ...] = ("openid", "profile")
    claim: str = Field("", max_length=100)
    """The claim whose value names the account; empty: only accounts that were linked are known."""
    account: Literal["username", "email"] = "username"
    """What of the account `claim` names: the username, or an address of e-mail that both sides have verified."""
    unknown: Literal["refuse", "create"] = "refuse"
    """Somebody without an account is refused, or gets one without roles."""

    @field_validator("issuer")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if not is_secure_address(value) or urlsplit(value).query or urlsplit(value).fragment:
            raise ValueError("an issuer is an https address without query and fragment")
        return value

    @field_validator("scopes")
    @classmethod
    def _an_identity(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value or not all(one.isascii() and one.isprintable() and " " not in one for one in value):
            raise ValueError("scopes are words, and openid is one of them")
        return value

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.unknown == "create" and not self.claim:
            raise ValueError("to create accounts, claim must say what their username is")
        if self.unknown == "create" and self.account != "username":
            raise ValueError("accounts are created by username only")
        return self


class _File(Value):
    providers: tuple[Provider, ...] = Field(max_length=PROVIDERS_MAX)

    @field_validator("providers")
    @classmethod
    def _different(cls, value: tuple[Provider, ...]) -> tuple[Provider, ...]:
        if len({one.id for one in value}) < len(value) or len({one.issuer for one in value}) < len(value):
            raise ValueError("ids and issuers must differ")
        return value


def is_secure_address(address: str) -> bool:
    """Whether an address is https, or http on this machine itself, and holds no credentials."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or not address.isprintable() or "\\" in address:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))


def load_providers(path: Path | None) -> tuple[Provider, ...]:
    """Return the providers that a file declares; none without a file.

    Raises:
        Misconfigured: it is missing, says something else, or others than its owner may read it or a file of a secret.
    """
    if path is None:
        return ()
    providers = parse_providers(_own_text(path))
    return tuple(
        one
        if one.client_secret_file is None
        else one.model_copy(update={"client_secret": SecretStr(_own_text(one.client_secret_file).strip())})
        for one in providers
    )


def parse_providers(text: str) -> tuple[Provider, ...]:
    """Return the providers that a YAML text declares.

    Raises:
        Misconfigured: it declares none, or something else.
    """
    try:
        return _File.model_validate(yaml.safe_load(text)).providers
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(str(part) for part in first["loc"])
        raise _unusable(f"{where}: {first['msg']}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise _unusable("YAML") from error


def _own_text(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & OTHERS_MAY_READ:
            raise Misconfigured(
                "sharing.providers_exposed",
                what=Text(zh=f"{path} 可被其他用户读取。", en=f"{path} is open to other users."),
                remedy=Text(
                    zh=f"请执行 chmod 600 {path}；若可能已泄露，请在对方更换密钥。",
                    en=f"Run chmod 600 {path}; have the secret replaced if it may have leaked.",
                ),
            )
        with path.open(encoding="utf-8") as file:
            return file.read(FILE_BYTES_MAX)
    except (OSError, UnicodeError) as error:
        raise _unusable(str(path)) from error


def _unusable(detail: str) -> Misconfigured:
    return Misconfigured(
        "sharing.providers_invalid",
        what=Text(zh=f"身份提供方的声明不可用（{detail}）。", en=f"Identity providers are not usable ({detail})."),
        remedy=Text(
            zh="请按 docs/operations/sign-in.md 修改 DATONG_OIDC_PROVIDERS 指向的文件。",
            en="Correct the file that DATONG_OIDC_PROVIDERS names by docs/operations/sign-in.md.",
        ),
        field="DATONG_OIDC_PROVIDERS",
    )


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
