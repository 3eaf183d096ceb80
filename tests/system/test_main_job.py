"""The main job on the real server: an account, files in and out, a link for somebody else."""

import pytest
from client import problem, root_of, sha256, split

pytestmark = pytest.mark.main_job

MIB = 1 << 20


def test_a_file_goes_up_is_listed_and_comes_back(vault, random_bytes):
    alice = vault.user()
    data = random_bytes(9 * MIB + 5)
    answer = alice.upload_multipart("report.pdf", data)
    assert answer["status"] == "completed"
    assert (answer["filename"], answer["size"], answer["sha256"]) == ("report.pdf", len(data), sha256(data))
    chunk_size = alice.get("/").json()["chunk_size"]
    assert answer["chunk_count"] == len(split(data, chunk_size))
    assert answer["root"] == root_of(split(data, chunk_size))

    (listed,) = alice.list()
    assert (listed["id"], listed["kind"], listed["filename"], listed["size"]) == (
        answer["file_id"], "file", "report.pdf", len(data))
    assert alice.content(answer["file_id"]) == data
    assert alice.download(answer["file_id"], 100, 199).content == data[100:200]


@pytest.mark.parametrize("size", [0, 1, 4 * MIB, 4 * MIB + 1])
def test_sizes_at_the_edges_come_back(shared_vault, random_bytes, size):
    user = shared_vault.user(f"edge{size}")
    data = random_bytes(size)
    assert user.content(user.upload_multipart("edge", data)["file_id"]) == data


def test_a_resumable_upload_gives_the_same_file(vault, random_bytes):
    alice = vault.user()
    data = random_bytes(10 * MIB + 1)
    done = alice.upload("key-1", "film.mkv", data)
    assert alice.content(done["file_id"]) == data
    assert [item["filename"] for item in alice.list()] == ["film.mkv"]


def test_a_shared_link_opens_without_an_account(vault, random_bytes):
    alice = vault.user()
    data = random_bytes(MIB)
    file_id = alice.upload_multipart("photo.jpg", data)["file_id"]
    token = alice.share(file_id, password="sesame")["share_token"]
    guest = vault.client()
    problem(guest.open_share(token, expect=401))
    assert guest.open_share(token, "sesame").content == data


def test_another_user_sees_nothing_of_it(vault, random_bytes):
    alice, bob = vault.user("alice"), vault.user("bob")
    file_id = alice.upload_multipart("secret", random_bytes(1000))["file_id"]
    assert bob.list() == []
    problem(bob.call("GET", f"/files/{file_id}", expect=404))
    problem(bob.call("GET", f"/files/{file_id}/download", expect=404))


def test_files_are_there_after_a_kill_and_a_restart(vault, random_bytes):
    alice = vault.user()
    data = random_bytes(5 * MIB)
    file_id = alice.upload_multipart("kept", data)["file_id"]
    vault.kill()
    vault.start()
    assert alice.again().content(file_id) == data
    vault.restart()
    assert alice.again().content(file_id) == data
