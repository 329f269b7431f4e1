"""Passkeys (Web Authentication): keys of people's devices, alone or after another way of signing in."""

from datong.sharing.passkeys.keys import Ceremony, Passkey, Passkeys

__all__ = ["Ceremony", "Passkey", "Passkeys"]
