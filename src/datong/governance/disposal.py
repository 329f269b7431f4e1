"""Disposal at term: data that was received under an agreement goes when the agreement ends (Art. 27). Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from datong.governance.duties import Duty, DutyKind
from datong.governance.parties import Party
from datong.governance.service_levels import OVER, Terms
from datong.governance.timelines import span_from
from datong.kernel import Text, WorkingCalendar
from datong.ledger import EntryKind, RecordedEntry

DISPOSAL_WORKING_DAYS = 10
"""The Regulations say when the purpose ends, not how soon: so many working days, as for other answers."""
_TO_DISPOSE = Text(
    zh="协议已结束，待需求方处置数据并告知",
    en="the agreement is over; the consumer must dispose of the data and say so",
)


def disposal_duties(
    terms: Terms,
    entries: Sequence[RecordedEntry],
    acts: Iterable[RecordedEntry],
    *,
    others: Sequence[Terms],
    calendar: WorkingCalendar,
    until: datetime,
) -> list[Duty]:
    """Return the duty to dispose of what came under an agreement that was over before `until`: one, or none.

    `entries` are the agreement's, in order; `acts` those of its tasks; `others` the other agreements of its consumer
    about its resource. Who received nothing disposes of nothing. Who may go on using the data under another agreement
    keeps it: the duty does not begin, or ends when that one comes into force. It is done with the consumer's word how.
    """
    if terms.until > until:
        return []
    received = [act for act in acts if act.kind is EntryKind.RECEIPT and "subscription" not in act.facts]
    if not received or any(other.since <= terms.until < other.until for other in others):
        return []
    ended = next((entry for entry in entries if entry.facts["state"] in OVER), None)
    told = next((entry for entry in entries if entry.facts["step"] == "dispose"), None)
    again = min((other for other in others if other.since > terms.until), key=lambda other: other.since, default=None)
    done = [one.at for one in (told,) if one is not None] + [one.since for one in (again,) if one is not None]
    begun = span_from(Party.CONSUMER, ended or received[-1], _TO_DISPOSE).model_copy(update={"since": terms.until})
    named = [received[-1], *(one for one in (ended, told) if one is not None)]
    return [
        Duty(
            kind=DutyKind.DISPOSAL,
            subject=terms.agreement,
            title=terms.title,
            provider=terms.provider,
            consumer=terms.consumer,
            resource_id=terms.resource_id,
            due_at=calendar.deadline(terms.until, DISPOSAL_WORKING_DAYS),
            done_at=min(done, default=None),
            spans=(begun,),
            evidence=tuple(one.entry_id for one in named) + ((again.entry_id,) if again else ()),
        )
    ]
