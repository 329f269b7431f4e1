"""Synthetic identifiers that pass the official checks: citizen ids (GB 11643) and credit codes (GB 32100).

The demo makes identifiers; the platform's own rules in `norms` judge them. The two share no code on purpose: a mistake
in one would otherwise hide in the other.
"""

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def citizen_id(region: str, birth: str, order: int) -> str:
    """Return the 18-character id of a region code, a birth date YYYYMMDD and an order number 0–999 (odd: male)."""
    body = f"{region}{birth}{order:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _ID_WEIGHTS, strict=True))
    return body + _ID_CHECKS[total % 11]


def first_generation(identifier: str) -> str:
    """Return the 15-digit form, used until 1999, of an 18-character id."""
    return identifier[:6] + identifier[8:17]


def credit_code(head: str, organisation: str) -> str:
    """Return the unified social credit code of 8 leading characters and the 8 of an organisation code."""
    total = sum(
        _ORGANISATION_ALPHABET.index(character) * weight
        for character, weight in zip(organisation, _ORGANISATION_WEIGHTS, strict=True)
    )
    inner = "0X987654321"[total % 11]
    body = head + organisation + inner
    total = sum(
        _CREDIT_ALPHABET.index(character) * weight for character, weight in zip(body, _CREDIT_WEIGHTS, strict=True)
    )
    return body + _CREDIT_ALPHABET[(31 - total % 31) % 31]
