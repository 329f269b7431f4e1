"""A subscription of the education bureau's with a delivery that is dead, made by the services, once for a city."""

from datong.demo.cast import EDUCATION
from datong.demo.records import Source
from datong.kernel import PLATFORM_ACTOR
from tests.integration.console.city import SCHOOL_ITEM
from tests.integration.console.conftest import ServedCity

NAME = "学籍变更接收"


def subscribed(console: ServedCity) -> list[str]:
    """Return the pages of subscriptions; what is to be told to a revoked application is dead at once, and not sent."""
    city, hub = console.city, console.city.hub
    known = hub.webhook_desk.find(department=EDUCATION.code)
    if not known.total:
        officer = city.people["education.officer"].actor
        made = hub.identity.create_application(name=NAME, department=EDUCATION.code, actor=PLATFORM_ACTOR)
        token = hub.identity.token_for_application(made.application.client_id, made.client_secret)
        caller = hub.identity.verify_token(token.access_token)
        hub.subscriptions.create(
            caller, city.resources[Source.RESIDENTS].id, purpose=SCHOOL_ITEM, url="https://9.9.9.9/changes"
        )
        (one,) = hub.subscriptions.of(caller)
        hub.subscriptions.replay(caller, one.id, after=0)
        hub.identity.revoke_application(made.application.client_id, officer)
        hub.subscriptions.deliver()
        known = hub.webhook_desk.find(department=EDUCATION.code)
        assert known.rows[0].dead == 1
    return ["/webhooks", "/webhooks?show=dead", f"/webhooks/{known.rows[0].subscription.id}"]
