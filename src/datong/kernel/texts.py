"""Bilingual texts: every sentence a user sees exists in Chinese and in English."""

from enum import StrEnum

from datong.kernel.values import Value


class Language(StrEnum):
    """A language of the console, the command line and the error texts."""

    ZH = "zh"
    EN = "en"


class Text(Value):
    """One sentence in both languages."""

    zh: str
    en: str

    def render(self, language: Language) -> str:
        """Return the sentence in `language`."""
        return self.zh if language is Language.ZH else self.en


def both(text: Text) -> str:
    """Return a text in both languages, side by side: for places that have room for one."""
    return f"{text.zh} · {text.en}"
