"""Arrow's buffers come from the same heap as everything else, so that what one lets go another may use."""

import pyarrow as pa


def share_heap() -> None:
    """Have Arrow allocate from the C library: called by a program that stays, before it moves rows.

    Arrow's own allocator (mimalloc) keeps pages for every thread that ever held a batch. Batches pass through many
    threads of a hub or node, one after another: 15 to 20 MB that nobody used.
    """
    pa.set_memory_pool(pa.system_memory_pool())
