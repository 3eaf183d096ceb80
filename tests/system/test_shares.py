"""Share links: for whoever holds one, for as long and as often as the owner says."""

import threading
import time

import pytest
from client import problem
from operations import World
from vault import PASSWORD

pytestmark = pytest.mark.shares

DEADLINE_S = 30
DATA = bytes(range(200)) * 5


def refused(answer, status, kind):
    assert (answer.status_code, problem(answer)["type"]) == (status, f"urn:chunkvault:error:{kind}")
    return answer


def shared(world, data=DATA, **options):
    return world.share(world.file(data), **options)


def fetch(guest, token, path="", method="GET", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return guest.call(method, f"/share/{token}{path}", headers=headers)


def downloads(world, share):
    return world.owner.get(f"/shares/{share['share_id']}").json()["downloads"]


# --- making links ---


def test_a_link_says_what_it_is_and_opens_the_bytes(shared_vault, world, guest):
    share = shared(world)
    assert share["share_url"] == f"{shared_vault.url}/s/{share['share_token']}"
    assert len(share["share_token"]) >= 22  # 128 bits
    assert (share["expires_at"], share["max_downloads"]) == (None, None)
    assert (share["password_required"], share["downloads"]) == (False, 0)
    answer = guest.open_share(share["share_token"])
    assert answer.content == DATA
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert guest.call("GET", f"/s/{share['share_token']}", allow_redirects=True).status_code == 200


def test_a_link_does_not_depend_on_the_host_that_was_asked(shared_vault, world):
    file_id = world.file()
    answer = world.owner.call("POST", f"/files/{file_id}/share", json={}, headers={"Host": "evil.example"})
    assert answer.json()["share_url"].startswith(f"{shared_vault.url}/s/")


@pytest.mark.parametrize("options", [
    {"expires_in_hours": 0}, {"expires_in_hours": -1}, {"expires_in_hours": 1 << 62}, {"expires_in_hours": 1 << 70},
    {"expires_in_hours": 1.5},
    {"expires_in_hours": "1"}, {"max_downloads": 0}, {"max_downloads": -1}, {"max_downloads": 1 << 70},
    {"max_downloads": True},
    {"password": ""}, {"password": "x" * 73}, {"password": "a\0b"}, {"password": 5}, {"unknown": 1},
])
def test_limits_that_cannot_be_are_refused(world, options):
    file_id, share = world.file(), shared(world)
    refused(world.owner.call("POST", f"/files/{file_id}/share", json=options), 422, "invalid_value")
    refused(world.owner.call("PATCH", f"/shares/{share['share_id']}", json=options), 422, "invalid_value")
    assert [item["share_id"] for item in world.owner.get("/shares").json()["items"]] == [share["share_id"]]


def test_links_are_listed_in_pages_with_their_counts(world, guest):
    file_id = world.file()
    shares = [world.share(file_id) for _ in range(3)] + [shared(world)]
    guest.open_share(shares[1]["share_token"])
    items, cursor = [], None
    while True:
        page = world.owner.get("/shares", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert [item["share_id"] for item in items] == [share["share_id"] for share in reversed(shares)]
    assert [item["downloads"] for item in items] == [0, 0, 1, 0]
    assert [item["share_token"] for item in items] == [share["share_token"] for share in reversed(shares)]
    of_file = world.owner.get("/shares", params={"file_id": file_id}).json()["items"]
    assert len(of_file) == 3


# --- the end of a link ---


def test_a_link_whose_time_is_over_is_gone(shared_vault, world, guest):
    share, other = shared(world, expires_in_hours=1), shared(world, expires_in_hours=1)
    token = share["share_token"]
    assert guest.open_share(token).content == DATA
    shared_vault.sql("UPDATE shares SET expires_at = 1 WHERE id = ?", share["share_id"])
    for path in ("", "/info"):
        refused(fetch(guest, token, path), 410, "gone")
    refused(fetch(guest, token, Range="bytes=0-9"), 410, "gone")
    assert guest.open_share(other["share_token"]).content == DATA
    assert downloads(world, share) == 1
    world.owner.patch(f"/shares/{share['share_id']}", {"expires_in_hours": 1})
    assert guest.open_share(token).content == DATA


def test_a_revoked_link_and_one_that_never_was_look_the_same(world, guest):
    share = shared(world)
    world.owner.delete(f"/shares/{share['share_id']}", expect=204)
    for path in ("", "/info", "/files", "/files/1/download"):
        answers = [refused(fetch(guest, token, path), 404, "not_found") for token in (share["share_token"], "A" * 22)]
        assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert world.owner.get("/shares").json()["items"] == []
    refused(world.owner.call("GET", f"/shares/{share['share_id']}"), 404, "not_found")


def test_a_link_ends_with_its_file_and_comes_back_with_it(world, guest):
    file_id = world.file(DATA)
    token = world.share(file_id)["share_token"]
    world.owner.delete(f"/files/{file_id}")
    refused(fetch(guest, token), 404, "not_found")
    world.owner.post(f"/files/{file_id}/restore", {})
    assert guest.open_share(token).content == DATA
    world.owner.delete(f"/files/{file_id}")
    world.owner.delete(f"/trash/{file_id}")
    refused(fetch(guest, token), 404, "not_found")


def test_a_link_leads_to_the_current_version_under_the_current_name(world, guest):
    file_id = world.owner.upload_multipart("f", b"first")["file_id"]
    token = world.share(file_id)["share_token"]
    world.owner.upload_multipart("f", b"second")
    world.owner.patch(f"/files/{file_id}", {"filename": "renamed"})
    answer = guest.open_share(token)
    assert answer.content == b"second"
    assert 'filename="renamed"' in answer.headers["Content-Disposition"]


def test_a_link_can_be_made_before_the_file_is_there(world, guest):
    upload = world.upload(DATA)
    token = world.share(upload.file_id)["share_token"]
    answer = refused(fetch(guest, token), 409, "not_yet_complete")
    assert int(answer.headers["Retry-After"]) > 0
    assert fetch(guest, token, "/info").json()["item"]["status"] == "uploading"
    upload.put(0, DATA)
    upload.commit([DATA], DATA)
    assert guest.open_share(token).content == DATA


def test_a_link_is_changed(world, guest):
    share = shared(world, max_downloads=1, password="sesame", expires_in_hours=1)
    token, path = share["share_token"], f"/shares/{share['share_id']}"
    guest.open_share(token, "sesame")
    refused(fetch(guest, token, X_Share_Password="sesame"), 410, "gone")
    assert world.owner.patch(path, {"max_downloads": 2}).json()["max_downloads"] == 2
    guest.open_share(token, "sesame")
    changed = world.owner.patch(path, {"max_downloads": None, "password": "other"}).json()
    assert (changed["max_downloads"], changed["password_required"]) == (None, True)
    assert changed["expires_at"] == share["expires_at"]
    refused(fetch(guest, token, X_Share_Password="sesame"), 401, "share_password_required")
    guest.open_share(token, "other")
    changed = world.owner.patch(path, {"password": None, "expires_in_hours": None}).json()
    assert (changed["password_required"], changed["expires_at"]) == (False, None)
    assert guest.open_share(token).content == DATA


# --- passwords ---


def test_a_password_opens_by_header_or_by_cookie(shared_vault, world):
    token, other = (shared(world, password="sésame")["share_token"] for _ in range(2))
    guest = shared_vault.client()
    for path in ("", "/files"):
        refused(fetch(guest, token, path), 401, "share_password_required")
    assert fetch(guest, token, "/info").json() == {"password_required": True}
    refused(fetch(guest, token, X_Share_Password="wrong"), 401, "share_password_required")
    assert fetch(guest, token, X_Share_Password="sésame".encode()).content == DATA

    refused(guest.call("POST", f"/share/{token}/unlock", json={"password": "wrong"}), 401, "share_password_required")
    refused(fetch(guest, token), 401, "share_password_required")
    answer = guest.call("POST", f"/share/{token}/unlock", json={"password": "sésame"}, expect=204)
    cookie = answer.headers["Set-Cookie"]
    assert f"Path=/share/{token};" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert fetch(guest, token).content == DATA
    assert fetch(guest, token, "/info").json()["password_required"] is False
    value = cookie.split(";")[0]
    refused(fetch(shared_vault.client(), other, Cookie=value), 401, "share_password_required")
    refused(fetch(shared_vault.client(), token, Cookie=value[:-2]), 401, "share_password_required")


def test_a_changed_password_ends_the_cookies(shared_vault, world):
    share = shared(world, password="sesame")
    token, guest = share["share_token"], shared_vault.client()
    guest.call("POST", f"/share/{token}/unlock", json={"password": "sesame"}, expect=204)
    world.owner.patch(f"/shares/{share['share_id']}", {"password": "other"})
    refused(fetch(guest, token), 401, "share_password_required")


def test_guesses_at_a_password_are_limited_for_the_link(make_vault):
    vault = make_vault(SHARE_PASSWORD_LIMIT=3).start()
    world, guest = World(vault), vault.client()
    token, other = (shared(world, password="sesame")["share_token"] for _ in range(2))
    for _ in range(2):
        refused(fetch(guest, token, X_Share_Password="wrong"), 401, "share_password_required")
    refused(guest.call("POST", f"/share/{token}/unlock", json={"password": "wrong"}), 401, "share_password_required")
    for answer in (fetch(guest, token, X_Share_Password="sesame"),
                   guest.call("POST", f"/share/{token}/unlock", json={"password": "sesame"})):
        refused(answer, 429, "too_many_requests")
        assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert guest.open_share(other, "sesame").content == DATA


# --- numbers of downloads ---


def test_a_link_is_used_as_often_as_it_may_be(shared_vault, world):
    share = shared(world, max_downloads=2)
    token = share["share_token"]
    for left in (2, 1):
        guest = shared_vault.client()
        assert fetch(guest, token, "/info").json()["downloads_left"] == left
        assert fetch(guest, token, method="HEAD").status_code == 200
        assert guest.open_share(token).content == DATA
    refused(fetch(shared_vault.client(), token), 410, "gone")
    assert downloads(world, share) == 2


def test_of_sixteen_at_once_exactly_five_get_through(shared_vault, world):
    share = shared(world, max_downloads=5)
    statuses, barrier = [], threading.Barrier(16)

    def open_it():
        guest = shared_vault.client()
        barrier.wait()
        statuses.append(fetch(guest, share["share_token"]).status_code)

    threads = [threading.Thread(target=open_it) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 5 + [410] * 11
    assert downloads(world, share) == 5


@pytest.mark.parametrize("by", ["cookie", "If-Range"])
def test_a_download_goes_on_without_being_counted_again(shared_vault, world, by):
    share = shared(world, max_downloads=1)
    token, size = share["share_token"], len(DATA)
    first = fetch(shared_vault.client(), token, Range="bytes=0-99")
    assert (first.status_code, first.content) == (206, DATA[:100])
    ticket = {"cookie": {"Cookie": first.headers["Set-Cookie"].split(";")[0]},
              "If-Range": {"If-Range": first.headers["ETag"]}}[by]

    def part(begin, end):
        return fetch(shared_vault.client(), token, Range=f"bytes={begin}-{end - 1}", **ticket)

    assert part(100, size).content == DATA[100:]
    assert part(0, size // 2).content == DATA[:size // 2]
    assert downloads(world, share) == 1
    # Twice the bytes may be read in all, so that a part can be sent again; then the ticket is used up.
    refused(part(0, size), 410, "gone")
    assert part(0, size // 2).status_code == 206
    refused(part(0, 1), 410, "gone")


def test_a_ticket_is_for_its_link_only_and_for_ranges_only(shared_vault, world):
    token, other = (shared(world, max_downloads=1)["share_token"] for _ in range(2))
    first = fetch(shared_vault.client(), token, Range="bytes=0-0")
    cookie = first.headers["Set-Cookie"].split(";")[0]
    refused(fetch(shared_vault.client(), token, Cookie=cookie), 410, "gone")  # the whole again
    assert fetch(shared_vault.client(), other, Range="bytes=0-0").status_code == 206
    refused(fetch(shared_vault.client(), other, Range="bytes=1-5", Cookie=cookie), 410, "gone")
    refused(fetch(shared_vault.client(), token, Range="bytes=1-5", Cookie="cv_ticket=guessed"), 410, "gone")
    refused(fetch(shared_vault.client(), token, Range="bytes=1-5"), 410, "gone")
    assert fetch(shared_vault.client(), token, Range="bytes=1-5", Cookie=cookie).content == DATA[1:6]


def test_a_range_beyond_the_end_spends_nothing(shared_vault, world):
    share = shared(world, max_downloads=1)
    refused(fetch(shared_vault.client(), share["share_token"], Range="bytes=5000-"), 416, "range_not_satisfiable")
    assert downloads(world, share) == 0
    shared_vault.client().open_share(share["share_token"])


def test_a_download_whose_bytes_cannot_be_had_spends_nothing(make_vault):
    vault = make_vault().start()
    world = World(vault)
    share = shared(world, max_downloads=1)
    copies = [path for path in (vault.data / "stores").glob("*/chunks/*/*") if path.read_bytes() == DATA]
    assert len(copies) == 3
    for path in copies:
        path.write_bytes(bytes(len(DATA)))
    for _ in range(2):
        answer = fetch(vault.client(), share["share_token"])
        assert answer.status_code in (500, 503)
        assert "Set-Cookie" not in answer.headers
    assert downloads(world, share) == 0


def test_a_used_up_link_says_so_to_head_too(shared_vault, world, guest):
    token = shared(world, max_downloads=1)["share_token"]
    assert fetch(guest, token, method="HEAD").status_code == 200
    first = fetch(shared_vault.client(), token, Range="bytes=0-9")
    assert fetch(shared_vault.client(), token, method="HEAD").status_code == 410
    refused(fetch(shared_vault.client(), token), 410, "gone")
    ticket = first.headers["Set-Cookie"].split(";")[0]
    assert fetch(shared_vault.client(), token, method="HEAD", Cookie=ticket).status_code == 200
    assert fetch(shared_vault.client(), token, method="HEAD", If_Range=first.headers["ETag"]).status_code == 200
    invented = first.headers["ETag"].split("-")[0] + '-invented"'
    for ticket in ({"Cookie": "cv_ticket=invented"}, {"If_Range": invented}):
        assert fetch(shared_vault.client(), token, method="HEAD", **ticket).status_code == 410


def test_a_limit_below_the_downloads_so_far_leaves_none(world, guest):
    share = shared(world, max_downloads=3)
    for _ in range(2):
        guest.open_share(share["share_token"])
    world.owner.patch(f"/shares/{share['share_id']}", {"max_downloads": 1})
    assert fetch(guest, share["share_token"], "/info").json()["downloads_left"] == 0


# --- folders ---


@pytest.fixture
def folder(world):
    """A shared folder with a file, a folder with a file in it, and a file beside it that is not shared."""
    owner = world.owner
    top, below = owner.make_folder("top")["id"], owner.make_folder("top/below")["id"]
    return {"top": top, "below": below, "token": world.share(top)["share_token"],
            "inside": owner.upload_multipart("inside", b"inside", folder_id=top)["file_id"],
            "deep": owner.upload_multipart("deep", b"deep", folder_id=below)["file_id"],
            "outside": owner.upload_multipart("outside", b"outside")["file_id"]}


def test_a_shared_folder_gives_what_lies_within(guest, folder):
    token = folder["token"]
    assert fetch(guest, token, "/info").json()["item"]["kind"] == "folder"
    items = fetch(guest, token, "/files").json()["items"]
    assert [(item["filename"], item["kind"]) for item in items] == [("below", "folder"), ("inside", "file")]
    (deep,) = fetch(guest, token, f"/files?folder_id={folder['below']}").json()["items"]
    assert deep["filename"] == "deep"
    for name in ("inside", "deep"):
        assert fetch(guest, token, f"/files/{folder[name]}/download").content == name.encode()
    page = fetch(guest, token, "/files?limit=1").json()
    rest = fetch(guest, token, f"/files?limit=1&cursor={page['next_cursor']}").json()
    assert page["items"] + rest["items"] == items


def test_a_shared_folder_gives_nothing_else(shared_vault, world, guest, folder):
    root, foreign = world.owner.get("/me").json()["root_folder_id"], World(shared_vault).file()
    for other in (folder["outside"], root, foreign, "999999999"):
        refused(fetch(guest, folder["token"], f"/files/{other}/download"), 404, "not_found")
        refused(fetch(guest, folder["token"], f"/files?folder_id={other}"), 404, "not_found")
    one_file = world.share(folder["inside"])["share_token"]
    for path in ("/files", f"/files/{folder['inside']}/download", f"/files/{folder['deep']}/download"):
        refused(fetch(guest, one_file, path), 404, "not_found")


@pytest.mark.parametrize("leave", ["the file moves out", "its folder moves out", "the file is trashed",
                                   "its folder is trashed"])
def test_what_leaves_a_shared_folder_is_not_shared_any_more(world, guest, folder, leave):
    what = folder["below" if "folder" in leave else "deep"]
    if "moves" in leave:
        world.owner.patch(f"/files/{what}", {"folder_id": world.owner.get("/me").json()["root_folder_id"]})
    else:
        world.owner.delete(f"/files/{what}")
    refused(fetch(guest, folder["token"], f"/files/{folder['deep']}/download"), 404, "not_found")
    if "folder" in leave:
        refused(fetch(guest, folder["token"], f"/files?folder_id={folder['below']}"), 404, "not_found")
    assert fetch(guest, folder["token"], f"/files/{folder['inside']}/download").content == b"inside"


def test_what_was_listed_before_follows_every_change(world, guest, folder):
    owner, token, path = world.owner, folder["token"], f"/files?folder_id={folder['below']}"

    def seen():
        listed = [[item["filename"] for item in fetch(guest, token, path).json()["items"]] for _ in range(2)]
        info = [owner.info(folder["deep"])["path"] for _ in range(2)]
        versions = [len(owner.get(f"/files/{folder['deep']}/versions").json()["items"]) for _ in range(2)]
        assert (listed[0], info[0], versions[0]) == (listed[1], info[1], versions[1])
        return listed[0], info[0], versions[0]

    assert seen() == (["deep"], "/top/below/deep", 1)
    owner.patch(f"/files/{folder['deep']}", {"filename": "renamed"})
    assert seen() == (["renamed"], "/top/below/renamed", 1)
    owner.patch(f"/files/{folder['top']}", {"filename": "above"})
    assert seen() == (["renamed"], "/above/below/renamed", 1)
    owner.upload_multipart("renamed", b"new", folder_id=folder["below"])
    assert seen() == (["renamed"], "/above/below/renamed", 2)
    owner.upload_multipart("another", b"new", folder_id=folder["below"])
    assert seen() == (["another", "renamed"], "/above/below/renamed", 2)
    owner.delete(f"/files/{folder['deep']}")
    assert [item["filename"] for item in fetch(guest, token, path).json()["items"]] == ["another"]
    (share,) = owner.get("/shares").json()["items"]
    owner.delete(f"/shares/{share['share_id']}")
    refused(fetch(guest, token, path), 404, "not_found")


def test_a_limited_shared_folder_counts_each_file(shared_vault, world, folder):
    token = world.share(folder["top"], max_downloads=1)["share_token"]
    guest = shared_vault.client()
    first = fetch(guest, token, f"/files/{folder['inside']}/download", Range="bytes=0-2")
    cookie = first.headers["Set-Cookie"].split(";")[0]
    refused(fetch(shared_vault.client(), token, f"/files/{folder['deep']}/download", Range="bytes=0-2", Cookie=cookie),
            410, "gone")
    refused(fetch(shared_vault.client(), token, f"/files/{folder['deep']}/download"), 410, "gone")


# --- secrets ---


def test_tokens_and_passwords_are_never_in_the_log_or_the_metrics(make_vault):
    vault = make_vault(LOG_LEVEL="debug").start()
    world, guest = World(vault), vault.client()
    share = shared(world, password="very secret sesame", max_downloads=1)
    token = share["share_token"]
    for path in ("", "/info", "/files", "/files/1/download", "?token=" + token):
        fetch(guest, token, path)
    guest.call("POST", f"/share/{token}/unlock", json={"password": "very secret sesame"}, expect=204)
    first = fetch(guest, token, Range="bytes=0-9")
    fetch(guest, token)
    guest.call("GET", f"/s/{token}")
    guest.call("GET", "/unknown/" + token)
    guest.call("GET", f"/share/{token}x", headers={"Referer": share["share_url"]})
    upload, api_token = world.upload(), world.api_token()["token"]
    world.owner.call("GET", f"/uploads/{upload.id}", token=upload.token)
    world.owner.call("GET", "/me", token=api_token)
    world.owner.call("GET", f"/me?access_token={world.owner.token}")
    secrets = {"the link": token, "the link's password": "very secret",
               "the ticket": first.headers["ETag"].split("-")[1].strip('"'),
               "the upload's token": upload.token, "the API token": api_token, "the access token": world.owner.token,
               "the refresh token": world.owner.refresh_token, "the password": PASSWORD}
    metrics, deadline = guest.get("/metrics").text, time.monotonic() + DEADLINE_S
    while '"route":"/metrics"' not in vault.log_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [name for name, secret in secrets.items() if secret in vault.log_text()] == []
    assert [name for name, secret in secrets.items() if secret in metrics] == []
