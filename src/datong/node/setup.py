"""Setting a node up: its key, its enrolment, its sources. Short commands, which load nothing that moves data."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from datong.node.home import NodeHome, NodeIdentity, SourceEntry
from datong.node.hub_answers import enrol

if TYPE_CHECKING:
    from datong.exchange import Connector, TableSchema, Target
    from datong.kernel import Text
    from datong.ledger import Signer


class NodeSetup:
    """What an operator does before a node runs. Adapters are given by whoever composes it."""

    def __init__(
        self,
        *,
        directory: Path,
        load_signer: "Callable[[Path], Signer]",
        open_connector: "Callable[[str], Connector]",
        open_target: "Callable[[str], Target]",
    ) -> None:
        self._home = NodeHome(directory)
        self._load_signer = load_signer
        self._open_connector = open_connector
        self._open_target = open_target

    def enrol(
        self,
        *,
        hub_url: str,
        token: str,
        name: str,
        wait_seconds: float = 0.0,
        tell: "Callable[[Text], None]" = lambda _: None,
    ) -> NodeIdentity:
        """Make the node's key, enrol it with the hub and remember who the node is. Repeating it is harmless.

        A hub that is being started is waited for.
        """
        signer = self._load_signer(self._home.key_path)
        answer = enrol(hub_url, token, name, signer.public_key, wait_seconds=wait_seconds, tell=tell)
        identity = NodeIdentity.model_validate(
            {"hub_url": hub_url.rstrip("/"), "name": name}
            | {field: answer[field] for field in ("node_id", "department", "log_origin", "log_key", "hub_public_key")}
        )
        self._home.save_identity(identity)
        return identity

    def add_source(self, *, name: str, url: str, writable: bool) -> int:
        """Remember a source, after opening it; return how many tables it offers.

        Raises:
            Invalid: the URL is of no known kind. Unavailable: the source does not answer.
        """
        if writable:
            self._open_target(url).close()
        connector = self._open_connector(url)
        try:
            tables = 0 if writable and url.startswith("sqlite") else len(connector.inspect())
        finally:
            connector.close()
        self._home.add_source(SourceEntry(name=name, url=url, writable=writable))
        return tables

    def sources(self) -> list[dict[str, object]]:
        """Return every source's name, kind and whether it is writable; no credential is among it.

        Raises:
            Misconfigured: others can read the sources' credentials.
        """
        self._home.require_private()
        return [
            {"name": entry.name, "kind": entry.url.split(":", 1)[0], "writable": entry.writable}
            for entry in self._home.config().sources
        ]

    def test_source(self, name: str) -> "list[TableSchema]":
        """Connect to a source, both ways if it is writable; return its tables with every column's type or refusal.

        Raises:
            NotFound: there is no such source. Unavailable: it does not answer. Misconfigured: others can read its
                credentials, or its driver is missing.
        """
        self._home.require_private()
        entry = self._home.source(name)
        if entry.writable:
            self._open_target(entry.url).close()
        connector = self._open_connector(entry.url)
        try:
            return connector.inspect()
        finally:
            connector.close()

    def remove_source(self, name: str) -> None:
        """Forget a source; its data stays as it is.

        Raises:
            NotFound: there is no such source.
        """
        self._home.remove_source(name)
