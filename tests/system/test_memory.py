"""What many users at once cost in memory, whatever they send and however large the lists are that they ask for."""

import contextlib
import itertools
import json
import os
import socket
import threading
import time

import pytest
from client import problem, sha256
from operations import World

pytestmark = pytest.mark.http

KIB, MIB = 1 << 10, 1 << 20
SANITIZED = os.environ.get("CHUNKVAULT_PRESET") in ("asan", "tsan")  # whose own memory grows
BUDGET = 24 * MIB  # of JSON that comes and of lists that go
CONNECTION = 128 * KIB  # what one costs, and a little
OWN = 24 * MIB  # what the allocator keeps besides, and the cache of lists
numbers = itertools.count(1)


@pytest.fixture
def vault(make_vault):
    return make_vault(CHUNK_BUFFERS=4, STALL_TIMEOUT="60s").start()


@pytest.fixture
def owner(vault):
    return vault.user()


class Sockets:
    """Requests sent by hand, each on a connection of its own."""

    def __init__(self, vault):
        self.vault = vault
        self.open = []

    def send(self, head, body=b""):
        connection = socket.create_connection(("127.0.0.1", self.vault.port), timeout=120)
        self.open.append(connection)
        connection.sendall(head + body)
        return connection

    def close(self):
        for connection in self.open:
            connection.close()


@pytest.fixture
def sockets(vault):
    made = Sockets(vault)
    yield made
    made.close()


def head(method, path, token="", length=0):
    login = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{login}Content-Length: {length}\r\n\r\n".encode()


@contextlib.contextmanager
def growth_below(vault, limit):
    before = vault.memory_peak_bytes()
    yield
    grown = vault.memory_peak_bytes() - before
    assert SANITIZED or grown < limit, f"{grown / MIB:.0f} MiB more, not less than {limit / MIB:.0f}"


def connections(vault):
    for line in vault.client().get("/metrics").text.splitlines():
        if line.startswith("chunkvault_active_connections "):
            return float(line.split()[1])
    raise AssertionError("no such metric")


def wait_for(condition, what, deadline_s=60):
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def at_once(count, work):
    failures = []

    def run(number):
        try:
            work(number)
        except Exception as failure:  # noqa: BLE001  shown below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


def test_a_body_that_is_announced_and_does_not_come_costs_nothing(vault, owner, sockets):
    upload = owner.start_upload("key", "file", 5 * MIB)
    count = 200
    with growth_below(vault, count * CONNECTION):
        for _ in range(count):
            sockets.send(head("POST", f"/uploads/{upload.id}/have", upload.token, MIB))
        wait_for(lambda: connections(vault) >= count, "all are connected")


def test_large_bodies_of_many_tiny_values_wait_for_each_other(vault, owner):
    upload = owner.start_upload("key", "file", 5 * MIB)
    body = b'{"chunks":[' + b"[]," * (MIB // 3 - 10) + b"[]]}"

    def ask(_):
        own = owner.again()
        answer = own.call("POST", f"/uploads/{upload.id}/have", token=upload.token, data=body, expect=400)
        assert "values" in problem(answer)["detail"]
        own.close()

    with growth_below(vault, BUDGET + 60 * CONNECTION + OWN):
        at_once(60, ask)


def test_large_answers_to_large_questions_are_all_given(vault, owner):
    upload = owner.start_upload("key", "file", 1000 * 4 * MIB)
    chunks = [{"index": index, "length": upload.chunk_size, "hash": sha256(str(index).encode())}
              for index in range(1000)]

    def ask(_):
        own = owner.again()
        answer = own.post(f"/uploads/{upload.id}/have", {"chunks": chunks}, token=upload.token)
        assert len(answer.json()["missing"]) == 1000
        own.close()

    with growth_below(vault, BUDGET + 60 * CONNECTION + OWN):
        at_once(60, ask)


def test_the_headers_of_many_batches_wait_for_each_other(vault, owner, sockets):
    """Each sends most of a header of 2 MiB, and then nothing."""
    part = b'{"files":[{"path":"' + b"x" * (MIB + MIB // 2)
    count = 60

    def begin(_):
        with contextlib.suppress(OSError):  # those that are too slow are cut off while others wait
            sockets.send(head("POST", "/files/batch", owner.token, 8 * MIB), part)

    with growth_below(vault, BUDGET + count * 256 * KIB + OWN):
        at_once(count, begin)
        owner.get("/me")


def test_strangers_cannot_send_much(vault, sockets):
    answer = vault.client().call("POST", "/auth/login", data=b'{"username":"' + b"x" * 8 * KIB + b'"}')
    assert answer.status_code == 413
    count = 500
    with growth_below(vault, count * CONNECTION + OWN):
        for _ in range(count):
            sockets.send(head("POST", "/auth/login", length=8 * KIB), b'{"username":"' + b"x" * 8000)
        wait_for(lambda: connections(vault) >= count, "all are connected")


def fill(owner, count=1000, tail=245):
    """Files without bytes whose names are long."""
    files = [{"path": f"{number:04}-" + "n" * tail, "size": 0, "hash": sha256(b"")} for number in range(count)]
    answer = owner.call("POST", "/files/batch", data=json.dumps({"files": files}).encode() + b"\n", expect=200)
    assert all(item["ok"] for item in answer.json()["items"])


def test_large_pages_of_many_users_wait_for_each_other(vault):
    """Also while those who asked take nothing of them for a while."""
    owners = [World(vault).owner for _ in range(10)]
    for owner in owners:
        fill(owner)
    count = 100
    answers = [None] * count

    def ask(number):
        owner = owners[number % len(owners)]
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
            connection.settimeout(120)
            connection.connect(("127.0.0.1", vault.port))
            # Another order for each, so that no two are one page of the cache.
            sort = ["name", "-name", "size", "-size", "modified_at", "-modified_at"][number // len(owners) % 6]
            connection.sendall(f"GET /files?limit={1000 - number}&sort={sort} HTTP/1.1\r\nHost: x\r\n"
                               f"Authorization: Bearer {owner.token}\r\nConnection: close\r\n\r\n".encode())
            got = bytearray()
            with contextlib.suppress(ConnectionError):
                while data := connection.recv(64 * KIB):
                    got += data
            answers[number] = bytes(got)

    with growth_below(vault, BUDGET + count * CONNECTION + OWN + 16 * MIB):
        at_once(count, ask)
    for number, answer in enumerate(answers):
        head_of, _, body = answer.partition(b"\r\n\r\n")
        assert head_of.startswith(b"HTTP/1.1 200"), head_of[:200]
        assert len(json.loads(body)["items"]) == 1000 - number


def test_who_takes_nothing_of_large_pages_keeps_nobody_waiting_for_long(vault, sockets):
    owners = [World(vault).owner for _ in range(4)]
    for owner in owners:
        fill(owner)
    for owner in owners:
        for _ in range(60):
            connection = socket.socket()
            sockets.open.append(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
            connection.connect(("127.0.0.1", vault.port))
            connection.sendall(f"GET /files?limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {owner.token}"
                               f"\r\n\r\n".encode())
    wait_for(lambda: connections(vault) >= 240, "all have asked")
    assert len(vault.user("somebody").get("/files", params={"limit": 1000}, timeout=60).json()["items"]) == 0


def test_a_search_gives_fewer_at_once_when_paths_are_long(vault, owner):
    folder = owner.make_folder("/".join(f"{level:02}" + "d" * 250 for level in range(20)))
    files = [{"path": f"found-{number}", "size": 0, "hash": sha256(b"")} for number in range(300)]
    owner.call("POST", "/files/batch", expect=200, data=json.dumps(
        {"folder_id": folder["id"], "files": files}).encode() + b"\n")
    first = owner.get("/files", params={"q": "found", "limit": 1000})
    assert len(first.content) < 2 * MIB and 1 < len(first.json()["items"]) < 300
    found = owner.list(q="found", limit=1000)
    assert sorted(entry["filename"] for entry in found) == sorted(file["path"] for file in files)
    owner.post("/files/trash", {"ids": [entry["id"] for entry in found]})
    items, cursor = [], None
    while cursor is not None or not items:
        page = owner.get("/trash", params={"limit": 1000} | ({"cursor": cursor} if cursor else {})).json()
        items += page["items"]
        cursor = page["next_cursor"]
    assert sorted(entry["filename"] for entry in items) == sorted(file["path"] for file in files)
