"""Clients that take or send hardly anything: what they do to everybody else."""

import contextlib
import socket
import threading
import time

import pytest
from client import content_digest, problem

pytestmark = pytest.mark.files

KIB, MIB = 1 << 10, 1 << 20
CHUNK_SIZE = MIB
BUFFERS = 16
SOON_S = 3.5  # what somebody else may have to wait, on a busy machine too; the patience with slow bodies is 2 s of it


@pytest.fixture
def vault(make_vault):
    return make_vault(CHUNK_SIZE=CHUNK_SIZE, CHUNK_BUFFERS=BUFFERS).start()


@pytest.fixture
def connections():
    with contextlib.ExitStack() as stack:
        yield stack


def connect(vault, connections):
    connection = socket.socket()
    connections.enter_context(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", vault.port))
    return connection


def ask_and_take_nothing(vault, connections, path):
    connection = connect(vault, connections)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def announce_chunk(vault, connections, upload, index, chunk):
    """Sends the header of a PUT; the body is the caller's."""
    connection = connect(vault, connections)
    connection.sendall(f"PUT /uploads/{upload.id}/chunks/{index} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(chunk)}\r\n"
                       f"Authorization: Bearer {upload.token}\r\nContent-Digest: {content_digest(chunk)}\r\n\r\n"
                       .encode())
    return connection


class Dribble:
    """Sends a byte of each body ten times a second until the server closes it or the block ends."""

    def __init__(self, connections, body):
        self.connections = dict.fromkeys(connections, 0)
        self.body = body
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.wait(0.1):
            for connection, sent in self.connections.items():
                with contextlib.suppress(OSError):
                    connection.send(self.body[sent:sent + 1])
                    self.connections[connection] += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def buffers_in_use(vault):
    for line in vault.client().get("/metrics").text.splitlines():
        if line.startswith("chunkvault_chunk_buffer_bytes "):
            return float(line.split()[1])
    raise AssertionError("no such metric")


def wait_for(condition, what, deadline_s=30):
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def check_that_others_are_served(client, file_id, content, times=5):
    for number in range(times):
        begin = time.monotonic()
        assert client.content(file_id) == content
        downloaded = time.monotonic()
        client.upload_multipart(f"small-{number}", content)
        uploaded = time.monotonic()
        assert downloaded - begin < SOON_S
        assert uploaded - downloaded < SOON_S


def answers(connections):
    """The status lines that have come so far."""
    lines = []
    for connection in connections:
        connection.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            lines.append(connection.recv(64).split(b"\r\n")[0])
    return lines


def read_answer(connection, size):
    """The body of an answer of that many bytes."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(64 * KIB)
    head, _, body = data.partition(b"\r\n\r\n")
    pieces, count = [body], len(body)
    while count < size and (piece := connection.recv(MIB)):
        pieces.append(piece)
        count += len(piece)
    return head, b"".join(pieces)


def test_downloads_that_nobody_takes_do_not_keep_others_from_theirs(vault, connections, random_bytes):
    alice, bob = vault.user("alice"), vault.user("bob")
    film, small = random_bytes(16 * MIB), random_bytes(4 * KIB)
    token = alice.share(alice.upload_multipart("film", film)["file_id"])["share_token"]
    small_id = bob.upload_multipart("small", small)["file_id"]
    stalled = [ask_and_take_nothing(vault, connections, f"/share/{token}") for _ in range(3 * BUFFERS)]
    wait_for(lambda: buffers_in_use(vault) >= BUFFERS * CHUNK_SIZE / 2, "the downloads take memory")
    check_that_others_are_served(bob, small_id, small)
    # Those that begin to take again get the rest from where they were.
    for connection in stalled[::8]:
        head, body = read_answer(connection, len(film))
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == film


def test_chunks_that_dribble_in_do_not_keep_others_from_theirs(vault, connections, random_bytes):
    alice, bob = vault.user("alice"), vault.user("bob")
    chunk, small = random_bytes(CHUNK_SIZE), random_bytes(4 * KIB)
    small_id = bob.upload_multipart("small", small)["file_id"]
    upload = alice.start_upload("key", "film", 32 * CHUNK_SIZE)
    dribbling = [announce_chunk(vault, connections, upload, index, chunk) for index in range(2 * BUFFERS)]
    with Dribble(dribbling, chunk):
        wait_for(lambda: buffers_in_use(vault) >= BUFFERS * CHUNK_SIZE / 2, "the chunks take memory")
        check_that_others_are_served(bob, small_id, small)


def test_a_chunk_whose_bytes_do_not_come_takes_no_memory(vault, connections, random_bytes):
    alice, chunk = vault.user(), random_bytes(CHUNK_SIZE)
    upload = alice.start_upload("key", "film", 32 * CHUNK_SIZE)
    announced = [announce_chunk(vault, connections, upload, index, chunk) for index in range(2 * BUFFERS)]
    check_that_others_are_served(alice, alice.upload_multipart("small", b"small")["file_id"], b"small")
    assert buffers_in_use(vault) == 0
    announced[0].sendall(chunk)
    assert read_answer(announced[0], 0)[0].startswith(b"HTTP/1.1 204 ")


def announce_form(vault, connections, user, size):
    connection = connect(vault, connections)
    part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    connection.sendall(f"POST /files/upload HTTP/1.1\r\nHost: x\r\nContent-Length: {len(part) + size}\r\n"
                       f"Authorization: Bearer {user.token}\r\nContent-Type: multipart/form-data; boundary=B\r\n\r\n"
                       .encode() + part + bytes(100))  # more than could be the beginning of the next boundary
    return connection


def announce_batch(vault, connections, user, size):
    connection = connect(vault, connections)
    header = f'{{"files":[{{"path":"f","size":{size},"hash":"{"0" * 64}"}}]}}\n'
    connection.sendall(f"POST /files/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {len(header) + size}\r\n"
                       f"Authorization: Bearer {user.token}\r\n\r\n{header}".encode())
    return connection


@pytest.mark.parametrize("announce", [announce_form, announce_batch])
def test_other_bodies_that_dribble_in_are_ended_when_others_wait(vault, connections, announce):
    alice, bob, carol = (vault.user(name) for name in ("alice", "bob", "carol"))
    dribbling = [announce(vault, connections, user, CHUNK_SIZE) for user in (alice, bob) for _ in range(BUFFERS // 2)]
    with Dribble(dribbling, bytes(1000)):
        wait_for(lambda: buffers_in_use(vault) == BUFFERS * CHUNK_SIZE, "two accounts hold all the memory")
        begin = time.monotonic()
        carol.upload_multipart("small", b"small")
        assert time.monotonic() - begin < SOON_S
    assert b"HTTP/1.1 408 Request Timeout" in answers(dribbling)


def test_a_slow_chunk_is_ended_when_others_wait_and_can_be_sent_again(vault, connections, random_bytes):
    alice, bob, carol = (vault.user(name) for name in ("alice", "bob", "carol"))
    chunk = random_bytes(CHUNK_SIZE)
    uploads = [user.start_upload("key", "film", BUFFERS * CHUNK_SIZE) for user in (alice, bob)]
    dribbling = [announce_chunk(vault, connections, upload, index, chunk)
                 for upload in uploads for index in range(BUFFERS // 2)]
    with Dribble(dribbling, chunk):
        wait_for(lambda: buffers_in_use(vault) == BUFFERS * CHUNK_SIZE, "two accounts hold all the memory")
        begin = time.monotonic()
        carol.upload_multipart("small", b"small")
        assert time.monotonic() - begin < SOON_S
    assert set(answers(dribbling)) == {b"HTTP/1.1 408 Request Timeout"}
    for index in range(BUFFERS // 2):
        uploads[0].put(index, chunk)
