"""The paper's story in nine steps, from the first inventory to the finding about the late department."""

import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import httpx
from rich.markup import escape

from datong.adapters.launcher import Launcher
from datong.demo.client import LinkBroken, Problem
from datong.demo.narrator import Narrator
from datong.demo.options import DemoOptions, KillOrder
from datong.demo.processes import CommandFailed
from datong.demo.results import Check, StepResult
from datong.demo.setting import build_world, set_scene
from datong.demo.step_agreement import agree, request
from datong.demo.step_catalogue import publish, scan
from datong.demo.step_duty import supervise
from datong.demo.step_library import build
from datong.demo.step_transfer import transfer
from datong.demo.step_use import admit, watch
from datong.demo.world import ACCOUNTS, World
from datong.kernel import DatongError, Text

DEFAULT_HOME = Path("var/demo")
SUCCESS, FAILURE = 0, 1


class Step(NamedTuple):
    """One step: what it is called, and what plays and checks it."""

    title: Text
    play: Callable[[World], list[Check]]


STEPS: tuple[Step, ...] = (
    Step(Text(zh="摸清家底：节点盘点五个部门的数据库", en="Inventory: nodes look into five departments"), scan),
    Step(Text(zh="编目：补全、提交、审核、发布、检索", en="Catalogue: complete, review, publish, search"), publish),
    Step(Text(zh="申请：教育局申请入学审核所需数据", en="Requests: what the school admission needs"), request),
    Step(Text(zh="协议：双方确认并用密钥签署", en="Agreements: confirmed and signed by both"), agree),
    Step(
        Text(zh="交换：全量、途中断电、增量、对账", en="Transfer: full, a kill, increment, both ends agree"), transfer
    ),
    Step(Text(zh="资源库：清洗、关联、融合、溯源", en="Library: clean, link, fuse, with lineage"), build),
    Step(Text(zh="使用：核验、脱敏查询、越权被拒", en="Use: verify, masked query, refusals"), admit),
    Step(Text(zh="知情：市民查看使用记录并离线验证", en="Trust: the citizen sees and verifies"), watch),
    Step(Text(zh="监督：认定延误、责任量化、立案、排名", en="Duty: who was late, whose part, ranking"), supervise),
)


def play(options: DemoOptions, launcher: Launcher | None = None) -> int:
    """Play the story and return the exit status: 0 only if every check of every step held.

    Without `once` the console then stays up until the process is interrupted. Hub, nodes and commands fork from
    `launcher`, which has imported `datong.demo.processes.IMPORTED`; without one, from one that is begun here.
    """
    narrator = Narrator(options.language)
    temporary = Path(tempfile.mkdtemp(prefix="datong-demo-")) if options.once and options.home is None else None
    with _interruptible():
        world = build_world(options, narrator, options.home or temporary or DEFAULT_HOME, launcher)
        holds = False
        try:
            results = _play_all(world)
            holds = len(results) == len(STEPS) and all(result.holds for result in results)
            narrator.table(results)
            _conclude(world, results, holds=holds)
            if not options.once:
                _leave_running(world)
        except KeyboardInterrupt:
            narrator.say("已中断。", "Interrupted.")
        finally:
            world.supervisor.stop_all()
            world.hub.close()
            if temporary is not None and holds:
                shutil.rmtree(temporary)
    return SUCCESS if holds else FAILURE


def _play_all(world: World) -> list[StepResult]:
    """Play step after step until one does not hold."""
    opening = Step(Text(zh="搭台：数据库、枢纽、账号、节点", en="Setting the scene"), lambda _: [])
    started = time.monotonic()
    try:
        set_scene(world)
    except (CommandFailed, Problem, LinkBroken, DatongError, httpx.HTTPError) as error:
        return [_broken_off(0, opening, started, error)]
    results: list[StepResult] = []
    for number, step in enumerate(STEPS, start=1):
        results.append(_play_one(world, number, step))
        if not results[-1].holds:
            break
    return results


def _play_one(world: World, number: int, step: Step) -> StepResult:
    world.narrator.title(number, step.title)
    started = time.monotonic()
    killers = [_killer(world, order) for order in world.options.kill if order.step == number]
    try:
        checks = tuple(step.play(world))
    except (CommandFailed, Problem, LinkBroken, DatongError, httpx.HTTPError, OSError, LookupError) as error:
        return _broken_off(number, step, started, error)
    finally:
        for killer in killers:
            killer.join()
    for check in checks:
        world.narrator.found(check)
    return StepResult(number=number, title=step.title, seconds=time.monotonic() - started, checks=checks)


def _broken_off(number: int, step: Step, started: float, error: Exception) -> StepResult:
    return StepResult(
        number=number, title=step.title, seconds=time.monotonic() - started, error=f"{type(error).__name__}: {error}"
    )


def _killer(world: World, order: KillOrder) -> threading.Thread:
    """Start a thread that kills a process some seconds into the step and starts it again."""

    def strike() -> None:
        time.sleep(order.after_seconds)
        world.supervisor.kill_and_restart(order.process)
        world.narrator.warn(
            Text(
                zh=f"进程 {order.process} 被强制杀掉并重启。",
                en=f"The process {order.process} was killed and started again.",
            )
        )

    thread = threading.Thread(target=strike, name=f"kill-{order.process}")
    thread.start()
    return thread


def _conclude(world: World, results: list[StepResult], *, holds: bool) -> None:
    console, narrator = world.narrator.console, world.narrator
    seconds = sum(result.seconds for result in results)
    if holds:
        narrator.say(f"九步全部成立，用时 {seconds:.0f} 秒。", f"All nine steps hold, in {seconds:.0f} s.")
    else:
        failed = results[-1]
        narrator.warn(
            Text(
                zh=f"第 {failed.number} 步不成立：{failed.title.zh}。日志在 {world.home / 'logs'}。",
                en=f"Step {failed.number} does not hold: {failed.title.en}. Logs are in {world.home / 'logs'}.",
            )
        )
    if world.options.report is not None:
        report = {
            "holds": holds,
            "people": world.options.people,
            "seed": world.options.seed,
            "facts": world.facts,
            "steps": [result.model_dump(mode="json") | {"holds": result.holds} for result in results],
        }
        world.options.report.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    if not world.options.once:
        console.print()
        narrator.say(f"控制台：{world.hub.url}", f"Console: {world.hub.url}")
        for account in ACCOUNTS:
            who = f"{narrator.text(account.post)} {narrator.text(account.name)}"
            console.print(f"    {account.username:<20} {escape(world.password):<16} {who}")


def _leave_running(world: World) -> None:
    """Keep the processes up until somebody interrupts."""
    world.narrator.say("按 Ctrl+C 结束。", "Press Ctrl+C to end.")
    while True:
        time.sleep(3600)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl+C does, so that its processes end with it."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
