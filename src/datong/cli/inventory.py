"""`datong node inventory` (摸清家底): crawl the sources, show how far it is, draft the catalogue, tell the rest."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from datong.catalogue import CrawlOptions, CrawlProgress, CrawlWatch, SourcePlan, TableRole, plan_document
from datong.cli.node import InventoryCommands
from datong.cli.shell import language, say, say_json
from datong.kernel import Text

SHOWN_MAX = 40
"""Lines of one kind that are told; `--json` has all of them."""


def take_inventory(
    node: InventoryCommands, source: str | None, options: CrawlOptions, *, plan_only: bool, as_json: bool
) -> None:
    """Crawl, then send unless only a plan is wanted; tell the outcome in words or as JSON."""
    stopping = threading.Event()
    with _interruptible(stopping), _bar(shown=not as_json) as watch:
        plans = node.plan_inventory(source, options=options, progress=watch, stop=stopping.is_set)
    if stopping.is_set():
        say(
            Text(
                zh="已中断；已看过的表记在本机，再次执行会接着做。",
                en="Interrupted; what was looked at is kept here, and the next run goes on from it.",
            )
        )
        raise typer.Exit(1)
    sent = () if plan_only else node.send_inventory(plans)
    if as_json:
        document = plan_document(plans) if plan_only else {"inventories": [one.model_dump(mode="json") for one in sent]}
        say_json(document)
    else:
        for plan in plans:
            _tell(plan, plan_only=plan_only)
    if any(plan.fault is not None for plan in plans):
        raise typer.Exit(1)


@contextmanager
def _interruptible(stopping: threading.Event) -> Iterator[None]:
    """Let the first interrupt end the crawl after the tables at hand, with nothing lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: stopping.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _bar(*, shown: bool) -> Iterator[CrawlWatch]:
    """Show a bar for each source on the error output; a table that fails is told at once."""
    if not shown:
        yield lambda _: None
        return
    chosen = language()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as bar:
        tasks: dict[str, TaskID] = {}

        def watch(progress: CrawlProgress) -> None:
            if progress.source not in tasks:
                tasks[progress.source] = bar.add_task(progress.source, total=progress.total or None)
            bar.update(tasks[progress.source], completed=progress.done, total=progress.total or None)
            if progress.fault is not None:
                bar.console.print(f"! {progress.table or progress.source}: {progress.fault.render(chosen)}")

        yield watch


def _tell(plan: SourcePlan, *, plan_only: bool) -> None:
    """Tell what one source holds, what was left out and why."""
    counts = plan.counts
    if plan.fault is not None:
        say(Text(zh=f"{plan.source}：{plan.fault.what.zh}", en=f"{plan.source}: {plan.fault.what.en}"))
        return
    done = Text(zh="将起草", en="to be drafted") if plan_only else Text(zh="已起草", en="drafted")
    say(
        Text(
            zh=f"{plan.source}：{counts.tables} 张表，{counts.columns} 列；{done.zh} {counts.to_catalogue} 个信息资源，"
            f"{counts.members} 张附属表，{counts.codes} 张代码表，{counts.left_out} 张不编目，"
            f"{counts.failed} 张读取失败；"
            f"{counts.mapped}/{counts.catalogue_columns} 列对应数据元，其中 {counts.unsure} 列请核对。",
            en=f"{plan.source}: {counts.tables} tables, {counts.columns} columns; {counts.to_catalogue} resources "
            f"{done.en}, {counts.members} member tables, {counts.codes} code tables, {counts.left_out} left out, "
            f"{counts.failed} failed; {counts.mapped}/{counts.catalogue_columns} columns mapped, "
            f"{counts.unsure} of them to be checked.",
        )
    )
    for table in plan.tables:
        if table.draft is not None and not plan_only:
            title, items = table.draft.content.title, len(table.draft.content.items)
            say(Text(zh=f"  已起草“{title.zh}”，{items} 个信息项。", en=f"  Drafted “{title.en}” with {items} items."))
    aside = [t.found for t in plan.tables if t.found.role in {TableRole.LEFT_OUT, TableRole.CODES} or t.found.fault]
    for found in aside[:SHOWN_MAX]:
        why = found.fault.what if found.fault is not None else found.reason
        role = found.role.label
        say(Text(zh=f"  {found.table}（{role.zh}）：{why.zh}", en=f"  {found.table} ({role.en.lower()}): {why.en}"))
    if len(aside) > SHOWN_MAX:
        say(Text(zh=f"  … 另有 {len(aside) - SHOWN_MAX} 张", en=f"  … and {len(aside) - SHOWN_MAX} more"))
