"""Answers that tests provoke, compared with spec/openapi.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import jsonschema
from aiohttp import web

from tests.make_openapi import PACKAGED
from tlog.api.app import App
from tlog.api.requests import Request
from tlog.api.routes import Route
from tlog.api.small_response import SmallResponse

PROBLEM_JSON = "application/problem+json"
JSON_TYPES = ("application/json", PROBLEM_JSON)
Json = dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """One answer of an application."""

    route: str  # the template, or `none`
    method: str
    status: int
    media_type: str
    body: bytes


@cache
def document() -> Json:
    """The document that the server gives."""
    return cast("Json", json.loads(PACKAGED.read_text(encoding="utf-8")))


def operation_of(route: Route) -> tuple[str, str]:
    """Path and method of a route, as the document spells them."""
    return route.path.replace(":rest", ""), route.method.lower()


def record(app: App) -> list[Answered]:
    """Note every answer that an application gives from now on; before it is served."""
    answers: list[Answered] = []
    answer = app._answer

    async def recording(made: web.BaseRequest) -> web.StreamResponse:
        response = await answer(made)
        request = cast("Request", made)
        body = response.body if isinstance(response, web.Response | SmallResponse) else None
        media_type = (
            response.kind["Content-Type"]
            if isinstance(response, SmallResponse)
            else response.content_type
        ).partition(";")[0]
        answers.append(
            Answered(
                request.template,
                request.method,
                response.status,
                media_type,
                # Others are not looked at, and not held: tests count what the server holds.
                body if isinstance(body, bytes) and media_type in JSON_TYPES else b"",
            )
        )
        return response

    app._answer = recording  # type: ignore[method-assign] # the hook
    return answers


def check(answer: Answered) -> None:
    """AssertionError unless the document has this answer of this route, and its body fits."""
    if answer.route == "none":
        response = document()["components"]["responses"].get(f"Problem{answer.status}")
    else:
        method = answer.method.lower().replace("head", "get")
        operation = document()["paths"][answer.route.replace(":rest", "")][method]
        response = operation["responses"].get(str(answer.status))
    said = (answer.route, answer.method, answer.status, answer.media_type)
    assert response is not None, f"{said}: the status is not documented"
    response = _resolved(response)
    content = response["content"].get(answer.media_type)
    assert content is not None, f"{said}: the media type is not documented"
    if answer.media_type in JSON_TYPES and answer.route != "/openapi.json":
        schema = content["schema"] | {"components": document()["components"]}
        validator = jsonschema.Draft202012Validator(schema)
        errors = [error.message for error in validator.iter_errors(json.loads(answer.body))]
        assert not errors, f"{said}: {errors} in {answer.body!r}"


def _resolved(value: Json) -> Json:
    while "$ref" in value:
        found: Any = document()
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value
