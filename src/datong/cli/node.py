"""`datong node …`: enrol a node, give it sources, take their inventory, run it."""

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import typer

from datong.catalogue import SAMPLE_ROWS_DEFAULT, CrawlOptions, RecipientKey
from datong.cli.shell import language, say, say_json
from datong.cli.sources import DEFAULT_HOME, HomeOption, SourceCommands, source_commands
from datong.exchange import share_heap
from datong.kernel import Clock, DepartmentCode, NodeId, OffsetClock, SystemClock, TaskId, Text
from datong.kernel.collector import few_heaps, settle
from datong.kernel.log_lines import JsonLines

if TYPE_CHECKING:
    from datong.catalogue import CrawlWatch, Inventory, SourcePlan

LOGGER = logging.getLogger("datong.node")
HUB_WAIT_SECONDS = 60.0
"""So long a hub that was just told to start may take until it answers."""
ClockOption = Annotated[
    Path | None,
    typer.Option(
        "--clock-offset-file",
        envvar="DATONG_CLOCK_OFFSET_FILE",
        help="模拟时间：偏移秒数文件 / simulated time: a file with seconds to add",
    ),
]


class LogFormat(StrEnum):
    """How a running node tells of its work."""

    TEXT = "text"
    JSON = "json"


class EnrolledIdentity(Protocol):
    """Who a node is, once enrolled."""

    @property
    def node_id(self) -> NodeId:
        """The node's id."""
        ...

    @property
    def department(self) -> DepartmentCode:
        """The node's department."""
        ...


class InventoryCommands(Protocol):
    """What the command needs of a node."""

    def plan_inventory(
        self, source: str | None, *, options: CrawlOptions, progress: "CrawlWatch", stop: Callable[[], bool]
    ) -> "tuple[SourcePlan, ...]":
        """Crawl sources; send nothing."""
        ...

    def send_inventory(self, plans: "Sequence[SourcePlan]") -> "tuple[Inventory, ...]":
        """Draft and report what was found."""
        ...


class SetupCommands(SourceCommands, Protocol):
    """What the commands that set a node up need; `datong.node.NodeSetup` is one."""

    def enrol(
        self, *, hub_url: str, token: str, name: str, wait_seconds: float, tell: Callable[[Text], None]
    ) -> EnrolledIdentity:
        """Enrol with the hub, once it answers."""
        ...


class NodeCommands(InventoryCommands, Protocol):
    """What the other commands need of a node; `datong.node.NodeProgram` is one."""

    def run(self, *, stop: Callable[[], bool], tell: Callable[[Text], None], inventory_hours: float = 0) -> None:
        """Work until `stop` is true."""
        ...

    def replay(self, task_id: TaskId, from_sequence: int) -> int:
        """Apply batches that the hub still stores once more; return how many."""
        ...

    def rotate_recipient_key(self, *, revoke_others: bool) -> RecipientKey:
        """Make and register a new recipient key; revoke the others if told so."""
        ...

    def rotate_key(self) -> tuple[str, str]:
        """Replace the signing key; return the ids of the old and the new one."""
        ...

    def accept_hub_key(self, key: str) -> str:
        """Take a key (hexadecimal) for the hub's, without anybody vouching for it; return its id."""
        ...

    def match(self) -> int:
        """Do what can be done now in private matchings; return in how many something was done."""
        ...

    def matchings(self) -> list[dict[str, object]]:
        """Return what the node has learned by private matchings."""
        ...

    def status(self) -> dict[str, object]:
        """Return who the node is and what waits in it."""
        ...


OpenNode = Callable[[Path, Clock], NodeCommands]
Opened = TypeVar("Opened")
"""Puts a node together from its folder and a clock; the composition root gives it."""
OpenSetup = Callable[[Path], SetupCommands]


def node_commands(open_node: OpenNode, open_setup: OpenSetup) -> typer.Typer:
    """Return the command group `node`."""
    app = typer.Typer(help="部门前置机 / a department's node", no_args_is_help=True)
    app.add_typer(source_commands(open_setup), name="source")

    @app.command("enrol")
    def enrol(
        hub: Annotated[str, typer.Option("--hub", help="平台地址 / address of the hub")],
        token: Annotated[str, typer.Option("--token", help="注册令牌 / enrolment token")],
        name: Annotated[str, typer.Option("--name", help="节点名称 / the node's name")],
        home: HomeOption = DEFAULT_HOME,
        wait_seconds: Annotated[
            float,
            typer.Option("--wait", min=0, help="等待平台启动的秒数 / seconds to wait for the hub"),
        ] = HUB_WAIT_SECONDS,
    ) -> None:
        """注册到平台 / Enrol with a hub."""
        identity = open_setup(home).enrol(hub_url=hub, token=token, name=name, wait_seconds=wait_seconds, tell=say)
        say(Text(zh=f"已注册，节点编号 {identity.node_id}。", en=f"Enrolled as node {identity.node_id}."))

    @app.command("add-source")
    def add_source(
        name: Annotated[str, typer.Argument(help="数据源名称 / name of the source")],
        url: Annotated[str, typer.Argument(help="sqlite:///… postgresql://… mysql://… files:///… api:///…")],
        writable: Annotated[bool, typer.Option("--writable", help="可接收数据 / may receive data")] = False,
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """添加数据源，同 source add / Add a source, as `source add` does; its URL stays on this machine."""
        tables = open_setup(home).add_source(name=name, url=url, writable=writable)
        say(Text(zh=f"已添加数据源 {name}（{tables} 张表）。", en=f"Added the source {name} ({tables} tables)."))

    @app.command("inventory")
    def inventory(
        source: Annotated[str | None, typer.Option("--source", help="仅此数据源 / this source only")] = None,
        include: Annotated[
            list[str] | None,
            typer.Option("--include", help="一定编目的表（通配符） / tables to catalogue all the same"),
        ] = None,
        exclude: Annotated[
            list[str] | None, typer.Option("--exclude", help="不编目的表（通配符） / tables to leave out (patterns)")
        ] = None,
        sample_rows: Annotated[
            int, typer.Option("--sample-rows", min=1, help="每张表最多抽取的行数 / rows sampled per table at most")
        ] = SAMPLE_ROWS_DEFAULT,
        again: Annotated[bool, typer.Option("--again", help="不接续上次，重新开始 / begin anew")] = False,
        plan: Annotated[bool, typer.Option("--plan", help="只显示将上报的内容 / only show what would be sent")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """摸清家底：盘点数据源并起草目录，不上报数据 / Take the inventory of sources and draft the catalogue."""
        options = CrawlOptions(
            sample_rows=sample_rows, include=tuple(include or ()), exclude=tuple(exclude or ()), again=again
        )
        node = opened(open_node, home, clock_offset_file)
        # Crawling brings DuckDB and the readings of characters, which the other commands need not wait for.
        take_inventory = import_module("datong.cli.inventory").take_inventory
        take_inventory(node, source, options, plan_only=plan, as_json=as_json)

    @app.command("run")
    def run(
        inventory_hours: Annotated[
            float,
            typer.Option(
                "--inventory-hours",
                envvar="DATONG_NODE_INVENTORY_HOURS",
                min=0,
                help="每隔多少小时自动盘点，0 为不盘点 / hours between two inventories; 0: none",
            ),
        ] = 0,
        log_format: Annotated[
            LogFormat,
            typer.Option("--log-format", envvar="DATONG_LOG_FORMAT", help="日志格式 / lines of text, or JSON"),
        ] = LogFormat.TEXT,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """运行节点，直到收到停止信号 / Run the node until it is told to stop."""
        tell = _teller(log_format)
        few_heaps()
        share_heap()
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        node = opened(open_node, home, clock_offset_file)
        tell(Text(zh="节点已启动。", en="The node is running."))
        settle()
        node.run(stop=stopping.is_set, tell=tell, inventory_hours=inventory_hours)

    @app.command("status")
    def status(
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """显示节点状态 / Show the node's state."""
        state = opened(open_node, home, clock_offset_file).status()
        if as_json:
            say_json(state)
            return
        for name, value in state.items():
            typer.echo(f"{name}: {json.dumps(value, ensure_ascii=False)}")

    _add_key_command(app, open_node)
    _add_replay_command(app, open_node)
    _add_matching_commands(app, open_node)
    return app


def _add_matching_commands(app: typer.Typer, open_node: OpenNode) -> None:
    @app.command("match")
    def match(
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """隐私求交：推进一步 / Go one step on in every private matching that can go on."""
        done = opened(open_node, home, clock_offset_file).match()
        if as_json:
            say_json({"advanced": done})
            return
        say(Text(zh=f"{done} 次隐私求交有进展。", en=f"{done} private matchings went on."))

    @app.command("matchings")
    def matchings(
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """隐私求交的结果 / What this node has learned by private matchings."""
        found = opened(open_node, home, clock_offset_file).matchings()
        for one in found if not as_json else ():
            typer.echo(json.dumps(one, ensure_ascii=False))
        if as_json:
            say_json(found)


def _add_key_command(app: typer.Typer, open_node: OpenNode) -> None:
    @app.command("rotate-key")
    def rotate_key(
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """更换签名密钥，随后重启节点 / Replace the signing key; start the node anew after that."""
        old, new = opened(open_node, home, clock_offset_file).rotate_key()
        if as_json:
            say_json({"old": old, "new": new})
            return
        say(
            Text(
                zh=f"签名密钥 {old} 已由 {new} 接替；请重启节点，过渡期后撤销旧密钥。",
                en=f"The signing key {old} is replaced by {new}: start the node anew, later revoke the old one.",
            )
        )

    @app.command("accept-hub-key")
    def accept_hub_key(
        key: Annotated[str, typer.Argument(help="枢纽的新公钥（十六进制） / the hub's new public key (hexadecimal)")],
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """枢纽密钥紧急更换后，向主管部门当面核实再采信 / Take a hub's new key after an emergency, once verified."""
        taken = opened(open_node, home, None).accept_hub_key(key)
        say(Text(zh=f"已采信枢纽密钥 {taken}；请重启节点。", en=f"Took the hub's key {taken}; start the node anew."))

    @app.command("rotate-recipient-key")
    def rotate_recipient_key(
        revoke_others: Annotated[
            bool, typer.Option("--revoke-others", help="同时撤销其他收件密钥 / revoke the other recipient keys, too")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """更换收件密钥（端到端加密） / Make a new key to which others seal payloads for this node."""
        key = opened(open_node, home, clock_offset_file).rotate_recipient_key(revoke_others=revoke_others)
        if as_json:
            say_json(key)
            return
        say(Text(zh=f"新的收件密钥 {key.key_id} 已登记。", en=f"Registered the new recipient key {key.key_id}."))


def _add_replay_command(app: typer.Typer, open_node: OpenNode) -> None:
    @app.command("replay")
    def replay(
        task: Annotated[str, typer.Argument(help="任务编号 / id of the task")],
        from_sequence: Annotated[int, typer.Option("--from-sequence", min=1, help="从第几批 / from which batch on")],
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """接收方重放：重新应用枢纽仍留存的批次 / Apply batches that the hub still stores once more."""
        count = opened(open_node, home, clock_offset_file).replay(TaskId(task), from_sequence)
        if as_json:
            say_json({"task": task, "from_sequence": from_sequence, "batches": count})
            return
        say(Text(zh=f"已重新应用 {count} 批。", en=f"Applied {count} batches once more."))


def _teller(log_format: LogFormat) -> Callable[[Text], None]:
    """Return what tells of the node's work: sentences, or objects in the form of the hub's log, on standard error."""
    if log_format is LogFormat.TEXT:
        return say
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The client names each request: an address may hold what nobody needs in a log.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    chosen = language()
    return lambda text: LOGGER.info(text.render(chosen))


def opened(open_node: Callable[[Path, Clock], Opened], home: Path, clock_offset_file: Path | None) -> Opened:
    """Return the node in `home`, on the machine's clock or one that the file shifts."""
    clock: Clock = SystemClock() if clock_offset_file is None else OffsetClock(clock_offset_file)
    return open_node(home, clock)
