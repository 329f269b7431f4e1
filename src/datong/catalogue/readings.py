"""Readings of Chinese text in pinyin; the large dictionary of phrases is loaded at the first reading."""

from functools import cache
from importlib import import_module
from typing import Any


def toneless_syllables(text: str) -> list[str]:
    """Return the syllables of `text` without tones; characters that have no reading stay out."""
    pinyin = _pinyin()
    read: list[str] = pinyin.lazy_pinyin(text, style=pinyin.Style.NORMAL, errors="ignore")
    return read


@cache
def _pinyin() -> Any:
    """Return the library; its dictionary of phrases takes half a second, and few processes ever read Chinese."""
    return import_module("pypinyin")
