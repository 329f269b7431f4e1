"""Everybody who can call a hub: nobody, people in each role, an application, a node."""

from collections.abc import Callable
from dataclasses import dataclass, field

from datong.kernel import PLATFORM_ACTOR, DepartmentCode
from datong.ledger import Ed25519Signer
from datong.sharing import Role
from datong.sharing.assertions import client_assertion
from tests.integration.open.serving import BUREAU
from tests.integration.redteam.world import POLICE, SCHOOLS, RedTeamWorld

PASSWORD = "contract-2026-only"
CITIZEN_ID = "440604199107120012"
PEOPLE: dict[str, tuple[DepartmentCode | None, frozenset[Role]]] = {
    "consumer": (SCHOOLS, frozenset({Role.DATA_OFFICER, Role.DEPARTMENT_HEAD})),
    "provider": (POLICE, frozenset({Role.DATA_OFFICER, Role.DEPARTMENT_HEAD, Role.BUSINESS})),
    "authority": (BUREAU, frozenset({Role.AUTHORITY, Role.DATA_OFFICER, Role.DEPARTMENT_HEAD})),
    "operator": (None, frozenset({Role.OPERATOR})),
    "auditor": (BUREAU, frozenset({Role.AUDITOR})),
    "developer": (SCHOOLS, frozenset({Role.DEVELOPER})),
    "citizen": (None, frozenset({Role.CITIZEN})),
}
"""The people who explore: username, department and roles."""


@dataclass
class Caller:
    """Somebody who calls; `obtain` gets a token, None for nobody."""

    name: str
    obtain: Callable[[], str] | None = None
    token: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """Return the headers with which they call."""
        if self.obtain is None:
            return {}
        self.token = self.token or self.obtain()
        return {"Authorization": f"Bearer {self.token}"}


def everybody(world: RedTeamWorld) -> tuple[Caller, ...]:
    """Open accounts and return everybody, nobody included."""
    identity = world.services.identity
    for username, (department, roles) in PEOPLE.items():
        identity.create_account(
            username=f"explorer-{username}",
            password=PASSWORD,
            name=username,
            roles=roles,
            actor=PLATFORM_ACTOR,
            department=department,
            citizen_id=CITIZEN_ID if Role.CITIZEN in roles else None,
        )
    application = identity.create_application(name="探查", department=SCHOOLS, actor=PLATFORM_ACTOR)
    signer = Ed25519Signer.generate()
    enrolment = identity.create_enrolment(department=POLICE, actor=PLATFORM_ACTOR)
    node = identity.redeem_enrolment(token=enrolment, public_key=signer.public_key, name="探查节点")

    def session(username: str) -> Callable[[], str]:
        return lambda: identity.authenticate(f"explorer-{username}", PASSWORD).token

    def assertion() -> str:
        signed = client_assertion(signer, node_id=node.id, hub_url=world.hub.url, now=world.services.clock.now())
        return identity.token_for_assertion(signed).access_token

    return (
        Caller("nobody"),
        *(Caller(username, session(username)) for username in PEOPLE),
        Caller(
            "application",
            lambda: (
                identity.token_for_application(
                    application.application.client_id, application.client_secret
                ).access_token
            ),
        ),
        Caller("node", assertion),
    )
