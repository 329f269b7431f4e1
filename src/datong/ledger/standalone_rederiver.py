#!/usr/bin/env python3
"""Derive published indicators and findings again, from an exported log alone · 只凭导出的日志重算指标和责任认定.

    python rederive.py log/ --key <the log's public key> --period 2026-11      every line of a published month
    python rederive.py log/ --key <the log's public key> --finding <id>        every revision of one finding

Put /log/verify.py beside it: the log is verified first. Nothing else is needed but Python and `cryptography`. It shares
no code with the platform: it was written from docs/ledger.md and docs/governance.md, so that who doubts a league table
or a blame has another opinion. It ends with 0 where everything comes out again, or with 1 and says what does not.

Every kind of duty is judged. Of a finding it also names the entries that are its evidence, by their place in the log.
"""

import argparse
import hashlib
import json
import runpy
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

CHINA = timezone(timedelta(hours=8))
PARTIES = ("provider", "consumer", "authority", "platform", "network")
WHOLE, RULES = 10_000, "1"
NAMESPACE = uuid.UUID("5e5f0c67-3c1a-5b0e-9c59-7f9d3b0a2f10")

HOLIDAYS = {
    2024: "0101 0212 0213 0214 0215 0216 0404 0405 0501 0502 0503 0610 0916 0917 1001 1002 1003 1004 1007",
    2025: "0101 0128 0129 0130 0131 0203 0204 0404 0501 0502 0505 0602 1001 1002 1003 1006 1007 1008",
    2026: "0101 0102 0216 0217 0218 0219 0220 0223 0406 0501 0504 0505 0619 0925 1001 1002 1005 1006 1007",
}
"""Days off from Monday to Friday, by the State Council's notices; other years: --holidays, or Monday to Friday."""
MADE_UP = {
    2024: "0204 0218 0407 0428 0511 0914 0929 1012",
    2025: "0126 0208 0427 0928 1011",
    2026: "0104 0214 0228 0509 0920 1010",
}
"""Saturdays and Sundays that are worked."""

KINDS = {
    "reply": (21, "provider", 200, 50),
    "provision": (22, "provider", 200, 50),
    "review": (17, "authority", 100, 50),
    "catalogue_update": (17, "provider", 100, 25),
    "transfer": (27, "provider", 100, 25),
    "correction": (26, "provider", 150, 50),
    "quality": (26, "provider", 50, 0),
    "freshness": (27, "provider", 50, 25),
    "availability": (27, "provider", 50, 0),
    "completeness": (27, "provider", 50, 0),
    "use": (25, "consumer", 100, 0),
    "response": (27, "provider", 50, 0),
    "disposal": (27, "consumer", 100, 25),
    "wish": (33, "provider", 100, 25),
}
"""Of each kind of duty: the article, whose duty it is, hundredths of a point for a breach and for a working day."""
MEASURED = {"quality", "availability", "completeness", "use", "response"}
"""Kinds of what is wrong, not late: each ten-thousandth of it costs a hundredth of a point more."""
LEVELS = {"freshness", "availability", "completeness", "use", "response", "disposal"}
"""Kinds that an agreement's entries promise."""
USE_REFUSALS_MIN, CALLS_MIN, SLOW_PER_CENT_MAX, DISPOSAL_WORKING_DAYS = 10, 20, 5, 10
COPIES, OVER, OUTSIDE = {"bulk", "file"}, {"terminated", "expired"}, {"data.other_purpose", "data.items_outside"}

INDICATORS = {
    "catalogue_rate": ("published", "drafted", 8, ""),
    "binding_rate": ("bound", "published", 8, ""),
    "mapped_item_rate": ("mapped", "items", 5, ""),
    "standard_item_rate": ("standard", "items", 3, ""),
    "conditional_share": ("restricted", "published", 4, "low"),
    "unshared_without_basis": ("baseless", "published", 4, "low count"),
    "refresh_on_time_rate": ("transfer kept", "transfer", 8, ""),
    "reply_on_time_rate": ("reply kept", "reply", 10, ""),
    "provide_on_time_rate": ("provision kept", "provision", 8, ""),
    "review_on_time_rate": ("review kept", "review", 4, ""),
    "correction_on_time_rate": ("correction kept", "correction", 4, ""),
    "row_acceptance_rate": ("rows accepted", "rows sent", 6, ""),
    "reconciliation_rate": ("equal", "reconciled", 4, ""),
    "demand_satisfaction_rate": ("satisfied", "valid", 8, ""),
    "staff_trained_rate": ("certified", "assigned", 2, ""),
    "satisfaction_rate": ("aspects satisfied", "aspects rated", 4, ""),
    "zero_use_share": ("used", "published", 3, "low complement"),
    "breach_count": ("refused", "made", 1, "low count"),
    "quality_fix_rate": ("faults fixed", "faults found", 2, ""),
    "service_availability": ("available", "promised", 2, ""),
    "latency_p95": ("p95", "timed", 1, "low percentile"),
    "call_success_rate": ("succeeded", "tried", 1, ""),
}
"""Of each indicator: what is counted, out of what, its weight, and whether less is better, a count, a complement."""
ADDED = {"quality_fix_rate": 2, "service_availability": 2, "latency_p95": 2, "call_success_rate": 3}
"""The version of the formulas from which on an indicator is counted, if not the first."""
LATENCY_TARGET = 500
"""The milliseconds that are fast enough."""


class Entry(NamedTuple):
    """One entry of the log."""

    place: int
    kind: str
    subject: str
    at: datetime
    department: str | None
    facts: dict[str, Any]
    leaf: str = ""


class Span(NamedTuple):
    """From when on a party held the ball, by which entry."""

    since: datetime
    place: int
    party: str


class Duty(NamedTuple):
    """What somebody had to do by when; `faults` of `amount` rows where it is not about time."""

    kind: str
    subject: str
    facts: dict[str, Any]
    due: datetime
    done: datetime | None
    spans: list[Span]
    faults: int = 0
    amount: int = 0
    weights: dict[str, int] | None = None


class Terms(NamedTuple):
    """What an agreement's entries say: its parties, from when to when it was in force, its modes and levels."""

    agreement: str
    facts: dict[str, Any]
    resource: str
    modes: set[str]
    levels: dict[str, int]
    liability: dict[str, int]
    since: datetime
    until: datetime
    place: int


class Seen(NamedTuple):
    """Something counted for a department; with a key only the newest of its kind counts."""

    at: datetime
    place: int
    what: str
    department: str
    number: int = 1
    key: str | None = None


def fail(zh: str, en: str) -> NoReturn:
    """End: it cannot be derived."""
    sys.exit(f"✗ {zh}\n✗ {en}")


def instant(text: str) -> datetime:
    """Return a time that a fact states, in China's."""
    return datetime.fromisoformat(text).astimezone(CHINA)


class Calendar:
    """Working days of China; `given` overrides what is known here."""

    def __init__(self, given: dict[str, bool]) -> None:
        self.given = {date.fromisoformat(day): works for day, works in given.items()}

    def works(self, day: date) -> bool:
        """Whether a day is a working day."""
        if day in self.given:
            return self.given[day]
        mark = day.strftime("%m%d")
        if day.weekday() < 5:
            return mark not in HOLIDAYS.get(day.year, "").split()
        return mark in MADE_UP.get(day.year, "").split()

    def deadline(self, start: datetime, days: int) -> datetime:
        """Return the end of the `days`-th working day after a moment."""
        day = start.astimezone(CHINA).date()
        while days:
            day += timedelta(days=1)
            days -= self.works(day)
        return datetime.combine(day + timedelta(days=1), time(0), tzinfo=CHINA)

    def late(self, end: datetime, due: datetime) -> int:
        """Return by how many working days something ended after its deadline."""
        day, last = (due.astimezone(CHINA) - timedelta(microseconds=1)).date(), end.astimezone(CHINA).date()
        return sum(self.works(day + timedelta(days=n)) for n in range(1, (last - day).days + 1))

    def seconds(self, start: datetime, end: datetime) -> int:
        """Return the working seconds between two moments."""
        start, end, total = start.astimezone(CHINA), end.astimezone(CHINA), timedelta(0)
        day = start.date()
        while start < end and day <= end.date():
            midnight = datetime.combine(day, time(0), tzinfo=CHINA)
            if self.works(day):
                total += min(end, midnight + timedelta(days=1)) - max(start, midnight)
            day += timedelta(days=1)
        return int(total.total_seconds())


# Duties


def duties_of(entries: list[Entry], calendar: Calendar) -> Iterator[Duty]:
    """Yield every duty that entries show."""
    authorities = {code for code, is_authority in departments_of(entries).items() if is_authority}
    batches = grouped(entries, {"exchange.batch"}, lambda one: one.facts["agreement"])
    found: list[Duty | None] = [reply(g) for g in grouped(entries, {"sharing.request", "sharing.decision"}).values()]
    for agreement, group in grouped(entries, {"sharing.agreement"}).items():
        found.append(provision(group, batches.get(agreement, []), authorities))
    for group in grouped(entries, {"catalogue.step"}).values():
        found += reviews(group, min(authorities, default=None))
    for group in grouped(entries, {"catalogue.step", "catalogue.drift"}).values():
        found += updates(group)
    for group in grouped(entries, {"exchange.task", "exchange.batch", "exchange.receipt"}).values():
        found += transfers(group, calendar)
    for group in grouped(entries, {"library.correction"}).values():
        found += corrections(group)
    for group in grouped(entries, {"sharing.wish"}).values():
        found += wishes(group)
    outages = [one for one in entries if one.kind == "sharing.outage"]
    for duty in found:
        if duty is not None:
            yield duty._replace(spans=hindered(duty, outages)) if outages else duty


def grouped(entries: list[Entry], kinds: set[str], key: Any = lambda one: one.subject) -> dict[str, list[Entry]]:
    """Return entries of some kinds by what they are about, each group in the order of time."""
    groups: dict[str, list[Entry]] = {}
    for one in sorted(entries, key=lambda one: (one.at, one.place)):
        if one.kind in kinds:
            groups.setdefault(key(one), []).append(one)
    return groups


def departments_of(entries: list[Entry]) -> dict[str, bool]:
    """Return the departments, and whether each is a data authority."""
    steps = [one for one in entries if one.kind == "catalogue.key" and one.facts["action"] == "register_department"]
    return {one.subject: bool(one.facts["is_authority"]) for one in steps}


def parties(facts: dict[str, Any], **others: str | None) -> dict[str, Any]:
    """Return whose duty it is, as findings name them."""
    return {"provider": facts["provider"], "consumer": facts["consumer"], "authority": None, **others}


def reply(acts: list[Entry]) -> Duty | None:
    """Art. 21: to reply to a request; the authority holds the ball while an extension awaits its consent."""
    if acts[-1].facts["state"] == "withdrawn":
        return None
    spans, done = [], None
    for one in acts:
        if one.facts["state"] in {"granted", "refused", "withdrawn"}:
            done = done or one.at
        else:
            spans.append(Span(one.at, one.place, "authority" if one.facts["step"] == "extend" else "provider"))
    spans = spans or [Span(acts[0].at, acts[0].place, "provider")]
    facts = acts[0].facts
    return Duty("reply", facts["request_id"], parties(facts), instant(acts[-1].facts["due_at"]), done, spans)


def provision(acts: list[Entry], batches: list[Entry], authorities: set[str]) -> Duty | None:
    """Art. 22: to provide; whoever has not confirmed or signed holds the ball, the provider first."""
    facts, spans, active = acts[0].facts, [], None
    signed: set[str] = set()
    for one in acts:
        state = one.facts["state"]
        if one.facts["step"] == "sign":
            signed |= {one.department} if one.department else authorities
        if state == "active" and active is None:
            active = one.at
            spans.append(Span(one.at, one.place, "provider"))
        elif active is None and state in {"terminated", "expired"}:
            return None
        elif active is None:
            ready = facts["provider"] in (one.facts["confirmed_by"] if state == "draft" else signed)
            spans.append(Span(one.at, one.place, "consumer" if ready else "provider"))
    done = active
    if active is not None and {"bulk", "file"} & set(facts.get("modes", ["bulk"])):
        done = next((one.at for one in batches if one.facts.get("last")), None)
    due = instant(facts["provide_due_at"])
    return Duty("provision", facts["agreement_id"], parties(facts), due, done, spans)


def reviews(acts: list[Entry], authority: str | None) -> list[Duty]:
    """Art. 17: the authority publishes, returns or rejects each entry that was submitted."""
    found: list[Duty] = []
    opened = None
    for one in acts:
        state = one.facts["to_state"]
        if opened is None and state == "submitted" and one.facts.get("due_at"):
            opened = one
            named = {"provider": one.facts["department"], "consumer": None, "authority": authority}
            span, due = Span(one.at, one.place, "authority"), instant(one.facts["due_at"])
            found.append(Duty("review", f"{one.subject}/{one.facts['version']}/", named, due, None, [span]))
        elif opened is not None and state not in {"submitted", "registered"}:
            found[-1] = found[-1]._replace(done=one.at)
            opened = None
    return found


def updates(acts: list[Entry]) -> list[Duty]:
    """Art. 17: to update the catalogue when its source has changed."""
    found: list[Duty] = []
    opened = None
    for one in acts:
        facts = one.facts
        if one.kind == "catalogue.drift" and facts["action"] == "open" and opened is None:
            opened = one
            named = {"provider": facts["department"], "consumer": None, "authority": None}
            span, due = Span(one.at, one.place, "provider"), instant(facts["due_at"])
            found.append(Duty("catalogue_update", f"{facts['resource_id']}/", named, due, None, [span]))
        elif opened is not None:
            closed = one.kind == "catalogue.drift" and facts["action"] == "close"
            if one.kind == "catalogue.step":
                version = facts.get("published_version")
                later = version is not None and int(version) > int(opened.facts["version"])
                closed = later or facts["to_state"] == "retired"
            if closed:
                found[-1] = found[-1]._replace(done=one.at)
                opened = None
    return found


def corrections(acts: list[Entry]) -> list[Duty]:
    """Art. 26: to verify and correct a reported value; done when rejected, or when the correction arrived."""
    found: list[Duty] = []
    opened = None
    for one in acts:
        facts = one.facts
        if facts["action"] in {"report", "dispute"}:
            opened = one
            span, due = Span(one.at, one.place, "provider"), instant(facts["due_at"])
            found.append(Duty("correction", f"{one.subject}/{facts['disputes']}", parties(facts), due, None, [span]))
        elif facts["action"] == "withdraw":
            found.pop()
            opened = None
        elif facts["action"] in {"reject", "see"} and opened is not None:
            arrived = facts.get("arrived_at")
            found[-1] = found[-1]._replace(done=max(instant(arrived) if arrived else one.at, opened.at))
            opened = None
    return found


def wishes(acts: list[Entry]) -> list[Duty]:
    """To answer what the public asks for, and to keep what was promised; any act ends it, a withdrawal undoes it."""
    found: list[Duty] = []
    waits = False
    for one in acts:
        if waits and one.facts["state"] == "withdrawn":
            found.pop()
        elif waits:
            found[-1] = found[-1]._replace(done=one.at)
        waits = one.facts["state"] in {"assigned", "planned"}
        if waits:
            named = {"provider": one.facts["department"], "consumer": None, "authority": None}
            span, due = Span(one.at, one.place, "provider"), instant(one.facts["due_at"])
            found.append(Duty("wish", f"{one.subject}/{len(found) + 1}", named, due, None, [span]))
    return found


def transfers(acts: list[Entry], calendar: Calendar) -> list[Duty]:
    """Art. 27: to deliver each run that was asked for; Art. 26: to send rows that can be taken."""
    found: list[Duty] = []
    runs: dict[int, list[Entry]] = {}
    batches: dict[str, Entry] = {}
    failed, cancelled = (
        {one.facts["run"] for one in acts if one.facts.get("action") == action} for action in ("fail_run", "cancel_run")
    )
    current = 0
    for one in acts:
        facts = one.facts
        if one.kind == "exchange.batch":
            batches[facts["batch"]] = one
            runs.setdefault(facts["run"], []).append(one)
        elif one.kind == "exchange.receipt" and "subscription" not in facts:
            if facts["batch"] in batches:
                batch = batches[facts["batch"]]
                runs.setdefault(batch.facts["run"], []).append(one)
                if rejected := facts["rows_rejected"]:
                    named, sent = parties(batch.facts), [Span(batch.at, batch.place, "provider")]
                    amount = rejected + facts["rows_applied"]
                    found.append(Duty("quality", facts["batch"], named, one.at, one.at, sent, rejected, amount))
        elif facts.get("action") == "run":
            before = runs.pop(current, []) if current in failed else []
            current = facts["run_requested"]
            runs[current] = [*before, one, *runs.get(current, [])]
        elif current and facts.get("action") in {"pause", "resume", "end"}:
            runs[current].append(one)
    for run in sorted(set(runs) - cancelled):
        duty = transfer(run, sorted(runs[run], key=lambda one: (one.at, one.place)), calendar)
        found += [] if duty is None else [duty]
    return found


def transfer(run: int, acts: list[Entry], calendar: Calendar) -> Duty | None:
    """Return the duty to deliver one run: the provider's until its last batch, then the consumer's."""
    start, last, done = acts[0], None, None
    if start.kind != "exchange.task":
        return None
    spans = [Span(start.at, start.place, "provider")]
    for one in acts[1:]:
        action = one.facts.get("action") if one.kind == "exchange.task" else None
        party = None
        if one.kind == "exchange.batch" and one.facts.get("last"):
            last, party = one.facts["batch"], "consumer"
        elif one.kind == "exchange.receipt" and one.facts["batch"] == last:
            done = one.at
        elif action == "pause":
            own = {one.facts["consumer"]: "consumer", None: "platform"} | {one.facts["provider"]: "provider"}
            party = own.get(one.department, "authority")
        elif action == "resume":
            party = "consumer" if last else "provider"
        elif action == "end" and done is None:
            return None
        spans += [] if party is None else [Span(one.at, one.place, party)]
    due = calendar.deadline(start.at, 1)
    return Duty("transfer", f"{start.subject}/{run}", parties(start.facts), due, done, spans)


# Levels of service


def levels_of(entries: list[Entry], until: datetime, calendar: Calendar) -> Iterator[Duty]:
    """Yield what agreements promised and did not get, as of a moment."""
    outages = [one for one in entries if one.kind == "sharing.outage"]
    acts: dict[str, list[list[Entry]]] = {}
    for group in grouped(
        entries,
        {"exchange.task", "exchange.batch", "exchange.receipt"},
        lambda one: (one.facts["agreement"], one.subject),
    ).values():
        acts.setdefault(group[0].facts["agreement"], []).append(group)
    compared = grouped(entries, {"exchange.reconciliation"}, lambda one: one.facts["agreement"])
    offers = grouped(entries, {"sharing.live"})
    groups = grouped(entries, {"sharing.agreement"})
    known = {one: terms for one, group in groups.items() if (terms := terms_of(one, group)) is not None}
    for agreement, terms in known.items():
        live = live_spans(offers.get(terms.resource, []), until)
        calls = [one for one in entries if agreement in one.facts.get("agreement_ids", ())]
        found = [duty for group in acts.get(agreement, []) for duty in freshness(terms, group, calendar, until)]
        found += availability(terms, outages, live, until)
        found += completeness(terms, compared.get(agreement, []))
        found += [*outside(terms, calls), *slow(terms, calls, live, until)]
        alike = (terms.facts["consumer"], terms.resource)
        others = [one for one in known.values() if (one.facts["consumer"], one.resource) == alike and one is not terms]
        received = [one for group in acts.get(agreement, []) for one in group if one.kind == "exchange.receipt"]
        received = [one for one in received if "subscription" not in one.facts]
        found += disposal(terms, groups[agreement], received, others, calendar) if terms.until <= until else []
        for duty in found:
            yield duty._replace(spans=hindered(duty, outages)) if outages else duty


def terms_of(agreement: str, acts: list[Entry]) -> Terms | None:
    """Return an agreement's terms; None if it never came into force, or states no levels."""
    active = next((one for one in acts if one.facts["state"] == "active"), None)
    if active is None or "levels" not in active.facts:
        return None
    facts, until = active.facts, instant(acts[-1].facts["valid_until"])
    ended = next((one.at for one in acts if one.facts["state"] in OVER), until)
    return Terms(
        agreement,
        parties(facts),
        facts["resource_id"],
        set(facts["modes"]),
        acts[-1].facts.get("levels", facts["levels"]),
        {name.removesuffix("_permille"): part for name, part in facts.get("liability", {}).items() if part},
        active.at,
        min(ended, until),
        active.place,
    )


def live_spans(offers: list[Entry], until: datetime) -> list[tuple[datetime, datetime]]:
    """Return from when to when a resource was answered live by its node."""
    spans, since = [], None
    for one in offers:
        if one.facts["offered"]:
            since = since or one.at
        elif since is not None:
            spans.append((since, one.at))
            since = None
    return spans if since is None else [*spans, (since, until)]


def freshness(terms: Terms, acts: list[Entry], calendar: Calendar, until: datetime) -> Iterator[Duty]:
    """Yield the times in which a task's data grew older than agreed."""
    if not terms.modes & COPIES or "freshness_hours" not in terms.levels:
        return
    delivered: Entry | None = None
    pending: list[Entry] = []
    last: dict[str, Entry] = {}
    for one in acts:
        if one.kind == "exchange.batch" and one.facts.get("last"):
            last[one.facts["batch"]] = one
        if one.kind == "exchange.receipt" and "subscription" not in one.facts and one.facts["batch"] in last:
            if delivered is not None:
                yield from stale(terms, delivered, last, [*pending, one], one.at, calendar)
            delivered, pending = one, []
        elif one.facts.get("action") == "end":
            return
        else:
            pending.append(one)
    if delivered is not None:
        over = terms.until if terms.until <= until else None
        yield from stale(terms, delivered, last, pending, over, calendar)


def stale(
    terms: Terms, got: Entry, last: dict[str, Entry], acts: list[Entry], done: datetime | None, calendar: Calendar
) -> Iterator[Duty]:
    """Yield the duty to refresh what a receipt acknowledged, unless it was kept or a requested run covers it."""
    due = instant(last[got.facts["batch"]].facts["produced_at"]) + timedelta(hours=terms.levels["freshness_hours"])
    due = due if calendar.works(due.date()) else calendar.deadline(due, 1)
    due = max(due, calendar.deadline(got.at, 1))
    if due >= terms.until or (done is not None and done < due):
        return
    asked = next((one for one in acts if one.facts.get("action") == "run"), None)
    if asked is not None:
        if asked.at < due:
            return
        done, acts = asked.at, acts[: acts.index(asked) + 1]
    spans, holder = [Span(got.at, got.place, "provider")], "provider"
    for one in acts:
        if one.kind == "exchange.batch" and one.facts.get("last"):
            holder = "consumer"
            spans.append(Span(one.at, one.place, holder))
        elif one.facts.get("action") == "pause":
            own = {one.facts["consumer"]: "consumer", None: "platform"} | {one.facts["provider"]: "provider"}
            spans.append(Span(one.at, one.place, own.get(one.department, "authority")))
        elif one.facts.get("action") == "resume":
            spans.append(Span(one.at, one.place, holder))
    yield Duty("freshness", f"{got.subject}/{got.facts['sequence']}", terms.facts, due, done, spans)


def months_from(moment: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """Yield the month that holds a moment and those after it: what it is called, its beginning and end."""
    year, month = moment.astimezone(CHINA).year, moment.astimezone(CHINA).month
    while True:
        begin = datetime(year, month, 1, tzinfo=CHINA)
        year, month, name = year + month // 12, month % 12 + 1, f"{year}-{month:02}"
        yield name, begin, datetime(year, month, 1, tzinfo=CHINA)


def availability(
    terms: Terms, outages: list[Entry], live: list[tuple[datetime, datetime]], until: datetime
) -> Iterator[Duty]:
    """Yield the months in which an interface was away for longer than agreed, in shares of the causes."""
    if "interface" not in terms.modes or "availability_permille" not in terms.levels:
        return
    for name, begin, stop in months_from(terms.since):
        if stop > until or begin >= terms.until:
            return
        since, end, none = max(terms.since, begin), min(terms.until, stop), timedelta(0)
        away: dict[str, timedelta] = {}
        for left, right, cause, _ in stretches(terms.facts["provider"], outages, since, end):
            lasted = right - left
            if cause != "platform":
                lasted = sum((max(none, min(right, b) - max(left, a)) for a, b in live), none)
            party = "provider" if cause == "node" else cause
            away[party] = away.get(party, none) + lasted
        missing = sum(away.values(), none)
        if missing * 1000 > (end - since) * (1000 - terms.levels["availability_permille"]):
            weights = {party: int(time.total_seconds()) for party, time in away.items() if time}
            counts = (missing // timedelta(minutes=1), (end - since) // timedelta(minutes=1))
            span = [Span(since, terms.place, "provider")]
            yield Duty("availability", f"{terms.agreement}/{name}", terms.facts, stop, stop, span, *counts, weights)


def completeness(terms: Terms, reconciliations: list[Entry]) -> Iterator[Duty]:
    """Yield the comparisons that missed more of the provider's rows than agreed, rejected ones left out."""
    if "completeness_permille" not in terms.levels:
        return
    for one in reconciliations:
        ends = one.facts.get("ends", {})
        if "missing" not in one.facts or not {"producer", "consumer"} <= ends.keys():
            continue
        rows, missing = ends["producer"]["rows"], one.facts["missing"]
        faults = missing - ends["consumer"]["rejected"]
        if faults > 0 and missing * 1000 > rows * (1000 - terms.levels["completeness_permille"]):
            span, subject = [Span(one.at, one.place, "provider")], one.facts["reconciliation"]
            yield Duty("completeness", subject, terms.facts, one.at, one.at, span, faults, rows, terms.liability)


def outside(terms: Terms, calls: list[Entry]) -> Iterator[Duty]:
    """Yield the days on which the consumer kept asking for what was not agreed."""
    days: dict[date, list[Entry]] = {}
    for one in sorted(calls, key=lambda one: (one.at, one.place)):
        if one.kind == "sharing.refusal":
            days.setdefault(one.at.astimezone(CHINA).date(), []).append(one)
    for day, refused in days.items():
        beyond = [one for one in refused if OUTSIDE.intersection(one.facts["policies"])]
        if len(beyond) >= USE_REFUSALS_MIN:
            at, span = beyond[-1].at, [Span(beyond[0].at, beyond[0].place, "consumer")]
            yield Duty("use", f"{terms.agreement}/{day}", terms.facts, at, at, span, len(beyond), len(refused))


def slow(terms: Terms, calls: list[Entry], live: list[tuple[datetime, datetime]], until: datetime) -> Iterator[Duty]:
    """Yield the months in which more than 5 of 100 calls took longer than agreed: the node's or the platform's."""
    level = terms.levels.get("latency_ms_p95")
    for name, begin, stop in months_from(terms.since):
        if level is None or stop + timedelta(minutes=10) > until or begin >= terms.until + timedelta(days=31):
            return
        told = [
            one
            for one in calls
            if one.kind == "sharing.access" and begin <= one.at < stop and one.facts["kind"] in {"query", "verify"}
        ]
        took = [(one.at, one.facts["milliseconds"]) for one in told if "milliseconds" in one.facts]
        late = [at for at, milliseconds in took if milliseconds > level]
        if len(took) >= CALLS_MIN and len(late) * 100 > len(took) * SLOW_PER_CENT_MAX:
            by_node = sum(any(a <= at < b for a, b in live) for at in late)
            weights = {"provider": by_node, "platform": len(late) - by_node}
            weights = {party: weight for party, weight in weights.items() if weight}
            span, subject = [Span(max(terms.since, begin), terms.place, "provider")], f"{terms.agreement}/{name}"
            yield Duty("response", subject, terms.facts, stop, stop, span, len(late), len(took), weights)


def disposal(
    terms: Terms, acts: list[Entry], received: list[Entry], others: list[Terms], calendar: Calendar
) -> Iterator[Duty]:
    """Art. 27: to dispose of what was received when the agreement is over, unless another one covers it."""
    if not received or any(one.since <= terms.until < one.until for one in others):
        return
    told = [one.at for one in acts if one.facts["step"] == "dispose"][:1]
    again = [one.since for one in others if one.since > terms.until]
    ended = next((one for one in acts if one.facts["state"] in OVER), received[-1])
    span, due = [Span(terms.until, ended.place, "consumer")], calendar.deadline(terms.until, DISPOSAL_WORKING_DAYS)
    yield Duty("disposal", terms.agreement, terms.facts, due, min([*told, *again], default=None), span)


# Outages


def hindered(duty: Duty, outages: list[Entry]) -> list[Span]:
    """Return a duty's spans with the ball at the platform or the network while they kept its holder from acting."""
    ordered = sorted(duty.spans)
    spans: list[Span] = []
    for span, following in zip(ordered, [*ordered[1:], None], strict=True):
        until = duty.done if following is None else following.since
        if span.party not in PARTIES[:3] or (until is not None and until <= span.since):
            spans.append(span)
            continue
        pieces = {span.since: span}
        for since, stop, party, index in stretches(duty.facts[span.party], outages, span.since, until):
            if party == "platform" or (party == "network" and duty.kind in {"transfer", "provision", "freshness"}):
                pieces[since] = Span(since, index, party)
                if until is None or stop < until:
                    pieces[stop] = Span(stop, index, span.party)
        spans += pieces.values()
    return spans


def stretches(
    department: str | None, outages: list[Entry], since: datetime, until: datetime | None
) -> list[tuple[datetime, datetime, str, int]]:
    """Return when somebody was cut off; the platform's outages count before the network's, those before a node's."""
    order = {"platform": 0, "network": 1, "node": 2}
    told = [one for one in outages if one.facts["department"] in {None, department}]
    told.sort(key=lambda one: (order[one.facts["cause"]], datetime.fromisoformat(one.facts["since"]), one.place))
    taken: list[tuple[datetime, datetime, str, int]] = []
    for one in told:
        begins, ends = datetime.fromisoformat(one.facts["since"]), datetime.fromisoformat(one.facts["until"])
        if ends <= since or (until is not None and begins >= until) or ends <= begins:
            continue
        pieces = [(max(begins, since), ends if until is None else min(ends, until))]
        for start, stop, _, _ in taken:
            pieces = [
                (left, right)
                for a, b in pieces
                for left, right in ([(a, b)] if stop <= a or start >= b else [(a, start), (stop, b)])
                if left < right
            ]
        taken += [(a, b, one.facts["cause"], one.place) for a, b in pieces]
        taken.sort()
    return taken


# Judgement


def divide(total: int, weights: dict[str, int]) -> dict[str, int]:
    """Divide a whole in proportion, exactly: the largest remainders get what is left."""
    whole = sum(weights.values())
    parts = {party: total * weights.get(party, 0) // whole for party in PARTIES}
    for party in sorted(PARTIES, key=lambda one: -(total * weights.get(one, 0) % whole))[: total - sum(parts.values())]:
        parts[party] += 1
    return {party: part for party, part in parts.items() if part}


def judge(duty: Duty, now: datetime, calendar: Calendar) -> dict[str, Any] | None:
    """Return what a finding states of a duty; None while it is kept."""
    article, owner, per_breach, per_day = KINDS[duty.kind]
    spans, delay = sorted(duty.spans), 0
    if duty.kind in MEASURED:
        weights = duty.weights or {owner: 1}
        points = per_breach - (-duty.faults * WHOLE // max(duty.amount, duty.faults))
    else:
        end = now if duty.done is None else min(duty.done, now)
        if end < duty.due:
            return None
        held = dict.fromkeys(PARTIES, 0)
        for span, until in zip(spans, [*(later.since for later in spans[1:]), end], strict=True):
            held[span.party] += calendar.seconds(span.since, min(until, end))
        held[owner] = max(0, held[owner] - calendar.seconds(spans[0].since, duty.due))
        weights = held if any(held.values()) else {owner: 1}
        delay = calendar.late(end, duty.due)
        points = per_breach + per_day * delay
    return {
        "rules": RULES,
        "kind": duty.kind,
        "article": article,
        **duty.facts,
        "due_at": duty.due.isoformat(),
        "done_at": None if duty.done is None else duty.done.isoformat(),
        "delay_working_days": delay,
        "points": points,
        "faults": duty.faults,
        "amount": duty.amount,
        "shares": divide(WHOLE, weights),
    }


def rederive_finding(entries: list[Entry], finding: str, calendar: Calendar) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Yield each revision of a finding, and what the entries before it lead to."""
    for revision in [one for one in entries if one.kind == "governance.finding" and one.subject == finding]:
        kind, subject = revision.facts["kind"], revision.facts["subject"]
        if kind not in KINDS:
            fail(f"本程序不认定“{kind}”类责任", f"findings of the kind {kind} are not judged by this program")
        name = json.dumps({"kind": kind, "rules": RULES, "subject": subject}, separators=(",", ":"), ensure_ascii=False)
        if finding != str(uuid.uuid5(NAMESPACE, name)):
            fail("认定编号与其对象不符", "the finding's id is not that of its subject")
        # The end of some subjects is the hub's own id of an entry, which the log does not hold: the deadline tells.
        stem = subject[: subject.rindex("/") + 1] if kind in {"review", "catalogue_update"} else subject
        before = [one for one in entries if one.place < revision.place and one.at <= revision.at]
        shown = levels_of(before, revision.at, calendar) if kind in LEVELS else duties_of(before, calendar)
        duties = [one for one in shown if (one.kind, one.subject) == (kind, stem)]
        if stem != subject:
            duties = [one for one in duties if one.due.isoformat() == revision.facts["due_at"]]
        judged = next((judge(one, revision.at, calendar) for one in duties), None) or {}
        yield revision, {**judged, "finding": finding, "subject": subject}


# Indicators


def observations(entries: list[Entry], since: datetime, until: datetime, calendar: Calendar) -> Iterator[Seen]:
    """Yield what counts in a period: its acts, the catalogue as it stood before, and duties that came due."""
    for one in entries:
        if one.at < until and (one.at >= since or one.kind in STOCKS):
            yield from COUNTED.get(one.kind, lambda _: ())(one)
        if one.at < until and one.kind == "governance.staff":
            yield from staff(one, until)
    yield from interfaces([one for one in entries if one.at < until], since, until)
    for duty in duties_of([one for one in entries if one.at < until], calendar):
        who = duty.facts["authority" if duty.kind == "review" else "provider"]
        at = duty.due if duty.done is None else min(duty.done, duty.due)
        if who is None or duty.kind not in {"reply", "provision", "review", "transfer", "correction"}:
            continue
        if since <= at < until:
            index = duty.spans[-1].place
            named = duty.kind in {"reply", "correction"}
            key = f"{duty.kind}:{duty.subject}" if named else f"{duty.subject}{duty.spans[0].place}"
            yield Seen(at, index, duty.kind, who, key=key)
            if duty.done is not None and duty.done < duty.due:
                yield Seen(at, index, f"{duty.kind} kept", who, key=key)


def interfaces(entries: list[Entry], since: datetime, until: datetime) -> Iterator[Seen]:
    """Yield for how long interfaces that nodes answer were to be there and were; which calls succeeded, how fast."""
    offers, outages = grouped(entries, {"sharing.live"}), [one for one in entries if one.kind == "sharing.outage"]
    live = {resource: live_spans(own, until) for resource, own in offers.items()}
    none = timedelta(0)

    def common(resource: str, left: datetime, right: datetime) -> timedelta:
        return sum((max(none, min(right, stop) - max(left, begin)) for begin, stop in live[resource]), none)

    for resource, own in offers.items():
        promised, who = common(resource, since, until), own[0].facts["provider"]
        if promised:
            found = stretches(who, outages, since, until)
            away = sum((common(resource, left, right) for left, right, cause, _ in found if cause == "node"), none)
            at = max(since, live[resource][0][0])
            for what, lasted in (("promised", promised), ("available", promised - away)):
                yield Seen(at, own[0].place, what, who, int(lasted / timedelta(minutes=1)), resource)
    for one in entries:
        took, resource = one.facts.get("milliseconds"), one.facts.get("resource_id", "")
        asked_for = one.kind == "sharing.access" and one.facts.get("kind") in {"query", "verify"}
        answered_live = any(begin <= one.at < stop for begin, stop in live.get(resource, []))
        if asked_for and answered_live and took is not None and one.at >= since:
            for what, number in (("timed", took), ("succeeded", 1), ("tried", 1)):
                yield Seen(one.at, one.place, what, offers[resource][0].facts["provider"], number)
        if one.kind == "sharing.failure" and one.at >= since and not one.facts["cause"].startswith("platform_"):
            first, last = (datetime.fromisoformat(one.facts[name]) for name in ("first_at", "last_at"))
            met = stretches(one.facts["provider"], outages, first, last + timedelta(microseconds=1))
            if all(cause == "node" for _, _, cause, _ in met):
                yield Seen(one.at, one.place, "tried", one.facts["provider"], one.facts["calls"])


def refused(one: Entry) -> Iterator[Seen]:
    """Yield how many rows of a task were refused so far, and how many of them the provider has made good."""
    fixed = one.facts["corrected"] + one.facts["superseded"]
    found = fixed + sum(one.facts["open"].values())
    for what, number in (("faults found", found), ("faults fixed", fixed)):
        yield Seen(one.at, one.place, what, one.facts["provider"], number, one.subject)


def asked(one: Entry) -> Iterator[Seen]:
    """Yield what a decision on a request counts for."""
    facts = one.facts
    if facts["state"] in {"granted", "refused"}:
        yield Seen(one.at, one.place, "valid", facts["provider"], key=facts["request_id"])
    if facts["state"] == "granted":
        yield Seen(one.at, one.place, "satisfied", facts["provider"], key=facts["request_id"])


def moved(one: Entry) -> Iterator[Seen]:
    """Yield what a batch, its receipt or a comparison of both ends counts for."""
    facts, provider = one.facts, one.facts["provider"]
    if one.kind == "exchange.batch":
        yield Seen(one.at, one.place, "used", provider, key=facts["resource"])
    elif one.kind == "exchange.receipt":
        yield Seen(one.at, one.place, "rows sent", provider, facts["rows_applied"] + facts["rows_rejected"])
        yield Seen(one.at, one.place, "rows accepted", provider, facts["rows_applied"])
    else:
        yield Seen(one.at, one.place, "reconciled", provider)
        if facts["state"] == "equal":
            yield Seen(one.at, one.place, "equal", provider)


def called(one: Entry) -> Iterator[Seen]:
    """Yield what a call of the gateway counts for; a refused batch is none."""
    provider, consumer = one.facts.get("provider"), one.facts.get("consumer")
    if not provider or "resource_id" not in one.facts:
        return
    if consumer:
        yield Seen(one.at, one.place, "made", consumer)
    if one.kind == "sharing.access":
        yield Seen(one.at, one.place, "used", provider, key=one.facts["resource_id"])
    elif consumer:
        yield Seen(one.at, one.place, "refused", consumer)


def uncatalogued(one: Entry) -> Iterator[Seen]:
    """Yield the tables that an inventory found and that nobody drafted."""
    facts = one.facts
    yield Seen(one.at, one.place, "drafted", facts["department"], int(facts["without_draft"]), one.subject)


def stock(one: Entry) -> Iterator[Seen]:
    """Yield what a resource is from a step on."""
    facts, share = one.facts, one.facts.get("share_type")
    live = int(facts["to_state"] == "published")
    counts = {"drafted": int(facts["to_state"] not in {"retired", "rejected"})}
    if live or facts["to_state"] in {"suspended", "retired"} or facts.get("action") == "unpublish":
        counts |= {
            "published": live,
            "bound": live * bool(facts.get("bound")),
            "items": live * int(facts.get("items", 0)),
            "mapped": live * int(facts.get("mapped_items", 0)),
            "restricted": live * (share in {"2", "3"}),
            "baseless": live * (share == "3" and not facts.get("legal_basis_cited")),
        }
        if "standard_items" in facts:
            counts["standard"] = live * int(facts["standard_items"])
    for what, count in counts.items():
        yield Seen(one.at, one.place, what, facts["department"], count, one.subject)


def staff(one: Entry, until: datetime) -> Iterator[Seen]:
    """Yield how many are assigned, and how many of them certified on the period's last day."""
    day, who = f"{(until - timedelta(microseconds=1)).astimezone(CHINA):%Y-%m-%d}", one.facts["department"]
    held = sum(number for ends, number in one.facts["certified"].items() if day <= ends)
    for what, number in (("assigned", one.facts["assigned"]), ("certified", held)):
        yield Seen(one.at, one.place, what, who, number, who)


def rated(one: Entry) -> Iterator[Seen]:
    """Yield how many aspects of a delivery were rated, and how many with 4 or 5 points; withdrawn ones are none."""
    scores = one.facts["scores"].values() if one.facts["state"] != "withdrawn" else ()
    for what, number in (("aspects rated", len(scores)), ("aspects satisfied", sum(each >= 4 for each in scores))):
        yield Seen(one.at, one.place, what, one.facts["provider"], number, one.subject)


COUNTED: dict[str, Callable[[Entry], Iterable[Seen]]] = {
    "catalogue.step": stock,
    "catalogue.inventory": uncatalogued,
    "sharing.request": asked,
    "sharing.decision": asked,
    "exchange.batch": moved,
    "exchange.receipt": moved,
    "exchange.reconciliation": moved,
    "exchange.dead_letters": refused,
    "sharing.access": called,
    "sharing.refusal": called,
    "governance.rating": rated,
}
"""What entries of each kind count for."""
STOCKS = {"catalogue.step", "catalogue.inventory", "exchange.dead_letters"}
"""Of these the newest counts, though it be older than the period."""


def counts(seen: Iterable[Seen]) -> list[Seen]:
    """Return what counts: of one thing the newest observation."""
    kept, things = [], set()
    for one in sorted(seen, key=lambda one: (one.at, one.place, one.what, one.department, one.number), reverse=True):
        thing = (one.what, one.department, one.key or "")
        if one.key is None or thing not in things:
            things.add(thing)
            kept.append(one)
    return kept


def totals(seen: Iterable[Seen]) -> dict[str, dict[str, int]]:
    """Return the sums by department and measure; of what was timed the number, and the 95th percentile by rank."""
    sums: dict[str, dict[str, int]] = {}
    times: dict[str, list[int]] = {}
    for one in seen:
        own = sums.setdefault(one.department, {})
        own[one.what] = own.get(one.what, 0) + (1 if one.what == "timed" else one.number)
        if one.what == "timed":
            times.setdefault(one.department, []).append(one.number)
    for department, each in times.items():
        sums[department]["p95"] = sorted(each)[-(-len(each) * 95 // 100) - 1]
    return sums


# Guards against gaming: of each the things that do not count, by indicator


class Story:
    """What guards look at: acts up to a period's end by what they are about, and who was served."""

    def __init__(self, entries: list[Entry], since: datetime, until: datetime) -> None:
        self.since, self.until = since, until
        before = [one for one in entries if one.at < until]
        self.resources = grouped(before, {"catalogue.step"})
        self.requests = grouped(before, {"sharing.request", "sharing.decision"}, lambda one: one.facts["request_id"])
        self.reports = grouped(before, {"library.correction"})
        self.ratings = {one.subject: one for one in before if one.kind == "governance.rating"}
        self.batches = grouped(before, {"exchange.batch"}, lambda one: one.facts["resource"])
        access = [one for one in before if one.kind == "sharing.access" and "resource_id" in one.facts]
        self.calls = [one.facts for one in access if one.at >= until - timedelta(days=180)]
        now = [one.facts for one in access if one.at >= since and one.facts.get("provider")]
        self.own = {one["resource_id"]: one["provider"] for one in now if one.get("consumer") == one["provider"]}
        others = [one for one in now if one.get("consumer") != one["provider"]]
        self.called = {one["resource_id"] for one in others}
        self.answered = {one["resource_id"] for one in others if one.get("rows") != 0}

    def published(self) -> list[tuple[str, Entry, Entry]]:
        """Return each resource that is published at the end, its first and its last such step."""
        live = {
            name: [one for one in acts if one.facts["to_state"] == "published"] for name, acts in self.resources.items()
        }
        return [(name, own[0], own[-1]) for name, own in live.items() if own and own[-1] is self.resources[name][-1]]

    def rows(self, resource: str) -> int:
        """Return how many rows were ever sent of a resource."""
        return sum(int(one.facts.get("rows", 0)) for one in self.batches.get(resource, []))


Strike = tuple[str, str, list[tuple[str, str, bool]]]
"""Whom a guard strikes, about what, and the things taken out: indicator, key, also out of the base."""


def empty_resource(story: Story) -> Iterator[Strike]:
    """A published resource without items, or without any row in all its batches and calls."""
    for name, _, step in story.published():
        sent = any(one.facts.get("last") for one in story.batches.get(name, []))
        if step.facts.get("items") == 0 or (sent and not story.rows(name) and name not in story.answered):
            keys = ("catalogue_rate", "binding_rate", "zero_use_share")
            yield step.facts["department"], name, [(key, name, False) for key in keys]


def split_resource(story: Story) -> Iterator[Strike]:
    """Five or more small ones of a kind on one day, four fifths of that day's, that nobody uses, are one."""
    days: dict[tuple[str, str], list[tuple[str, Entry]]] = {}
    for name, first, last in story.published():
        days.setdefault((last.facts["department"], f"{first.at.astimezone(CHINA):%Y-%m-%d}"), []).append((name, last))
    for (department, day), those in days.items():
        alike: dict[str, list[str]] = {}
        for name, last in those:
            if 1 <= int(last.facts.get("items", 0)) <= 3 and not story.rows(name) and name not in story.called:
                kind = "-".join(str(last.facts.get(one)) for one in ("share_type", "update_cycle", "data_category"))
                alike.setdefault(kind, []).append(name)
        for kind, small in alike.items():
            if len(small) >= max(5, 0.8 * len(those)):
                taken = [("catalogue_rate", name, True) for name in sorted(small)[1:]]
                yield department, f"{department}/{day}/{kind}", taken


def cosmetic_refusal(story: Story) -> Iterator[Strike]:
    """Refused in time, asked again for the same within 28 days and granted after the first deadline."""
    asked: dict[str, list[list[Entry]]] = {}
    for acts in story.requests.values():
        names = ("consumer", "provider", "resource_id", "items", "items_count", "items_sha256", "service_item")
        asked.setdefault(repr([acts[0].facts.get(name) for name in names]), []).append(acts)
    for those in asked.values():
        for before, after in pairwise(those):
            no, yes, due = before[-1], after[-1], before[-1].facts.get("due_at")
            if (no.facts["state"], yes.facts["state"]) != ("refused", "granted") or not due:
                continue
            if timedelta(0) <= after[0].at - no.at <= timedelta(days=28) and no.at < instant(due) <= yes.at:
                request = yes.facts["request_id"]
                yield yes.facts["provider"], request, [("reply_on_time_rate", f"reply:{request}", False)]


def of_requests(requests: Iterable[str]) -> list[tuple[str, str, bool]]:
    """Return what counts of requests."""
    keys = [(("reply_on_time_rate", f"reply:{one}", True), ("demand_satisfaction_rate", one, True)) for one in requests]
    return [key for pair in keys for key in pair]


def own_requests(story: Story) -> Iterator[Strike]:
    """What a department asks of itself."""
    for request, acts in story.requests.items():
        if acts[-1].facts["consumer"] == acts[-1].facts["provider"]:
            yield acts[-1].facts["provider"], request, of_requests([request])


def friendly_requests(story: Story) -> Iterator[Strike]:
    """Two departments grant each other three requests or more in half a year and use none of them."""
    granted: dict[tuple[str, str], list[Entry]] = {}
    for acts in story.requests.values():
        if acts[-1].facts["state"] == "granted" and acts[-1].at >= story.until - timedelta(days=180):
            granted.setdefault((acts[-1].facts["provider"], acts[-1].facts["consumer"]), []).append(acts[-1])
    used = {
        (name, one.facts.get("consumer")) for name, own in story.batches.items() for one in own if one.facts.get("rows")
    }
    used |= {(one["resource_id"], one.get("consumer")) for one in story.calls}
    old = story.until - timedelta(days=30)
    for one, other in sorted(pair for pair in granted if pair[0] < pair[1]):
        both = [granted[one, other], granted.get((other, one), [])]
        if min(sum(act.at < old for act in own) for own in both) < 3:
            continue
        idle = [[act for act in own if (act.facts["resource_id"], act.facts["consumer"]) not in used] for own in both]
        if any(act.at < old and act not in left for own, left in zip(both, idle, strict=True) for act in own):
            continue
        for provider, left in zip((one, other), idle, strict=True):
            yield provider, f"{one}/{other}", of_requests(act.facts["request_id"] for act in left)


def own_use(story: Story) -> Iterator[Strike]:
    """A resource that only its own department used in the period."""
    for name, provider in story.own.items():
        sent = any(story.since <= one.at < story.until for one in story.batches.get(name, []))
        if name not in story.called and not sent:
            yield provider, name, [("zero_use_share", name, False)]


def of_reports(acts: Iterable[Entry]) -> list[tuple[str, str, bool]]:
    """Return what counts of rounds of reports."""
    return [("correction_on_time_rate", f"correction:{one.subject}/{one.facts['disputes']}", True) for one in acts]


def own_corrections(story: Story) -> Iterator[Strike]:
    """Errors that a source department reports to itself."""
    for report, acts in story.reports.items():
        if acts[0].facts.get("consumer") == acts[0].facts["provider"]:
            rounds = [one for one in acts if one.facts["action"] in {"report", "dispute"}]
            yield acts[0].facts["provider"], report, of_reports(rounds)


def correction_rounds(story: Story) -> Iterator[Strike]:
    """Of a report of three rounds or more all but the first."""
    for report, acts in story.reports.items():
        rounds = [one for one in acts if one.facts["action"] in {"report", "dispute"}]
        if len(rounds) >= 3:
            yield acts[0].facts["provider"], report, of_reports(rounds[1:])


def instant_corrections(story: Story) -> Iterator[Strike]:
    """Five reports or more of one element by one department, each answered within half an hour, are one."""
    series: dict[tuple[str, ...], list[list[Entry]]] = {}
    for acts in story.reports.values():
        facts = acts[0].facts
        if facts.get("consumer") and acts[0].at >= story.since:
            names = ("provider", "consumer", "resource_id", "element")
            series.setdefault(tuple(facts.get(name, "") for name in names), []).append(acts)
    for (provider, *rest), those in series.items():
        quick = all(len(acts) > 1 and acts[-1].at - acts[0].at < timedelta(minutes=30) for acts in those)
        if len(those) >= 5 and quick:
            yield provider, "/".join(rest), of_reports(acts[0] for acts in those[1:])


def mutual_praise(story: Story) -> Iterator[Strike]:
    """Two departments rate each other twice or more in half a year, all with 5 points, and others do not agree."""
    given: dict[tuple[str, str], list[Entry]] = {}
    for one in story.ratings.values():
        if one.at >= story.until - timedelta(days=180) and one.facts["state"] != "withdrawn":
            given.setdefault((one.facts["consumer"], one.facts["provider"]), []).append(one)
    points = {pair: [each for one in own for each in one.facts["scores"].values()] for pair, own in given.items()}
    for pair in sorted(one for one in given if one[0] < one[1]):
        ways = (pair, pair[::-1])
        if any(len(given.get(way, [])) < 2 or set(points[way]) - {5} for way in ways):
            continue
        others = [
            [each for way, own in points.items() if way[1] == of and way[0] not in pair for each in own] for of in pair
        ]
        if all(own and sum(each >= 4 for each in own) >= 0.9 * len(own) for own in others):
            continue
        for consumer, provider in ways[::-1]:
            yield (
                provider,
                "/".join(pair),
                [("satisfaction_rate", one.subject, True) for one in given[consumer, provider]],
            )


def shelf_ware(story: Story) -> Iterator[Strike]:
    """Shown only: five resources or more older than 180 days, four fifths of them used by nobody."""
    old: dict[str, list[str]] = {}
    for name, first, last in story.published():
        if first.at < story.until - timedelta(days=180):
            old.setdefault(last.facts["department"], []).append(name)
    for department, names in old.items():
        idle = [name for name in names if name not in story.batches and name not in story.called]
        if len(names) >= 5 and len(idle) >= 0.8 * len(names):
            yield department, department, []


FORMULAS_VERSION = 3
GUARDS_VERSIONS = {"1", "2"}
"""The second added `mutual_praise`, about ratings, of which logs of the first have none."""
GUARDS = (
    empty_resource, split_resource, cosmetic_refusal, own_requests, friendly_requests, own_use, own_corrections,
    correction_rounds, instant_corrections, mutual_praise, shelf_ware,
)  # fmt: skip
"""In their order: a thing is taken out of an indicator once."""


def guarded(story: Story, seen: list[Seen]) -> tuple[dict[str, dict[str, dict[str, list[int]]]], dict[str, list[str]]]:
    """Return by department what each guard takes out of each indicator, and which guards only point."""
    amounts = {(one.what, one.department, one.key): one.number for one in seen if one.key is not None}
    gone: set[tuple[str, str, str]] = set()
    discounted: dict[str, dict[str, dict[str, list[int]]]] = {}
    flagged: dict[str, list[str]] = {}
    for guard in GUARDS:
        for department, _, taken in guard(story):
            if not taken and guard is shelf_ware:
                flagged.setdefault(department, []).append(guard.__name__)
            for indicator, key, both in taken:
                if (indicator, department, key) in gone:
                    continue
                gone.add((indicator, department, key))
                what, base, _, _ = INDICATORS[indicator]
                count = amounts.get((what, department, key), 0)
                of = amounts.get((base, department, key), 0) if both else 0
                if count or of:
                    own = discounted.setdefault(department, {}).setdefault(indicator, {})
                    sums = own.setdefault(guard.__name__, [0, 0])
                    own[guard.__name__] = [sums[0] + count, sums[1] + of]
    return discounted, flagged


def line(
    sums: dict[str, int], discounted: dict[str, dict[str, list[int]]], left_out: set[str]
) -> tuple[float | None, dict[str, list[int]]]:
    """Return a department's score, and what each indicator counted without what guards took out."""
    shown, parts, weights = {}, Fraction(0), 0
    for key, (what, base, weight, marks) in INDICATORS.items():
        less = discounted.get(key, {}).values()
        count = sums.get(what, 0) - sum(one for one, _ in less)
        of = sums.get(base, 0) - sum(one for _, one in less)
        if not of or key in left_out:
            continue
        shown[key] = [count, of]
        part = min(Fraction(1), Fraction(count, of))
        part = 1 - part if "complement" in marks else part
        if "percentile" in marks:
            part = Fraction(LATENCY_TARGET, max(count, LATENCY_TARGET))
        elif "count" in marks:
            part = Fraction(0) if count else Fraction(1)
        elif "low" in marks:
            part = 1 - part
        parts, weights = parts + part * 100 * weight, weights + weight
    return (round(float(parts / weights), 2) if weights else None), shown


def charges(entries: list[Entry], since: datetime, until: datetime) -> dict[str, int]:
    """Return the points that the newest revisions of a period's findings charge to each department.

    What a decision in a case has set aside charges nobody.
    """
    decided = [one.facts for one in entries if one.kind == "governance.case"]
    aside = {facts["finding"] for facts in decided if facts.get("ruling") == "set_aside"}
    findings = [one for one in entries if one.kind == "governance.finding" and one.subject not in aside]
    newest = {one.subject: one.facts for one in findings}
    charged: dict[str, int] = {}
    for facts in newest.values():
        if facts["points"] and since <= datetime.fromisoformat(facts["due_at"]) < until:
            for party, points in divide(facts["points"], facts["shares"]).items():
                if facts.get(party) is not None:
                    charged[facts[party]] = charged.get(facts[party], 0) + points
    return charged


def rederive_period(entries: list[Entry], period: str, calendar: Calendar) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Yield each published line of a month and its order, and what the entries before it lead to."""
    published = [one for one in entries if one.kind == "governance.indicator" and one.facts["period"] == period]
    if not published:
        fail(f"日志中没有 {period} 的指标公布", f"the log holds no publication of {period}")
    year, month = map(int, period.split("-"))
    since = datetime(year, month, 1, tzinfo=CHINA)
    until = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=CHINA)
    before = [one for one in entries if one.place < published[0].place]
    seen = counts(observations(before, since, until, calendar))
    sums, points = totals(seen), charges(before, since, until)
    # What older releases published knew no guards.
    known = published[0].facts.get("guards")
    taken, flags = guarded(Story(before, since, until), seen) if known else ({}, {})
    formulas = published[0].facts.get("formulas")
    left_out = {key for key, version in ADDED.items() if version > int(formulas or 1)}
    lines = {
        code: (*line(sums.get(code, {}), taken.get(code, {}), left_out), points.get(code, 0))
        for code in departments_of(before)
    }
    order = sorted(lines, key=lambda one: (lines[one][0] is None, -(lines[one][0] or 0), lines[one][2], one))
    derived: dict[str, dict[str, Any]] = {period: {"departments": order}}
    rank, previous = 0, None
    for place, code in enumerate(order, start=1):
        score, shown, charged = lines[code]
        rank, previous = (rank if (score, charged) == previous else place), (score, charged)
        derived[f"{period}/{code}"] = {
            "department": code,
            "rank": None if score is None else rank,
            "score_centi": None if score is None else round(score * 100),
            "points": charged,
            "counted": shown,
            **({"discounted": taken[code]} if code in taken else {}),
            **({"flagged": sorted(flags[code])} if code in flags else {}),
        }
    for one in published:
        yield (
            one,
            {
                "period": period,
                "rules": RULES,
                **({"guards": known} if known in GUARDS_VERSIONS else {}),
                **({"formulas": formulas} if formulas and 1 < int(formulas) <= FORMULAS_VERSION else {}),
                **derived.get(one.subject, {}),
            },
        )


# The program


def read_entries(folder: Path, size: int, tile_name: Any) -> list[Entry]:
    """Return the entries of an exported log that was verified."""
    found: list[Entry] = []
    for begin in range(0, size, 256):
        data = (folder / tile_name("entries", begin // 256, min(256, size - begin))).read_bytes()
        at = 0
        while at < len(data):
            length = int.from_bytes(data[at : at + 2], "big")
            said = json.loads(data[at + 2 : at + 2 + length])
            moment = datetime.strptime(said["at"], "%Y-%m-%dT%H:%M:%S.%f%z")
            actor = said["actor"]["department"]
            leaf = hashlib.sha256(b"\0" + data[at + 2 : at + 2 + length]).hexdigest()
            found.append(Entry(len(found), said["kind"], said["subject"], moment, actor, said["facts"], leaf))
            at += 2 + length
    return found


def main() -> None:
    """Read the arguments, verify the log, derive, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", required=True, help="the log's public key in hexadecimal")
    parser.add_argument("--period", help="a published month, such as 2026-11")
    parser.add_argument("--finding", help="the id of a finding")
    parser.add_argument("--verifier", type=Path, default=Path(__file__).with_name("verify.py"))
    parser.add_argument("--holidays", type=Path, help='JSON of days: {"2027-01-01": false}; what is known here yields')
    chosen = parser.parse_args()
    if (chosen.period is None) == (chosen.finding is None):
        fail("请给出 --period 或 --finding", "give --period or --finding")
    verifier = runpy.run_path(str(chosen.verifier))
    log = verifier["Export"](chosen.folder, bytes.fromhex(chosen.key))
    sys.stdout.write(f"✓ {log.verify()}\n")
    entries = read_entries(chosen.folder, log.checkpoint("checkpoint")[0], verifier["tile_name"])
    calendar = Calendar(json.loads(chosen.holidays.read_bytes()) if chosen.holidays else {})
    if chosen.period is not None:
        compared = list(rederive_period(entries, chosen.period, calendar))
    else:
        compared = list(rederive_finding(entries, chosen.finding, calendar))
    if not compared:
        fail(f"日志中没有责任认定 {chosen.finding}", f"the log holds no finding {chosen.finding}")
    wrong = 0
    place_of = {one.leaf: one.place for one in entries}
    for one, derived in compared:
        names = sorted((one.facts.keys() | derived.keys()) - {"evidence", "evidence_leaves", "revision"})
        differing = [name for name in names if one.facts.get(name) != derived.get(name)]
        leaves = one.facts.get("evidence_leaves", [])
        places = [place_of[leaf] for leaf in leaves if place_of.get(leaf, one.place) < one.place]
        differing += ["evidence_leaves"] if len(places) < len(leaves) else []
        wrong += bool(differing)
        cited = f"  ← {' '.join(f'#{place}' for place in sorted(places))}" if places else ""
        sys.stdout.write(f"{'✗' if differing else '✓'} #{one.place} {one.subject}{cited}\n")
        for name in differing:
            sys.stdout.write(f"    {name}: {one.facts.get(name)!r} ≠ {derived.get(name)!r}\n")
    if wrong:
        fail(f"{wrong} 条与重算结果不同", f"{wrong} do not come out again")


if __name__ == "__main__":
    main()
