"""The three ways in: a form, a resumable upload, a batch. They obey the same rules about names, times and quotas."""

import dataclasses
import json
import threading

import pytest
from client import UnexpectedAnswer, problem, sha256
from operations import World

pytestmark = pytest.mark.files

CHUNK = 64 << 10


@pytest.fixture(scope="module")
def small_chunks(module_vaults):
    """The file's shared vault has small chunks, so that small files have several."""
    module_vaults(CHUNK_SIZE="64K")


@pytest.fixture
def world(small_chunks, shared_vault):
    return World(shared_vault)


@pytest.fixture
def owner(world):
    return world.owner


class Refused(AssertionError):
    def __init__(self, status, kind):
        self.status, self.kind = status, kind.removeprefix("urn:chunkvault:error:")
        super().__init__(f"{status} {kind}")


@dataclasses.dataclass
class Door:
    name: str
    put: object  # put(client, name, data, **fields) gives the committed file or raises Refused


def by_form(client, name, data, **fields):
    answer = client.call("POST", "/files/upload", files={"file": (name, data)}, data=fields)
    if not answer.ok:
        raise Refused(answer.status_code, problem(answer)["type"])
    return answer.json()


def by_upload(client, name, data, **fields):
    try:
        return client.upload(f"{name} {threading.get_ident()} {sha256(data)} {fields}"[:200], name, data, flights=1,
                             **fields)
    except UnexpectedAnswer as refusal:
        raise Refused(refusal.status, problem(refusal.response)["type"]) from None


def batch(client, files, **more):
    """files: (description, bytes) pairs."""
    line = json.dumps({"files": [description for description, _ in files], **more}).encode()
    return client.call("POST", "/files/batch", data=line + b"\n" + b"".join(data for _, data in files))


def described(path, data, **more):
    return {"path": path, "size": len(data), "hash": sha256(data), **more}, data


def by_batch(client, name, data, folder_id=None, **fields):
    answer = batch(client, [described(name, data, **fields)], **({"folder_id": folder_id} if folder_id else {}))
    if not answer.ok:
        raise Refused(answer.status_code, problem(answer)["type"])
    (item,) = answer.json()["items"]
    if not item["ok"]:
        raise Refused(item["error"]["status"], item["error"]["type"])
    return item["file"]


DOORS = [Door("form", by_form), Door("upload", by_upload), Door("batch", by_batch)]
each_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)


def at_once(count, work):
    """What work(number) gave or raised, all started together."""
    outcomes, barrier = [None] * count, threading.Barrier(count)

    def run(number):
        barrier.wait()
        try:
            outcomes[number] = work(number)
        except Refused as refusal:
            outcomes[number] = refusal

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def usage(client):
    me = client.get("/me").json()
    return me["used"], me["reserved"]


def give_up_uploads(client):
    """Those that lost a race stay open, for their owner to decide, and reserve their bytes until then."""
    for upload in client.get("/uploads").json()["items"]:
        client.delete(f"/uploads/{upload['upload_id']}", expect=204)


# --- content, time and conflicts ---


@each_door
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK])
def test_every_size_comes_back_with_its_hash(owner, random_bytes, door, size):
    data = random_bytes(size)
    done = door.put(owner, "file", data)
    assert (done["size"], done["sha256"], done["chunk_count"]) == (size, sha256(data), -(-size // CHUNK))
    assert owner.content(done["file_id"]) == data
    assert usage(owner) == (size, 0)


@each_door
@pytest.mark.parametrize("given, kept", [("2001-02-03T04:05:06Z", "2001-02-03T04:05:06Z"),
                                         ("2001-02-03T04:05:06.789012Z", "2001-02-03T04:05:06.789012Z"),
                                         ("2001-02-03T04:05:06+02:00", "2001-02-03T02:05:06Z"),
                                         ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
                                         ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z"),
                                         ("1904-01-01T00:00:00Z", "1904-01-01T00:00:00Z"),
                                         ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z")])
def test_the_time_of_a_file_is_kept(owner, door, given, kept):
    file_id = door.put(owner, "file", b"x", modified_at=given)["file_id"]
    assert owner.info(file_id)["modified_at"] == kept


@each_door
@pytest.mark.parametrize("policy, status, names, versions", [
    (None, "completed", ["a.txt"], 2),
    ("version", "completed", ["a.txt"], 2),
    ("keep_both", "completed", ["A (2).TXT", "a.txt"], 1),
    ("fail", "name_taken", ["a.txt"], 1),
])
def test_a_name_in_use_is_treated_as_asked(owner, door, policy, status, names, versions):
    first = door.put(owner, "a.txt", b"first")
    fields = {"on_conflict": policy} if policy else {}
    if status == "completed":
        second = door.put(owner, "A.TXT", b"second", **fields)
        assert owner.content(second["file_id"]) == b"second"
        assert (second["file_id"] == first["file_id"]) == (versions == 2)
    else:
        with pytest.raises(Refused) as refusal:
            door.put(owner, "A.TXT", b"second", **fields)
        assert (refusal.value.status, refusal.value.kind) == (409, status)
    assert sorted(item["filename"] for item in owner.list()) == names
    assert len(owner.get(f"/files/{first['file_id']}/versions").json()["items"]) == versions
    assert usage(owner)[1] == 0


@each_door
def test_a_folder_is_never_overwritten_by_a_file(owner, door):
    owner.make_folder("name")
    with pytest.raises(Refused) as refusal:
        door.put(owner, "NAME", b"x")
    assert (refusal.value.status, refusal.value.kind) == (409, "name_taken")
    assert door.put(owner, "name", b"x", on_conflict="keep_both")["filename"] == "name (2)"


@each_door
@pytest.mark.parametrize("folder", ["trashed", "a file", "unknown"])
def test_a_folder_that_is_none_takes_nothing(world, door, folder):
    owner = world.owner
    folder_id = {"trashed": world.folder, "a file": world.file, "unknown": lambda: "999999999"}[folder]()
    if folder == "trashed":
        owner.delete(f"/files/{folder_id}")
    before = owner.list()
    with pytest.raises(Refused) as refusal:
        door.put(owner, "file", b"x", folder_id=folder_id)
    assert refusal.value.status in (404, 409)
    assert owner.list() == before
    assert usage(owner)[1] == 0


@pytest.mark.parametrize("doors", [[door] * 8 for door in DOORS] + [DOORS * 3],
                         ids=[door.name for door in DOORS] + ["all"])
def test_of_many_with_one_name_exactly_one_wins(owner, doors):
    clients = [owner.again() for _ in doors]
    outcomes = at_once(len(doors), lambda number: doors[number].put(clients[number], "Name", b"%d" % number,
                                                                    on_conflict="fail"))
    winners = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert len(winners) == 1
    assert {(outcome.status, outcome.kind) for outcome in outcomes
            if outcome is not winners[0]} == {(409, "name_taken")}
    assert [item["id"] for item in owner.list()] == [winners[0]["file_id"]]
    give_up_uploads(owner)
    assert usage(owner) == (1, 0)


@each_door
def test_many_with_one_name_can_all_be_kept(owner, door):
    clients = [owner.again() for _ in range(8)]
    outcomes = at_once(8, lambda number: door.put(clients[number], "n.txt", b"%d" % number, on_conflict="keep_both"))
    names = ["n.txt"] + [f"n ({number}).txt" for number in range(2, 9)]
    assert sorted(outcome["filename"] for outcome in outcomes) == sorted(names)
    assert sorted(owner.content(item["id"]) for item in owner.list()) == [b"%d" % number for number in range(8)]


# --- quota ---


@each_door
def test_the_quota_is_exact_to_the_byte(world, random_bytes, door):
    owner, size = world.owner, 3 * CHUNK + 7
    world.admin.patch(f"/admin/users/{owner.user_id}", {"quota": size})
    with pytest.raises(Refused) as refusal:
        door.put(owner, "too large", random_bytes(size + 1))
    assert (refusal.value.status, refusal.value.kind) == (507, "quota_exceeded")
    assert (owner.list(), usage(owner)) == ([], (0, 0))
    file_id = door.put(owner, "fits", random_bytes(size))["file_id"]
    assert usage(owner) == (size, 0)
    with pytest.raises(Refused):
        door.put(owner, "one byte", b"x")
    door.put(owner, "nothing", b"")
    owner.delete(f"/files/{file_id}")
    with pytest.raises(Refused):
        door.put(owner, "one byte", b"x")  # what is in the trash counts
    owner.delete(f"/trash/{file_id}")
    world.admin.post("/admin/sweeps/trash")
    door.put(owner, "one byte", b"x")
    assert usage(owner) == (1, 0)


@each_door
def test_uploads_at_once_never_go_beyond_the_quota(world, random_bytes, door):
    owner, size = world.owner, CHUNK + 1
    world.admin.patch(f"/admin/users/{owner.user_id}", {"quota": 3 * size + size // 2})
    contents, clients = [random_bytes(size) for _ in range(8)], [owner.again() for _ in range(8)]
    outcomes = at_once(8, lambda number: door.put(clients[number], f"file {number}", contents[number]))
    good = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert all(outcome.status == 507 for outcome in outcomes if outcome not in good)
    assert len(good) == 3
    give_up_uploads(owner)
    assert usage(owner) == (3 * size, 0)
    assert len([item for item in owner.list() if item["status"] == "completed"]) == 3


def test_versions_and_copies_count_too(world):
    owner = world.owner
    world.admin.patch(f"/admin/users/{owner.user_id}", {"quota": 10})
    file_id = by_form(owner, "f", b"1234")["file_id"]
    by_form(owner, "f", b"5678")
    assert usage(owner) == (8, 0)
    answer = owner.call("POST", f"/files/{file_id}/copy", json={})
    assert (answer.status_code, problem(answer)["type"]) == (507, "urn:chunkvault:error:quota_exceeded")


def test_an_open_upload_reserves_and_its_end_gives_back(world):
    owner = world.owner
    world.admin.patch(f"/admin/users/{owner.user_id}", {"quota": 100})
    upload = owner.start_upload("k", "a", 80)
    assert usage(owner) == (0, 80)
    assert owner.call("POST", "/uploads", json={"key": "other", "name": "b", "size": 21}).status_code == 507
    owner.delete(f"/uploads/{upload.id}", expect=204)
    assert usage(owner) == (0, 0)
    owner.start_upload("other", "b", 100)


# --- the batch ---


def test_a_batch_makes_its_good_files_and_reports_the_bad_ones(owner, random_bytes):
    owner.upload_multipart("taken", b"x")
    large = random_bytes(3 * CHUNK + 1)
    wrong, _ = described("wrong", b"other")
    answer = batch(owner, [
        described("one", b"1"),
        ({**wrong, "size": 5}, b"12345"),
        described("a/b/two", large),
        described("a/../three", b"3"),
        described("empty", b""),
        described("taken", b"4", on_conflict="fail"),
        described("taken/below", b"5"),
        described("a/b/six", b"1"),
        described("x" * 256, b"6"),
    ])
    items = answer.json()["items"]
    assert [item["ok"] for item in items] == [True, False, True, False, True, False, False, True, False]
    kinds = [item["error"]["type"].split(":")[-1] for item in items if not item["ok"]]
    assert kinds == ["checksum_mismatch", "invalid_value", "name_taken", "name_taken", "invalid_value"]
    assert [item["path"] for item in owner.list(q="two")] == ["/a/b/two"]
    assert owner.content(items[2]["file"]["file_id"]) == large
    assert sorted(item["filename"] for item in owner.list()) == ["a", "empty", "one", "taken"]
    assert usage(owner) == (1 + 1 + len(large) + 0 + 1, 0)


def test_the_same_name_twice_in_a_batch_is_two_versions(owner):
    items = batch(owner, [described("f", b"first"), described("F", b"second")]).json()["items"]
    assert [item["file"]["version"] for item in items] == [1, 2]
    assert owner.content(items[0]["file"]["file_id"]) == b"second"


def test_a_batch_that_ends_early_leaves_nothing(owner):
    description, data = described("a/whole", b"x" * 1000)
    late, _ = described("late", b"y" * 1000)
    line = json.dumps({"files": [description, late]}).encode() + b"\n"
    for body in (line + data + b"y" * 999, line + data, line, line[:-5]):
        answer = owner.call("POST", "/files/batch", data=body)
        assert answer.status_code == 400
        problem(answer)
        assert (owner.list(), usage(owner)) == ([], (0, 0))


def test_a_batch_takes_a_thousand_files(owner):
    files = [described(f"d{number % 7}/f{number}", b"%d" % number) for number in range(1000)]
    items = batch(owner, files).json()["items"]
    assert [item["ok"] for item in items] == [True] * 1000
    assert sum(len(owner.list(folder_id=folder["id"], limit=1000)) for folder in owner.list()) == 1000
    assert owner.content(items[123]["file"]["file_id"]) == b"123"
    refusal = batch(owner, files + [described("more", b"")])
    assert refusal.status_code in (413, 422)


def test_a_batch_fills_the_quota_file_by_file(world):
    owner = world.owner
    world.admin.patch(f"/admin/users/{owner.user_id}", {"quota": 10})
    wrong, _ = described("wrong", b"54321")
    items = batch(owner, [(wrong, b"00000"), described("a", b"12345"), described("large", b"x" * 6),
                          described("b", b"67890"), described("c", b"1")]).json()["items"]
    assert [item["ok"] for item in items] == [False, True, False, True, False]
    assert [items[number]["error"]["status"] for number in (0, 2, 4)] == [422, 507, 507]
    assert sorted(item["filename"] for item in owner.list()) == ["a", "b"]
    assert usage(owner) == (10, 0)


def test_a_batch_that_is_sent_again_needs_no_room(world, random_bytes):
    owner, data = world.owner, random_bytes(3 * CHUNK + 1)
    world.admin.patch(f"/admin/users/{owner.user_id}", {"quota": len(data) + 5})
    files = [described("a", b"12345"), described("d/b", data)]
    first, again = (batch(owner, files).json()["items"] for _ in range(2))
    assert [(item["file"]["file_id"], item["file"]["version"]) for item in again] == [
        (item["file"]["file_id"], 1) for item in first]
    assert usage(owner) == (len(data) + 5, 0)


def test_many_clients_send_batches_into_the_same_folders(owner):
    clients = [owner.again() for _ in range(6)]
    files = [[described(f"shared/f{client}-{number}", b"%d %d" % (client, number)) for number in range(20)]
             for client in range(6)]
    outcomes = at_once(6, lambda number: batch(clients[number], files[number]).json()["items"])
    assert all(item["ok"] for items in outcomes for item in items)
    (folder,) = owner.list()
    assert len(owner.list(folder_id=folder["id"], limit=1000)) == 120
