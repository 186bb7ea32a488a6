"""Which route a path and a method have: a tree of path segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tlog.api.errors import MethodNotAllowedError, NoSuchResourceError
from tlog.api.routes import Route

REST = ":rest"  # in a template: the last segment takes all that is left of the path


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    value: tuple[str, _Node] | None = None  # a segment with any value, and the value's name
    rest: tuple[str, dict[str, Route]] | None = None
    methods: dict[str, Route] = field(default_factory=dict)


class Router:
    """Finds routes; a GET route answers HEAD too."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Two routes of one path and method, or two names for one segment, are a bug."""
        self._root = _Node()
        for route in routes:
            methods = self._methods_of(route.path)
            for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
                if methods.setdefault(method, route) is not route:
                    message = f"two routes for {method} {route.path}"
                    raise AssertionError(message)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """The route of a path as it was sent, and the values of the template's names.

        Raises:
            NoSuchResourceError: the path has no route. MethodNotAllowedError: not for the method.
        """
        methods, values = self._look_up(path)
        route = methods.get(method)
        if route is not None:
            return route, values
        if not methods:
            message = "there is no such resource"
            raise NoSuchResourceError(message)
        allowed = sorted(methods)
        message = f"this resource takes {', '.join(allowed)}"
        raise MethodNotAllowedError(message, allowed)

    def _look_up(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        """What a path takes, nothing when it has no route."""
        values: dict[str, str] = {}
        # Every path has one spelling: an escaped one is another path, which has no route.
        if not path.startswith("/") or "%" in path:
            return {}, values
        node = self._root
        segments = path.split("/")
        for number in range(1, len(segments)):
            segment = segments[number]
            if node.rest is not None:
                name, methods = node.rest
                values[name] = "/".join(segments[number:])
                return (methods, values) if values[name] else ({}, values)
            following = node.literals.get(segment)
            if following is None:
                if node.value is None or not segment:
                    return {}, values
                name, following = node.value
                values[name] = segment
            node = following
        return node.methods, values

    def _methods_of(self, template: str) -> dict[str, Route]:
        """The table of a template's methods, made with the nodes that lead to it."""
        node = self._root
        for segment in template.split("/")[1:]:
            name = segment.strip("{}")
            if name == segment:
                node = node.literals.setdefault(segment, _Node())
                continue
            if name.endswith(REST):
                node.rest = node.rest or (name.removesuffix(REST), {})
                return node.rest[1]
            node.value = node.value or (name, _Node())
            if node.value[0] != name:
                message = f"a segment is called {node.value[0]} and {name}"
                raise AssertionError(message)
            node = node.value[1]
        return node.methods
