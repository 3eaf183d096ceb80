"""GET /changes: what a client that keeps its lists fresh is told, when, and for how long it may wait."""

import concurrent.futures
import contextlib
import itertools
import signal
import socket
import time

import pytest
import requests
from client import problem
from operations import World
from tus import Tus
from vault import PASSWORD

pytestmark = [pytest.mark.files, pytest.mark.main_job]

SOON_S = 5  # for what must come within the half second of a poll, on a busy machine
LONG_S = 30
MOST_OF_ONE_ACCOUNT = 16


def cursor_of(client):
    answer = client.get("/changes").json()
    assert (answer["items"], answer["more"], answer["reset"]) == ([], False, False)
    return answer["next_cursor"]


def changes(client, after, wait=0, **options):
    return client.get("/changes", params={"after": after, "wait": wait}, **options).json()


def told(answer):
    assert not answer["reset"]
    return [(item["change"], item.get("entry") and item["entry"]["filename"]) for item in answer["items"]]


@contextlib.contextmanager
def waiting(client, after, calls=1):
    """Calls that wait for a change; gives their futures of (seconds, response)."""
    gauge = waiting_at(client.url)

    def wait():
        again, begin = client.again(), time.monotonic()
        with contextlib.closing(again):
            answer = again.call("GET", "/changes", params={"after": after, "wait": LONG_S})
        return time.monotonic() - begin, answer

    with concurrent.futures.ThreadPoolExecutor(calls) as pool:
        futures = [pool.submit(wait) for _ in range(calls)]
        await_true(lambda: waiting_at(client.url) == gauge + calls)
        yield futures


def waiting_at(url):
    for line in requests.get(f"{url}/metrics", timeout=10).text.splitlines():
        if line.startswith("chunkvault_changes_waiting "):
            return int(float(line.split()[1]))
    raise AssertionError("no such gauge")


def await_true(condition):
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_client_follows_what_happens(world):
    owner, cursor = world.owner, cursor_of(world.owner)
    file_id = owner.upload_multipart("report", b"one")["file_id"]
    folder = owner.make_folder("papers")["id"]
    answer = changes(owner, cursor)
    assert told(answer) == [("uploaded", "report"), ("created", "papers")]
    uploaded = answer["items"][0]
    assert uploaded["id"] == file_id and uploaded["entry"] == owner.list()[1], "as it is in lists"
    cursor = answer["next_cursor"]
    assert changes(owner, cursor)["items"] == []

    owner.patch(f"/files/{file_id}", {"folder_id": folder, "filename": "Report"})
    (moved,) = changes(owner, cursor)["items"]
    assert (moved["change"], moved["folder_id"], moved["entry"]["folder_id"]) == ("moved", folder, folder)
    owner.delete(f"/files/{file_id}")
    (trashed,) = changes(owner, cursor)["items"]
    assert (trashed["change"], trashed["id"]) == ("trashed", file_id) and trashed["entry"]["trashed_at"]
    cursor = changes(owner, cursor)["next_cursor"]
    owner.delete(f"/trash/{file_id}")
    answer = changes(owner, cursor)
    assert (answer["items"][0]["change"], answer["items"][0]["id"], answer["items"][0]["entry"]) == \
        ("purged", file_id, None)


def test_a_download_of_a_link_is_told(shared_vault, world):
    owner, guest = world.owner, shared_vault.client()
    folder = owner.make_folder("shared")["id"]
    file_id = world.file(folder_id=folder)
    single, whole = world.share(file_id, max_downloads=5), world.share(folder)
    cursor = cursor_of(owner)
    for _ in range(2):
        guest.open_share(single["share_token"])
    guest.call("HEAD", f"/share/{single['share_token']}", expect=200)
    guest.call("GET", f"/share/{whole['share_token']}/files/{file_id}/download", expect=200)
    answer = changes(owner, cursor)
    downloads = {item["share_id"]: item for item in answer["items"]}
    assert {share: (item["change"], item["id"], item["count"]) for share, item in downloads.items()} == {
        single["share_id"]: ("share_downloaded", file_id, 2), whole["share_id"]: ("share_downloaded", file_id, 1)}
    assert changes(owner, answer["next_cursor"])["items"] == []


def test_links_are_told(world):
    file_id = world.file()
    cursor = cursor_of(world.owner)
    kinds = []
    share = world.share(file_id)
    for work in (lambda: None, lambda: world.owner.patch(f"/shares/{share['share_id']}", {"max_downloads": 1}),
                 lambda: world.owner.delete(f"/shares/{share['share_id']}")):
        work()
        answer = changes(world.owner, cursor)
        (item,) = answer["items"]
        assert (item["share_id"], item["id"]) == (share["share_id"], file_id)
        kinds.append(item["change"])
        cursor = answer["next_cursor"]
    assert kinds == ["share_created", "share_changed", "share_revoked"]


def test_a_file_that_arrives_by_a_request_is_told(shared_vault, world):
    folder = world.folder()
    request = world.owner.post(f"/files/{folder}/request", {}, expect=201).json()
    cursor = cursor_of(world.owner)
    door = Tus(shared_vault.client(), f"/request/{request['request_token']}/files")
    door.create("from a guest", 5, data=b"bytes")
    answer = changes(world.owner, cursor)
    assert told(answer) == [("uploaded", "from a guest"), ("file_arrived", "from a guest")]
    uploaded, arrived = answer["items"]
    assert (uploaded["id"], uploaded["folder_id"]) == (arrived["id"], folder)
    assert arrived["share_id"] == request["request_id"]


def test_a_wait_ends_with_the_change(shared_vault, world):
    token = world.share()["share_token"]
    for work, change in ((lambda: world.owner.make_folder("new"), "created"),
                         (lambda: shared_vault.client().open_share(token), "share_downloaded")):
        with waiting(world.owner, cursor_of(world.owner), calls=2) as calls:
            begin = time.monotonic()
            work()
            for call in calls:
                _, answer = call.result()
                assert [item["change"] for item in answer.json()["items"]] == [change]
            assert time.monotonic() - begin < SOON_S
    assert waiting_at(shared_vault.url) == 0


def test_a_wait_without_a_change_ends_in_time(world):
    stranger = World(world.vault).owner
    cursor, begin = cursor_of(world.owner), time.monotonic()
    stranger.make_folder("of another account")
    answer = changes(world.owner, cursor, wait=1)
    assert (answer["items"], answer["next_cursor"]) == ([], cursor)
    assert 1 <= time.monotonic() - begin < LONG_S


def test_what_is_there_already_is_not_waited_for(world):
    cursor = cursor_of(world.owner)
    world.owner.make_folder("new")
    begin = time.monotonic()
    assert told(changes(world.owner, cursor, wait=30)) == [("created", "new")]
    assert world.owner.get("/changes?wait=30").json()["items"] == []
    assert time.monotonic() - begin < SOON_S


@pytest.mark.parametrize("query", [
    "wait=31", "wait=-1", "wait=1.5", "wait=x", "wait=", "wait=99999999999999999999",
    "after=", "after=x", "after=!!!", "after=" + "A" * 5000, "after=bmFpMSwxLABi"])
def test_bad_input_is_refused(world, query):
    answer = world.owner.call("GET", f"/changes?{query}")
    assert (answer.status_code, problem(answer)["type"]) == (422, "urn:chunkvault:error:invalid_value")
    assert query.split("=")[0] in problem(answer)["detail"]


def test_a_cursor_of_another_account_tells_nothing_of_it(shared_vault, world):
    stranger = World(shared_vault)
    cursor = cursor_of(stranger.owner)
    stranger.file()
    world.file()
    answer = changes(world.owner, cursor)
    assert (answer["items"], answer["reset"]) == ([], True)


def test_an_api_token_that_can_only_read_may_follow(world):
    token = world.api_token(read_only=True)["token"]
    reader = world.vault.client()
    reader.token = token
    cursor = cursor_of(reader)
    world.owner.make_folder("new")
    assert told(changes(reader, cursor)) == [("created", "new")]


def test_many_changes_at_once_are_told_as_a_folder(world):
    folder = world.owner.make_folder("folder")["id"]
    files = [world.owner.make_folder(f"many/{number}")["id"] for number in range(60)]
    cursor = cursor_of(world.owner)
    world.owner.post("/files/move", {"ids": files, "folder_id": folder})
    items = changes(world.owner, cursor)["items"]
    assert [item["change"] for item in items] == ["folder", "folder"]
    assert folder in [item["folder_id"] for item in items]


def test_one_account_cannot_have_all_that_may_wait(shared_vault, world):
    cursor = cursor_of(world.owner)
    with waiting(world.owner, cursor, calls=MOST_OF_ONE_ACCOUNT) as calls:
        refused = world.owner.call("GET", "/changes", params={"after": cursor, "wait": 5}, expect=429)
        assert int(refused.headers["Retry-After"]) > 0 and "wait" in problem(refused)["detail"]
        assert changes(world.owner, cursor)["items"] == [], "without waiting it is answered"
        other = World(shared_vault).owner
        assert changes(other, cursor_of(other), wait=1)["items"] == []
        world.owner.make_folder("new")
        for call in calls:
            assert told(call.result()[1].json()) == [("created", "new")]


def test_those_who_wait_leave_connections_to_others(make_vault):
    vault = make_vault(MAX_CONNECTIONS=10).start()
    users = [vault.user(f"user{number}") for number in range(6)]
    cursors = [cursor_of(user) for user in users]
    for user in users:
        user.close()
    with contextlib.ExitStack() as stack:
        calls = [stack.enter_context(waiting(user, cursor))[0] for user, cursor in zip(users[:5], cursors)]
        answer = users[5].call("GET", "/changes", params={"after": cursors[5], "wait": 5})
        assert answer.status_code == 429
        for user in users[:5]:
            user.make_folder("new")
            user.close()
        assert all(call.result()[1].status_code == 200 for call in calls)


def test_an_account_that_is_disabled_waits_no_longer(shared_vault, world):
    with waiting(world.owner, cursor_of(world.owner)) as (call,):
        user_id = world.owner.get("/me").json()["user_id"]
        world.admin.patch(f"/admin/users/{user_id}", {"state": "disabled"})
        seconds, answer = call.result()
        assert answer.status_code == 401 and seconds < LONG_S


def test_a_login_that_ended_gets_no_changes(world):
    """Nobody wakes its call, but nothing is told to it either."""
    again = world.vault.client()
    again.login(world.username, PASSWORD)
    cursor = cursor_of(again)
    with waiting(again, cursor) as (call,):
        again.post("/auth/logout")
        world.owner.make_folder("new")
        assert call.result()[1].status_code == 401


def test_a_client_that_leaves_waits_no_longer(shared_vault, world):
    cursor = cursor_of(world.owner)
    with socket.create_connection(("127.0.0.1", shared_vault.port)) as connection:
        connection.sendall(f"GET /changes?after={cursor}&wait=30 HTTP/1.1\r\nHost: x\r\n"
                           f"Authorization: Bearer {world.owner.token}\r\n\r\n".encode())
        await_true(lambda: waiting_at(shared_vault.url) == 1)
    begin = time.monotonic()
    await_true(lambda: waiting_at(shared_vault.url) == 0)
    assert time.monotonic() - begin < SOON_S


def test_a_server_that_stops_does_not_wait_for_those_who_wait(vault):
    owner = vault.user()
    with waiting(owner, cursor_of(owner)) as (call,):
        begin = time.monotonic()
        vault.process.send_signal(signal.SIGTERM)
        _, answer = call.result()
        assert (answer.status_code, answer.json()["items"]) == (200, [])
        vault.stop()
        assert time.monotonic() - begin < SOON_S


def test_after_a_restart_a_client_goes_on(vault):
    owner = vault.user()
    cursor = cursor_of(owner)
    owner.make_folder("before")
    vault.restart()
    owner.make_folder("after")
    assert told(changes(owner, cursor)) == [("created", "before"), ("created", "after")]


def test_a_database_that_was_put_back_resets_its_clients(vault, tmp_path):
    owner = vault.user()
    owner.make_folder("kept")
    kept = cursor_of(owner)
    vault.stop()
    backup = {path: path.read_bytes() for path in vault.data.glob("catalog.sqlite*")}
    vault.start()
    cursors = []
    for name in ("lost", "lost too"):
        owner.make_folder(name)
        cursors.append(cursor_of(owner))
    vault.stop()
    for path in vault.data.glob("catalog.sqlite*"):
        path.unlink()
    for path, data in backup.items():
        path.write_bytes(data)
    vault.start()
    for number in itertools.count(1):
        for cursor in cursors:
            answer = changes(owner, cursor)
            assert (answer["items"], answer["reset"], answer["more"]) == ([], True, False), f"after {number - 1} changes"
            assert changes(owner, answer["next_cursor"])["reset"] is False
        if number > 4:
            break
        owner.make_folder(f"another {number}")
    assert told(changes(owner, kept)) == [("created", f"another {number}") for number in range(1, 5)]
