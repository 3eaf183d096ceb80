"""Every answer is the one that /openapi.json describes, with no field that is not in it."""

import dataclasses

import jsonschema
import pytest
from client import problem
from operations import OPERATIONS, World, ask, described

pytestmark = [pytest.mark.openapi, pytest.mark.http]


@pytest.fixture
def document(shared_vault):
    return shared_vault.client().get("/openapi.json").json()


def validate(document, schema, value):
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def test_every_operation_has_a_request_in_the_table(shared_vault):
    assert described(shared_vault.client()).keys() == OPERATIONS.keys()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_answer_to_a_good_request_is_as_described(shared_vault, document, operation):
    world = World(shared_vault, "admin" if " /admin/" in operation else "user")
    check(document, operation, ask(world, operation).send(world.owner))


def check(document, operation, answer):
    """That it is one of the good answers that are described, and of the type that is named there."""
    method, path = operation.split()
    responses = document["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in responses, answer.text
    content = responses[str(answer.status_code)].get("content")
    if content is None:
        assert answer.content == b""
        return
    ((media, description),) = content.items()
    sent = answer.headers["Content-Type"].split(";")[0]
    assert media in (sent, "*/*")
    if sent == "application/json":
        validate(document, description["schema"], answer.json())
    else:
        assert answer.content


def again(operation, status, make=lambda answer: {}):
    return pytest.param(operation, status, make, id=f"{operation} {status}")


@pytest.mark.parametrize("operation, status, headers", [
    again("POST /folders", 200), again("POST /uploads", 200),
    again("GET /files", 304, lambda first: {"If-None-Match": first.headers["ETag"]}),
    again("GET /assets/{name}", 304, lambda first: {"If-None-Match": first.headers["ETag"]}),
    *[again(operation, status, make) for operation, asked in OPERATIONS.items()
      if operation.endswith(("/download", "/preview")) or operation == "GET /share/{token}"
      for status, make in ((206, lambda first: {"Range": "bytes=0-0"}),
                           (304, lambda first: {"If-None-Match": first.headers["ETag"]}))],
])
def test_the_other_good_answers_are_described_too(shared_vault, document, operation, status, headers):
    world = World(shared_vault)
    asked = ask(world, operation)
    first = asked.send(world.owner)
    options = {**asked.options, "headers": {**asked.options.get("headers", {}), **headers(first)}}
    answer = dataclasses.replace(asked, options=options).send(world.owner)
    assert answer.status_code == status, answer.text
    check(document, operation, answer)


def test_the_names_of_sweeps_are_those_that_can_be_run(shared_vault, document):
    """That each has an interval, and that the document names all of them, is tested beside the sweeps."""
    admin = shared_vault.admin()
    for name in document["components"]["schemas"]["SweepReport"]["properties"]["sweep"]["enum"]:
        assert admin.post(f"/admin/sweeps/{name}").json()["sweep"] == name
    admin.call("POST", "/admin/sweeps/none", expect=404)


@pytest.mark.parametrize("schema_name", ["Entry", "Committed", "Share", "User", "Upload", "Problem"])
def test_schemas_allow_no_undeclared_fields(document, schema_name):
    schema = document["components"]["schemas"][schema_name]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= schema["properties"].keys()


@pytest.mark.parametrize("method, path, body, status", [
    ("GET", "/nothing/here", None, 404),
    ("PUT", "/files", None, 405),
    ("GET", "/files", None, 401),
    ("POST", "/auth/login", {"username": "nobody", "password": "wrong one"}, 401),
    ("POST", "/auth/login", {"username": 5}, 422),
    ("GET", "/share/unknown", None, 404),
])
def test_error_answers_are_problems_as_described(shared_vault, document, method, path, body, status):
    answer = shared_vault.client().call(method, path, json=body, expect=status)
    validate(document, {"$ref": "#/components/schemas/Problem"}, problem(answer))


def test_a_bulk_call_describes_the_parts_that_failed(shared_vault, document):
    world = World(shared_vault)
    answer = world.owner.post("/files/trash", {"ids": ["999999", world.file()]})
    validate(document, {"$ref": "#/components/schemas/BulkResult"}, answer.json())
    assert [item["ok"] for item in answer.json()["items"]] == [False, True]
