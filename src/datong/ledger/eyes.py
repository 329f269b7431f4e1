"""Four eyes: nobody approves what they themselves submitted, neither in their own name nor in another's.

Who submitted is read from the evidence, which no row can be edited away from. Behind each act stand whoever did it
and, if a substitute did it, whoever it was done for (`Actor.persons`); the approval and the submission must have nobody
in common. So a substitute cannot approve for somebody what that person submitted, nor what they submitted themselves,
nor what they submitted as anybody's substitute.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from datong.kernel import Actor, ActorKind, JsonValue, Refused, Text
from datong.ledger.entries import EntryKind, parse_leaf
from datong.ledger.tables import ENTRIES

ACT_FACTS = ("action", "step")
"""The facts in which entries say what was done."""


def require_other_eyes(
    connection: Connection,
    actor: Actor,
    *,
    subject: str,
    kinds: Collection[EntryKind],
    acts: Collection[str],
    facts: Mapping[str, JsonValue] | None = None,
    lent_only: bool = False,
) -> None:
    """Let a person approve `subject` unless they had a part in submitting it: in an entry of one of `acts` about it.

    With `facts`, only entries that state these as well are looked at; with `lent_only`, only pairs of acts of which a
    substitute did one: where one account may have both roles, lending must not bring them together. Machines have no
    eyes of their own: what they may do is not this rule's question.

    Raises:
        Refused: `ledger.own_submission`.
    """
    if actor.kind is not ActorKind.PERSON:
        return
    query = select(ENTRIES.c.leaf).where(
        ENTRIES.c.subject == subject, ENTRIES.c.kind.in_(sorted(kind.value for kind in kinds))
    )
    wanted = dict(facts or {})
    for leaf in connection.execute(query).scalars():
        entry = parse_leaf(leaf)
        done = {entry.facts.get(name) for name in ACT_FACTS}
        fits = all(entry.facts.get(name) == value for name, value in wanted.items())
        counts = not lent_only or actor.acting_for or entry.actor.acting_for
        if fits and counts and not done.isdisjoint(acts) and not entry.actor.persons.isdisjoint(actor.persons):
            raise own_submission()


def own_submission() -> Refused:
    """Return the error for an approval of what one submitted."""
    return Refused(
        "ledger.own_submission",
        what=Text(
            zh="提交人不能审批自己提交的事项，代办人也不能代他人审批双方中任何一人提交的事项（四眼原则）。",
            en="Nobody approves what they submitted; nor does a substitute approve what either of the two submitted.",
        ),
        remedy=Text(zh="请由另一位有权限的人办理。", en="Let somebody else who may do it decide."),
    )
