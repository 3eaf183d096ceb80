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


def everything(world, request):
    """All that has arrived, {path: bytes}."""
    found = {}

    def walk(folder, prefix):
        for item in world.owner.list(folder_id=folder):
            if item["kind"] == "folder":
                walk(item["id"], f"{prefix}{item['filename']}/")
            else:
                found[prefix + item["filename"]] = world.owner.content(item["id"])

    walk(request["folder_id"], "")
    return found


def kept(page):
    """What the page keeps in the browser for when it is loaded again: the paths of files, and how many handles."""
    things = page.evaluate("""async () => {
        const result = (request) => new Promise((give) => { request.onsuccess = () => give(request.result); });
        const database = await result(indexedDB.open("chunkvault-requests"));
        const all = await result(database.transaction("kept").objectStore("kept").getAll());
        database.close();
        return all.map((one) => one.path ?? null);
    }""")
    return sorted(filter(None, things)), things.count(None)


def check(page, name):
    assert page.violations() == [], name
    assert page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"), (
        f"{name} is wider than its window")
    page.screenshot(name)


def finish(page):
    until(lambda: page.count(".receipt"), "the receipt", 120)


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


def test_files_and_folders_are_dropped(shared_vault, world, open_page, tmp_path):
    request = world.request()
    for name in ("one.txt", "trip/day 1/a.txt", "trip/day 1/b.txt", "trip/day 2/a.txt"):
        os.utime(write(tmp_path, name, name.encode()), (1_700_000_000, 1_700_000_000))
    page = open_page(request["request_url"]).wait(".drop")
    page.drop(".drop", tmp_path / "one.txt", tmp_path / "trip")
    finish(page)
    assert everything(world, request) == {name: name.encode() for name in (
        "one.txt", "trip/day 1/a.txt", "trip/day 1/b.txt", "trip/day 2/a.txt")}
    assert arrived(world, request)["one.txt"]["modified_at"] == "2023-11-14T22:13:20Z"
    assert page.said() == []


def test_a_browser_without_handles_gives_what_is_dropped_too(shared_vault, world, open_page, tmp_path):
    request = world.request()
    for name in ("one.txt", "trip/day 1/a.txt"):
        write(tmp_path, name, name.encode())
    page = open_page(request["request_url"]).wait(".drop")
    page.evaluate("() => { delete DataTransferItem.prototype.getAsFileSystemHandle; }")
    page.drop(".drop", tmp_path / "one.txt", tmp_path / "trip")
    finish(page)
    assert everything(world, request) == {name: name.encode() for name in ("one.txt", "trip/day 1/a.txt")}


def test_one_file_that_cannot_be_read_does_not_keep_back_the_others(shared_vault, world, open_page, tmp_path):
    request = world.request()
    for name in ("trip/a.txt", "trip/b.txt", "trip/day 1/c.txt"):
        write(tmp_path, name, name.encode())
    page = open_page(request["request_url"]).wait(".drop")
    page.evaluate("""() => {
        const getFile = FileSystemFileHandle.prototype.getFile;
        FileSystemFileHandle.prototype.getFile = async function () {
            if (this.name === "a.txt") throw new DOMException("", "NotReadableError");
            return getFile.call(this);
        };
    }""")
    page.drop(".drop", tmp_path / "trip")
    finish(page)
    assert set(everything(world, request)) == {"trip/b.txt", "trip/day 1/c.txt"}
    assert "Not sent: this cannot be read." in page.text(".files li:has-text('trip/a.txt')")
    check(page, "request-unreadable")


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


@pytest.fixture
def slow_request(make_vault, make_proxy, open_page):
    """slow_request(**limits) gives the world, a request in it, its page, and the slow line that the page has."""
    vault = make_vault().start()
    world, proxy = World(vault), make_proxy(vault)

    def slow_request(size="desktop", **limits):
        request = world.request(**limits)
        proxy.slow(0.01)
        return world, request, open_page(url_of(proxy, request), **SIZES[size]).wait(".drop"), proxy

    return slow_request


def begun(page):
    """Until bytes of the first file are on the server, which the page knows."""
    until(lambda: progress(page) > 5 * MIB, "the first part", 120)


def load_again(page):
    """As when the page was closed amid all."""
    page.call("reload")
    return page.wait(".again")


def test_a_dropped_folder_goes_on_with_one_click(slow_request, tmp_path, random_bytes):
    """With what was sent, what was under way and what had not begun."""
    world, request, page, proxy = slow_request()
    files = {"trip/film.mkv": random_bytes(30 * MIB), "trip/day 1/other.mkv": random_bytes(20 * MIB),
             "trip/day 2/third.mkv": random_bytes(20 * MIB)}
    files |= {f"trip/small/{number}.txt": b"%d" % number for number in range(9)}
    for name, data in files.items():
        write(tmp_path, name, data)
    page.drop(".drop", tmp_path / "trip")
    until(lambda: len(arrived(world, request)) > 0, "the first that is whole", 120)
    until(lambda: progress(page) > 20 * MIB, "bytes of the large ones", 120)
    load_again(page)
    assert kept(page) == (sorted(files), 1)
    assert "Choose" not in page.text(".again")
    check(page, "request-continue")
    before = proxy.sent
    proxy.slow(0)
    page.press("Tab")
    assert page.evaluate("() => document.activeElement.innerText") == "Continue"
    page.press("Enter")
    finish(page)
    assert f"Your {len(files)} files have arrived" in page.text()
    assert everything(world, request) == files
    assert proxy.sent - before < sum(map(len, files.values())) - 10 * MIB
    assert page.count(".again") == 0
    until(lambda: kept(page) == ([], 0), "nothing that is kept any longer")


def offer(page, size):
    """Lets the pickers give what is in the origin's own file system, whose handles are of the same kind."""
    page.evaluate("""async () => {
        const root = await navigator.storage.getDirectory();
        const trip = await root.getDirectoryHandle("trip", {create: true});
        const file = await (await trip.getDirectoryHandle("day", {create: true})).getFileHandle("film.mkv", {create: true});
        const writable = await file.createWritable();
        await writable.write(new Uint8Array(SIZE).fill(7));
        await writable.close();
        window.showOpenFilePicker = async () => [file];
        window.showDirectoryPicker = async () => trip;
    }""".replace("SIZE", str(size)))


@pytest.mark.parametrize("button, path", [("Choose files", "film.mkv"), ("Choose a folder", "trip/day/film.mkv")])
def test_what_was_picked_goes_on_with_one_click(slow_request, button, path):
    world, request, page, proxy = slow_request()
    offer(page, 20 * MIB)
    page.click(f"button:has-text('{button}')")
    begun(page)
    load_again(page)
    proxy.slow(0)
    page.click(".again button:has-text('Continue')")
    finish(page)
    assert everything(world, request) == {path: b"\7" * (20 * MIB)}
    until(lambda: kept(page) == ([], 0), "nothing that is kept any longer")


def test_a_picker_that_is_left_changes_nothing(shared_vault, world, open_page):
    page = open_page(world.request()["request_url"]).wait(".drop")
    page.evaluate("""() => {
        window.showOpenFilePicker = async () => { throw new DOMException("", "AbortError"); };
    }""")
    page.click("button:has-text('Choose files')")
    assert page.said() == [] and page.count(".files li") == 0


def test_a_guest_may_refuse_that_files_are_read_again(slow_request, tmp_path, random_bytes):
    _, _, page, proxy = slow_request("phone")
    page.drop(".drop", write(tmp_path, "film.mkv", random_bytes(20 * MIB)))
    begun(page)
    load_again(page)
    check(page, "request-phone-continue")
    page.evaluate("() => { FileSystemHandle.prototype.requestPermission = async () => 'denied'; }")
    page.click(".again button:has-text('Continue')")
    page.wait(".again button:has-text('Continue'):enabled")
    assert page.count(".files li") == 0
    proxy.slow(0)
    page.evaluate("() => { FileSystemHandle.prototype.requestPermission = async () => 'granted'; }")
    page.click(".again button:has-text('Continue')")
    finish(page)


def test_a_file_that_was_changed_does_not_go_on(slow_request, tmp_path, random_bytes):
    world, request, page, proxy = slow_request()
    page.drop(".drop", write(tmp_path, "film.mkv", random_bytes(20 * MIB)),
              write(tmp_path, "gone.mkv", random_bytes(20 * MIB)))
    begun(page)
    load_again(page)
    proxy.slow(0)
    new = random_bytes(9 * MIB)
    write(tmp_path, "film.mkv", new)
    (tmp_path / "gone.mkv").unlink()
    page.click(".again button:has-text('Continue')")
    until(lambda: page.text(".again").count("was changed, or is not there any more") == 2, "the reason")
    check(page, "request-changed")
    assert page.count(".files li") == 0
    page.click(".again button:has-text('Do not send them')")
    choose(page, str(tmp_path / "film.mkv"))
    finish(page)
    assert everything(world, request) == {"film.mkv": new}


def test_what_was_not_finished_can_be_given_up(slow_request, tmp_path, random_bytes):
    world, _, page, _ = slow_request()
    page.drop(".drop", write(tmp_path, "film.mkv", random_bytes(20 * MIB)))
    begun(page)
    load_again(page)
    page.click(".again button:has-text('Do not send it')")
    until(lambda: world.owner.get("/me").json()["reserved"] == 0, "the room that is given back")
    assert page.count(".again") == 0
    until(lambda: kept(page)[0] == [], "nothing that is kept any longer")


def test_nothing_is_kept_when_the_link_is_gone(slow_request, tmp_path, random_bytes):
    world, request, page, _ = slow_request()
    page.drop(".drop", write(tmp_path, "film.mkv", random_bytes(20 * MIB)))
    begun(page)
    assert kept(page) == (["film.mkv"], 1)
    world.owner.delete(f"/requests/{request['request_id']}")
    page.call("reload")
    page.wait(".notice")
    until(lambda: kept(page) == ([], 0), "nothing that is kept any longer")


def test_a_link_that_is_full_of_what_is_not_finished_takes_the_rest(slow_request, tmp_path, random_bytes):
    world, request, page, proxy = slow_request(max_files=1)
    data = random_bytes(20 * MIB)
    path = write(tmp_path, "film.mkv", data)
    choose(page, path)
    begun(page)
    load_again(page)
    proxy.slow(0)
    choose(page, path)
    finish(page)
    assert everything(world, request) == {"film.mkv": data}


def test_a_folder_that_is_chosen_again_is_not_sent_again(slow_request, tmp_path, random_bytes):
    """Where a browser gives no handles."""
    world, request, page, proxy = slow_request()
    files = {"trip/a.txt": b"a", "trip/b.txt": b"b", "trip/film.mkv": random_bytes(20 * MIB),
             "trip/z.txt": b"z" * 3000}
    for name, data in files.items():
        write(tmp_path, name, data)
    choose(page, str(tmp_path / "trip"), into=FOLDER)
    until(lambda: "3 of 4 files sent" in page.text(".whole"), "the small ones", 120)
    begun(page)
    load_again(page)
    proxy.slow(0)
    assert "Choose it again, and it goes on where it stopped" in page.text(".again")
    choose(page, str(tmp_path / "trip"), into=FOLDER)
    finish(page)
    assert "Your 4 files have arrived" in page.text()
    assert everything(world, request) == files


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_that_is_busy_for_a_while_costs_no_byte(slow_request, tmp_path, random_bytes, status):
    """As a load balancer answers while the server behind it is away."""
    world, request, page, proxy = slow_request()
    data = random_bytes(20 * MIB)
    choose(page, write(tmp_path, "film.mkv", data))
    begun(page)
    page.answer("HEAD", status)
    proxy.cut()
    proxy.open()
    until(lambda: any(str(status) in line for line in page.said()), "that answer")
    until(lambda: "The server is busy. It goes on by itself." in page.text(), "a word about the server")
    page.answer("HEAD", None)
    finish(page)
    assert everything(world, request) == {"film.mkv": data}
    assert world.owner.get(f"/requests/{request['request_id']}").json()["files_uploading"] == 0


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


def test_a_file_that_failed_goes_on_when_it_is_chosen_again(slow_request, tmp_path, random_bytes):
    world, request, page, proxy = slow_request(expires_in_hours=1)
    data = random_bytes(50 * MIB)
    path = write(tmp_path, "film.mkv", data)
    choose(page, path)
    until(lambda: progress(page) > 30 * MIB, "what comes with a second request", 120)
    world.vault.sql("UPDATE shares SET expires_at = 1 WHERE id = ?", request["request_id"])
    until(lambda: "The link has expired." in page.text(), "the reason", 60)
    world.owner.patch(f"/requests/{request['request_id']}", {"expires_in_hours": 1})
    before = proxy.sent
    proxy.slow(0)
    choose(page, path)
    finish(page)
    assert everything(world, request) == {"film.mkv": data}
    assert page.count(".files li") == 1
    assert proxy.sent - before < len(data) - 10 * MIB


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


def test_a_password_that_is_changed_meanwhile_is_asked_for(shared_vault, world, open_page, tmp_path):
    request = world.request(password="old")
    page = open_page(request["request_url"]).wait("form").fill("#password", "old").press("Enter")
    choose(page, write(tmp_path, "a", b"a"))
    finish(page)
    world.owner.patch(f"/requests/{request['request_id']}", {"password": "new"})
    choose(page, write(tmp_path, "b", b"b"))
    page.wait("form").drop("main", write(tmp_path, "c", b"c"))
    page.fill("#password", "new").press("Enter")
    until(lambda: "Your 3 files have arrived" in page.text(), "the receipt")
    assert set(arrived(world, request)) == {"a", "b", "c"}


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
    offer(page, 5)
    for button, path in (("Choose files", "film.mkv"), ("Choose a folder", "trip/day/film.mkv")):
        page.press("Tab")
        assert page.evaluate("() => document.activeElement.innerText") == button
        page.press("Enter")
        until(lambda: path in everything(world, request), path)
    until(lambda: "Your 2 files have arrived" in page.text(), "the receipt")
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
            "page.css", "request.css", "common.js", "journal.js", "request.js", "tus.min.js", "icon.svg"))):
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
