"""What a process has made before it settles is set aside; what it makes later is collected."""

import gc
import subprocess
import sys

PROGRAM = """
import gc, weakref
from datong.kernel.collector import settle

class Ring:
    pass

def ring():
    one = Ring()
    one.own = one
    return weakref.ref(one)

settle()
assert gc.get_freeze_count() > 1000
later = ring()
gc.collect()
assert later() is None
"""


def test_a_settled_process_still_collects_what_it_makes_later() -> None:
    # In a process of its own: the collector belongs to the whole process.
    frozen = gc.get_freeze_count()
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
    assert gc.get_freeze_count() <= frozen
