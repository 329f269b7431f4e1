"""The garbage collector of a process that lives long: what start-up made is not looked through again and again."""

import gc


def settle() -> None:
    """Set aside every object there is now: called once by a process that has started and goes on to serve.

    Looking through them again and again took an eighth of what a hub did while nothing happened. How often the
    collector looks stays as it is: rows that hang in a cycle of objects would keep their memory for longer.
    """
    gc.collect()
    gc.freeze()
