"""Requests that are wrong are refused with a reason; none of them is the server's fault, and none stops it."""

import http.client
import json

import pytest
from client import content_digest, problem, sha256
from operations import OPERATIONS, World, ask

pytestmark = pytest.mark.http

JSON = {"Content-Type": "application/json"}
UNKNOWN = "999999999"
BAD_IDS = ["0", "-1", "01", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "abc", "99999999999999999999", "%00", "1%00",
           "%ff", "9223372036854775807", "9223372036854775808", UNKNOWN, "é", "'; DROP TABLE users; --"]
DEEP = "[" * 20_000 + "]" * 20_000
RAW_BODIES = {
    "empty": b"",
    "not JSON": b"hello",
    "cut off": b'{"a": ',
    "followed by more": b"{} {}",
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "NaN": b'{"size": NaN}',
    "a comment": b'{"a": 1 /* one */}',
    "an array": b"[]",
    "a string": b'"text"',
    "a number": b"1",
    "null": b"null",
    "deep": DEEP.encode(),
    "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "a huge number": b'{"size": 1' + b"0" * 5000 + b"}",
    "a huge exponent": b'{"size": 1e999999}',
    "an unknown field": b'{"surely_no_field_of_this": 1}',
    "too long": b'{"name": "' + b"x" * (2 << 20) + b'"}',
}
WRONG_VALUES = [None, True, -1, 0, 1.5, 1 << 70, "", "x" * 100_000, "\x00", "a\x00b", "..", "\u202e", [], {}, [[]],
                [None], {"a": 1},
                "99999999999999999999", "2026-02-30T00:00:00Z", "z" * 64]
WITHOUT_BODY = ("POST /auth/logout", "POST /admin/sweeps/{name}", "POST /files/{id}/versions/{version}/restore",
                "POST /admin/nodes/{id}/drain", "POST /admin/nodes/{id}/keep", "POST /admin/collection/allow",
                "POST /tus", "POST /request/{token}/files")
TAKES_JSON = [operation for operation in OPERATIONS
              if operation.split()[0] in ("POST", "PATCH") and "upload" not in operation.split("/")[-1]
              and "batch" not in operation and operation not in WITHOUT_BODY]


@pytest.fixture(autouse=True)
def alive(shared_vault):
    """After each test the server answers, and did not call anything its own error."""
    start = len(shared_vault.log_text())
    yield
    shared_vault.client().get("/health/ready")
    assert shared_vault.process.poll() is None
    lines = [line for line in shared_vault.log_text()[start:].splitlines() if '"status":5' in line]
    assert not lines


@pytest.fixture
def world(shared_vault, request):
    operation = getattr(request, "param", None) or request.node.callspec.params.get("operation", "")
    return World(shared_vault, "admin" if " /admin/" in operation else "user")


def refused(answer, what):
    assert 400 <= answer.status_code < 500, f"{what!r:.200} was answered with {answer.status_code}: {answer.text[:300]}"
    problem(answer)


def required(world, operation):
    document = world.owner.get("/openapi.json").json()
    method, path = operation.split()
    content = document["paths"][path][method.lower()]["requestBody"]["content"]
    return document["components"]["schemas"][content["application/json"]["schema"]["$ref"].split("/")[-1]]["required"]


@pytest.mark.parametrize("operation", TAKES_JSON)
def test_a_body_that_is_not_the_json_wanted(world, operation):
    asked = ask(world, operation)
    for name, body in RAW_BODIES.items():
        refused(world.owner.call(asked.method, asked.path, data=body, headers=JSON), name)


@pytest.mark.parametrize("operation", TAKES_JSON)
def test_another_content_type(world, operation):
    asked = ask(world, operation)
    body = json.dumps(asked.options["json"])
    for media in ("application/xml", "multipart/form-data", "application/octet-stream", "image/png"):
        refused(world.owner.call(asked.method, asked.path, data=body, headers={"Content-Type": media}), media)


@pytest.mark.parametrize("operation", TAKES_JSON)
def test_each_field_missing_wrong_or_unknown(world, operation):
    """A wrong value may be a right one for some field; then the call does what it says. It never breaks the server."""
    asked = ask(world, operation)
    good = asked.options["json"]
    refused(world.owner.call(asked.method, asked.path, json={**good, "surely_no_field_of_this": 1}), "unknown field")
    for field in required(world, operation):
        refused(world.owner.call(asked.method, asked.path, json={key: good[key] for key in good if key != field}),
                field)
    for field in good:
        for wrong in WRONG_VALUES:
            answer = world.owner.call(asked.method, asked.path, json={**good, field: wrong})
            assert answer.status_code < 500, f"{field}: {wrong!r:.100} was answered with {answer.text[:300]}"
            if not answer.ok:
                problem(answer)
        for wrong in ({}, [], {"a": 1}, [None], 1.5):
            refused(world.owner.call(asked.method, asked.path, json={**good, field: wrong}), (field, wrong))


@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if "{id}" in operation])
def test_ids_that_are_none(world, operation):
    asked = ask(world, operation)
    method, path = operation.split()
    for bad in BAD_IDS:
        target = path.format(id=bad, version=1, index=0, token=asked.path.split("/")[2])
        refused(world.owner.call(method, target, **asked.options), bad)


@pytest.mark.parametrize("target", ["/files/..", "/files/%2e%2e", "/files/../me", "/files/./1", "/files/1/..",
                                    "/files//1", "//files",
                                    "/uploads/..%2f1", "/shares/%2e", "/s/..", "/share/../me",
                                    "/files/%2fetc%2fpasswd"])
def test_steps_in_the_address_lead_nowhere(shared_vault, target):
    """Straight to the socket: the usual client resolves such an address before it sends it."""
    connection = http.client.HTTPConnection("127.0.0.1", shared_vault.port, timeout=30)
    connection.request("GET", target, headers={"Authorization": f"Bearer {World(shared_vault).owner.token}"})
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["status"]) in ((404, 404), (400, 400))
    connection.close()


@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS
                                       if "{version}" in operation or "{index}" in operation or "{name}" in operation])
def test_numbers_in_the_address_that_are_none(world, operation):
    asked = ask(world, operation)
    method, path = operation.split()
    good_id = asked.path.split("/")[2]
    for bad in (bad for bad in BAD_IDS if "{index}" not in operation or bad != "0"):
        target = path.format(id=good_id, version=bad, index=bad, name=bad)
        refused(world.owner.call(method, target, **asked.options), bad)


@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS
                                       if "{token}" in operation and not operation.startswith("OPTIONS")])
def test_links_that_are_none(world, operation):
    method, path = operation.split()
    for bad in (*BAD_IDS, "A" * 22, "A" * 5000):
        answer = world.owner.call(method, path.format(token=bad, id=1),
                                  json={"password": "x"} if method == "POST" else None)
        if path in ("/s/{token}", "/r/{token}") and answer.headers["Content-Type"].startswith("text/html"):
            assert answer.status_code == 404  # the page says what is wrong with the link
            continue
        refused(answer, bad)


LISTS = ["/files", "/trash", "/auth/sessions", "/shares", "/requests", "/admin/users"]


@pytest.mark.parametrize("path", LISTS)
def test_pages_that_are_none(shared_vault, path):
    client = shared_vault.admin()
    for bad in ("0", "-1", "1001", "x", "", "1.5", "99999999999999999999", "1%00"):
        refused(client.call("GET", f"{path}?limit={bad}"), bad)
    if path == "/admin/users":
        return  # its cursor is a name, and every text may come before some name
    for bad in ("", "x", "!!!", "bmFp", "A" * 5000, "%00", "%ff", "bmFpMSwxLABi", "-1", "0"):
        refused(client.call("GET", f"{path}?cursor={bad}"), bad)


def test_a_cursor_of_another_order(shared_vault):
    owner = World(shared_vault).owner
    for name in "abc":
        owner.upload_multipart(name, b"x")
    cursor = owner.get("/files", params={"limit": 1}).json()["next_cursor"]
    refused(owner.call("GET", f"/files?limit=1&sort=size&cursor={cursor}"), cursor)
    refused(owner.call("GET", "/files?sort=colour"), "sort")
    refused(owner.call("GET", "/files?q=a&sort=size"), "q and sort")


@pytest.mark.parametrize("query", ["folder_id=..", "folder_id=0", "folder_id=99999999999999999999",
                                   "folder_id=" + UNKNOWN, "folder_id="])
def test_folders_in_the_query_that_are_none(shared_vault, query):
    refused(World(shared_vault).owner.call("GET", f"/files?{query}"), query)


FORMS = {
    "no boundary": ({"Content-Type": "multipart/form-data"}, b"x"),
    "an empty body": ({"Content-Type": "multipart/form-data; boundary=b"}, b""),
    "no end": ({"Content-Type": "multipart/form-data; boundary=b"},
               b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbytes'),
    "no part": ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b--\r\n"),
    "no disposition": ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\n\r\nx\r\n--b--\r\n"),
    "no file name": ({"Content-Type": "multipart/form-data; boundary=b"},
                     b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n'),
    "an unknown field": ({"Content-Type": "multipart/form-data; boundary=b"},
                         b'--b\r\nContent-Disposition: form-data; name="size"\r\n\r\nx\r\n--b--\r\n'),
    "endless headers": ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\n" + b"X: y\r\n" * 20_000),
    "a boundary too long": ({"Content-Type": "multipart/form-data; boundary=" + "b" * 500}, b"--b\r\n"),
    "JSON": (JSON, b"{}"),
    "nothing said": ({}, b"bytes"),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_that_are_none(shared_vault, name):
    headers, body = FORMS[name]
    owner = World(shared_vault).owner
    refused(owner.call("POST", "/files/upload", data=body, headers=headers), name)
    assert owner.list() == []


@pytest.mark.parametrize("field, value", [("folder_id", "0"), ("folder_id", "x"), ("folder_id", UNKNOWN),
                                          ("folder_id", "1" * 5000),
                                          ("modified_at", "yesterday"), ("modified_at", ""),
                                          ("on_conflict", "overwrite")])
def test_fields_of_the_form_that_are_wrong(shared_vault, field, value):
    owner = World(shared_vault).owner
    refused(owner.call("POST", "/files/upload", files={"file": ("a", b"x")}, data={field: value}), value)
    assert owner.list() == []


def one_file(**changes):
    return {"path": "a", "size": 1, "hash": sha256(b"x"), **changes}


BATCHES = {
    "empty": b"",
    "no line feed": b'{"files": []}',
    "no JSON": b"hello\n",
    "no files": b'{"files": []}\n',
    "deep": DEEP.encode() + b"\n",
    "an unknown field": json.dumps({"files": [one_file()], "more": 1}).encode() + b"\nx",
    "an unknown field of a file": json.dumps({"files": [one_file(more=1)]}).encode() + b"\nx",
    "a negative size": json.dumps({"files": [one_file(size=-1)]}).encode() + b"\nx",
    "a huge size": json.dumps({"files": [one_file(size=1 << 62)]}).encode() + b"\nx",
    "sizes that overflow": json.dumps({"files": [one_file(size=32 << 20)] * 1000}).encode() + b"\nx",
    "a short hash": json.dumps({"files": [one_file(hash="ab")]}).encode() + b"\nx",
    "a bad time": json.dumps({"files": [one_file(modified_at="now")]}).encode() + b"\nx",
    "too many": json.dumps({"files": [one_file()] * 1001}).encode() + b"\n" + b"x" * 1001,
    "too few bytes": json.dumps({"files": [one_file()]}).encode() + b"\n",
    "too many bytes": json.dumps({"files": [one_file()]}).encode() + b"\nxy",
    "a header too long": b'{"files": "' + b"x" * (3 << 20),
    "an unknown folder": json.dumps({"folder_id": "0", "files": [one_file()]}).encode() + b"\nx",
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches_that_are_none(shared_vault, name):
    owner = World(shared_vault).owner
    refused(owner.call("POST", "/files/batch", data=BATCHES[name],
                       headers={"Content-Type": "application/octet-stream"}), name)
    assert owner.list() == []


@pytest.mark.parametrize("digest", ["", "sha-256", "sha-256=", "sha-256=::", "sha-256=:AAAA:",
                                    "sha-256=:" + "!" * 44 + ":",
                                    "md5=:AAAA:", "sha-256=" + sha256(b"content"), content_digest(b"other")])
def test_digests_that_are_wrong(shared_vault, digest):
    world = World(shared_vault)
    answer = world.owner.call("PUT", f"/uploads/{world.upload().id}/chunks/0", data=b"content",
                              headers={"Content-Digest": digest})
    refused(answer, digest)


def test_a_field_of_a_form_that_is_there_twice(shared_vault):
    owner = World(shared_vault).owner
    fields = [("on_conflict", (None, "fail")), ("on_conflict", (None, "version")), ("file", ("a", b"x"))]
    answer = owner.call("POST", "/files/upload", files=fields)
    assert answer.status_code == 422 and "on_conflict" in problem(answer)["detail"]
    assert owner.list() == []


@pytest.mark.parametrize("data", [b"", b"short", b"longer than the file"])
def test_chunks_of_a_wrong_length(shared_vault, data):
    world = World(shared_vault)
    refused(world.upload(b"content").put(0, data, expect=None), data)


@pytest.mark.parametrize("index", [1, 2, 1 << 40, (1 << 63) - 1])
def test_chunks_beyond_the_end(shared_vault, index):
    world = World(shared_vault)
    refused(world.upload(b"content").put(index, b"content", expect=None), index)


@pytest.mark.parametrize("chunk", [{"index": 5, "length": 7, "hash": sha256(b"")},
                                   {"index": 0, "length": 8, "hash": sha256(b"")},
                                   {"index": 0, "length": 0, "hash": sha256(b"")},
                                   {"index": 0, "length": 7, "hash": "00"},
                                   {"index": -1, "length": 7, "hash": sha256(b"")}, {"index": 0, "length": 7}, 5, None,
                                   []])
def test_declared_chunks_that_cannot_be(shared_vault, chunk):
    world = World(shared_vault)
    answer = world.owner.call("POST", f"/uploads/{world.upload(b'content').id}/have", json={"chunks": [chunk]})
    refused(answer, chunk)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer ...", "Bearer cvt_",
                                    "Bearer cvu_",
                                    "Bearer cvr_x", "Bearer " + "x" * 6000, "Bearer \xff\xfe", "bearer  x",
                                    "Bearer eyJhbGciOiJub25lIn0.e30."])
def test_authorizations_that_are_none(shared_vault, header):
    for path in ("/me", "/uploads/1"):
        answer = shared_vault.client().call("GET", path, headers={"Authorization": header.encode("latin-1")})
        refused(answer, header)
        assert answer.status_code in (401, 404, 431)
