"""Whether the process lives, and whether it takes appends."""

from __future__ import annotations

from aiohttp import web

from tlog.api.errors import NotReadyError
from tlog.api.parameters import query
from tlog.api.problems import problem_response
from tlog.api.requests import Request, backend_of
from tlog.api.responses import json_response

# No witness cosigns: what keeps this server from two histories is its own head store.
FORK_PROTECTION = "local"


async def healthz(request: Request) -> web.StreamResponse:
    """The process answers."""
    query(request)
    return json_response({"alive": True})


async def readyz(request: Request) -> web.StreamResponse:
    """200 when appends are taken by every log; the logs' states for callers with a token."""
    query(request)
    backend, caller = backend_of(request), request.caller
    members: dict[str, object] = {}
    if caller.local or caller.token is not None:
        seen = [await log.read_facts() for log in backend.logs.values() if caller.sees(log)]
        members["logs"] = [
            {"name": facts.name, "state": facts.state, "reason": facts.reason} for facts in seen
        ]
        members["fork_protection"] = FORK_PROTECTION
    if await backend.is_accepting():
        return json_response({"ready": True} | members)
    error = NotReadyError("start-up, shut-down or a read-only log: not every log takes appends")
    return problem_response(error, request.request_id, members)
