"""The demand wall: what people and firms wish to be opened, which department answers, and what came of it."""

from datong.sharing.wishes.rules import (
    LINKED,
    OF_THE_AUTHORITY,
    OF_THE_DEPARTMENT,
    ON_THE_WALL,
    SUPPORTED,
    TRANSITIONS,
    AskerKind,
    Wish,
    WishAct,
    WishAction,
    WishDraft,
    WishedCycle,
    WishState,
    WishStep,
)
from datong.sharing.wishes.wishes import Wishes, WishOrder

__all__ = [
    "LINKED",
    "OF_THE_AUTHORITY",
    "OF_THE_DEPARTMENT",
    "ON_THE_WALL",
    "SUPPORTED",
    "TRANSITIONS",
    "AskerKind",
    "Wish",
    "WishAct",
    "WishAction",
    "WishDraft",
    "WishOrder",
    "WishState",
    "WishStep",
    "WishedCycle",
    "Wishes",
]
