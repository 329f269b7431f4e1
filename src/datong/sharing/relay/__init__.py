"""Requests and calls that go on over a link to another hub (跨级申请)."""

from typing import TYPE_CHECKING

from datong.kernel import on_demand

if TYPE_CHECKING:
    from datong.sharing.relay.answers import HigherHubs, RelayAnswerer
    from datong.sharing.relay.desk import RelayDesk
    from datong.sharing.relay.follower import RelayFollower
    from datong.sharing.relay.values import (
        WORK_PAGES_MAX,
        HigherHub,
        RelayedDecision,
        RelayedEnd,
        RelayedOrder,
        RelayedQuestion,
        RelayedRows,
        RelayedSignature,
        RelayedStanding,
        RelayedWork,
    )
else:
    __getattr__ = on_demand(
        __name__,
        {
            "answers": ["HigherHubs", "RelayAnswerer"],
            "desk": ["RelayDesk"],
            "follower": ["RelayFollower"],
            "values": [
                "WORK_PAGES_MAX",
                "HigherHub",
                "RelayedDecision",
                "RelayedEnd",
                "RelayedOrder",
                "RelayedQuestion",
                "RelayedRows",
                "RelayedSignature",
                "RelayedStanding",
                "RelayedWork",
            ],
        },
    )

__all__ = [
    "WORK_PAGES_MAX",
    "HigherHub",
    "HigherHubs",
    "RelayAnswerer",
    "RelayDesk",
    "RelayFollower",
    "RelayedDecision",
    "RelayedEnd",
    "RelayedOrder",
    "RelayedQuestion",
    "RelayedRows",
    "RelayedSignature",
    "RelayedStanding",
    "RelayedWork",
]
