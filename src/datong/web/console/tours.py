"""Walking a guided tour: begin, go on, leave, take up again. What it says stands in `tour_steps`."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import NotFound, Text
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing.tours import TourAct, TourState
from datong.web.console.desk import TOUR_COOKIE, SignedIn
from datong.web.console.session import own_path
from datong.web.console.tour_steps import tour_for
from datong.web.routing import unlisted_routes

router = unlisted_routes("/tour")


@router.post("")
def walk(
    desk: SignedIn, act: Annotated[TourAct, Form()], back: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "/"
) -> Response:
    """Do one act on the tour of the caller's role, and go to the page where it is then."""
    tour = tour_for(desk.caller)
    if tour is None:
        raise NotFound(
            "web.tour_unknown",
            what=Text(zh="您的角色没有导览。", en="There is no tour for your role."),
            remedy=Text(zh="请查看帮助。", en="Look into the help."),
        )
    progress = desk.services.tours.act(desk.caller.actor.id, tour.name, act, steps=len(tour.steps))
    if progress.state is TourState.WALKING:
        response = desk.go(tour.steps[progress.step].address)
        # Only a window that walks a tour asks on each page how far it is.
        response.set_cookie(TOUR_COOKIE, "1", path="/", samesite="lax", httponly=True)
        return response
    home = tour.steps[0].path
    done = progress.state is TourState.DONE
    response = desk.go(home, done="tour") if done else desk.go(own_path(back, home))
    response.delete_cookie(TOUR_COOKIE, path="/")
    return response
