"""The demo's little world: its folder, processes, clock and people, and what the steps learn from each other."""

import os
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from datong.demo.cast import (
    AUDITOR,
    AUTHORITY,
    CITIZEN,
    CLERK,
    DEPARTMENTS,
    HEADS,
    OFFICERS,
    OPERATOR,
    Account,
    Member,
)
from datong.demo.client import Application, Hub, Json, Person
from datong.demo.databases import Departments
from datong.demo.narrator import Narrator
from datong.demo.options import DemoOptions
from datong.demo.processes import Supervisor
from datong.demo.records import Source
from datong.kernel import CHINA, Misconfigured, Text, WorkingCalendar

MARKER = ".datong-demo"
ACCOUNTS = (OPERATOR, AUTHORITY, *OFFICERS, *HEADS, CLERK, AUDITOR, CITIZEN)


def prepare_home(home: Path) -> None:
    """Make `home` an empty folder of the demo; one that a demo wrote before is emptied first.

    Raises:
        Misconfigured: the folder holds something else.
    """
    if home.exists() and any(home.iterdir()):
        if not (home / MARKER).exists():
            raise Misconfigured(
                "demo.home_in_use",
                what=Text(
                    zh=f"文件夹 {home} 里有不是演示写入的内容。", en=f"The folder {home} holds what no demo wrote."
                ),
                remedy=Text(zh="请用 --home 指定一个空文件夹。", en="Name an empty folder with --home."),
                field="--home",
            )
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).touch()


class StoryClock:
    """The simulated time of the demo: a file with seconds to add, which every process reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._calendar = WorkingCalendar()

    def now(self) -> datetime:
        """Return the simulated time in China."""
        return (datetime.now(UTC) + timedelta(seconds=self._offset())).astimezone(CHINA)

    def pass_working_days(self, days: int) -> datetime:
        """Let `days` working days pass and return the new time; the file is replaced in one step."""
        now = self.now()
        later = self._calendar.add_working_days(now.date(), days)
        self.set(self._offset() + (later - now.date()).days * 86_400)
        return self.now()

    def set(self, seconds: float) -> None:
        """Set the offset."""
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(str(seconds))
        os.replace(unfinished, self.path)

    def _offset(self) -> float:
        return float(self.path.read_text()) if self.path.exists() else 0.0


@dataclass(kw_only=True)
class World:
    """Everything that the steps share; they fill in what they learn."""

    options: DemoOptions
    narrator: Narrator
    home: Path
    port: int
    clock: StoryClock
    supervisor: Supervisor
    hub: Hub
    departments: Departments
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    people: dict[str, Person] = field(default_factory=dict)
    log_key: str = ""
    """The log's public key (base64) as the nodes know it, for verification."""
    nodes: dict[str, str] = field(default_factory=dict)
    """Node ids by the department's key."""
    applications: dict[str, Application] = field(default_factory=dict)
    resources: dict[Source, Json] = field(default_factory=dict)
    requests: dict[tuple[str, Source], Json] = field(default_factory=dict)
    """Requests by the consumer's key and the table asked for."""
    agreements: dict[tuple[str, Source], Json] = field(default_factory=dict)
    tasks: dict[tuple[str, Source], Json] = field(default_factory=dict)
    uses: list[str] = field(default_factory=list)
    """Access ids of the gateway's answers about the citizen."""
    facts: dict[str, str | int | float] = field(default_factory=dict)
    """What goes into the report: golden digest, scores, counts."""

    @property
    def data(self) -> Path:
        """Folder of the departments' databases."""
        return self.departments.folder

    def node_home(self, member: Member) -> Path:
        """Return the folder of a department's node."""
        return self.home / "nodes" / member.key

    def person(self, account: Account) -> Person:
        """Return somebody with an account."""
        known = self.people.get(account.username)
        if known is None:
            known = Person(self.hub, username=account.username, password=self.password)
            self.people[account.username] = known
        return known

    def officer(self, member: Member) -> Person:
        """Return the data officer of a department; of the bureau, the authority's officer."""
        own = next((account for account in OFFICERS if account.department is member), AUTHORITY)
        return self.person(own)

    def head(self, member: Member) -> Person:
        """Return the head of a department."""
        return self.person(next(account for account in HEADS if account.department is member))

    def sabotaged(self, step: int) -> bool:
        """Whether harm is to be done in `step`."""
        return self.options.sabotage == step

    def member(self, code: str) -> Member:
        """Return the department with a code."""
        return next(member for member in DEPARTMENTS if member.code == code)


def everything(person: Person, path: str, **query: str | int) -> list[Json]:
    """Return all rows of a paged list."""
    rows: list[Json] = []
    offset: int | None = 0
    while offset is not None:
        page = person.get(path, **query, offset=offset, limit=200)
        rows.extend(page["rows"])
        offset = page["next_offset"]
    return rows
