"""Tells the story on the terminal: what happens, in plain words, and what was found."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from datong.demo.results import Check, StepResult
from datong.kernel import Language, Text

_SECONDS = Text(zh="秒", en="s")
ERROR_CHARS_SHOWN_MAX = 400
"""The end of an error says what happened; the logs have the rest."""


class Bar:
    """A progress bar that a step moves; shows nothing where there is no terminal."""

    def __init__(self, progress: Progress, task: int) -> None:
        self._progress = progress
        self._task = progress.task_ids[task]

    def show(self, done: int, total: int) -> None:
        """Show that `done` of `total` is done."""
        self._progress.update(self._task, completed=min(done, total), total=max(total, 1))


class Narrator:
    """Writes to `console` in one language."""

    def __init__(self, language: Language, console: Console | None = None) -> None:
        self.language = language
        self.console = console or Console(highlight=False)

    def text(self, text: Text) -> str:
        """Return `text` in the language of the story."""
        return text.render(self.language)

    def title(self, number: int, title: Text) -> None:
        """Begin a step."""
        word = Text(zh=f"第 {number} 步　", en=f"Step {number}: ")
        self.console.print()
        self.console.print(f"[bold cyan]{self.text(word)}{escape(self.text(title))}[/]")

    def say(self, zh: str, en: str) -> None:
        """Tell one thing that happens."""
        self.console.print(f"  {escape(zh if self.language is Language.ZH else en)}")

    def warn(self, text: Text) -> None:
        """Tell something that the reader must not miss."""
        self.console.print(f"  [bold yellow]{escape(self.text(text))}[/]")

    @contextmanager
    def bar(self, text: Text) -> Iterator[Bar]:
        """Show a progress bar while the block runs."""
        with Progress(
            SpinnerColumn(),
            TextColumn(f"  {escape(self.text(text))}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        ) as progress:
            progress.add_task("", total=1)
            yield Bar(progress, 0)

    def found(self, check: Check) -> None:
        """Show one check and its outcome."""
        mark = "[green]✓[/]" if check.holds else "[bold red]✗[/]"
        seen = self._seen(check)
        detail = f"  [dim]{escape(seen)}[/]" if seen else ""
        self.console.print(f"    {mark} {escape(self.text(check.label))}{detail}")

    def table(self, results: Sequence[StepResult]) -> None:
        """Show the steps with their outcomes; what was seen stands with each check above, what failed again here."""
        zh = self.language is Language.ZH
        failed = not all(result.holds for result in results)
        table = Table(title="示例市：论文的故事" if zh else "Shili City: the paper's story")
        table.add_column("#", justify="right")
        table.add_column("步骤" if zh else "Step")
        table.add_column("结果" if zh else "Outcome", justify="center")
        table.add_column("检查" if zh else "Checks", justify="right")
        table.add_column("用时" if zh else "Time", justify="right")
        if failed:
            table.add_column("说明" if zh else "What failed", ratio=1)
        for result in results:
            held = sum(check.holds for check in result.checks)
            table.add_row(
                str(result.number),
                self.text(result.title),
                "[green]✓[/]" if result.holds else "[bold red]✗[/]",
                f"{held}/{len(result.checks)}",
                f"{result.seconds:.1f} {self.text(_SECONDS)}",
                *([escape(self._failure(result))] if failed else []),
            )
        self.console.print()
        self.console.print(table)

    def _seen(self, check: Check) -> str:
        return check.detail if isinstance(check.detail, str) else self.text(check.detail)

    def _failure(self, result: StepResult) -> str:
        if result.error:
            return result.error[-ERROR_CHARS_SHOWN_MAX:]
        missed = [check for check in result.checks if not check.holds]
        return "；".join(f"{self.text(check.label)} {self._seen(check)}".strip() for check in missed)
