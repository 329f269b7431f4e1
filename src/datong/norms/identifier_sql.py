"""The rules of `identifiers` as DuckDB SQL, for whole columns.

Each function takes an SQL expression of type VARCHAR and returns a boolean expression that is never NULL: an absent
value is not valid. Characters are compared one by one and only after an ASCII pattern has matched, because DuckDB's own
string distances and classes work on bytes.

Check characters of citizen IDs and credit codes are sums over all characters. Looking at each character costs 30 ns, so
the characters become the bits of one or two numbers, and the weighted sum is a few counts of bits (`_bit_sum`).
"""

from collections.abc import Callable, Mapping

from datong.norms.identifiers import (
    ALPHANUMERIC,
    BANK_CARD_DIGITS_MAX,
    BANK_CARD_PATTERN,
    CERTIFICATE_PATTERN,
    CERTIFICATE_ROOT,
    CITIZEN_CHECKS,
    CITIZEN_PATTERN,
    CITIZEN_WEIGHTS,
    DIVISION_PATTERN,
    MOBILE_PATTERN,
    ORGANISATION_PATTERN,
    ORGANISATION_WEIGHTS,
    PATTERNS,
    REAL_ESTATE_PATTERN,
    REGISTRATION_PATTERN,
    USCC_ALPHABET,
    USCC_PATTERN,
    USCC_WEIGHTS,
    VIN_CHECK_PLACE,
    VIN_CHECKS,
    VIN_LETTERS,
    VIN_PATTERN,
    VIN_WEIGHTS,
    IdentifierKind,
)


def text_literal(text: str) -> str:
    """Return `text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def let_sql(value: str, name: str, body: str) -> str:
    """`body` with `name` bound to `value`, so that a long expression is written, and computed, once."""
    return f"list_transform([{value}], lambda {name}: {body})[1]"


def matches_sql(column: str, pattern: str) -> str:
    """Whether the whole of `column` matches the RE2 `pattern`."""
    return f"coalesce(regexp_full_match({column}, {text_literal(pattern)}), false)"


def citizen_id_valid_sql(column: str) -> str:
    """Structure, date of birth and check character of an 18-character citizen ID (GB 11643)."""
    return (
        f"(CASE WHEN {matches_sql(column, CITIZEN_PATTERN)} AND {citizen_date_sql(column)} IS NOT NULL"
        f" THEN {_checked_at_once(IdentifierKind.CITIZEN_ID, column)} ELSE false END)"
    )


def citizen_date_sql(column: str) -> str:
    """The date of birth in an 18-character citizen ID, or NULL."""
    return (
        f"try_cast(substr({column}, 7, 4) || '-' || substr({column}, 11, 2) || '-' || substr({column}, 13, 2) AS DATE)"
    )


def citizen_to_18_sql(column: str) -> str:
    """A 15-digit citizen ID as 18 characters; anything else unchanged."""
    first_17 = f"substr({column}, 1, 6) || '19' || substr({column}, 7)"
    longer = let_sql(
        first_17, "digits", f"digits || substr('{CITIZEN_CHECKS}', 1 + ({_citizen_sum('digits')}) % 11, 1)"
    )
    return f"(CASE WHEN {matches_sql(column, '[0-9]{15}')} THEN {longer} ELSE {column} END)"


def uscc_valid_sql(column: str) -> str:
    """A unified social credit code (GB 32100), with the organisation code inside it."""
    checked = _checked_at_once(IdentifierKind.USCC, column)
    return f"(CASE WHEN {matches_sql(column, USCC_PATTERN)} THEN {checked} ELSE false END)"


def organisation_code_valid_sql(column: str) -> str:
    """A nine-character organisation code (GB 11714)."""
    return (
        f"(CASE WHEN {matches_sql(column, ORGANISATION_PATTERN)}"
        f" THEN {_organisation_check(column, 1)} = substr({column}, 9, 1) ELSE false END)"
    )


def real_estate_unit_valid_sql(column: str) -> str:
    """The structure of a 28-character real estate unit code."""
    return matches_sql(column, REAL_ESTATE_PATTERN)


def certificate_id_valid_sql(column: str) -> str:
    """An electronic certificate identifier with its ISO 7064 MOD 37,36 check character."""
    payload = f"replace(substr({column}, {len(CERTIFICATE_ROOT) + 1}), '.', '')"
    value = f"(strpos('{ALPHANUMERIC}', letter) - 1)"
    # MOD 37,36 as a fold: the accumulator is the "product" of the standard, starting at 36.
    product = (
        f"list_reduce(list_transform(string_split(substr({payload}, 1, length({payload}) - 1), ''),"
        f" lambda letter: {value}), lambda product, digit:"
        f" (CASE WHEN (product + digit) % 36 = 0 THEN 36 ELSE (product + digit) % 36 END) * 2 % 37, 36::BIGINT)"
    )
    check = f"substr('{ALPHANUMERIC}', 1 + (37 - {product}) % 36, 1)"
    return f"(CASE WHEN {matches_sql(column, CERTIFICATE_PATTERN)} THEN {check} = right({column}, 1) ELSE false END)"


def division_code_valid_sql(column: str) -> str:
    """The structure of a division code of 6, 9 or 12 digits."""
    return matches_sql(column, DIVISION_PATTERN)


def mobile_valid_sql(column: str) -> str:
    """The structure of a mainland mobile number."""
    return matches_sql(column, MOBILE_PATTERN)


def registration_number_valid_sql(column: str) -> str:
    """A 15-digit business registration number with its ISO 7064 MOD 11,10 check digit."""
    product = (
        f"list_reduce(list_transform(string_split(substr({column}, 1, 14), ''), lambda digit: CAST(digit AS BIGINT)),"
        " lambda product, digit: (CASE WHEN (product + digit) % 10 = 0 THEN 10 ELSE (product + digit) % 10 END)"
        " * 2 % 11, 10::BIGINT)"
    )
    check = f"CAST((11 - {product}) % 10 AS VARCHAR)"
    return (
        f"(CASE WHEN {matches_sql(column, REGISTRATION_PATTERN)} THEN {check} = substr({column}, 15, 1) ELSE false END)"
    )


def vin_valid_sql(column: str) -> str:
    """A vehicle identification number with its check character at the ninth place (GB 16735)."""
    total = " + ".join(
        f"((strpos('{VIN_LETTERS}', substr({column}, {place}, 1)) - 1) % 10) * {weight}"
        for place, weight in enumerate(VIN_WEIGHTS, start=1)
        if weight
    )
    check = f"substr('{VIN_CHECKS}', 1 + ({total}) % 11, 1)"
    return (
        f"(CASE WHEN {matches_sql(column, VIN_PATTERN)}"
        f" THEN {check} = substr({column}, {VIN_CHECK_PLACE + 1}, 1) ELSE false END)"
    )


def bank_card_valid_sql(column: str) -> str:
    """A card number of 13 to 19 digits whose Luhn sum is divisible by ten."""
    # Zeros in front do not change the sum, so that every place has a fixed weight.
    digits = f"lpad({column}, {BANK_CARD_DIGITS_MAX}, '0')"
    doubled = "0246813579"
    terms = []
    for place in range(1, BANK_CARD_DIGITS_MAX + 1):
        value = f"(ascii(substr(card, {place}, 1)) - 48)"
        if (BANK_CARD_DIGITS_MAX - place) % 2:
            value = f"CAST(substr('{doubled}', 1 + {value}, 1) AS INTEGER)"
        terms.append(value)
    total = let_sql(digits, "card", " + ".join(terms))
    return f"(CASE WHEN {matches_sql(column, BANK_CARD_PATTERN)} THEN ({total}) % 10 = 0 ELSE false END)"


def identifier_valid_sql(kind: IdentifierKind, column: str) -> str:
    """Whether `column` holds a valid identifier of `kind`; agrees with `check_identifier`."""
    checked = _CHECKED.get(kind)
    return checked(column) if checked is not None else matches_sql(column, PATTERNS[kind])


_CHECKED: Mapping[IdentifierKind, Callable[[str], str]] = {
    IdentifierKind.CITIZEN_ID: citizen_id_valid_sql,
    IdentifierKind.USCC: uscc_valid_sql,
    IdentifierKind.ORGANISATION_CODE: organisation_code_valid_sql,
    IdentifierKind.CERTIFICATE_ID: certificate_id_valid_sql,
    IdentifierKind.REGISTRATION_NUMBER: registration_number_valid_sql,
    IdentifierKind.VIN: vin_valid_sql,
    IdentifierKind.BANK_CARD: bank_card_valid_sql,
}


def check_steps(kind: IdentifierKind, column: str, name: str) -> list[dict[str, str]]:
    """What `check_sql` reads, by name: each step from the names of those before it, so that nothing is computed twice.

    `{name}_plain` (see `plain_pattern`) must be there. The first step is whether the value has the form of an
    identifier of `kind`; the others are NULL where it has not.
    """
    shaped = f"(CASE WHEN {name}_plain THEN true ELSE {matches_sql(column, PATTERNS[kind])} END)"
    return [{f"{name}_shaped": shaped}, *_numbers(kind, column, name, f"{name}_shaped")]


def plain_pattern(kind: IdentifierKind) -> str:
    """The pattern of values that are in canonical form as they stand: most values, found by one look at each.

    What matches has the form of `kind`, and if it is a citizen ID, its date of birth exists.
    """
    return _DATED_CITIZEN if kind is IdentifierKind.CITIZEN_ID else PATTERNS[kind]


_DATED_CITIZEN = (
    "[1-9][0-9]{5}(18|19|20)[0-9]{2}((0[13578]|1[02])(0[1-9]|[12][0-9]|3[01])|(0[469]|11)(0[1-9]|[12][0-9]|30)"
    "|02(0[1-9]|1[0-9]|2[0-8]))[0-9]{3}[0-9X]"
)
"""Citizen IDs whose date of birth exists for certain: all but those of the 29th of February."""


def check_sql(kind: IdentifierKind, column: str, name: str) -> str | None:
    """Whether the check characters of what has the form of `kind` are right; None if it has none.

    For a citizen ID the date of birth must have been found right as well.
    """
    if kind is IdentifierKind.CITIZEN_ID:
        return _citizen_check(column, name)
    if kind is IdentifierKind.USCC:
        return _uscc_check(column, name)
    return _CHECKED[kind](column) if kind in _CHECKED else None


def _citizen_sum(column: str) -> str:
    return " + ".join(
        f"(ascii(substr({column}, {position}, 1)) - 48) * {weight}"
        for position, weight in enumerate(CITIZEN_WEIGHTS, start=1)
    )


def _numbers(kind: IdentifierKind, column: str, name: str, shaped: str) -> list[dict[str, str]]:
    """The steps that turn characters into the bits of numbers, where `shaped` holds."""
    if kind is IdentifierKind.CITIZEN_ID:
        # Sixteen digits are the nibbles of one number; the first one stays aside.
        return [{f"{name}_nibbles": f"(CASE WHEN {shaped} THEN CAST('0x' || substr({column}, 2, 16) AS UBIGINT) END)"}]
    if kind is IdentifierKind.USCC:
        halves = {f"{name}_early": _bytes_sql(column, 1), f"{name}_late": _bytes_sql(column, 9)}
        guarded = {half: f"(CASE WHEN {shaped} THEN {number} END)" for half, number in halves.items()}
        return [guarded, {f"{half}_gaps": _gaps_sql(half) for half in halves}]
    return []


def _checked_at_once(kind: IdentifierKind, column: str) -> str:
    """`check_sql` in one expression, of a value that has the form."""
    body = check_sql(kind, column, "its") or "true"
    for step in reversed(_numbers(kind, column, "its", "true")):
        for name, number in step.items():
            body = let_sql(number, name, body)
    return body


def _citizen_check(column: str, name: str) -> str:
    """Whether the last of 18 characters of the right form is the check character of the others."""
    first, *weights = CITIZEN_WEIGHTS
    bits = {4 * place + bit: (weight << bit) % 11 for place, weight in enumerate(reversed(weights)) for bit in range(4)}
    total = f"(ascii({column}) - 48) * {first} + {_bit_sum(f'{name}_nibbles', bits)}"
    return f"substr('{CITIZEN_CHECKS}', 1 + ({total}) % 11, 1) = substr({column}, 18, 1)"


def _uscc_check(column: str, name: str) -> str:
    """Whether both check characters of a credit code of the right form are those of the others."""
    total = " + ".join(
        f"{_alphanumeric_sum(half, weights, 31)} + {_bit_sum(f'{half}_gaps', _gap_weights(weights))}"
        for half, weights in ((f"{name}_early", USCC_WEIGHTS[:8]), (f"{name}_late", USCC_WEIGHTS[8:16]))
    )
    last = f"(strpos('{USCC_ALPHABET}', substr({column}, 17, 1)) - 1) * {USCC_WEIGHTS[16]}"
    check = f"substr('{USCC_ALPHABET}', 1 + (31 - ({total} + {last}) % 31) % 31, 1) = substr({column}, 18, 1)"
    inner = f"substr('0123456789X0', 12 - ({_alphanumeric_sum(f'{name}_late', ORGANISATION_WEIGHTS, 11)}) % 11, 1)"
    return f"({inner} = substr({column}, 17, 1) AND {check})"


def _bytes_sql(column: str, start: int) -> str:
    """Eight ASCII characters as the bytes of one number, the first one highest."""
    return f"CAST('0x' || hex(substr({column}, {start}, 8)) AS UBIGINT)"


def _alphanumeric_sum(number: str, weights: tuple[int, ...], modulus: int) -> str:
    """The weighted sum, modulo `modulus`, of eight characters from 0 to 9 and A to Z (10 to 35), given as bytes."""
    # '0' is 48, 'A' is 65: the lower six bits are the value and 48, or the value less 9; letters have the bit for 64.
    values = [*(1 << bit for bit in range(6)), 57]
    bits = {
        8 * place + bit: weight * value % modulus
        for place, weight in enumerate(reversed(weights))
        for bit, value in enumerate(values)
    }
    return f"{_bit_sum(number, bits)} + {-48 * sum(weights) % modulus}"


_GAPS = sorted(set(ALPHANUMERIC[: ALPHANUMERIC.index("Z")]) - set(USCC_ALPHABET))
"""Letters that the credit code's alphabet leaves out: each letter behind one of them counts one less."""


def _gaps_sql(number: str) -> str:
    """One bit in each byte for each of the gaps that its character lies behind."""
    ones = sum(1 << 8 * place for place in range(8))
    return " | ".join(
        f"((({number} + {(127 - ord(letter)) * ones}) >> {7 - bit}) & {ones << bit})"
        for bit, letter in enumerate(_GAPS)
    )


def _gap_weights(weights: tuple[int, ...]) -> dict[int, int]:
    """What each bit of `_gaps_sql` adds, modulo 31: the weight of its character less."""
    return {
        8 * place + bit: -weight % 31 for place, weight in enumerate(reversed(weights)) for bit in range(len(_GAPS))
    }


def _bit_sum(number: str, weights: Mapping[int, int]) -> str:
    """The sum of the weights of those bits that are set in `number`."""
    return " + ".join(f"bit_count({number} & {mask})::INTEGER * {factor}" for mask, factor in _masks(weights))


def _masks(weights: Mapping[int, int]) -> list[tuple[int, int]]:
    """The bits whose weights hold a power of two, with that power, for every power: weights as sums of few masks."""
    powers = [1 << power for power in range(max(weights.values()).bit_length())]
    return [(sum(1 << bit for bit, weight in weights.items() if weight & power), power) for power in powers]


def _organisation_check(column: str, start: int) -> str:
    total = _alphanumeric_sum("letters", ORGANISATION_WEIGHTS, 11)
    return let_sql(_bytes_sql(column, start), "letters", f"substr('0123456789X0', 12 - ({total}) % 11, 1)")
