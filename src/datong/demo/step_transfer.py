"""Step 5: data moves from node to hub to library and from node to node; a node is killed; both ends agree."""

import sqlite3
from contextlib import closing
from pathlib import Path

from datong.demo.cast import AUTHORITY, BUREAU, EDUCATION, POLICE
from datong.demo.client import Json, once, wait_until
from datong.demo.databases import RECEIVED_PATH
from datong.demo.records import Source
from datong.demo.results import Check
from datong.demo.world import World, everything
from datong.kernel import Text

TRANSFER_SECONDS_MAX = 180.0
SABOTAGED_SECONDS_MAX = 15.0
SLOW_PARTS = 6
SLOW_SECONDS = 2.0
"""The transfer that is killed on the way is slowed down so that it lasts about this long."""
RECEIVED_TABLES = {
    Source.RESIDENTS: "gongan_hukou",
    Source.MARRIAGES: "minzheng_hunyin",
    Source.INSURED: "renshe_canbao",
}
TO_EDUCATION = tuple(RECEIVED_TABLES)

TaskKey = tuple[str, Source]


def transfer(world: World) -> list[Check]:
    """Step 5: the first, complete transfer with a kill on the way; then the increment; then both ends are compared."""
    narrator = world.narrator
    for consumer, source in world.agreements:
        world.tasks[consumer, source] = _create_task(world, consumer, source)
    narrator.say(
        f"建立 {len(world.tasks)} 个交换任务：七个到资源库，三个到教育局。首次传输为全量。",
        f"{len(world.tasks)} transfer tasks: seven to the library, three to Education. The first run moves everything.",
    )
    if world.sabotaged(5):
        _tamper(world)
    checks = _first_transfer(world)
    if all(check.holds for check in checks):
        checks += _increment(world)
    if all(check.holds for check in checks):
        checks += _agreement_of_ends(world)
    return checks


def _first_transfer(world: World) -> list[Check]:
    _run_all(world, 1)
    killed = _kill_on_the_way(world)
    complete = _wait(world, 1, Text(zh="首次传输", en="First transfer"))
    rows = _rows_committed(world)
    world.facts["rows_in_first_transfer"] = rows
    return [
        Check(
            label=Text(
                zh="公安节点在传输途中被杀掉并重启", en="The police node was killed on the way and started again"
            ),
            holds=killed,
        ),
        Check(
            label=Text(zh="首次传输全部完成", en="The first transfer is complete"),
            holds=complete,
            detail=Text(zh=f"{rows} 行", en=f"{rows} rows") if complete else _complaints(world),
        ),
    ]


def _increment(world: World) -> list[Check]:
    before = _rows_committed(world)
    changes = world.departments.increment()
    world.departments.apply(changes)
    changed = sum(len(records.rows) for records in changes.values())
    world.narrator.say(
        f"城市过了一天：{changed} 行变更或新增。第二次传输只传变化。",
        f"A day passes in the city: {changed} rows are new or changed. The second run moves only these.",
    )
    _run_all(world, 2)
    complete = _wait(world, 2, Text(zh="增量传输", en="Increment"))
    moved = _rows_committed(world) - before
    world.facts["rows_in_increment"] = moved
    return [
        Check(
            label=Text(zh="增量传输全部完成，只传变化", en="The increment is complete, and moves only what changed"),
            holds=complete and changed <= moved <= 2 * changed,
            detail=Text(zh=f"{moved} 行", en=f"{moved} rows") if complete else _complaints(world),
        )
    ]


def _complaints(world: World) -> str:
    """Return what the nodes say of their own failures."""
    nodes = world.person(AUTHORITY).get("/api/v1/nodes")
    return "; ".join(f"{node['name']}: {node['last_status']}" for node in nodes if node["last_status"] != "ok")


def _create_task(world: World, consumer: str, source: Source) -> Json:
    person = world.person(AUTHORITY)
    agreement = world.agreements[consumer, source]
    resource = world.resources[source]
    binding = resource["content"]["binding"]
    names = {item["column"]: item["name"]["zh"] for item in resource["content"]["items"]}
    moved = [item["column"] for item in agreement["items"]]
    to_education = consumer == EDUCATION.key
    draft: Json = {
        "agreement_id": agreement["id"],
        "resource_id": resource["id"],
        "resource_version": agreement["resource_version"],
        "provider": agreement["provider"],
        "consumer": agreement["consumer"],
        "producer_node": binding["node_id"],
        "consumer_node": world.nodes[EDUCATION.key] if to_education else None,
        "source": binding["source"],
        "table": binding["table"],
        "columns": [{"column": column, "item": names[column]} for column in moved],
        "key_columns": binding["key_columns"],
        "cursor_column": binding["cursor_column"],
        "mode": "increment",
    }
    if to_education:
        draft["target_table"] = RECEIVED_TABLES[source]
    if to_education and source is Source.RESIDENTS:
        people = len(world.departments.contents[source].rows)
        draft["batch_rows"] = max(1, people // SLOW_PARTS)
        draft["rate_limit_rows_per_second"] = max(1, int(people / SLOW_SECONDS))

    def created() -> Json | None:
        tasks = everything(person, "/api/v1/tasks")
        return next((task for task in tasks if task["agreement_id"] == agreement["id"]), None)

    return once(created, lambda: person.post("/api/v1/tasks", draft))


def _run_all(world: World, run: int) -> None:
    for task in world.tasks.values():
        _request_run(world, task["id"], run)


def _request_run(world: World, task_id: str, run: int) -> None:
    person = world.person(AUTHORITY)

    def requested() -> Json | None:
        task = person.get(f"/api/v1/tasks/{task_id}")["task"]
        return task if task["run_requested"] >= run else None

    once(requested, lambda: person.post(f"/api/v1/tasks/{task_id}/actions", {"action": "run"}))


def _kill_on_the_way(world: World) -> bool:
    """Kill the police node once a part of the household data is committed and more is to come."""
    key = (EDUCATION.key, Source.RESIDENTS)
    if key not in world.tasks:
        return False

    def under_way() -> Json | None:
        progress = _progress(world, key)
        return progress if progress["batches"] > 0 or progress["run_done"] > 0 else None

    seen = wait_until(under_way, seconds=TRANSFER_SECONDS_MAX, pause=0.05)
    if seen is None or seen["run_done"] > 0:
        return False
    world.supervisor.kill_and_restart(POLICE.key)
    world.narrator.say(
        f"公安局节点在传完 {seen['batches']} 批后被强制杀掉，随即重启，从确认的位置继续。",
        f"The police node is killed after {seen['batches']} batches, starts again, and goes on where it was confirmed.",
    )
    return True


def _progress(world: World, key: TaskKey) -> Json:
    return world.person(AUTHORITY).get(f"/api/v1/tasks/{world.tasks[key]['id']}")["progress"]


def _wait(world: World, run: int, label: Text) -> bool:
    """Wait until every task has finished a run and every batch of it is acknowledged."""
    limit = SABOTAGED_SECONDS_MAX if world.sabotaged(5) else TRANSFER_SECONDS_MAX
    with world.narrator.bar(label) as bar:

        def all_done() -> bool | None:
            done = sum(_finished(_progress(world, key), run) for key in world.tasks)
            bar.show(done, len(world.tasks))
            return True if done == len(world.tasks) else None

        return bool(wait_until(all_done, seconds=limit, pause=0.3))


def _finished(progress: Json, run: int) -> bool:
    return bool(progress["run_done"] >= run and progress["receipted_batches"] == progress["batches"])


def _rows_committed(world: World) -> int:
    return sum(int(_progress(world, key)["rows"]) for key in world.tasks)


def _agreement_of_ends(world: World) -> list[Check]:
    """Compare both ends of every transfer: signed receipts, counts and digests."""
    direct = [key for key in world.tasks if key[0] == EDUCATION.key]
    equal = sum(_reconciled(world, key) for key in direct)
    moved = {key: _progress(world, key) for key in world.tasks}
    landed = [key for key in world.tasks if key[0] == BUREAU.key]
    complete = sum(
        moved[key]["rows_applied"] >= len(world.departments.contents[key[1]].rows)
        and moved[key]["rows_rejected"] == 0
        and moved[key]["rows"] == moved[key]["rows_applied"]
        for key in landed
    )
    received = {source: _received(world.data / RECEIVED_PATH, table) for source, table in RECEIVED_TABLES.items()}
    exact = [
        rows == distinct == len(world.departments.contents[source].rows)
        for source, (rows, distinct) in received.items()
    ]
    return [
        Check(
            label=Text(zh="到教育局的三项：两端计数和摘要一致", en="The three to Education: counts and digests agree"),
            holds=equal == len(direct) == len(TO_EDUCATION),
            detail=f"{equal}/{len(direct)}",
        ),
        Check(
            label=Text(zh="到资源库的七项：逐批签收，行数一致", en="The seven to the library: receipted, counts agree"),
            holds=complete == len(landed) == len(Source),
            detail=f"{complete}/{len(landed)}",
        ),
        Check(
            label=Text(
                zh="教育局库内无一行丢失、无一行重复", en="In Education's database nothing is lost, nothing twice"
            ),
            holds=all(exact),
            detail=", ".join(str(rows) for rows, _ in received.values()),
        ),
    ]


def _reconciled(world: World, key: TaskKey) -> bool:
    person = world.person(AUTHORITY)
    path = f"/api/v1/tasks/{world.tasks[key]['id']}"

    def known() -> Json | None:
        return person.get(f"{path}/reconciliation") or None

    once(known, lambda: person.post(f"{path}/actions", {"action": "reconcile"}))

    def compared() -> Json | None:
        reconciliation = person.get(f"{path}/reconciliation")
        return reconciliation if reconciliation and reconciliation["state"] != "waiting" else None

    reconciliation = wait_until(compared, seconds=TRANSFER_SECONDS_MAX)
    return reconciliation is not None and reconciliation["state"] == "equal"


def _received(database: Path, table: str) -> tuple[int, int]:
    """Return the rows and the distinct keys of a received table, as education itself sees them."""
    with closing(sqlite3.connect(database)) as connection:
        (key,) = (row[1] for row in connection.execute(f'PRAGMA table_info("{table}")') if row[0] == 0)
        rows, distinct = connection.execute("SELECT count(*), count(DISTINCT " + f'"{key}") FROM "{table}"').fetchone()
        return int(rows), int(distinct)


def _tamper(world: World) -> None:
    """Let education's node wait, let the household batches land, change a byte of one, and let the node go on."""
    key = (EDUCATION.key, Source.RESIDENTS)
    world.narrator.warn(
        Text(
            zh="破坏：枢纽落地区里一个户籍批次的字节被改动。",
            en="Sabotage: a byte of a landed household batch is changed on the hub's disk.",
        )
    )
    consumer = world.supervisor.processes[EDUCATION.key]
    consumer.kill()
    _request_run(world, world.tasks[key]["id"], 1)
    wait_until(lambda: _landed(world, key), seconds=SABOTAGED_SECONDS_MAX)
    landed = _landed(world, key)
    if landed is not None:
        change_a_byte(landed)
    consumer.start()


def _landed(world: World, key: TaskKey) -> Path | None:
    folder = world.home / "hub" / "lake" / "batches" / str(world.tasks[key]["id"])
    return next(iter(sorted(folder.glob("*.arrow"))), None)


def change_a_byte(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    mode = path.stat().st_mode
    path.chmod(mode | 0o200)
    path.write_bytes(content)
    path.chmod(mode)
