"""tus 1.0: bytes in order, through any client, and what was acknowledged is never sent again."""

import contextlib
import http.client
import threading

import pytest
from client import problem, root_of, sha256, split
from cluster import Cluster, open_folder
from operations import World
from tus import BYTES, TUS, Tus, creation, metadata

pytestmark = pytest.mark.uploads

KIB = 1 << 10
CHUNK = 64 * KIB


@pytest.fixture(scope="module")
def small_chunks(module_vaults):
    module_vaults(CHUNK_SIZE="64K", GC_AGE="0s")


@pytest.fixture
def vault(small_chunks, shared_vault):
    return shared_vault


@pytest.fixture
def owner(vault):
    return World(vault).owner


def refused(answer, status, kind):
    assert (answer.status_code, problem(answer)["type"]) == (status, f"urn:chunkvault:error:{kind}"), answer.text
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    return answer


until = Cluster.until


def usage(client):
    me = client.get("/me").json()
    return me["used"], me["reserved"]


class Writer:
    """A PATCH whose bytes are sent bit by bit, on a connection that can be cut."""

    def __init__(self, upload, offset, length):
        host = upload.client.url.removeprefix("http://")
        self.connection = http.client.HTTPConnection(host, timeout=30)
        self.connection.putrequest("PATCH", upload.path)
        for name, value in {**TUS, "Upload-Offset": offset, "Content-Type": BYTES, "Content-Length": length}.items():
            self.connection.putheader(name, str(value))
        self.connection.endheaders()

    def send(self, data):
        self.connection.send(data)
        return self

    def cut(self):
        self.connection.sock.close()
        self.connection.close()

    def status(self):
        with contextlib.closing(self.connection):
            return self.connection.getresponse().status


def row(upload):
    return upload.path.split("/")[-1].split(".")[0]


def await_writer(vault, upload):
    """Until somebody has the right to write."""
    until(lambda: vault.sql("UPDATE uploads SET lease = lease WHERE id = ? AND lease <> 0", row(upload)) is None,
          "the right to write")


# --- the protocol ---


def test_what_is_spoken_is_told(vault):
    client = vault.client()
    for path in ("/tus", Tus(World(vault).owner).create("f", 1).path,
                 f"/request/{World(vault).request()['request_token']}/files"):
        answer = client.call("OPTIONS", path, expect=204)
        assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
        extensions = answer.headers["Tus-Extension"].split(",")
        assert {"creation", "expiration", "termination"} <= set(extensions)
        assert "creation-defer-length" not in extensions


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 77])
@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_every_size_comes_back_in_any_pieces(owner, random_bytes, size, pieces):
    data = random_bytes(size)
    upload = Tus(owner).create("film.mkv", size, modified_at="2024-01-02T03:04:05Z")
    step = max(1, -(-size // pieces))
    for at in range(0, size, step):
        answer = upload.patch(at, data[at:at + step])
        assert int(answer.headers["Upload-Offset"]) == upload.offset() == min(at + step, size)
        assert at + step >= size or answer.headers["Upload-Expires"].endswith(" GMT")
    (item,) = owner.list()
    assert (item["filename"], item["size"]) == ("film.mkv", size)
    assert item["modified_at"] == "2024-01-02T03:04:05Z"
    assert item["root"] == root_of(split(data, CHUNK))
    assert owner.content(item["id"]) == data
    assert usage(owner) == (size, 0)
    assert upload.receipt()["root"] == item["root"]


def test_the_hash_of_the_whole_is_verified_without_being_asked(owner, random_bytes):
    data = random_bytes(3 * CHUNK + 5)
    upload = Tus(owner).create("film", len(data))
    upload.patch(0, data)
    until(lambda: upload.receipt()["sha256_verified"], "the verified hash")
    assert upload.receipt()["sha256"] == sha256(data) == owner.list()[0]["sha256"]


def test_a_hash_that_was_claimed_wrongly_is_put_right(owner, random_bytes):
    data = random_bytes(2 * CHUNK)
    Tus(owner).create("film", len(data), sha256=sha256(b"another")).patch(0, data)
    until(lambda: owner.list()[0]["sha256_verified"], "the verified hash")
    assert owner.list()[0]["sha256"] == sha256(data)


def test_bytes_can_come_with_the_creation(owner, random_bytes):
    data = random_bytes(2 * CHUNK + 9)
    begun = Tus(owner).create("half", len(data), data[:CHUNK + 1])
    assert begun.offset() == CHUNK + 1
    begun.patch(CHUNK + 1, data[CHUNK + 1:])
    Tus(owner).create("whole", len(data), data)
    assert [owner.content(item["id"]) for item in owner.list()] == [data, data]


def test_head_tells_all_there_is_to_know(owner):
    upload = Tus(owner).create("f", 10, anything="é")
    upload.patch(0, b"abc")
    answer = upload.call("HEAD", expect=200)
    assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("3", "10")
    assert answer.headers["Upload-Metadata"] == metadata(filename="f", anything="é")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Upload-Expires"].endswith(" GMT")
    assert answer.content == b""


def test_the_address_is_a_path_below_that_of_the_server(make_vault):
    vault = make_vault(PUBLIC_URL="https://files.example.org/vault").start()
    upload = Tus(World(vault).owner).create("f", 1)
    assert upload.path.startswith("/vault/tus/")
    assert Tus(upload.client, upload.path.removeprefix("/vault")).offset() == 0


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1", "", "1.0.0, 1.0.0"])
def test_another_version_of_the_protocol_is_refused(owner, version):
    upload = Tus(owner).create("f", 5)
    headers = {"Upload-Offset": "0", "Content-Type": BYTES, **({} if version is None else {"Tus-Resumable": version})}
    for method, path in (("PATCH", upload.path), ("HEAD", upload.path), ("DELETE", upload.path), ("POST", "/tus")):
        answer = owner.call(method, path, headers=headers, expect=412)
        assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
    assert upload.offset() == 0


@pytest.mark.parametrize("offset, status, kind", [
    (None, 400, "bad_request"), ("", 400, "bad_request"), ("-1", 400, "bad_request"), ("3.0", 400, "bad_request"),
    ("+3", 400, "bad_request"), ("9" * 30, 400, "bad_request"), ("0", 409, "conflict"), ("2", 409, "conflict"),
    ("4", 409, "conflict"), ("10", 409, "conflict"), ("11", 409, "conflict"), ("9223372036854775807", 409, "conflict"),
])
def test_another_offset_than_the_uploads_changes_nothing(owner, offset, status, kind):
    upload = Tus(owner).create("f", 10)
    upload.patch(0, b"abc")
    headers = {"Content-Type": BYTES, **({} if offset is None else {"Upload-Offset": offset})}
    refused(upload.call("PATCH", data=b"", headers=headers), status, kind)
    assert upload.offset() == 3
    upload.patch(3, b"defghij")
    assert owner.content(owner.list()[0]["id"]) == b"abcdefghij"


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/octet-stream"}, {"Content-Type": ""}])
def test_bytes_of_another_type_are_refused(owner, headers):
    upload = Tus(owner).create("f", 3)
    refused(upload.call("PATCH", data=b"abc", headers={"Upload-Offset": "0", **headers}), 415, "unsupported_media_type")
    assert upload.offset() == 0


@pytest.mark.parametrize("length", [None, "", "-1", "x", "1e3", "9" * 30])
def test_a_length_is_told_at_the_beginning(owner, length):
    headers = {**TUS, "Upload-Metadata": metadata(filename="f"), **({"Upload-Length": length} if length else {})}
    refused(owner.call("POST", "/tus", headers=headers), 400, "bad_request")
    refused(owner.call("POST", "/tus", headers={**headers, "Upload-Defer-Length": "1"}), 400, "bad_request")
    assert owner.get("/uploads").json()["items"] == []


@pytest.mark.parametrize("header, status", [
    (None, 422), ("", 422), ("filename", 422), ("filename !!!", 400), ("filename YQ==,filename YQ==", 400),
    ("filename YQ==,,", 400), ("filename Li4=", 422), ("filename L2E=", 422), ("filename AA==", 422),
    ("filename YQ==,folder_id MQ==", 404), ("filename YQ==,folder_id eA==", 404),
    ("filename YQ==,relativePath Li4vYQ==", 422), ("filename YQ==,relativePath YS8uLi9i", 422),
    ("filename YQ==,on_conflict ZmFpbA==", 422), ("filename YQ==,modified_at eA==", 422),
    ("filename YQ==,sha256 eA==", 422), ("filename " + "QUFB" * 3000, 400),
])
def test_metadata_that_cannot_be_are_refused(owner, header, status):
    headers = {**TUS, "Upload-Length": "1", **({} if header is None else {"Upload-Metadata": header})}
    answer = owner.call("POST", "/tus", headers=headers)
    assert answer.status_code == status, answer.text
    assert owner.get("/uploads").json()["items"] == []


def test_more_bytes_than_announced_are_not_taken(owner):
    upload = Tus(owner).create("f", 10)
    refused(upload.patch(0, b"x" * 11, expect=None), 413, "payload_too_large")
    assert upload.offset() == 0
    chunked = iter([b"x" * 6, b"x" * 6])
    answer = upload.patch(0, chunked, expect=None)
    assert answer.status_code == 413
    assert upload.offset() < 10 and owner.list() == []
    upload.patch(upload.offset(), iter([b"y" * 4, b"y" * (6 - upload.offset())]))
    assert owner.list()[0]["size"] == 10


@pytest.mark.parametrize("data", [b"too much", iter([b"too ", b"much"])], ids=["counted", "in chunks"])
def test_a_creation_with_more_bytes_than_it_announces_leaves_nothing(owner, data):
    headers = {**creation("a", 5), "Content-Type": "application/offset+octet-stream"}
    problem(owner.call("POST", "/tus", data=data, headers=headers, expect=413))
    assert owner.get("/uploads").json()["items"] == [] and owner.list() == []
    assert owner.get("/me").json()["reserved"] == 0


def test_an_upload_that_is_given_up_is_gone_with_what_it_reserved(vault, owner, random_bytes):
    upload = Tus(owner).create("f", 4 * CHUNK)
    upload.patch(0, random_bytes(CHUNK + 5))
    assert usage(owner) == (0, 4 * CHUNK)
    answer = upload.end()
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert usage(owner) == (0, 0)
    for again in (upload.call("HEAD"), upload.patch(CHUNK + 5, b"x", expect=None), upload.end(expect=None)):
        assert again.status_code == 410
    assert owner.get("/uploads").json()["items"] == []


def test_a_file_stays_when_its_upload_is_given_up_afterwards(owner):
    upload = Tus(owner).create("f", 3, b"abc")
    refused(upload.end(expect=None), 409, "conflict")
    assert upload.offset() == 3
    upload.patch(3, b"")
    assert owner.content(owner.list()[0]["id"]) == b"abc"


def test_an_upload_that_expired_is_gone(vault, owner):
    upload = Tus(owner).create("f", 3)
    upload.patch(0, b"a")
    vault.sql("UPDATE uploads SET expires_at = 1 WHERE id = ?", row(upload))
    refused(upload.patch(1, b"b", expect=None), 410, "upload_expired")
    assert upload.call("HEAD").status_code == 410
    vault.admin().post("/admin/sweeps/uploads")
    assert upload.call("HEAD").status_code == 404
    assert usage(owner) == (0, 0)


def test_the_address_cannot_be_guessed(vault, owner):
    upload, other = Tus(owner).create("f", 3), Tus(owner).create("g", 3)
    number, key = upload.path.removeprefix("/tus/").split(".", 1)
    other_number = other.path.removeprefix("/tus/").split(".")[0]
    assert len(key) > 40
    for address in (number, f"{number}.", f"{number}.{key[:-1]}", f"{number}.{key}x", f"{other_number}.{key}",
                    f"0.{key}", f"x.{key}", f".{key}", f"{number}.{'A' * len(key)}"):
        wrong = Tus(vault.client(), f"/tus/{address}")
        for answer in (wrong.call("HEAD"), wrong.patch(0, b"abc", expect=None), wrong.end(expect=None),
                       wrong.client.get(wrong.path, expect=None)):
            assert answer.status_code == 404, address
    assert upload.offset() == 0


def test_the_address_ends_with_the_password(owner):
    upload = Tus(owner).create("f", 3)
    owner.post("/auth/password", {"current_password": "correct horse battery", "new_password": "another one"})
    assert upload.call("HEAD").status_code == 404


def test_the_chunked_doors_and_tus_do_not_mix(owner):
    upload = Tus(owner).create("f", 3)
    (item,) = owner.get("/uploads").json()["items"]
    path = f"/uploads/{item['upload_id']}"
    for call in (("POST", f"{path}/have", {"chunks": [{"index": 0, "length": 3, "hash": sha256(b"abc")}]}),
                 ("POST", f"{path}/commit", {"root": root_of([b"abc"])})):
        assert owner.call(call[0], call[1], json=call[2]).status_code == 409
    upload.patch(0, b"abc")
    assert owner.list()[0]["size"] == 3


def test_methods_can_be_said_in_a_header(owner):
    upload = Tus(owner).create("f", 3)
    upload.call("POST", data=b"ab", expect=204, headers={"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0",
                                                         "Content-Type": BYTES})
    assert upload.offset() == 2
    upload.call("POST", expect=204, headers={"X-HTTP-Method-Override": "DELETE"})
    assert upload.offset() is None
    assert upload.call("POST").status_code == 405


# --- where files go ---


def test_a_file_goes_into_its_folder_and_the_folders_on_the_way(owner):
    folder = owner.make_folder("base")["id"]
    Tus(owner).create("c.txt", 1, b"c", folder_id=folder, relativePath="a/b/c.txt")
    Tus(owner).create("d.txt", 1, b"d", folder_id=folder, relativePath="a/d.txt")
    Tus(owner).create("e.txt", 1, b"e", folder_id=folder, relativePath="e.txt")
    names = {item["path"]: item["kind"] for word in "abcde" for item in owner.list(q=word)}
    assert names == {"/base": "folder", "/base/a": "folder", "/base/a/b": "folder", "/base/a/b/c.txt": "file",
                     "/base/a/d.txt": "file", "/base/e.txt": "file"}


def test_a_name_that_is_taken_becomes_a_version_or_another_name(owner):
    first = owner.upload_multipart("f", b"first")["file_id"]
    Tus(owner).create("f", 6, b"second")
    assert owner.content(first) == b"second"
    Tus(owner).create("f", 5, b"third", on_conflict="keep_both")
    assert sorted(item["filename"] for item in owner.list()) == ["f", "f (2)"]


def test_what_is_in_the_way_at_the_end_is_passed_over(owner):
    upload = Tus(owner).create("name", 1, relativePath="way/name")
    owner.upload_multipart("way", b"a file")
    upload.patch(0, b"x")
    owner.make_folder("taken")
    Tus(owner).create("taken", 1, b"y")
    assert sorted((item["kind"], item["filename"]) for item in owner.list()) == [
        ("file", "taken (2)"), ("file", "way"), ("folder", "taken"), ("folder", "way (2)")]


def test_a_folder_that_went_away_is_said_and_the_bytes_stay(owner, random_bytes):
    folder = owner.make_folder("gone")["id"]
    data = random_bytes(2 * CHUNK)
    upload = Tus(owner).create("f", len(data), folder_id=folder)
    upload.patch(0, data[:CHUNK + 3])
    owner.delete(f"/files/{folder}")
    assert upload.patch(CHUNK + 3, data[CHUNK + 3:], expect=None).status_code == 404
    assert upload.offset() == CHUNK + 3
    owner.post(f"/files/{folder}/restore", {})
    upload.patch(CHUNK + 3, data[CHUNK + 3:])
    assert owner.content(owner.list(folder_id=folder)[0]["id"]) == data


def test_the_quota_is_reserved_at_the_beginning(vault):
    world = World(vault)
    world.admin.patch(f"/admin/users/{world.owner.user_id}", {"quota": 100})
    upload = Tus(world.owner).create("f", 60)
    assert Tus(world.owner).create("g", 50, expect=507).status_code == 507
    upload.patch(0, b"x" * 60)
    assert usage(world.owner) == (60, 0)
    Tus(world.owner).create("g", 40)


# --- breaks ---


@pytest.mark.parametrize("arrived", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 100])
def test_what_arrived_before_a_break_is_kept_to_the_byte(owner, random_bytes, arrived):
    data = random_bytes(4 * CHUNK + 10)
    upload = Tus(owner).create("f", len(data))
    upload.patch(0, data[:10])
    Writer(upload, 10, len(data) - 10).send(data[10:10 + arrived]).cut()
    until(lambda: upload.offset() == 10 + arrived, "the offset")
    until(lambda: upload.patch(10 + arrived, data[10 + arrived:], expect=None).status_code == 204, "the end")
    assert owner.content(owner.list()[0]["id"]) == data


def test_many_small_pieces_are_one_file(owner, random_bytes):
    data = random_bytes(CHUNK + 500)
    upload, at = Tus(owner).create("f", len(data)), 0
    for step in [1, 2, 3, 5, CHUNK - 20, 1, 20, 7, 200]:
        upload.patch(at, data[at:at + step])
        at += step
    upload.patch(at, data[at:])
    assert owner.content(owner.list()[0]["id"]) == data


def test_of_two_at_once_the_second_is_told_to_wait(vault, owner, random_bytes):
    data = random_bytes(2 * CHUNK)
    upload = Tus(owner).create("f", len(data))
    first = Writer(upload, 0, len(data)).send(data[:100])
    await_writer(vault, upload)
    answer = refused(upload.patch(0, data, expect=None), 423, "locked")
    assert int(answer.headers["Retry-After"]) > 0
    assert first.send(data[100:]).status() == 204
    assert owner.content(owner.list()[0]["id"]) == data


def test_of_many_at_once_one_writes(owner, random_bytes):
    data = random_bytes(3 * CHUNK + 1)
    upload, statuses, barrier = Tus(owner).create("f", len(data)), [], threading.Barrier(8)

    def write():
        own = upload.by(owner.again())
        barrier.wait()
        statuses.append(own.patch(0, data, expect=None).status_code)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count(204) == 1 and set(statuses) <= {204, 409, 423}
    assert [owner.content(item["id"]) for item in owner.list()] == [data]


def test_who_falls_silent_loses_the_upload_to_the_next(vault, owner, random_bytes):
    data = random_bytes(2 * CHUNK)
    upload = Tus(owner).create("f", len(data))
    silent = Writer(upload, 0, len(data)).send(data[:CHUNK + 50])
    until(lambda: upload.offset() == CHUNK, "the first chunk")
    vault.sql("UPDATE uploads SET lease_until = 1 WHERE id = ?", row(upload))
    at = upload.offset()
    upload.patch(at, data[at:])
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert silent.send(bytes(CHUNK - 50)).status() != 204
    assert owner.content(owner.list()[0]["id"]) == data


def test_giving_up_stops_who_writes(vault, owner, random_bytes):
    upload = Tus(owner).create("f", 2 * CHUNK)
    writer = Writer(upload, 0, 2 * CHUNK).send(random_bytes(100))
    await_writer(vault, upload)
    upload.end()
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert writer.send(random_bytes(2 * CHUNK - 100)).status() == 410
    assert owner.list() == []


def test_a_tail_outlives_collection_and_a_bad_copy(vault, owner, random_bytes):
    data = random_bytes(CHUNK)
    upload = Tus(owner).create("f", len(data))
    upload.patch(0, data[:CHUNK // 2])
    vault.admin().post("/admin/sweeps/unreferenced")
    name = sha256(data[:CHUNK // 2])
    copies = sorted(vault.data.glob(f"stores/*/chunks/*/{name}*"))
    assert len(copies) == 3
    copies[0].write_bytes(b"bad")
    upload.patch(CHUNK // 2, data[CHUNK // 2:])
    assert owner.content(owner.list()[0]["id"]) == data


def test_tails_that_were_replaced_are_collected(vault, owner, random_bytes):
    data = random_bytes(CHUNK)
    upload = Tus(owner).create("f", len(data))
    for at in range(0, CHUNK, CHUNK // 4):
        upload.patch(at, data[at:at + CHUNK // 4])
    tails = [sha256(data[:at]) for at in range(CHUNK // 4, CHUNK, CHUNK // 4)]

    def left():
        vault.admin().post("/admin/sweeps/unreferenced")
        return [name for name in tails if list(vault.data.glob(f"stores/*/chunks/*/{name}*"))]

    until(lambda: left() == [], "the end of the tails")
    assert owner.content(owner.list()[0]["id"]) == data


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_a_kill_of_the_server_costs_what_was_not_acknowledged(make_vault, random_bytes, share):
    vault = make_vault(CHUNK_SIZE="64K").start()
    owner, data = World(vault).owner, random_bytes(20 * CHUNK + 3)
    upload = Tus(owner).create("f", len(data))
    upload.patch(0, data[:CHUNK + 9])
    writer = Writer(upload, CHUNK + 9, len(data) - CHUNK - 9)
    sent = int(share * len(data))
    writer.send(data[CHUNK + 9:CHUNK + 9 + sent])
    until(lambda: upload.offset() >= sent // CHUNK * CHUNK // 2, "some chunks")
    vault.kill()
    writer.cut()
    vault.start()
    at = upload.offset()
    assert CHUNK + 9 <= at <= CHUNK + 9 + sent
    upload.patch(at, data[at:])
    assert owner.content(owner.list()[0]["id"]) == data


@pytest.mark.cluster
@pytest.mark.postgres
@pytest.mark.redis
def test_an_upload_goes_on_at_another_server_after_a_kill(random_bytes):
    with open_folder() as folder, Cluster(folder, nodes=3, workers=1, CHUNK_SIZE="64K") as cluster:
        owner = cluster.user()
        data = random_bytes(12 * CHUNK + 5)
        first, second = (owner.again(server.url) for server in cluster.servers)
        upload = Tus(first).create("f", len(data))
        upload.patch(0, data[:CHUNK + 7])
        upload.by(second).patch(CHUNK + 7, data[CHUNK + 7:2 * CHUNK + 9])
        at = 2 * CHUNK + 9
        writer = Writer(upload, at, len(data) - at).send(data[at:5 * CHUNK])
        until(lambda: upload.by(second).offset() >= 4 * CHUNK, "some chunks")
        assert upload.by(second).patch(upload.by(second).offset(), b"", expect=None).status_code == 423
        cluster.servers[0].kill()
        writer.cut()
        upload = upload.by(second)
        at = upload.offset()
        assert 4 * CHUNK <= at <= 5 * CHUNK
        until(lambda: upload.patch(at, data[at:], expect=None).status_code == 204, "the right to write")
        assert second.content(second.list()[0]["id"]) == data
