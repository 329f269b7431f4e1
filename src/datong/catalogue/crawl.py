"""The crawl of a department's sources, as those who start it see it: what to look at, how far it is, what it found."""

from collections.abc import Callable, Sequence

from datong.catalogue.grouping import TableRole
from datong.catalogue.inventory import Fault, InventoryCounts, counted
from datong.catalogue.proposal import ProposedTable
from datong.kernel import Text, Value


class CrawlProgress(Value):
    """How far the crawl of a source is: `done` of `total` tables, the newest of them, and why it failed if it did."""

    source: str
    done: int
    total: int
    table: str
    fault: Text | None = None


class SourcePlan(Value):
    """Everything that one source's inventory would send."""

    source: str
    engine: str
    tables: tuple[ProposedTable, ...]
    fault: Fault | None = None

    @property
    def counts(self) -> InventoryCounts:
        """What the plan adds up to; what would be drafted counts as drafted."""
        found = tuple(table.found for table in self.tables)
        return counted(found, drafted=sum(table.role is TableRole.MAIN for table in found))


CrawlWatch = Callable[[CrawlProgress], None]
"""Told after every table."""


def plan_document(plans: Sequence[SourcePlan]) -> dict[str, object]:
    """Return what a dry run shows: everything that would be sent, source by source."""
    return {
        "sources": [
            {
                "source": plan.source,
                "engine": plan.engine,
                "fault": None if plan.fault is None else plan.fault.model_dump(mode="json"),
                "counts": plan.counts.model_dump(mode="json"),
                "drafts": [t.draft.content.model_dump(mode="json") for t in plan.tables if t.draft is not None],
                "tables": [table.found.model_dump(mode="json") for table in plan.tables],
            }
            for plan in plans
        ]
    }
