"""Every route of the server, with its access rule: the router is built from this table alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from tlog.api import admin, append, health, metrics, openapi, proofs, read
from tlog.api.access import Access
from tlog.api.requests import Request

Handler = Callable[[Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row: a GET also answers HEAD.

    In the path `{name}` is a log's name, and `{path:rest}` takes all that is left.
    """

    method: str
    path: str
    handler: Handler
    access: Access


_LOG = "/logs/{name}"
_ADMIN_LOG = "/admin/logs/{name}"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", health.healthz, Access.ANYBODY),
    Route("GET", "/readyz", health.readyz, Access.ANYBODY),
    Route("GET", "/openapi.json", openapi.openapi, Access.ANYBODY),
    Route("GET", "/logs", read.logs, Access.LISTING),
    Route("GET", f"{_LOG}/checkpoint", read.checkpoint, Access.READ),
    Route("GET", f"{_LOG}/checkpoints", read.checkpoint_by_time, Access.READ),
    Route("GET", f"{_LOG}/checkpoints/{{size}}", read.checkpoint_at, Access.READ),
    Route("GET", f"{_LOG}/tile/{{path:rest}}", read.tile, Access.READ),
    Route("GET", f"{_LOG}/entries/{{index}}", read.entry, Access.READ),
    Route("GET", f"{_LOG}/proof/inclusion/{{index}}", proofs.inclusion_published, Access.READ),
    Route("GET", f"{_LOG}/proof/inclusion/{{index}}/{{size}}", proofs.inclusion, Access.READ),
    Route("GET", f"{_LOG}/proof/consistency/{{old}}/{{new}}", proofs.consistency, Access.READ),
    Route("GET", f"{_LOG}/leaf-hash/{{hex}}", proofs.leaf, Access.READ),
    Route("POST", f"{_LOG}/add", append.add, Access.APPEND),
    Route("POST", f"{_LOG}/entries", append.entries, Access.APPEND),
    Route("GET", "/metrics", metrics.metrics, Access.LOCAL),
    Route("GET", "/admin/logs", admin.list_logs, Access.LOCAL),
    Route("POST", "/admin/logs", admin.create_log, Access.LOCAL),
    Route("GET", _ADMIN_LOG, admin.show_log, Access.LOCAL),
    Route("POST", f"{_ADMIN_LOG}/confirm-clock", admin.confirm_clock, Access.LOCAL),
    Route("GET", "/admin/tokens", admin.list_tokens, Access.LOCAL),
    Route("POST", "/admin/tokens", admin.create_token, Access.LOCAL),
    Route("DELETE", "/admin/tokens/{id}", admin.revoke_token, Access.LOCAL),
)

# Nothing administrative on TCP; on the socket no appends, which are a token holder's.
PUBLIC_ROUTES = tuple(route for route in ROUTES if route.access is not Access.LOCAL)
LOCAL_ROUTES = tuple(route for route in ROUTES if route.access is not Access.APPEND)
