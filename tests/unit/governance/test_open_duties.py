"""Open duties: after any runs the table holds what is open, however often and in whatever order it was told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from datong.governance import Duty, DutyKind, Party, Span
from datong.governance.open_duties import due_between, is_open, keep_open
from datong.governance.tables import OPEN_DUTY
from datong.kernel import Database, DepartmentCode, EntryId, Text
from tests.new_control import new_control

BEGIN = datetime(2026, 11, 2, 1, tzinfo=UTC)
FAR = timedelta(days=10_000)
hours = st.integers(0, 200).map(lambda count: BEGIN + timedelta(hours=count))


@st.composite
def duties(draw: st.DrawFn) -> Duty:
    span = Span(party=Party.PROVIDER, since=BEGIN, entry_id=EntryId("e"), why=Text(zh="待办", en="to do"))
    return Duty(
        kind=draw(st.sampled_from([DutyKind.REPLY, DutyKind.CORRECTION, DutyKind.QUALITY])),
        subject=f"thing-{draw(st.integers(0, 5))}",
        title=Text(zh="资源", en="resource"),
        provider=DepartmentCode("114406000000000193"),
        due_at=draw(hours),
        done_at=draw(st.none() | hours),
        spans=(span,),
        evidence=(EntryId("e"),) * draw(st.integers(1, 2)),
        weights={Party.PROVIDER: 1},
    )


runs = st.lists(
    st.tuples(hours, st.lists(duties(), max_size=8, unique_by=lambda duty: (duty.kind, duty.subject))), max_size=5
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = new_control(tmp_path_factory.mktemp("open-duties"))
    yield made
    made.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=runs, since=hours, until=hours)
def test_the_table_is_what_is_open(
    database: Database, runs: list[tuple[datetime, list[Duty]]], since: datetime, until: datetime
) -> None:
    with database.transaction() as connection:
        connection.execute(delete(OPEN_DUTY))
        for now, found in runs:
            keep_open(connection, found, now=now)
            assert keep_open(connection, list(reversed(found)), now=now) == 0
            wanted = sorted((one for one in found if is_open(one, now)), key=_order)
            assert list(due_between(connection, BEGIN - FAR, BEGIN + FAR)) == wanted
            assert list(due_between(connection, since, until)) == [one for one in wanted if since < one.due_at <= until]


def _order(duty: Duty) -> tuple[datetime, str, str]:
    return duty.due_at, duty.kind, duty.subject
