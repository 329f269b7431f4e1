"""The command `datong demo`: plays the paper's story."""

from pathlib import Path
from typing import Annotated

import typer

from datong.demo import DemoOptions, play
from datong.kernel import Language

app = typer.Typer()


@app.callback(invoke_without_command=True)
def demo(
    people: Annotated[int, typer.Option(min=100, max=2_000_000, help="城市人口 · people of the city")] = 20_000,
    once: Annotated[bool, typer.Option("--once", help="演完即停，以退出码报告 · stop after the story")] = False,
    lang: Annotated[Language, typer.Option(help="讲述语言 · language of the story")] = Language.ZH,
    home: Annotated[Path | None, typer.Option(help="工作目录 · folder for everything it writes")] = None,
    port: Annotated[int, typer.Option(help="枢纽端口，0 为任选 · the hub's port, 0: any")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="随机种子 · seed of the city")] = 1,
    sabotage: Annotated[
        int | None, typer.Option(min=1, max=9, help="在某一步真的搞破坏 · do real harm in this step")
    ] = None,
    kill: Annotated[
        list[str] | None, typer.Option(help="PROCESS@STEP[+SECONDS]：杀掉并重启进程 · kill and restart a process")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="把结果写成 JSON · write the outcome as JSON")] = None,
) -> None:
    """在示例市演出论文里的故事 · Play the paper's story in 示例市, step by step, and check each step."""
    options = DemoOptions.model_validate(
        {
            "once": once,
            "people": people,
            "seed": seed,
            "language": lang,
            "home": home,
            "port": port,
            "sabotage": sabotage,
            "kill": tuple(kill or ()),
            "report": report,
        }
    )
    raise typer.Exit(play(options))
