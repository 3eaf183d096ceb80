"""Nobody gets what is not theirs: every operation, asked by everybody who must not have it."""

import json

import pytest
from client import problem
from operations import MARK, OPERATIONS, Ask, World, ask, described
from vault import PASSWORD

pytestmark = pytest.mark.isolation

GUARDS = {"open", "user", "session", "password_change", "admin", "admin_session", "upload"}
SESSION_GUARDS = {"session", "password_change", "admin_session"}
ADMIN_GUARDS = {"admin", "admin_session"}
# They sign the asker in, with what is in the request.
SIGN_IN = {"POST /auth/login", "POST /auth/refresh"}
STRANGER = "stranger"


@pytest.fixture
def world(shared_vault, operation, guard):
    return World(shared_vault, "admin" if guard in ADMIN_GUARDS else "user")


@pytest.fixture
def guard(shared_vault, operation):
    guard = described(shared_vault.client())[operation]["x-guard"]
    assert guard in GUARDS
    return guard


@pytest.fixture
def stranger(shared_vault):
    return shared_vault.user(f"{STRANGER}{next(World.numbers)}")


def type_of(answer):
    return problem(answer)["type"].removeprefix("urn:chunkvault:error:")


def belongings(world):
    """All that the owner has, as far as a stranger could change it."""
    owner, files = world.owner, []

    def walk(**folder):
        for item in owner.list(**folder):
            files.append(item)
            if item["kind"] == "folder":
                walk(folder_id=item["id"])

    walk()
    lists = [owner.get(path).json()["items"] for path in ("/trash", "/shares", "/requests", "/uploads", "/auth/tokens")]
    sessions = [session["session_id"] for session in owner.get("/auth/sessions").json()["items"]]
    return files, lists, sorted(sessions), owner.get("/me").json()


def names_a_folder(request):
    return "folder_id" in request.path or "folder_id" in str(request.options)


def refused(answer):
    """A folder of somebody else is refused as a whole, or for each part."""
    if answer.ok:
        assert answer.json()["items"]
        assert all(not item["ok"] and item["error"]["status"] == 404 for item in answer.json()["items"])
    else:
        assert (answer.status_code, type_of(answer)) == (404, "not_found")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_a_token(shared_vault, world, guard, operation):
    answer = ask(world, operation).send(world.owner, token="")
    if guard == "open":
        assert answer.ok, answer.text
    else:
        assert (answer.status_code, type_of(answer)) == (401, "unauthorized")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_by_another_account(shared_vault, world, guard, operation, stranger):
    request = ask(world, operation)
    if guard == "open":
        assert request.send(stranger).ok  # whoever holds the link or the password
        return
    before = belongings(world)
    answer = request.send(stranger)
    if operation in ("POST /auth/password", "POST /auth/logout"):
        assert answer.status_code == 204  # of the stranger's own account
    elif guard in ADMIN_GUARDS:
        assert (answer.status_code, type_of(answer)) == (403, "forbidden")
    elif "{" in operation:
        assert (answer.status_code, type_of(answer)) == (404, "not_found")
    elif names_a_folder(request) or "ids" in str(request.options):
        refused(answer)
    else:
        assert answer.ok
        assert MARK not in json.dumps(answer.json().get("items"))
    assert world.username not in answer.text
    assert belongings(world) == before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_by_a_token_that_can_only_read(shared_vault, world, guard, operation):
    request = ask(world, operation)
    answer = request.send(world.owner, token=world.api_token(read_only=True)["token"])
    if guard == "open":
        assert answer.ok
    elif request.method != "GET":
        assert (answer.status_code, type_of(answer)) == (403, "read_only_token")
    elif guard in SESSION_GUARDS:
        assert (answer.status_code, type_of(answer)) == (403, "forbidden")
    else:
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("operation", OPERATIONS)
def test_by_a_token_that_may_write(shared_vault, world, guard, operation):
    request = ask(world, operation)
    answer = request.send(world.owner, token=world.api_token()["token"])
    if guard in SESSION_GUARDS:
        assert (answer.status_code, type_of(answer)) == (403, "forbidden")
    else:
        assert answer.ok, answer.text


@pytest.mark.parametrize("operation", OPERATIONS)
def test_by_a_disabled_account(shared_vault, world, guard, operation):
    request = ask(world, operation)
    api_token = world.api_token()["token"]
    world.admin.patch(f"/admin/users/{world.owner.user_id}", {"state": "disabled"})
    answer = request.send(world.owner)
    if operation in SIGN_IN:
        assert answer.status_code == 401
    elif guard == "open":
        # A disabled account's links lead nowhere.
        of_the_account = operation.split()[1].startswith(("/share/", "/request/", "/tus/"))
        if of_the_account and not operation.startswith("OPTIONS"):
            assert answer.status_code == 404
        assert answer.status_code < 500
    else:
        assert (answer.status_code, type_of(answer)) == (401, "unauthorized")
        by_api_token = request.send(world.owner, token=api_token)
        assert (by_api_token.status_code, type_of(by_api_token)) == (401, "unauthorized")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_by_an_account_that_must_change_its_password(shared_vault, world, guard, operation):
    request = ask(world, operation)
    world.admin.post(f"/admin/users/{world.owner.user_id}/password", {"password": "a passing one"}, expect=204)
    client = shared_vault.client()
    assert client.login(world.username, "a passing one")["must_change_password"] is True
    answer = request.send(client)
    if operation == "POST /auth/password":
        assert (answer.status_code, type_of(answer)) == (401, "wrong_credentials")  # asked with the old one
        client.post("/auth/password", {"current_password": "a passing one", "new_password": PASSWORD}, expect=204)
        client.get("/files")
    elif operation == "POST /auth/logout":
        assert answer.status_code == 204
    elif operation in SIGN_IN:
        assert answer.status_code == 401  # the old password, and a session that ended
    elif "/tus/{upload}" in operation and request.method != "OPTIONS":
        assert answer.status_code == 404  # an upload's address ends with the password
    elif guard == "open":
        assert answer.ok
    else:
        assert (answer.status_code, type_of(answer)) == (403, "password_change_required")


@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if "/uploads/{id}" in operation])
class TestAnUploadsOwnToken:
    @pytest.fixture
    def foreign(self, world):
        """The token of another upload of the same owner."""
        return world.upload().token

    def test_does_not_open_another_upload(self, world, guard, operation, foreign):
        assert ask(world, operation).send(world.owner, token=foreign).status_code == 401

    def test_does_not_tell_whether_an_upload_is_there(self, world, guard, operation, foreign):
        method, path = operation.split()
        for token in (foreign, "cvu_invented"):
            for upload_id in ("999999999", "nonsense"):
                request = Ask(method, path.format(id=upload_id, index=0), ask(world, operation).options)
                assert request.send(world.owner, token=token).status_code == 401

    def test_ends_with_the_account(self, world, guard, operation):
        upload = world.upload()
        path = operation.split()[1].format(id=upload.id, index=0)
        request = Ask(operation.split()[0], path, ask(world, operation).options)
        world.admin.patch(f"/admin/users/{world.owner.user_id}", {"state": "disabled"})
        assert request.send(world.owner, token=upload.token).status_code == 401


@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if "/uploads/{id}" not in operation])
def test_an_uploads_token_opens_nothing_but_its_upload(shared_vault, world, guard, operation):
    if guard != "open":
        token = world.upload().token
        assert ask(world, operation).send(world.owner, token=token).status_code == 401


def test_every_operation_has_a_request_in_the_table(shared_vault):
    assert described(shared_vault.client()).keys() == OPERATIONS.keys()
