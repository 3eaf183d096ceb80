"""A server that is killed, stopped, or collects garbage in the middle of the work, and what its log tells of it."""

import json
import random
import signal
import socket
import threading
import time

import pytest
import requests
from client import UnexpectedAnswer, content_digest, sha256
from load import Load, interrupt
from vault import ADMIN_PASSWORD

pytestmark = pytest.mark.storage

KIB, MIB = 1 << 10, 1 << 20
CHUNK_SIZE = 64 * KIB
DEADLINE_S = 40


def chunk_files(vault):
    return [path for path in vault.data.glob("stores/*/chunks/*/*") if path.is_file()]


def sweep(admin, *names):
    for name in names:
        admin.post(f"/admin/sweeps/{name}")


def give_up_uploads(owner):
    """Those that can be resumed; what is left of the others ended with the server."""
    for upload in owner.get("/uploads").json()["items"]:
        owner.delete(f"/uploads/{upload['upload_id']}")
    assert owner.get("/me").json()["reserved"] == 0


def collect_everything(admin):
    admin.post("/admin/collection/allow")  # a quick machine makes more than goes without being asked about
    sweep(admin, "uploads", "trash")
    while admin.post("/admin/sweeps/unreferenced").json()["changed"]:  # one pass takes a bounded number
        pass
    sweep(admin, "orphans")


# --- killed -----------------------------------------------------------------------------------------------------------


def test_killed_at_any_point_of_a_mixed_load_it_keeps_every_promise(make_vault):
    vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s").start()
    alice, admin = vault.user(), vault.admin()
    moment = random.Random(7)
    for round_number in range(12):
        loads = [Load(alice.again(), f"{round_number}-{number}", seed=round_number * 10 + number) for number in range(3)]
        interrupt(loads, moment.uniform(0.02, 0.7), vault.kill)
        vault.start()
        reader = alice.again()
        for load in loads:
            load.check(reader)
        assert not [path for path in vault.data.glob("stores/*/tmp/*")], "what was half written is cleared"

    reader = vault.client()
    reader.login("alice", "correct horse battery")
    kept = {item["id"]: reader.content(item["id"]) for item in reader.list()}
    give_up_uploads(reader)
    collect_everything(admin.again())
    assert all(reader.content(file_id) == data for file_id, data in kept.items())
    for file_id in kept:
        reader.delete(f"/files/{file_id}")
    reader.delete("/trash")
    collect_everything(admin.again())
    assert chunk_files(vault) == []
    assert reader.get("/me").json()["used"] == 0


@pytest.mark.parametrize("path", ["/files/upload", "/files/batch"])
def test_killed_within_a_request_it_holds_neither_quota_nor_chunks_for_it(make_vault, random_bytes, path):
    vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s").start()
    alice, admin = vault.user(), vault.admin()
    data, size = random_bytes(12 * MIB), 16 * MIB  # more than a batch puts at once; the rest never comes
    if path == "/files/upload":
        headers, begin = {"Content-Type": "multipart/form-data; boundary=line"}, (
            b'--line\r\nContent-Disposition: form-data; name="file"; filename="film"\r\n\r\n')
    else:
        headers, begin = {}, json.dumps({"files": [{"path": "film", "size": size, "hash": sha256(data)}]}).encode() + b"\n"
    with socket.create_connection(("127.0.0.1", vault.port)) as connection:
        lines = [f"POST {path} HTTP/1.1", "Host: vault", f"Authorization: Bearer {alice.token}",
                 f"Content-Length: {size + len(begin)}", *(f"{name}: {value}" for name, value in headers.items())]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + begin + data)
        deadline = time.monotonic() + DEADLINE_S
        while len(chunk_files(vault)) < 2 * 8 * MIB // CHUNK_SIZE:
            assert time.monotonic() < deadline, "the chunks did not reach the stores"
            time.sleep(0.02)
        vault.kill()
    vault.start()
    assert alice.get("/me").json()["reserved"] == 0
    collect_everything(admin.again())
    assert chunk_files(vault) == []


# --- collection -------------------------------------------------------------------------------------------------------


def test_collection_never_takes_what_is_uploaded_again_at_that_moment(make_vault, random_bytes):
    vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s").start()
    contents = [random_bytes(1000), random_bytes(3 * CHUNK_SIZE)]
    admin = vault.admin()
    ending = threading.Event()
    failures, rounds = [], []

    def guarded(work):
        try:
            while not ending.is_set():
                work()
                rounds.append(work)
        except Exception as failure:
            failures.append(failure)
            ending.set()

    def owner(number):
        client = vault.user(f"user{number}")
        own = random.Random(number)

        def work():
            data = own.choice(contents)
            if own.random() < 0.5:
                file_id = client.upload_multipart("file", data)["file_id"]
            else:
                file_id = client.upload(str(own.random()), "file", data, flights=1)["file_id"]
            assert client.content(file_id) == data
            client.delete(f"/files/{file_id}")
            client.delete(f"/trash/{file_id}")

        return work

    works = [owner(number) for number in range(3)] + [lambda: sweep(admin, "uploads", "trash", "unreferenced", "orphans")]
    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    ending.wait(8)
    ending.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert all(rounds.count(work) > 5 for work in works), "each had its share of the race"


# --- stopped ----------------------------------------------------------------------------------------------------------


def test_a_download_that_runs_is_finished_before_the_server_stops(vault, random_bytes):
    alice = vault.user()
    data = random_bytes(48 * MIB)  # more than sockets hold
    file_id = alice.upload_multipart("film", data)["file_id"]
    with alice.get(f"/files/{file_id}/download", stream=True) as answer:
        arrived = [answer.raw.read(64 * KIB)]
        vault.process.send_signal(signal.SIGTERM)
        with pytest.raises((requests.RequestException, UnexpectedAnswer)):
            deadline = time.monotonic() + DEADLINE_S
            while time.monotonic() < deadline:
                vault.client().get("/health/live")
        while block := answer.raw.read(MIB):
            arrived.append(block)
    assert b"".join(arrived) == data
    assert vault.wait() == 0


def test_an_upload_that_runs_is_finished_before_the_server_stops(vault, random_bytes):
    alice = vault.user()
    data = random_bytes(2 * MIB)
    upload = alice.start_upload("key", "film", len(data))
    with socket.create_connection(("127.0.0.1", vault.port)) as connection:
        connection.settimeout(DEADLINE_S)
        connection.sendall((f"PUT /uploads/{upload.id}/chunks/0 HTTP/1.1\r\nHost: vault\r\nExpect: 100-continue\r\n"
                            f"Authorization: Bearer {upload.token}\r\nContent-Length: {len(data)}\r\n"
                            f"Content-Digest: {content_digest(data)}\r\n\r\n").encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(data[:MIB])
        vault.process.send_signal(signal.SIGTERM)
        with pytest.raises((requests.RequestException, UnexpectedAnswer)):
            while True:
                vault.client().get("/health/live")
        connection.sendall(data[MIB:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 204")
    assert vault.wait() == 0
    vault.start()
    assert upload.missing([data]) == []


# --- the log ----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_log_and_none_in_clear_in_the_data(make_vault, random_bytes):
    vault = make_vault(LOG_LEVEL="debug").start()
    secrets = [ADMIN_PASSWORD, "correct horse battery", "sesame open", "not the password", "a-new-password-here"]
    alice, admin = vault.user(), vault.admin()
    secrets += [alice.token, alice.refresh_token, admin.token]
    alice.refresh()
    secrets += [alice.token, alice.refresh_token]
    data = random_bytes(1000)
    upload = alice.start_upload("key", "film", len(data))
    secrets.append(upload.token)
    upload.put(0, data)
    file_id = upload.commit([data], data)["file_id"]
    token = alice.share(file_id, password="sesame open")["share_token"]
    secrets.append(token)
    guest = vault.client()
    assert guest.open_share(token, "sesame open").content == data
    for call in (lambda: guest.open_share(token, "not the password", expect=401),
                 lambda: guest.post(f"/share/{token}/unlock", {"password": "sesame open"}),
                 lambda: guest.get(f"/share/{token}/info", expect=None),
                 lambda: guest.get(f"/s/{token}", expect=None),
                 lambda: guest.get(f"/no/such/route/{token}", expect=None),
                 lambda: guest.call("PUT", f"/share/{token}", expect=None),
                 lambda: guest.call("POST", "/auth/login", json={"username": "alice", "password": "not the password"}),
                 lambda: guest.call("POST", "/auth/login", data='{"username": "alice", "password": "not the password'),
                 lambda: guest.call("POST", "/auth/login", json={"username": "alice", "pasword": "not the password"}),
                 lambda: guest.call("GET", "/me", token="x" + alice.token),
                 lambda: alice.call("POST", "/auth/password", json={"old": "not the password"}),
                 lambda: alice.call("POST", "/auth/refresh", json={"refresh_token": "not the password"})):
        call()
    made = alice.call("POST", "/auth/tokens", json={"name": "script", "expires_in_days": 1})
    secrets += [value for name, value in made.json().items() if name in ("token", "secret") and made.status_code == 201]
    vault.stop()
    log = vault.log_text()
    assert "/share/{token}" in log
    assert [secret for secret in secrets if secret in log] == []
    kept = b"".join(path.read_bytes() for path in vault.data.glob("catalog.sqlite*"))
    assert [secret for secret in secrets if secret.encode() in kept] == []
