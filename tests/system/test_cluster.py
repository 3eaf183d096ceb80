"""A cluster with three copies of everything goes on, and loses nothing, while one part after another dies."""

import hashlib
import json
import shutil
import signal

import pytest
from checker import Checker
from cluster import Cluster, open_folder

pytestmark = [pytest.mark.cluster, pytest.mark.storage]


@pytest.fixture(scope="module")
def cluster():
    with open_folder() as folder, Cluster(folder, CHUNK_SIZE="64K", GC_AGE="0s", GC_GRACE="0s") as running:
        yield running


@pytest.fixture
def checker(cluster):
    """Clients at work; what they were promised is checked at the end, and that the copies are whole again."""
    checker = Checker(cluster, seed=checker_seed())
    with checker:
        checker.await_acknowledged(5)
        yield checker
        checker.await_acknowledged(5)
    cluster.await_health("ok", *cluster.nodes)
    cluster.await_copies()
    counts = checker.verify()
    assert counts["acknowledged"] > 0 and counts["checked"] > 0


def checker_seed(numbers=iter(range(1, 1000))):
    return next(numbers)


def rows_of(cluster):
    """What the catalog says is on each node: node id -> hashes."""
    answer = cluster.postgres.sql(
        "SELECT s.node_id || ' ' || encode(k.hash, 'hex') FROM replicas r JOIN stores s ON s.id = r.store_id"
        " JOIN chunks k ON k.id = r.chunk_id WHERE r.state = 'good'")
    rows = {}
    for line in answer.splitlines():
        node, chunk = line.split()
        rows.setdefault(node, set()).add(chunk)
    return rows


def files_of(node):
    return {path.name.split(".")[0] for path in (node.store / "chunks").glob("*/*")}


def chunk_files(node):
    return sorted((node.store / "chunks").glob("*/*"))


def is_whole(path):
    """What is left of a bad copy: nothing, or a good one."""
    return not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() == path.name.split(".")[0]


def test_a_node_that_is_killed(cluster, checker):
    node = cluster.nodes[0]
    node.kill()
    cluster.await_nodes("suspect", node)
    checker.await_acknowledged(10)
    cluster.await_nodes("down", node)
    cluster.await_copies()
    node.start()
    cluster.await_nodes("up", node)


def test_a_node_that_hangs(cluster, checker):
    node = cluster.nodes[1]
    node.signal(signal.SIGSTOP)
    try:
        cluster.await_nodes("suspect", node)
        checker.await_acknowledged(5)
    finally:
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
    cluster.until(lambda: "still reports with another store" in twin.log_text(), "a refusal")
    checker.await_acknowledged(10)
    assert not (twin.store / "vault.json").exists()
    assert cluster.postgres.sql(store) == before and rows_of(cluster)[node.id]
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
    marker = node.store / "vault.json"
    kept = marker.read_text()
    marker.write_text(json.dumps(json.loads(kept) | {"vault_id": "00000000-0000-4000-8000-000000000000"}))
    files = files_of(node)
    node.launch()
    cluster.until(lambda: "the store belongs to the vault 00000000" in node.log_text(), "a complaint about the vault")
    checker.await_acknowledged(5)
    assert files_of(node) == files, "nothing was written to it"
    node.kill()
    marker.write_text(kept)
    node.start()
    cluster.await_nodes("up", node)


def test_flipped_and_cut_files(cluster, checker):
    node = cluster.nodes[0]
    cluster.await_copies()
    whole = [path for path in chunk_files(node) if path.stat().st_size > 10]
    flipped, cut = whole[0], whole[1]
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:-1])
    admin = cluster.admin()
    # Every copy is due again, as it is when SCRUB_DAYS have passed.
    cluster.postgres.sql("UPDATE replicas SET verified_at = 0")
    admin.post("/admin/sweeps/scrub")
    cluster.until(lambda: all(is_whole(path) for path in (flipped, cut)), "good copies in place of the bad ones")
    cluster.await_copies()


def test_a_drain_during_writes(cluster, checker):
    node = cluster.new_node(5).start()
    cluster.await_nodes("up", node)
    admin = cluster.admin()
    leaving = cluster.nodes[0]
    assert admin.get(f"/admin/nodes/{leaving.id}/may-remove").json()["answer"] == "no"
    assert admin.get(f"/admin/nodes/{leaving.id}/may-stop").json()["answer"] == "yes"
    drained = admin.post(f"/admin/nodes/{leaving.id}/drain").json()
    assert drained["state"] == "draining" and drained["drain"]["copies_at_start"] > 0
    cluster.await_nodes("drained", leaving, deadline_s=120)
    assert admin.get(f"/admin/nodes/{leaving.id}/may-remove").json()["answer"] == "yes"
    admin.delete(f"/admin/nodes/{leaving.id}")
    leaving.stop()
    cluster.nodes.remove(leaving)
    cluster.await_copies()


def test_no_orphan_remains_after_collection(cluster):
    admin = cluster.admin()
    cluster.await_copies()
    def tidy():
        for name in ("uploads", "trash", "unreferenced", "orphans", "surplus"):
            admin.post(f"/admin/sweeps/{name}")
        cluster.await_copies()
        rows = rows_of(cluster)
        return all(files_of(node) == rows.get(node.id, set()) for node in cluster.nodes)
    cluster.until(tidy, "files and rows that agree", 60)
