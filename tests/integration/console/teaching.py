"""Decisions about pairs from which weights are learned: the small city links too well to leave a pair in doubt."""

import random

from sqlalchemy import insert

from datong.kernel import Actor, Database, new_id
from datong.library import Library
from datong.library.tables import LINK_DECISIONS

LEVELS = ("household", ("exact 0", "else")), ("phone", ("exact 0", "edits 1", "else")), ("address", ("exact 0", "else"))
DECISIONS = 24


def teach(database: Database, library: Library, actor: Actor) -> None:
    """Let somebody have decided on pairs of the population, learn weights from that, and propose them."""
    random_ = random.Random(5)
    definition, dataset = library.definition("population"), library.dataset("population")
    with database.transaction() as connection:
        for number in range(DECISIONS):
            levels = [
                {"comparison": name, "level": random_.choice(known), "bits": random_.uniform(-3, 3)}
                for name, known in LEVELS
            ]
            weight = sum(float(str(level["bits"])) for level in levels) + 8
            connection.execute(
                insert(LINK_DECISIONS).values(
                    id=new_id(),
                    library="population",
                    left_key=f"residents\x1f{number}",
                    right_key=f"insured\x1f{number}",
                    in_force=new_id(),
                    verdict="same" if random_.random() < 0.5 else "different",
                    statement="电话核实",
                    details={"weight": weight, "reason": "near", "levels": levels, "model": definition.digest},
                    decided_by=actor.model_dump(mode="json"),
                    decided_at=dataset.published_at,
                    decided_version=dataset.version,
                    entry_id=dataset.entry_id,
                )
            )
    library.weights.train("population", actor=actor)
