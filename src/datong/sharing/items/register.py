"""Where cases find the service items that they are about, with a fake that holds them in memory."""

from collections.abc import Iterable
from typing import Protocol

from datong.catalogue import ServiceItem
from datong.kernel import NotFound, Text


class ServiceRegister(Protocol):
    """Knows the service items; `catalogue.ServiceItems` satisfies it."""

    def get(self, item_id: str) -> ServiceItem:
        """Return one service item with its fields, or raise NotFound."""
        ...


class MemoryServiceItems:
    """Service items held in memory, for tests."""

    def __init__(self, items: Iterable[ServiceItem]) -> None:
        self._items = {item.id: item for item in items}

    def get(self, item_id: str) -> ServiceItem:
        """Return one service item, or raise NotFound."""
        if item_id not in self._items:
            raise NotFound(
                "sharing.item_unknown",
                what=Text(zh="没有这个服务事项。", en="There is no such service item."),
                remedy=Text(zh="请核对编号。", en="Check the number."),
            )
        return self._items[item_id]
