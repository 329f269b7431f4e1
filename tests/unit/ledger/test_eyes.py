"""Four eyes, over all ways in which people can act for themselves and for others."""

import hashlib
import itertools
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from datong.kernel import Actor, ActorKind, JsonValue, Refused
from datong.ledger import CommonFacts, EntryKind, require_other_eyes
from tests.unit.ledger.logs import NODE, SmallLog

PEOPLE = st.sampled_from(["li", "wang", "zhao", "sun"])
ACTORS = st.builds(
    lambda person, other: Actor(kind=ActorKind.PERSON, id=person, acting_for="" if other == person else other),
    PEOPLE,
    PEOPLE,
)
ENTRIES = st.lists(st.tuples(ACTORS, st.sampled_from(["submit", "edit", "withdraw"]), st.integers(1, 2)), max_size=5)


def refuses(
    connection: Connection, actor: Actor, subject: str, facts: dict[str, JsonValue], *, lent_only: bool = False
) -> bool:
    try:
        require_other_eyes(
            connection,
            actor,
            subject=subject,
            kinds=(EntryKind.CATALOGUE_STEP,),
            acts=("submit", "amend"),
            facts=facts,
            lent_only=lent_only,
        )
    except Refused:
        return True
    return False


def test_nobody_approves_what_they_or_the_one_they_act_for_had_a_part_in(tmp_path: Path) -> None:
    log, numbers = SmallLog(tmp_path), itertools.count()

    @given(submitted=ENTRIES, approver=ACTORS)
    def holds(submitted: list[tuple[Actor, str, int]], approver: Actor) -> None:
        subject, mine = f"resource-{next(numbers)}", {approver.id, approver.acting_for} - {""}
        theirs: dict[int, set[str]] = {1: set(), 2: set()}
        with log.database.transaction() as connection:
            for actor, action, version in submitted:
                facts: dict[str, JsonValue] = {"action": action, "version": version}
                log.ledger.append(connection, kind=EntryKind.CATALOGUE_STEP, subject=subject, actor=actor, facts=facts)
                if action == "submit":
                    theirs[version] |= {actor.id, actor.acting_for} - {""}
            for version, people in theirs.items():
                assert refuses(connection, approver, subject, {"version": version}) == bool(people & mine)
            assert refuses(connection, approver, subject, {}) == bool((theirs[1] | theirs[2]) & mine)
            lent = {
                person
                for actor, action, _ in submitted
                if action == "submit" and (actor.acting_for or approver.acting_for)
                for person in actor.persons
            }
            assert refuses(connection, approver, subject, {}, lent_only=True) == bool(lent & mine)
            assert not refuses(connection, approver, "another", {})
            assert not refuses(connection, NODE, subject, {})

    holds()


def test_an_entry_says_for_whom_it_was_done_and_only_then(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    own = Actor(kind=ActorKind.PERSON, id="li")
    for_wang = own.model_copy(update={"acting_for": "wang"})
    with log.database.transaction() as connection:
        for subject, actor in (("own", own), ("lent", for_wang)):
            log.ledger.append(connection, kind=EntryKind.CASE, subject=subject, actor=actor, facts={"a": 1})
    (first,), (second,) = log.ledger.entries(subject="own").rows, log.ledger.entries(subject="lent").rows
    assert (first.facts, first.actor.acting_for) == ({"a": 1}, "")
    assert (second.facts, second.actor.acting_for) == ({"a": 1, "acting_for": "wang"}, "wang")
    common = CommonFacts(EntryKind.CASE, for_wang, {"a": 1})
    leaf = common.leaf_bytes(at=second.at, subject="lent", facts={})
    assert hashlib.sha256(b"\0" + leaf).hexdigest() == second.leaf_hash
