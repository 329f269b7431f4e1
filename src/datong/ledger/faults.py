"""How this package says that evidence is wrong: one remedy for all, and the place in words and as facts."""

from datong.kernel import Corrupt, Text

_REMEDY = Text(
    zh="不要采信这份证据；请向日志的运营方另取一份，并把本信息交给审计人员。",
    en="Do not rely on this evidence; fetch it again from the log's operator, and show this message to an auditor.",
)


def corrupt(code: str, *, zh: str, en: str, **context: str | int) -> Corrupt:
    """Return the error `ledger.<code>`; `context` holds the place, as `file`, `index`, `size` and the like."""
    return Corrupt(f"ledger.{code}", what=Text(zh=zh, en=en), remedy=_REMEDY, context=context)
