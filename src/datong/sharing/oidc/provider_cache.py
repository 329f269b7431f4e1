"""What providers say of themselves and with which keys they sign, kept for a while in each process."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from datong.sharing.oidc.documents import Metadata, SigningKey, answer_unusable, read_keys, read_metadata
from datong.sharing.oidc.ports import ProviderWeb
from datong.sharing.oidc.providers import Provider

METADATA_SECONDS = 3600.0
KEYS_SECONDS = 3600.0
KEYS_SECONDS_MIN = 30.0
"""Keys are asked for again when a token names an unknown one, but not more often than this."""
OK = 200


@dataclass
class _Known:
    """What is known of one provider, and since when by the process's own clock."""

    metadata: Metadata | None = None
    metadata_at: float = 0.0
    keys: tuple[SigningKey, ...] | None = None
    keys_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class ProviderCache:
    """Asks each provider once an hour; of several that need it at once, one asks and the others wait."""

    def __init__(self, web: ProviderWeb, seconds: Callable[[], float] = time.monotonic) -> None:
        self._web, self._seconds = web, seconds
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def metadata(self, provider: Provider) -> Metadata:
        """Return what a provider says of itself.

        Raises:
            Unreachable, Refused, TooLarge: it cannot be asked. Corrupt: it says something else.
        """
        known = self._of(provider)
        with known.lock:
            if known.metadata is None or self._seconds() - known.metadata_at > METADATA_SECONDS:
                address = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
                known.metadata = read_metadata(self._body(provider, address), provider)
                known.metadata_at = self._seconds()
            return known.metadata

    def keys(self, provider: Provider, metadata: Metadata) -> tuple[SigningKey, ...]:
        """Return a provider's keys; see `metadata`."""
        return self._keys(provider, metadata, KEYS_SECONDS)

    def fresh_keys(self, provider: Provider, metadata: Metadata) -> tuple[SigningKey, ...]:
        """Return a provider's keys, asked for again unless that was just done; see `metadata`."""
        return self._keys(provider, metadata, KEYS_SECONDS_MIN)

    def _keys(self, provider: Provider, metadata: Metadata, seconds_max: float) -> tuple[SigningKey, ...]:
        known = self._of(provider)
        with known.lock:
            if known.keys is None or self._seconds() - known.keys_at > seconds_max:
                known.keys = read_keys(self._body(provider, metadata.jwks_uri), provider)
                known.keys_at = self._seconds()
            return known.keys

    def _of(self, provider: Provider) -> _Known:
        with self._lock:
            return self._known.setdefault(provider.id, _Known())

    def _body(self, provider: Provider, address: str) -> bytes:
        answer = self._web.ask(address, headers={"Accept": "application/json"})
        if answer.status != OK:
            raise answer_unusable(provider, f"{answer.status}")
        return answer.body
