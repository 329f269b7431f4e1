"""Random bytes are handed out once: not to two threads, nor to a process and its child."""

import os
from concurrent.futures import ThreadPoolExecutor

from datong.kernel import random_bytes
from datong.kernel.randomness import DRAWN_BYTES


def test_every_draw_is_new_whatever_its_size() -> None:
    drawn = [random_bytes(size) for size in (16, 32, 10, DRAWN_BYTES + 1, DRAWN_BYTES, 16) for _ in range(500)]
    assert [len(one) for one in drawn[::500]] == [16, 32, 10, DRAWN_BYTES + 1, DRAWN_BYTES, 16]
    assert len(set(drawn)) == len(drawn)
    assert random_bytes(0) == b""


def test_threads_draw_apart() -> None:
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(random_bytes, [16] * 4000))
    assert len(set(drawn)) == len(drawn)


def test_a_child_process_draws_anew() -> None:
    random_bytes(16)
    came, goes = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(goes, random_bytes(16))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(came, 16) != random_bytes(16)
    os.close(came)
    os.close(goes)
