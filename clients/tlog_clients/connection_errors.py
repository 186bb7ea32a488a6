"""What happened to a connection, in words for people."""

from __future__ import annotations

import os
import ssl

import aiohttp

from tlog_clients.printable import printable


def broke_off(error: Exception) -> bool:
    """Whether there was a connection, which the other side ended: perhaps with TLS's handshake."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, ssl.SSLError):
        return "ALERT" in (error.reason or "")
    kinds = aiohttp.ClientOSError | aiohttp.ServerDisconnectedError | ConnectionError
    return isinstance(error, kinds) and not isinstance(error, ConnectionRefusedError)


def reason_of(error: Exception) -> str:
    """What happened, in the words of the system; never a repr, which could hold headers."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate is not trusted ({printable(str(error.certificate_error))})"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect ({_system_reason(error.os_error)})"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "the connection was closed before the whole answer came"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP"
    return _system_reason(error)


def _system_reason(error: Exception) -> str:
    """The system's words for an error number; asyncio puts addresses into its own."""
    if not isinstance(error, OSError):
        return type(error).__name__
    tls_error = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(tls_error, ssl.SSLError) and tls_error.reason:  # its number is no errno
        return f"TLS: {printable(tls_error.reason.lower().replace('_', ' '))}"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__
