"""Saved views of the console's lists."""

from pydantic import Field

from datong.kernel import Value
from datong.sharing import Action, Principal, Target
from datong.sharing.views import SavedView, ViewDraft
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/me/views", tag="saved views")


class ViewChange(Value):
    """What is changed of a view: its name, whether colleagues see it, whether the list begins with it."""

    name: str = Field(min_length=1, max_length=60)
    shared: bool = False
    opens: bool = False


@router.get("")
def list_views(caller: Caller, hub: Hub, page: str | None = None) -> tuple[SavedView, ...]:
    """Return the caller's views and those that colleagues share, of one list or of all."""
    return hub.views.of(own_views(caller, hub), caller.department, page)


@router.post("", status_code=201)
def save_view(body: ViewDraft, caller: Caller, hub: Hub) -> SavedView:
    """Keep the filters of a list under a name; the same name replaces what it was."""
    return hub.views.save(body, own_views(caller, hub), caller.department)


@router.put("/{view_id}")
def change_view(view_id: str, body: ViewChange, caller: Caller, hub: Hub) -> SavedView:
    """Rename an own view, share it, or begin the list with it."""
    account = own_views(caller, hub)
    return hub.views.change(view_id, account, name=body.name, shared=body.shared, opens=body.opens)


@router.delete("/{view_id}", status_code=204)
def drop_view(view_id: str, caller: Caller, hub: Hub) -> None:
    """Delete an own view."""
    hub.views.drop(view_id, own_views(caller, hub))


def own_views(caller: Principal, hub: Services) -> str:
    """Return whose views the caller may keep, or raise Refused: machines and citizens keep none."""
    person = caller.actor.id
    hub.policy.require(caller, Action.VIEW_OWN, Target(id=person, person=person))
    return person
