"""The one place where an error becomes an HTTP answer: RFC 9457 problem details.

Types are `urn:tlog:problem:NAME`; spec/problems.md lists them for clients.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from aiohttp import web

from tlog import errors
from tlog.api import errors as api_errors
from tlog.api.responses import NO_STORE, PROBLEM_JSON, headers_of
from tlog_proofs import TlogError

PROBLEM_PREFIX = "urn:tlog:problem:"
RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem: its type is PROBLEM_PREFIX + name.

    detail: whether the error's own sentence is shown; the sentence of an internal one is not.
    """

    name: str
    status: int
    title: str
    detail: bool = True

    @property
    def type(self) -> str:
        """The URN that names the kind."""
        return PROBLEM_PREFIX + self.name


INTERNAL = Problem("internal", 500, "The server failed", detail=False)
_REFUSED = Problem("refused", 400, "The request cannot be carried out")
_STORAGE = Problem("storage", 500, "The log's storage failed", detail=False)
_NOT_FOUND = Problem("not-found", 404, "There is nothing by that name")

PROBLEMS: dict[type[TlogError], Problem] = {
    TlogError: INTERNAL,
    errors.ServerError: INTERNAL,
    errors.SubmissionError: INTERNAL,
    errors.EntryTooLargeError: Problem("entry-too-large", 413, "An entry is too large"),
    errors.BatchTooLargeError: Problem("batch-too-large", 413, "The batch is too large"),
    errors.EmptyBatchError: Problem("empty-batch", 400, "The batch holds no entry"),
    errors.IdConflictError: Problem("id-conflict", 409, "The id was sent with other bytes"),
    errors.QueueFullError: Problem("queue-full", 429, "Too many entries are waiting"),
    errors.WrongKindError: Problem("wrong-kind", 409, "The log does not take such entries"),
    errors.DiskReserveError: Problem("disk-reserve", 507, "Too little space is free on the disk"),
    errors.DiskFullError: Problem("disk-full", 507, "The disk is full"),
    errors.ReadOnlyError: Problem("read-only", 503, "The log is read-only"),
    errors.StartingError: Problem("starting", 503, "The log is still starting"),
    errors.StoppingError: Problem("stopping", 503, "The server is shutting down"),
    errors.OutcomeUnknownError: Problem(
        "outcome-unknown", 503, "Nobody knows yet whether the entries stand"
    ),
    errors.NoPolicyError: Problem("no-policy", 409, "The log has no witnesses to wait for"),
    errors.NotPublishedError: Problem("not-published", 404, "Beyond the published size"),
    errors.NotFoundError: _NOT_FOUND,
    errors.NoReceiptError: Problem("no-receipt", 409, "There is no such receipt at this size"),
    errors.UnreadableError: Problem("unreadable", 503, "The log cannot be read"),
    errors.OutOfRangeError: Problem("out-of-range", 400, "These numbers cannot go together"),
    errors.StoreError: _STORAGE,
    errors.HeadConflictError: _STORAGE,
    errors.FatalLogError: _STORAGE,
    errors.UnknownIdsError: _STORAGE,
    errors.DataDirectoryError: _STORAGE,
    errors.ControlDatabaseError: _STORAGE,
    errors.LockHeldError: _STORAGE,
    errors.UsageError: _REFUSED,
    errors.TlsFileError: _REFUSED,
    errors.AlreadyExistsError: Problem("already-exists", 409, "It is taken, or there already"),
    api_errors.RequestError: INTERNAL,
    api_errors.MalformedRequestError: Problem("malformed", 400, "The request is malformed"),
    api_errors.UnauthorisedError: Problem("unauthorised", 401, "A valid token is needed"),
    api_errors.ForbiddenError: Problem("forbidden", 403, "The token lacks the scope"),
    api_errors.NoSuchResourceError: _NOT_FOUND,
    api_errors.MethodNotAllowedError: Problem(
        "method-not-allowed", 405, "The resource does not take that method"
    ),
    api_errors.NotAcceptableError: Problem(
        "not-acceptable", 406, "No representation is acceptable"
    ),
    api_errors.UnsupportedMediaTypeError: Problem(
        "unsupported-media-type", 415, "The body's type or coding is not taken"
    ),
    api_errors.BodyTooLargeError: Problem("body-too-large", 413, "The body is too large"),
    api_errors.BodyTimeoutError: Problem("body-timeout", 408, "The body came too slowly"),
    api_errors.ExpectationError: Problem(
        "expectation-failed", 417, "Only 100-continue can be expected"
    ),
    api_errors.TransferCodingError: Problem(
        "transfer-coding", 501, "Only the transfer coding chunked is taken"
    ),
    api_errors.NotReadyError: Problem("not-ready", 503, "The server is not ready"),
    api_errors.OverloadedError: Problem("overloaded", 503, "Too many answers are under way"),
}


def problem_of(error: BaseException) -> Problem:
    """The kind of problem that an error is: the row of its nearest class, else INTERNAL."""
    for kind in type(error).__mro__:
        if issubclass(kind, TlogError) and kind in PROBLEMS:
            return PROBLEMS[kind]
    return INTERNAL


class ProblemResponse(web.Response):
    """An error as `application/problem+json`; `problem` is its kind."""

    def __init__(self, problem: Problem, members: dict[str, object]) -> None:
        super().__init__(
            status=problem.status,
            body=msgspec.json.encode(members),
            headers=headers_of(PROBLEM_JSON, NO_STORE),
        )
        self.problem = problem


def problem_response(
    error: BaseException, request_id: str, extra: dict[str, object] | None = None
) -> ProblemResponse:
    """Format an error.

    Args:
        error: anything raised; what is not in the table says nothing but its request id.
        request_id: under which the server's log says more.
        extra: further members of the problem object.
    """
    problem = problem_of(error)
    members: dict[str, object] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
    }
    if problem.detail:
        members["detail"] = str(error)
    members["request_id"] = request_id
    response = ProblemResponse(problem, members | (extra or {}))
    _add_headers(response, error)
    return response


def _add_headers(response: web.Response, error: BaseException) -> None:
    match error:
        case api_errors.UnauthorisedError():
            response.headers["WWW-Authenticate"] = "Bearer"
        case api_errors.MethodNotAllowedError(allowed=allowed):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        case errors.QueueFullError(retry_after_s=seconds):
            response.headers["Retry-After"] = str(seconds)
        case (
            errors.StartingError()
            | errors.StoppingError()
            | api_errors.NotReadyError()
            | api_errors.OverloadedError()
        ):
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        case (
            api_errors.BodyTooLargeError()
            | api_errors.BodyTimeoutError()
            | api_errors.TransferCodingError()
        ):
            # What is left of the body is not worth reading: the connection ends here.
            response.force_close()
        case _:
            pass
