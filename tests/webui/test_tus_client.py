"""tus-js-client under Node against the real server: a client that we have not written goes on after every break."""

import json
import subprocess
from pathlib import Path

import pytest
import requests
from browser import MODULES
from operations import World

pytestmark = pytest.mark.uploads

CHUNK = 256 << 10
SCRIPT = Path(__file__).with_name("tus_client.mjs")
PATIENCE_S = 60
PER_REQUEST = 1 << 20  # of tus_client.mjs
OVERHEAD = 64 << 10  # headers of requests, amply


class Node:
    """A run of tus_client.mjs."""

    def __init__(self, folder, endpoint, path, token="", **more):
        arguments = {"endpoint": endpoint, "path": str(path), "urls": str(folder / "urls.json"), "token": token,
                     "metadata": {"filename": path.name}, "options": {}, **more}
        self.process = subprocess.Popen(["node", SCRIPT, MODULES, json.dumps(arguments)], stdout=subprocess.PIPE,
                                        text=True)

    def events(self):
        for line in self.process.stdout:
            yield json.loads(line)

    def until(self, wanted):
        """The first event for which wanted is true."""
        for event in self.events():
            assert event["event"] != "error", event
            if wanted(event):
                return event
        raise AssertionError("tus-js-client ended before that")

    def success(self):
        event = self.until(lambda event: event["event"] == "success")
        self.end()
        return event

    def end(self):
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.end()


def sent(byte_count):
    return lambda event: event.get("sent", 0) >= byte_count


@pytest.fixture
def vault(make_vault):
    return make_vault(CHUNK_SIZE=CHUNK).start()


@pytest.fixture
def world(vault):
    return World(vault)


@pytest.fixture
def file(tmp_path, random_bytes):
    path = tmp_path / "film.mkv"
    path.write_bytes(random_bytes(24 * CHUNK + 333))
    return path


def content(owner, **folder):
    (item,) = owner.list(**folder)
    return owner.content(item["id"])


@pytest.mark.parametrize("options", [{}, {"chunkSize": 100_000}, {"uploadDataDuringCreation": True},
                                     {"overridePatchMethod": True}], ids=str)
def test_a_file_goes_up(vault, world, file, tmp_path, options):
    Node(tmp_path, f"{vault.url}/tus", file, world.owner.token, options=options).success()
    assert content(world.owner) == file.read_bytes()


def test_an_empty_file_goes_up(vault, world, tmp_path):
    (tmp_path / "empty").touch()
    Node(tmp_path, f"{vault.url}/tus", tmp_path / "empty", world.owner.token).success()
    assert content(world.owner) == b""


def test_a_guest_needs_nothing_but_the_link(vault, world, file, tmp_path):
    request = world.request()
    Node(tmp_path, f"{vault.url}/request/{request['request_token']}/files", file).success()
    assert content(world.owner, folder_id=request["folder_id"]) == file.read_bytes()


def test_it_goes_on_when_the_line_breaks_and_sends_nothing_twice(vault, world, file, tmp_path, make_proxy):
    proxy, size = make_proxy(vault), file.stat().st_size
    proxy.cut_after(size // 3)
    node = Node(tmp_path, f"{proxy.url}/tus", file, world.owner.token)
    proxy.wait_until_cut()
    proxy.open()
    proxy.cut_after(size // 3)
    proxy.wait_until_cut()
    proxy.open()
    node.success()
    assert content(world.owner) == file.read_bytes()
    # What the kernel had taken from the line and not given to the server is lost with a connection that is reset.
    assert proxy.sent <= size + 2 * PER_REQUEST + OVERHEAD


def test_it_goes_on_when_the_server_is_killed(vault, world, file, tmp_path, make_proxy):
    proxy, size = make_proxy(vault), file.stat().st_size
    proxy.slow(0.005)
    node = Node(tmp_path, f"{proxy.url}/tus", file, world.owner.token, options={"chunkSize": size})
    node.until(sent(size // 2))
    vault.kill()
    vault.start()
    proxy.slow(0)
    node.success()
    assert content(world.owner) == file.read_bytes()


def test_another_process_goes_on_where_one_was_killed(vault, world, file, tmp_path, make_proxy):
    proxy, size = make_proxy(vault), file.stat().st_size
    proxy.slow(0.005)
    first = Node(tmp_path, f"{proxy.url}/tus", file, world.owner.token)
    first.until(sent(size // 2))
    first.kill()
    proxy.slow(0)
    before = proxy.sent
    second = Node(tmp_path, f"{proxy.url}/tus", file, world.owner.token)
    assert second.until(lambda event: event["event"] == "resumes")["url"].startswith(proxy.url)
    second.success()
    assert content(world.owner) == file.read_bytes()
    assert proxy.sent - before < size * 0.75


def test_it_can_be_given_up(vault, world, file, tmp_path, make_proxy):
    proxy = make_proxy(vault)
    proxy.slow(0.005)
    node = Node(tmp_path, f"{proxy.url}/tus", file, world.owner.token, abortAt=2 * CHUNK)
    node.until(lambda event: event["event"] == "aborted")
    node.end()
    assert world.owner.get("/uploads").json()["items"] == []
    assert world.owner.get("/me").json()["reserved"] == 0


def test_an_upload_that_expired_begins_anew(vault, world, file, tmp_path, make_proxy):
    proxy, size = make_proxy(vault), file.stat().st_size
    proxy.slow(0.005)
    first = Node(tmp_path, f"{proxy.url}/tus", file, world.owner.token)
    first.until(sent(size // 2))
    first.kill()
    proxy.slow(0)
    vault.sql("UPDATE uploads SET expires_at = 1")
    Node(tmp_path, f"{proxy.url}/tus", file, world.owner.token).success()
    assert content(world.owner) == file.read_bytes()
    assert requests.get(f"{vault.url}/health/ready", timeout=30).ok
