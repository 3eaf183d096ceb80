"""The page of an upload request in a real browser. What it looks like is kept as pictures among the test results."""

import os

import pytest
from client import root_of, sha256, split
from cluster import Cluster
from operations import World
from tus import Tus

pytestmark = pytest.mark.shares

SIZES = {"desktop": {}, "phone": {"width": 390, "height": 844, "deviceScaleFactor": 2, "isMobile": True,
                                  "hasTouch": True}}
HOSTILE = ["<img src=x onerror=alert(1)>.txt", "javascript:alert(1).txt", "{{constructor}} ${alert(1)}.txt",
           "\u202egnp.exe.txt", "a" * 200 + ".txt", "&lt;b&gt;.txt"]
MIB = 1 << 20
FILES, FOLDER = "input[aria-label='Choose files']", "input[aria-label='Choose a folder']"
until = Cluster.until


def url_of(vault, request):
    """Of the page, by way of vault, which may be a proxy."""
    return f"{vault.url}/r/{request['request_token']}"


def write(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def choose(page, *paths, into=FILES):
    page.wait(into, state="attached")
    page.call("setInputFiles", list(paths), selector=into)
    return page


def arrived(world, request, **more):
    return {item["filename"]: item for item in world.owner.list(folder_id=more.get("folder", request["folder_id"]))}


def check(page, name):
    assert page.violations() == [], name
    assert page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"), (
        f"{name} is wider than its window")
    page.screenshot(name)


def finish(page):
    return page.wait(".receipt")


# --- sending ---


def test_files_are_sent_and_a_receipt_is_given(shared_vault, world, open_page, random_bytes, tmp_path):
    request = world.request(title="Photos of the feast", max_files=9, expires_in_hours=49)
    small, large = b"a small one", random_bytes(9 * MIB + 5)
    page = open_page(request["request_url"]).wait(".drop")
    text = page.text()
    for part in ("Photos of the feast", world.username, "9 more files", "ends in 2 days"):
        assert part in text, part
    choose(page, write(tmp_path, "Grüße.txt", small), write(tmp_path, "film.mkv", large))
    finish(page)
    until(lambda: sha256(large) in page.text(), "the hash of the larger one")
    text = page.text()
    for part in ("Your 2 files have arrived (9 MB)", "Grüße.txt", sha256(small), "checked against your file"):
        assert part in text, part
    until(lambda: "7 more files" in page.text(), "the new limit")
    got = arrived(world, request)
    assert world.owner.content(got["Grüße.txt"]["id"]) == small
    assert world.owner.content(got["film.mkv"]["id"]) == large
    assert got["film.mkv"]["root"] == root_of(split(large, 4 * MIB))
    receipt = tmp_path / "receipt"
    assert page.download(".receipt button >> nth=0", receipt) == "receipt.txt"
    for part in ("Grüße.txt", f"{len(large)} bytes", sha256(large), world.username):
        assert part in receipt.read_text()
    assert page.said() == []


def test_a_folder_keeps_its_form(shared_vault, world, open_page, tmp_path):
    request = world.request()
    for name in ("trip/day 1/a.txt", "trip/day 1/b.txt", "trip/day 2/a.txt", "trip/empty"):
        os.utime(write(tmp_path, name, name.encode()), (1_700_000_000, 1_700_000_000))
    page = open_page(request["request_url"])
    choose(page, str(tmp_path / "trip"), into=FOLDER)
    finish(page)
    trip = arrived(world, request)["trip"]["id"]
    assert set(arrived(world, request, folder=trip)) == {"day 1", "day 2", "empty"}
    day = arrived(world, request, folder=arrived(world, request, folder=trip)["day 1"]["id"])
    assert world.owner.content(day["b.txt"]["id"]) == b"trip/day 1/b.txt"
    # Of the same name, size and time as one in the other folder.
    day = arrived(world, request, folder=arrived(world, request, folder=trip)["day 2"]["id"])
    assert world.owner.content(day["a.txt"]["id"]) == b"trip/day 2/a.txt"


def test_files_and_folders_are_dropped(shared_vault, world, open_page):
    """The browser's own data of a drag cannot be made by a script, but for files."""
    request = world.request()
    page = open_page(request["request_url"]).wait(".drop")
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.items.add(new File(["dropped"], "dropped.txt", {lastModified: 1700000000000}));
        document.querySelector(".drop").dispatchEvent(new DragEvent("dragover", {dataTransfer: data, bubbles: true}));
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
    }""")
    finish(page)
    (item,) = arrived(world, request).values()
    assert (item["filename"], item["modified_at"]) == ("dropped.txt", "2023-11-14T22:13:20Z")


def test_many_small_files_go_up_together(shared_vault, world, open_page, tmp_path):
    request = world.request()
    paths = [write(tmp_path, f"{number:03}.txt", b"%d" % number) for number in range(250)]
    page = choose(open_page(request["request_url"]), *paths)
    finish(page)
    assert "Your 250 files have arrived" in page.text()
    assert len(arrived(world, request)) == 250


def test_the_same_file_is_not_sent_twice(shared_vault, world, open_page, tmp_path):
    request = world.request()
    path = write(tmp_path, "one.txt", b"one")
    page = choose(open_page(request["request_url"]), path)
    finish(page)
    choose(page, path, write(tmp_path, "two.txt", b"two"))
    until(lambda: "Your 2 files" in page.text(), "the second file")
    assert set(arrived(world, request)) == {"one.txt", "two.txt"}


def test_a_file_is_taken_off_again(make_vault, make_proxy, open_page, tmp_path, random_bytes):
    vault = make_vault().start()
    world, proxy = World(vault), make_proxy(vault)
    request = world.request()
    proxy.slow(0.02)
    page = choose(open_page(url_of(proxy, request)), write(tmp_path, "big", random_bytes(30 * MIB)))
    until(lambda: world.owner.get("/uploads").json()["items"], "the upload")
    page.click(".files button")
    until(lambda: world.owner.get("/me").json()["reserved"] == 0, "the room that is given back")
    assert page.count(".files li") == 0


# --- breaks ---


def progress(page):
    return page.evaluate("() => document.querySelector('.whole progress').value")


def test_nothing_is_sent_twice_whatever_breaks(make_vault, make_proxy, open_page, tmp_path, random_bytes):
    """300 MB, with the network cut, the server killed and the page loaded again in between."""
    vault = make_vault().start()
    world, proxy = World(vault), make_proxy(vault)
    request = world.request()
    data = b"".join(random_bytes(50 * MIB) for _ in range(6))
    path = write(tmp_path, "film.mkv", data)
    proxy.slow(0.001)
    page = choose(open_page(url_of(proxy, request)), path)

    until(lambda: progress(page) > 50 * MIB, "the first part", 120)
    proxy.cut()
    until(lambda: "goes on by itself" in page.text(), "a word about the network")
    page.screenshot("request-no-network")
    proxy.open()

    at = progress(page)
    until(lambda: progress(page) > max(at, 120 * MIB), "the second part", 120)
    vault.kill()
    vault.start()

    until(lambda: progress(page) > 190 * MIB, "the third part", 120)
    page.call("reload")
    page.wait(".again")
    until(lambda: "film.mkv (1" in page.text() or "film.mkv (2" in page.text(), "what is there already")
    assert "Choose it again, and it goes on where it stopped" in page.text()
    check(page, "request-goes-on")
    choose(page, path)
    page.wait(".receipt", state="attached")
    (item,) = arrived(world, request).values()
    assert (item["filename"], item["size"]) == ("film.mkv", len(data))
    assert item["root"] == root_of(split(data, 4 * MIB))
    # Each break costs what was under way: a few chunks, and what the kernels had taken.
    assert proxy.sent < len(data) + 3 * 24 * MIB
    assert page.count(".again") == 0


def test_another_file_does_not_go_on_where_one_stopped(make_vault, make_proxy, open_page, tmp_path, random_bytes):
    vault = make_vault().start()
    world, proxy = World(vault), make_proxy(vault)
    request = world.request()
    proxy.slow(0.01)
    page = choose(open_page(url_of(proxy, request)), write(tmp_path, "a/film", random_bytes(20 * MIB)))
    until(lambda: progress(page) > 2 * MIB, "the first part", 120)
    page.call("reload")
    page.wait(".again")
    proxy.slow(0)
    other = random_bytes(20 * MIB + 1)
    choose(page, write(tmp_path, "b/film", other))
    page.wait(".receipt")
    assert world.owner.content(arrived(world, request)["film"]["id"]) == other
    assert page.count(".again") == 1


# --- limits and the end of a link ---


def test_what_would_be_refused_is_not_sent(shared_vault, world, open_page, tmp_path):
    request = world.request(max_files=2, max_file_bytes=1000, max_bytes=1500, types=[".txt", "image/*"])
    page = open_page(request["request_url"]).wait(".drop")
    for part in ("2 more files", "At most 1000 bytes a file", "1.46 KB more in all", "Only .txt, pictures"):
        assert part in page.text(), part
    choose(page, write(tmp_path, "a.exe", b"x"), write(tmp_path, "b.txt", b"x" * 1001), write(tmp_path, "c.txt", b"c" * 900),
           write(tmp_path, "d.txt", b"x" * 700), write(tmp_path, "e.png", b"e"), write(tmp_path, "f.txt", b"f"))
    finish(page)
    rows = page.text(".files")
    for part in ("only .txt, pictures are asked for", "at most 1000 bytes", "takes only 1.46 KB more",
                 "takes no more files"):
        assert part in rows, part
    assert set(arrived(world, request)) == {"c.txt", "e.png"}
    check(page, "request-refused")


def test_what_the_server_refuses_is_said(shared_vault, world, open_page, tmp_path):
    request = world.request()
    page = open_page(request["request_url"]).wait(".drop")
    world.admin.patch(f"/admin/users/{world.owner.user_id}", {"quota": 1000})
    choose(page, write(tmp_path, "a", b"x" * 2000))
    until(lambda: "There is no room for this file" in page.text(), "the reason")


@pytest.mark.parametrize("end, status, heading", [
    ("expired", 410, "This link has expired"), ("revoked", 404, "There is nothing here"),
    ("full", 200, "This link is full"), ("unknown", 404, "There is nothing here")])
def test_a_link_that_is_over_says_so(shared_vault, world, open_page, end, status, heading):
    request = world.request(max_files=1)
    url = request["request_url"]
    if end == "expired":
        shared_vault.sql("UPDATE shares SET expires_at = 1 WHERE id = ?", request["request_id"])
    elif end == "revoked":
        world.owner.delete(f"/requests/{request['request_id']}")
    elif end == "unknown":
        url = f"{shared_vault.url}/r/{'A' * 22}"
    else:
        world.owner.patch(f"/requests/{request['request_id']}", {"max_bytes": 1})
        Tus(shared_vault.client(), f"/request/{request['request_token']}/files").create("a", 1, b"x")
    assert shared_vault.client().call("GET", "/r/" + url.split("/")[-1]).status_code == status
    page = open_page(url).wait(".notice")
    assert heading in page.text()
    check(page, f"request-{end}")


def test_a_link_that_is_revoked_meanwhile_says_so(make_vault, make_proxy, open_page, tmp_path, random_bytes):
    vault = make_vault().start()
    world, proxy = World(vault), make_proxy(vault)
    request = world.request()
    proxy.slow(0.01)
    page = choose(open_page(url_of(proxy, request)), write(tmp_path, "a", random_bytes(40 * MIB)))
    until(lambda: progress(page) > 2 * MIB, "the first part", 120)
    world.owner.delete(f"/requests/{request['request_id']}")
    until(lambda: "The owner has revoked the link." in page.text(), "the reason")
    assert arrived(world, request) == {}


def test_a_password_is_asked_for(shared_vault, world, open_page, tmp_path):
    request = world.request(password="sésame", title="Secret")
    page = open_page(request["request_url"]).wait("form")
    assert "Secret" not in page.text()
    check(page, "request-password")
    page.fill("#password", "wrong").press("Enter")
    page.wait("#problem")
    assert "This password is wrong." in page.text()
    page.fill("#password", "sésame").press("Enter")
    choose(page, write(tmp_path, "a", b"a"))
    finish(page)
    assert set(arrived(world, request)) == {"a"}


# --- what it looks like, and what it must not do ---


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_looks_right_and_everybody_can_use_it(shared_vault, world, open_page, make_proxy, tmp_path, random_bytes, size,
                                                 dark):
    request = world.request(title="Photos of the feast in the garden", max_files=20, max_bytes=1 << 30,
                            max_file_bytes=200 * MIB, types=["image/*", "video/*", ".zip"], expires_in_hours=100)
    proxy = make_proxy(shared_vault)
    name = f"request-{size}-{'dark' if dark else 'light'}"
    page = open_page(url_of(proxy, request), dark=dark, **SIZES[size]).wait(".drop")
    check(page, f"{name}-empty")
    proxy.slow(0.02)
    choose(page, write(tmp_path, "garden.jpg", b"x" * 5000), write(tmp_path, "fireworks.mp4", random_bytes(30 * MIB)),
           write(tmp_path, "notes.txt", b"x"))
    until(lambda: "left" in page.text(".whole"), "speed and time left")
    check(page, f"{name}-sending")
    proxy.slow(0)
    finish(page)
    until(lambda: page.text().count("SHA-256") == 2, "the hashes")
    check(page, f"{name}-sent")
    assert page.said() == []


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text(shared_vault, world, open_page, tmp_path, name):
    request = world.request(title=name)
    page = choose(open_page(request["request_url"]), write(tmp_path, name, b"x"))
    finish(page)
    assert name in page.text("h1") and name in page.text(".files")
    assert page.evaluate("() => document.querySelectorAll('main img, main script').length") == 0
    assert page.said() == []
    assert list(arrived(world, request)) == [name]


def test_it_works_by_keyboard_alone(shared_vault, world, open_page, tmp_path):
    request = world.request()
    page = open_page(request["request_url"]).wait(".drop")
    page.press("Tab")
    assert page.evaluate("() => document.activeElement.innerText") == "Choose files"
    page.press("Tab")
    assert page.evaluate("() => document.activeElement.innerText") == "Choose a folder"
    choose(page, write(tmp_path, "a", b"a"))
    finish(page)
    page.press("Tab")
    assert page.evaluate("() => document.activeElement.innerText") == "Save the receipt"


def test_nothing_comes_from_elsewhere_and_nothing_runs_inline(shared_vault, world, open_page):
    request = world.request()
    answer = shared_vault.client().get(f"/r/{request['request_token']}", token="")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert (answer.headers["Referrer-Policy"], answer.headers["X-Content-Type-Options"]) == ("no-referrer", "nosniff")
    assert "onclick" not in answer.text and "style=" not in answer.text
    page = open_page(request["request_url"]).wait(".drop")
    assert all(url.startswith(shared_vault.url) for url in page.requests())


def test_loading_the_page_counts_nothing(shared_vault, world):
    request = world.request(max_files=1)
    for _ in range(3):
        shared_vault.client().get(f"/r/{request['request_token']}", token="")
    assert world.owner.get(f"/requests/{request['request_id']}").json() == request


def test_the_page_is_small_on_its_way(shared_vault, world):
    """With all that it loads. What is kept is compared with what is asked for, so that a second visit loads nothing."""
    client, sizes = shared_vault.client(), []
    for path in (f"/r/{world.request()['request_token']}", *(f"/assets/{name}" for name in (
            "page.css", "request.css", "common.js", "request.js", "tus.min.js", "icon.svg"))):
        answer = client.get(path, token="", headers={"Accept-Encoding": "gzip, br"})
        sizes.append(int(answer.headers["Content-Length"]))
        plain = client.get(path, token="", headers={"Accept-Encoding": "identity"})
        assert answer.content == plain.content
        if path.startswith("/assets/"):
            assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
            assert answer.headers["ETag"] != plain.headers["ETag"]
            client.get(path, token="", expect=304, headers={"Accept-Encoding": "gzip",
                                                            "If-None-Match": answer.headers["ETag"]})
    assert sum(sizes) < 60_000
