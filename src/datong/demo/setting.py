"""Sets the scene: databases, hub, accounts, departments, and a node beside each department's databases."""

import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from datong.adapters.launcher import Launcher
from datong.demo.cast import AUTHORITY, BUREAU, DEPARTMENTS, EVERYBODY, OPERATOR, POLICE, Account, Member
from datong.demo.city import CityPlan
from datong.demo.client import Hub, Json, once, patiently
from datong.demo.databases import Departments
from datong.demo.narrator import Narrator
from datong.demo.options import DemoOptions
from datong.demo.processes import Supervisor, free_port
from datong.demo.world import ACCOUNTS, StoryClock, World, prepare_home

COMMANDS_AT_ONCE = 2
MONITOR_INTERVAL_SECONDS = "600"
"""Long enough that the story itself runs the monitor, in its last step."""


def build_world(options: DemoOptions, narrator: Narrator, home: Path, launcher: Launcher | None = None) -> World:
    """Return the world of a new demo below `home`: the city is made and the hub prepared, but nothing runs yet.

    Its programs will fork from `launcher`, if there is one already.
    """
    prepare_home(home)
    home = home.resolve()
    port = options.port or free_port()
    clock = StoryClock(home / "clock-offset")
    clock.set(0)
    environment = {"DATONG_CLOCK_OFFSET_FILE": str(clock.path), "DATONG_LANGUAGE": options.language.value}
    supervisor = Supervisor(home, environment=environment, launcher=launcher)
    narrator.say(
        f"生成 {options.people} 人的示例市和五个部门的数据库……",
        f"Making Shili City with {options.people} people and five departments' databases …",
    )
    departments = Departments(home / "departments", plan=CityPlan(people=options.people, seed=options.seed))
    return World(
        options=options,
        narrator=narrator,
        home=home,
        port=port,
        clock=clock,
        supervisor=supervisor,
        hub=Hub(f"http://127.0.0.1:{port}", language=options.language.value),
        departments=departments,
    )


def set_scene(world: World) -> None:
    """Start the hub, open the accounts, enrol the nodes and start them."""
    hub_settings = {
        "DATONG_HOME": str(world.home / "hub"),
        "DATONG_PORT": str(world.port),
        "DATONG_MONITOR_INTERVAL_SECONDS": MONITOR_INTERVAL_SECONDS,
    }
    with ThreadPoolExecutor(COMMANDS_AT_ONCE) as pool:
        written = pool.submit(world.departments.write)
        _open_first_account(world, hub_settings)
        written.result()
    world.supervisor.add("hub", ("hub", "serve"), hub_settings)
    world.supervisor.wait_healthy("hub", f"{world.hub.url}/readyz")
    world.narrator.say(f"枢纽已启动：{world.hub.url}", f"The hub is up: {world.hub.url}")
    _register(world)
    with ThreadPoolExecutor(COMMANDS_AT_ONCE) as pool:
        list(pool.map(lambda member: _enrol(world, member), DEPARTMENTS))
    _learn_of_nodes(world)
    world.narrator.say("五个部门节点已启动，各是独立进程。", "Five department nodes are up, each a process of its own.")


def _open_first_account(world: World, settings: dict[str, str]) -> None:
    """Prepare the hub and open the operator's account by its own command; all others are opened through the API."""
    world.supervisor.command(
        "hub",
        "create-account",
        OPERATOR.username,
        "--role",
        "operator",
        "--name",
        OPERATOR.name.render(world.options.language),
        "--password",
        world.password,
        extra=settings,
    )


def _register(world: World) -> None:
    for member in EVERYBODY:
        _register_department(world, member)
    others = [account for account in ACCOUNTS if account is not OPERATOR]
    with ThreadPoolExecutor(COMMANDS_AT_ONCE) as pool:
        list(pool.map(lambda account: _open_account(world, account), others))


def _register_department(world: World, member: Member) -> None:
    operator = world.person(OPERATOR)
    body: Json = {
        "code": member.code,
        "name": member.name.model_dump(),
        "short_name": member.short_name.model_dump(),
        "is_authority": member is BUREAU,
    }

    def known() -> Json | None:
        return next((row for row in operator.get("/api/v1/departments") if row["code"] == member.code), None)

    once(known, lambda: operator.post("/api/v1/departments", body))


def _open_account(world: World, account: Account) -> None:
    operator = world.person(OPERATOR)
    body: dict[str, Any] = {
        "username": account.username,
        "password": world.password,
        "name": account.name.render(world.options.language),
        "roles": list(account.roles),
        "department": account.department.code if account.department else None,
    }
    if "citizen" in account.roles:
        body["citizen_id"] = world.departments.city.guardian.official_id

    def known() -> Json | None:
        people = operator.get("/api/v1/people", limit=200)["rows"]
        return next((row for row in people if row["username"] == account.username), None)

    once(known, lambda: operator.post("/api/v1/people", body))


def _enrol(world: World, member: Member) -> None:
    """Enrol a department's node with a token, name its sources, all by the node's own commands, and start it."""
    operator = world.person(OPERATOR)
    token = patiently(lambda: operator.post("/api/v1/enrolments", {"department": member.code}))["token"]
    home = str(world.node_home(member))
    data = str(world.data)
    world.supervisor.command(
        "node", "enrol", "--home", home, "--hub", world.hub.url, "--token", token, "--name", f"{member.key}-1"
    )
    for name, url in member.sources.items():
        world.supervisor.command("node", "add-source", "--home", home, name, url.format(data=data))
    if member.receives:
        world.supervisor.command(
            "node", "add-source", "--home", home, "received", member.receives.format(data=data), "--writable"
        )
    world.supervisor.add(member.key, ("node", "run", "--home", home))


def _learn_of_nodes(world: World) -> None:
    """Learn the nodes' ids, and the log's key as the auditor would get it: from a department's node."""
    nodes = world.person(AUTHORITY).get("/api/v1/nodes")
    identity = tomllib.loads((world.node_home(POLICE) / "node.toml").read_text(encoding="utf-8"))["identity"]
    world.log_key = identity["log_key"]
    for member in DEPARTMENTS:
        world.nodes[member.key] = next(node["id"] for node in nodes if node["department"] == member.code)
