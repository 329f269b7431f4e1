"""What sign-in by identity providers needs of others: asking a provider, and whose an address of e-mail is."""

from collections.abc import Callable, Mapping
from typing import Protocol

from datong.kernel import Text, Unreachable, Value

PROVIDER_ANSWER_BYTES_MAX = 512 * 1024


class ProviderAnswer(Value):
    """The status and the body of a provider's answer."""

    status: int
    body: bytes


class ProviderWeb(Protocol):
    """Asks identity providers."""

    def ask(
        self, address: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> ProviderAnswer:
        """Return the answer to a GET, or, with a form, to a POST; no redirect is followed.

        Raises:
            Unreachable: nobody answers. Refused: the address must not be connected to. TooLarge: the answer is.
        """
        ...


class MemoryProviderWeb:
    """A provider of one's own making: what it answers at each address; what it was asked is kept."""

    def __init__(self, answers: Mapping[str, Callable[[Mapping[str, str]], ProviderAnswer]]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = []

    def ask(
        self, address: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> ProviderAnswer:
        """Return what the address answers; see `ProviderWeb.ask`."""
        self.asked.append((address, headers or {}, form or {}))
        if address not in self.answers:
            raise provider_unanswered("404")
        return self.answers[address](form or {})


class ConfirmedAddresses(Protocol):
    """Addresses of e-mail that people have confirmed."""

    def people_at(self, address: str) -> tuple[str, ...]:
        """Return the ids of the accounts whose confirmed address this is."""
        ...


class NoAddresses:
    """Where nobody has confirmed any address."""

    def people_at(self, address: str) -> tuple[str, ...]:
        """Return nobody."""
        return ()


def provider_unanswered(detail: str) -> Unreachable:
    """Return the error of a provider that does not answer as it should."""
    return Unreachable(
        "sharing.provider_unanswered",
        what=Text(zh=f"身份提供方没有应答（{detail}）。", en=f"The identity provider does not answer ({detail})."),
        remedy=Text(zh="请稍后再试，或用其他方式登录。", en="Try again later, or sign in another way."),
    )
