"""The web shell: console, public portal, REST, gateway, log; thin over the services that `app` composes."""

from typing import TYPE_CHECKING

from datong.kernel import on_demand
from datong.web.services import Services
from datong.web.waiting import Bell

if TYPE_CHECKING:
    from datong.web.application import create_app
else:
    __getattr__ = on_demand(__name__, {"application": ["create_app"]})

__all__ = ["Bell", "Services", "create_app"]
