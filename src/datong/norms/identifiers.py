"""Identifiers with check characters and structure, validated as the standards say.

Each rule exists twice: here for one value, and in `identifier_sql` as a DuckDB expression for a column; a property test
keeps the two equal. Validation is strict: bring a value into its canonical form first (`standardise`, `to_18`).
"""

import re
from collections.abc import Callable
from datetime import date
from enum import StrEnum

from datong.kernel import Text, Value

CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CITIZEN_CHECKS = "10X98765432"
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = tuple(pow(3, position, 31) for position in range(17))
ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CERTIFICATE_ROOT = "1.2.156.3005.2."

CITIZEN_PATTERN = "[1-9][0-9]{5}(18|19|20)[0-9]{9}[0-9X]"
USCC_PATTERN = "[0-9A-HJ-NP-RTUWXY]{2}[0-9]{6}[0-9A-HJ-NP-RTUWXY]{10}"
ORGANISATION_PATTERN = "[0-9A-Z]{8}[0-9X]"
REAL_ESTATE_PATTERN = "[1-9][0-9]{11}[GJZ][A-Z][0-9]{5}[FLQW][0-9]{8}"
CERTIFICATE_PATTERN = (
    r"1\.2\.156\.3005\.2\.[0-9A-Z]{18}[0-9]{3}\.([0-9A-Z]{18}|[0-9]{6})\.[0-9A-Z]{1,64}\.[0-9]{3}\.[0-9A-Z]"
)
DIVISION_PATTERN = "[1-9][0-9]{5}([0-9]{3}([0-9]{3})?)?"
MOBILE_PATTERN = "1[3-9][0-9]{9}"
LANDLINE_PATTERN = "0[0-9]{9,11}|[2-9][0-9]{6,7}|[48]00[0-9]{7}"
"""With area code, without it, or a service number of ten digits; digits only."""
REGISTRATION_PATTERN = "[0-9]{15}"
VIN_PATTERN = "[0-9A-HJ-NPR-Z]{8}[0-9X][0-9A-HJ-NPR-Z]{8}"
VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
VIN_LETTERS = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ"
"""The value of a character is its place here modulo 10 (GB 16735): A is 1, J is 1, S is 2."""
VIN_CHECKS = "0123456789X"
VIN_CHECK_PLACE = 8
BANK_CARD_PATTERN = "[1-9][0-9]{12,18}"
BANK_CARD_DIGITS_MAX = 19
PLATE_PATTERN = (
    "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z]"
    "([0-9A-HJ-NP-Z]{4}[0-9A-HJ-NP-Z挂学警港澳]|[A-HJK][0-9A-HJ-NP-Z][0-9]{4}|[0-9]{5}[A-HJK])"
)
"""Plates of cars, trailers and special vehicles with five places, and of new energy vehicles with six (GA 36)."""


class IdentifierKind(StrEnum):
    """An identifier with a structure of its own."""

    CITIZEN_ID = "citizen_id"
    USCC = "uscc"
    ORGANISATION_CODE = "organisation_code"
    REAL_ESTATE_UNIT = "real_estate_unit"
    CERTIFICATE_ID = "certificate_id"
    DIVISION_CODE = "division_code"
    MOBILE = "mobile"
    LANDLINE = "landline"
    TELEPHONE = "telephone"
    REGISTRATION_NUMBER = "registration_number"
    VIN = "vin"
    BANK_CARD = "bank_card"
    PLATE = "plate"

    @property
    def label(self) -> Text:
        """The identifier's name."""
        return _LABELS[self]


class IdProblem(StrEnum):
    """Why a value is not a valid identifier."""

    FORMAT = "format"
    DATE = "date"
    CHECK = "check"

    @property
    def label(self) -> Text:
        """The problem in words."""
        return _PROBLEMS[self]


class IdCheck(Value):
    """The outcome of validating one identifier; `problem` is None exactly when it is valid."""

    kind: IdentifierKind
    problem: IdProblem | None = None

    @property
    def valid(self) -> bool:
        """Whether the identifier is well formed, its date exists and its check characters agree."""
        return self.problem is None


_LABELS = {
    IdentifierKind.CITIZEN_ID: Text(zh="公民身份号码", en="Citizen identity number"),
    IdentifierKind.USCC: Text(zh="统一社会信用代码", en="Unified social credit code"),
    IdentifierKind.ORGANISATION_CODE: Text(zh="组织机构代码", en="Organisation code"),
    IdentifierKind.REAL_ESTATE_UNIT: Text(zh="不动产单元代码", en="Real estate unit code"),
    IdentifierKind.CERTIFICATE_ID: Text(zh="电子证照标识", en="Electronic certificate identifier"),
    IdentifierKind.DIVISION_CODE: Text(zh="行政区划代码", en="Administrative division code"),
    IdentifierKind.MOBILE: Text(zh="移动电话号码", en="Mobile number"),
    IdentifierKind.LANDLINE: Text(zh="固定电话号码", en="Landline number"),
    IdentifierKind.TELEPHONE: Text(zh="电话号码", en="Telephone number"),
    IdentifierKind.REGISTRATION_NUMBER: Text(zh="工商注册号", en="Business registration number"),
    IdentifierKind.VIN: Text(zh="车辆识别代号", en="Vehicle identification number"),
    IdentifierKind.BANK_CARD: Text(zh="银行卡号", en="Bank card number"),
    IdentifierKind.PLATE: Text(zh="机动车号牌号码", en="Number plate"),
}
_PROBLEMS = {
    IdProblem.FORMAT: Text(zh="长度或字符不符合标准", en="length or characters do not fit the standard"),
    IdProblem.DATE: Text(zh="其中的日期不存在", en="the date in it does not exist"),
    IdProblem.CHECK: Text(zh="校验码不符", en="the check character does not agree"),
}
PATTERNS = {
    IdentifierKind.CITIZEN_ID: CITIZEN_PATTERN,
    IdentifierKind.USCC: USCC_PATTERN,
    IdentifierKind.ORGANISATION_CODE: ORGANISATION_PATTERN,
    IdentifierKind.REAL_ESTATE_UNIT: REAL_ESTATE_PATTERN,
    IdentifierKind.CERTIFICATE_ID: CERTIFICATE_PATTERN,
    IdentifierKind.DIVISION_CODE: DIVISION_PATTERN,
    IdentifierKind.MOBILE: MOBILE_PATTERN,
    IdentifierKind.LANDLINE: LANDLINE_PATTERN,
    IdentifierKind.TELEPHONE: f"{MOBILE_PATTERN}|{LANDLINE_PATTERN}",
    IdentifierKind.REGISTRATION_NUMBER: REGISTRATION_PATTERN,
    IdentifierKind.VIN: VIN_PATTERN,
    IdentifierKind.BANK_CARD: BANK_CARD_PATTERN,
    IdentifierKind.PLATE: PLATE_PATTERN,
}
"""The structure of each identifier as a pattern that RE2 and Python read alike."""
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in PATTERNS.items()}


def citizen_check_character(first_17: str) -> str:
    """Return the 18th character of a citizen ID from its first 17 digits (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(weight * int(digit) for weight, digit in zip(CITIZEN_WEIGHTS, first_17, strict=True))
    return CITIZEN_CHECKS[total % 11]


def organisation_check_character(first_8: str) -> str:
    """Return the 9th character of an organisation code from its first 8 (GB 11714)."""
    total = sum(
        weight * ALPHANUMERIC.index(character) for weight, character in zip(ORGANISATION_WEIGHTS, first_8, strict=True)
    )
    return "0123456789X0"[11 - total % 11]


def uscc_check_character(first_17: str) -> str:
    """Return the 18th character of a unified social credit code from its first 17 (GB 32100)."""
    total = sum(
        weight * USCC_ALPHABET.index(character) for weight, character in zip(USCC_WEIGHTS, first_17, strict=True)
    )
    return USCC_ALPHABET[(31 - total % 31) % 31]


def certificate_check_character(payload: str) -> str:
    """Return the check character of an electronic certificate identifier (ISO 7064 MOD 37,36).

    `payload` is the identifier without root, dots and check character.
    """
    product = 36
    for character in payload:
        product = (product + ALPHANUMERIC.index(character)) % 36 or 36
        product = product * 2 % 37
    return ALPHANUMERIC[(1 - product) % 36]


def registration_check_character(first_14: str) -> str:
    """Return the 15th digit of a business registration number from its first 14 (GS 15, ISO 7064 MOD 11,10)."""
    product = 10
    for digit in first_14:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


def vin_check_character(vin: str) -> str:
    """Return the character that a vehicle identification number must have at its ninth place (GB 16735)."""
    total = sum(
        weight * (VIN_LETTERS.index(character) % 10) for weight, character in zip(VIN_WEIGHTS, vin, strict=True)
    )
    return VIN_CHECKS[total % 11]


def bank_card_sum(digits: str) -> int:
    """Return the Luhn sum of a card number (ISO/IEC 7812); a right one is divisible by ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total


def to_18(citizen_id: str) -> str:
    """Return a 15-digit citizen ID of the first generation (born 19xx) as 18 characters; anything else unchanged."""
    if re.fullmatch("[0-9]{15}", citizen_id):
        first_17 = f"{citizen_id[:6]}19{citizen_id[6:]}"
        return first_17 + citizen_check_character(first_17)
    return citizen_id


def validate_citizen_id(text: str) -> IdCheck:
    """Validate an 18-character citizen ID (GB 11643): structure, date of birth, check character."""
    kind = IdentifierKind.CITIZEN_ID
    if not _PATTERNS[kind].fullmatch(text):
        return IdCheck(kind=kind, problem=IdProblem.FORMAT)
    if citizen_birth_date(text) is None:
        return IdCheck(kind=kind, problem=IdProblem.DATE)
    if citizen_check_character(text[:17]) != text[17]:
        return IdCheck(kind=kind, problem=IdProblem.CHECK)
    return IdCheck(kind=kind)


def citizen_birth_date(citizen_id: str) -> date | None:
    """Return the date of birth in an 18-character citizen ID, or None if it names no day."""
    try:
        return date(int(citizen_id[6:10]), int(citizen_id[10:12]), int(citizen_id[12:14]))
    except ValueError:
        return None


def citizen_sex(citizen_id: str) -> str:
    """Return the code of GB/T 2261.1 that digit 17 of a citizen ID implies: 1 male (odd), 2 female."""
    return "1" if int(citizen_id[16]) % 2 else "2"


def validate_uscc(text: str) -> IdCheck:
    """Validate a unified social credit code (GB 32100) and the organisation code inside it (GB 11714)."""
    kind = IdentifierKind.USCC
    if not _PATTERNS[kind].fullmatch(text):
        return IdCheck(kind=kind, problem=IdProblem.FORMAT)
    if uscc_check_character(text[:17]) != text[17] or organisation_check_character(text[8:16]) != text[16]:
        return IdCheck(kind=kind, problem=IdProblem.CHECK)
    return IdCheck(kind=kind)


def validate_organisation_code(text: str) -> IdCheck:
    """Validate a nine-character organisation code without hyphen (GB 11714)."""
    kind = IdentifierKind.ORGANISATION_CODE
    if not _PATTERNS[kind].fullmatch(text):
        return IdCheck(kind=kind, problem=IdProblem.FORMAT)
    if organisation_check_character(text[:8]) != text[8]:
        return IdCheck(kind=kind, problem=IdProblem.CHECK)
    return IdCheck(kind=kind)


def validate_real_estate_unit(text: str) -> IdCheck:
    """Validate the structure of a 28-character real estate unit code; it has no check character."""
    return _by_pattern(IdentifierKind.REAL_ESTATE_UNIT, text)


def validate_certificate_id(text: str) -> IdCheck:
    """Validate an electronic certificate identifier; the issuer may also be a 6-digit region."""
    kind = IdentifierKind.CERTIFICATE_ID
    if not _PATTERNS[kind].fullmatch(text):
        return IdCheck(kind=kind, problem=IdProblem.FORMAT)
    payload = text.removeprefix(CERTIFICATE_ROOT).replace(".", "")
    if certificate_check_character(payload[:-1]) != payload[-1]:
        return IdCheck(kind=kind, problem=IdProblem.CHECK)
    return IdCheck(kind=kind)


def validate_division_code(text: str) -> IdCheck:
    """Validate the structure of a division code: 6 digits, or 9 (township) or 12 (village) under GB/T 10114."""
    return _by_pattern(IdentifierKind.DIVISION_CODE, text)


def validate_mobile(text: str) -> IdCheck:
    """Validate the structure of a mainland mobile number."""
    return _by_pattern(IdentifierKind.MOBILE, text)


def validate_registration_number(text: str) -> IdCheck:
    """Validate a 15-digit business registration number of the time before the unified code (GS 15)."""
    return _by_check(
        IdentifierKind.REGISTRATION_NUMBER, text, lambda: registration_check_character(text[:14]) == text[14]
    )


def validate_vin(text: str) -> IdCheck:
    """Validate a 17-character vehicle identification number with its check character (GB 16735)."""
    return _by_check(IdentifierKind.VIN, text, lambda: vin_check_character(text) == text[VIN_CHECK_PLACE])


def validate_bank_card(text: str) -> IdCheck:
    """Validate a bank card number of 13 to 19 digits by its Luhn check (GB/T 15694, ISO/IEC 7812)."""
    return _by_check(IdentifierKind.BANK_CARD, text, lambda: bank_card_sum(text) % 10 == 0)


def check_identifier(kind: IdentifierKind, text: str) -> IdCheck:
    """Validate `text` as an identifier of `kind`."""
    return _VALIDATORS[kind](text) if kind in _VALIDATORS else _by_pattern(kind, text)


def _by_check(kind: IdentifierKind, text: str, agrees: Callable[[], bool]) -> IdCheck:
    if not _PATTERNS[kind].fullmatch(text):
        return IdCheck(kind=kind, problem=IdProblem.FORMAT)
    return IdCheck(kind=kind, problem=None if agrees() else IdProblem.CHECK)


def _by_pattern(kind: IdentifierKind, text: str) -> IdCheck:
    if _PATTERNS[kind].fullmatch(text):
        return IdCheck(kind=kind)
    return IdCheck(kind=kind, problem=IdProblem.FORMAT)


_VALIDATORS: dict[IdentifierKind, Callable[[str], IdCheck]] = {
    IdentifierKind.CITIZEN_ID: validate_citizen_id,
    IdentifierKind.USCC: validate_uscc,
    IdentifierKind.ORGANISATION_CODE: validate_organisation_code,
    IdentifierKind.CERTIFICATE_ID: validate_certificate_id,
    IdentifierKind.REGISTRATION_NUMBER: validate_registration_number,
    IdentifierKind.VIN: validate_vin,
    IdentifierKind.BANK_CARD: validate_bank_card,
}
