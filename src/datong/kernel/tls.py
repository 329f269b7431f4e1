"""Which certificates a client trusts: read once a process, and only by who speaks TLS."""

import ssl
from functools import cache

import httpx


def tls_context(address: str) -> ssl.SSLContext:
    """Return what a client of `address` checks certificates with.

    Reading the authorities takes 20 ms, so clients share one context. A client of a plain address has one without any
    authority: were it sent on to a TLS address, it would trust nobody.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if address.startswith("http://") else _authorities()


@cache
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
