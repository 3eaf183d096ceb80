"""Folders, names, lists, the trash and versions, over HTTP."""

import unicodedata

import pytest
from client import problem
from operations import World

pytestmark = pytest.mark.files

UNKNOWN = "999999999"


@pytest.fixture
def owner(shared_vault):
    return World(shared_vault).owner


def refused(answer, status, kind):
    assert (answer.status_code, problem(answer)["type"]) == (status, f"urn:chunkvault:error:{kind}")
    return problem(answer)["detail"]


def put(owner, name, data=b"x", **fields):
    return owner.upload_multipart(name, data, **fields)["file_id"]


def names(items):
    return [item["filename"] for item in items]


def tree(owner, **folder):
    """All paths below a folder; folders end in a slash."""
    found = []
    for item in owner.list(**folder):
        if item["kind"] == "folder":
            found.append(item["filename"] + "/")
            found += [item["filename"] + "/" + below for below in tree(owner, folder_id=item["id"])]
        else:
            found.append(item["filename"])
    return found


# --- folders ---


def test_a_path_of_folders_is_made_as_far_as_it_is_missing(owner):
    first = owner.post("/folders", {"path": "a/b/c"}, expect=201).json()
    assert owner.post("/folders", {"path": "A/b/C"}, expect=200).json()["id"] == first["id"]
    below = owner.post("/folders", {"path": "d", "folder_id": first["id"]}, expect=201).json()
    assert below["folder_id"] == first["id"]
    assert tree(owner) == ["a/", "a/b/", "a/b/c/", "a/b/c/d/"]
    assert owner.info(below["id"])["path"] == "/a/b/c/d"
    put(owner, "file")
    refused(owner.call("POST", "/folders", json={"path": "file/x"}), 409, "name_taken")


@pytest.mark.parametrize("path", ["", "/", "/a", "a/", "a//b", "a/../b", "./a", "a/\0", "a\n", "a/" + "b" * 256,
                                  "a/" * 101 + "b"])
def test_paths_that_are_none_make_nothing(owner, path):
    answer = owner.call("POST", "/folders", json={"path": path})
    assert 400 <= answer.status_code < 500
    problem(answer)
    assert owner.list() == []


def test_a_folder_is_not_downloaded_nor_versioned(owner):
    folder = owner.make_folder("a")["id"]
    refused(owner.call("GET", f"/files/{folder}/download"), 422, "invalid_value")
    assert owner.call("GET", f"/files/{folder}/versions").status_code in (200, 404, 422)


# --- names ---

GOOD_NAMES = ["a", " leading and trailing ", "....", "a.b.c", "名前.txt", "Ünïcödé", "🦆", "שלום", "e\u0301",
              "\u202egnp.exe", "CON", "a:b*c?",
              "%2F", "a\\b", "'\";--", "<script>", "x" * 255, "é" * 127, "\ufeffbom", "\u200b"]
BAD_NAMES = ["", ".", "..", "a/b", "/", "a\0b", "\0", "a\nb", "a\rb", "\t", "\x1f", "\x7f", "\x85", "x" * 256,
             "é" * 128]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_come_back_composed_whichever_door_they_came_through(owner, name):
    composed = unicodedata.normalize("NFC", name)
    folder = owner.make_folder(name)
    done = owner.upload("key", name, b"x", folder_id=folder["id"])
    assert (folder["filename"], done["filename"]) == (composed, composed)
    elsewhere = put(owner, "plain", folder_id=owner.make_folder("elsewhere")["id"])
    assert owner.patch(f"/files/{elsewhere}", {"filename": name}).json()["filename"] == composed
    assert names(owner.list(folder_id=folder["id"])) == [composed]
    assert owner.content(done["file_id"]) == b"x"


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_none_are_refused_by_every_door(owner, name):
    file_id = put(owner, "plain")
    for method, path, body in [("PATCH", f"/files/{file_id}", {"filename": name}),
                               ("POST", f"/files/{file_id}/copy", {"filename": name}),
                               ("POST", "/uploads", {"key": "k", "name": name, "size": 1})]:
        refused(owner.call(method, path, json=body), 422, "invalid_value")
    assert names(owner.list()) == ["plain"]


@pytest.mark.parametrize("name, numbered", [("a.txt", "a (2).txt"), ("a", "a (2)"), (".hidden", ".hidden (2)"),
                                            ("a.tar.gz", "a.tar (2).gz"), ("x" * 251 + ".txt", "x" * 247 + " (2).txt")])
def test_a_name_in_use_gets_a_number(owner, name, numbered):
    put(owner, name)
    assert owner.upload_multipart(name, b"other", on_conflict="keep_both")["filename"] == numbered


def test_names_that_differ_in_case_or_composition_clash(owner):
    put(owner, "Straße")
    put(owner, "caf\u00e9")
    for name in ("STRASSE", "strasse", "cafe\u0301", "CAFÉ"):
        refused(owner.call("POST", "/files/upload", files={"file": (name, b"x")}, data={"on_conflict": "fail"}), 409,
                "name_taken")


def test_the_case_of_a_name_can_be_changed(owner):
    file_id = put(owner, "readme")
    assert owner.patch(f"/files/{file_id}", {"filename": "README"}).json()["filename"] == "README"


# --- lists ---


def test_pages_follow_each_other_in_every_order(owner):
    for number, size in enumerate([5, 3, 9, 3, 1, 7, 3]):
        put(owner, f"f{number}", b"x" * size, modified_at=f"2020-01-0{9 - number}T00:00:00Z")
    for folder in ("zz", "Aa"):
        owner.make_folder(folder)
    for sort, key in [("name", lambda item: item["filename"]), ("size", lambda item: item["size"]),
                      ("modified_at", lambda item: item["modified_at"])]:
        for sign in ("", "-"):
            whole = owner.list(sort=sign + sort, limit=1000)
            for limit in (1, 2, 3):
                assert owner.list(sort=sign + sort, limit=limit) == whole
            assert [item["kind"] for item in whole] == ["folder"] * 2 + ["file"] * 7
            keys = [key(item) for item in whole[2:]]
            assert keys == sorted(keys, reverse=sign == "-")


def test_a_list_goes_on_while_it_changes(owner):
    ids = {name: put(owner, name) for name in "abcdef"}
    page = owner.get("/files", params={"limit": 3}).json()
    owner.delete(f"/files/{ids['c']}")
    put(owner, "aa")
    put(owner, "dd")
    rest = owner.get("/files", params={"limit": 100, "cursor": page["next_cursor"]}).json()
    assert (names(page["items"]), names(rest["items"])) == (["a", "b", "c"], ["d", "dd", "e", "f"])
    assert rest["next_cursor"] is None


def test_a_search_finds_parts_of_names_in_all_folders(owner):
    folder = owner.make_folder("Reports/2024")["id"]
    put(owner, "Quarterly REPORT.pdf", folder_id=folder)
    put(owner, "100%_done")
    put(owner, "other")
    trashed = put(owner, "old report")
    owner.delete(f"/files/{trashed}")
    found = owner.list(q="report")
    assert {item["path"] for item in found} == {"/Reports", "/Reports/2024/Quarterly REPORT.pdf"}
    assert names(owner.list(q="%")) == names(owner.list(q="_D")) == ["100%_done"]
    assert owner.list(q="nothing like it") == []
    assert owner.list(q="report", limit=1) == found


def test_an_unchanged_list_is_not_sent_again(owner):
    put(owner, "a")
    etag = owner.get("/files").headers["ETag"]
    assert owner.get("/files", expect=304, headers={"If-None-Match": etag}).content == b""
    put(owner, "b")
    assert names(owner.get("/files", headers={"If-None-Match": etag}).json()["items"]) == ["a", "b"]


@pytest.mark.parametrize("query, status", [("folder_id=999999999", 404), ("limit=abc", 422), ("cursor=x", 422),
                                           ("sort=color", 422), ("limit=1", 200)])
def test_another_list_is_not_taken_for_an_unchanged_one(owner, query, status):
    put(owner, "a")
    etag = owner.get("/files").headers["ETag"]
    owner.get(f"/files?{query}", expect=status, headers={"If-None-Match": etag})


# --- change and copy ---


def test_files_are_renamed_and_moved_at_once(owner):
    folder, file_id = owner.make_folder("a/b")["id"], put(owner, "old", b"data")
    changed = owner.patch(f"/files/{file_id}", {"filename": "new", "folder_id": folder,
                                                "modified_at": "2001-02-03T04:05:06.789Z"}).json()
    assert (changed["filename"], changed["folder_id"]) == ("new", folder)
    assert changed["modified_at"] == "2001-02-03T04:05:06.789000Z"
    assert tree(owner) == ["a/", "a/b/", "a/b/new"]
    assert owner.content(file_id) == b"data"


def test_a_folder_moves_with_all_below_and_never_into_itself(owner):
    top, below = owner.make_folder("a")["id"], owner.make_folder("a/b")["id"]
    put(owner, "f", folder_id=below)
    for path, body in [(f"/files/{top}", {"folder_id": below}), (f"/files/{top}", {"folder_id": top})]:
        refused(owner.call("PATCH", path, json=body), 409, "conflict")
    refused(owner.call("POST", f"/files/{top}/copy", json={"folder_id": below}), 409, "conflict")
    target = owner.make_folder("t")["id"]
    owner.patch(f"/files/{top}", {"folder_id": target})
    assert tree(owner) == ["t/", "t/a/", "t/a/b/", "t/a/b/f"]


def test_the_root_stays(owner):
    root = owner.get("/me").json()["root_folder_id"]
    for method, path, body in [("PATCH", f"/files/{root}", {"filename": "x"}), ("DELETE", f"/files/{root}", None),
                               ("POST", f"/files/{root}/copy", {})]:
        refused(owner.call(method, path, json=body), 409, "conflict")


@pytest.mark.parametrize("on_conflict, outcome", [("keep_both", ["a.txt", "b (2).txt", "b.txt"]), ("fail", None),
                                                  (None, None)])
def test_a_rename_onto_a_name_in_use(owner, on_conflict, outcome):
    file_id = put(owner, "c.txt")
    put(owner, "a.txt"), put(owner, "b.txt")
    body = {"filename": "B.txt" if outcome is None else "b.txt",
            **({"on_conflict": on_conflict} if on_conflict else {})}
    answer = owner.call("PATCH", f"/files/{file_id}", json=body)
    if outcome is None:
        refused(answer, 409, "name_taken")
        outcome = ["a.txt", "b.txt", "c.txt"]
    assert names(owner.list()) == outcome


def test_a_copy_is_a_file_of_its_own(owner):
    folder = owner.make_folder("a")["id"]
    file_id = put(owner, "f", b"data", folder_id=folder)
    copied = owner.post(f"/files/{folder}/copy", {"filename": "copy"}).json()
    assert tree(owner) == ["a/", "a/f", "copy/", "copy/f"]
    (inner,) = owner.list(folder_id=copied["id"])
    assert inner["id"] != file_id
    owner.delete(f"/files/{folder}")
    owner.delete(f"/trash/{folder}")
    assert owner.content(inner["id"]) == b"data"


# --- trash ---


def test_the_trash_gives_back_what_it_took(owner):
    folder = owner.make_folder("a")["id"]
    file_id = put(owner, "f", b"data", folder_id=folder)
    owner.delete(f"/files/{folder}", expect=204)
    assert owner.list() == []
    (trashed,) = owner.get("/trash").json()["items"]
    assert (trashed["id"], trashed["filename"]) == (folder, "a")
    assert trashed["trashed_at"]
    for path in (f"/files/{file_id}/download", f"/files?folder_id={folder}"):
        refused(owner.call("GET", path), 404, "not_found")
    refused(owner.call("DELETE", f"/files/{folder}"), 404, "not_found")
    assert owner.get("/me").json()["used"] == 4
    owner.post(f"/files/{folder}/restore", {})
    assert tree(owner) == ["a/", "a/f"]
    assert owner.content(file_id) == b"data"


def test_a_restore_finds_another_place_or_name(owner):
    folder = owner.make_folder("a")["id"]
    file_id = put(owner, "f.txt", folder_id=folder)
    owner.delete(f"/files/{file_id}")
    put(owner, "f.txt", folder_id=folder)
    refused(owner.call("POST", f"/files/{file_id}/restore", json={"on_conflict": "fail"}), 409, "name_taken")
    assert owner.post(f"/files/{file_id}/restore", {}).json()["filename"] == "f (2).txt"
    owner.delete(f"/files/{file_id}")
    owner.delete(f"/files/{folder}")
    owner.delete(f"/trash/{folder}")
    back = owner.post(f"/files/{file_id}/restore", {}).json()
    assert (back["folder_id"], tree(owner)) == (owner.get("/me").json()["root_folder_id"], [back["filename"]])


def test_what_is_purged_is_gone_and_its_bytes_are_free(shared_vault, owner):
    kept, first, second = put(owner, "kept", b"123"), put(owner, "first", b"4567"), put(owner, "second", b"89")
    refused(owner.call("DELETE", f"/trash/{first}"), 404, "not_found")  # not in the trash
    for file_id in (first, second):
        owner.delete(f"/files/{file_id}")
    owner.delete(f"/trash/{first}", expect=204)
    for method, path in [("GET", f"/files/{first}"), ("POST", f"/files/{first}/restore"),
                         ("DELETE", f"/trash/{first}")]:
        refused(owner.call(method, path, json={} if method == "POST" else None), 404, "not_found")
    assert owner.delete("/trash").json() == {"purged": 1}
    assert owner.delete("/trash").json() == {"purged": 0}
    assert owner.get("/trash").json()["items"] == []
    shared_vault.admin().post("/admin/sweeps/trash")
    assert owner.get("/me").json()["used"] == 3
    assert owner.content(kept) == b"123"


def test_the_trash_is_listed_in_pages_newest_first(owner):
    for name in "abcde":
        owner.delete(f"/files/{put(owner, name)}")
    found, cursor = [], None
    while True:
        page = owner.get("/trash", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found += names(page["items"])
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert found == list("edcba")


# --- bulk ---


def test_bulk_calls_do_what_can_be_done_and_say_what_cannot(owner, shared_vault):
    foreign = World(shared_vault).file()
    folder, a, b = owner.make_folder("t")["id"], put(owner, "a"), put(owner, "b")
    put(owner, "b", folder_id=folder)
    ids = [a, UNKNOWN, b, foreign, folder]

    def outcome(path, **more):
        items = owner.post(path, {"ids": ids, **more}, expect=200).json()["items"]
        assert [item["id"] for item in items] == ids
        return [item["error"]["status"] if "error" in item else "ok" for item in items]

    assert outcome("/files/move", folder_id=folder) == ["ok", 404, 409, 404, 409]
    assert tree(owner) == ["t/", "t/a", "t/b", "b"]
    assert outcome("/files/restore")[1:4] == [404, 404, 404]
    assert outcome("/files/trash") == ["ok", 404, "ok", 404, "ok"]
    assert outcome("/files/restore") == ["ok", 404, "ok", 404, "ok"]
    assert outcome("/files/purge") == [404] * 5
    assert outcome("/files/trash")[0] == "ok"
    assert outcome("/files/purge") == ["ok", 404, "ok", 404, "ok"]
    assert tree(owner) == []
    shared_vault.client().call("GET", f"/files/{foreign}", expect=401)


# --- versions ---


def test_versions_are_listed_downloaded_restored_and_deleted(owner):
    file_id = put(owner, "f", b"one", modified_at="2001-01-01T00:00:00Z")
    for data in (b"second", b"the third"):
        assert put(owner, "f", data) == file_id
    versions = owner.get(f"/files/{file_id}/versions").json()["items"]
    assert [(version["version"], version["size"]) for version in versions] == [(3, 9), (2, 6), (1, 3)]
    assert versions[2]["modified_at"] == "2001-01-01T00:00:00Z"
    for number, data in [(1, b"one"), (2, b"second"), (3, b"the third")]:
        assert owner.get(f"/files/{file_id}/versions/{number}/download").content == data
    restored = owner.post(f"/files/{file_id}/versions/1/restore").json()
    assert (restored["version"], restored["size"]) == (4, 3)
    assert owner.content(file_id) == b"one"
    refused(owner.call("DELETE", f"/files/{file_id}/versions/4"), 409, "conflict")
    owner.delete(f"/files/{file_id}/versions/2", expect=204)
    refused(owner.call("GET", f"/files/{file_id}/versions/2/download"), 404, "not_found")
    assert [version["version"] for version in owner.get(f"/files/{file_id}/versions").json()["items"]] == [4, 3, 1]


def test_the_same_content_again_is_no_new_version(owner):
    put(owner, "f", b"same")
    again = owner.upload_multipart("F", b"same")
    assert (again["version"], again["new_version"], again["filename"]) == (1, False, "f")


def test_only_so_many_versions_are_kept(make_vault):
    owner = World(make_vault(VERSIONS_KEEP=3).start()).owner
    for number in range(6):
        file_id = put(owner, "f", f"content {number}".encode())
    assert [version["version"] for version in owner.get(f"/files/{file_id}/versions").json()["items"]] == [6, 5, 4]
    assert owner.get("/me").json()["used"] == 3 * len("content 0")
