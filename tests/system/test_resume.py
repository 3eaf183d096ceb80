"""An upload never starts again from zero: what is sent twice is counted at a proxy that cuts the line."""

import json
import os
import re
import sqlite3
import time
from pathlib import Path

import pytest
import requests
from client import content_digest, problem, sha256, split
from cluster import Cluster
from proxy import DOWN

pytestmark = pytest.mark.uploads

README = Path(__file__).parents[2] / "README.md"
KIB = 1 << 10
CHUNK_SIZE = 256 * KIB
FLIGHTS = 3
HEADERS_PER_CHUNK = 2 * KIB  # requests' headers and the chunk's part in "have", amply
DEADLINE_S = 30


@pytest.fixture
def small_chunks(make_vault):
    return make_vault(CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s").start()


def overhead(chunks):
    return (len(chunks) + 10) * HEADERS_PER_CHUNK


def missing_bytes(upload, chunks):
    return sum(len(chunks[index]) for index in upload.missing(chunks))


def send_until_cut(proxy, upload, chunks, byte_count):
    """Sends through the proxy until it has passed on so many bytes and cuts the line."""
    proxy.cut_after(byte_count)
    with pytest.raises(requests.RequestException):
        upload.send(chunks, upload.missing(chunks), FLIGHTS)
    proxy.wait_until_cut()


def expire_uploads(vault):
    """As if every upload had been idle for its whole life."""
    vault.sql("UPDATE uploads SET expires_at = 1")


def chunk_files(vault):
    return [path for path in vault.data.glob("stores/*/chunks/*/*") if path.is_file()]


@pytest.mark.parametrize("killed", [True, False], ids=["the server is killed", "the client is lost"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_what_was_stored_is_not_sent_again(small_chunks, make_proxy, random_bytes, killed, share):
    vault, data = small_chunks, random_bytes(6 << 20 | 77)
    chunks = split(data, CHUNK_SIZE)
    proxy = make_proxy(vault)
    alice = vault.user()
    upload = alice.again(proxy.url).start_upload("key", "film", len(data), modified_at="2024-01-02T03:04:05Z")
    before = proxy.sent
    send_until_cut(proxy, upload, chunks, int(share * len(data)))
    if killed:
        vault.kill()
        vault.start()

    proxy.open()
    passed = proxy.sent - before
    again = alice.again(proxy.url).start_upload("key", "film", len(data), expect=200, modified_at="2024-01-02T03:04:05Z")
    assert (again.id, again.file_id) == (upload.id, upload.file_id)
    missing = missing_bytes(again, chunks)
    assert missing <= len(data) - passed + FLIGHTS * CHUNK_SIZE + overhead(chunks)
    begin = proxy.sent
    again.send(chunks, again.missing(chunks), FLIGHTS)
    done = again.commit(chunks, data)
    assert proxy.sent - begin <= missing + overhead(chunks)
    assert proxy.sent - before <= len(data) + FLIGHTS * CHUNK_SIZE + 2 * overhead(chunks)
    assert alice.content(done["file_id"]) == data
    assert done["file_id"] == upload.file_id


def test_a_line_that_breaks_again_and_again_costs_a_chunk_a_connection_each_time(small_chunks, make_proxy, random_bytes):
    vault, data = small_chunks, random_bytes(8 << 20)
    chunks = split(data, CHUNK_SIZE)
    proxy = make_proxy(vault)
    alice = vault.user()
    cuts = 6
    for _ in range(cuts):
        upload = alice.again(proxy.url).start_upload("key", "film", len(data), modified_at="2024-01-02T03:04:05Z")
        send_until_cut(proxy, upload, chunks, 1 << 20)
        proxy.open()
    done = alice.again(proxy.url).upload("key", "film", data, FLIGHTS, modified_at="2024-01-02T03:04:05Z")
    assert proxy.sent <= len(data) + cuts * FLIGHTS * CHUNK_SIZE + (cuts + 1) * overhead(chunks)
    assert alice.content(done["file_id"]) == data


def test_the_key_finds_the_upload_from_another_login_and_only_for_its_owner(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(CHUNK_SIZE)
    more = {"modified_at": "2024-01-02T03:04:05Z"}
    alice, bob = vault.user("alice"), vault.user("bob")
    first = alice.start_upload("key", "film", len(data), expect=201, **more)
    elsewhere = vault.client()
    elsewhere.login("alice", "correct horse battery")
    assert elsewhere.start_upload("key", "film", len(data), expect=200, **more).id == first.id
    assert bob.start_upload("key", "film", len(data), expect=201, **more).id != first.id
    problem(alice.call("POST", "/uploads", json={"key": "key", "name": "film", "size": 1, **more}, expect=409))


def test_the_readmes_own_request_finds_the_upload_again_also_when_its_answer_was_lost(small_chunks, make_proxy):
    alice, proxy = small_chunks.user(), make_proxy(small_chunks)
    body = re.search(r"`POST /uploads` `(\{.*?\})`", README.read_text())[1]
    call = {"data": body, "headers": {"Content-Type": "application/json"}}
    proxy.cut_after(0, DOWN)
    with pytest.raises(requests.RequestException):
        alice.again(proxy.url).call("POST", "/uploads", **call)
    proxy.wait_until_cut()
    first, again = (alice.call("POST", "/uploads", expect=200, **call).json() for _ in range(2))
    assert first == again
    assert alice.get("/me").json()["reserved"] == json.loads(body)["size"]


def test_an_upload_outlives_the_login(make_vault, random_bytes):
    vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, ACCESS_TOKEN_TTL="1s").start()
    data = random_bytes(2 * CHUNK_SIZE)
    chunks = split(data, CHUNK_SIZE)
    alice = vault.user()
    upload = alice.start_upload("key", "film", len(data))
    upload.put(0, chunks[0])
    deadline = time.monotonic() + DEADLINE_S
    while alice.call("GET", "/me").status_code != 401:
        assert time.monotonic() < deadline, "the access token did not expire"
        time.sleep(0.1)
    assert upload.missing(chunks) == [1]
    upload.put(1, chunks[1])
    file_id = upload.commit(chunks, data)["file_id"]
    alice.refresh()
    assert alice.content(file_id) == data


def test_a_commit_that_is_repeated_gives_one_result(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(3 * CHUNK_SIZE + 1)
    chunks = split(data, CHUNK_SIZE)
    alice = vault.user()
    upload = alice.start_upload("key", "film", len(data))
    upload.send(chunks, upload.missing(chunks))
    first = upload.commit(chunks, data)
    vault.kill()
    vault.start()
    assert upload.commit(chunks, data) == first
    (item,) = alice.list()
    assert (item["id"], item["version"]) == (first["file_id"], 1)


def test_a_commit_whose_answer_was_lost_happened_once(small_chunks, make_proxy, random_bytes):
    vault, data = small_chunks, random_bytes(3 * CHUNK_SIZE + 1)
    chunks = split(data, CHUNK_SIZE)
    alice = vault.user()
    proxy = make_proxy(vault)
    upload = alice.start_upload("key", "film", len(data))
    upload.send(chunks, upload.missing(chunks))
    proxy.cut_after(0, DOWN)
    with pytest.raises(requests.RequestException):
        upload.by(alice.again(proxy.url)).commit(chunks, data)
    proxy.wait_until_cut()
    proxy.open()
    (listed,) = alice.list()
    again = upload.by(alice.again(proxy.url)).commit(chunks, data)
    assert again["file_id"] == listed["id"]
    (item,) = alice.list()
    assert (item["version"], item["sha256"]) == (1, sha256(data))
    assert alice.content(again["file_id"]) == data


def test_a_commit_that_found_its_name_taken_is_made_with_another_policy_and_no_more_bytes(small_chunks, make_proxy,
                                                                                          random_bytes):
    vault, data = small_chunks, random_bytes(6 * CHUNK_SIZE + 1)
    chunks = split(data, CHUNK_SIZE)
    alice = vault.user()
    proxy = make_proxy(vault)
    upload = alice.again(proxy.url).start_upload("key", "film", len(data), on_conflict="fail")
    upload.send(chunks, upload.missing(chunks), FLIGHTS)
    quick = alice.upload_multipart("film", b"quick")["file_id"]
    sent = proxy.sent
    refusal = upload.commit(chunks, data, expect=409)
    assert refusal["type"] == "urn:chunkvault:error:name_taken"
    assert "on_conflict" in refusal["detail"]
    assert alice.content(quick) == b"quick"
    assert upload.commit(chunks, data, expect=422, on_conflict="maybe")["status"] == 422
    done = upload.commit(chunks, data, on_conflict="keep_both")
    assert proxy.sent - sent <= overhead([])
    assert (done["file_id"], done["filename"]) == (upload.file_id, "film (2)")
    assert alice.content(done["file_id"]) == data
    assert upload.commit(chunks, data) == done


def test_a_chunk_whose_answer_was_lost_is_not_missing(small_chunks, make_proxy, random_bytes):
    vault, data = small_chunks, random_bytes(2 * CHUNK_SIZE)
    chunks = split(data, CHUNK_SIZE)
    alice = vault.user()
    proxy = make_proxy(vault)
    upload = alice.start_upload("key", "film", len(data))
    proxy.cut_after(0, DOWN)
    with pytest.raises(requests.RequestException):
        upload.by(alice.again(proxy.url)).put(0, chunks[0])
    proxy.wait_until_cut()
    assert upload.missing(chunks) == [1]


def test_an_expired_upload_is_gone_and_its_key_begins_a_new_one(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(2 * CHUNK_SIZE)
    chunks = split(data, CHUNK_SIZE)
    alice = vault.user()
    upload = alice.start_upload("key", "film", len(data))
    upload.put(0, chunks[0])
    expire_uploads(vault)
    problem(upload.put(1, chunks[1], expect=410))
    problem(upload.client.call("POST", f"/uploads/{upload.id}/have", token=upload.token, expect=410,
                               json={"chunks": [{"index": 0, "length": len(chunks[0]), "hash": sha256(chunks[0])}]}))
    assert upload.commit(chunks, data, expect=410)["status"] == 410
    assert alice.list() == []
    new = alice.start_upload("key", "film", len(data), expect=201)
    assert new.id != upload.id
    assert new.missing(chunks) == [0, 1]


def test_bytes_that_are_not_the_announced_ones_are_refused(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(2 * CHUNK_SIZE)
    chunks = split(data, CHUNK_SIZE)
    alice = vault.user()
    upload = alice.start_upload("key", "film", len(data))
    flipped = bytes([chunks[0][0] ^ 1]) + chunks[0][1:]
    digest = content_digest(chunks[0])
    problem(upload.put(0, flipped, expect=422, digest=digest))
    assert upload.missing(chunks) == [0, 1]
    assert chunk_files(vault) == []
    upload.put(0, flipped)
    upload.put(1, chunks[1])
    assert upload.commit(chunks, data, expect=422)["status"] == 422
    assert alice.list() == []
    assert upload.missing(chunks) == [0]
    upload.put(0, chunks[0])
    assert alice.content(upload.commit(chunks, data)["file_id"]) == data


def test_chunks_that_the_owner_has_are_not_asked_for(small_chunks, make_proxy, random_bytes):
    vault, data = small_chunks, random_bytes(8 * CHUNK_SIZE)
    alice = vault.user()
    alice.upload_multipart("first", data)
    proxy = make_proxy(vault)
    changed = data[:CHUNK_SIZE] + random_bytes(CHUNK_SIZE) + data[2 * CHUNK_SIZE:]
    done = alice.again(proxy.url).upload("key", "second", changed)
    assert proxy.sent <= CHUNK_SIZE + overhead(split(data, CHUNK_SIZE))
    assert alice.content(done["file_id"]) == changed


@pytest.mark.parametrize("dedup", ["all", "owner"])
def test_what_another_owner_has_is_written_again_only_when_no_time_may_tell_of_it(make_vault, tmp_path, random_bytes,
                                                                                     dedup):
    vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, DEDUP=dedup).start()
    data = random_bytes(2 * CHUNK_SIZE)
    vault.user("alice").upload("key", "film", data)
    Cluster.until(lambda: len(chunk_files(vault)) == 6, "three copies")
    first = set()
    for number, path in enumerate(chunk_files(vault)):
        os.link(path, tmp_path / str(number))  # so that no new file gets the number of an old one
        first.add(path.stat().st_ino)
    bob = vault.user("bob")
    theirs = bob.upload("key", "film", data)["file_id"]

    def written_again():
        return len(first - {path.stat().st_ino for path in chunk_files(vault)})

    if dedup == "owner":
        Cluster.until(lambda: written_again() == 6, "three new copies")
    else:
        assert written_again() == 0
    assert bob.content(theirs) == data


def test_the_same_content_of_two_owners_is_sent_by_both_and_outlives_the_other(small_chunks, make_proxy, random_bytes):
    vault, data = small_chunks, random_bytes(4 * CHUNK_SIZE + 9)
    chunks = split(data, CHUNK_SIZE)
    alice, bob, admin = vault.user("alice"), vault.user("bob"), vault.admin()
    proxy = make_proxy(vault)
    ours = alice.upload("key", "film", data)["file_id"]
    files_of_one = len(chunk_files(vault))
    upload = bob.again(proxy.url).start_upload("key", "film", len(data))
    assert upload.missing(chunks) == list(range(len(chunks)))
    assert upload.commit(chunks, data, expect=409)["status"] == 409
    upload.send(chunks, upload.missing(chunks))
    theirs = upload.commit(chunks, data)["file_id"]
    assert proxy.sent >= len(data)
    assert len(chunk_files(vault)) == files_of_one, "the same chunk is kept once"

    def delete(owner, file_id):
        owner.delete(f"/files/{file_id}")
        owner.delete(f"/trash/{file_id}")
        for sweep in ("trash", "unreferenced", "orphans"):
            admin.post(f"/admin/sweeps/{sweep}")

    delete(alice, ours)
    assert bob.content(theirs) == data
    delete(bob, theirs)
    expire_uploads(vault)
    for sweep in ("uploads", "trash", "unreferenced"):
        admin.post(f"/admin/sweeps/{sweep}")
    Cluster.until(lambda: chunk_files(vault) == [], "the end of the jobs that collect")
