"""What a column's declared type allows it to mean; pure. Types are as engines write them out, such as varchar(18)."""

import re
from enum import StrEnum

from datong.norms import DataElement, DataType, IdentifierKind


class TypeClass(StrEnum):
    """A class of declared types, the same for every engine."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    BOOLEAN = "boolean"
    BINARY = "binary"
    UUID = "uuid"
    STRUCTURE = "structure"
    UNKNOWN = "unknown"


class TypeFit(StrEnum):
    """How well a declared type suits a data element."""

    FITS = "fits"
    NEUTRAL = "neutral"
    UNLIKELY = "unlikely"
    IMPOSSIBLE = "impossible"


_CLASSES: tuple[tuple[re.Pattern[str], TypeClass], ...] = (
    (re.compile(r"bool|^bit(\(1\))?$|tinyint\(1\)"), TypeClass.BOOLEAN),
    (re.compile(r"timestamp|datetime"), TypeClass.DATETIME),
    (re.compile(r"^date"), TypeClass.DATE),
    (re.compile(r"^time|interval|year"), TypeClass.TIME),
    (re.compile(r"uuid|uniqueidentifier"), TypeClass.UUID),
    (re.compile(r"json|xml|array|\[\]|struct|map|hstore|vector|geometry|geography|point|polygon"), TypeClass.STRUCTURE),
    (re.compile(r"blob|bytea|binary|image|raw"), TypeClass.BINARY),
    (re.compile(r"int|serial|^oid$"), TypeClass.INTEGER),
    (re.compile(r"decimal|numeric|number|float|double|real|money"), TypeClass.NUMBER),
    (re.compile(r"char|text|string|clob|enum|set\(|citext"), TypeClass.TEXT),
)
_LENGTH = re.compile(r"\((\d+)")
_LENGTH_MIN = {
    IdentifierKind.CITIZEN_ID: 15,
    IdentifierKind.USCC: 18,
    IdentifierKind.ORGANISATION_CODE: 9,
    IdentifierKind.REAL_ESTATE_UNIT: 28,
    IdentifierKind.CERTIFICATE_ID: 40,
    IdentifierKind.DIVISION_CODE: 6,
    IdentifierKind.MOBILE: 7,
}
_NUMBERS = {DataType.NUMERIC, DataType.CURRENCY, DataType.INTEGER, DataType.DOUBLE, DataType.FLOAT}
_NEVER = {TypeClass.BOOLEAN, TypeClass.BINARY, TypeClass.STRUCTURE, TypeClass.TIME}
NAME_CHARS_MIN = 4


def type_class(declared: str) -> tuple[TypeClass, int | None]:
    """Return the class of a declared type, and the length in it, if there is one."""
    text = declared.strip().lower()
    kind = next((found for pattern, found in _CLASSES if pattern.search(text)), TypeClass.UNKNOWN)
    length = _LENGTH.search(text)
    return kind, int(length[1]) if length is not None and kind is TypeClass.TEXT else None


def type_fit(element: DataElement, kind: TypeClass, length: int | None) -> TypeFit:
    """Return how well a column of a declared type can hold an element."""
    if kind is TypeClass.UNKNOWN:
        return TypeFit.NEUTRAL
    if element.code_list is not None:
        return _codes(kind)
    if kind in _NEVER:
        return TypeFit.IMPOSSIBLE
    if element.data_type in (DataType.DATE, DataType.DATETIME):
        return _moments(kind)
    if element.data_type in _NUMBERS:
        return _numbers(kind)
    return _texts(element, kind, length)


def _codes(kind: TypeClass) -> TypeFit:
    if kind in {TypeClass.TEXT, TypeClass.INTEGER}:
        return TypeFit.FITS
    return TypeFit.UNLIKELY if kind in {TypeClass.BOOLEAN, TypeClass.NUMBER} else TypeFit.IMPOSSIBLE


def _moments(kind: TypeClass) -> TypeFit:
    if kind in {TypeClass.DATE, TypeClass.DATETIME}:
        return TypeFit.FITS
    if kind in {TypeClass.TEXT, TypeClass.INTEGER}:
        return TypeFit.NEUTRAL
    return TypeFit.IMPOSSIBLE


def _numbers(kind: TypeClass) -> TypeFit:
    if kind in {TypeClass.NUMBER, TypeClass.INTEGER}:
        return TypeFit.FITS
    return TypeFit.NEUTRAL if kind is TypeClass.TEXT else TypeFit.IMPOSSIBLE


def _texts(element: DataElement, kind: TypeClass, length: int | None) -> TypeFit:
    least = _LENGTH_MIN.get(element.identifier) if element.identifier is not None else None
    if kind is TypeClass.TEXT:
        if length is None:
            return TypeFit.NEUTRAL
        needed = least or (NAME_CHARS_MIN if element.max_length >= NAME_CHARS_MIN else 1)
        return TypeFit.FITS if length >= needed else TypeFit.IMPOSSIBLE
    if kind is TypeClass.INTEGER:
        # Numbers of persons, firms and telephones are kept as integers now and then; names and addresses never.
        return TypeFit.UNLIKELY if least is not None or element.pattern is not None else TypeFit.IMPOSSIBLE
    return TypeFit.IMPOSSIBLE if kind in {TypeClass.DATE, TypeClass.DATETIME} else TypeFit.UNLIKELY
