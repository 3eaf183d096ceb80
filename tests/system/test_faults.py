"""Damage below a running vault: copies that rot, stores that vanish, disks that fill, bodies that end early."""

import contextlib
import json
import shutil
import socket
import sqlite3
import subprocess
import time

import pytest
import requests
from client import content_digest, problem, sha256, split
from vault import server_program

pytestmark = pytest.mark.storage

KIB, MIB = 1 << 10, 1 << 20
CHUNK_SIZE = 64 * KIB
DEADLINE_S = 40  # the server looks at its stores every ten seconds
CUT = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError,
       requests.exceptions.ContentDecodingError)


@pytest.fixture
def small_chunks(make_vault):
    return make_vault(CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s").start()


def wait_for(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.05)
    return value


def store(vault, number):
    return vault.data / "stores" / f"store-{number}"


def copy_of(vault, number, chunk):
    digest = sha256(chunk)
    return store(vault, number) / "chunks" / digest[:2] / digest


def has_good_copy(vault, number, chunk):
    path = copy_of(vault, number, chunk)
    return path.exists() and path.read_bytes() == chunk


def flip(path, at=0):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def metric(vault, name):
    for line in vault.client().get("/metrics").text.splitlines():
        if line.split("{")[0].split(" ")[0] == name:
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def health(vault):
    return vault.client().get("/health", expect=(200, 503)).json()


@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "chunkvault-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Leaves no room; deleting the file that is returned makes room again."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (MIB, 4 * KIB):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return ballast


# --- damaged copies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_flipped_byte_is_never_served_and_the_copy_is_replaced(small_chunks, random_bytes, number):
    vault, data = small_chunks, random_bytes(3 * CHUNK_SIZE + 5)
    alice = vault.user()
    file_id = alice.upload_multipart("photo", data)["file_id"]
    chunk = split(data, CHUNK_SIZE)[1]
    flip(copy_of(vault, number, chunk), at=number * 1000)

    def mended():
        assert alice.content(file_id) == data
        return has_good_copy(vault, number, chunk)

    wait_for(mended, "the bad copy is replaced")
    wait_for(lambda: metric(vault, "chunkvault_chunks_repaired_total") >= 1, "the repair is counted")
    assert metric(vault, "chunkvault_bad_replicas_total") >= 1
    assert all(has_good_copy(vault, other, chunk) for other in (1, 2, 3))


def test_a_copy_cut_short_and_a_copy_made_longer_are_not_served(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(2 * CHUNK_SIZE)
    alice = vault.user()
    file_id = alice.upload_multipart("photo", data)["file_id"]
    chunk = split(data, CHUNK_SIZE)[0]
    with open(copy_of(vault, 1, chunk), "r+b") as file:
        file.truncate(CHUNK_SIZE // 2)
    with open(copy_of(vault, 2, chunk), "ab") as file:
        file.write(b"more")

    def mended():
        assert alice.content(file_id) == data
        return has_good_copy(vault, 1, chunk) and has_good_copy(vault, 2, chunk)

    wait_for(mended, "both bad copies are replaced")


@pytest.mark.parametrize("index", [0, 3])
def test_with_all_copies_damaged_no_wrong_byte_is_served(small_chunks, random_bytes, index):
    vault, data = small_chunks, random_bytes(4 * CHUNK_SIZE)
    alice = vault.user()
    file_id = alice.upload_multipart("photo", data)["file_id"]
    for number in (1, 2, 3):
        flip(copy_of(vault, number, split(data, CHUNK_SIZE)[index]), at=number)
    for _ in range(5):
        try:
            answer = alice.download(file_id, expect=(200, 500, 503))
        except CUT:
            assert index > 0
        else:
            assert answer.status_code in (500, 503)
            problem(answer)
        arrived = b""
        with contextlib.suppress(*CUT):
            with alice.get(f"/files/{file_id}/download", expect=None, stream=True) as streamed:
                if streamed.status_code == 200:
                    for block in streamed.iter_content(1000):
                        arrived += block
        assert data.startswith(arrived)
        assert len(arrived) <= index * CHUNK_SIZE


def test_an_upload_of_the_same_bytes_heals_what_was_lost_everywhere(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(CHUNK_SIZE)
    alice = vault.user()
    file_id = alice.upload_multipart("photo", data)["file_id"]
    for number in (1, 2, 3):
        flip(copy_of(vault, number, data))
    alice.upload_multipart("again", data)
    assert alice.content(file_id) == data


def test_a_deleted_copy_is_found_by_the_scrub_and_made_again(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(CHUNK_SIZE)
    alice, admin = vault.user(), vault.admin()
    alice.upload_multipart("photo", data)
    copy_of(vault, 2, data).unlink()
    database = sqlite3.connect(vault.data / "catalog.sqlite", timeout=DEADLINE_S)
    with database:  # as if no copy had been looked at for a long time
        database.execute("UPDATE replicas SET verified_at = 1")
    database.close()
    report = admin.post("/admin/sweeps/scrub").json()
    assert (report["examined"], report["changed"]) == (3, 1)
    wait_for(lambda: has_good_copy(vault, 2, data), "the deleted copy is made again")


@pytest.mark.parametrize("reason", ["EACCES", "EIO"])
def test_copies_that_cannot_be_read_for_a_while_stay_where_they_are_and_are_good_again(make_vault, disk, random_bytes,
                                                                                        reason):
    disk.on()
    paths = [disk.mount / name for name in ("a", "b", "c")]
    vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s", GC_GRACE="0s", SWEEP_INTERVAL="1s",
                       STORAGE_PATHS=",".join(map(str, paths))).start()
    data = random_bytes(3 * CHUNK_SIZE)
    alice, admin = vault.user(), vault.admin()
    file_id = alice.upload_multipart("photo", data)["file_id"]

    def kept():
        return sorted(file.relative_to(disk.mount) for path in paths for file in path.glob("chunks/*/*"))

    def storage():
        return admin.get("/admin/storage").json()

    files = wait_for(lambda: len(found := kept()) == 9 and found, "every chunk has its three copies")
    disk.fail_reads(reason)
    problem(alice.download(file_id, expect=503))
    vault.sql("UPDATE replicas SET verified_at = 1")
    wait_for(lambda: storage()["missing"] == 3, "the vault knows that it cannot read them")
    for sweep in ("scrub", "under_replicated", "surplus", "orphans", "store_trash", "contents"):
        admin.post(f"/admin/sweeps/{sweep}")
    problem(alice.download(file_id, expect=503))
    assert kept() == files

    disk.read_again()
    assert alice.content(file_id) == data
    wait_for(lambda: storage()["under_replicated"] == 0, "all copies count again")
    assert kept() == files
    assert alice.content(file_id) == data
    vault.stop()


# --- stores that vanish -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is stopped"])
def test_a_store_without_its_marker_is_left_alone(small_chunks, random_bytes, running):
    vault = small_chunks
    alice = vault.user()
    first, second = random_bytes(3 * CHUNK_SIZE), random_bytes(20 * CHUNK_SIZE)
    file_id = alice.upload_multipart("first", first)["file_id"]
    marker = store(vault, 1) / "vault.json"
    away = vault.folder / "vault.json"
    if not running:
        vault.stop()
    marker.rename(away)
    if not running:
        vault.start()
    before = sorted(store(vault, 1).rglob("*"))

    other_id = alice.upload_multipart("second", second)["file_id"]
    assert sorted(store(vault, 1).rglob("*")) == before
    degraded = wait_for(lambda: (found := health(vault))["status"] == "degraded" and found, "health says degraded")
    assert degraded["storage_nodes"]["local-1"] != "ok"
    assert str(store(vault, 1)) in admin_storage(vault)["local-1"]["problem"]
    assert [degraded["storage_nodes"][node] for node in ("local-2", "local-3")] == ["ok", "ok"]
    assert (alice.content(file_id), alice.content(other_id)) == (first, second)

    if not running:
        vault.stop()
    away.rename(marker)
    if not running:
        vault.start()
    wait_for(lambda: health(vault)["status"] == "ok", "health says ok again")
    vault.admin().post("/admin/sweeps/under_replicated")
    wait_for(lambda: all(has_good_copy(vault, 1, chunk) for chunk in split(second, CHUNK_SIZE)),
             "the store that came back gets what it missed")


def admin_storage(vault):
    return {store["node_id"]: store for store in vault.admin().get("/admin/storage").json()["stores"]}


def test_a_store_that_was_unusable_at_the_start_is_used_as_soon_as_it_can_be(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(3 * CHUNK_SIZE)
    marker, away = store(vault, 1) / "vault.json", vault.folder / "vault.json"
    vault.stop()
    marker.rename(away)
    vault.start()
    vault.user().upload_multipart("photo", data)
    # Where it is and what is wrong is for the administrator, and for the log.
    assert health(vault)["storage_nodes"]["local-1"] == "unusable"
    assert str(vault.data) not in vault.client().get("/health").text
    assert str(store(vault, 1)) in admin_storage(vault)["local-1"]["problem"]
    assert admin_storage(vault)["local-1"]["state"] == "down"
    assert "store_unusable" in vault.log_text()
    away.rename(marker)
    wait_for(lambda: health(vault)["status"] == "ok", "the store is used again")
    assert admin_storage(vault)["local-1"]["state"] == "up"
    vault.admin().post("/admin/sweeps/under_replicated")
    wait_for(lambda: all(has_good_copy(vault, 1, chunk) for chunk in split(data, CHUNK_SIZE)), "it gets its copies")


def test_a_folder_that_is_configured_no_more_does_not_count(make_vault, random_bytes):
    folders = [f"/{name}" for name in ("a", "b", "c", "d")]
    vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, REPLICATION_FACTOR=4)
    paths = [str(vault.folder) + folder for folder in folders]
    vault.settings["STORAGE_PATHS"] = ",".join(paths)
    alice = vault.start().user()
    file_id = alice.upload_multipart("photo", random_bytes(CHUNK_SIZE))["file_id"]
    wait_for(lambda: alice.info(file_id)["copies_present"] == 4, "four copies are there")
    vault.stop()
    vault.settings.update(STORAGE_PATHS=",".join(paths[:3]), REPLICATION_FACTOR=3)
    vault.start()
    assert admin_storage(vault)["local-4"]["state"] == "down"
    assert alice.info(file_id)["copies_present"] == 3
    assert "STORAGE_PATHS any more" in vault.log_text()
    vault.stop()
    vault.settings.update(STORAGE_PATHS=",".join(paths), REPLICATION_FACTOR=4)
    vault.start()
    assert alice.info(file_id)["copies_present"] == 4


def test_a_disk_that_hangs_does_not_hang_the_others(make_vault, disk, random_bytes):
    vault, data = make_vault(CHUNK_SIZE=CHUNK_SIZE), random_bytes(3 * CHUNK_SIZE)
    disk.on()
    paths = [vault.folder / "a", vault.folder / "b", disk.mount / "c"]
    vault.settings["STORAGE_PATHS"] = ",".join(map(str, paths))
    alice = vault.start().user()
    file_id = alice.upload_multipart("photo", data)["file_id"]
    disk.hang()
    wait_for(lambda: health(vault)["storage_nodes"]["local-3"] == "unusable", "health tells of the disk")
    assert health(vault)["storage_nodes"] == {"local-1": "ok", "local-2": "ok", "local-3": "unusable"}
    assert alice.content(file_id) == data
    alice.upload_multipart("more", data)
    disk.go_on()
    wait_for(lambda: health(vault)["status"] == "ok", "the disk is used again")
    vault.stop()


def test_sweeps_go_on_while_a_disk_hangs(make_vault, disk, random_bytes):
    vault = make_vault(CHUNK_SIZE=CHUNK_SIZE)
    disk.on()
    vault.settings["STORAGE_PATHS"] = ",".join(map(str, [vault.folder / "a", vault.folder / "b", disk.mount / "c"]))
    alice, admin = vault.start().user(), vault.admin()
    alice.upload_multipart("photo", random_bytes(CHUNK_SIZE))
    disk.hang()
    # It asks the disk, which is given up; and none of the others has to wait for it.
    admin.post("/admin/sweeps/orphans")
    for sweep in ("uploads", "scrub", "store_trash", "under_replicated"):
        admin.post(f"/admin/sweeps/{sweep}")
    disk.go_on()
    wait_for(lambda: health(vault)["status"] == "ok", "the disk is used again")
    assert admin.post("/admin/sweeps/orphans").json()["examined"] >= 0
    vault.stop()


def test_a_disk_that_comes_back_as_another_device_is_used_again(make_vault, tmp_path, random_bytes):
    with small_disk(tmp_path / "disk", "24m") as disk:
        vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, STORAGE_RESERVE=0,
                           STORAGE_PATHS=f"{tmp_path / 'a'},{tmp_path / 'b'},{disk / 'c'}").start()
        try:
            alice = vault.user()
            file_id = alice.upload_multipart("photo", random_bytes(CHUNK_SIZE))["file_id"]
            wait_for(lambda: alice.info(file_id)["copies_present"] == 3, "three copies are there")
            shutil.copytree(disk / "c", tmp_path / "kept")
            subprocess.run(["umount", "-l", disk], check=True)
            wait_for(lambda: health(vault)["storage_nodes"]["local-3"] == "unusable", "health tells of the disk")
            assert not (disk / "c").exists(), "nothing is made where the disk is not mounted"
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "chunkvault-test", disk], check=True)
            shutil.copytree(tmp_path / "kept", disk / "copying")
            (disk / "copying").rename(disk / "c")
            wait_for(lambda: health(vault)["status"] == "ok", "the disk is used again")
            data = random_bytes(CHUNK_SIZE)
            alice.upload_multipart("more", data)
            copy = disk / "c" / "chunks" / sha256(data)[:2] / sha256(data)
            wait_for(copy.exists, "it gets its copies")
        finally:
            vault.stop()


def test_a_server_ends_though_a_disk_hangs_and_keeps_what_it_has_acknowledged(make_vault, disk, random_bytes):
    vault, data = make_vault(CHUNK_SIZE=CHUNK_SIZE, STOP_TIMEOUT="1s"), random_bytes(3 * CHUNK_SIZE)
    disk.on()
    vault.settings["STORAGE_PATHS"] = ",".join(map(str, [vault.folder / "a", vault.folder / "b", disk.mount / "c"]))
    alice = vault.start().user()
    disk.hang()
    file_id = alice.upload_multipart("photo", data)["file_id"]
    vault.stop()
    assert "cut_off" in vault.log_text()
    disk.go_on()
    vault.start()
    assert alice.content(file_id) == data
    vault.stop()


def test_health_tells_whether_all_copies_are_on_one_disk(make_vault, tmp_path):
    with small_disk(tmp_path / "disk", "24m") as disk:
        for other, told in ((tmp_path / "c", True), (disk / "c", False)):
            vault = make_vault(STORAGE_PATHS=f"{tmp_path / 'a'},{tmp_path / 'b'},{other}",
                               DATA_DIR=tmp_path / f"data-{told}").start()
            try:
                assert ("notice" in health(vault)) == told
            finally:
                vault.stop()
            for name in ("a", "b"):
                (tmp_path / name).rename(tmp_path / f"{name}-{told}")


def test_a_secret_key_that_cannot_be_read_is_not_replaced(vault):
    alice, key = vault.user(), vault.data / "secret_key"
    vault.stop()
    kept = key.read_text()
    for spoil in (lambda: key.write_text("short"), lambda: key.write_text(""), key.mkdir):
        key.unlink()
        spoil()
        assert vault.launch().wait() != 0
        assert str(key) in vault.log_text().splitlines()[-1]
        if key.is_dir():
            key.rmdir()
            key.touch()
    key.write_text(kept)
    vault.start()
    assert alice.get("/me").json()["username"] == "alice"


def test_health_notices_a_database_that_cannot_be_read(vault):
    client = vault.client()
    assert client.get("/health/ready").status_code == 200
    with contextlib.closing(sqlite3.connect(vault.data / "catalog.sqlite")) as database:
        database.execute("ALTER TABLE migrations RENAME TO away")
        client.get("/health/ready", expect=503)
        assert client.get("/health", expect=503).json()["database"] == "unreachable"
        database.execute("ALTER TABLE away RENAME TO migrations")
    client.get("/health/ready", expect=200)


def test_with_two_stores_gone_uploads_are_refused_and_reads_go_on(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(3 * CHUNK_SIZE)
    alice = vault.user()
    file_id = alice.upload_multipart("kept", data)["file_id"]
    for number in (1, 3):
        (store(vault, number) / "vault.json").rename(vault.folder / f"vault{number}.json")
    answer = alice.call("POST", "/files/upload", files={"file": ("new", random_bytes(CHUNK_SIZE))}, expect=503)
    problem(answer)
    assert alice.content(file_id) == data
    assert [item["filename"] for item in alice.list()] == ["kept"]
    wait_for(lambda: health(vault)["status"] == "unavailable", "health says that nothing can be written")


def test_a_replaced_disk_gets_its_copies_again(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(10 * CHUNK_SIZE)
    alice = vault.user()
    file_id = alice.upload_multipart("photo", data)["file_id"]
    vault.stop()
    store(vault, 2).rename(vault.folder / "broken disk")
    store(vault, 2).mkdir()
    vault.start()
    assert health(vault)["status"] == "degraded"
    assert alice.content(file_id) == data
    vault.stop()
    settings = {name: str(value) for name, value in vault.settings.items()}
    subprocess.run([server_program(), "admin", "format-store", "local-2"], env=settings, check=True, cwd=vault.folder,
                   stdout=subprocess.DEVNULL)
    vault.start()
    vault.admin().post("/admin/sweeps/under_replicated")
    wait_for(lambda: all(has_good_copy(vault, 2, chunk) for chunk in split(data, CHUNK_SIZE)), "every copy is made")
    assert health(vault)["status"] == "ok"
    assert alice.content(file_id) == data


def test_a_second_server_on_the_same_data_folder_is_refused(small_chunks, make_vault, random_bytes):
    vault, data = small_chunks, random_bytes(CHUNK_SIZE)
    alice = vault.user()
    file_id = alice.upload_multipart("photo", data)["file_id"]
    second = make_vault(DATA_DIR=vault.data).launch()
    assert second.wait() != 0
    assert str(vault.data) in second.log_text() and "Another chunkvault-server" in second.log_text()
    assert alice.content(file_id) == data
    alice.upload_multipart("more", random_bytes(CHUNK_SIZE))


def test_health_and_metrics_tell_of_chunks_that_are_lost(small_chunks, random_bytes):
    vault, data = small_chunks, random_bytes(CHUNK_SIZE)
    alice, admin = vault.user(), vault.admin()
    alice.upload_multipart("photo", data)
    wait_for(lambda: all(has_good_copy(vault, number, data) for number in (1, 2, 3)), "three copies are there")
    for number in (1, 2, 3):
        copy_of(vault, number, data).unlink()
    vault.sql("UPDATE replicas SET verified_at = 1")
    admin.post("/admin/sweeps/scrub")
    assert "see /admin/storage/at-risk" in admin.post("/admin/sweeps/under_replicated").json()["note"]
    assert (health(vault)["status"], health(vault)["chunks"]) == ("degraded", "at_risk")
    assert metric(vault, "chunkvault_chunks_missing") == metric(vault, "chunkvault_chunks_under_replicated") == 1
    alice.upload_multipart("again", data)
    assert admin.post("/admin/sweeps/under_replicated").json()["note"] == ""
    assert (health(vault)["status"], health(vault)["chunks"]) == ("ok", "ok")
    assert metric(vault, "chunkvault_chunks_missing") == 0


# --- full disks -------------------------------------------------------------------------------------------------------


def check_full_disk(vault, alice, random_bytes, disk, database_too=False):
    kept = random_bytes(3 * CHUNK_SIZE)
    file_id = alice.upload_multipart("kept", kept)["file_id"]
    link, limited = (alice.share(file_id, **options) for options in ({}, {"max_downloads": 1}))
    ballast = fill(disk)
    refused = alice.call("POST", "/files/upload", files={"file": ("refused", random_bytes(40 * CHUNK_SIZE))})
    assert refused.status_code == 507, refused.text
    problem(refused)
    assert alice.content(file_id) == kept
    assert [item["filename"] for item in alice.list()] == ["kept"]
    for _ in range(3):
        assert vault.client().open_share(link["share_token"]).content == kept
    if database_too:
        # What cannot be counted is not given away.
        vault.client().open_share(limited["share_token"], expect=507)
    ballast.unlink()

    def accepted():
        answer = alice.call("POST", "/files/upload", files={"file": ("new", kept)}, expect=(201, 503, 507))
        return answer.status_code == 201

    wait_for(accepted, "uploads work again")
    assert vault.client().open_share(limited["share_token"]).content == kept
    vault.restart()
    assert {item["filename"] for item in alice.list()} == {"kept", "new"}
    assert all(alice.content(item["id"]) == kept for item in alice.list())


def test_full_stores_refuse_uploads_and_go_on_reading(make_vault, tmp_path, random_bytes):
    with small_disk(tmp_path / "disk", "24m") as disk:
        paths = ",".join(str(disk / name) for name in ("a", "b", "c"))
        vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, STORAGE_PATHS=paths, STORAGE_RESERVE=0).start()
        try:
            check_full_disk(vault, vault.user(), random_bytes, disk)
        finally:
            vault.stop()


def test_stores_that_were_full_at_the_start_refuse_uploads_as_full(make_vault, tmp_path, random_bytes):
    with small_disk(tmp_path / "disk", "24m") as disk:
        paths = ",".join(str(disk / name) for name in ("a", "b", "c"))
        vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, STORAGE_PATHS=paths, STORAGE_RESERVE=0).start()
        try:
            alice = vault.user()
            kept = random_bytes(3 * CHUNK_SIZE)
            file_id = alice.upload_multipart("kept", kept)["file_id"]
            vault.stop()
            fill(disk)
            vault.start()
            alice.call("POST", "/files/upload", files={"file": ("refused", random_bytes(CHUNK_SIZE))}, expect=507)
            assert alice.content(file_id) == kept
        finally:
            vault.stop()


def test_a_full_database_disk_refuses_uploads_and_goes_on_reading(make_vault, tmp_path, random_bytes):
    with small_disk(tmp_path / "disk", "16m") as disk:
        paths = ",".join(str(tmp_path / name) for name in ("a", "b", "c"))
        vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, DATA_DIR=disk / "data", STORAGE_PATHS=paths).start()
        try:
            check_full_disk(vault, vault.user(), random_bytes, disk, database_too=True)
        finally:
            vault.stop()


# --- bodies that end early --------------------------------------------------------------------------------------------


def send_cut_short(vault, client, path, body, byte_count, method="POST", token=None, **headers):
    """A request whose Content-Length announces the whole body, and only byte_count bytes of it; then the line ends."""
    headers = {"Host": "vault", "Authorization": f"Bearer {token or client.token}", "Content-Length": len(body),
               **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", vault.port)) as connection:
        connection.sendall(head.encode() + body[:byte_count])
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(DEADLINE_S)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while block := connection.recv(65536):
                answer += block
    assert not answer.startswith(b"HTTP/1.1 2"), answer


@pytest.mark.parametrize("missing", [1, 20, CHUNK_SIZE, 3 * CHUNK_SIZE])
def test_a_form_cut_short_leaves_nothing(shared_vault, random_bytes, missing):
    alice = shared_vault.user(f"form{missing}")
    body = (b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cut\"\r\n\r\n" +
            random_bytes(5 * CHUNK_SIZE) + b"\r\n--edge--\r\n")
    send_cut_short(shared_vault, alice, "/files/upload", body, len(body) - missing,
                   Content_Type="multipart/form-data; boundary=edge")
    assert alice.list() == []
    assert alice.get("/me").json()["used"] == 0


@pytest.mark.parametrize("missing", [1, 1000, CHUNK_SIZE])
def test_a_chunk_cut_short_is_still_missing(shared_vault, random_bytes, missing):
    alice = shared_vault.user(f"chunk{missing}")
    data = random_bytes(CHUNK_SIZE)
    upload = alice.start_upload("key", "cut", len(data))
    send_cut_short(shared_vault, alice, f"/uploads/{upload.id}/chunks/0", data, len(data) - missing, method="PUT",
                   token=upload.token, Content_Digest=content_digest(data))
    assert upload.missing([data]) == [0]
    assert alice.list() == []


@pytest.mark.parametrize("missing", [1, 1000, 4000])
def test_a_batch_cut_short_leaves_nothing(shared_vault, random_bytes, missing):
    alice = shared_vault.user(f"batch{missing}")
    files = {f"file{number}": random_bytes(1000) for number in range(5)}
    header = {"files": [{"path": name, "size": len(data), "hash": sha256(data)} for name, data in files.items()]}
    body = json.dumps(header).encode() + b"\n" + b"".join(files.values())
    send_cut_short(shared_vault, alice, "/files/batch", body, len(body) - missing,
                   Content_Type="application/octet-stream")
    assert alice.list() == []
    alice.call("POST", "/files/batch", data=body, expect=200)
    assert {item["filename"] for item in alice.list()} == files.keys()
