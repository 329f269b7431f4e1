"""Texts that a spreadsheet program would carry out: how they are written into CSV files, and read back.

A CSV file says of no cell what it is, so a program takes `=…` for a formula, which may fetch from anywhere or start
programs (OWASP, CSV Injection). Such a text gets an apostrophe in front, and so does one that begins with an
apostrophe: what begins with one is the text behind it. Signs before numbers, telephone numbers and words stay.
"""

import re

PATTERN = r"(?s)^(?:[=@\t\r']|[+\-].*[(|!])"
"""What is taken for a formula, in the words of Python, RE2 and so of DuckDB."""
_PATTERN = re.compile(PATTERN)
_MARK = "'"


def defused(text: str) -> str:
    """Return `text` as it stands in a CSV file."""
    return _MARK + text if _PATTERN.match(text) else text


def restored(text: str) -> str:
    """Return the text that stands so in a CSV file."""
    return text[1:] if text.startswith(_MARK) and _PATTERN.match(text[1:]) else text
