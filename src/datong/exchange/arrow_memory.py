"""Arrow's buffers come from the same heap as everything else, so that what one lets go another may use."""

from importlib import import_module


def share_heap() -> None:
    """Have Arrow allocate from the C library: called by a program that stays, before it moves rows.

    Arrow's own allocator (mimalloc) keeps pages for every thread that ever held a batch. Batches pass through many
    threads of a hub or node, one after another: 15 to 20 MB that nobody used.
    """
    # Loaded here, since short commands of a node know this name and move no rows.
    arrow = import_module("pyarrow")
    arrow.set_memory_pool(arrow.system_memory_pool())
