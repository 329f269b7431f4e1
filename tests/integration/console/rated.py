"""What a served city has of ratings, so that their pages have something to show."""

from datong.governance.satisfaction import Aspect, Opinion
from tests.integration.console.conftest import ServedCity


def rated(console: ServedCity) -> list[str]:
    """Return the page of a rating that the education bureau gave and the provider answered, made at the first call."""
    city, hub = console.city, console.city.hub
    known = hub.ratings.find(limit=1).rows
    if known:
        return [f"/ratings/{known[0].id}"]
    hub.request_flows.catch_up()
    opinion = Opinion(
        scores={Aspect.TIMELINESS: 5, Aspect.QUALITY: 3, Aspect.SUPPORT: 2},
        reasons={Aspect.QUALITY: "两列常为空值"},
    )
    agreement = city.tasks[0].agreement_id
    given = hub.ratings.rate(agreement, opinion, city.people["education.officer"].actor)
    provider = next(one.actor for one in city.people.values() if one.department == given.provider)
    hub.ratings.answer(given.id, "The columns are filled from next month on.", provider)
    return [f"/ratings/{given.id}"]
