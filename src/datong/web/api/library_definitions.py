"""Library definitions: those in force, what a new one would change, and putting it in force."""

from typing import Annotated

from pydantic import Field

from datong.kernel import Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.library import DEFINITION_CHARS_MAX, Definition, DefinitionPlan, DefinitionRecord
from datong.sharing import Action
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="library")

DefinitionName = Annotated[str, Field(max_length=NAME_CHARS_MAX)]


class DefinitionText(Value):
    """A definition as YAML text."""

    text: str = Field(min_length=1, max_length=DEFINITION_CHARS_MAX)


class DefinitionSummary(Value):
    """A definition in force; `supplied` if an operator defined it."""

    name: str
    version: int
    title: Text
    kind: str
    inputs: tuple[str, ...]
    digest: str
    supplied: bool


class DefinitionView(Value):
    """A definition in force and the versions that operators defined, newest first."""

    definition: Definition
    versions: tuple[DefinitionRecord, ...]


@router.get("/library-definitions")
def list_definitions(caller: Caller, hub: Hub) -> tuple[DefinitionSummary, ...]:
    """Return the definitions in force."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    supplied = {(record.name, record.version) for record in hub.library.defining.stored()}
    return tuple(
        DefinitionSummary(
            name=known.name,
            version=known.version,
            title=known.title,
            kind=known.kind.value,
            inputs=tuple(sorted(known.inputs)),
            digest=known.digest,
            supplied=(known.name, known.version) in supplied,
        )
        for known in hub.library.definitions()
    )


@router.get("/library-definitions/{name}")
def read_definition(name: DefinitionName, caller: Caller, hub: Hub) -> DefinitionView:
    """Return one definition and its history."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return DefinitionView(definition=hub.library.definition(name), versions=hub.library.defining.versions(name))


@router.post("/library-definitions/plan")
def plan_definition(body: DefinitionText, caller: Caller, hub: Hub) -> DefinitionPlan:
    """Return what a definition would change and every problem it has; nothing is changed."""
    hub.policy.require(caller, Action.LIBRARY_DEFINE)
    return hub.library.defining.plan(body.text)


@router.post("/library-definitions", status_code=201)
def define(body: DefinitionText, caller: Caller, hub: Hub) -> DefinitionPlan:
    """Put a definition in force; one with problems is refused and the present one stays."""
    hub.policy.require(caller, Action.LIBRARY_DEFINE)
    return hub.library.defining.define(body.text, actor=caller.actor)
