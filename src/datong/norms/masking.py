"""Shows a value to somebody who may see only part of it; pure, and never longer than the value."""

from decimal import Decimal, InvalidOperation

from datong.norms.terms import Mask

AMOUNT_BAND = 10_000


def mask_value(mask: Mask, value: str | None) -> str | None:
    """Return `value` as `mask` shows it; None and empty stay as they are.

    A name keeps its first character, an identifier its first six and last two, a phone its first three and last two, an
    address its first six characters, a date its year; an amount becomes the band of 10,000 that it lies in.
    """
    if value is None or value == "" or mask is Mask.NONE:
        return value
    if mask is Mask.NAME:
        return value[0] + "*" * max(1, len(value) - 1)
    if mask is Mask.ID:
        return _middle(value, 6, 2)
    if mask is Mask.PHONE:
        return _middle(value, 3, 2)
    if mask is Mask.ADDRESS:
        return value[:6] + "*" * max(1, len(value) - 6)
    if mask is Mask.DATE:
        return f"{value[:4]}-**-**" if value[:4].isdecimal() and len(value) >= len("19900307") else "*"
    return _band(value)


def _middle(value: str, head: int, tail: int) -> str:
    if len(value) <= head + tail:
        return "*" * len(value)
    return value[:head] + "*" * (len(value) - head - tail) + value[-tail:]


def _band(value: str) -> str:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return "*"
    if not amount.is_finite():
        return "*"
    low = int(amount // AMOUNT_BAND) * AMOUNT_BAND
    return f"{low}-{low + AMOUNT_BAND}"
