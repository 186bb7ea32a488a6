"""Who may do what: one rule a route, and the one function that applies it.

No valid token is 401 for whatever is not public, existing or not; a valid token that does not see
the log is 404; one that sees it but lacks the scope is 403. Public frees reads only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from tlog.api.backend import Backend, LogBackend
from tlog.api.errors import ForbiddenError, NoSuchResourceError, UnauthorisedError
from tlog.tls import ClientCertificate
from tlog.tokens import Scope, TokenRow


class Access(Enum):
    """The rule of a route."""

    ANYBODY = "anybody"  # a token is looked at only for what it lets see
    LISTING = "listing"  # anybody, but a token or certificate that is given must be valid
    KNOWN = "known"  # a log's own path without a route: who sees the log
    READ = "read"  # scope read, or the log is public
    APPEND = "append"  # scope append, public or not
    LOCAL = "local"  # scope admin; only at the unix socket and on the administrative address


_SCOPES = {Access.READ: Scope.READ, Access.APPEND: Scope.APPEND, Access.LOCAL: Scope.ADMIN}


class Caller(NamedTuple):
    """Who asks: the operator at the unix socket, a valid token or certificate, or anybody.

    administers: on the administrative address, where scope admin on a log is every right on it.
    invalid: a token was sent, or a certificate shown that was let in once, and is not valid.
    """

    local: bool = False
    token: TokenRow | None = None
    administers: bool = False
    invalid: bool = False

    def sees(self, log: LogBackend) -> bool:
        """Whether the caller may know that the log exists."""
        return log.row.public or self.is_known_to(log)

    def is_known_to(self, log: LogBackend) -> bool:
        """Whether the caller has any scope on the log."""
        return self.covers((log.row.name,))

    def covers(self, names: Iterable[str]) -> bool:
        """Whether the caller has any scope on every log of those names, existing or not."""
        return self.local or (self.token is not None and self.token.logs.issuperset(names))

    def has(self, scope: Scope, log: LogBackend) -> bool:
        """Whether the caller has that scope on the log."""
        if self.local:
            return True
        if self.token is None or not self.is_known_to(log):
            return False
        return self.administers or scope in self.token.scopes


Identify = Callable[[Backend, str | None, ClientCertificate | None], Caller]
ANYONE = Caller()
OPERATOR = Caller(local=True)


def identify(
    host: Backend, authorization: str | None, client: ClientCertificate | None = None
) -> Caller:
    """The caller behind an Authorization header, or behind a certificate that TLS has verified.

    A header that is sent decides alone: an invalid token is nobody, whatever the certificate.
    """
    if authorization is not None:
        scheme, _, text = authorization.partition(" ")
        row = host.tokens.find(text.strip()) if scheme.lower() == "bearer" else None
        return Caller(token=row, invalid=row is None)
    if client is not None:
        row = host.tokens.find_certificate(client)
        return Caller(token=row, invalid=row is None and host.tokens.knows_key(client.key_hash))
    return ANYONE


def identify_operator(
    host: Backend, authorization: str | None, client: ClientCertificate | None = None
) -> Caller:
    """The caller at the unix socket, whatever is sent."""
    del host, authorization, client
    return OPERATOR


def identify_administrator(
    host: Backend, authorization: str | None, client: ClientCertificate | None = None
) -> Caller:
    """The caller on the administrative address, as identify tells."""
    caller = identify(host, authorization, client)
    administers = caller.token is not None and Scope.ADMIN in caller.token.scopes
    return caller._replace(administers=administers)


def check_administers(caller: Caller) -> None:
    """Raise unless the caller is the operator or an administrator, of whatever logs.

    Raises:
        UnauthorisedError: no valid token. ForbiddenError: a valid one without scope admin.
    """
    if caller.local or caller.administers:
        return
    if caller.token is None:
        raise _unauthorised()
    message = f"the token lacks the scope {Scope.ADMIN.value}"
    raise ForbiddenError(message)


def authorise(
    access: Access, host: Backend, caller: Caller, log_name: str | None
) -> LogBackend | None:
    """Apply a route's rule; the log that log_name names, where the route has one.

    Raises:
        UnauthorisedError: 401, the caller is nobody and this is not public.
        NoSuchResourceError: 404, a known caller who does not see the log.
        ForbiddenError: 403, a known caller who sees it and lacks the scope.
    """
    if access is Access.LOCAL and not (caller.local or caller.administers):
        message = "only the unix socket and the administrative address serve this"
        raise NoSuchResourceError(message)
    if access is Access.LISTING and caller.invalid:
        raise _unauthorised()
    if log_name is None:
        return None
    return _authorise_log(access, host.logs.get(log_name), caller)


def check_still_valid(backend: Backend, caller: Caller) -> None:
    """Raise UnauthorisedError when the caller's token was revoked or expired meanwhile."""
    if caller.token is not None and not backend.tokens.holds(caller.token):
        raise _unauthorised()


def _authorise_log(access: Access, log: LogBackend | None, caller: Caller) -> LogBackend:
    if log is not None and log.row.public and access in (Access.READ, Access.KNOWN):
        return log
    if not caller.local and caller.token is None:
        raise _unauthorised()
    if log is None or not caller.sees(log):
        message = "there is no such log"
        raise NoSuchResourceError(message)
    scope = _SCOPES.get(access)
    if scope is not None and not caller.has(scope, log):
        message = f"the token lacks the scope {scope.value} on this log"
        raise ForbiddenError(message)
    return log


def _unauthorised() -> UnauthorisedError:
    message = (
        "send a valid token as `Authorization: Bearer TOKEN`, or show a certificate that was let in"
    )
    return UnauthorisedError(message)
