"""What a driver's value must be for its column's type: it arrives unchanged or is refused."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from datong.adapters.conversion import Convert, decimal_of
from datong.exchange import Column, decimal_parameters

_DAY = timedelta(days=1)


def converter(column: Column) -> Convert:
    """Return the check of a driver's value against its column's type; what does not fit is an error."""
    if decimal_parameters(column.type) is not None:
        return decimal_of(column.type)
    return _CONVERTERS[column.type]


def _boolean(value: object) -> bool:
    if value in (0, 1):
        return bool(value)
    raise ValueError("neither true nor false")


def _integer(value: object) -> int:
    if isinstance(value, int | str):
        return int(value)
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    raise TypeError("no whole number")


def _float(value: object) -> float:
    if isinstance(value, float | int):
        return float(value)
    raise TypeError("no floating-point number")


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview | float):
        raise TypeError("no text")
    return str(value)


def _binary(value: object) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise TypeError("no bytes")


def _date(value: object) -> date:
    if isinstance(value, datetime):
        # Oracle's dates have a time of day.
        if value.time() != time(0) or value.tzinfo is not None:
            raise TypeError("a moment in a column of dates")
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _time(value: object) -> time:
    if isinstance(value, timedelta):
        if not timedelta(0) <= value < _DAY:
            raise ValueError("no time of day")
        return (datetime(1, 1, 1, tzinfo=UTC) + value).time()
    found = value if isinstance(value, time) else time.fromisoformat(str(value))
    if found.tzinfo is not None:
        raise ValueError("a time of day has no zone")
    return found


def _timestamp(value: object) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if found.tzinfo is not None:
        raise ValueError("this column's moments have no zone")
    return found


def _instant(value: object) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    # Sessions run in UTC, and what Oracle returns was made UTC in the statement.
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


_CONVERTERS: dict[str, Convert] = {
    "boolean": _boolean,
    "int64": _integer,
    "uint64": _integer,
    "float32": _float,
    "float64": _float,
    "string": _string,
    "binary": _binary,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "timestamp_utc": _instant,
}
