"""Downloads: whole, in ranges, on conditions, under names of any language."""

import email.utils
import urllib.parse

import pytest
from client import problem, root_of, split
from operations import World

pytestmark = pytest.mark.files

CHUNK = 64 << 10
SIZE = 3 * CHUNK + 100
SMALL = bytes(range(10))


@pytest.fixture
def owner(shared_vault):
    return World(shared_vault).owner


@pytest.fixture(scope="module", autouse=True)
def small_chunks(module_vaults):
    module_vaults(CHUNK_SIZE="64K")


@pytest.fixture
def data(random_bytes):
    return random_bytes(SIZE)


@pytest.fixture
def file_id(owner, data):
    return owner.upload_multipart("film.mkv", data, modified_at="2001-02-03T04:05:06Z")["file_id"]


def fetch(owner, file_id, method="GET", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return owner.call(method, f"/files/{file_id}/download", headers=headers)


def test_a_whole_download_says_what_it_is(owner, file_id, data):
    answer = fetch(owner, file_id)
    assert (answer.status_code, answer.content) == (200, data)
    expected = {
        "Content-Length": str(SIZE), "Content-Type": "video/x-matroska", "Accept-Ranges": "bytes",
        "ETag": f'"{root_of(split(data, CHUNK))}"', "Last-Modified": "Sat, 03 Feb 2001 04:05:06 GMT",
        "Content-Disposition": 'attachment; filename="film.mkv"', "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert email.utils.parsedate_to_datetime(answer.headers["Date"])


def test_a_head_has_the_headers_of_the_download_and_no_body(owner, file_id):
    get, head = fetch(owner, file_id), fetch(owner, file_id, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    for answer in (get, head):
        for varying in ("Date", "X-Request-Id"):
            del answer.headers[varying]
    assert dict(head.headers) == dict(get.headers)
    assert owner.call("HEAD", "/files/999999999/download").status_code == 404


RANGES = [("0-0", 0, 1), (f"0-{SIZE - 1}", 0, SIZE), (f"0-{SIZE}", 0, SIZE), ("0-", 0, SIZE), ("-1", SIZE - 1, SIZE),
          ("-100", SIZE - 100, SIZE),
          (f"-{SIZE}", 0, SIZE), (f"-{SIZE + 1}", 0, SIZE), (f"{CHUNK - 1}-{CHUNK}", CHUNK - 1, CHUNK + 1),
          (f"{CHUNK}-{2 * CHUNK - 1}", CHUNK, 2 * CHUNK), (f"1-{3 * CHUNK}", 1, 3 * CHUNK + 1),
          (f"{SIZE - 1}-", SIZE - 1, SIZE),
          (f"{SIZE - 1}-99999999999999999999", SIZE - 1, SIZE)]


@pytest.mark.parametrize("wanted, first, end", RANGES)
def test_a_range_gives_exactly_its_bytes(owner, file_id, data, wanted, first, end):
    answer = fetch(owner, file_id, Range=f"bytes={wanted}")
    assert (answer.status_code, answer.content) == (206, data[first:end])
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(end - first)


@pytest.mark.parametrize("wanted", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0",
                                    "bytes=99999999999999999999-"])
def test_a_range_beyond_the_end_is_refused_with_the_size(owner, file_id, wanted):
    answer = fetch(owner, file_id, Range=wanted)
    assert answer.status_code == 416
    problem(answer)
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("wanted", ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-3", "items=0-5", "0-5",
                                    "bytes=0-1,3-4",
                                    "bytes=--5", "bytes=1.5-3", "bytes=0x1-3"])
def test_a_range_that_is_none_gives_the_whole(owner, wanted):
    file_id = owner.upload_multipart("small", SMALL)["file_id"]
    answer = fetch(owner, file_id, Range=wanted)
    assert (answer.status_code, answer.content) == (200, SMALL)


@pytest.mark.parametrize("make, status", [
    (lambda etag, date: etag, 206),
    (lambda etag, date: '"another"', 200),
    (lambda etag, date: "W/" + etag, 200),
    (lambda etag, date: etag.strip('"'), 200),
    (lambda etag, date: "Sat, 01 Jan 2000 00:00:00 GMT", 200),
    (lambda etag, date: "", 200),
])
def test_a_range_of_another_content_gives_the_whole(owner, make, status):
    file_id = owner.upload_multipart("small", SMALL)["file_id"]
    headers = fetch(owner, file_id, "HEAD").headers
    answer = fetch(owner, file_id, Range="bytes=2-4", If_Range=make(headers["ETag"], headers["Last-Modified"]))
    assert (answer.status_code, answer.content) == (status, SMALL[2:5] if status == 206 else SMALL)


@pytest.mark.parametrize("make, status", [
    (lambda etag: etag, 304), (lambda etag: "W/" + etag, 304), (lambda etag: f'"x", {etag}', 304),
    (lambda etag: "*", 304),
    (lambda etag: '"x"', 200), (lambda etag: etag.strip('"'), 200), (lambda etag: "", 200),
])
def test_what_a_client_has_is_not_sent_again(owner, make, status):
    file_id = owner.upload_multipart("small", SMALL)["file_id"]
    etag = fetch(owner, file_id, "HEAD").headers["ETag"]
    answer = fetch(owner, file_id, If_None_Match=make(etag))
    assert (answer.status_code, answer.content) == (status, b"" if status == 304 else SMALL)
    assert answer.headers["ETag"] == etag


def test_the_tag_follows_the_content_and_not_the_name(owner):
    file_id = owner.upload_multipart("f", SMALL)["file_id"]
    etag = fetch(owner, file_id, "HEAD").headers["ETag"]
    owner.patch(f"/files/{file_id}", {"filename": "g"})
    assert fetch(owner, file_id, If_None_Match=etag).status_code == 304
    owner.upload_multipart("g", b"other")
    assert fetch(owner, file_id, If_None_Match=etag).content == b"other"
    answer = fetch(owner, file_id, Range="bytes=2-4", If_Range=etag)
    assert (answer.status_code, answer.content) == (200, b"other")


def test_an_empty_file_is_downloaded(owner):
    file_id = owner.upload_multipart("empty", b"")["file_id"]
    answer = fetch(owner, file_id)
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")
    assert fetch(owner, file_id, Range="bytes=0-").status_code == 416
    assert fetch(owner, file_id, Range="bytes=-5").status_code == 416


@pytest.mark.parametrize("name, fallback", [
    ("plain.txt", "plain.txt"), ("two words.txt", "two words.txt"), ("Übung.pdf", "_bung.pdf"), ("名前", "__"),
    ("🦆.png", "_.png"),
    ('a"b', "a_b"), ("a\\b", "a_b"), ("a%41", "a_41"), ("a;b=c", "a;b=c"), ("a'b*", "a'b*"),
    ("\u202egnp.exe", "_gnp.exe"),
])
def test_names_of_any_language_come_with_a_download(owner, name, fallback):
    file_id = owner.start_upload("key", name, 0).commit([], b"")["file_id"]
    disposition = fetch(owner, file_id).headers["Content-Disposition"]
    kind, *parts = disposition.split("; filename")
    assert (kind, parts[0]) == ("attachment", f'="{fallback}"')
    if fallback == name:
        assert len(parts) == 1
    else:
        assert parts[1].startswith("*=UTF-8''")
        assert urllib.parse.unquote(parts[1].removeprefix("*=UTF-8''"), errors="strict") == name
        assert parts[1].isascii() and '"' not in parts[1] and "'" not in parts[1].removeprefix("*=UTF-8''")


@pytest.mark.parametrize("name, media", [("a.html", "text/html"), ("a.svg", "image/svg+xml"), ("a.JPG", "image/jpeg"),
                                         ("a.exe", "application/octet-stream"),
                                         ("a", "application/octet-stream")])
def test_a_download_is_never_shown_as_a_page_of_the_server(owner, name, media):
    answer = fetch(owner, owner.upload_multipart(name, b"<script>alert(1)</script>")["file_id"])
    assert answer.headers["Content-Type"] == media
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_file_whose_upload_goes_on_asks_to_wait(owner):
    upload = owner.start_upload("key", "later", 5)
    answer = fetch(owner, upload.file_id)
    assert (answer.status_code, problem(answer)["type"]) == (409, "urn:chunkvault:error:not_yet_complete")
    assert int(answer.headers["Retry-After"]) > 0
    upload.put(0, b"bytes")
    upload.commit([b"bytes"], b"bytes")
    assert owner.content(upload.file_id) == b"bytes"
