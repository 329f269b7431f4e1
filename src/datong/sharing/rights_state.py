"""What of consents, objections, delayed disclosure, applications and private matching `fsck` compares with the log."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, select

from datong.kernel import JsonValue, Text
from datong.ledger import Area, EntryContent, EntryKind, Held, Stated, of_subject, streamed
from datong.sharing import tables
from datong.sharing.applications.registrations import registration_facts, registration_of
from datong.sharing.citizens.objections import objection_facts, objection_of
from datong.sharing.consent.consents import consent_facts, consent_of
from datong.sharing.evidence import instant, text_digest
from datong.sharing.matching_terms import Matching
from datong.sharing.matchings import matching_facts
from datong.sharing.wishes.tables import wish as wish_table
from datong.sharing.wishes.wishes import wish_facts, wish_of

_ORDERED = ("consumer", "provider", "ground", "delay_days")


def _consents(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(tables.consent)):
        yield Held(row["id"], {"sharing_consent": consent_facts(consent_of(row))})


def _objections(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(tables.use_objection)):
        own: dict[str, JsonValue] = {"access_id": row["access_id"], "consumer": row["consumer"]}
        told = objection_facts(objection_of(row))
        yield Held(row["id"], {"sharing_use_objection": own, "sharing_use_objection.content": told})


def _order(entry: EntryContent) -> Stated:
    ended = entry.facts["step"] == "end"
    return Stated(entry.subject, {**entry.facts, "ended": ended}, adds=ended)


def _orders(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(tables.disclosure_hold)):
        content = row["content"]
        told = {name: content[name] for name in _ORDERED} | {
            "reason_sha256": text_digest(content["reason"]),
            "one_case": bool(content["case_number"]),
            "until": instant(datetime.fromisoformat(content["until"])) if content["until"] else None,
        }
        own: dict[str, JsonValue] = {"agreement_id": row["agreement_id"], "ended": row["ended_at"] is not None}
        yield Held(row["id"], {"sharing_disclosure_hold": own, "sharing_disclosure_hold.content": told})


def _registration(entry: EntryContent) -> Stated | None:
    # Programs that nobody reviews leave entries of the same kind, and no such row.
    return of_subject(entry) if "state" in entry.facts else None


def _registrations(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(tables.registration)):
        yield Held(row["application_id"], {"sharing_registration": registration_facts(registration_of(row))})


def _program(entry: EntryContent) -> Stated:
    return Stated(entry.subject, {"department": entry.facts["department"]})


def _programs(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(tables.application)):
        yield Held(row["id"], {"sharing_application": {"department": row["department"]}})


def _matchings(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(tables.matching)):
        own: dict[str, JsonValue] = {name: row[name] for name in ("proposer", "other", "state")}
        told = matching_facts(Matching.model_validate(row["content"]))
        yield Held(row["id"], {"sharing_matching": own, "sharing_matching.content": told})


def _wishes(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(wish_table)):
        wish = wish_of(row)
        own: dict[str, JsonValue] = {"department": row["department"], "state": row["state"]}
        yield Held(row["id"], {"sharing_wish": own, "sharing_wish.content": wish_facts(wish)})


RIGHTS_AREAS = (
    Area("sharing.consent", Text(zh="本人同意", en="Consent"), frozenset({EntryKind.CONSENT}), of_subject, _consents),
    Area(
        "sharing.objection",
        Text(zh="使用异议", en="Objection"),
        frozenset({EntryKind.OBJECTION}),
        of_subject,
        _objections,
    ),
    Area(
        "sharing.disclosure",
        Text(zh="延后告知决定", en="Order to tell later"),
        frozenset({EntryKind.DISCLOSURE}),
        _order,
        _orders,
    ),
    Area(
        "sharing.registration",
        Text(zh="登记的应用", en="Registered application"),
        frozenset({EntryKind.APPLICATION}),
        _registration,
        _registrations,
    ),
    Area(
        "sharing.application",
        Text(zh="应用程序", en="Program"),
        frozenset({EntryKind.APPLICATION}),
        _program,
        _programs,
    ),
    Area(
        "sharing.matching",
        Text(zh="隐私求交", en="Private matching"),
        frozenset({EntryKind.MATCHING}),
        of_subject,
        _matchings,
    ),
    Area("sharing.wish", Text(zh="公众数据需求", en="Wish"), frozenset({EntryKind.WISH}), of_subject, _wishes),
)
