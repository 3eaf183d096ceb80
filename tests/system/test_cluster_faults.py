"""A cluster whose disks, clocks and lines fail: full, unmounted, slow, parted, wrong, and two nodes lost at once."""

import itertools
import os
import random
import types

import pytest
import requests
from checker import under_load
from client import UnexpectedAnswer
from cluster import Cluster, DisksCluster, events, hashes_of, is_whole, metric, open_folder, wrong_clock

pytestmark = [pytest.mark.cluster, pytest.mark.storage]

CHUNK_SIZE = 64 << 10
numbers = itertools.count(1)
chance = random.Random(4)


@pytest.fixture(scope="module")
def one_cluster():
    with open_folder() as folder, DisksCluster(
            folder, CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s", GC_GRACE="0s") as cluster:
        yield cluster


@pytest.fixture
def cluster(one_cluster, request):
    """One cluster for all tests that leave it as it was."""
    request.node.vaults = types.SimpleNamespace(made=one_cluster.programs())
    one_cluster.await_health("ok", *one_cluster.nodes)
    return one_cluster


def new_user(cluster, server=0):
    return cluster.user(f"somebody-{next(numbers)}", server=server)


def log_lines(program, *words):
    """How many lines of the log have all of these."""
    return sum(all(word in line for word in words) for line in program.log_text().splitlines())


def chunks_served(node):
    return metric(node, "chunkvault_requests_total", method="GET", endpoint="/chunks/{id}", status="200")


def works_everywhere(cluster, client, name):
    """An upload through each server, read from each server."""
    for by in cluster.servers:
        data = chance.randbytes(3 * CHUNK_SIZE)
        file_id = client.again(by.url).upload(f"{name} {by.port}", f"{name} {by.port}", data)["file_id"]
        for other in cluster.servers:
            assert client.again(other.url).content(file_id) == data


# --- disks ------------------------------------------------------------------------------------------------------------


def test_a_full_node_takes_nothing_new_and_serves_what_it_has(cluster):
    node = cluster.nodes[0]
    with under_load(cluster, before=20) as checker:
        cluster.await_placed()  # so that nothing on it is to be moved or is too many
        node.disk.fill(left_bytes=8 << 20)  # less than its reserve
        for server in range(len(cluster.servers)):
            cluster.until(lambda: cluster.client(server).call("GET", "/health").json()["storage_nodes"][node.id]
                          == "full", f"a full node, by server {server + 1}")
        assert cluster.node_states()[node.id]["free"] == 0
        assert metric(node, "chunkvault_store_free_bytes") == 0
        before, served = hashes_of(node), chunks_served(node)
        for _ in range(3):
            checker.await_acknowledged(10)
            for name in ("rebalance", "surplus"):
                cluster.sweep(name)
        works_everywhere(cluster, new_user(cluster), "meanwhile")
        assert chunks_served(node) > served
        cluster.await_copies()
        assert before and hashes_of(node) == before, "nothing was put there or taken away"
        node.disk.empty()
        cluster.await_health("ok", *cluster.nodes)
        cluster.until(lambda: hashes_of(node) - before, "new chunks on a node that has room again")


def test_a_disk_that_is_unmounted_is_not_written_below_and_comes_back_with_its_chunks(cluster):
    node = cluster.nodes[1]
    with under_load(cluster, before=20) as checker:
        identity, held = (node.store / "vault.json").read_text(), hashes_of(node)
        assert held
        node.disk.unmount()
        cluster.until(lambda: log_lines(node, "store_unusable"), "a complaint of the node")
        cluster.await_nodes("down", node)
        assert requests.get(f"{node.url}/health", timeout=10).status_code == 503
        assert cluster.node_states()[node.id]["problem"]
        checker.await_acknowledged(10)
        assert list(node.store.iterdir()) == []

        node.kill()
        node.launch()
        cluster.until(lambda: log_lines(node, "registration_refused", "mount"), "a node that is refused")
        checker.await_acknowledged(10)
        assert list(node.store.iterdir()) == []

        node.kill()
        node.disk.mount()
        node.start()
        cluster.await_nodes("up", node)
        assert (node.store / "vault.json").read_text() == identity and hashes_of(node) & held


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_slow_node_is_left_for_the_next_copy(cluster):
    node = cluster.nodes[2]
    alice = new_user(cluster)
    data = chance.randbytes(24 * CHUNK_SIZE)
    file_id = alice.upload("film", "film", data)["file_id"]
    with under_load(cluster) as checker:
        silent = [log_lines(server, '"fault":"silent"') for server in cluster.servers]
        node.line.slow(0.4)
        try:
            for server, before in zip(cluster.servers, silent):
                client = alice.again(server.url)
                assert client.content(file_id) == data
                def left():
                    client.content(file_id)
                    return log_lines(server, '"fault":"silent"') > before
                cluster.until(left, "a server that left the slow node")
            checker.await_acknowledged(10)
            works_everywhere(cluster, alice, "meanwhile")
            assert node.line.delayed > 0
        finally:
            node.line.slow(0)


def test_a_server_and_a_node_that_are_parted_go_on_with_the_others(cluster):
    server, node = cluster.servers[0], cluster.nodes[3]
    alice = new_user(cluster)
    data = chance.randbytes(24 * CHUNK_SIZE)
    file_id = alice.upload("film", "film", data)["file_id"]
    store = cluster.store_of(node)

    def complaints(server):
        return len(events(server, "store_error", store=store) + events(server, "bad_replica", store=store, fault="silent"))

    told = {server: complaints(server) for server in cluster.servers}
    with under_load(cluster) as checker:
        turned_away = node.line.turned_away
        with cluster.partition(server, node):
            cluster.until(lambda: node.line.turned_away > turned_away + 1, "a server that is turned away")
            cluster.until(lambda: complaints(server) > told[server], "a server that says so")
            cluster.until(lambda: server.line.turned_away > 0, "a node that is turned away")
            for other in cluster.servers:
                assert alice.again(other.url).content(file_id) == data
            works_everywhere(cluster, alice, "meanwhile")
            checker.await_acknowledged(20)
            # It reports by way of the other server, which uses it: nobody else is left who could.
            assert {cluster.node_states(number)[node.id]["state"] for number in (0, 1)} == {"up"}
            for worker in cluster.workers:
                worker.stop()
            put = metric(node, "chunkvault_requests_total", method="PUT", endpoint="/chunks/{id}")
            served = chunks_served(node)
            checker.await_acknowledged(10)
            cluster.until(lambda: chunks_served(node) > served and metric(
                node, "chunkvault_requests_total", method="PUT", endpoint="/chunks/{id}") > put,
                "puts and gets of the other server")
            for worker in cluster.workers:
                worker.start()
        assert complaints(cluster.servers[1]) == told[cluster.servers[1]]


LIES = {"garble": "its hash is another", "shorten": "bytes instead of", "never_end": "more bytes than"}


@pytest.mark.parametrize("lie", LIES)
def test_a_node_that_lies_in_its_answers_is_passed_by_and_named(cluster, lie):
    node, others = cluster.nodes[3], cluster.nodes[:3]
    alice = new_user(cluster)
    data = chance.randbytes(24 * CHUNK_SIZE)
    file_id = alice.upload("film", "film", data)["file_id"]
    cluster.await_placed()
    def counted(programs, name):
        return [metric(program, name, node=node.id) for program in programs]
    def told(programs, event):
        return [len(events(program, event, node=node.id)) for program in programs]
    before = counted(cluster.servers, "chunkvault_bad_replicas_total"), told(cluster.servers, "bad_replica")
    answers, lines = counted(cluster.workers, "chunkvault_wrong_answers_total"), told(cluster.workers, "wrong_answer")
    with under_load(cluster) as checker:
        lied = node.line.lied
        getattr(node.line, lie)()
        try:
            def met():
                for server in cluster.servers:
                    assert alice.again(server.url).content(file_id) == data
                now = counted(cluster.servers, "chunkvault_bad_replicas_total"), told(cluster.servers, "bad_replica")
                return all(new > old for each, old_ones in zip(now, before) for new, old in zip(each, old_ones))
            cluster.until(met, "a lie to each server that was seen, counted and told")
            assert node.line.lied > lied
            # A worker asks the node itself, which finds its copy good: so it is the node, or its line.
            cluster.until(lambda: sum(counted(cluster.workers, "chunkvault_wrong_answers_total")) > sum(answers)
                          and sum(told(cluster.workers, "wrong_answer")) > sum(lines), "a node at fault, by a worker")
            assert any(LIES[lie] in event["what"] for worker in cluster.workers
                       for event in events(worker, "wrong_answer", node=node.id))
            for number in range(len(cluster.servers)):
                def shown():
                    health = cluster.client(number).call("GET", "/health")
                    return health.status_code == 200 and health.json()["status"] == "degraded" and health.json()[
                        "storage_nodes"] == {node.id: "faulty"} | {other.id: "ok" for other in others}
                cluster.until(shown, f"a faulty node, by server {number + 1}")
                problems = {name: state["problem"] for name, state in cluster.node_states(number).items()}
                assert "finds good itself" in problems.pop(node.id) and not any(problems.values()), problems
            checker.await_acknowledged(10)
        finally:
            node.line.open()
        assert all(is_whole(path) for path in (node.store / "chunks").glob("*/*")), "what it has is good"
        works_everywhere(cluster, alice, f"after {lie}")
    # As if a day had passed.
    cluster.sql("UPDATE stores SET wrong_answer_at = wrong_answer_at - 86400000000")
    cluster.await_health("ok", *cluster.nodes)


# --- clocks -----------------------------------------------------------------------------------------------------------

@pytest.mark.skipif(os.environ.get("CHUNKVAULT_PRESET") in ("asan", "tsan"), reason="sanitizers must be loaded first")
@pytest.mark.parametrize("offset", ["-2d", "+2d"])
def test_a_node_with_a_wrong_clock_keeps_its_chunks(cluster, offset):
    node = cluster.nodes[0]
    def refused():
        return sum(metric(server, "chunkvault_internal_unauthorized_total", reason="stale") for server in cluster.servers)
    right = dict(node.settings)
    with under_load(cluster) as checker:
        node.stop()
        node.settings |= wrong_clock(offset)
        before = refused()
        try:
            node.start()
            cluster.await_nodes("up", node)
            cluster.until(lambda: metric(node, "chunkvault_node_unauthorized_total", reason="stale") > 0,
                          "a request that is too old for it")
            assert refused() > before
            before = hashes_of(node)
            cluster.until(lambda: hashes_of(node) - before, "new chunks on it")
            for _ in range(5):
                report = cluster.sweep("orphans", server=1)
                assert not report["note"], report
                checker.await_acknowledged(5)
            cluster.until(lambda: cluster.rows()[node.id] <= hashes_of(node), "all its chunks on it")
        finally:
            node.kill()
            node.settings = right
            node.start()


# --- nodes that come and go -------------------------------------------------------------------------------------------


def test_a_new_node_gets_its_share_while_clients_work(cluster):
    moved = sum(metric(worker, "chunkvault_chunks_rebalanced_total") for worker in cluster.workers)
    with under_load(cluster, before=30) as checker:
        new = cluster.new_node(5).start()
        cluster.await_nodes("up", new)
        old = set().union(*(hashes_of(node) for node in cluster.nodes if node is not new))
        # Three copies over five nodes of one size: three fifths of what was there, give or take some.
        cluster.until(lambda: len(hashes_of(new) & old) > len(old) * 0.4, "a share of the old chunks", 120)
        checker.await_acknowledged(10)
    assert sum(metric(worker, "chunkvault_chunks_rebalanced_total") for worker in cluster.workers) > moved
    rows = cluster.rows()
    copies = [sum(chunk in held for held in rows.values()) for chunk in rows[new.id]]
    assert len(copies) > len(old) * 0.4 and min(copies) >= 3


def at_risk(client):
    return {item["path"]: item for item in client.get("/admin/storage/at-risk", params={"limit": 1000}).json()["items"]}


@pytest.fixture
def three_nodes(request):
    with open_folder() as folder, Cluster(
            folder, nodes=3, workers=1, CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s", GC_GRACE="0s") as cluster:
        request.node.vaults = types.SimpleNamespace(made=cluster.programs())
        yield cluster


def test_two_nodes_lost_of_three(three_nodes):
    cluster = three_nodes
    worker, (first, second, third) = cluster.workers[0], cluster.nodes
    alice = new_user(cluster)
    whole = {}
    for number in range(5):
        data = chance.randbytes(4 * CHUNK_SIZE)
        whole[alice.upload(f"whole {number}", f"whole {number}", data)["file_id"]] = data
    cluster.await_copies()
    with under_load(cluster):
        # A file with two copies, which nobody makes a third of.
        worker.stop()
        third.kill()
        thin_data = chance.randbytes(2 * CHUNK_SIZE)
        thin = alice.upload("thin", "thin", thin_data)["file_id"]
        third.start()
        first.kill()
        second.kill()
        worker.start()
        cluster.await_nodes("down", first, second)

        for server in cluster.servers:
            client = alice.again(server.url)
            for file_id, data in whole.items():
                assert client.content(file_id) == data
            with pytest.raises(UnexpectedAnswer) as refusal:
                client.content(thin)
            assert refusal.value.status == 503 and int(refusal.value.response.headers["Retry-After"]) > 0
            assert refusal.value.response.json()["type"] == "urn:chunkvault:error:unavailable"
            with pytest.raises(UnexpectedAnswer) as refusal:
                client.upload_multipart("new", chance.randbytes(1000))
            assert refusal.value.status == 503 and int(refusal.value.response.headers["Retry-After"]) > 0
        named = at_risk(cluster.admin())
        assert named["/thin"]["copies_present"] == 0 and named["/thin"]["copies_wanted"] == 3
        assert {named[f"/whole {number}"]["copies_present"] for number in range(5)} == {1}
        def told_so():
            health = cluster.client().call("GET", "/health")
            return health.status_code == 503 and health.json()["storage_nodes"] == {
                first.id: "down", second.id: "down", third.id: "ok"}
        cluster.until(told_so, "two nodes down, by /health")

        first.start()
        second.start()
        cluster.await_health("ok", *cluster.nodes)
        assert alice.content(thin) == thin_data
    assert at_risk(cluster.admin()) == {}
    cluster.await_files()
