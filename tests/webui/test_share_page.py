"""The page of a share link in a real browser. What it looks like is kept as pictures among the test results."""

import base64
import io
import json
import zipfile

import pytest
import samples
from client import sha256
from cluster import Cluster
from operations import World

pytestmark = pytest.mark.shares

MIB = 1 << 20
until = Cluster.until
SIZES = {"desktop": {}, "phone": {"width": 390, "height": 844, "deviceScaleFactor": 2, "isMobile": True,
                                  "hasTouch": True}}
HOSTILE = ["<img src=x onerror=alert(1)>.txt", "\"><script>alert(1)<script>.txt", "javascript:alert(1).txt",
           "{{constructor}} ${alert(1)}.txt", "\u202egnp.exe.txt", "a" * 240 + ".txt", "&lt;b&gt;.txt", "%3Cb%3E.txt"]


def shared(world, name="report.docx", data=b"some bytes", **options):
    return world.share(world.owner.upload_multipart(name, data)["file_id"], **options)


def downloads(world, share):
    return world.owner.get(f"/shares/{share['share_id']}").json()["downloads"]


def check_accessible(page, name):
    assert page.violations() == [], name
    assert page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"), (
        f"{name} is wider than its window")


# --- a file ---


def test_a_file_is_described_and_downloaded(world, open_page, tmp_path):
    data = bytes(range(256)) * 9
    share = shared(world, "Ünïcode «report».docx", data, expires_in_hours=49)
    page = open_page(share["share_url"]).wait("dl")
    text = page.text()
    for part in ("Ünïcode «report».docx", "2.25 KB", "DOCX file", world.username, "ends in 2 days", sha256(data),
                 "Verified by the server"):
        assert part in text, part
    assert "Downloads left" not in text
    assert downloads(world, share) == 0
    assert page.download("main a.primary", tmp_path / "got") == "Ünïcode «report».docx"
    assert (tmp_path / "got").read_bytes() == data
    assert downloads(world, share) == 1
    assert page.said() == []
    assert page.call("title") == "Ünïcode «report».docx · ChunkVault"


def test_a_hash_that_nobody_checked_is_said_to_be_a_claim(world, open_page):
    data = b"uploaded in chunks"
    upload = world.full_upload(data)
    file_id = upload.commit([data], data)["file_id"]
    page = open_page(world.share(file_id)["share_url"]).wait("dl")
    assert "Claimed by the sender" in page.text() and sha256(data) in page.text()
    page.screenshot("claimed")


def test_a_broken_download_can_go_on_where_it_was(world, open_page, random_bytes):
    """What the browser's own downloads do: the same address, a range, and an ETag that still fits."""
    data = random_bytes(3 << 20)
    share = shared(world, "film.mkv", data, max_downloads=1)
    page = open_page(share["share_url"]).wait("main a.primary")
    first, rest = page.evaluate("""async () => {
        const path = document.querySelector("main a.primary").href;
        const hex = (byte) => byte.toString(16).padStart(2, "0");
        const hash = async (bytes) =>
            Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), hex).join("");
        const begin = await fetch(path, {headers: {Range: "bytes=0-999999"}});
        const first = await begin.arrayBuffer();
        const goesOn = await fetch(path, {headers: {Range: "bytes=1000000-", "If-Range": begin.headers.get("ETag")}});
        return [[begin.status, await hash(first)], [goesOn.status, await hash(await goesOn.arrayBuffer())]];
    }""")
    assert first == [206, sha256(data[:1_000_000])]
    assert rest == [206, sha256(data[1_000_000:])]
    assert downloads(world, share) == 1


def test_a_download_that_was_cut_is_resumed_by_the_browser(make_vault, make_proxy, open_page, random_bytes):
    """By the button of its own page of downloads, with the requests that it makes then."""
    vault = make_vault().start()
    world, proxy = World(vault), make_proxy(vault)
    data = random_bytes(24 * MIB)
    share = shared(world, "film.mkv", data, max_downloads=1)
    page = open_page(f"{proxy.url}/s/{share['share_token']}").wait("main a.primary")
    proxy.slow(0.01)
    before = page.downloaded()
    page.click("main a.primary")
    until(lambda: proxy.received > 8 * MIB, "the first part")
    proxy.cut()
    proxy.open()
    proxy.slow(0)
    page.resume_download()
    until(lambda: [path for path in page.downloaded() - before
                   if path.stat().st_size == len(data) and sha256(path.read_bytes()) == sha256(data)], "the whole file")
    assert downloads(world, share) == 1
    assert proxy.received < len(data) + 4 * MIB


def test_a_link_with_a_limit_counts_down_to_its_end(world, open_page, tmp_path):
    share = shared(world, "photo.png", samples.png(60, 40), max_downloads=2)
    page = open_page(share["share_url"]).wait("dl")
    assert page.text("dl >> text=Downloads left >> xpath=..").split() == ["Downloads", "left", "2"]
    assert page.count("iframe") == 0  # no previews: they would be downloads
    page.download("main a.primary", tmp_path / "one")
    page.wait("#left:text-is('1')")
    page.download("main a.primary", tmp_path / "two")
    page.wait(".note:has-text('No downloads are left now.')")
    assert page.count("main a.primary") == 0
    check_accessible(page, "the last download")
    page.screenshot("last-download")
    assert (tmp_path / "two").read_bytes() == samples.png(60, 40)
    later = open_page(share["share_url"]).wait("h1:text-is('This link is used up')")
    check_accessible(later, "used up")
    later.screenshot("used-up")


def test_looking_at_the_page_spends_nothing(world, open_page):
    share = shared(world, max_downloads=1)
    for javascript in (True, False):
        page = open_page(share["share_url"], javaScriptEnabled=javascript)
        page.wait("dl" if javascript else "noscript p")
    assert downloads(world, share) == 0


# --- links that do not work, and passwords ---


def test_a_link_that_is_unknown_revoked_or_expired(shared_vault, world, open_page):
    revoked, expired = shared(world), shared(world, expires_in_hours=1)
    world.owner.delete(f"/shares/{revoked['share_id']}", expect=204)
    shared_vault.sql("UPDATE shares SET expires_at = 1 WHERE id = ?", expired["share_id"])
    texts = set()
    for name, url, heading in (("unknown", f"{shared_vault.url}/s/{'A' * 22}", "There is nothing here"),
                               ("revoked", revoked["share_url"], "There is nothing here"),
                               ("expired", expired["share_url"], "This link has expired")):
        page = open_page(url).wait(f"h1:text-is('{heading}')")
        check_accessible(page, name)
        page.screenshot(name)
        texts.add(page.text())
    assert len(texts) == 2  # unknown and revoked are not to be told apart


def test_a_password_opens_the_link(world, open_page, tmp_path):
    share = shared(world, "secret plan.docx", b"plan", password="sésame")
    page = open_page(share["share_url"]).wait("#password")
    assert "secret plan" not in page.text() and world.username not in page.text()
    check_accessible(page, "password")
    page.screenshot("password")
    page.fill("#password", "wrong").press("Enter")
    page.wait("text=This password is wrong.")
    assert page.attribute("#password", "aria-invalid") == "true"
    check_accessible(page, "wrong password")
    page.screenshot("wrong-password")
    page.fill("#password", "sésame").press("Enter")
    page.wait("dl")
    assert page.evaluate("() => document.activeElement.tagName") == "H1"
    assert page.download("main a.primary", tmp_path / "got") == "secret plan.docx"
    assert (tmp_path / "got").read_bytes() == b"plan"
    page.call("reload")
    page.wait("dl")  # the cookie lasts
    assert page.evaluate("() => document.cookie") == ""  # and no script can read it


def test_guesses_at_a_password_end_with_a_word_on_how_long_to_wait(make_vault, open_page):
    vault = make_vault(SHARE_PASSWORD_LIMIT=2).start()
    share = shared(World(vault), password="sesame")
    page = open_page(share["share_url"]).wait("#password")
    for answer in ("This password is wrong.", "This password is wrong.", "Too many tries. Wait"):
        page.fill("#password", "wrong").press("Enter")
        page.wait("form button:enabled")  # the answer before has the same text
        page.wait(f".error:has-text('{answer}')")


def test_a_network_that_is_away_for_a_while(world, open_page, holiday):
    page = open_page(world.share(holiday[0])["share_url"]).wait("table")
    page.offline().click("td.name a:has-text('Photos')").wait("h1:text-is('The server does not answer')")
    check_accessible(page, "offline")
    page.screenshot("offline")
    page.offline(False).wait("h1:text-is('Photos')")  # by itself
    locked = open_page(shared(world, password="sesame")["share_url"]).wait("#password").offline()
    locked.fill("#password", "sesame").press("Enter").wait(".error:has-text('The server does not answer')")
    locked.offline(False).press("Enter").wait("dl")


# --- an upload that runs ---


def test_a_link_opened_while_its_upload_runs_becomes_the_download(world, open_page, tmp_path):
    chunk_size = world.owner.get("/").json()["chunk_size"]
    chunks = [bytes([number]) * chunk_size for number in range(3)] + [b"the end"]
    data = b"".join(chunks)
    upload = world.owner.start_upload("key", "big film.mkv", len(data))
    page = open_page(world.share(upload.file_id)["share_url"])
    page.wait("text=0 bytes of 12 MB (0 %)")
    assert page.count("main a.primary") == 0
    upload.put(0, chunks[0])
    upload.put(1, chunks[1])
    page.wait("text=8 MB of 12 MB (66 %)")
    check_accessible(page, "uploading")
    page.screenshot("uploading")
    for index in (2, 3):
        upload.put(index, chunks[index])
    upload.commit(chunks, data)
    page.wait("main a.primary")  # nobody loaded it again
    page.download("main a.primary", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == data
    assert page.count("progress") == 0


# --- previews ---


@pytest.mark.parametrize("password", [None, "sesame"])
def test_pictures_sound_film_and_text_are_shown_in_a_frame(world, open_page, password):
    """A sandboxed frame is sent no cookie, so that a password is the hard case."""
    film = base64.b64decode(open_page(world.vault.url + "/s/none").evaluate(samples.RECORD_WEBM))
    options = {"password": password} if password else {}
    ready = "while (element.readyState < 1) await new Promise((go) => setTimeout(go, 20));"
    for name, data, tag, loaded in (
            ("photo.png", samples.png(), "img",
             "async (element) => { await element.decode(); return element.naturalWidth === 640; }"),
            ("tone.wav", samples.wav(), "audio", f"async (element) => {{ {ready} return element.duration === 2; }}"),
            ("film.webm", film, "video", f"async (element) => {{ {ready} return element.videoWidth === 300; }}"),
            ("notes.txt", "Grüße\n<b>bold</b>".encode(), "pre",
             "(element) => element.textContent === 'Grüße\\n<b>bold</b>'")):
        share = shared(world, name, data, **options)
        page = open_page(share["share_url"])
        if password:
            page.wait("#password").fill("#password", password).press("Enter")
        page.wait("dl")
        if tag in ("audio", "video"):
            page.click("main button:has-text('Preview')")
        page.wait(tag, frame="iframe")
        assert page.evaluate(loaded, selector=tag, frame="iframe"), name
        assert page.attribute("iframe", "sandbox") == ""
        # The frame is of no origin, so that nothing in it is this page's.
        assert page.evaluate("() => document.querySelector('iframe').contentDocument") is None
        assert page.said() == [], name
        check_accessible(page, name)
        page.screenshot(f"preview-{tag}" + ("-password" if password else ""))
        assert downloads(world, share) == 0


def test_a_pdf_opens_in_a_tab_of_its_own(world, open_page):
    share = shared(world, "paper.pdf", samples.PDF)
    page = open_page(share["share_url"]).wait("dl")
    assert page.count("iframe") == 0
    page.click("main a:has-text('Open')")
    while not page.opened():
        page.call("waitForTimeout", 20)
    (tab,) = page.opened()
    tab.call("waitForLoadState")
    assert tab.evaluate("() => document.contentType") == "application/pdf"
    assert tab.evaluate("() => window.opener") is None
    tab.call("waitForTimeout", 1000)  # the viewer paints; only the picture needs it
    tab.screenshot("pdf-tab")


@pytest.mark.parametrize("name, data", [
    ("page.html", b"<script>fetch('/hacked')</script><h1>html</h1>"),
    ("picture.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>fetch("/hacked")</script></svg>'),
    ("page.txt", b"<html><script>fetch('/hacked')</script></html>"),
    ("script.js", b"fetch('/hacked')"),
    ("photo.png", b'<svg xmlns="http://www.w3.org/2000/svg" onload="fetch(\'/hacked\')"></svg>'),
    ("paper.pdf", b"<html><script>fetch('/hacked')</script></html>"),
    ("film.webm", b"<html><script>fetch('/hacked')</script></html>"),
])
def test_files_that_try_to_run_something_do_not(shared_vault, world, open_page, name, data):
    token = shared(world, name, data)["share_token"]
    page = open_page(f"{shared_vault.url}/s/{token}").wait("dl")
    if page.count("main button:has-text('Preview')"):
        page.click("main button:has-text('Preview')")
    if page.count("iframe"):
        page.wait("body", state="attached", frame="iframe")
    requests = page.requests()
    # Also where the bytes, or the frame, are opened directly and not by the page.
    for path in ("preview", "view"):
        direct = open_page(f"{shared_vault.url}/s/{'A' * 22}")
        try:
            direct.goto(f"{shared_vault.url}/share/{token}/{path}")
        except AssertionError as failure:
            assert "Download is starting" in str(failure) or "ERR_ABORTED" in str(failure)
        assert direct.count("h1:text-is('html')") == 0
        requests += direct.requests()
    assert not [url for url in requests if "hacked" in url]
    assert "/hacked" not in shared_vault.log_text()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_nothing_but_text(world, open_page, name):
    top = world.owner.make_folder("folder of " + world.name())["id"]
    file_id = world.owner.upload_multipart("f", b"x", folder_id=top)["file_id"]
    world.owner.patch(f"/files/{file_id}", {"filename": name})
    for share, where in ((world.share(file_id), "h1"), (world.share(top), "td.name")):
        page = open_page(share["share_url"]).wait(where)
        assert page.evaluate("(element) => element.textContent", selector=where) == name
        assert page.count("main script, main b, main img") == 0
        assert page.said() == []
        check_accessible(page, name)
    page.screenshot(f"hostile-{HOSTILE.index(name)}")


# --- folders ---


@pytest.fixture
def holiday(world):
    """A folder's id, and what is in it."""
    owner = world.owner
    top = owner.make_folder("Holiday 2026")["id"]
    paths = {"Photos/Beach/sunset.png": samples.png(300, 200), "Photos/harbour.png": samples.png(200, 300),
             "tickets.pdf": samples.PDF, "notes.txt": b"Pack the tent.", "song.mp3": b"not really",
             "budget.xlsx": b"1" * 30_000, "backup.zip": b"PK" * 900_000}
    for path, data in paths.items():
        folder, _, name = path.rpartition("/")
        where = owner.make_folder(folder, folder_id=top)["id"] if folder else top
        owner.upload_multipart(name, data, folder_id=where)
    owner.make_folder("Empty", folder_id=top)
    return top, paths


def test_a_folder_is_walked_and_its_files_are_downloaded(world, open_page, holiday, tmp_path):
    top, paths = holiday
    share = world.share(top)
    page = open_page(share["share_url"]).wait("table")
    names = page.evaluate("() => Array.from(document.querySelectorAll('td.name'), (cell) => cell.textContent)")
    assert names == ["Empty", "Photos", "backup.zip", "budget.xlsx", "notes.txt", "song.mp3", "tickets.pdf"]
    check_accessible(page, "folder")
    page.screenshot("folder")
    assert page.download("td.name a:has-text('notes.txt')", tmp_path / "notes") == "notes.txt"
    assert (tmp_path / "notes").read_bytes() == paths["notes.txt"]
    page.click("td.name a:has-text('Photos')").wait("h1:text-is('Photos')")
    page.click("td.name a:has-text('Beach')").wait("h1:text-is('Beach')")
    assert page.text(".crumbs").split() == ["Holiday", "2026", "Photos", "Beach"]
    check_accessible(page, "subfolder")
    page.screenshot("subfolder")
    assert page.download("td.name a", tmp_path / "sunset") == "sunset.png"
    assert (tmp_path / "sunset").read_bytes() == paths["Photos/Beach/sunset.png"]
    page.call("reload")
    page.wait("h1:text-is('Beach')")
    page.call("goBack")
    page.wait("h1:text-is('Photos')")
    page.click(".crumbs a").wait("h1:text-is('Holiday 2026')")
    page.click("td.name a:has-text('Empty')").wait("text=This folder is empty.")
    assert page.said() == []


@pytest.mark.parametrize("place", ["999999999", "%", "%E0%A4%A", "../x", "<b>"])
def test_a_folder_that_is_not_there_leads_to_the_top(world, open_page, holiday, place):
    page = open_page(f"{world.share(holiday[0])['share_url']}#{place}").wait("h1:text-is('Holiday 2026')")
    page.evaluate(f"() => {{ location.hash = {json.dumps(place)}; }}")
    until(lambda: page.evaluate("() => location.hash") == "", "the top")
    page.wait("h1:text-is('Holiday 2026')")


def test_a_folder_is_downloaded_as_one_zip(world, open_page, holiday, tmp_path):
    top, paths = holiday
    share = world.share(top, password="sesame")
    page = open_page(share["share_url"]).wait("#password").fill("#password", "sesame").press("Enter").wait("table")
    assert page.download("main a.primary", tmp_path / "got.zip") == "Holiday 2026.zip"
    with zipfile.ZipFile(io.BytesIO((tmp_path / "got.zip").read_bytes())) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
        assert files == {f"Holiday 2026/{path}": data for path, data in paths.items()}
        assert "Holiday 2026/Empty/" in archive.namelist()
    page.click("td.name a:has-text('Photos')").wait("h1:text-is('Photos')")
    assert page.download("main a.primary", tmp_path / "part.zip") == "Photos.zip"
    with zipfile.ZipFile(tmp_path / "part.zip") as archive:
        assert "Photos/Beach/sunset.png" in archive.namelist()
    assert downloads(world, share) == 2


def test_a_file_in_a_folder_is_looked_at(world, open_page, holiday):
    page = open_page(world.share(holiday[0])["share_url"]).wait("table")
    page.click("button[aria-label='Preview notes.txt']").wait("dialog[open]")
    page.wait("pre", frame="dialog iframe")
    assert page.text("pre", frame="dialog iframe") == "Pack the tent."
    check_accessible(page, "dialog")
    page.screenshot("folder-preview")
    page.click("dialog button[aria-label='Close']")
    page.wait("dialog", state="detached")
    page.click("td.name a:has-text('Photos')").wait("h1:text-is('Photos')")
    page.click("button[aria-label='Preview harbour.png']").wait("img", frame="dialog iframe")
    page.screenshot("folder-picture")


def test_a_long_folder_is_shown_in_parts(world, open_page):
    top = world.owner.make_folder("long")["id"]
    for number in range(203):
        world.owner.make_folder(f"folder {number:03}", folder_id=top)
    page = open_page(world.share(top)["share_url"]).wait("table")
    assert page.count("tbody tr") == 200
    page.click("button:has-text('Show more')").wait("td.name:has-text('folder 202')")
    assert page.count("tbody tr") == 203
    assert page.count("button:has-text('Show more')") == 0


# --- the QR code ---


def test_the_qr_code_leads_to_the_link(world, open_page):
    share = shared(world)
    page = open_page(share["share_url"]).wait("dl")
    page.click("button:has-text('QR code')").wait("dialog[open] img")
    assert page.evaluate("(image) => image.decode().then(() => image.naturalWidth > 0)", selector="dialog img")
    assert share["share_url"] in page.text("dialog")
    check_accessible(page, "QR code")
    page.screenshot("qr")


# --- for everybody ---


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_phones_and_desktops_by_day_and_night(world, open_page, holiday, size, dark):
    shares = {"file": shared(world, "Quarterly report 2026.docx", bytes(5_000_000), expires_in_hours=72,
                             max_downloads=5),
              "picture": shared(world, "harbour at dawn.png", samples.png(900, 600)),
              "folder": world.share(holiday[0], expires_in_hours=72)}
    for name, share in shares.items():
        page = open_page(share["share_url"], dark=dark, **SIZES[size]).wait("dl")
        if name == "picture":
            page.wait("img", frame="iframe")
        check_accessible(page, f"{name} {size}")
        page.screenshot(f"{size}-{'dark' if dark else 'light'}-{name}")
        # What is pressed with a finger is large enough for one.
        assert page.evaluate("""() => Array.from(document.querySelectorAll("main a, main button"))
            .filter((one) => one.getBoundingClientRect().height < 40).map((one) => one.textContent)""") == []


def test_everything_works_by_the_keyboard_alone(world, open_page, holiday):
    share = world.share(holiday[0], password="sesame")
    page = open_page(share["share_url"]).wait("#password")
    assert page.evaluate("() => document.activeElement.id") == "password"
    for key in "sesame":
        page.press(key)
    page.press("Enter").wait("table")

    def tab_to(text):
        for _ in range(40):
            page.press("Tab")
            name, outline = page.evaluate("""() => {
                const at = document.activeElement;
                return [at.getAttribute("aria-label") ?? at.textContent, getComputedStyle(at).outlineStyle];
            }""")
            if text in name:
                assert outline != "none", f"the focus on {text} cannot be seen"
                return
        raise AssertionError(f"{text} is not reached")

    tab_to("QR code")
    page.press("Enter").wait("dialog[open]")
    page.press("Escape").wait("dialog", state="detached")
    tab_to("Preview notes.txt")
    page.press("Enter").wait("dialog[open] iframe")
    page.press("Escape").wait("dialog", state="detached")
    page.evaluate("() => document.querySelector('h1').focus()")
    tab_to("Photos")
    page.press("Enter").wait("h1:text-is('Photos')")
    tab_to("Holiday 2026")
    page.press("Enter").wait("h1:text-is('Holiday 2026')")


def test_a_screen_reader_is_told_what_changes(world, open_page):
    share = shared(world, "report.docx", b"x" * 100, password="sesame")
    page = open_page(share["share_url"]).wait("#password")
    assert page.text("[role=status]") == "This link has a password"
    page.fill("#password", "sesame").press("Enter").wait("dl")
    assert page.text("[role=status]") == f"report.docx, 100 bytes, shared by {world.username}"
