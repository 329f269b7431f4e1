"""Passwords of tests: hashed by the platform's own hasher, with as little memory as it takes.

Half of what a test of a few people cost was their passwords. `tests/unit/sharing/test_identity.py` and every hub that a
test starts as a process hash as installations do.
"""

from datong.sharing import BoundedArgon2

HASHER = BoundedArgon2(at_once_max=8, memory_kibibytes=64)
