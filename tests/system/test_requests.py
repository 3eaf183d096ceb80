"""Upload requests: guests bring files into a folder, within its limits, and learn nothing of what is there."""

import contextlib
import threading

import pytest
from client import problem, sha256
from cluster import Cluster, open_folder
from operations import World
from tus import Tus, creation

pytestmark = pytest.mark.shares

CHUNK = 64 << 10
PASSWORDS = 3


@pytest.fixture(scope="module")
def small_chunks(module_vaults):
    module_vaults(CHUNK_SIZE="64K")


@pytest.fixture
def vault(small_chunks, shared_vault):
    return shared_vault


@pytest.fixture
def world(vault):
    return World(vault)


@pytest.fixture
def guest(vault):
    return vault.client()


def refused(answer, status, kind):
    assert (answer.status_code, problem(answer)["type"]) == (status, f"urn:chunkvault:error:{kind}"), answer.text
    return answer


def door(guest, request):
    return Tus(guest, f"/request/{request['request_token']}/files")


def info(guest, request, **headers):
    return guest.call("GET", f"/request/{request['request_token']}/info",
                      headers={name.replace("_", "-"): value for name, value in headers.items()})


def state(world, request):
    return world.owner.get(f"/requests/{request['request_id']}").json()


def in_folder(world, request):
    return {item["filename"]: item for item in world.owner.list(folder_id=request["folder_id"])}


def usage(world):
    me = world.owner.get("/me").json()
    return me["used"], me["reserved"]


# --- the owner's side ---


def test_a_request_says_what_it_is_and_takes_files(vault, world, guest, random_bytes):
    request = world.request(title="Photos of the feast", max_files=2, max_bytes=1 << 20, types=[".JPG", "video/*"])
    assert request["request_url"] == f"{vault.url}/r/{request['request_token']}"
    assert len(request["request_token"]) >= 22  # 128 bits
    assert request["types"] == [".jpg", "video/*"]
    told = info(guest, request).json()
    assert told == {"password_required": False, "owner": world.username, "title": "Photos of the feast",
                    "expires_at": None, "files_left": 2, "bytes_left": 1 << 20, "max_file_bytes": None,
                    "types": [".jpg", "video/*"], "chunk_size": CHUNK}
    data = random_bytes(3 * CHUNK + 1)
    upload = door(guest, request).create("a.jpg", len(data))
    upload.patch(0, data[:CHUNK + 5])
    now = state(world, request)
    assert (now["files"], now["files_uploading"], now["bytes_uploading"]) == (0, 1, len(data))
    upload.patch(CHUNK + 5, data[CHUNK + 5:])
    now = state(world, request)
    assert (now["files"], now["bytes"], now["files_uploading"], now["bytes_uploading"]) == (1, len(data), 0, 0)
    assert now["last_used_at"] is not None
    assert info(guest, request).json()["files_left"] == 1
    assert world.owner.content(in_folder(world, request)["a.jpg"]["id"]) == data
    assert usage(world) == (len(data), 0)


def test_requests_are_listed_changed_and_revoked(world, guest):
    folder = world.folder()
    requests = [world.owner.post(f"/files/{folder}/request", {}, expect=201).json() for _ in range(2)] + [
        world.request()]
    world.share()
    listed = world.owner.get("/requests").json()["items"]
    assert [item["request_id"] for item in listed] == [item["request_id"] for item in reversed(requests)]
    page = world.owner.get("/requests", params={"folder_id": folder, "limit": 1}).json()
    assert [item["request_id"] for item in page["items"]] == [requests[1]["request_id"]]
    page = world.owner.get("/requests", params={"folder_id": folder, "limit": 1, "cursor": page["next_cursor"]}).json()
    assert [item["request_id"] for item in page["items"]] == [requests[0]["request_id"]]

    path = f"/requests/{requests[0]['request_id']}"
    changed = world.owner.patch(path, {"title": "t", "max_files": 3, "max_bytes": 5, "max_file_bytes": 4,
                                       "types": [".txt"], "password": "sesame", "expires_in_hours": 1}).json()
    assert [changed[key] for key in ("title", "max_files", "max_bytes", "max_file_bytes", "types",
                                     "password_required")] == ["t", 3, 5, 4, [".txt"], True]
    assert changed["expires_at"] is not None
    changed = world.owner.patch(path, {"title": None, "max_files": None, "max_bytes": None, "max_file_bytes": None,
                                       "types": None, "password": None, "expires_in_hours": None}).json()
    assert {**changed, "last_used_at": None} == requests[0]
    world.owner.delete(path, expect=204)
    refused(world.owner.call("GET", path), 404, "not_found")
    assert len(world.owner.get("/requests").json()["items"]) == 2


def test_shares_and_requests_do_not_open_each_other(world, guest):
    request, share = world.request(), world.share()
    refused(guest.call("GET", f"/share/{request['request_token']}"), 404, "not_found")
    refused(guest.call("GET", f"/share/{request['request_token']}/files"), 404, "not_found")
    refused(guest.call("GET", f"/request/{share['share_token']}/info"), 404, "not_found")
    refused(world.owner.call("GET", f"/shares/{request['request_id']}"), 404, "not_found")
    refused(world.owner.call("DELETE", f"/requests/{share['share_id']}"), 404, "not_found")
    assert [item["share_id"] for item in world.owner.get("/shares").json()["items"]] == [share["share_id"]]


@pytest.mark.parametrize("options", [
    {"max_bytes": 0}, {"max_files": -1}, {"max_file_bytes": 1 << 70}, {"types": "x"}, {"types": ["exe"]},
    {"types": ["a/b/c"]}, {"types": ["."]}, {"types": ["*/*"]}, {"types": [".a,.b"]}, {"types": [".x"] * 51},
    {"title": "x" * 501}, {"title": "a\nb"}, {"password": ""}, {"expires_in_hours": 0}, {"max_downloads": 1},
])
def test_limits_that_cannot_be_are_refused(world, options):
    folder, request = world.folder(), world.request()
    refused(world.owner.call("POST", f"/files/{folder}/request", json=options), 422, "invalid_value")
    refused(world.owner.call("PATCH", f"/requests/{request['request_id']}", json=options), 422, "invalid_value")


def test_files_are_asked_for_into_a_folder_that_is_there(world):
    trashed = world.folder()
    world.owner.delete(f"/files/{trashed}")
    for folder in (world.file(), trashed, "999999999"):
        refused(world.owner.call("POST", f"/files/{folder}/request", json={}), 404, "not_found")


# --- what guests must not do ---


def test_nothing_is_overwritten_and_nothing_is_told_of_what_was_there(world, guest):
    request = world.request()
    folder = request["folder_id"]
    ours = world.owner.upload_multipart("a.txt", b"ours", folder_id=folder)["file_id"]
    world.owner.upload_multipart("sub", b"a file in the way", folder_id=folder)
    uploads = [door(guest, request).create(path.split("/")[-1], 6, relativePath=path, on_conflict="version")
               for path in ("a.txt", "b.txt", "sub/c.txt", "sub/d.txt", "new/e.txt")]
    answers = [upload.patch(0, b"theirs") for upload in uploads]
    assert len({str(sorted(answer.headers)) for answer in answers}) == 1
    receipts = [upload.receipt() for upload in uploads]
    assert [receipt["filename"] for receipt in receipts] == ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"]
    assert len({str({**receipt, "filename": ""}) for receipt in receipts}) == 1
    assert world.owner.content(ours) == b"ours"
    assert set(in_folder(world, request)) == {"a.txt", "a (2).txt", "b.txt", "sub", "sub (2)", "new"}
    sub = in_folder(world, request)["sub (2)"]["id"]
    assert [item["filename"] for item in world.owner.list(folder_id=sub)] == ["c.txt", "d.txt"]


@pytest.mark.parametrize("path", ["../a", "a/../../b", "./a", "a//b/c", "a/\0/b", "a/../b"])
def test_no_path_leads_out_of_the_folder(world, guest, path):
    request = world.request()
    answer = door(guest, request).create("f", 1, b"x", expect=None, relativePath=path)
    refused(answer, 422, "invalid_value")
    assert in_folder(world, request) == {}


def test_another_folder_cannot_be_named(world, guest):
    request, other = world.request(), world.folder()
    door(guest, request).create("f", 1, b"x", folder_id=other)
    assert list(in_folder(world, request)) == ["f"]
    assert world.owner.list(folder_id=other) == []


def test_the_link_opens_nothing_else(world, guest):
    request = world.request()
    token = request["request_token"]
    world.owner.upload_multipart("secret name", b"x", folder_id=request["folder_id"])
    upload = door(guest, request).create("f", 5)
    for method, path in (("GET", f"/request/{token}"), ("GET", f"/request/{token}/files"), ("GET", f"/share/{token}"),
                         ("HEAD", f"/request/{token}/files"), ("DELETE", f"/request/{token}/files")):
        assert guest.call(method, path).status_code in (404, 405), path
    for answer in (info(guest, request), guest.get(upload.path)):
        assert "secret name" not in answer.text and request["folder_id"] not in answer.json().values()
    key = upload.path.split(".")[-1]
    number = upload.path.split("/")[-1].split(".")[0]
    assert guest.call("GET", f"/uploads/{number}", token=key).status_code == 401


def test_what_others_have_stored_cannot_be_had_by_its_hash(world, guest, random_bytes):
    """Every byte has to be sent: there is no call that says that some are there."""
    request = world.request()
    data = random_bytes(2 * CHUNK)
    world.owner.upload_multipart("f", data)
    upload = door(guest, request).create("f", len(data), sha256=sha256(data))
    assert upload.offset() == 0
    number = upload.path.split("/")[-1].split(".")[0]
    assert guest.call("POST", f"/uploads/{number}/have",
                      json={"chunks": [{"index": 0, "length": CHUNK, "hash": sha256(data[:CHUNK])}]}).status_code == 401


# --- limits ---


@pytest.mark.parametrize("name, allowed", [
    ("a.jpg", True), ("A.JPG", True), ("a.jpg.exe", False), (".jpg", False), ("a.pdf", True), ("a.png", False),
    ("a.mp4", True), ("jpg", False), ("a.", False),
])
def test_only_the_types_that_are_asked_for_are_taken(world, guest, name, allowed):
    request = world.request(types=[".jpg", "video/*", "application/pdf"])
    answer = door(guest, request).create(name, 1, b"x", expect=None)
    assert isinstance(answer, Tus) == allowed
    if not allowed:
        refused(answer, 415, "unsupported_media_type")


def test_sizes_and_numbers_are_limited_before_a_byte_comes(world, guest):
    request = world.request(max_bytes=100, max_file_bytes=60, max_files=3)
    at = door(guest, request)
    refused(at.create("a", 61, expect=None), 413, "payload_too_large")
    first = at.create("a", 60)
    refused(at.create("b", 41, expect=None), 413, "payload_too_large")
    at.create("b", 40)
    refused(at.create("c", 1, expect=None), 413, "payload_too_large")
    at.create("c", 0)
    refused(at.create("d", 0, expect=None), 410, "gone")
    first.end()
    assert info(guest, request).json()["bytes_left"] == 60
    again = at.create("a", 60, b"x" * 60)
    assert again.receipt()["status"] == "completed"
    refused(again.patch(60, b"x", expect=None), 413, "payload_too_large")
    refused(at.create("e", 0, expect=None), 410, "gone")


def test_the_room_is_the_owners_and_its_size_is_not_told(world, guest):
    request = world.request()
    world.admin.patch(f"/admin/users/{world.owner.user_id}", {"quota": 123456})
    upload = door(guest, request).create("a", 100000)
    answer = refused(door(guest, request).create("b", 100000, expect=None), 507, "quota_exceeded")
    assert "123456" not in answer.text
    assert usage(world) == (0, 100000)
    upload.end()
    assert usage(world) == (0, 0)


def test_a_guests_uploads_do_not_use_up_the_owners_own(world, guest):
    request = world.request()
    door(guest, request).create("a", 1)
    assert [item["filename"] for item in world.owner.get("/uploads").json()["items"]] == ["a"]
    world.owner.start_upload("key", "own", 1)


def test_an_upload_that_never_begins_gives_its_room_back_soon(vault, world, guest):
    request = world.request()
    upload = door(guest, request).create("a", 1000)
    number = upload.path.split("/")[-1].split(".")[0]
    vault.sql("UPDATE uploads SET expires_at = expires_at - 3600000000 WHERE id = ?", number)
    assert upload.offset() is None
    vault.admin().post("/admin/sweeps/uploads")
    assert usage(world) == (0, 0)
    begun = door(guest, request).create("b", 1000)
    begun.patch(0, b"x")
    number = begun.path.split("/")[-1].split(".")[0]
    vault.sql("UPDATE uploads SET expires_at = expires_at - 3600000000 WHERE id = ?", number)
    assert begun.offset() == 1


def at_once(count, work):
    outcomes, barrier = [None] * count, threading.Barrier(count)

    def run(number):
        barrier.wait()
        outcomes[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_sixteen_at_once_as_many_get_through_as_may(vault, world):
    request = world.request(max_files=5, max_bytes=1 << 20)
    outcomes = at_once(16, lambda number: door(vault.client(), request).create(f"f{number}", 10, b"x" * 10,
                                                                               expect=None))
    assert sum(isinstance(outcome, Tus) for outcome in outcomes) == 5
    assert len(in_folder(world, request)) == 5
    by_size = world.request(max_bytes=35)
    outcomes = at_once(16, lambda number: door(vault.client(), by_size).create(f"f{number}", 10, b"x" * 10,
                                                                               expect=None))
    assert sum(isinstance(outcome, Tus) for outcome in outcomes) == 3
    now = state(world, by_size)
    assert (now["files"], now["bytes"], now["files_uploading"]) == (3, 30, 0)


@pytest.mark.cluster
@pytest.mark.postgres
@pytest.mark.redis
def test_limits_hold_across_servers():
    with open_folder() as folder, Cluster(folder, nodes=3, workers=1) as cluster:
        owner = cluster.user()
        target = owner.make_folder("in")["id"]
        request = owner.post(f"/files/{target}/request", {"max_files": 5}, expect=201).json()
        outcomes = at_once(16, lambda number: door(cluster.client(number % 2), request).create(
            f"f{number}", 10, b"x" * 10, expect=None))
        assert sum(isinstance(outcome, Tus) for outcome in outcomes) == 5
        assert len(owner.list(folder_id=target)) == 5


# --- the end of a link ---


def test_a_link_whose_time_is_over_takes_no_more_bytes(vault, world, guest):
    request = world.request(expires_in_hours=1)
    upload, done = door(guest, request).create("a", 10), door(guest, request).create("b", 3, b"abc")
    upload.patch(0, b"x")
    vault.sql("UPDATE shares SET expires_at = 1 WHERE id = ?", request["request_id"])
    refused(info(guest, request), 410, "gone")
    refused(door(guest, request).create("c", 1, expect=None), 410, "gone")
    refused(upload.patch(1, b"x", expect=None), 410, "gone")
    assert done.receipt()["status"] == "completed"
    world.owner.patch(f"/requests/{request['request_id']}", {"expires_in_hours": 1})
    upload.patch(1, b"x" * 9)
    assert set(in_folder(world, request)) == {"a", "b"}


def test_a_revoked_link_and_one_that_never_was_look_the_same(world, guest):
    request = world.request()
    upload, done = door(guest, request).create("a", 10), door(guest, request).create("b", 3, b"abc")
    world.owner.delete(f"/requests/{request['request_id']}", expect=204)
    details = set()
    for token in (request["request_token"], "A" * 22):
        gone = {"request_token": token}
        for answer in (info(guest, gone), door(guest, gone).create("c", 1, expect=None),
                       guest.call("POST", f"/request/{token}/unlock", json={"password": "x"})):
            details.add(refused(answer, 404, "not_found").json()["detail"])
    assert len(details) == 1
    refused(upload.patch(0, b"x", expect=None), 410, "upload_expired")
    assert upload.offset() is None
    assert done.receipt()["status"] == "completed"
    assert set(in_folder(world, request)) == {"b"}
    world.admin.post("/admin/sweeps/uploads")
    assert usage(world) == (3, 0)


def test_revoking_stops_a_request_that_is_writing(vault, world, random_bytes):
    request = world.request()
    data = random_bytes(64 * CHUNK)
    upload = door(vault.client(), request).create("a", len(data))

    def pieces():
        yield data[:4 * CHUNK]
        world.owner.delete(f"/requests/{request['request_id']}", expect=204)
        yield data[4 * CHUNK:]

    answer = upload.patch(0, pieces(), expect=None)
    refused(answer, 410, "upload_expired")
    assert in_folder(world, request) == {}


def test_a_link_ends_with_its_folder(world, guest):
    request = world.request()
    upload = door(guest, request).create("a", 10)
    world.owner.delete(f"/files/{request['folder_id']}")
    refused(info(guest, request), 404, "not_found")
    refused(upload.patch(0, b"x", expect=None), 404, "not_found")
    world.owner.post(f"/files/{request['folder_id']}/restore", {})
    upload.patch(0, b"x" * 10)
    assert set(in_folder(world, request)) == {"a"}


def test_a_disabled_account_takes_nothing(world, guest):
    request = world.request()
    upload = door(guest, request).create("a", 10)
    world.admin.patch(f"/admin/users/{world.owner.user_id}", {"state": "disabled"})
    refused(info(guest, request), 404, "not_found")
    refused(upload.patch(0, b"x", expect=None), 404, "not_found")


def test_a_guests_upload_outlives_the_owners_password(world, guest):
    upload = door(guest, world.request()).create("a", 3)
    world.admin.post(f"/admin/users/{world.owner.user_id}/password", {"password": "a passing one"}, expect=204)
    upload.patch(0, b"abc")


# --- passwords ---


def test_a_password_opens_by_header_or_by_cookie(vault, world):
    request, other = world.request(password="sésame"), world.request(password="sésame")
    guest, path = vault.client(), f"/request/{request['request_token']}"
    assert info(guest, request).json() == {"password_required": True}
    refused(door(guest, request).create("a", 1, expect=None), 401, "share_password_required")
    refused(info(guest, request, X_Share_Password="wrong"), 401, "share_password_required")
    door(guest, request).create("a", 1, b"x", headers={"X-Share-Password": "sésame".encode()})
    refused(guest.call("POST", f"{path}/unlock", json={"password": "wrong"}), 401, "share_password_required")
    answer = guest.call("POST", f"{path}/unlock", json={"password": "sésame"}, expect=204)
    cookie = answer.headers["Set-Cookie"]
    assert f"Path={path};" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    upload = door(guest, request).create("b", 2)
    assert info(guest, request).json()["owner"] == world.username
    value = cookie.split(";")[0]
    assert info(vault.client(), other, Cookie=value).json() == {"password_required": True}
    world.owner.patch(f"/requests/{request['request_id']}", {"password": "other"})
    refused(door(guest, request).create("c", 1, expect=None), 401, "share_password_required")
    upload.patch(0, b"xx")


def test_guesses_at_a_password_are_limited_for_the_link(make_vault):
    vault = make_vault(SHARE_PASSWORD_LIMIT=PASSWORDS).start()
    world, guest = World(vault), vault.client()
    request, other = world.request(password="sesame"), world.request(password="sesame")
    for _ in range(PASSWORDS - 1):
        refused(info(guest, request, X_Share_Password="wrong"), 401, "share_password_required")
    headers = creation("a", 1) | {"X-Share-Password": "wrong"}
    refused(guest.call("POST", f"/request/{request['request_token']}/files", headers=headers), 401,
            "share_password_required")
    refused(info(guest, request, X_Share_Password="sesame"), 429, "too_many_requests")
    assert info(guest, other, X_Share_Password="sesame").status_code == 200


def test_tokens_are_in_no_log_and_no_metric(vault, world, guest):
    request = world.request()
    upload = door(guest, request).create("a", 1, b"x")
    text = vault.log_text() + guest.get("/metrics").text
    assert request["request_token"] not in text
    assert upload.path.split(".")[-1] not in text
    assert "/tus/{upload}" in text or "/request/{token}/files" in text
