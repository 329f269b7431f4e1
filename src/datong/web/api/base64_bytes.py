"""Bytes as the API's JSON carries them."""

from datong.kernel import Base64Bytes

__all__ = ["Base64Bytes"]
