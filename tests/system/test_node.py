"""chunkvault-storagenode as a process, with an API server that the test plays."""

import json
import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from node import FakeApi, StorageNode, signature
from services import free_port

pytestmark = [pytest.mark.storage, pytest.mark.node]


@pytest.fixture
def api():
    api = FakeApi()
    yield api
    api.close()


@pytest.fixture
def make_node(tmp_path, api):
    """make_node(SETTING=value...) gives a node that is not started yet; it is stopped after the test."""
    made = []

    def make(api_urls=None, **settings):
        folder = tmp_path / f"node{len(made) + 1}"
        folder.mkdir()
        made.append(StorageNode(folder, api_urls or [api.url], **settings))
        return made[-1]

    yield make
    for node in made:
        node.stop()


def test_ends_though_its_disk_hangs_and_keeps_what_it_has_acknowledged(make_node, disk):
    disk.on()
    node = make_node(STORAGE_PATH=disk.mount / "store", STOP_TIMEOUT="1s").start()
    data = os.urandom(300_000)
    assert node.put(data).status_code == 200
    disk.hang()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(node.get, data)
        node.stop()
        assert isinstance(asked.exception(), requests.ConnectionError)
    disk.go_on()
    node.start()
    assert node.get(data).content == data
    node.stop()


def test_makes_a_store_and_keeps_it_over_restarts(make_node, api):
    node = make_node().start()
    first = api.reports[0]
    assert first["node_id"] == "node1" and first["store_id"] is None and first["vault_id"] is None
    assert first["zone"] == "cellar" and first["url"] == f"http://node1:{node.port}" and first["mounted"] is False
    marker = json.loads((node.store / "vault.json").read_text())
    assert marker["vault_id"] == "the vault" and marker["node_id"] == "node1"
    report = api.await_report(lambda report: report["catalog_seq"] == 7, "with the number that the answer told")
    assert report["store_id"] == marker["store_id"] and report["vault_id"] == "the vault"
    assert report["capacity"] > report["free"] > 0 and report["problem"] == ""
    assert (node.store / "catalog_seq").read_text() == "7\n"
    assert len(set(api.authorizations)) == len(api.authorizations), "each report is signed anew"

    data = os.urandom(300_000)
    assert node.put(data).status_code == 200
    assert node.get(data).content == data
    node.stop()
    assert '"event":"stopped"' in node.log_text()
    node.start()
    assert node.get(data).content == data
    assert api.await_report(lambda report: True, "")["store_id"] == marker["store_id"]
    stats = node.ask("GET", "/stats").json()
    assert stats["store_id"] == marker["store_id"] and stats["catalog_seq"] == 7


def test_writes_nothing_to_a_folder_that_the_cluster_knows_as_a_disk(make_node, api):
    api.conflict = "The disk of node1 is not mounted."
    node = make_node()
    node.store.mkdir()
    node.launch()
    node.await_health(503)
    for _ in range(3):
        api.await_report(lambda report: report["store_id"] is None, "without a store")
    assert list(node.store.iterdir()) == []
    assert api.conflict in node.log_text()
    answer = node.put(b"too early")
    assert answer.status_code == 503 and answer.json()["type"] == "urn:chunkvault:error:unavailable"
    api.conflict = None
    node.await_health(200)
    assert node.put(b"now it may").status_code == 200


def test_waits_for_an_api_server(make_node, api):
    nobody = f"http://127.0.0.1:{free_port()}"
    node = make_node([nobody])
    node.launch()
    node.await_health(503)
    node.stop()
    assert not node.store.exists()
    node.settings["API_BASE_URL"] = f"{nobody},{api.url}"
    node.start()
    assert node.put(b"at last").status_code == 200


def test_is_unavailable_while_its_disk_is_unmounted(make_node, api):
    node = make_node().start()
    assert node.put(b"before").status_code == 200
    away = node.folder / "unmounted"
    node.store.rename(away)
    node.store.mkdir()
    report = api.await_report(lambda report: report["problem"], "of a problem")
    assert "lost its vault.json" in report["problem"]
    node.await_health(503)
    assert node.get(b"before").status_code == 503
    assert node.put(b"after").status_code == 503
    assert list(node.store.iterdir()) == []
    node.store.rmdir()
    away.rename(node.store)
    node.await_health(200)
    assert node.get(b"before").content == b"before"


def test_answers_only_what_the_cluster_signed(make_node):
    node = make_node().start()
    assert node.put(b"chunk").status_code == 200
    path = "/stats"

    def ask(authorization):
        headers = {"Authorization": authorization} if authorization else {}
        return requests.get(node.url + path, headers=headers, timeout=10)

    def counted(reason):
        return node.metric('chunkvault_node_unauthorized_total{reason="%s"}' % reason)

    good = signature("node1", "GET", path)
    assert ask(good).status_code == 200
    cases = {"missing": None, "malformed": "Bearer token", "replayed": good,
             "stale": signature("node1", "GET", path, at=time.time() - 60),
             "forged": signature("node1", "GET", path, key=b"another key")}
    for reason, authorization in cases.items():
        assert counted(reason) == 0
        answer = ask(authorization)
        assert answer.status_code == 401, reason
        assert abs(int(answer.headers["X-ChunkVault-Time"].split()[0]) / 1e6 - time.time()) < 10
        assert counted(reason) == 1, reason
    headers = {"Authorization": signature("node1", "PUT", "/chunks/" + 64 * "0" + "?generation=1", b"signed")}
    answer = requests.put(node.url + "/chunks/" + 64 * "0" + "?generation=1", data=b"altered", headers=headers,
                          timeout=10)
    assert answer.status_code == 401 and counted("altered") == 1


def test_refuses_wrong_settings_in_one_line(make_node, tmp_path):
    node = make_node().start()
    node.stop()
    cases = [({"NODE_ID": "node2"}, "is that of node node1, but NODE_ID is node2"),
             ({"NODE_ID": "../x"}, "NODE_ID must have"),
             ({"NODE_ID": None}, "NODE_ID is missing"),
             ({"STORAGE_PATH": None}, "STORAGE_PATH is missing"),
             ({"API_BASE_URL": None}, "API_BASE_URL is missing"),
             ({"API_BASE_URL": "https://api"}, "API_BASE_URL: \"https://api\" is an https address"),
             ({"CLUSTER_SECRET": None}, "CLUSTER_SECRET is missing"),
             ({"CLUSTER_SECRET": "short"}, "CLUSTER_SECRET must have at least 32"),
             ({"NODE_URL": "node1:8001"}, "NODE_URL: "),
             ({"PORT": "70000"}, "PORT is \"70000\""),
             ({"STORAGE_PATHS": "x"}, "Did you mean STORAGE_PATH?")]
    for settings, message in cases:
        node.log.unlink(missing_ok=True)
        before = dict(node.settings)
        node.settings |= settings
        node.launch()
        assert node.wait() == 1, settings
        lines = node.log_text().splitlines()
        assert len(lines) == 1 and lines[0].startswith("chunkvault-storagenode: ") and message in lines[0], lines
        node.settings = before
    node.start()


def test_a_store_has_one_node(make_node):
    node = make_node().start()
    second = make_node(STORAGE_PATH=node.store)
    second.launch()
    assert second.wait() == 1
    assert "in use by another process" in second.log_text()


def test_says_when_its_disk_is_full_and_goes_on_reading(make_node, api, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    reserve = 2 << 20
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True,
                             check=False).returncode == 0
    if not mounted:  # without the right to mount: the reserve leaves as little
        reserve = shutil.disk_usage(disk).free - (6 << 20)
    try:
        node = make_node(STORAGE_PATH=disk, STORAGE_RESERVE=reserve).start()
        assert api.await_report(lambda report: report["store_id"], "of the store")["mounted"] is mounted
        taken = []
        for _ in range(16):
            data = os.urandom(1 << 20)
            answer = node.put(data)
            if answer.status_code != 200:
                break
            taken.append(data)
        assert answer.status_code == 507 and answer.json()["type"] == "urn:chunkvault:error:storage_full"
        assert 3 <= len(taken) <= 6
        assert node.health() == 200
        assert api.await_report(lambda report: report["free"] < 1 << 20, "of a full disk")["problem"] == ""
        assert node.get(taken[0]).content == taken[0]
        assert node.put(taken[0]).status_code == 200, "what is there already needs no room"
        node.stop()
    finally:
        if mounted:
            subprocess.run(["umount", disk], check=True)


def test_stays_small_with_many_connections(make_node):
    node = make_node(MAX_CONNECTIONS=3000).start()
    data = os.urandom(4 << 20)
    assert node.put(data).status_code == 200
    connections = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(2000)]
    for _ in range(10):
        assert node.get(data).content == data
    status = (open(f"/proc/{node.process.pid}/status").read()).splitlines()
    peak_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    for connection in connections:
        connection.close()
    sanitized = os.environ.get("CHUNKVAULT_PRESET") in ("asan", "tsan")  # whose own memory is larger
    assert sanitized or peak_kib < 150 << 10
