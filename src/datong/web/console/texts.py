"""The console's bilingual texts: a template or a view writes both languages where the text is used.

`t("中文", "English")` in a template is what `Text(zh=…, en=…)` is in Python. A translation cannot be forgotten: both
arguments are required, and a test reads every template to find text outside of `t`, an empty side, or placeholders that
differ.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Protocol

from datong.kernel import CHINA, Language, Text, minute


class HasLabel(Protocol):
    """A member of a domain's vocabulary that knows its name in both languages."""

    @property
    def label(self) -> Text:
        """The member's name."""
        ...


class Counted:
    """A value in a text; `{count:s}` writes the plural's ending, nothing after exactly one."""

    ENDINGS = frozenset({"s", "es"})

    def __init__(self, value: object) -> None:
        self.value = value

    def __format__(self, form: str) -> str:
        if form in self.ENDINGS:
            return "" if str(self.value) == "1" else form
        return format(self.value, form)


class Speech:
    """Writes texts, numbers and times in one language; every page has one."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def t(self, zh: str, en: str, **values: object) -> str:
        """Return the text in this language, with `{name}` placeholders filled in; `record{count:s}` is a plural."""
        text = zh if self.language is Language.ZH else en
        return text.format(**{name: Counted(value) for name, value in values.items()}) if values else text

    def say(self, text: Text | HasLabel | str | None) -> str:
        """Return a bilingual value, or a vocabulary's member, in this language; data in one language as it is."""
        if text is None:
            return ""
        if isinstance(text, Text):
            return text.render(self.language) or text.zh or text.en
        if isinstance(text, str) and not hasattr(text, "label"):
            return text
        label = getattr(text, "label", None)
        return label.render(self.language) if isinstance(label, Text) else str(text)

    def named(self, names: Mapping[str, Text], key: object) -> str:
        """Return the name of `key` from a table of names; an unknown key stands for itself."""
        text = names.get(str(key))
        return str(key) if text is None else text.render(self.language)


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with thousands separators; an em dash for none."""
    return "—" if value is None else f"{value:,.{digits}f}"


def percent(part: float | None, digits: int = 1) -> str:
    """Return a ratio from 0 to 1 as a percentage; an em dash for none."""
    return "—" if part is None else f"{part * 100:.{digits}f}%"


def size(value: int | None) -> str:
    """Return a number of bytes in the unit that suits it."""
    if value is None:
        return "—"
    amount = float(value)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def moment(at: datetime | None) -> str:
    """Return a time in China, to the minute; an em dash for none."""
    return "—" if at is None else minute(at)


def moment_exact(at: datetime | None) -> str:
    """Return a time in China, to the second."""
    return "—" if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def day(at: datetime | date | None) -> str:
    """Return a date in China; an em dash for none."""
    if at is None:
        return "—"
    return at.astimezone(CHINA).strftime("%Y-%m-%d") if isinstance(at, datetime) else at.isoformat()


def deadline(at: datetime | None) -> str:
    """Return a deadline in China: one at midnight as 24:00 of the day before, which is the last day that counts."""
    if at is None:
        return "—"
    here = at.astimezone(CHINA)
    if (here.hour, here.minute) == (0, 0):
        return (here - timedelta(days=1)).strftime("%Y-%m-%d 24:00")
    return minute(at)


def last_day(at: datetime | None) -> str:
    """Return the last day before the end of a term, in China."""
    return "—" if at is None else (at.astimezone(CHINA) - timedelta(microseconds=1)).strftime("%Y-%m-%d")


def short(value: str | None, length: int = 12) -> str:
    """Return the start of a digest or an id, for places where the whole is one click away."""
    if not value:
        return "—"
    return value if len(value) <= length else value[:length] + "…"
