"""Folders as ZIP, read by other programs: Info-ZIP's unzip and Python's zipfile."""

import io
import json
import os
import socket
import subprocess
import threading
import time
import zipfile
import zlib

import pytest
from client import TIMEOUT_S, problem, root_of, sha256
from operations import World

pytestmark = [pytest.mark.shares, pytest.mark.files]

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TIME = "2024-02-29T12:34:56Z"
TIME_S = 1709210096
UNZIP_LIMIT_S = 120
MOST_ENTRIES = 1_000_000


def opened(data):
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


def unzipped(data, folder):
    """What unzip makes of it: {path: bytes, or None for a folder}."""
    (folder / "a.zip").write_bytes(data)
    subprocess.run(["unzip", "-q", "a.zip", "-d", "out"], cwd=folder, check=True, timeout=UNZIP_LIMIT_S,
                   env={**os.environ, "LC_ALL": "C.UTF-8"})
    out = folder / "out"
    return {str(path.relative_to(out)): None if path.is_dir() else path.read_bytes() for path in out.glob("**/*")}


def tree(world, random_bytes):
    """A folder with what can go wrong in it: {path below it: bytes, or None for a folder}, and its id."""
    owner = world.owner
    top = owner.make_folder("Reisebilder – 旅")["id"]
    paths = {"empty file": b"", "small": b"small", "two chunks": random_bytes(5 * MIB), "naïve 🙂.txt": b"emoji",
             "sub/deep/in it": b"deep", "sub/same name": b"one", "same name": b"two", "empty folder": None,
             "sub/empty below": None, "quote'\"<b>&$`": b"quotes", "-rf": b"dash", " spaces ": b"spaces",
             "e\u0301".encode().decode(): b"composed"}
    for path, data in paths.items():
        folder, _, name = path.rpartition("/")
        if data is None:
            owner.make_folder(path, folder_id=top)
        else:
            where = owner.make_folder(folder, folder_id=top)["id"] if folder else top
            owner.upload_multipart(name, data, folder_id=where, modified_at=TIME)
    del paths["e\u0301"]
    paths["\u00e9"] = b"composed"  # names are composed
    paths |= {"sub": None, "sub/deep": None}
    return top, paths


def test_a_folder_is_what_was_put_into_it(world, guest, random_bytes, tmp_path):
    top, paths = tree(world, random_bytes)
    name = "Reisebilder – 旅"
    expected = {name: None} | {f"{name}/{path}": data for path, data in paths.items()}
    token = world.share(top)["share_token"]
    for answer in (world.owner.get(f"/files/{top}/zip"), guest.get(f"/share/{token}/zip")):
        assert answer.headers["Content-Type"] == "application/zip"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert "filename*=UTF-8''Reisebilder%20%E2%80%93%20%E6%97%85.zip" in answer.headers["Content-Disposition"]
        assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"]) == ("nosniff",
                                                                                                 "no-referrer")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        archive = opened(answer.content)
        read = {entry.filename.rstrip("/"): None if entry.is_dir() else archive.read(entry)
                for entry in archive.infolist()}
        assert read == expected
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    folder = tmp_path / "unzip"
    folder.mkdir()
    assert unzipped(answer.content, folder) == expected
    assert int((folder / "out" / name / "small").stat().st_mtime) == TIME_S  # also where the clock is not UTC


def test_a_folder_in_a_shared_one_and_an_empty_one(world, guest, random_bytes):
    top, _ = tree(world, random_bytes)
    token = world.share(top)["share_token"]
    items = {item["filename"]: item["id"] for item in guest.get(f"/share/{token}/files").json()["items"]}
    archive = opened(guest.get(f"/share/{token}/zip?folder_id={items['sub']}").content)
    assert sorted(archive.namelist()) == ["sub/", "sub/deep/", "sub/deep/in it", "sub/empty below/", "sub/same name"]
    assert opened(guest.get(f"/share/{token}/zip?folder_id={items['empty folder']}").content).namelist() == [
        "empty folder/"]
    for other in (items["small"], world.folder(), world.owner.get("/me").json()["root_folder_id"], "0"):
        answer = guest.call("GET", f"/share/{token}/zip?folder_id={other}")
        assert 400 <= answer.status_code < 500, other
        problem(answer)


def test_all_files_of_an_account(world):
    file_id = world.file(b"one")
    root = world.owner.get("/me").json()["root_folder_id"]
    answer = world.owner.get(f"/files/{root}/zip")
    assert 'filename="Files.zip"' in answer.headers["Content-Disposition"]
    assert opened(answer.content).namelist() == ["Files/", f"Files/{world.owner.info(file_id)['filename']}"]
    assert world.owner.call("GET", f"/files/{file_id}/zip").status_code == 422


def test_no_name_leads_out_of_the_folder_where_it_is_unpacked(world, guest):
    owner = world.owner
    top = owner.make_folder("top")["id"]
    for name in ("..\\..\\evil", "C:\\evil", "\\\\host\\share", "... ", "~"):
        owner.upload_multipart(name, b"x", folder_id=top)
    names = opened(owner.get(f"/files/{top}/zip").content).namelist()
    assert len(names) == 6
    for name in names:
        assert name.startswith("top/") and "\\" not in name and ".." not in name.split("/")


def test_what_is_in_the_trash_or_not_yet_there_is_left_out(world):
    owner = world.owner
    top = owner.make_folder("top")["id"]
    owner.upload_multipart("stays", b"x", folder_id=top)
    owner.delete(f"/files/{owner.upload_multipart('goes', b'x', folder_id=top)['file_id']}")
    owner.start_upload("key", "comes", 5, folder_id=top)
    assert opened(owner.get(f"/files/{top}/zip").content).namelist() == ["top/", "top/stays"]
    owner.delete(f"/files/{top}")
    assert owner.call("GET", f"/files/{top}/zip").status_code == 404


def test_a_zip_of_a_link_with_a_limit_spends_one_download(shared_vault, world):
    folder = world.owner.make_folder("limited")["id"]
    world.owner.upload_multipart("a", b"x", folder_id=folder)
    share = world.share(folder, max_downloads=2, password="sesame")
    token = share["share_token"]

    def ask(method="GET", **headers):
        return shared_vault.client().call(method, f"/share/{token}/zip", headers=headers)

    def downloads():
        return world.owner.get(f"/shares/{share['share_id']}").json()["downloads"]

    password = {"X-Share-Password": "sesame"}
    assert ask().status_code == 401
    assert ask("HEAD", **password).status_code == 200
    assert downloads() == 0
    for number in (1, 2):
        assert opened(ask(**password).content).namelist() == ["limited/", "limited/a"]
        assert downloads() == number
    for method in ("GET", "HEAD"):
        assert ask(method, **password).status_code == 410
    assert downloads() == 2
    counted = world.share(folder)
    shared_vault.client().get(f"/share/{counted['share_token']}/zip")
    assert world.owner.get(f"/shares/{counted['share_id']}").json()["downloads"] == 1


def test_of_eight_zips_at_once_a_limit_lets_three_through(shared_vault, world):
    folder = world.owner.make_folder("wanted")["id"]
    world.owner.upload_multipart("a", b"x", folder_id=folder)
    share = world.share(folder, max_downloads=3)
    statuses, barrier = [], threading.Barrier(8)

    def take():
        guest = shared_vault.client()
        barrier.wait()
        statuses.append(guest.call("GET", f"/share/{share['share_token']}/zip").status_code)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 3 + [410] * 5


def test_a_link_to_a_file_has_no_zip(world, guest):
    answer = guest.call("GET", f"/share/{world.share()['share_token']}/zip")
    assert (answer.status_code, problem(answer)["type"]) == (404, "urn:chunkvault:error:not_found")


# --- large ones ---


def test_more_entries_than_the_old_format_can_count(world, tmp_path):
    owner, many = world.owner, 66_000
    first = owner.make_folder("all/thousand")["id"]
    everything = owner.info(first)["folder_id"]
    lines = [{"path": f"file {number:04}", "size": 1, "hash": sha256(b"x")} for number in range(1000)]
    header = json.dumps({"folder_id": first, "files": lines}).encode()
    owner.call("POST", "/files/batch", data=header + b"\n" + b"x" * len(lines),
               headers={"Content-Type": "application/octet-stream"}, expect=200)
    ten = owner.make_folder("all/ten")["id"]
    for number in range(9):
        owner.post(f"/files/{first}/copy", {"folder_id": ten, "filename": f"copy {number}"})
    while True:
        count = 1000 + 9 * 1000 * sum(1 for item in owner.list(folder_id=everything) if item["id"] != first)
        if count > many:
            break
        owner.post(f"/files/{ten}/copy", {"folder_id": everything, "on_conflict": "keep_both"})
    data = owner.get(f"/files/{everything}/zip").content
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = archive.namelist()
    assert sum(not name.endswith("/") for name in names) == count
    assert len(set(names)) == len(names)
    assert archive.read(names[-1]) == b"x"
    (tmp_path / "many.zip").write_bytes(data)
    listed = subprocess.run(["unzip", "-tqq", "many.zip"], cwd=tmp_path, timeout=UNZIP_LIMIT_S, capture_output=True)
    assert listed.returncode == 0, listed.stdout[-1000:]


def test_more_than_a_zip_takes_is_refused_before_its_first_byte(make_vault):
    vault = make_vault().start()
    world = World(vault)
    top = world.owner.make_folder("top")["id"]
    one = world.owner.make_folder("one", folder_id=top)["id"]
    vault.sql("INSERT INTO files (owner_id, folder_id, kind, state, name, name_key, modified_at, created_at, updated_at)"
              " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
              " SELECT owner_id, folder_id, kind, state, 'f' || i, 'f' || i, modified_at, created_at,"
              " updated_at FROM files, n WHERE name = 'one'", MOST_ENTRIES)
    share = world.share(top, max_downloads=1)
    for client, path in ((world.owner, f"/files/{top}/zip"), (vault.client(), f"/share/{share['share_token']}/zip")):
        answer = client.call("GET", path)
        assert (answer.status_code, problem(answer)["type"]) == (422, "urn:chunkvault:error:invalid_value")
        assert "at most 1000000 files and folders" in answer.json()["detail"]
    assert client.call("HEAD", path).status_code == 422
    assert world.owner.get(f"/shares/{share['share_id']}").json()["downloads"] == 0
    assert opened(world.owner.get(f"/files/{one}/zip").content).namelist() == ["one/"]


def write_sparse(path, pieces):
    """Zeros take no room on the disk."""
    zeros = bytes(MIB)
    with open(path, "wb") as file:
        for piece in pieces:
            if piece == zeros[:len(piece)]:
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
        file.truncate(file.tell())


def test_a_file_beyond_4_gib_in_constant_memory(make_vault, tmp_path):
    vault = make_vault().start()
    owner = vault.user()
    chunk_size = owner.get("/").json()["chunk_size"]
    chunk, count = bytes(chunk_size), (4 * GIB + 16 * MIB) // chunk_size
    top = owner.make_folder("large")["id"]
    upload = owner.start_upload("key", "zeros", count * chunk_size, folder_id=top)
    upload.put(0, chunk)
    chunk_hash = sha256(chunk)
    for begin in range(1, count, 1000):
        declared = [{"index": index, "length": chunk_size, "hash": chunk_hash}
                    for index in range(begin, min(begin + 1000, count))]
        assert owner.post(f"/uploads/{upload.id}/have", {"chunks": declared}).json()["missing"] == []
    owner.post(f"/uploads/{upload.id}/commit", {"root": root_of([chunk] * count)})
    owner.upload_multipart("zzz after", b"after", folder_id=top)

    size, path = count * chunk_size, f"/files/{upload.file_id}/download"
    last_byte = owner.get(path, expect=206, headers={"Range": f"bytes={size - 1}-"})
    assert (last_byte.headers["Content-Range"], last_byte.content) == (f"bytes {size - 1}-{size - 1}/{size}", b"\0")
    across = owner.get(path, expect=206, headers={"Range": f"bytes={4 * GIB - 3}-{4 * GIB + 2}"})
    assert across.headers["Content-Range"] == f"bytes {4 * GIB - 3}-{4 * GIB + 2}/{size}"
    assert across.content == bytes(6)
    beyond = owner.get(path, expect=416, headers={"Range": f"bytes={size}-"})
    assert beyond.headers["Content-Range"] == f"bytes */{size}"

    before = vault.memory_peak_bytes()
    with owner.get(path, stream=True) as answer:
        assert answer.headers["Content-Length"] == str(size)
        assert sum(len(piece) for piece in answer.iter_content(MIB)) == size
    answer = owner.get(f"/files/{top}/zip", stream=True)
    write_sparse(tmp_path / "large.zip", answer.iter_content(MIB))
    if os.environ.get("CHUNKVAULT_PRESET") not in ("asan", "tsan"):  # whose own memory grows
        assert vault.memory_peak_bytes() - before < 64 * MIB
    archive = zipfile.ZipFile(tmp_path / "large.zip")
    assert [(entry.filename, entry.file_size) for entry in archive.infolist()] == [
        ("large/", 0), ("large/zeros", count * chunk_size), ("large/zzz after", 5)]
    crc = 0
    for _ in range(count):
        crc = zlib.crc32(chunk, crc)
    assert archive.getinfo("large/zeros").CRC == crc
    last = subprocess.run(["unzip", "-p", "large.zip", "large/zzz after"], cwd=tmp_path, timeout=UNZIP_LIMIT_S,
                          capture_output=True)
    assert (last.returncode, last.stdout) == (0, b"after")


# --- what goes wrong ---


def damage(vault, data):
    copies = [path for path in (vault.data / "stores").glob("*/chunks/*/*") if path.read_bytes() == data]
    assert len(copies) == 3
    for path in copies:
        path.write_bytes(bytes(len(data)))


def raw_answer(vault, path, token):
    """The bytes that come until the connection ends."""
    with socket.create_connection(("127.0.0.1", vault.port), TIMEOUT_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                           "Connection: close\r\n\r\n".encode())
        pieces = []
        while piece := connection.recv(MIB):
            pieces.append(piece)
    return b"".join(pieces)


def test_bytes_that_cannot_be_had_cut_the_connection(make_vault, random_bytes):
    vault = make_vault().start()
    world = World(vault)
    folder = world.owner.make_folder("folder")["id"]
    good, bad = random_bytes(MIB), random_bytes(MIB)
    world.owner.upload_multipart("a", good, folder_id=folder)
    whole = raw_answer(vault, f"/files/{folder}/zip", world.owner.token)
    assert whole.endswith(b"\r\n0\r\n\r\n")
    world.owner.upload_multipart("b", bad, folder_id=folder)
    damage(vault, bad)
    cut = raw_answer(vault, f"/files/{folder}/zip", world.owner.token)
    assert cut.startswith(b"HTTP/1.1 200 ") and len(cut) > MIB
    assert not cut.endswith(b"0\r\n\r\n")


def test_a_zip_that_cannot_begin_is_an_error_and_spends_nothing(make_vault):
    vault = make_vault().start()
    world = World(vault)
    folder = world.owner.make_folder("folder")["id"]
    world.owner.upload_multipart("a", b"some bytes", folder_id=folder)
    damage(vault, b"some bytes")
    share = world.share(folder, max_downloads=1)
    answer = vault.client().call("GET", f"/share/{share['share_token']}/zip")
    assert answer.status_code in (500, 503)
    problem(answer)
    assert world.owner.get(f"/shares/{share['share_id']}").json()["downloads"] == 0


def test_zips_that_nobody_takes_do_not_keep_others_from_their_files(make_vault, random_bytes):
    chunk_size, buffers = MIB, 4
    vault = make_vault(CHUNK_SIZE=chunk_size, CHUNK_BUFFERS=buffers).start()
    alice, bob = vault.user("alice"), vault.user("bob")
    folder, film = alice.make_folder("folder")["id"], random_bytes(16 * MIB)
    alice.upload_multipart("film", film, folder_id=folder)
    small_id = bob.upload_multipart("small", b"small")["file_id"]
    stalled = []
    try:
        for _ in range(3 * buffers):
            connection = socket.socket()
            stalled.append(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
            connection.settimeout(TIMEOUT_S)
            connection.connect(("127.0.0.1", vault.port))
            connection.sendall(f"GET /files/{folder}/zip HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                               f"Authorization: Bearer {alice.token}\r\n\r\n".encode())
        for connection in stalled:
            assert connection.recv(1) == b"H"  # each is under way
        for _ in range(5):
            begin = time.monotonic()
            assert bob.content(small_id) == b"small"
            assert time.monotonic() - begin < 3.5
        # Those that begin to take again get the rest from where they were.
        answers = []

        def take(connection):
            pieces = [b"H"]
            while piece := connection.recv(MIB):
                pieces.append(piece)
            answers.append(b"".join(pieces))

        threads = [threading.Thread(target=take, args=(connection,)) for connection in stalled[:3]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in answers:
            assert opened(unchunked(answer)).read("folder/film") == film
    finally:
        for connection in stalled:
            connection.close()


def unchunked(answer):
    """The body of a raw answer with chunked coding."""
    body, pieces = answer.partition(b"\r\n\r\n")[2], []
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return b"".join(pieces)
        pieces.append(body[:size])
        assert body[size:size + 2] == b"\r\n"
        body = body[size + 2:]
