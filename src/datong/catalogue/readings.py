"""Readings of Chinese text in pinyin; the dictionary of phrases is large, so this is loaded at the first reading."""

from pypinyin import Style, lazy_pinyin


def toneless_syllables(text: str) -> list[str]:
    """Return the syllables of `text` without tones; characters that have no reading stay out."""
    return lazy_pinyin(text, style=Style.NORMAL, errors="ignore")
