"""What the demo is asked to do."""

import re
from pathlib import Path

from pydantic import Field, field_validator

from datong.kernel import Language, Value

STEPS = range(1, 10)
PROCESSES = ("hub", "police", "civil", "social", "estate", "education")
_KILL = re.compile(r"^(?P<process>[a-z]+)@(?P<step>[1-9])(?:\+(?P<after>\d+(?:\.\d+)?))?$")


class KillOrder(Value):
    """Kill a process some seconds into a step, and start it again at once."""

    process: str
    step: int
    after_seconds: float = 0.3

    @classmethod
    def parse(cls, text: str) -> "KillOrder":
        """Read `PROCESS@STEP` or `PROCESS@STEP+SECONDS`.

        Raises:
            ValueError: the text has another form, or names no process of the demo.
        """
        match = _KILL.match(text)
        if match is None or match["process"] not in PROCESSES:
            raise ValueError(f"{text!r}: expected PROCESS@STEP[+SECONDS] with a process of {', '.join(PROCESSES)}")
        return cls(process=match["process"], step=int(match["step"]), after_seconds=float(match["after"] or 0.3))


class DemoOptions(Value):
    """How to play the story.

    `once`: stop everything after the story and remove what it wrote; otherwise the console stays up until interrupted.
    `home`: folder for everything the demo writes, replaced if a demo wrote it; empty: `var/demo`, or a temporary folder
    with `once`. `sabotage`: a step (1–9) in which to do real harm, so that its checks must fail.
    """

    once: bool = False
    people: int = Field(20_000, ge=100, le=2_000_000)
    seed: int = Field(1, ge=0)
    language: Language = Language.ZH
    home: Path | None = None
    port: int = Field(0, ge=0, le=65535)
    sabotage: int | None = Field(None, ge=1, le=9)
    kill: tuple[KillOrder, ...] = ()
    report: Path | None = None

    @field_validator("kill", mode="before")
    @classmethod
    def _parsed(cls, orders: object) -> object:
        if isinstance(orders, list | tuple):
            return tuple(KillOrder.parse(order) if isinstance(order, str) else order for order in orders)
        return orders
