"""Posting lineage to the endpoint of the settings, if there is one."""

from datong.adapters.openlineage_post import OpenLineagePost
from datong.exchange import Exchange
from datong.kernel import Settings


class LineagePosting:
    """One sweep of a hub's background work; nothing is opened before there is something to post."""

    def __init__(self, exchange: Exchange, settings: Settings) -> None:
        self._exchange = exchange
        self._settings = settings
        self._receiver: OpenLineagePost | None = None

    def post(self) -> bool:
        """Post what waits; return whether there is more. What fails is tried again at later turns, ever less often."""
        if not self._settings.openlineage_url or not self._exchange.lineage.waiting():
            return False
        if self._receiver is None:
            url, token = self._settings.openlineage_url, self._settings.openlineage_token
            self._receiver = OpenLineagePost(url=url, token=token)
        return self._exchange.lineage.post_waiting(self._receiver)
