"""The command group `datong norms`: check, compare and show norm packs, and score a file by them; needs no hub."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from datong.cli.shell import language, say, say_json
from datong.cli.table_score import score_file
from datong.kernel import CHINA, Invalid, Text
from datong.norms import (
    DataElement,
    NormPack,
    PackDifference,
    Severity,
    TableScore,
    check_files,
    compare_packs,
    load_pack,
)

app = typer.Typer(help="规范 · norms", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")]
Packs = Annotated[
    list[Path] | None,
    typer.Option("--pack", "-p", exists=True, help="本地规范包，按层次顺序 · local packs, the higher level first"),
]


@app.callback()
def norms() -> None:
    """规范包：数据元、代码、时限、指标 · norm packs: elements, code lists, time limits, indicators."""


@app.command()
def check(
    packs: Annotated[
        list[Path], typer.Argument(exists=True, help="规范包文件或文件夹，按层次顺序 · packs, the higher level first")
    ],
    as_json: Json = False,
) -> None:
    """检查规范包（可多层叠加），列出每一处问题 · Check packs and list every problem with its place."""
    problems = check_files(*packs)
    if as_json:
        say_json([problem.model_dump() for problem in problems])
    elif problems:
        for problem in problems:
            typer.echo(f"{problem.path}: {problem.message.render(language())}")
    else:
        pack = load_pack(*packs)
        layers = " → ".join(f"{layer.name.render(language())} {layer.version}" for layer in pack.layers)
        say(
            Text(
                zh=f"规范包可用：{layers}；共 {len(pack.elements)} 个数据元、{len(pack.code_lists)} 个代码表。",
                en=f"The pack is usable: {layers}; {len(pack.elements)} elements, {len(pack.code_lists)} code lists.",
            )
        )
    if problems:
        raise typer.Exit(1)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(exists=True, help="旧版本 · the old version")],
    after: Annotated[Path, typer.Argument(exists=True, help="新版本 · the new version")],
    above: Annotated[
        list[Path] | None, typer.Option("--above", exists=True, help="两者之上的各层 · the layers above both")
    ] = None,
    fail_on_breaking: Annotated[
        bool, typer.Option("--fail-on-breaking", help="有破坏性变化时以 1 退出 · exit with 1 if anything breaks")
    ] = False,
    as_json: Json = False,
) -> None:
    """比较规范包的两个版本：哪些变化会破坏已有数据和约定 · Show what a new version of a pack breaks."""
    found = compare_packs(load_pack(*(above or ()), before), load_pack(*(above or ()), after))
    if as_json:
        say_json(found)
    else:
        _tell_difference(found)
    if fail_on_breaking and found.breaking:
        raise typer.Exit(1)


@app.command()
def show(
    element: Annotated[str, typer.Argument(help="数据元代码、名称或别名 · code, name or alias of a data element")],
    packs: Packs = None,
    as_json: Json = False,
) -> None:
    """显示一个数据元及其出处 · Show a data element and the layer that each of its values comes from."""
    pack = load_pack(*(packs or ()))
    found = pack.element_called(element) or pack.element(element)
    if as_json:
        origin = pack.origin("elements", found.code)
        overrides = pack.overrides("elements", found.code)
        say_json(
            {
                **found.model_dump(mode="json"),
                "origin": origin.version if origin else None,
                "overrides": {field: layer.version for field, layer in overrides.items()},
            }
        )
    else:
        _tell_element(found, pack)


@app.command()
def score(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV、Excel、Parquet 文件 · a file")],
    columns: Annotated[
        list[str] | None, typer.Option("--map", "-m", help="列=数据元，可重复 · column=element, repeatable")
    ] = None,
    packs: Packs = None,
    write: Annotated[
        Path | None, typer.Option("--write", "-w", help="把标准化结果写成 Parquet · write the judged table as Parquet")
    ] = None,
    as_json: Json = False,
) -> None:
    """给一个文件的标准化程度打分，不需要枢纽 · Score how far a file conforms with the norms; needs no hub."""
    today = datetime.now(UTC).astimezone(CHINA).date()
    found = score_file(file, load_pack(*(packs or ()), on=today), _mapping(columns or []), today=today, write=write)
    if as_json:
        say_json(found)
    else:
        _tell_score(found)


def _mapping(texts: list[str]) -> dict[str, str]:
    """Columns and elements from `column=element`.

    Raises:
        Invalid: one is written otherwise.
    """
    mapping: dict[str, str] = {}
    for text in texts:
        column, sign, element = text.rpartition("=")
        if not sign or not column or not element:
            raise Invalid(
                "cli.mapping_invalid",
                what=Text(zh=f"“{text}”不是“列=数据元”。", en=f'"{text}" is not column=element.'),
                remedy=Text(zh="例如 --map sfzh=citizen_id。", en="For example --map sfzh=citizen_id."),
                field="--map",
            )
        mapping[column] = element
    return mapping


def _tell_difference(found: PackDifference) -> None:
    chosen = language()
    for change in found.changes:
        typer.echo(f"[{change.severity.label.render(chosen)}] {change.path}: {change.effect.render(chosen)}")
        for sign, text in (("-", change.before), ("+", change.after)):
            if text is not None:
                typer.echo(f"    {sign} {text}")
    counts = {severity: len(found.of(severity)) for severity in Severity}
    say(
        Text(
            zh="；".join(f"{severity.label.zh} {count}" for severity, count in counts.items()),
            en="; ".join(f"{severity.label.en} {count}" for severity, count in counts.items()),
        )
    )


def _tell_element(element: DataElement, pack: NormPack) -> None:
    chosen = language()
    overrides = pack.overrides("elements", element.code)
    lines = {
        Text(zh="代码", en="code"): element.code,
        Text(zh="名称", en="name"): element.name.render(chosen),
        Text(zh="定义", en="definition"): element.definition.render(chosen) if element.definition else "",
        Text(zh="类型", en="data_type"): f"{element.data_type.label.render(chosen)} ({element.max_length})",
        Text(zh="单位", en="unit"): element.unit,
        Text(zh="格式", en="pattern"): element.pattern or "",
        Text(zh="标识符", en="identifier"): element.identifier.label.render(chosen) if element.identifier else "",
        Text(zh="代码表", en="code_list"): element.code_list or "",
        Text(zh="分级", en="grade"): element.grade.label.render(chosen),
        Text(zh="分类", en="category"): element.category,
        Text(zh="标准", en="standard"): element.standard,
        Text(zh="别名", en="aliases"): ", ".join(element.aliases),
    }
    origin = pack.origin("elements", element.code)
    for name, value in lines.items():
        if value:
            layer = overrides.get(name.en, origin)
            typer.echo(f"{name.render(chosen)}: {value}" + (f"  [{layer.version}]" if layer else ""))
    for code in element.codes:
        typer.echo(f"  {code.code}  {code.name.render(chosen)}")


def _tell_score(found: TableScore) -> None:
    chosen = language()
    table = Table(show_edge=False)
    for name in (
        Text(zh="列", en="column"),
        Text(zh="数据元", en="element"),
        Text(zh="合规", en="conform"),
        Text(zh="可修复", en="repairable"),
        Text(zh="有误", en="wrong"),
        Text(zh="缺失", en="missing"),
        Text(zh="说明", en="notes"),
    ):
        table.add_column(name.render(chosen))
    for column in found.columns:
        notes = [
            *(f"{flag.label.render(chosen)} {count}" for flag, count in column.flags.items() if flag != "missing"),
            *(f"{repair.label.render(chosen)} {count}" for repair, count in column.repairs.items()),
            *(f"{doubt.label.render(chosen)} {count}" for doubt, count in column.doubts.items()),
            *([] if column.type_fits else [Text(zh="类型不合", en="type does not fit").render(chosen)]),
        ]
        counts = (column.conform, column.repairable, column.wrong, column.rows - column.present)
        table.add_row(column.column, column.element, *map(str, counts), "; ".join(notes))
    Console(highlight=False).print(table)
    if found.unmapped:
        names = ", ".join(found.unmapped)
        say(Text(zh=f"没有对应数据元的列：{names}", en=f"Columns without a data element: {names}"))
    say(Text(zh=f"标准化程度 {found.score}（共 {found.rows} 行）", en=f"Conformance {found.score} ({found.rows} rows)"))
