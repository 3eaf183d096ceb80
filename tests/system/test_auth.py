"""Accounts, sessions, tokens and the administrator's calls."""

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import problem
from operations import World
from vault import ADMIN_PASSWORD, CHANGED_ADMIN_PASSWORD, PASSWORD

pytestmark = pytest.mark.auth

DEADLINE_S = 30


@pytest.fixture
def admin(shared_vault):
    return shared_vault.admin()


def refused(answer, status, kind):
    assert (answer.status_code, problem(answer)["type"]) == (status, f"urn:chunkvault:error:{kind}")
    return problem(answer)["detail"]


def unauthorized(client, path="/me", **options):
    refused(client.call("GET", path, **options), 401, "unauthorized")


def sign_in(vault, username, password, **more):
    return vault.client().call("POST", "/auth/login", json={"username": username, "password": password, **more})


# --- registration and login ---


def test_a_registered_account_signs_in_without_regard_to_case(shared_vault):
    client = shared_vault.client()
    assert client.register("Greta", PASSWORD)["username"] == "Greta"
    answer = client.login("gReTa", PASSWORD)
    assert (answer["token_type"], answer["must_change_password"]) == ("bearer", False)
    assert answer["expires_in"] > 0
    me = client.get("/me").json()
    assert (me["username"], me["role"], me["state"], me["used"], me["quota"]) == ("Greta", "user", "active", 0, None)
    assert me["last_login_at"] is not None


@pytest.mark.parametrize("username, email", [("taken", "other@example.org"), ("TAKEN", "other@example.org"),
                                             ("other", "taken@example.org"), ("other", "Taken@Example.org")])
def test_names_and_addresses_in_use_are_refused(shared_vault, username, email):
    shared_vault.client().call("POST", "/auth/register",
                               json={"username": "taken", "email": "taken@example.org", "password": PASSWORD},
                               expect=(201, 409))
    answer = shared_vault.client().call("POST", "/auth/register",
                                        json={"username": username, "email": email, "password": PASSWORD})
    refused(answer, 409, "name_taken")


@pytest.mark.parametrize("password, words", [("short", "8 characters"), ("x" * 73, "72 bytes"), ("é" * 37, "72 bytes"),
                                             ("nul\0in the middle", "NUL"), ("x" * 1000, "72 bytes")])
def test_passwords_that_bcrypt_would_cut_are_refused_with_the_reason(shared_vault, world, admin, password, words):
    client, owner = shared_vault.client(), world.owner
    requests = [
        client.call("POST", "/auth/register", json={"username": "unmade", "email": "unmade@example.org",
                                                    "password": password}),
        client.call("POST", "/auth/login", json={"username": world.username, "password": PASSWORD,
                                                 "new_password": password}),
        owner.call("POST", "/auth/password", json={"current_password": PASSWORD, "new_password": password}),
        admin.call("POST", "/admin/users", json={"username": "unmade", "password": password}),
        admin.call("POST", f"/admin/users/{owner.user_id}/password", json={"password": password}),
    ]
    for answer in requests:
        assert words in refused(answer, 422, "invalid_value")
    assert sign_in(shared_vault, world.username, PASSWORD).ok


def test_a_password_of_72_bytes_counts_to_its_last_byte(shared_vault):
    password = "x" * 71 + "a"
    shared_vault.user("longest", password)
    refused(sign_in(shared_vault, "longest", "x" * 71 + "b"), 401, "wrong_credentials")
    refused(sign_in(shared_vault, "longest", password + "a"), 401, "wrong_credentials")
    refused(sign_in(shared_vault, "longest", password + "\0"), 401, "wrong_credentials")


def test_an_unknown_user_and_a_wrong_password_look_the_same(shared_vault, world, admin):
    disabled = World(shared_vault)
    admin.patch(f"/admin/users/{disabled.owner.user_id}", {"state": "disabled"})
    answers = [sign_in(shared_vault, "nobody-of-this-name", PASSWORD),
               sign_in(shared_vault, world.username, "wrong one"),
               sign_in(shared_vault, disabled.username, PASSWORD)]
    bodies = [{name: value for name, value in problem(answer).items() if name != "request_id"} for answer in answers]
    assert bodies[0]["status"] == 401
    assert bodies[0] == bodies[1] == bodies[2]
    names = [sorted(set(answer.headers) - {"Date", "X-Request-Id"}) for answer in answers]
    assert names[0] == names[1] == names[2]


@pytest.mark.parametrize("username", ["known", "unknown"])
def test_failed_logins_are_limited_per_account_before_the_password_is_looked_at(make_vault, username):
    vault = make_vault(LOGIN_LIMIT_ACCOUNT=3).start()
    vault.client().register("known", PASSWORD)
    for _ in range(3):
        refused(sign_in(vault, username, "wrong one"), 401, "wrong_credentials")
    answer = sign_in(vault, username.upper(), PASSWORD)
    refused(answer, 429, "too_many_requests")
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    vault.user("somebody-else")


def test_other_spellings_of_a_name_are_counted_with_it(make_vault):
    vault = make_vault(LOGIN_LIMIT_ACCOUNT=3).start()
    vault.user("Mask")
    for spelling in ("mask", "MA\u017fK", "mas\u212a"):  # a long s and the sign of Kelvin fold to s and k
        refused(sign_in(vault, spelling, "wrong one"), 401, "wrong_credentials")
    for spelling in ("mask", "ma\u017f\u212a"):
        refused(sign_in(vault, spelling, PASSWORD), 429, "too_many_requests")


def test_a_network_of_ipv6_addresses_is_one_address_to_the_limits(make_vault):
    vault = make_vault(LOGIN_LIMIT_ADDRESS=3, REGISTER_LIMIT_ADDRESS=3, SHARE_PASSWORD_LIMIT=3,
                       TRUSTED_PROXIES="127.0.0.1").start()
    alice = vault.user()
    link = alice.share(alice.upload_multipart("file", b"x")["file_id"], password="sesame open")["share_token"]
    calls = [("POST", "/auth/login", lambda n: {"username": f"name{n}", "password": "wrong one"}, 401),
             ("POST", "/auth/register",
              lambda n: {"username": f"name{n}", "email": f"{n}@example.org", "password": PASSWORD}, 201),
             ("POST", f"/share/{link}/unlock", lambda n: {"password": "wrong one"}, 401)]
    for method, path, body, status in calls:
        answers = [vault.client().call(method, path, json=body(number), headers={"X-Forwarded-For": address}).status_code
                   for number, address in enumerate(["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:3:4:5:6",
                                                     "2001:db8:1:2:ffff::", "2001:db8:1:3::1", "203.0.113.2"])]
        assert answers == [status, status, status, 429, status, status], path


def test_a_good_login_clears_the_count_of_failed_ones(make_vault):
    vault = make_vault(LOGIN_LIMIT_ACCOUNT=3).start()
    user = vault.user("alice")
    for _ in range(3):
        refused(sign_in(vault, "alice", "wrong one"), 401, "wrong_credentials")
        refused(sign_in(vault, "alice", "wrong two"), 401, "wrong_credentials")
        user.login("alice", PASSWORD)


def test_logins_and_registrations_are_limited_per_address(make_vault):
    vault = make_vault(LOGIN_LIMIT_ADDRESS=3, REGISTER_LIMIT_ADDRESS=2).start()
    for name in ("one", "two"):
        vault.client().register(name, PASSWORD)
    answer = vault.client().call("POST", "/auth/register", json={"username": "six", "email": "six@a.b",
                                                                 "password": PASSWORD})
    refused(answer, 429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) > 0
    answers = [sign_in(vault, f"name{number}", PASSWORD).status_code for number in range(4)]
    assert answers == [401, 401, 401, 429]


def test_a_closed_registration_says_so(make_vault):
    vault = make_vault(REGISTRATION="closed").start()
    assert vault.client().get("/").json()["registration"] == "closed"
    answer = vault.client().call("POST", "/auth/register", json={"username": "a", "email": "a@b.c",
                                                                 "password": PASSWORD})
    refused(answer, 403, "registration_closed")
    vault.admin().post("/admin/users", {"username": "invited", "password": PASSWORD}, expect=201)


# --- sessions and refresh tokens ---


def refresh(vault, token):
    return vault.client().call("POST", "/auth/refresh", json={"refresh_token": token})


def test_a_refresh_gives_new_tokens_and_keeps_the_session(shared_vault, world):
    owner = world.owner
    (session,) = owner.get("/auth/sessions").json()["items"]
    old = owner.refresh_token
    owner.refresh()
    assert owner.refresh_token != old
    assert [item["session_id"] for item in owner.get("/auth/sessions").json()["items"]] == [session["session_id"]]


def test_a_refresh_whose_answer_was_lost_can_be_repeated(shared_vault, world):
    first = world.owner.refresh_token
    lost = refresh(shared_vault, first).json()
    again = refresh(shared_vault, first).json()
    assert len({first, lost["refresh_token"], again["refresh_token"]}) == 3
    third = refresh(shared_vault, again["refresh_token"])
    assert third.ok
    shared_vault.client().get("/me", token=third.json()["access_token"])


def test_a_token_that_was_replaced_before_ends_the_session_of_who_has_the_new_one(shared_vault, world):
    first = world.owner.refresh_token
    second = refresh(shared_vault, first).json()
    third = refresh(shared_vault, second["refresh_token"]).json()
    refused(refresh(shared_vault, first), 401, "unauthorized")
    for token in (second["refresh_token"], third["refresh_token"]):
        refused(refresh(shared_vault, token), 401, "unauthorized")
    for answer in (second, third):
        unauthorized(shared_vault.client(), token=answer["access_token"])


@pytest.mark.parametrize("token", ["", "x", "cvr_" + "A" * 43, "A" * 256])
def test_refresh_tokens_that_are_none_are_refused(shared_vault, token):
    refused(refresh(shared_vault, token), 401, "unauthorized")


def test_a_logout_ends_its_session_only(shared_vault, world):
    other = shared_vault.client()
    other.login(world.username, PASSWORD)
    world.owner.post("/auth/logout", expect=204)
    unauthorized(world.owner)
    refused(refresh(shared_vault, world.owner.refresh_token), 401, "unauthorized")
    other.get("/me")


def test_sessions_are_listed_and_revoked(shared_vault, world):
    other = shared_vault.client()
    other.session.headers["User-Agent"] = "the phone"
    other.login(world.username, PASSWORD)
    sessions = world.owner.get("/auth/sessions").json()["items"]
    assert len(sessions) == 2
    (phone,) = [session for session in sessions if session["user_agent"] == "the phone"]
    (own,) = [session for session in sessions if session["current"]]
    assert phone["address"] == "127.0.0.1"
    assert phone["session_id"] != own["session_id"]
    world.owner.delete(f"/auth/sessions/{phone['session_id']}", expect=204)
    unauthorized(other)
    refused(refresh(shared_vault, other.refresh_token), 401, "unauthorized")
    world.owner.get("/me")


@pytest.mark.parametrize("sent, kept", [(b"caf\xe9/1.0", "caf\ufffd/1.0"), (b"x" * 255 + "é".encode(), "x" * 255)],
                         ids=["no UTF-8", "too long"])
def test_any_bytes_of_a_user_agent_are_taken_for_text(shared_vault, world, sent, kept):
    other = shared_vault.client()
    other.session.headers["User-Agent"] = sent
    other.login(world.username, PASSWORD)
    assert kept in [session["user_agent"] for session in world.owner.get("/auth/sessions").json()["items"]]


def test_a_changed_password_ends_other_sessions_and_uploads(shared_vault, world):
    owner, other = world.owner, shared_vault.client()
    other.login(world.username, PASSWORD)
    upload, api_token = world.upload(), world.api_token()["token"]
    upload.client.get(f"/uploads/{upload.id}", token=upload.token)
    refused(owner.call("POST", "/auth/password", json={"current_password": "wrong one",
                                                       "new_password": "a new password"}),
            401, "wrong_credentials")
    refused(owner.call("POST", "/auth/password", json={"current_password": PASSWORD, "new_password": PASSWORD}),
            422, "invalid_value")
    owner.post("/auth/password", {"current_password": PASSWORD, "new_password": "a new password"}, expect=204)
    owner.get("/me")
    owner.get("/me", token=api_token)
    unauthorized(other)
    refused(refresh(shared_vault, other.refresh_token), 401, "unauthorized")
    unauthorized(owner, f"/uploads/{upload.id}", token=upload.token)
    refused(sign_in(shared_vault, world.username, PASSWORD), 401, "wrong_credentials")
    assert sign_in(shared_vault, world.username, "a new password").ok


def test_the_password_can_change_at_login(shared_vault, world):
    other = shared_vault.client()
    other.login(world.username, PASSWORD, new_password="a new password")
    other.get("/me")
    unauthorized(world.owner)
    refused(sign_in(shared_vault, world.username, PASSWORD), 401, "wrong_credentials")


def test_an_access_token_ends_by_itself_and_the_refresh_token_does_not(make_vault):
    vault = make_vault(ACCESS_TOKEN_TTL="1s").start()
    alice = vault.user("alice")
    first = alice.token
    deadline = time.monotonic() + DEADLINE_S
    while alice.call("GET", "/me", token=first).status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    unauthorized(alice, token=first)
    alice.refresh()
    alice.get("/me")


def part(data):
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_a_login_is_read_without_regard_to_case(world, scheme):
    world.owner.get("/me", token="", headers={"Authorization": f"{scheme} {world.owner.token}"})


def test_answers_with_tokens_are_kept_by_nobody(shared_vault, world):
    login = {"username": world.username, "password": PASSWORD}
    answers = [world.owner.post("/auth/login", login), world.owner.post("/auth/tokens", {"name": "laptop"}),
               world.owner.post("/auth/refresh", {"refresh_token": world.owner.refresh_token}),
               world.owner.post("/uploads", {"key": "k", "name": "a", "size": 1})]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store"] * 4


def test_sessions_are_listed_in_pages(shared_vault, world):
    for _ in range(4):
        shared_vault.client().login(world.username, PASSWORD)
    listed, cursor = [], None
    while cursor is not None or not listed:
        page = world.owner.get("/auth/sessions",
                               params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= 2
        listed += [session["session_id"] for session in page["items"]]
        cursor = page["next_cursor"]
    assert len(set(listed)) == len(listed) == 5


def test_forged_access_tokens_are_refused(shared_vault, world):
    header, claims, signature = world.owner.token.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    other = json.loads(base64.urlsafe_b64decode(World(shared_vault).owner.token.split(".")[1] + "=="))
    longer = part({**decoded, "exp": decoded["exp"] + 3600})

    def signed(algorithm, key, digest):
        text = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{claims}"
        return f"{text}.{part(hmac.new(key, text.encode(), digest).digest())}"

    forged = {
        "alg none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
        "alg None": f"{part({'alg': 'None', 'typ': 'JWT'})}.{claims}.{signature}",
        "no alg": f"{part({'typ': 'JWT'})}.{claims}.{signature}",
        "no signature": f"{header}.{claims}.",
        "two parts": f"{header}.{claims}",
        "another session": f"{header}.{part({**decoded, 'sub': other['sub']})}.{signature}",
        "a later end": f"{header}.{longer}.{signature}",
        "a cut signature": f"{header}.{claims}.{signature[:-4]}",
        "an empty key": signed("HS256", b"", hashlib.sha256),
        "a known key": signed("HS256", b"secret", hashlib.sha256),
        "HS512": signed("HS512", b"secret", hashlib.sha512),
        "no claims": f"{header}.{part({})}.{signature}",
        "not JSON": f"{header}.{part(b'hello')}.{signature}",
    }
    for name, token in forged.items():
        answer = shared_vault.client().call("GET", "/me", token=token)
        assert answer.status_code == 401, name
    world.owner.get("/me")


# --- API tokens ---


def test_api_tokens_work_until_they_are_revoked(shared_vault, world):
    made = world.api_token()
    client = shared_vault.client()
    client.token = made["token"]
    file_id = client.upload_multipart("by token", b"data")["file_id"]
    assert client.content(file_id) == b"data"
    (listed,) = world.owner.get("/auth/tokens").json()["items"]
    assert (listed["token_id"], listed["name"], listed["read_only"]) == (made["token_id"], made["name"], False)
    assert listed["last_used_at"] is not None
    assert made["token"] not in json.dumps(listed)
    world.owner.delete(f"/auth/tokens/{made['token_id']}", expect=204)
    unauthorized(client)
    assert world.owner.get("/auth/tokens").json()["items"] == []


def test_a_read_only_api_token_reads(shared_vault, world):
    file_id = world.file(b"data")
    client = shared_vault.client()
    client.token = world.api_token(read_only=True)["token"]
    assert client.content(file_id) == b"data"
    refused(client.call("DELETE", f"/files/{file_id}"), 403, "read_only_token")
    refused(client.call("POST", "/files/upload", files={"file": ("a", b"x")}), 403, "read_only_token")


@pytest.mark.parametrize("method, path, body", [("POST", "/auth/tokens", {"name": "child"}),
                                                ("GET", "/auth/tokens", None),
                                                ("DELETE", "/auth/tokens/1", None), ("POST", "/auth/logout", None),
                                                ("GET", "/auth/sessions", None), ("DELETE", "/auth/sessions/1", None),
                                                ("POST", "/auth/password",
                                                 {"current_password": PASSWORD, "new_password": "x" * 9}),
                                                ("POST", "/admin/users", {"username": "by-token", "password": PASSWORD}),
                                                ("PATCH", "/admin/users/{own}", {"quota": 0}),
                                                ("PATCH", "/admin/users/{other}", {"state": "disabled"}),
                                                ("DELETE", "/admin/users/{own}", None),
                                                ("DELETE", "/admin/users/{other}", None),
                                                ("POST", "/admin/users/{own}/password", {"password": "x" * 9}),
                                                ("POST", "/admin/users/{other}/password", {"password": "x" * 9})])
def test_an_api_token_cannot_govern_the_account(shared_vault, method, path, body):
    world = World(shared_vault, "admin")  # who may do all of it with a login
    token, path = world.api_token()["token"], path.format(own=world.owner.user_id, other=world.other_user())
    before = world.owner.get("/admin/users?limit=1000", token=token).json()  # it may read
    refused(world.owner.call(method, path, json=body, token=token), 403, "forbidden")
    assert world.owner.get("/admin/users?limit=1000").json() == before


def test_an_api_token_says_when_it_ends(world):
    made = world.api_token(expires_in_days=1)
    (listed,) = world.owner.get("/auth/tokens").json()["items"]
    assert made["expires_at"] == listed["expires_at"] > listed["created_at"]


def test_an_api_token_whose_time_is_over_is_refused(shared_vault, world):
    ending, other = world.api_token(expires_in_days=1), world.api_token(expires_in_days=1)
    world.owner.get("/files", token=ending["token"])
    shared_vault.sql("UPDATE api_tokens SET expires_at = 1 WHERE id = ?", ending["token_id"])
    unauthorized(world.owner, token=ending["token"])
    unauthorized(world.owner, "/files", token=ending["token"])
    world.owner.get("/files", token=other["token"])


# --- administration ---


def test_the_first_admin_must_change_the_password(make_vault):
    vault = make_vault().start()
    admin = vault.client()
    assert admin.login("admin", ADMIN_PASSWORD)["must_change_password"] is True
    for path in ("/me", "/files", "/admin/users", "/auth/sessions", "/auth/tokens"):
        refused(admin.call("GET", path), 403, "password_change_required")
    refused(admin.call("POST", "/auth/password", json={"current_password": ADMIN_PASSWORD,
                                                       "new_password": ADMIN_PASSWORD}),
            422, "invalid_value")
    admin.post("/auth/password", {"current_password": ADMIN_PASSWORD, "new_password": CHANGED_ADMIN_PASSWORD},
               expect=204)
    assert admin.get("/me").json()["must_change_password"] is False
    vault.restart()
    admin.login("admin", CHANGED_ADMIN_PASSWORD)
    refused(sign_in(vault, "admin", ADMIN_PASSWORD), 401, "wrong_credentials")


def test_the_well_known_password_ends_with_the_first_start_that_is_given_another(make_vault):
    vault = make_vault(ADMIN_PASSWORD=None).start()
    assert vault.client().login("admin", "admin123")["must_change_password"] is True
    vault.stop()
    vault.settings["ADMIN_PASSWORD"] = ADMIN_PASSWORD
    vault.start()
    refused(sign_in(vault, "admin", "admin123"), 401, "wrong_credentials")
    assert vault.client().login("admin", ADMIN_PASSWORD)["must_change_password"] is True
    vault.stop()
    vault.settings["ADMIN_PASSWORD"] = "yet another password"
    vault.start()
    refused(sign_in(vault, "admin", "yet another password"), 401, "wrong_credentials")
    vault.client().login("admin", ADMIN_PASSWORD)


def test_the_admin_makes_users_who_choose_their_password(shared_vault, admin):
    made = admin.post("/admin/users", {"username": "Hanna", "email": "h@example.org", "password": PASSWORD},
                      expect=201).json()
    assert (made["role"], made["must_change_password"], made["last_login_at"]) == ("user", True, None)
    hanna = shared_vault.client()
    hanna.login("hanna", PASSWORD)
    refused(hanna.call("GET", "/me"), 403, "password_change_required")
    hanna.login("hanna", PASSWORD, new_password="of her own")
    assert hanna.get("/me").json()["username"] == "Hanna"
    assert admin.get(f"/admin/users/{made['user_id']}").json()["must_change_password"] is False


def test_users_are_listed_by_name_in_pages_and_found_by_a_part(shared_vault, admin):
    for name in ("zoe-3", "Zoe-1", "zoe-2", "x-ZOE-4"):
        admin.post("/admin/users", {"username": name, "password": PASSWORD}, expect=201)
    names, query = [], {"q": "zoe", "limit": 2}
    while True:
        page = admin.get("/admin/users", params=query).json()
        names.append([user["username"] for user in page["items"]])
        if not page["next_cursor"]:
            break
        query["cursor"] = page["next_cursor"]
    assert sum(names, []) == ["x-ZOE-4", "Zoe-1", "zoe-2", "zoe-3"]
    assert all(len(page) <= 2 for page in names)
    assert admin.get("/admin/users", params={"q": "%"}).json()["items"] == []


def test_a_disabled_account_is_refused_at_once_and_comes_back(shared_vault, world, admin):
    owner, path = world.owner, f"/admin/users/{world.owner.user_id}"
    file_id, upload, api_token = world.file(b"kept"), world.upload(), world.api_token()["token"]
    link = world.share(file_id)["share_token"]
    assert admin.patch(path, {"state": "disabled"}).json()["state"] == "disabled"
    unauthorized(owner)
    unauthorized(owner, token=api_token)
    unauthorized(owner, f"/uploads/{upload.id}", token=upload.token)
    refused(refresh(shared_vault, owner.refresh_token), 401, "unauthorized")
    shared_vault.client().open_share(link, expect=404)
    admin.patch(path, {"state": "active"})
    unauthorized(owner)  # its sessions have ended
    owner.login(world.username, PASSWORD)
    assert owner.content(file_id) == b"kept"
    assert shared_vault.client().open_share(link).content == b"kept"


def test_a_reset_password_ends_sessions_and_tokens_and_must_be_changed(shared_vault, world, admin):
    api_token, upload = world.api_token()["token"], world.upload()
    admin.post(f"/admin/users/{world.owner.user_id}/password",
               {"password": "of the admin", "must_change_password": False}, expect=204)
    unauthorized(world.owner)
    unauthorized(world.owner, f"/uploads/{upload.id}", token=upload.token)
    unauthorized(world.owner, token=api_token)
    assert world.owner.login(world.username, "of the admin")["must_change_password"] is False
    assert world.owner.get("/auth/tokens").json()["items"] == []
    admin.post(f"/admin/users/{world.owner.user_id}/password", {"password": "of the admin again"}, expect=204)
    assert world.owner.login(world.username, "of the admin again")["must_change_password"] is True


@pytest.mark.parametrize("new", [None, "of the owner"], ids=["login", "login with a new password"])
def test_a_login_that_runs_while_the_password_is_reset_gets_nothing_by_the_old_one(make_vault, new):
    vault = make_vault(BCRYPT_COST=9, LOGIN_LIMIT_ACCOUNT=1000).start()  # the slower, the longer the race
    user_id, admin = vault.user("alice").user_id, vault.admin()
    for number in range(4):
        old, reset = PASSWORD if number == 0 else f"reset number {number - 1}", f"reset number {number}"
        more = {"new_password": new} if new else {}
        with ThreadPoolExecutor(13) as pool:
            logins = [pool.submit(sign_in, vault, "alice", old, **more) for _ in range(4)]
            resetting = pool.submit(admin.post, f"/admin/users/{user_id}/password",
                                    {"password": reset, "must_change_password": False}, expect=204)
            logins += [pool.submit(sign_in, vault, "alice", old, **more) for _ in range(8)]
        resetting.result()
        for answer in (login.result() for login in logins):
            assert answer.status_code in (200, 401), answer.text
            if answer.ok:
                unauthorized(vault.client(), token=answer.json()["access_token"])
        assert sign_in(vault, "alice", reset).ok


def test_a_quota_is_set_and_goes_back_to_the_default(world, admin):
    path = f"/admin/users/{world.owner.user_id}"
    for quota, shown in ((5000, 5000), (0, None), (7, 7), (None, None)):
        assert admin.patch(path, {"quota": quota}).json()["quota"] == shown
        assert world.owner.get("/me").json()["quota"] == shown


def test_roles_change_at_once(world, admin):
    path = f"/admin/users/{world.owner.user_id}"
    admin.patch(path, {"role": "admin"})
    world.owner.get("/admin/users")
    admin.patch(path, {"role": "user"})
    refused(world.owner.call("GET", "/admin/users"), 403, "forbidden")


def test_the_last_active_admin_stays(make_vault):
    vault = make_vault().start()
    admin = vault.admin()
    path = f"/admin/users/{admin.user_id}"

    def attempts(client):
        return [client.call("PATCH", path, json={"role": "user"}),
                client.call("PATCH", path, json={"state": "disabled"}),
                client.call("DELETE", path)]

    for answer in attempts(admin):
        refused(answer, 409, "conflict")
    for change in ({"state": "active", "quota": 1000, "role": "user"}, {"role": "admin", "state": "disabled", "quota": 1000}):
        refused(admin.call("PATCH", path, json=change), 409, "conflict")
    assert admin.get("/me").json()["quota"] is None, "all of a change or nothing"
    second = World(vault, "admin")
    admin.patch(f"/admin/users/{second.owner.user_id}", {"state": "disabled"})
    for answer in attempts(admin):
        refused(answer, 409, "conflict")
    admin.patch(f"/admin/users/{second.owner.user_id}", {"state": "active"})
    second.owner.login(second.username, PASSWORD)
    second.owner.patch(path, {"role": "user"})
    refused(admin.call("GET", "/admin/users"), 403, "forbidden")


def test_a_deleted_user_goes_with_all_files_and_the_name_is_free_again(make_vault):
    vault = make_vault(SWEEP_INTERVAL="100ms").start()
    admin, world = vault.admin(), World(vault)
    folder = world.folder()
    world.file(folder_id=folder)
    link = world.share(world.file())["share_token"]
    world.upload()
    path = f"/admin/users/{world.owner.user_id}"
    admin.delete(path, expect=204)
    unauthorized(world.owner)
    refused(sign_in(vault, world.username, PASSWORD), 401, "wrong_credentials")
    vault.client().open_share(link, expect=404)
    deadline = time.monotonic() + DEADLINE_S
    while admin.call("GET", path).status_code != 404:
        assert time.monotonic() < deadline, "the user is still there"
        time.sleep(0.05)
    assert vault.user(world.username).list() == []
