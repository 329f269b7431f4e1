"""`datong exchange send|files|receive`: files from department to department, through the own node."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from datong.cli.node import ClockOption, opened
from datong.cli.shell import language, say, say_json
from datong.cli.sources import DEFAULT_HOME, HomeOption
from datong.exchange import FileId, FileRecord
from datong.kernel import AgreementId, Clock, DatongError, Text

STAGES = {
    "digest": Text(zh="计算摘要", en="digest"),
    "seal": Text(zh="加密", en="seal"),
    "upload": Text(zh="上传", en="upload"),
    "download": Text(zh="下载", en="download"),
    "open": Text(zh="解密", en="open"),
}
JsonOption = Annotated[bool, typer.Option("--json", help="JSON")]
Progressed = Callable[[str, int, int], None]


class FileCommands(Protocol):
    """What the commands need of a node; `datong.node.NodeProgram` is one."""

    def send_file(self, path: Path, agreement_id: AgreementId, *, seal: bool, progress: Progressed) -> FileRecord:
        """Send one file, going on where an earlier attempt stopped."""
        ...

    def files(self) -> Sequence[FileRecord]:
        """Return the files that the department sends or receives."""
        ...

    def waiting_files(self) -> Sequence[FileRecord]:
        """Return the files that wait to be received."""
        ...

    def receive_file(self, file_id: FileId, target: Path, *, progress: Progressed) -> Path:
        """Receive one file into a folder."""
        ...


OpenNode = Callable[[Path, Clock], FileCommands]


def add_file_commands(app: typer.Typer, open_node: OpenNode) -> None:
    """Add the commands `send`, `files` and `receive` to the group `exchange`."""
    _add_send(app, open_node)
    _add_files(app, open_node)
    _add_receive(app, open_node)


def _add_send(app: typer.Typer, open_node: OpenNode) -> None:
    @app.command("send")
    def send(
        paths: Annotated[list[Path], typer.Argument(metavar="FILE…", help="要发送的文件 / files to send")],
        agreement: Annotated[str, typer.Option("--agreement", help="共享协议编号 / id of the agreement")],
        seal: Annotated[bool, typer.Option("--seal", help="端到端加密 / encrypt to the recipient's node")] = False,
        as_json: JsonOption = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """按协议发送文件；中断后重复执行即续传 / Send files under an agreement; run it again to go on."""
        node = opened(open_node, home, clock_offset_file)
        records = []
        for path in paths:
            with _bar(path.name, hidden=as_json) as progress:
                record = node.send_file(path, AgreementId(agreement), seal=seal, progress=progress)
            records.append(record)
            if not as_json:
                say(
                    Text(
                        zh=f"已发送 {path.name}，编号 {record.manifest.file_id}。",
                        en=f"Sent {path.name} as {record.manifest.file_id}.",
                    )
                )
        if as_json:
            _print(records)


def _add_files(app: typer.Typer, open_node: OpenNode) -> None:
    @app.command("files")
    def files(
        as_json: JsonOption = False, home: HomeOption = DEFAULT_HOME, clock_offset_file: ClockOption = None
    ) -> None:
        """列出本部门发送和接收的文件 / List the files that the department sends and receives."""
        records = opened(open_node, home, clock_offset_file).files()
        if as_json:
            _print(records)
            return
        chosen = language()
        for record in records:
            manifest = record.manifest
            name = manifest.name or Text(zh="（已加密）", en="(sealed)").render(chosen)
            done = f"{record.received_bytes:,}/{manifest.payload_bytes:,}"
            state = record.state.label.render(chosen)
            typer.echo(f"{manifest.file_id}  {state}  {done}  {manifest.sender} → {manifest.recipient}  {name}")


def _add_receive(app: typer.Typer, open_node: OpenNode) -> None:
    @app.command("receive")
    def receive(
        ids: Annotated[
            list[str] | None,
            typer.Argument(metavar="ID…", help="文件编号，缺省为全部 / ids; else all that wait"),
        ] = None,
        target: Annotated[Path, typer.Option("--to", help="存放目录 / folder to put them in")] = Path(),
        as_json: JsonOption = False,
        home: HomeOption = DEFAULT_HOME,
        clock_offset_file: ClockOption = None,
    ) -> None:
        """接收、核验并签收文件；中断后重复执行即续传 / Receive, verify and acknowledge; run it again to go on."""
        node = opened(open_node, home, clock_offset_file)
        wanted = [str(one) for one in ids or [record.manifest.file_id for record in node.waiting_files()]]
        landed: dict[str, str] = {}
        failed: DatongError | None = None
        for file_id in wanted:
            try:
                with _bar(file_id[-12:], hidden=as_json) as progress:
                    landed[file_id] = str(node.receive_file(FileId(file_id), target, progress=progress))
            except DatongError as error:
                # One file that does not open holds back no other; the first failure ends the command in the end.
                failed = failed or error
                say(error.what)
                continue
            if not as_json:
                say(Text(zh=f"已签收 {landed[file_id]}。", en=f"Received {landed[file_id]}."))
        if as_json:
            say_json(landed)
        elif not wanted:
            say(Text(zh="没有待接收的文件。", en="No file waits."))
        if failed is not None:
            raise failed


@contextmanager
def _bar(name: str, *, hidden: bool) -> Iterator[Progressed]:
    """Yield what shows the progress of one file on the terminal, and nothing when the output is for machines."""
    if hidden:
        yield lambda _stage, _done, _total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    chosen = language()
    with Progress(*columns, transient=True) as shown:
        bars: dict[str, TaskID] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = shown.add_task(f"{STAGES[stage].render(chosen)} {name}", total=total)
            shown.update(bars[stage], completed=done)

        yield progress


def _print(records: Sequence[FileRecord]) -> None:
    say_json(records)
