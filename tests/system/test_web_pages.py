"""What browsers are sent: the pages' own files, and previews of what is shared. How pages behave is in tests/webui."""

import gzip
import re

import pytest
from client import problem

pytestmark = [pytest.mark.shares, pytest.mark.http]

PAGE_LIMIT = 100 << 10  # bytes of a page with all that it loads
PNG = b"\x89PNG\r\n\x1a\n rest"


def shared(world, name="a.png", data=PNG, **options):
    return world.share(world.owner.upload_multipart(name, data)["file_id"], **options)


def refused(answer, status, kind):
    assert (answer.status_code, problem(answer)["type"]) == (status, f"urn:chunkvault:error:{kind}")


def policy(answer):
    """The Content-Security-Policy, by directive."""
    return {words[0]: words[1:] for words in map(str.split, answer.headers["Content-Security-Policy"].split(";"))}


def references(text):
    """What a page or script loads, as the names of assets."""
    return set(re.findall(r"""["'(](?:\.\./)+assets/([\w.]+)""", text)) | set(re.findall(r'from "\./([\w.]+)"', text))


def all_of(guest, page):
    """The page and what it loads, by name."""
    found, waiting = {"": page.text}, list(references(page.text))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = guest.get(f"/assets/{name}").text
            waiting += references(found[name])
    return found


# --- the page ---


def test_the_page_keeps_everything_else_out(world, guest):
    answer = guest.get(f"/s/{shared(world)['share_token']}")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    directives = policy(answer)
    assert directives["default-src"] == ["'none'"]
    assert {"base-uri", "frame-ancestors", "form-action"} <= directives.keys()
    for name, sources in directives.items():
        assert sources in (["'none'"], ["'self'"]), name
    assert directives["frame-ancestors"] == ["'none'"]
    for name, value in {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
                        "X-Frame-Options": "DENY", "Cache-Control": "no-store"}.items():
        assert answer.headers[name] == value
    assert "Set-Cookie" not in answer.headers and "Access-Control-Allow-Origin" not in answer.headers


def test_the_page_has_nothing_inline_and_loads_nothing_from_elsewhere(world, guest):
    for name, text in all_of(guest, guest.get(f"/s/{shared(world)['share_token']}")).items():
        if name in ("", "request.html"):
            assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text), name
            assert not re.findall(r"<script(?![^>]*\ssrc=)", text), name
        assert not re.search(r"(inner|outer|insertAdjacent)HTML|document\.write|\beval\(|new Function", text), name
        addresses = set(re.findall(r"https?://[\w./]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name


def test_the_page_with_all_that_it_loads_is_small(world, guest):
    files = all_of(guest, guest.get(f"/s/{shared(world)['share_token']}"))
    assert {"share.js", "common.js", "page.css", "icon.svg"} <= files.keys()
    assert sum(len(text.encode()) for text in files.values()) < PAGE_LIMIT
    assert sum(len(gzip.compress(text.encode())) for text in files.values()) < PAGE_LIMIT / 3


def test_the_page_is_the_same_whatever_is_shared(world, guest):
    secret = shared(world, "a secret name.png", password="sesame")["share_token"]
    open_link = shared(world)["share_token"]
    assert guest.get(f"/s/{secret}").content == guest.get(f"/s/{open_link}").content


def test_the_page_of_a_link_that_does_not_work_says_so_in_its_status(shared_vault, world, guest):
    revoked, expired, used = shared(world), shared(world, expires_in_hours=1), shared(world, max_downloads=1)
    world.owner.delete(f"/shares/{revoked['share_id']}", expect=204)
    shared_vault.sql("UPDATE shares SET expires_at = 1 WHERE id = ?", expired["share_id"])
    guest.open_share(used["share_token"])
    for token, status in (("A" * 22, 404), (revoked["share_token"], 404), (expired["share_token"], 410),
                          (used["share_token"], 410)):
        answer = guest.call("GET", f"/s/{token}", expect=status)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "share.js" in answer.text


def test_looking_spends_nothing(shared_vault, world):
    """As the programs do that show what a link leads to."""
    share = shared(world, max_downloads=1)
    for _ in range(3):
        looker = shared_vault.client()
        for method in ("HEAD", "GET"):
            for path in ("/s/{}", "/share/{}/info", "/share/{}/qr", "/share/{}/preview", "/share/{}/view"):
                looker.call(method, path.format(share["share_token"]))
        looker.call("HEAD", f"/share/{share['share_token']}")
    assert world.owner.get(f"/shares/{share['share_id']}").json()["downloads"] == 0
    assert shared_vault.client().open_share(share["share_token"]).content == PNG


# --- its files ---


@pytest.mark.parametrize("name, media", [("share.js", "text/javascript"), ("common.js", "text/javascript"),
                                         ("page.css", "text/css"), ("frame.css", "text/css"),
                                         ("icon.svg", "image/svg+xml")])
def test_a_file_of_the_pages_is_sent_once(guest, name, media):
    first = guest.get(f"/assets/{name}")
    assert first.headers["Content-Type"].split(";")[0] == media
    assert (first.headers["X-Content-Type-Options"], first.headers["Cache-Control"]) == ("nosniff", "public, no-cache")
    assert policy(first)["default-src"] == ["'none'"]
    again = guest.call("GET", f"/assets/{name}", headers={"If-None-Match": first.headers["ETag"]}, expect=304)
    assert again.content == b"" and again.headers["ETag"] == first.headers["ETag"]
    assert guest.call("GET", f"/assets/{name}", headers={"If-None-Match": '"other"'}).content == first.content


@pytest.mark.parametrize("name", ["", "%2e%2e", "..%2fshare.html", "%2fetc%2fpasswd", "page.css%00", "page.css/",
                                  "PAGE.CSS", "web_assets.cpp"])
def test_no_other_file_can_be_asked_for(guest, name):
    answer = guest.call("GET", f"/assets/{name}")
    assert answer.status_code in (400, 404)
    problem(answer)


# --- previews ---


@pytest.mark.parametrize("name, media", [("a.png", "image/png"), ("a.txt", "text/plain; charset=utf-8"),
                                         ("a.md", "text/plain; charset=utf-8"),
                                         ("a.js", "text/plain; charset=utf-8"),
                                         ("a.mp3", "audio/mpeg"), ("a.webm", "video/webm"),
                                         ("a.pdf", "application/pdf")])
def test_a_preview_is_shown_but_cannot_run(world, guest, name, media):
    data = b"<script>alert(1)</script>"
    token = shared(world, name, data)["share_token"]
    answer = guest.get(f"/share/{token}/preview")
    assert (answer.content, answer.headers["Content-Type"]) == (data, media)
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    directives = policy(answer)
    assert directives["default-src"] == ["'none'"]
    assert "script-src" not in directives
    # The browser's viewer of PDF is not loaded in a sandbox; it has a tab of its own and is framed by nobody.
    if name == "a.pdf":
        assert directives["frame-ancestors"] == ["'none'"]
    else:
        assert directives["sandbox"] == [] and directives["frame-ancestors"] == ["'self'"]
    assert guest.get(f"/share/{token}/preview", headers={"Range": "bytes=0-6"}, expect=206).content == data[:7]


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.htm", "a.xhtml", "a.exe", "a", "a.png.svg", "a.SVG"])
def test_what_could_run_has_no_preview(world, guest, name):
    token = shared(world, name, b"<svg onload=alert(1)>")["share_token"]
    assert guest.get(f"/share/{token}/info").json()["item"]["preview"] is None
    for path in ("preview", "view"):
        refused(guest.call("GET", f"/share/{token}/{path}"), 404, "not_found")
    answer = guest.open_share(token)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert policy(answer) == {"default-src": ["'none'"], "sandbox": []}


def test_a_frame_holds_a_picture_or_player_and_no_name(world, guest):
    for name, tag in (("<b>.png", "<img "), ('".mp3', "<audio "), ("'.mp4", "<video ")):
        token = shared(world, name)["share_token"]
        answer = guest.get(f"/share/{token}/view?key=%22%3E%3Cscript%3E")  # without a password no key is used
        assert answer.text.count(tag) == 1 and 'src="preview"' in answer.text
        assert name not in answer.text and "script" not in answer.text
        directives = policy(answer)
        assert directives["default-src"] == ["'none'"] and directives["sandbox"] == []
        assert directives["frame-ancestors"] == ["'self'"]
    refused(guest.call("GET", f"/share/{shared(world, 'a.txt')['share_token']}/view"), 404, "not_found")


def test_a_link_with_a_limit_shows_no_previews(world, guest):
    share = shared(world, max_downloads=5)
    token = share["share_token"]
    assert guest.get(f"/share/{token}/info").json()["item"]["preview"] is None
    for path in ("preview", "view"):
        refused(guest.call("GET", f"/share/{token}/{path}"), 403, "forbidden")
    folder = world.owner.make_folder(world.name())["id"]
    file_id = world.picture(folder_id=folder)
    limited = world.share(folder, max_downloads=5)["share_token"]
    unlimited = world.share(folder)["share_token"]
    assert guest.get(f"/share/{unlimited}/files").json()["items"][0]["preview"] == "image"
    assert guest.get(f"/share/{limited}/files").json()["items"][0]["preview"] is None
    for path in ("preview", "view"):
        refused(guest.call("GET", f"/share/{limited}/files/{file_id}/{path}"), 403, "forbidden")
        guest.get(f"/share/{unlimited}/files/{file_id}/{path}")
    assert world.owner.get(f"/shares/{share['share_id']}").json()["downloads"] == 0


def test_the_key_of_previews_stands_for_the_password_and_for_nothing_else(shared_vault, world):
    share, other = shared(world, password="sesame"), shared(world, password="sesame")
    token = share["share_token"]
    asker, stranger = shared_vault.client(), shared_vault.client()
    for path in ("preview", "view", "preview?key=", "preview?key=1.x", "view?key=" + "9" * 17 + ".x"):
        refused(stranger.call("GET", f"/share/{token}/{path}"), 401, "share_password_required")
    assert "preview_key" not in asker.get(f"/share/{token}/info").json()
    asker.post(f"/share/{token}/unlock", {"password": "sesame"})
    key = asker.get(f"/share/{token}/info").json()["preview_key"]
    assert stranger.get(f"/share/{token}/preview?key={key}").content == PNG
    assert f'src="preview?key={key}"' in stranger.get(f"/share/{token}/view?key={key}").text
    assert key.split(".")[1] not in shared_vault.log_text()
    later = f"{int(key.split('.')[0]) + 1}.{key.split('.')[1]}"
    for address in (f"{token}/preview?key={later}", f"{token}/preview?key={key}x",
                    f"{other['share_token']}/preview?key={key}", f"{token}?key={key}", f"{token}/files?key={key}"):
        refused(stranger.call("GET", f"/share/{address}"), 401, "share_password_required")
    world.owner.patch(f"/shares/{share['share_id']}", {"password": "other"})
    refused(stranger.call("GET", f"/share/{token}/preview?key={key}"), 401, "share_password_required")


# --- what the page asks for ---


def test_the_progress_of_an_upload_that_a_link_waits_for(world, guest):
    data = bytes(3 << 20)
    chunk = world.owner.get("/").json()["chunk_size"]
    upload = world.owner.start_upload(world.name(), world.name(), chunk + len(data))
    token = world.share(upload.file_id)["share_token"]

    def progress():
        item = guest.get(f"/share/{token}/info").json()["item"]
        return item["status"], item["bytes_stored"], item["size"]

    first, whole = bytes(chunk), chunk + len(data)
    assert progress() == ("uploading", 0, whole)
    upload.put(0, first)
    assert progress() == ("uploading", chunk, whole)
    upload.put(1, data)
    upload.commit([first, data], first + data)
    item = guest.get(f"/share/{token}/info").json()["item"]
    assert (item["status"], item["size"]) == ("completed", whole)
    assert "bytes_stored" not in item


def test_a_listed_folder_says_where_it_lies_in_the_shared_one_and_not_above(world, guest):
    owner = world.owner
    top = owner.make_folder("above/top")["id"]
    below = owner.make_folder("above/top/one/two")["id"]
    token = world.share(top)["share_token"]
    steps = guest.get(f"/share/{token}/files?folder_id={below}").json()["path"]
    assert [step["filename"] for step in steps] == ["top", "one", "two"]
    assert (steps[0]["id"], steps[-1]["id"]) == (top, below)
    assert guest.get(f"/share/{token}/files").json()["path"] == [{"id": top, "filename": "top"}]
    root = owner.get("/me").json()["root_folder_id"]
    of_all = world.share(root)["share_token"]
    steps = guest.get(f"/share/{of_all}/files?folder_id={below}").json()["path"]
    assert [step["filename"] for step in steps] == ["", "above", "top", "one", "two"]


def test_the_qr_code_is_a_picture_of_the_link(world, guest):
    share = shared(world, password="sesame")
    answer = guest.get(f"/share/{share['share_token']}/qr")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert policy(answer) == {"default-src": ["'none'"], "sandbox": []}
    assert share["share_token"] not in answer.text
    assert answer.text != guest.get(f"/share/{shared(world)['share_token']}/qr").text
    refused(guest.call("GET", f"/share/{'A' * 22}/qr"), 404, "not_found")
