"""`datong node dead-letters …`: rows that this department's database refused, seen, corrected, given up, as files.

Values are shown here only, on the department's own machine.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Protocol

import typer

from datong.cli.shell import EXIT_FAILED, language, say, say_json
from datong.exchange import Correction, DeadLetter, Resolved, reason_class
from datong.kernel import Clock, SystemClock, TaskId, Text

DEFAULT_HOME = Path("var/node")
NULL = "\\N"
HomeOption = Annotated[Path, typer.Option("--home", envvar="DATONG_NODE_HOME", help="节点目录 / the node's folder")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON")]
ByOption = Annotated[str, typer.Option("--by", help="经办人 / who decides")]
NoteOption = Annotated[str, typer.Option("--note", help="依据或原因 / on what ground")]
TaskOption = Annotated[str | None, typer.Option("--task", help="仅此任务 / this task only")]


class LetterCommands(Protocol):
    """What the commands need of a node's dead letters."""

    def letters(self, task_id: TaskId | None = None) -> Sequence[DeadLetter]:
        """Return the open dead letters."""
        ...

    def letter(self, letter_id: str) -> DeadLetter:
        """Return one of them."""
        ...

    def correct(self, corrections: Sequence[Correction], *, by: str, note: str) -> Resolved:
        """Apply corrected rows."""
        ...

    def discard(self, letter_ids: Sequence[str], *, by: str, note: str) -> Resolved:
        """Give rows up."""
        ...

    def export(self, path: Path, task_id: TaskId) -> int:
        """Write letters to a spreadsheet."""
        ...

    def take_in(self, path: Path, *, by: str, note: str) -> tuple[Resolved, dict[str, int]]:
        """Apply what a spreadsheet changes."""
        ...


OpenLetters = Callable[[Path, Clock], AbstractContextManager[LetterCommands]]


def letter_commands(open_letters: OpenLetters) -> typer.Typer:
    """Return the command group `node dead-letters`."""
    app = typer.Typer(help="死信：目标库拒收的行 / rows that the target refused", no_args_is_help=True)
    _add_seeing(app, open_letters)
    _add_deciding(app, open_letters)
    return app


def _add_seeing(app: typer.Typer, open_letters: OpenLetters) -> None:
    @app.command("list")
    def list_letters(task: TaskOption = None, as_json: JsonOption = False, home: HomeOption = DEFAULT_HOME) -> None:
        """列出待处理的死信 / List the open dead letters."""
        with open_letters(home, SystemClock()) as dead_letters:
            letters = dead_letters.letters(None if task is None else TaskId(task))
        if as_json:
            say_json(letters)
            return
        for letter in letters:
            kind = reason_class(letter.reason).label.render(language())
            typer.echo(f"{letter.id}  {kind}  {letter.reason}")
        say(Text(zh=f"共 {len(letters)} 条。", en=f"{len(letters)} in all."))

    @app.command("show")
    def show(letter: str, as_json: JsonOption = False, home: HomeOption = DEFAULT_HOME) -> None:
        """显示一条死信的值和原因 / Show one, with its values and the reason."""
        with open_letters(home, SystemClock()) as dead_letters:
            found = dead_letters.letter(letter)
        if as_json:
            say_json(found)
            return
        say(Text(zh=f"任务 {found.task_id}，原因：{found.reason}", en=f"Task {found.task_id}; reason: {found.reason}"))
        for name, value in found.content.items():
            typer.echo(f"{name}: {NULL if value is None else value}")


def _add_deciding(app: typer.Typer, open_letters: OpenLetters) -> None:
    @app.command("correct")
    def correct(
        letters: list[str],
        by: ByOption,
        note: NoteOption = "",
        change: Annotated[
            list[str] | None, typer.Option("--set", help="列=新值，\\N 为空值 / column=text, \\N for NULL")
        ] = None,
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """更正后应用；不带 --set 则原样重试 / Correct and apply; without --set try again as it is."""
        changes = _changes(change or [])
        named = [_named(one, changes) for one in letters]
        with open_letters(home, SystemClock()) as dead_letters:
            _tell(dead_letters.correct(named, by=by, note=note), {})

    @app.command("discard")
    def discard(
        letters: list[str],
        by: ByOption,
        note: Annotated[str, typer.Option("--note", help="弃用原因 / why it is given up")],
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """弃用，须说明原因 / Give rows up, saying why."""
        with open_letters(home, SystemClock()) as dead_letters:
            _tell(dead_letters.discard(letters, by=by, note=note), {})

    @app.command("export")
    def export(
        path: Path,
        task: Annotated[str, typer.Option("--task", help="任务编号 / the task's id")],
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """导出到 xlsx 或 CSV，供修改后导入 / Export to xlsx or CSV, to be changed and imported."""
        with open_letters(home, SystemClock()) as dead_letters:
            count = dead_letters.export(path, TaskId(task))
        say(Text(zh=f"已导出 {count} 条到 {path}。", en=f"Exported {count} to {path}."))

    @app.command("import")
    def take_in(path: Path, by: ByOption, note: NoteOption = "", home: HomeOption = DEFAULT_HOME) -> None:
        """导入修改过的文件；任何单元格有误则都不应用 / Import corrections; one bad cell, and nothing is applied."""
        with open_letters(home, SystemClock()) as dead_letters:
            _tell(*dead_letters.take_in(path, by=by, note=note))


def _changes(pairs: list[str]) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair}: 列=值 / column=text")
        changes[name] = None if text == NULL else text
    return changes


def _named(letter_id: str, changes: dict[str, str | None]) -> Correction:
    batch, _, row = letter_id.rpartition(":")
    if not batch or not row.isdecimal():
        raise typer.BadParameter(f"{letter_id}: 批次:行 / batch:row")
    return Correction.model_validate({"batch_id": batch, "row": int(row), "changes": changes})


def _tell(answer: Resolved, lines: dict[str, int]) -> None:
    for fault in answer.faults:
        line = lines.get(f"{fault.batch_id}:{fault.row}")
        where = f"{fault.batch_id}:{fault.row}" if line is None else f"{fault.batch_id}:{fault.row} (line {line})"
        typer.echo(f"{where} {fault.column}: {fault.text.render(language())}", err=True)
    if answer.faults:
        say(Text(zh="有误，未作任何改动。", en="There are faults; nothing was changed."))
        raise typer.Exit(EXIT_FAILED)
    say(Text(zh=f"已处理 {answer.letters} 条。", en=f"{answer.letters} resolved."))
