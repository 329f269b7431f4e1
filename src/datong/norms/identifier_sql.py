"""The rules of `identifiers` as DuckDB SQL, for whole columns.

Each function takes an SQL expression of type VARCHAR and returns a boolean expression that is never NULL: an absent
value is not valid. Characters are compared one by one and only after an ASCII pattern has matched, because DuckDB's own
string distances and classes work on bytes.
"""

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
    check = f"substr('{CITIZEN_CHECKS}', 1 + ({_citizen_sum(column)}) % 11, 1)"
    return (
        f"(CASE WHEN {matches_sql(column, CITIZEN_PATTERN)} AND {citizen_date_sql(column)} IS NOT NULL"
        f" THEN {check} = substr({column}, 18, 1) ELSE false END)"
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
    total = _weighted_sum(column, USCC_ALPHABET, USCC_WEIGHTS, 1)
    check = f"substr('{USCC_ALPHABET}', 1 + (31 - ({total}) % 31) % 31, 1)"
    inner = _organisation_check(column, 9)
    return (
        f"(CASE WHEN {matches_sql(column, USCC_PATTERN)}"
        f" THEN {check} = substr({column}, 18, 1) AND {inner} = substr({column}, 17, 1) ELSE false END)"
    )


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
    checked = {
        IdentifierKind.CITIZEN_ID: citizen_id_valid_sql,
        IdentifierKind.USCC: uscc_valid_sql,
        IdentifierKind.ORGANISATION_CODE: organisation_code_valid_sql,
        IdentifierKind.CERTIFICATE_ID: certificate_id_valid_sql,
        IdentifierKind.REGISTRATION_NUMBER: registration_number_valid_sql,
        IdentifierKind.VIN: vin_valid_sql,
        IdentifierKind.BANK_CARD: bank_card_valid_sql,
    }.get(kind)
    return checked(column) if checked is not None else matches_sql(column, PATTERNS[kind])


def identifier_pattern(kind: IdentifierKind) -> str:
    """The structure of an identifier of `kind` as a pattern that RE2 and Python read alike."""
    return PATTERNS[kind]


def _citizen_sum(column: str) -> str:
    return " + ".join(
        f"(ascii(substr({column}, {position}, 1)) - 48) * {weight}"
        for position, weight in enumerate(CITIZEN_WEIGHTS, start=1)
    )


def _organisation_check(column: str, start: int) -> str:
    total = _weighted_sum(column, ALPHANUMERIC, ORGANISATION_WEIGHTS, start)
    return f"substr('0123456789X0', 12 - ({total}) % 11, 1)"


def _weighted_sum(column: str, alphabet: str, weights: tuple[int, ...], start: int) -> str:
    return " + ".join(
        f"(strpos('{alphabet}', substr({column}, {position}, 1)) - 1) * {weight}"
        for position, weight in enumerate(weights, start=start)
    )
