from io import StringIO

from rich.console import Console

from datong.demo.narrator import Narrator
from datong.demo.results import Check, StepResult
from datong.kernel import Language, Text

TITLE = Text(zh="摸清家底", en="Inventory")
HOLDS = Check(label=Text(zh="都在", en="All there"), holds=True, detail="7/7")
MISSED = Check(label=Text(zh="缺一", en="One missing"), holds=False, detail="[6/7]")


def _told(language: Language, results: list[StepResult]) -> str:
    out = StringIO()
    narrator = Narrator(language, Console(file=out, width=160))
    narrator.title(1, TITLE)
    narrator.found(MISSED)
    narrator.table(results)
    return out.getvalue()


def test_tells_in_chinese_and_english() -> None:
    results = [
        StepResult(number=1, title=TITLE, seconds=1.0, checks=(HOLDS,)),
        StepResult(number=2, title=TITLE, seconds=1.0, checks=(HOLDS, MISSED)),
    ]
    zh, en = _told(Language.ZH, results), _told(Language.EN, results)
    assert "摸清家底" in zh
    assert "缺一" in zh
    assert "Inventory" in en
    assert "One missing [6/7]" in en
    assert "✓" in zh
    assert "✗" in zh


def test_a_step_holds_only_with_checks_that_all_hold() -> None:
    def result(*checks: Check, error: str = "") -> StepResult:
        return StepResult(number=1, title=TITLE, seconds=0.1, checks=checks, error=error)

    assert result(HOLDS).holds
    assert not result().holds
    assert not result(HOLDS, MISSED).holds
    assert not result(HOLDS, error="broke off").holds
