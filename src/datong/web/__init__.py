"""The web shell: console, public portal, REST, gateway, log; thin over the services that `app` composes."""

from typing import TYPE_CHECKING

from datong.kernel import on_demand
from datong.web.draining import Draining
from datong.web.services import Relay, Services
from datong.web.waiting import Bell

if TYPE_CHECKING:
    from datong.web.application import HubApplication, create_app
    from datong.web.hot_protocol import HotProtocol
    from datong.web.serving import GRACE_SECONDS, DrainingServer
else:
    __getattr__ = on_demand(
        __name__,
        {
            "application": ["HubApplication", "create_app"],
            "hot_protocol": ["HotProtocol"],
            "serving": ["GRACE_SECONDS", "DrainingServer"],
        },
    )

__all__ = [
    "GRACE_SECONDS",
    "Bell",
    "Draining",
    "DrainingServer",
    "HotProtocol",
    "HubApplication",
    "Relay",
    "Services",
    "create_app",
]
