"""Connections to MariaDB and MySQL that share one TLS context.

The driver encrypts where the server can and checks no certificate unless told of an authority; yet it read all
authorities of the system for each connection: 50 ms of a processor.
"""

import ssl
from functools import cache

from pymysql.connections import Connection


class MariadbLink(Connection):
    """A connection that is encrypted if the server can, to whoever answers there, as the driver's own is."""

    def _create_ssl_ctx(self, sslp: object) -> ssl.SSLContext:
        return _context()


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
