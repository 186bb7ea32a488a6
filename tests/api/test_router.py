"""The tree of routes: every path has one spelling, and what has no route says what it takes."""

from __future__ import annotations

import pytest

from tlog.api.access import Access
from tlog.api.errors import MethodNotAllowedError, NoSuchResourceError
from tlog.api.health import healthz
from tlog.api.router import Router
from tlog.api.routes import Route


def _route(method: str, path: str) -> Route:
    return Route(method, path, healthz, Access.ANYBODY)


ROUTER = Router(
    _route(method, path)
    for method, path in (
        ("GET", "/logs"),
        ("POST", "/logs"),
        ("GET", "/logs/{name}"),
        ("GET", "/logs/{name}/proof/{index}"),
        ("GET", "/logs/{name}/proof/{index}/{size}"),
        ("POST", "/logs/{name}/add"),
        ("GET", "/logs/{name}/tile/{path:rest}"),
    )
)


@pytest.mark.parametrize(
    ("method", "path", "template", "values"),
    [
        ("GET", "/logs", "/logs", {}),
        ("HEAD", "/logs", "/logs", {}),
        ("POST", "/logs", "/logs", {}),
        ("GET", "/logs/a", "/logs/{name}", {"name": "a"}),
        ("POST", "/logs/add/add", "/logs/{name}/add", {"name": "add"}),
        ("GET", "/logs/a/proof/1", "/logs/{name}/proof/{index}", {"name": "a", "index": "1"}),
        (
            "HEAD",
            "/logs/a/proof/1/2",
            "/logs/{name}/proof/{index}/{size}",
            {"name": "a", "index": "1", "size": "2"},
        ),
        (
            "GET",
            "/logs/a/tile/0/x001/000.p/5",
            "/logs/{name}/tile/{path:rest}",
            {"name": "a", "path": "0/x001/000.p/5"},
        ),
        ("GET", "/logs/a/tile//", "/logs/{name}/tile/{path:rest}", {"name": "a", "path": "/"}),
    ],
)
def test_a_path_finds_its_route_and_values(
    method: str, path: str, template: str, values: dict[str, str]
) -> None:
    """Literals, values and the rest."""
    route, found = ROUTER.find(method, path)
    assert (route.path, dict(found)) == (template, values)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "logs",
        "/",
        "//logs",
        "/logs/",
        "/logs//add",
        "/logs/a/",
        "/logs/a/proof",
        "/logs/a/proof/",
        "/logs/a/proof/1/",
        "/logs/a/proof/1/2/3",
        "/logs/a/tile",
        "/logs/a/tile/",
        "/logs/a/t%69le/0/000",
        "/logs/a/tile/0%2f000",
        "/LOGS",
        "/logs/a/add/",
        "example.com:443",
    ],
)
def test_other_spellings_have_no_route(path: str) -> None:
    """Neither an empty segment nor an escape nor another case is the path that is meant."""
    for method in ("GET", "POST", "BREW"):
        with pytest.raises(NoSuchResourceError):
            ROUTER.find(method, path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/logs", ["GET", "HEAD", "POST"]),
        ("GET", "/logs/a/add", ["POST"]),
        ("POST", "/logs/a/tile/0/000", ["GET", "HEAD"]),
        ("get", "/logs/a", ["GET", "HEAD"]),
    ],
)
def test_another_method_is_told_what_is_taken(method: str, path: str, allowed: list[str]) -> None:
    """405 with the methods of the path, in order."""
    with pytest.raises(MethodNotAllowedError) as caught:
        ROUTER.find(method, path)
    assert list(caught.value.allowed) == allowed


@pytest.mark.parametrize(
    "paths", [("/logs/{name}", "/logs/{name}"), ("/logs/{name}", "/logs/{id}/x")]
)
def test_a_table_that_says_two_things_is_a_bug(paths: tuple[str, str]) -> None:
    """Two routes of one method and path, or two names of one segment."""
    with pytest.raises(AssertionError):
        Router(_route("GET", path) for path in paths)
