"""The base of every value that crosses a package boundary."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value: built by keyword, strict about unknown fields, equal by content."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_timedelta="float",
        validate_default=True,
        protected_namespaces=(),
    )
