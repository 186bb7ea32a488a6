"""Reading RFC 9457 problem documents, without ever failing because of one."""

from __future__ import annotations

from tlog_clients.errors import Problem
from tlog_clients.printable import printable
from tlog_clients.strict_json import parse_json_object
from tlog_proofs import TlogError

MAX_PROBLEM_BYTES = 16 * 1024
PROBLEM_CONTENT_TYPE = "application/problem+json"
PROBLEM_TYPE_PREFIX = "urn:tlog:problem:"


def parse_problem(data: bytes) -> Problem | None:
    """Return the problem in an error's body, or None when the body is anything else.

    A refusal stays a refusal however badly it is explained: so no error is raised here. Fields
    that are absent or of another type become empty; what is shown is bounded and printable.

    Source: RFC 9457 section 3.1.
    """
    try:
        value = parse_json_object(data, "problem")
    except TlogError:
        return None
    return Problem(
        type=_shown(value.get("type")),
        title=_shown(value.get("title")),
        detail=_shown(value.get("detail")),
    )


def _shown(value: object) -> str:
    return printable(value) if isinstance(value, str) else ""
