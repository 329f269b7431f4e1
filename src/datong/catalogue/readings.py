"""Readings of Chinese text in pinyin; the large dictionary of phrases is loaded at the first reading."""

from functools import cache, lru_cache
from importlib import import_module
from typing import Any

READINGS_KEPT = 10_000
"""The names of a norm pack are some thousand, and read again for every source that is looked into."""


def toneless_syllables(text: str) -> list[str]:
    """Return the syllables of `text` without tones; characters that have no reading stay out."""
    return list(_read(text))


@lru_cache(READINGS_KEPT)
def _read(text: str) -> tuple[str, ...]:
    pinyin = _pinyin()
    return tuple(pinyin.lazy_pinyin(text, style=pinyin.Style.NORMAL, errors="ignore"))


@cache
def _pinyin() -> Any:
    """Return the library; its dictionary of phrases takes half a second, and few processes ever read Chinese."""
    return import_module("pypinyin")
