"""spec/openapi.yaml is a valid document, and that of the running routes, both ways."""

from __future__ import annotations

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.api.conftest import Api
from tests.api.documented import Answered, check, document, operation_of
from tests.make_openapi import PACKAGED, as_json
from tlog.api.access import Access
from tlog.api.problems import PROBLEMS
from tlog.api.routes import ROUTES

METHODS = {"get", "post", "put", "delete", "patch", "head", "options"}
OPERATIONS = {
    (path, method): operation
    for path, item in document()["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}


def test_the_packaged_document_is_the_specified_one() -> None:
    """tlog/api/openapi.json was made from spec/openapi.yaml as it is (`make openapi`)."""
    assert PACKAGED.read_text(encoding="utf-8") == as_json()


def test_the_document_is_openapi() -> None:
    """It fits the meta-schema of OpenAPI 3.1, and its references lead somewhere."""
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_every_route_is_an_operation_and_every_operation_is_routed() -> None:
    """Both ways; what is at the socket only is tagged so, and nothing else is."""
    assert OPERATIONS.keys() == {operation_of(route) for route in ROUTES}
    for route in ROUTES:
        operation = OPERATIONS[operation_of(route)]
        assert (operation["tags"] == ["operator"]) == (route.access is Access.LOCAL)


def test_every_path_parameter_is_described() -> None:
    """The names in a path are those of the operation's path parameters."""
    parameters = document()["components"]["parameters"]
    for (path, _), operation in OPERATIONS.items():
        named = [
            parameters[each["$ref"].split("/")[-1]] for each in operation.get("parameters", [])
        ]
        in_path = {each["name"] for each in named if each["in"] == "path"}
        assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_every_problem_type_stands_under_its_status() -> None:
    """The types of the table, no other, each under the status that it has."""
    documented = {
        (name, int(response.removeprefix("Problem")))
        for response, members in document()["components"]["responses"].items()
        for name in members["content"]["application/problem+json"]["schema"]["allOf"][1][
            "properties"
        ]["type"]["enum"]
    }
    assert documented == {(problem.type, problem.status) for problem in PROBLEMS.values()}


async def test_anybody_gets_the_document(api: Api) -> None:
    """As JSON, without a token."""
    async with api.http.get("/openapi.json") as response:
        assert response.status == 200
        assert await response.json() == document()


@pytest.mark.parametrize(
    "answer",
    [
        Answered("/healthz", "GET", 201, "application/json", b'{"alive":true}'),
        Answered("/healthz", "GET", 200, "text/plain", b"yes"),
        Answered("/healthz", "GET", 200, "application/json", b'{"alive":1}'),
        Answered("/healthz", "GET", 200, "application/json", b'{"alive":true,"more":1}'),
        Answered(
            "none",
            "GET",
            404,
            "application/problem+json",
            json.dumps(
                {"type": "urn:tlog:problem:new", "title": "", "status": 404, "request_id": ""}
            ).encode(),
        ),
    ],
    ids=["status", "media type", "value", "member", "problem type"],
)
def test_what_is_not_documented_is_found(answer: Answered) -> None:
    """The comparison that every test of the API ends with can fail."""
    with pytest.raises(AssertionError):
        check(answer)
