"""A cluster with three copies of everything goes on, and loses nothing, while one part after another dies."""

import http.client
import itertools
import json
import random
import shutil
import signal
import socket

import pytest
from checker import under_load
from client import UnexpectedAnswer, problem, sha256, split
from cluster import (
    FOREIGN_VAULT, Cluster, chunk_files, events, give_to_another_vault, hash_of, hashes_of, is_whole, metric, open_folder)

pytestmark = [pytest.mark.cluster, pytest.mark.storage]

CHUNK_SIZE = 64 << 10
numbers = itertools.count(1)
chance = random.Random(5)


@pytest.fixture(scope="module")
def cluster():
    with open_folder() as folder, Cluster(folder, CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s", GC_GRACE="0s") as running:
        yield running


@pytest.fixture
def checker(cluster):
    """Clients at work; what they were promised is checked at the end, and that the copies are whole again."""
    cluster.await_health("ok", *cluster.nodes)
    with under_load(cluster, before=5, after=5, users=3) as checker:
        yield checker
        cluster.await_health("ok", *cluster.nodes)


def new_user(cluster):
    return cluster.user(f"viewer-{next(numbers)}")


def contents_of(node):
    """Of every file of its store, but for what was never finished."""
    return {path: sha256(path.read_bytes()) for path in node.store.rglob("*")
            if path.is_file() and path.parent != node.store / "tmp"}


def await_met(cluster, node):
    """A function that waits until each server has tried in vain to write to the node since now."""
    store = cluster.store_of(node)
    met = [len(events(server, "store_error", store=store)) for server in cluster.servers]
    return lambda: cluster.until(
        lambda: all(len(events(server, "store_error", store=store)) > count
                    for server, count in zip(cluster.servers, met)), f"puts to {node.id} that fail")


def test_a_node_that_is_killed(cluster, checker):
    node = cluster.nodes[0]
    await_its_failures = await_met(cluster, node)
    node.kill()
    cluster.await_nodes("suspect", node)
    await_its_failures()
    checker.await_acknowledged(10)
    cluster.await_nodes("down", node)
    cluster.await_copies()
    node.start()
    cluster.await_nodes("up", node)


def test_a_node_that_hangs(cluster, checker):
    node = cluster.nodes[1]
    await_its_failures = await_met(cluster, node)
    node.signal(signal.SIGSTOP)
    try:
        cluster.await_nodes("suspect", node)
        await_its_failures()
        checker.await_acknowledged(5)
    finally:
        node.signal(signal.SIGCONT)
    cluster.await_nodes("up", node)


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_a_download_goes_on_to_its_last_byte_when_a_node_ends_amid_it(cluster, checker, fate):
    data = chance.randbytes(160 * CHUNK_SIZE)
    alice = new_user(cluster)
    file_id = alice.upload("film", "film", data)["file_id"]
    cluster.until(lambda: cluster.admin().get("/admin/storage").json()["under_replicated"] == 0, "three copies")
    # Little of it is under way when the node ends: the client takes only what it reads.
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    line.settimeout(60)
    server = cluster.new_server(9).start()  # of its own, so that only this download meets the node
    line.connect(("127.0.0.1", server.port))
    download = http.client.HTTPConnection("127.0.0.1", server.port)
    download.sock = line
    download.request("GET", f"/files/{file_id}/download", headers={"Authorization": f"Bearer {alice.token}"})
    answer = download.getresponse()
    got = answer.read(10 * CHUNK_SIZE)
    chunks = {sha256(chunk) for chunk in split(data, CHUNK_SIZE)}
    node = max(cluster.nodes, key=lambda node: len(chunks & hashes_of(node)))
    if fate == signal.SIGKILL:
        node.kill()
    else:
        node.signal(fate)
    try:
        got += answer.read()
        assert sha256(got) == sha256(data)
        download.close()
        silent = events(server, "bad_replica", fault="silent", store=cluster.store_of(node))
        assert {told["chunk"] for told in silent} & chunks, "no copy on it was tried"
    finally:
        server.stop()
        if fate == signal.SIGKILL:
            node.start()
        else:
            node.signal(signal.SIGCONT)
    cluster.await_nodes("up", node)


def test_a_node_that_comes_back_with_an_empty_disk(cluster, checker):
    node = cluster.nodes[2]
    node.kill()
    before = json.loads((node.store / "vault.json").read_text())["store_id"]
    shutil.rmtree(node.store)
    node.store.mkdir()
    node.start()
    cluster.await_nodes("up", node)
    assert json.loads((node.store / "vault.json").read_text())["store_id"] != before
    cluster.await_copies()


def test_a_second_process_with_the_id_of_a_node(cluster, checker):
    node = cluster.nodes[1]
    store = f"SELECT uuid || ' ' || endpoint FROM stores WHERE node_id = '{node.id}'"
    before = cluster.postgres.sql(store)
    twin = cluster.new_node(20, NODE_ID=node.id)
    cluster.nodes.remove(twin)
    twin.launch()
    try:
        cluster.until(lambda: "still reports with another store" in twin.log_text(), "a refusal")
        checker.await_acknowledged(10)
        assert not (twin.store / "vault.json").exists()
        assert cluster.postgres.sql(store) == before and cluster.rows()[node.id]
    finally:
        twin.kill()
    # Stopped in order, it is known to be away at once.
    node.stop()
    assert cluster.node_states()[node.id]["state"] == "suspect"
    assert cluster.node_states()[node.id]["problem"] == "the node was stopped"
    node.start()
    cluster.await_nodes("up", node)


def test_a_node_with_another_vaults_disk(cluster, checker):
    node = cluster.nodes[3]
    node.kill()
    kept = give_to_another_vault(node)
    files = contents_of(node)
    try:
        node.launch()
        cluster.until(lambda: f"the store belongs to the vault {FOREIGN_VAULT[:8]}" in node.log_text(), "a complaint about the vault")
        checker.await_acknowledged(5)
        assert len(files) > 5 and contents_of(node) == files, "nothing on it was changed"
    finally:
        node.kill()
        (node.store / "vault.json").write_text(kept)
        node.start()
    cluster.await_nodes("up", node)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def test_flipped_and_cut_files_are_found_by_the_scrub(cluster, checker):
    # Of a file that nobody reads.
    data = chance.randbytes(16 * CHUNK_SIZE)
    alice = new_user(cluster)
    file_id = alice.upload("film", "film", data)["file_id"]
    cluster.until(lambda: alice.info(file_id)["sha256_verified"], "the check of the whole")
    cluster.await_placed()  # a copy in the wrong place would be moved, and the bad one deleted unread
    chunks, node = {sha256(chunk) for chunk in split(data, CHUNK_SIZE)}, cluster.nodes[0]
    damaged = [path for path in chunk_files(node) if hash_of(path) in chunks][:2]
    def found_by_workers():
        return sum(metric(worker, "chunkvault_sweep_changed_total", sweep="scrub") for worker in cluster.workers)
    before, asked = found_by_workers(), []
    flip(damaged[0])
    cut(damaged[1])
    def mended():
        asked.append(cluster.sweep("scrub")["changed"])
        return all(is_whole(path) for path in damaged)
    # Every copy is due again, as it is when SCRUB_DAYS have passed.
    cluster.sql("UPDATE replicas SET verified_at = 0")
    cluster.until(mended, "good copies in place of the bad ones")
    assert sum(asked) + found_by_workers() - before >= len(damaged), "it was not the scrub that found them"
    assert alice.content(file_id) == data
    cluster.await_copies()


def test_flipped_and_cut_files_are_found_by_reading_and_other_copies_are_served(cluster, checker):
    data = chance.randbytes(2 * CHUNK_SIZE)
    alice = new_user(cluster)
    file_id = alice.upload("film", "film", data)["file_id"]
    chunks = [sha256(chunk) for chunk in split(data, CHUNK_SIZE)]
    def copies():
        found = [[path for node in cluster.nodes for path in chunk_files(node) if hash_of(path) == chunk]
                 for chunk in chunks]
        return found if all(len(paths) == 3 for paths in found) else None
    cluster.await_placed()  # a copy in the wrong place would be moved, and the bad one deleted unread
    first, second = cluster.until(copies, "three copies of each chunk")
    counted = [metric(server, "chunkvault_bad_replicas_total") for server in cluster.servers]
    damaged = [first[0], second[0]]
    flip(first[0])
    cut(second[0])

    def found():
        for server in cluster.servers:
            assert alice.again(server.url).content(file_id) == data
        met = [line for server in cluster.servers for line in server.log_text().splitlines() if '"fault":"corrupt"' in line]
        return all(any(chunk in line for line in met) for chunk in chunks)

    cluster.until(found, "bad copies that were met by readers")
    assert sum(metric(server, "chunkvault_bad_replicas_total") for server in cluster.servers) >= sum(counted) + 2
    cluster.until(lambda: all(is_whole(path) for path in damaged), "good copies in place of the bad ones")


def refused(call, *arguments):
    """Why, with 409."""
    with pytest.raises(UnexpectedAnswer) as refusal:
        call(*arguments)
    assert refusal.value.status == 409
    return problem(refusal.value.response)["detail"]


def test_a_drain_during_writes_copies_before_it_deletes_and_says_how_far_it_is(cluster, checker):
    admin = cluster.admin()
    leaving, other = cluster.nodes[0], cluster.nodes[3]
    other.kill()
    cluster.await_nodes("suspect", other)
    assert "Add a node first" in refused(admin.post, f"/admin/nodes/{leaving.id}/drain")
    other.start()
    node = cluster.new_node(5).start()
    cluster.await_nodes("up", other, node)
    assert admin.get(f"/admin/nodes/{leaving.id}/may-remove").json()["answer"] == "no"
    assert "Drain it first" in refused(admin.delete, f"/admin/nodes/{leaving.id}")
    assert admin.get(f"/admin/nodes/{leaving.id}/may-stop").json()["answer"] == "yes"
    # So slow that it takes some seconds.
    size = int(cluster.postgres.sql("SELECT SUM(k.size) FROM chunks k JOIN replicas r ON r.chunk_id = k.id JOIN stores s"
                                    f" ON s.id = r.store_id WHERE s.node_id = '{leaving.id}' AND r.state = 'good'"))
    for worker in cluster.workers:
        worker.stop()
        worker.settings["REPAIR_RATE"] = size // 8
        worker.start()

    held = hashes_of(leaving)
    drained = admin.post(f"/admin/nodes/{leaving.id}/drain").json()
    assert drained["state"] == "draining" and drained["drain"]["copies_at_start"] > 0
    left, expected, deleted = [], [], set()

    def ended():
        told = admin.get(f"/admin/nodes/{leaving.id}").json()
        left.append(told["drain"]["copies_left"])
        expected.append(told["drain"]["expected_at"])
        gone = held - hashes_of(leaving) - deleted
        elsewhere = [hashes_of(node) for node in cluster.nodes if node is not leaving]
        for chunk in gone:
            assert sum(chunk in hashes for hashes in elsewhere) >= 3, "it was deleted before it was copied"
        deleted.update(gone)
        return told["state"] == "drained"

    try:
        while not ended():
            pass
    finally:
        for worker in cluster.workers:
            worker.stop()
            worker.settings["REPAIR_RATE"] = 0
            worker.start()
    assert deleted and left[-1] == 0 and any(0 < copies < drained["drain"]["copies_at_start"] for copies in left)
    assert any(expected)
    assert admin.get(f"/admin/nodes/{leaving.id}/may-remove").json()["answer"] == "yes"
    admin.delete(f"/admin/nodes/{leaving.id}")
    leaving.stop()
    cluster.nodes.remove(leaving)
    cluster.await_copies()
