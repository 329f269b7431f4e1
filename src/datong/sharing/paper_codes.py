"""Verification codes of printed agreements: sixteen characters that nobody guesses and everybody can read aloud."""

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U."""
CODE_CHARS = 16
GROUP_CHARS = 4
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_code() -> str:
    """Return a code of 80 random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS))


def shown_code(code: str) -> str:
    """Return a code as it is printed, in groups of four."""
    return "-".join(code[start : start + GROUP_CHARS] for start in range(0, len(code), GROUP_CHARS))


def read_code(text: str) -> str | None:
    """Return the code that somebody typed, whatever the case, the dashes and the letters that look like digits.

    None: it is no code.
    """
    code = "".join(text.upper().split()).replace("-", "").translate(_MISREAD)
    return code if len(code) == CODE_CHARS and set(code) <= set(ALPHABET) else None
