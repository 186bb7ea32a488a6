"""What only an HTTP request can get wrong, as one tree under ServerError.

RequestError
+-- MalformedRequestError        path, query or body is not what the route takes
+-- UnauthorisedError            no token, or one that is not valid now
+-- ForbiddenError               the token sees the log and lacks the scope
+-- NoSuchResourceError          no such route, or a log that the caller may not see
+-- MethodNotAllowedError        the route is there, for other methods
+-- NotAcceptableError           none of the representations is one that the client accepts
+-- UnsupportedMediaTypeError    content type or content coding of a body
+-- BodyTooLargeError            a body over its bound
+-- BodyTimeoutError             a body that came too slowly
+-- ExpectationError             an Expect header other than 100-continue
+-- TransferCodingError          a transfer coding other than chunked
+-- NotReadyError                readiness, as a problem
+-- OverloadedError              too many bytes of answers are under way
"""

from __future__ import annotations

from collections.abc import Sequence

from tlog.errors import ServerError


class RequestError(ServerError):
    """A request that cannot be answered as it is (never raised itself)."""


class MalformedRequestError(RequestError):
    """Path, query or body is not what the route takes."""


class UnauthorisedError(RequestError):
    """No token, or one that is unknown, expired or revoked."""


class ForbiddenError(RequestError):
    """The token sees the log and lacks the scope."""


class NoSuchResourceError(RequestError):
    """No such route, or a log that the caller may not see."""


class MethodNotAllowedError(RequestError):
    """The route is there, for `allowed` methods only."""

    def __init__(self, message: str, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class NotAcceptableError(RequestError):
    """The client accepts none of the representations."""


class UnsupportedMediaTypeError(RequestError):
    """A content type or content coding that the route does not take."""


class BodyTooLargeError(RequestError):
    """A body over its bound, as sent or once decompressed."""


class BodyTimeoutError(RequestError):
    """A body that came too slowly."""


class ExpectationError(RequestError):
    """An Expect header that asks for something else than 100-continue."""


class TransferCodingError(RequestError):
    """A body whose Transfer-Encoding is not `chunked` alone."""


class NotReadyError(RequestError):
    """The server or one of its logs does not take appends."""


class OverloadedError(RequestError):
    """As many bytes of answers are under way as may be."""
