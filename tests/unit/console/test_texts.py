"""Every text of the console exists in both languages: the templates are read, not rendered, so nothing is missed."""

import re
import string
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import nodes

from datong.kernel import Language, Text
from datong.web.console import facts, vocabulary
from datong.web.console.desk import TEMPLATES, environment
from datong.web.console.navigation import SECTIONS
from datong.web.console.notices import NOTICES
from datong.web.console.texts import Speech
from datong.web.console.tour_steps import TOURS

CHINESE = re.compile(r"[㐀-鿿]")
LETTERS = re.compile(r"[^\W\d_]{2,}", re.UNICODE)
READ_ALOUD = {"alt", "aria-label", "content", "data-confirm", "placeholder", "title"}
NAMES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
ALLOWED_WORDS = {"datong", "ledger", "verify", "export", "json", "tar", "curl", "node", "enrol", "hub", "token"}
"""Words of commands, which are the same in every language; they stand in <pre>."""


class VisibleText(HTMLParser):
    """Collects what a person reads or hears outside of <pre>, <script> and <style>."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"pre", "script", "style"}
        self.found += [value for name, value in attrs if name in READ_ALOUD and value and tag != "meta"]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"pre", "script", "style"}

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def texts_in(name: str) -> list[nodes.Call]:
    tree = environment().parse((TEMPLATES / name).read_text(encoding="utf-8"))
    return [call for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name) and call.node.name == "t"]


def placeholders(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


@pytest.mark.parametrize("name", NAMES)
def test_every_text_has_both_languages(name: str) -> None:
    for call in texts_in(name):
        assert len(call.args) == 2, f"{name}:{call.lineno}: t() takes Chinese and English"
        zh, en = (arg.value if isinstance(arg, nodes.Const) else None for arg in call.args)
        assert isinstance(zh, str), f"{name}:{call.lineno}: the Chinese text is not written out"
        assert isinstance(en, str), f"{name}:{call.lineno}: the English text is not written out"
        assert zh.strip(), f"{name}:{call.lineno}: the Chinese text is empty"
        if CHINESE.search(en):
            assert (zh, en) == ("English", "中文"), f"{name}:{call.lineno}: Chinese in the English text: {en}"
        assert len(zh) < 3 or en.strip(), f"{name}:{call.lineno}: {zh} has no English"
        given = {keyword.key for keyword in call.kwargs}
        assert placeholders(zh) == given, f"{name}:{call.lineno}: placeholders of {zh}"
        assert placeholders(en) == given, f"{name}:{call.lineno}: placeholders of {en}"


@pytest.mark.parametrize("name", NAMES)
def test_no_text_stands_outside_of_t(name: str) -> None:
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)
    reader = VisibleText()
    reader.feed(source)
    for text in reader.found:
        assert not LETTERS.search(text), f"{name}: {text.strip()!r} is not in t()"


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_pre_are_the_same_in_every_language(name: str) -> None:
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    for block in re.findall(r"<pre[^>]*>(.*?)</pre>", source, flags=re.DOTALL):
        assert not CHINESE.search(re.sub(r"\{\{.*?\}\}", "", block)), f"{name}: {block}"


def tables() -> list[tuple[str, Text]]:
    found = [(f"notice {key}", text) for key, text in NOTICES.items()]
    for section in SECTIONS:
        found += [(section.name.en, section.name), *((link.path, link.name) for link in section.links)]
    for tour in TOURS:
        found.append((tour.name, tour.title))
        found += [(f"{tour.name} {step.target}", text) for step in tour.steps for text in (step.title, step.text)]
    for name, table in [*vars(vocabulary).items(), ("FACTS", facts.FACTS), ("WORDS", facts.WORDS)]:
        if name.isupper():
            found += [(f"{name} {key}", text) for key, text in table.items()]
    return found


@pytest.mark.parametrize(("where", "text"), tables(), ids=lambda value: value if isinstance(value, str) else "")
def test_tables_have_both_languages(where: str, text: Text) -> None:
    assert CHINESE.search(text.zh), where
    assert text.en.strip(), where
    assert not CHINESE.search(text.en), where


def test_python_texts_have_no_chinese_in_their_english() -> None:
    source_files = sorted((TEMPLATES.parent / "console").glob("*.py"))
    assert source_files
    for path in source_files:
        for english in re.findall(r'en=f?"([^"]*)"', path.read_text(encoding="utf-8")):
            assert not CHINESE.search(english), f"{path.name}: {english}"


def test_speech_renders_data_and_vocabulary() -> None:
    zh, en = Speech(Language.ZH), Speech(Language.EN)
    text = Text(zh="部门", en="Department")
    assert (zh.say(text), en.say(text)) == ("部门", "Department")
    assert en.say(Text(zh="只有中文", en="")) == "只有中文"
    assert en.say("plain data") == "plain data"
    assert en.say(None) == ""
    assert en.t("共 {total} 条", "{total} in all", total=3) == "3 in all"
    assert zh.named({"a": text}, "a") == "部门"
    assert zh.named({"a": text}, "unknown") == "unknown"


def test_all_templates_compile() -> None:
    for name in NAMES:
        environment().get_template(name)
    assert Path(TEMPLATES / "base.html").exists()


def test_one_of_something_is_no_plural() -> None:
    english, chinese = Speech(Language.EN), Speech(Language.ZH)
    assert [english.t("{n} 批", "{n} batch{n:es}", n=n) for n in (0, 1, "1", 2, "1,001")] == [
        "0 batches",
        "1 batch",
        "1 batch",
        "2 batches",
        "1,001 batches",
    ]
    assert chinese.t("{n} 批", "{n} batch{n:es}", n=1) == "1 批"
    assert english.t("{n} 天", "{n:.1f} day{n:s}", n=2.25) == "2.2 days"
