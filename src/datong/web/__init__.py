"""The web shell: console, public portal, REST, gateway, log; thin over the services that `app` composes."""

from datong.web.application import create_app
from datong.web.services import Services

__all__ = ["Services", "create_app"]
