"""Files of tasks in YAML: read with line and column of everything, so that an error names the place; and written.

Scalars are read by YAML 1.2's core schema: `22:00` is a time of day and `no` a word, whatever YAML 1.1 made of them.
Aliases are not expanded more often than the limit on nodes allows.
"""

import re
from collections.abc import Mapping, Sequence

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from datong.exchange.declarations import TaskDeclaration, TaskFile
from datong.kernel import Invalid, JsonValue, Text, TooLarge

FILE_CHARS_MAX = 500_000
NODES_MAX = 100_000
DEPTH_MAX = 20
ERRORS_TOLD_MAX = 10
_INTEGER = re.compile(r"[-+]?\d{1,18}")
_FLOAT = re.compile(r"[-+]?(\d{1,18}\.\d{0,18}|\.\d{1,18})([eE][-+]?\d{1,3})?")
_WORDS: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}

Path = tuple[str | int, ...]


class TaskText:
    """A parsed file: its tasks, and where in the text each part stands."""

    def __init__(self, text: str) -> None:
        """Parse `text`.

        Raises:
            TooLarge: `exchange.task_file_too_large`. Invalid: `exchange.task_file`: what is wrong, line by line.
        """
        if len(text) > FILE_CHARS_MAX:
            raise TooLarge(
                "exchange.task_file_too_large",
                what=Text(
                    zh=f"文件超过 {FILE_CHARS_MAX} 个字符。", en=f"The file has over {FILE_CHARS_MAX} characters."
                ),
                remedy=Text(zh="请拆分为多个文件。", en="Split it into several files."),
            )
        self._marks: dict[Path, tuple[int, int]] = {}
        self._left = NODES_MAX
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
            raise _invalid([_told(place, "", _NOT_YAML)]) from error
        except (yaml.YAMLError, RecursionError) as error:
            raise _invalid([_told((1, 1), "", _NOT_YAML)]) from error
        document = None if root is None else self._value(root, ())
        try:
            self.file = TaskFile.model_validate(document)
        except ValidationError as error:
            raise _invalid([self._error(one) for one in error.errors(include_url=False)]) from error
        self._check_names()

    def located(self, error: Invalid, task: int) -> Invalid:
        """Return an error about task number `task` of the file, with the place in the text that it is about."""
        field = error.field or ""
        path = ("tasks", task, *(int(part) if part.isdecimal() else part for part in field.split("/") if part))
        told = _told(self._place(path), _name(path), error.what)
        return Invalid(
            error.code, what=told, remedy=error.remedy, field="/" + "/".join(map(str, path)), context=error.context
        )

    def _check_names(self) -> None:
        seen: set[str] = set()
        for number, declared in enumerate(self.file.tasks):
            if declared.name in seen:
                path = ("tasks", number, "name")
                text = Text(zh=f"名称“{declared.name}”重复", en=f"the name “{declared.name}” occurs twice")
                raise _invalid([_told(self._place(path), _name(path), text)])
            seen.add(declared.name)

    def _value(self, node: yaml.Node, path: Path) -> object:
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        self._marks[path] = place
        self._left -= 1
        if self._left < 0 or len(path) > DEPTH_MAX:
            raise _invalid([_told(place, _name(path), Text(zh="层次过深或内容过多", en="too deep, or too much"))])
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, number)) for number, child in enumerate(node.value)]
        written: dict[str, object] = {}
        for key, child in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            key_place = (key.start_mark.line + 1, key.start_mark.column + 1)
            if not name or name in written:
                twice = Text(zh=f"字段“{name}”重复或不是文字", en=f"the field “{name}” occurs twice or is no word")
                raise _invalid([_told(key_place, _name((*path, name)), twice)])
            written[name] = self._value(child, (*path, name))
            self._marks[(*path, name)] = key_place
        return written

    def _place(self, path: Path) -> tuple[int, int]:
        """Return where a part stands, or the nearest part around it."""
        while path and path not in self._marks:
            path = path[:-1]
        return self._marks.get(path, (1, 1))

    def _error(self, error: ErrorDetails) -> Text:
        path = tuple(error["loc"])
        return _told(self._place(path), _name(path), _words(error))


def declaration(document: Mapping[str, object]) -> TaskDeclaration:
    """Return one declared task, such as a form sends it.

    Raises:
        Invalid: `exchange.task_declaration`; `errors` in its context names each faulty field, and says what is wrong.
    """
    try:
        return TaskDeclaration.model_validate(document)
    except ValidationError as error:
        faults = [(_name(tuple(one["loc"])), _words(one)) for one in error.errors(include_url=False)]
        raise Invalid(
            "exchange.task_declaration",
            what=Text(
                zh="；".join(f"{field}：{text.zh}" for field, text in faults),
                en="; ".join(f"{field}: {text.en}" for field, text in faults),
            ),
            remedy=Text(zh="请更正这些字段。", en="Correct these fields."),
            field="/" + faults[0][0].replace(".", "/"),
            context={"errors": [{"field": field, "zh": text.zh, "en": text.en} for field, text in faults]},
        ) from error


def written(tasks: Sequence[dict[str, JsonValue]]) -> str:
    """Return a file of tasks."""
    return yaml.safe_dump({"tasks": list(tasks)}, allow_unicode=True, sort_keys=False, width=120)


def _scalar(node: yaml.ScalarNode) -> object:
    text: str = node.value
    if node.style is not None:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _name(path: Path) -> str:
    """Return a path as people read it: `tasks[0].schedule.cron`."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def _told(place: tuple[int, int], name: str, text: Text) -> Text:
    zh, en = (f"{name}：", f"{name}: ") if name else ("", "")
    return Text(
        zh=f"第 {place[0]} 行第 {place[1]} 列 {zh}{text.zh}", en=f"line {place[0]}, column {place[1]}: {en}{text.en}"
    )


def _words(error: ErrorDetails) -> Text:
    """Return what a validation error means; the facts of it are put into both languages."""
    context = error.get("ctx", {})
    limit = next(
        (context[name] for name in ("ge", "le", "gt", "lt", "max_length", "min_length") if name in context), ""
    )
    kind = error["type"]
    if kind == "enum":
        return Text(zh=f"应为 {context['expected']} 之一", en=f"must be one of {context['expected']}")
    if kind in _KINDS:
        zh, en = _KINDS[kind]
        return Text(zh=zh.format(limit=limit), en=en.format(limit=limit))
    return Text(zh=f"不符合要求（{error['msg']}）", en=error["msg"])


_NOT_YAML = Text(zh="不是 YAML", en="this is not YAML")
_KINDS = {
    "missing": ("缺少这个字段", "this field is missing"),
    "extra_forbidden": ("没有这个字段", "there is no such field"),
    "string_type": ("应为文字", "must be a text"),
    "int_type": ("应为整数", "must be a whole number"),
    "int_parsing": ("应为整数", "must be a whole number"),
    "int_from_float": ("应为整数", "must be a whole number"),
    "float_type": ("应为数字", "must be a number"),
    "float_parsing": ("应为数字", "must be a number"),
    "tuple_type": ("应为列表", "must be a list"),
    "model_type": ("应为字段的集合", "must hold fields"),
    "model_attributes_type": ("应为字段的集合", "must hold fields"),
    "greater_than_equal": ("不能小于 {limit}", "must be {limit} or more"),
    "less_than_equal": ("不能大于 {limit}", "must be {limit} or less"),
    "string_too_long": ("不能超过 {limit} 个字符", "must have {limit} characters or less"),
    "string_too_short": ("不能少于 {limit} 个字符", "must have {limit} characters or more"),
    "too_long": ("不能超过 {limit} 项", "must have {limit} entries or less"),
    "string_pattern_mismatch": ("写法不对", "is not written as it should be"),
}


def _invalid(told: Sequence[Text]) -> Invalid:
    shown = told[:ERRORS_TOLD_MAX]
    more = len(told) - len(shown)
    return Invalid(
        "exchange.task_file",
        what=Text(
            zh="\n".join([line.zh for line in shown] + ([f"另有 {more} 处"] if more else [])),
            en="\n".join([line.en for line in shown] + ([f"and {more} more"] if more else [])),
        ),
        remedy=Text(zh="请按 docs/exchange/tasks.md 修改。", en="Correct it by docs/exchange/tasks.md."),
        context={"errors": [line.model_dump() for line in shown]},
    )
