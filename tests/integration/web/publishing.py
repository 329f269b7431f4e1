"""Publishing a resource on a running hub, as its departments do."""

from datong.catalogue import Item, ResourceAction
from datong.kernel import Actor, ActorKind, ResourceId, Text
from datong.norms import ShareType
from tests.integration.web.conftest import BUREAU, POLICE, RunningHub
from tests.unit.catalogue.conftest import content


def publish(hub: RunningHub, title: str = "户籍", *, table: str = "person") -> ResourceId:
    """Publish what the police hold."""
    items = (
        Item(name=Text(zh="身份证号", en="ID"), column="id", element="citizen_id", share_type=ShareType.UNCONDITIONAL),
        Item(name=Text(zh="地址", en="Address"), column="dz", element="address", share_type=ShareType.UNCONDITIONAL),
    )
    officer = Actor(kind=ActorKind.PERSON, id="p", department=POLICE)
    authority = Actor(kind=ActorKind.PERSON, id="a", department=BUREAU)
    catalogue = hub.services.catalogue
    described = content(title, items=items, share_type=ShareType.UNCONDITIONAL, table=table)
    made = catalogue.draft(POLICE, described, officer)
    catalogue.act(made.id, ResourceAction.SIGN_OFF, officer)
    catalogue.act(made.id, ResourceAction.SUBMIT, officer)
    catalogue.act(made.id, ResourceAction.APPROVE, authority)
    return catalogue.act(made.id, ResourceAction.PUBLISH, authority).id
