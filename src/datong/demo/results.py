"""What the story found: checks by step, and whether all of them hold."""

from collections.abc import Sequence

from datong.kernel import Text, Value


def joined(parts: Sequence[Text]) -> Text:
    """Return what several parts say, one after the other."""
    return Text(zh="，".join(part.zh for part in parts), en=", ".join(part.en for part in parts))


class Check(Value):
    """One thing that must be so after a step; `detail` says what was seen, as a plain text where it needs no words."""

    label: Text
    holds: bool
    detail: str | Text = ""


class StepResult(Value):
    """One step of the story as it went. A step without checks, or that broke off (`error`), does not hold."""

    number: int
    title: Text
    seconds: float
    checks: tuple[Check, ...] = ()
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether every check of the step holds."""
        return not self.error and bool(self.checks) and all(check.holds for check in self.checks)
