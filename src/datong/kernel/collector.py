"""The garbage collector: start-up is not slowed by it, and what start-up made is not looked through again and again."""

import gc

STARTING_THRESHOLDS = (100_000, 50, 100)
"""New objects before the collector looks: modules make many that stay, and looking took a quarter of a start."""
_USUAL_THRESHOLDS = gc.get_threshold()


def start() -> None:
    """Have the collector look rarely: called once when a program begins."""
    gc.set_threshold(*STARTING_THRESHOLDS)


def settle() -> None:
    """Set aside every object there is now: called once by a process that has started and goes on to serve.

    Looking through them again and again took an eighth of what a hub did while nothing happened. From now on the
    collector looks as often as usual: rows that hang in a cycle of objects would otherwise keep their memory longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_USUAL_THRESHOLDS)
