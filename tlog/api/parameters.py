"""What stands in paths and queries: strict, and nothing that the route does not know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tlog.api.errors import MalformedRequestError
from tlog.api.requests import Request
from tlog.config import Config
from tlog_proofs import (
    HASH_SIZE,
    EntryBundle,
    MalformedError,
    Tile,
    parse_decimal,
    parse_tile_path,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_HEX_HASH = re.compile(rf"[0-9a-f]{{{2 * HASH_SIZE}}}", re.ASCII)


class Wait(StrEnum):
    """What an append may wait for."""

    PUBLISHED = "published"
    WITNESSED = "witnessed"


@dataclass(frozen=True, slots=True)
class WaitFor:
    """What an append waits for, and for at most how many seconds."""

    state: Wait
    timeout_s: float


def path_number(request: Request, name: str) -> int:
    """The index or size that stands in the path; MalformedRequestError if it is not one."""
    try:
        return parse_decimal(request.path_values[name])
    except MalformedError as error:
        message = f"{name} in the path: {error}"
        raise MalformedRequestError(message) from error


def path_hash(request: Request, name: str) -> bytes:
    """The hash in lower-case hex that stands in the path."""
    text = request.path_values[name]
    if not _HEX_HASH.fullmatch(text):
        message = f"{name} in the path: expected {2 * HASH_SIZE} characters of 0-9a-f"
        raise MalformedRequestError(message)
    return bytes.fromhex(text)


def path_tile(request: Request) -> Tile | EntryBundle:
    """The tile or entry bundle whose path below `tile/` stands in the path."""
    try:
        return parse_tile_path("tile/" + request.path_values["path"])
    except MalformedError as error:
        raise MalformedRequestError(str(error)) from error


def query(request: Request, *known: str) -> dict[str, str]:
    """The query parameters, each known and given once; MalformedRequestError otherwise."""
    parameters: dict[str, str] = {}
    if not request.rel_url.raw_query_string:
        return parameters
    for name, value in request.query.items():
        if name not in known:
            taken = ", ".join(known) or "none"
            message = f"unknown query parameter {name[:40]!r}: this route takes {taken}"
            raise MalformedRequestError(message)
        if name in parameters:
            message = f"query parameter {name} is given twice"
            raise MalformedRequestError(message)
        parameters[name] = value
    return parameters


def query_time(request: Request, name: str) -> int:
    """The time that is the only query parameter, in RFC 3339 with `Z`, as POSIX milliseconds.

    Of a fraction the milliseconds count. A leap second is refused: POSIX time has none.
    """
    text = query(request, name).get(name, "")
    found = _TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        moment = datetime.fromisoformat(found[1] + "+00:00")
    except ValueError:
        message = f"{name}: expected a time of UTC as 2026-01-31T23:59:59Z"
        raise MalformedRequestError(message) from None
    milliseconds = (found[2] or "").ljust(3, "0")[:3]
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int(milliseconds)


def wait_for(request: Request, config: Config) -> WaitFor | None:
    """The parameters `wait` and `timeout_s` of an append; None: answer as soon as it stands."""
    parameters = query(request, "wait", "timeout_s")
    if "wait" not in parameters:
        if parameters:
            message = "timeout_s makes sense only with wait"
            raise MalformedRequestError(message)
        return None
    if parameters["wait"] not in list(Wait):
        message = f"wait takes {' or '.join(Wait)}"
        raise MalformedRequestError(message)
    timeout_s = config.wait_default_s
    if "timeout_s" in parameters:
        try:
            timeout_s = parse_decimal(parameters["timeout_s"], maximum=config.wait_max_s)
        except MalformedError as error:
            message = f"timeout_s: {error}"
            raise MalformedRequestError(message) from error
        if timeout_s < 1:
            message = f"timeout_s takes 1 to {config.wait_max_s} seconds"
            raise MalformedRequestError(message)
    return WaitFor(Wait(parameters["wait"]), timeout_s)
