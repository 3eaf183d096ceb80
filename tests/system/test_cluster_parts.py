"""A cluster whose API servers, workers, Redis and database die, stop and come back while clients work: what was
acknowledged stays, what was begun goes on elsewhere, and limits hold over all servers."""

import contextlib
import datetime
import hashlib
import http.client
import itertools
import json
import random
import signal
import socket
import subprocess
import threading
import time
import types
from pathlib import Path

import pytest
import requests
from checker import Checker, under_load
from client import Client, UnexpectedAnswer, content_digest, problem, split
from cluster import Cluster, events, full_upload, leased, locked_owner, metric, open_folder, queue_key
from node import cluster_key, signature
from program import Program, program_path
from proxy import DOWN, Proxy
from services import Postgres, free_port
from vault import PASSWORD, Vault

pytestmark = [pytest.mark.cluster, pytest.mark.storage]

KIB, MIB = 1 << 10, 1 << 20
CHUNK_SIZE = 64 * KIB
LINE_BROKE = (requests.RequestException, OSError)
numbers = itertools.count(1)
chance = random.Random(3)


@pytest.fixture(scope="module")
def one_cluster():
    """Durable, because some tests crash the database."""
    with open_folder() as folder, Cluster(
            folder, durable=True, CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s", GC_GRACE="0s") as cluster:
        yield cluster


@pytest.fixture
def cluster(one_cluster, request):
    """One cluster for all tests that leave it as it was."""
    show_logs_of(one_cluster, request)
    for program in one_cluster.programs():
        if not program.running:
            program.start()
    one_cluster.await_health("ok", *one_cluster.nodes)
    return one_cluster


def show_logs_of(cluster, request):
    request.node.vaults = types.SimpleNamespace(made=cluster.programs())


def new_user(cluster, server=0):
    return cluster.user(f"user-{next(numbers)}", server=server)


def test_a_change_at_one_server_wakes_who_waits_at_another(cluster):
    owner = new_user(cluster)
    elsewhere = owner.again(cluster.servers[1].url)
    share = owner.share(owner.upload_multipart("shared", b"x")["file_id"])
    works = {"created": lambda: owner.make_folder("new"),
             "share_downloaded": lambda: cluster.client().open_share(share["share_token"])}
    for change, work in works.items():
        after = elsewhere.get("/changes").json()["next_cursor"]
        answers = []
        waits = threading.Thread(target=lambda: answers.append(
            elsewhere.get("/changes", params={"after": after, "wait": 30}).json()))
        waits.start()
        cluster.until(lambda: metric(cluster.servers[1], "chunkvault_changes_waiting") == 1, "the call")
        begin = time.monotonic()
        work()
        waits.join()
        assert [item["change"] for item in answers[0]["items"]] == [change]
        assert time.monotonic() - begin < 5, "not the end of the wait"



def at(client, cluster, server):
    """The same user at another server."""
    return client.again(cluster.servers[server].url)


def at_once(*calls):
    """Runs the calls at the same moment, each on a thread; their results or what they raised, in order."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number, call):
        barrier.wait()
        try:
            results[number] = call()
        except Exception as raised:
            results[number] = raised

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def assert_everywhere(cluster, client, file_id, data):
    for server in range(len(cluster.servers)):
        assert at(client, cluster, server).content(file_id) == data


# --- API servers ------------------------------------------------------------------------------------------------------


def test_an_upload_goes_on_at_another_server_when_its_own_is_killed_amid_a_chunk(cluster):
    data = chance.randbytes(8 * CHUNK_SIZE + 100)
    chunks = split(data, CHUNK_SIZE)
    with under_load(cluster):
        alice = new_user(cluster)
        upload = alice.start_upload("film", "film", len(data))
        for index in range(4):
            upload.put(index, chunks[index])
        half_sent = http.client.HTTPConnection("127.0.0.1", cluster.servers[0].port, timeout=30)
        half_sent.putrequest("PUT", f"/uploads/{upload.id}/chunks/4")
        for name, value in {"Authorization": f"Bearer {upload.token}", "Content-Length": len(chunks[4]),
                            "Content-Digest": content_digest(chunks[4])}.items():
            half_sent.putheader(name, str(value))
        half_sent.endheaders()
        half_sent.send(chunks[4][:CHUNK_SIZE // 2])

        cluster.servers[0].kill()
        with pytest.raises(LINE_BROKE + (http.client.HTTPException,)):
            half_sent.send(chunks[4][CHUNK_SIZE // 2:])
            half_sent.getresponse()

        again = at(alice, cluster, 1).start_upload("film", "film", len(data))
        assert again.id == upload.id and again.file_id == upload.file_id
        assert again.missing(chunks) == [4, 5, 6, 7, 8], "only what had no answer is sent again"
        again.send(chunks, [4, 5, 6, 7, 8])
        assert again.commit(chunks, data)["file_id"] == upload.file_id
        cluster.servers[0].start()
    assert_everywhere(cluster, alice, upload.file_id, data)


def assert_one_file(cluster, client, name, file_id, data):
    for server in range(len(cluster.servers)):
        user = at(client, cluster, server)
        assert [item["id"] for item in user.list() if item["filename"] == name] == [file_id]
        assert [version["version"] for version in user.get(f"/files/{file_id}/versions").json()["items"]] == [1]
        assert user.content(file_id) == data


def test_a_server_killed_in_a_commit_leaves_it_undone_and_another_does_it(cluster):
    data = chance.randbytes(3 * CHUNK_SIZE)
    with under_load(cluster):
        alice = new_user(cluster)
        username = alice.get("/me").json()["username"]
        upload, chunks = full_upload(alice, "film", data)
        broken = []

        def commit():
            try:
                upload.by(alice.again()).commit(chunks, data)
            except LINE_BROKE as problem:
                broken.append(problem)

        with locked_owner(cluster, username) as somebody_waits:
            committing = threading.Thread(target=commit)
            committing.start()
            cluster.until(somebody_waits, "a commit that waits for its owner's row")
            cluster.servers[0].kill()
            committing.join()
        assert broken, "the commit had no answer"
        assert [item["filename"] for item in at(alice, cluster, 1).list()] == []
        elsewhere = upload.by(at(alice, cluster, 1))
        assert elsewhere.commit(chunks, data)["file_id"] == upload.file_id
        cluster.servers[0].start()
        assert elsewhere.commit(chunks, data)["file_id"] == upload.file_id, "repeated, it is the same answer"
    assert_one_file(cluster, alice, "film", upload.file_id, data)


def test_a_commit_whose_answer_was_lost_gives_one_file_when_repeated_at_another_server(cluster):
    data = chance.randbytes(2 * CHUNK_SIZE + 1)
    with under_load(cluster), Proxy(cluster.servers[0].port) as line:
        alice = new_user(cluster)
        upload, chunks = full_upload(alice, "film", data)
        line.cut_after(0, DOWN)
        with pytest.raises(requests.RequestException):
            upload.by(alice.again(line.url)).commit(chunks, data)
        line.wait_until_cut()
        cluster.servers[0].kill()
        assert [item["id"] for item in at(alice, cluster, 1).list()] == [upload.file_id], "it was done"
        assert upload.by(at(alice, cluster, 1)).commit(chunks, data)["file_id"] == upload.file_id
        cluster.servers[0].start()
    assert_one_file(cluster, alice, "film", upload.file_id, data)


def test_a_server_killed_at_any_moment_of_a_commit_gives_one_file(cluster):
    fates = {"answered": 0, "done without an answer": 0, "not done": 0}
    with under_load(cluster):
        alice = new_user(cluster)
        for number in range(8):
            data, name = chance.randbytes(CHUNK_SIZE + number), f"film {number}"
            upload, chunks = full_upload(alice, name, data)
            answers = []

            def commit():
                with contextlib.suppress(*LINE_BROKE):
                    answers.append(upload.by(alice.again()).commit(chunks, data))

            committing = threading.Thread(target=commit)
            committing.start()
            time.sleep(0.0015 * number)  # another moment each time
            cluster.servers[0].kill()
            committing.join()
            elsewhere = at(alice, cluster, 1)
            done = name in [item["filename"] for item in elsewhere.list()]
            assert done or not answers, "what was acknowledged is there"
            fates["answered" if answers else "done without an answer" if done else "not done"] += 1
            assert upload.by(elsewhere).commit(chunks, data)["file_id"] == upload.file_id
            cluster.servers[0].start()
            assert_one_file(cluster, alice, name, upload.file_id, data)
    assert fates["not done"] + fates["done without an answer"] > 0, fates


def test_a_download_goes_on_at_another_server_by_range(cluster):
    data = chance.randbytes(24 * MIB)
    with under_load(cluster):
        alice = new_user(cluster)
        file_id = alice.upload("film", "film", data, flights=2)["file_id"]
        answer = alice.get(f"/files/{file_id}/download", stream=True)
        etag, got = answer.headers["ETag"], b""
        with contextlib.suppress(*LINE_BROKE):  # requests may also take a body that ends early for a whole one
            for piece in answer.iter_content(256 * KIB):
                got += piece
                if cluster.servers[0].running:
                    cluster.servers[0].kill()
        assert 0 < len(got) < len(data) and data.startswith(got)
        rest = at(alice, cluster, 1).download(file_id, first=len(got), **{"If-Range": etag})
        assert rest.status_code == 206
        assert hashlib.sha256(got + rest.content).digest() == hashlib.sha256(data).digest()
        cluster.servers[0].start()


# --- workers ----------------------------------------------------------------------------------------------------------


def chunk_of(cluster, entry):
    """The number of the chunk whose repair the entry asks for; None when it asks for something else, or has gone."""
    words = cluster.redis.ask("XRANGE", queue_key(cluster), entry, entry).splitlines()
    kind, _, number = (words[words.index("job") + 1] if "job" in words else "").partition(":")
    return int(number) if kind == "repair_chunk" else None


def size_of(cluster, chunk):
    return int(cluster.sql(f"SELECT size FROM chunks WHERE id = {chunk}"))


def copies_that_are_up(cluster, chunk):
    return int(cluster.sql("SELECT COUNT(*) FROM replicas r JOIN stores s ON s.id = r.store_id WHERE r.state = 'good'"
                           f" AND s.state = 'up' AND r.chunk_id = {chunk}"))


def test_the_jobs_of_a_killed_worker_are_taken_over_after_their_lease(cluster):
    slow, quick = cluster.workers
    slow.stop()
    slow.settings["REPAIR_RATE"] = 500  # so that a large job of this one is never done
    slow.start()
    try:
        with under_load(cluster, before=30):
            lost = cluster.nodes[0]
            quick.signal(signal.SIGSTOP)  # it would be done before the slow one has a large job
            lost.kill()
            cluster.await_nodes("down", lost)
            pid = slow.process.pid
            def repairs():
                """The large ones that it has and has not done: entry -> chunk."""
                found = {entry: chunk_of(cluster, entry) for entry in leased(cluster, pid)}
                return {entry: chunk for entry, chunk in found.items() if chunk is not None
                        and size_of(cluster, chunk) > 60_000 and copies_that_are_up(cluster, chunk) < 3}
            had, taken = cluster.until(repairs, "repairs that the slow worker has"), time.monotonic()
            quick.signal(signal.SIGCONT)
            cluster.until(lambda: time.monotonic() - taken > 3 and repairs().keys() & had, "a lease that was renewed")
            slow.signal(signal.SIGSTOP)  # what it has now it has when it is killed
            had = {entry: chunk for entry, chunk in repairs().items() if entry in had}
            assert had, "the slow worker has done its jobs"
            repaired = metric(quick, "chunkvault_chunks_repaired_total")
            slow.kill()
            cluster.until(lambda: not leased(cluster, pid), "somebody else with the jobs of the dead worker")
            cluster.await_copies()  # on the nodes that are left
            cluster.until(lambda: all(copies_that_are_up(cluster, chunk) == 3 for chunk in had.values()),
                          "what it was to do")
            assert metric(quick, "chunkvault_chunks_repaired_total") >= repaired + len(had)
            lost.start()
        assert cluster.admin().get("/admin/jobs").json()["dead"] == []
    finally:
        quick.signal(signal.SIGCONT)
        if slow.running:
            slow.kill()
        slow.settings["REPAIR_RATE"] = 0
        slow.start()


def test_a_job_that_is_given_up_is_listed_by_every_server_and_done_when_it_is_retried(cluster):
    alice, data = new_user(cluster), chance.randbytes(CHUNK_SIZE)
    file_id = alice.upload("film", "film", data)["file_id"]
    cluster.until(lambda: alice.info(file_id)["sha256_verified"], "the check of the whole")
    cluster.await_copies()
    content = int(cluster.sql(f"SELECT v.content_id FROM versions v WHERE v.file_id = {file_id}"))
    job = {"kind": "verify_content", "id": str(content)}

    def dead(server):
        jobs = cluster.admin(server).get("/admin/jobs").json()["dead"]
        return [entry for entry in jobs if job.items() <= entry.items()]

    for node in cluster.nodes:
        node.kill()
    # Verified as it is, no sweep posts it. What the job does is seen by the hash that it mends.
    cluster.sql(f"UPDATE contents SET sha256 = decode(repeat('00', 32), 'hex') WHERE id = {content}")
    cluster.redis.ask("XADD", queue_key(cluster), "*", "job", f"verify_content:{content}", "failures", "0")
    for server in (0, 1):
        [given_up] = cluster.until(lambda: dead(server), f"a job that is given up, by server {server + 1}")
        assert given_up["failures"] == 5 and given_up["what"] and given_up["since"]
    assert any(event["given_up"] for worker in cluster.workers
               for event in events(worker, "job_failed", job=f"verify_content:{content}"))
    for node in cluster.nodes:
        node.start()
    cluster.await_health("ok", *cluster.nodes)
    def known_hash():
        return cluster.sql(f"SELECT encode(sha256, 'hex') FROM contents WHERE id = {content}")
    assert dead(0) and known_hash() == "00" * 32, "nobody tries it by itself"
    assert cluster.admin(1).post("/admin/jobs/retry", job).json() == {"posted": 1}
    cluster.until(lambda: not dead(0) and not dead(1), "a list without it")
    cluster.until(lambda: known_hash() == hashlib.sha256(data).hexdigest(), "the right hash")


def test_while_copies_are_made_it_is_said_when_a_node_may_be_stopped_and_removed(cluster):
    alice = new_user(cluster)
    alice.upload("film", "film", chance.randbytes(48 * CHUNK_SIZE))
    cluster.await_placed()
    only, lost = cluster.nodes[0], cluster.nodes[3]
    def asked(server, node, question):
        told = cluster.admin(server).get(f"/admin/nodes/{node.id}/{question}").json()
        if told["answer"] == "later":
            at = datetime.datetime.fromisoformat(told["expected_at"].replace("Z", "+00:00"))
            assert at >= datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5), told
        else:
            assert told["expected_at"] is None, told
        return told["answer"]
    for worker in cluster.workers:
        worker.stop()
    try:
        # What is on one node was on no other, and of the rest a copy is lost.
        cluster.sql(f"UPDATE replicas SET state = 'bad' WHERE store_id <> {cluster.store_of(only)} AND chunk_id IN (SELECT"
                    f" chunk_id FROM replicas WHERE store_id = {cluster.store_of(only)} AND state = 'good')")
        lost.kill()
        cluster.await_nodes("down", lost)
        for server in (0, 1):
            for _ in range(2):
                assert asked(server, only, "may-stop") == "later"
                assert asked(server, lost, "may-remove") == "later"
    finally:
        for worker in cluster.workers:
            worker.start()
    cluster.until(lambda: asked(0, only, "may-stop") == "yes", "a node that may be stopped")
    cluster.until(lambda: asked(1, lost, "may-remove") == "yes", "a node that may be removed")
    lost.start()
    cluster.await_health("ok", *cluster.nodes)


# --- sweeps -----------------------------------------------------------------------------------------------------------


def test_a_sweep_is_counted_where_an_administrator_had_it_run(cluster):
    for number, server in enumerate(cluster.servers):
        def runs(program):
            return metric(program, "chunkvault_sweep_runs_total", sweep="contents")
        before = [runs(other) for other in cluster.servers]
        cluster.sweep("contents", server=number)
        after = [runs(other) for other in cluster.servers]
        assert after == [count + (other is server) for other, count in zip(cluster.servers, before)]
        assert metric(server, "chunkvault_sweep_seconds_total", sweep="contents") > 0


# --- Redis ------------------------------------------------------------------------------------------------------------


def redis_of(cluster, server):
    return cluster.client(server).call("GET", "/health").json()["redis"]


def await_redis(cluster, state):
    for server in range(len(cluster.servers)):
        cluster.until(lambda: redis_of(cluster, server) == state, f"redis: {state} of server {server + 1}")


@contextlib.contextmanager
def database_clock_behind(cluster, seconds):
    """A function of this name that is found before PostgreSQL's own, by connections that begin from now on."""
    cluster.postgres.sql("CREATE SCHEMA shifted; CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE"
                         f" SQL AS $$ SELECT pg_catalog.clock_timestamp() - interval '{seconds} s' $$;"
                         " ALTER DATABASE postgres SET search_path = shifted, pg_catalog, public")
    try:
        cluster.postgres.cut_connections()
        yield
    finally:
        cluster.postgres.sql("ALTER DATABASE postgres RESET search_path; DROP SCHEMA shifted CASCADE")
        cluster.postgres.cut_connections()


def test_with_a_wrong_clock_nothing_is_deleted_by_age_until_it_is_right_again(cluster):
    def health(worker):
        return requests.get(f"{worker.url}/health", timeout=10).json()

    def note(sweep):
        return cluster.sweep(sweep)["note"]

    by_age = ("uploads", "shares", "trash", "sessions", "unreferenced", "orphans", "store_trash")
    with database_clock_behind(cluster, 120):
        for worker in cluster.workers:
            cluster.until(lambda: health(worker)["status"] == "degraded", "a worker that knows of its clock")
            assert "clock is 120 s ahead of the database's" in health(worker)["clock"]
            assert abs(metric(worker, "chunkvault_clock_ahead_seconds") - 120) < 10
            assert "Nothing is deleted by age" in worker.log_text()
        for sweep in by_age:
            cluster.until(lambda: "nothing is deleted by age" in note(sweep), f"a pass of {sweep} that does nothing")
    for worker in cluster.workers:
        cluster.until(lambda: (health(worker)["status"], health(worker)["clock"]) == ("ok", "ok"),
                      "a worker with a right clock")
        assert abs(metric(worker, "chunkvault_clock_ahead_seconds")) < 10
    for sweep in by_age:
        cluster.until(lambda: note(sweep) == "", f"a pass of {sweep}")


def await_worker_health(cluster, worker, wanted):
    def so():
        answer = requests.get(f"{worker.url}/health", timeout=10)
        return wanted.items() <= answer.json().items() and (answer.status_code == 200) == (wanted["status"] == "ok")
    cluster.until(so, f"{wanted} of {worker.name}")


def test_redis_that_is_emptied_again_and_again_costs_nothing(cluster):
    with under_load(cluster) as checker:
        for _ in range(5):
            cluster.until(lambda: int(cluster.redis.ask("DBSIZE")) > 0, "something in Redis")
            cluster.redis.ask("FLUSHALL")
            checker.await_acknowledged(5)
        assert redis_of(cluster, 0) == "ok"


def test_without_redis_everything_goes_on_and_lost_jobs_are_posted_again(cluster):
    node = cluster.nodes[1]
    with under_load(cluster) as checker:
        cluster.redis.stop()
        await_redis(cluster, "unreachable")
        for worker in cluster.workers:
            await_worker_health(cluster, worker, {"status": "unavailable", "database": "ok", "redis": "unreachable"})
        for server in cluster.servers:
            assert requests.get(f"{server.url}/health/ready", timeout=10).status_code == 200
        node.kill()
        refused = checker.counts["refused"]
        checker.await_acknowledged(20)
        cluster.await_nodes("down", node)
        admin = cluster.admin()
        assert admin.get("/admin/storage").json()["under_replicated"] > 0, "nobody does jobs now"
        assert all('"event":"redis"' in program.log_text() for program in [*cluster.servers, *cluster.workers])
        assert checker.counts["refused"] - refused < checker.counts["acknowledged"]

        cluster.redis.start()
        assert int(cluster.redis.ask("DBSIZE")) >= 0
        await_redis(cluster, "ok")
        for worker in cluster.workers:
            await_worker_health(cluster, worker, {"status": "ok", "database": "ok", "redis": "ok"})
        cluster.await_copies()  # on the nodes that are left
        node.start()


# --- the database -----------------------------------------------------------------------------------------------------


def ready(server):
    return requests.get(f"{server.url}/health/ready", timeout=10)


def await_not_ready(cluster):
    for server in cluster.servers:
        cluster.until(lambda: ready(server).status_code == 503, "a server that says it is not ready")
        assert ready(server).json()["reason"] == "The database does not answer."


def await_all_ready(cluster):
    for program in cluster.programs():
        program.await_ready()
    cluster.await_health("ok", *cluster.nodes)


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_a_database_that_is_restarted_is_waited_for(cluster, end):
    with under_load(cluster) as checker:
        # An upload that does not give up is told so with each of its tries.
        told = lambda: checker.counts["refused"] + checker.counts["retried"]  # noqa: E731
        before = told()
        getattr(cluster.postgres, end)()
        await_not_ready(cluster)
        assert cluster.client().call("GET", "/health").json()["database"] == "unreachable"
        for worker in cluster.workers:
            await_worker_health(cluster, worker, {"status": "unavailable", "database": "unreachable", "redis": "ok"})
        cluster.until(lambda: told() > before, "a client that was told so")
        cluster.postgres.start()
        await_all_ready(cluster)


def test_connections_to_the_database_that_are_cut_are_made_again(cluster):
    with under_load(cluster) as checker:
        for _ in range(6):
            cut = cluster.until(cluster.postgres.cut_connections, "connections to cut")
            assert cut > 0
            checker.await_acknowledged(3)
        await_all_ready(cluster)


class WaitsForItsDatabase(Cluster):
    """Programs that start before their database does, and find it under TLS."""

    def __init__(self, folder):
        super().__init__(folder, nodes=3, workers=1, CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s", GC_GRACE="0s")
        self.postgres = Postgres(self.folder / "postgres", tls=True)
        self.postgres.port = free_port()
        self.settings["DATABASE_URL"] = self.postgres.url + "?sslmode=require"

    def start(self):
        self.stack.enter_context(self.redis)
        self.launch()
        await_not_ready(self)
        for program in [*self.servers, *self.workers]:
            self.until(lambda: '"event":"waiting_for_database"' in program.log_text(), f"{program.name} that says so")
            assert requests.get(f"{program.url}/health/live", timeout=10).status_code == 200
        refusal = self.client().call("POST", "/auth/login", json={"username": "admin", "password": PASSWORD})
        assert refusal.status_code == 503 and int(refusal.headers["Retry-After"]) > 0
        assert "database" in problem(refusal)["detail"]
        assert requests.get(f"{self.workers[0].url}/health", timeout=10).status_code == 503
        given_up = self.servers.pop()
        given_up.stop()  # ends at once, and well
        self.servers.append(given_up.launch())
        self.stack.enter_context(self.postgres)
        return self.await_ready()


def test_servers_that_start_before_their_database_wait_for_it_and_sslmode_require_is_kept(request):
    with open_folder() as folder, WaitsForItsDatabase(folder) as cluster:
        show_logs_of(cluster, request)
        with under_load(cluster):
            plain = cluster.postgres.sql("SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
                                         " WHERE a.backend_type = 'client backend' AND NOT s.ssl"
                                         " AND pid <> pg_backend_pid()")
            tls = cluster.postgres.sql("SELECT count(*) FROM pg_stat_ssl WHERE ssl AND pid <> pg_backend_pid()")
            assert int(plain) == 0 and int(tls) > 2
            assert cluster.redis.password and "NOAUTH" not in "".join(p.log_text() for p in cluster.programs())


def test_a_wrong_password_of_redis_and_a_database_without_tls_are_told_and_not_worked_around(cluster, tmp_path):
    server = cluster.servers[0]
    wrong = Program("chunkvault-server", tmp_path / "redis", free_port(), dict(server.settings))
    wrong.settings |= {"PORT": wrong.port, "REDIS_URL": server.settings["REDIS_URL"].replace("redis://:", "redis://:x")}
    plain = Program("chunkvault-server", tmp_path / "plain", free_port(), dict(server.settings))
    plain.settings |= {"PORT": plain.port, "DATABASE_URL": cluster.postgres.url + "?sslmode=require"}
    try:
        wrong.start()
        health = lambda: requests.get(f"{wrong.url}/health", timeout=10).json()  # noqa: E731
        cluster.until(lambda: health()["redis"] == "unreachable", "Redis that refuses the password")
        assert health()["status"] == "ok", "a cache and queue that are down only make things slower"
        assert cluster.redis.password not in wrong.log_text()
        plain.launch()
        cluster.until(lambda: ready(plain).status_code == 503, "a server without a database")
        cluster.until(lambda: "SSL" in plain.log_text(), "the reason in the log")
    finally:
        wrong.stop()
        plain.stop()


# --- a database that does not belong to the stores ------------------------------------------------------------------


def chunk_files(cluster):
    return {path.relative_to(node.store.parent.parent) for node in cluster.nodes
            for path in (node.store / "chunks").glob("*/*")}


def stop_users_of_the_database(cluster):
    for program in [*cluster.servers, *cluster.workers]:
        program.stop()


def start_users_of_the_database(cluster, database):
    cluster.database = database
    for program in [*cluster.servers, *cluster.workers]:
        program.settings["DATABASE_URL"] = cluster.postgres.url.rpartition("/")[0] + f"/{database}"
        program.launch()
    for program in [*cluster.servers, *cluster.workers]:
        program.await_ready()


def every_sweep(cluster):
    """Runs all that the API describes, and no more than that have run ever."""
    schema = cluster.client().get("/openapi.json").json()["components"]["schemas"]["SweepReport"]
    reports = {name: cluster.sweep(name) for name in schema["properties"]["sweep"]["enum"]}
    runs = cluster.admin().get("/admin/sweeps").json()["items"]
    assert reports.keys() == {run["sweep"] for run in runs}
    return reports


@pytest.fixture
def own_cluster(request):
    """Collects at once what it may collect."""
    with open_folder() as folder, Cluster(folder, CHUNK_SIZE=CHUNK_SIZE, GC_AGE="0s", GC_GRACE="0s") as cluster:
        show_logs_of(cluster, request)
        yield cluster


def test_an_empty_database_on_full_stores_collects_nothing(own_cluster):
    cluster = own_cluster
    with under_load(cluster) as checker:
        checker.await_acknowledged(5)
        stop_users_of_the_database(cluster)
        files = chunk_files(cluster)
        assert len(files) >= 30
        cluster.postgres.sql("CREATE DATABASE fresh")
        with checker.not_known():
            start_users_of_the_database(cluster, "fresh")
            refuse_and_collect_nothing(cluster, checker, files)
            stop_users_of_the_database(cluster)
        start_users_of_the_database(cluster, "postgres")
        for node in cluster.nodes:
            node.await_ready()
        cluster.await_health("ok", *cluster.nodes)
        assert files <= chunk_files(cluster)


def refuse_and_collect_nothing(cluster, checker, files):
    """Of a cluster whose nodes belong to another database."""
    for node in cluster.nodes:
        cluster.until(lambda: "the store belongs to the vault" in node.log_text(), f"{node.id} that refuses")
        assert requests.get(f"{node.url}/health", timeout=10).status_code == 503
    health = cluster.client().call("GET", "/health")
    assert health.status_code == 503 and health.json()["storage_nodes"] == {}
    bob = cluster.user("bob")
    with pytest.raises(UnexpectedAnswer) as refusal:
        bob.upload_multipart("file", b"bytes")
    assert refusal.value.status == 503
    for name, report in every_sweep(cluster).items():
        # The row of the chunk that bob could not send goes again; no store has seen it. The nodes are new to the server.
        assert report["changed"] == 0 or name in ("unreferenced", "nodes"), (name, report)
    checker.await_refused()
    assert chunk_files(cluster) == files


def test_an_old_database_on_full_stores_collects_nothing_until_an_admin_allows_it(own_cluster):
    cluster = own_cluster
    with under_load(cluster) as checker:
        pass
    alice = new_user(cluster)
    meanwhile = Checker(cluster, seed="meanwhile")  # which the dump knows
    dump = cluster.folder / "dump"
    dumped = subprocess.run([*cluster.postgres.client_command("pg_dump"), "-Fc", "-f", dump], capture_output=True)
    assert dumped.returncode == 0, dumped.stderr
    old = chunk_files(cluster)
    with under_load(cluster, collect=False):  # of whose files the dump knows nothing
        pass
    alice.upload_multipart("gone", b"of the state that is gone")
    page = alice.get("/files")
    assert [item["filename"] for item in page.json()["items"]] == ["gone"]
    files = chunk_files(cluster)
    assert len(files) > len(old)
    assert not cluster.admin().get("/admin/collection").json()["held"]

    stop_users_of_the_database(cluster)
    cluster.postgres.sql("CREATE DATABASE restored")
    restored = subprocess.run([*cluster.postgres.client_command("pg_restore", "restored"), dump], capture_output=True)
    assert restored.returncode == 0, restored.stderr
    meanwhile.start()
    start_users_of_the_database(cluster, "restored")
    cluster.await_health("ok", *cluster.nodes)
    for server in range(len(cluster.servers)):
        collection = cluster.until(lambda: held(cluster, server), "collection that is held")
        assert "put back to an earlier state" in collection["reason"] and collection["since"]
    alice.upload_multipart("new", b"of the state of now")
    for server in range(len(cluster.servers)):
        answer = at(alice, cluster, server).get("/files", headers={"If-None-Match": page.headers["ETag"]})
        assert [item["filename"] for item in answer.json()["items"]] == ["new"], "as many changes, but others"
    for name, report in every_sweep(cluster).items():
        # Nodes were new to this server, and what is being uploaded may lack its third copy, or the check of the whole.
        assert report["changed"] == 0 or name in ("nodes", "under_replicated", "contents"), (name, report)
        if name in ("orphans", "unreferenced", "surplus", "rebalance", "store_trash"):
            assert report["note"].startswith("held: ") and "put back" in report["note"], (name, report)
    checker.verify()
    meanwhile.await_acknowledged(5)
    meanwhile.stop()
    assert files <= chunk_files(cluster), "nothing was collected"

    cluster.admin(1).post("/admin/collection/allow")
    assert not cluster.admin().get("/admin/collection").json()["held"]
    report = cluster.sweep("orphans")
    assert report["changed"] >= len(files) - len(old) and not report["note"], report
    assert not files <= chunk_files(cluster)
    cluster.await_no_orphans()
    for each in (checker, meanwhile):
        each.verify()
    cluster.await_files()
    assert not cluster.admin().get("/admin/collection").json()["held"], "it is held once"


def held(cluster, server):
    collection = cluster.admin(server).get("/admin/collection").json()
    return collection if collection["held"] else None


# --- configuration ----------------------------------------------------------------------------------------------------

SECRETS = {"CLUSTER_SECRET": "c" * 40, "SECRET_KEY": "k" * 40}
URLS = {"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/x", "REDIS_URL": "redis://:hidden@127.0.0.1:1"}
SERVER = {**URLS, **SECRETS, "HOST": "127.0.0.1", "PORT": 0}
WORKER = {**URLS, "CLUSTER_SECRET": "c" * 40, "HOST": "127.0.0.1", "PORT": 0}
NODE = {"NODE_ID": "node-1", "HOST": "127.0.0.1", "PORT": 0, "STORAGE_PATH": "store", "CLUSTER_SECRET": "c" * 40,
        "API_BASE_URL": "http://127.0.0.1:1"}


@pytest.mark.parametrize("program, settings, change, named", [
    ("server", SERVER, {"DATABASE_URL": None}, "DATABASE_URL"),
    ("server", SERVER, {"REDIS_URL": None}, "REDIS_URL"),
    ("server", SERVER, {"CLUSTER_SECRET": None}, "CLUSTER_SECRET"),
    ("server", SERVER, {"CLUSTER_SECRET": "hidden"}, "CLUSTER_SECRET"),
    ("server", SERVER, {"SECRET_KEY": None}, "SECRET_KEY"),
    ("server", SERVER, {"SECRET_KEY": "hidden"}, "SECRET_KEY"),
    ("server", SERVER, {"REDIS_URL": "rediss://:hidden@127.0.0.1:1"}, "REDIS_URL"),
    ("server", SERVER, {"REDIS_URL": "hidden"}, "REDIS_URL"),
    ("server", SERVER, {"DATABASE_URL": "mysql://u:hidden@127.0.0.1/x"}, "DATABASE_URL"),
    ("server", SERVER, {"DATABASE_URL": "postgresql://u:hidden@127.0.0.1/x?sslmod=require"}, "DATABASE_URL"),
    ("server", SERVER, {"STORAGE_PATHS": "a,b,c"}, "STORAGE_PATHS"),
    ("server", SERVER, {"STORAGE_RESERVE": "1G"}, "STORAGE_RESERVE"),
    ("server", SERVER, {"DEDUP": "owner"}, "DEDUP"),
    ("server", SERVER, {"HOST": "0.0.0.0"}, "ADMIN_PASSWORD"),
    ("server", SERVER, {"WRITE_QUORUM": "4"}, "WRITE_QUORUM"),
    ("server", SERVER, {"CHUNK_SIZE": "1K"}, "CHUNK_SIZE"),
    ("server", SERVER, {"DOWN_AFTER": "1s", "SUSPECT_AFTER": "2s"}, "DOWN_AFTER"),
    ("server", SERVER, {"CLUSTER_SECRET": None, "CLUSTER_SECRET_FILE": "nowhere"}, "CLUSTER_SECRET_FILE"),
    ("worker", WORKER, {"DATABASE_URL": None}, "DATABASE_URL"),
    ("worker", WORKER, {"REDIS_URL": None}, "REDIS_URL"),
    ("worker", WORKER, {"REDIS_URL": "rediss://:hidden@127.0.0.1:1"}, "REDIS_URL"),
    ("worker", WORKER, {"DATABASE_URL": "mysql://u:hidden@127.0.0.1/x"}, "DATABASE_URL"),
    ("worker", WORKER, {"CLUSTER_SECRET": None}, "CLUSTER_SECRET"),
    ("worker", WORKER, {"CLUSTER_SECRET": "hidden"}, "CLUSTER_SECRET"),
    ("worker", WORKER, {"SWEEP_INTERVALS": "srub=1h"}, "SWEEP_INTERVALS"),
    ("worker", WORKER, {"VERSIONS_KEEP": "0"}, "VERSIONS_KEEP"),
    ("worker", WORKER, {"JOB_LEASE": "2h"}, "JOB_LEASE"),
    ("worker", WORKER, {"JOB_THREADS": "many"}, "JOB_THREADS"),
    ("storagenode", NODE, {"NODE_ID": None}, "NODE_ID"),
    ("storagenode", NODE, {"NODE_ID": "../../etc"}, "NODE_ID"),
    ("storagenode", NODE, {"STORAGE_PATH": None}, "STORAGE_PATH"),
    ("storagenode", NODE, {"API_BASE_URL": None}, "API_BASE_URL"),
    ("storagenode", NODE, {"API_BASE_URL": "127.0.0.1:8000"}, "API_BASE_URL"),
    ("storagenode", NODE, {"CLUSTER_SECRET": "hidden"}, "CLUSTER_SECRET"),
])
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(tmp_path, program, settings, change, named):
    environment = {name: str(value) for name, value in (settings | change).items() if value is not None}
    ended = subprocess.run([program_path(f"chunkvault-{program}")], cwd=tmp_path, env=environment, timeout=20,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = ended.stdout.splitlines()
    assert ended.returncode == 1 and len(lines) == 1, ended.stdout
    assert lines[0].startswith(f"chunkvault-{program}: ") and named in lines[0]
    assert "hidden" not in lines[0] and "c" * 40 not in lines[0] and "k" * 40 not in lines[0]
    assert list(tmp_path.iterdir()) == [], "nothing was made"


# --- limits and locks over several servers ----------------------------------------------------------------------------


def test_header_text_that_is_no_utf8_stops_no_login(cluster):
    client = cluster.client()
    username = f"user-{next(numbers)}"
    client.register(username, PASSWORD)
    client.session.headers["User-Agent"] = b"caf\xe9/1.0 " + b"x" * 244 + "é".encode()
    client.login(username, PASSWORD)
    (session,) = client.get("/auth/sessions").json()["items"]
    assert session["user_agent"] == "caf\ufffd/1.0 " + "x" * 244


def test_failed_logins_are_counted_over_all_servers(cluster):
    with under_load(cluster):
        alice = new_user(cluster)
        username = alice.get("/me").json()["username"]

        def try_at(server, password="wrong password"):
            return cluster.client(server).call("POST", "/auth/login",
                                               json={"username": username, "password": password}).status_code

        assert [try_at(number % 2) for number in range(10)] == [401] * 10
        assert try_at(0) == 429 and try_at(1) == 429
        assert try_at(0, PASSWORD) == 429 and try_at(1, PASSWORD) == 429, "guessing right is too late as well"


def test_the_same_upload_begun_at_two_servers_at_once_is_one_upload(cluster):
    data = chance.randbytes(2 * CHUNK_SIZE)
    chunks = split(data, CHUNK_SIZE)
    with under_load(cluster):
        alice = new_user(cluster)
        for number in range(8):
            both = [at(alice, cluster, 0), at(alice, cluster, 1)]
            first, second = at_once(*[lambda client=client: client.start_upload(f"key {number}", f"name {number}",
                                                                                 len(data)) for client in both])
            assert first.id == second.id and first.file_id == second.file_id
            first.put(0, chunks[0])
            second.put(1, chunks[1])
            done = at_once(*[lambda upload=upload: upload.commit(chunks, data) for upload in (first, second)])
            assert [answer["file_id"] for answer in done] == [first.file_id] * 2
        assert len(alice.list()) == 8
        assert alice.get("/me").json()["used"] == 8 * len(data)


def test_the_last_download_of_a_link_is_given_once(cluster):
    with under_load(cluster):
        alice = new_user(cluster)
        file_id = alice.upload_multipart("file", b"the bytes")["file_id"]
        for _ in range(8):
            token = alice.share(file_id, max_downloads=1)["share_token"]
            calls = [lambda server=number % 2: cluster.client(server).call("GET", f"/share/{token}").status_code
                     for number in range(6)]
            assert sorted(at_once(*calls)) == [200] + [410] * 5


def test_guesses_at_a_links_password_are_counted_over_all_servers(cluster):
    alice = new_user(cluster)
    token = alice.share(alice.upload_multipart("file", b"the bytes")["file_id"], password="sesame")["share_token"]

    def guess_at(server, password, number):
        client = cluster.client(server)
        if number % 4 < 2:
            return client.call("POST", f"/share/{token}/unlock", json={"password": password}).status_code
        return client.call("GET", f"/share/{token}", headers={"X-Share-Password": password}).status_code

    assert [guess_at(number % 2, "wrong", number) for number in range(20)] == [401] * 20
    assert [guess_at(number % 2, "sesame", number) for number in range(4)] == [429] * 4


def test_registrations_are_counted_over_all_servers(cluster):
    others = [cluster.new_server(number) for number in (8, 9)]
    try:
        for server in others:
            server.settings |= {"REGISTER_LIMIT_ADDRESS": 4, "TRUSTED_PROXIES": "127.0.0.1"}
            server.start()
        def register_at(number, address):
            name = f"registered-{next(numbers)}"
            body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
            return Client(others[number % 2].url).call("POST", "/auth/register", json=body,
                                                       headers={"X-Forwarded-For": address}).status_code
        assert [register_at(number, "203.0.113.7") for number in range(6)] == [201] * 4 + [429] * 2
        assert register_at(0, "203.0.113.8") == 201, "another address"
    finally:
        for server in others:
            server.stop()


def test_what_one_server_gave_is_good_at_another(cluster):
    alice, data = new_user(cluster), chance.randbytes(2 * CHUNK_SIZE)
    file_id = alice.upload_multipart("file", data)["file_id"]

    # A session.
    username = alice.get("/me").json()["username"]
    first = alice.refresh_token
    elsewhere = at(alice, cluster, 1)
    elsewhere.refresh()
    assert elsewhere.content(file_id) == data and at(elsewhere, cluster, 0).content(file_id) == data
    at(elsewhere, cluster, 0).refresh()
    for server in (0, 1):  # a token that is two refreshs old has been stolen: nothing of the session is good any more
        refused = cluster.client(server).call("POST", "/auth/refresh", json={"refresh_token": first})
        assert refused.status_code == 401
    for server in (0, 1):
        assert at(elsewhere, cluster, server).call("GET", "/me").status_code == 401

    alice.login(username, PASSWORD)

    # A ticket for the one download of a link.
    token = alice.share(file_id, max_downloads=1)["share_token"]
    begun = cluster.client(0).call("GET", f"/share/{token}", headers={"Range": "bytes=0-99"}, expect=206)
    ticket = {"Cookie": begun.headers["Set-Cookie"].split(";")[0]}
    rest = cluster.client(1).call("GET", f"/share/{token}", headers=ticket | {"Range": "bytes=100-"}, expect=206)
    assert begun.content + rest.content == data
    by_tag = {"If-Range": begun.headers["ETag"], "Range": "bytes=100-199"}
    assert cluster.client(1).call("GET", f"/share/{token}", headers=by_tag, expect=206).content == data[100:200]
    for server in (0, 1):
        assert cluster.client(server).call("GET", f"/share/{token}").status_code == 410

    # The cookie of a link that was opened with its password.
    token = alice.share(file_id, password="sesame")["share_token"]
    opened = cluster.client(0).call("POST", f"/share/{token}/unlock", json={"password": "sesame"}, expect=204)
    cookie = {"Cookie": opened.headers["Set-Cookie"].split(";")[0]}
    assert cluster.client(1).call("GET", f"/share/{token}", headers=cookie, expect=200).content == data
    assert cluster.client(1).call("GET", f"/share/{token}").status_code == 401


def test_the_quota_holds_when_two_servers_are_asked_at_once(cluster):
    with under_load(cluster):
        alice = new_user(cluster)
        cluster.admin().patch(f"/admin/users/{alice.user_id}", {"quota": 100_000})
        for number in range(6):
            calls = [lambda server=number % 2, n=number: at(alice, cluster, server).start_upload(
                f"{n}-{time.monotonic_ns()}", f"film {n}", 60_000).id for number in range(4)]
            results = at_once(*calls)
            refused = [result.status for result in results if isinstance(result, UnexpectedAnswer)]
            assert refused == [507] * 3, results
            begun = next(result for result in results if isinstance(result, str))
            alice.delete(f"/uploads/{begun}")
        small = [lambda server=number % 2, n=number: at(alice, cluster, server).upload_multipart(
            f"file {n}", chance.randbytes(30_000)) for number in range(8)]
        done = [result for result in at_once(*small) if isinstance(result, dict)]
        assert len(done) == 3
        assert alice.get("/me").json()["used"] == 90_000


def test_a_name_is_given_once_when_two_servers_are_asked_at_once(cluster):
    with under_load(cluster):
        alice = new_user(cluster)
        for number in range(6):
            uploads = []
            for server in (0, 1):
                data = chance.randbytes(1000)
                client = at(alice, cluster, server)
                upload = client.start_upload(f"{number} at {server}", f"Film {number}" if server else f"film {number}",
                                             len(data), on_conflict="fail")
                upload.put(0, data)
                uploads.append((upload, data))
            results = at_once(*[lambda upload=upload, data=data: upload.commit([data], data)["file_id"]
                                for upload, data in uploads])
            refused = [result for result in results if isinstance(result, UnexpectedAnswer)]
            assert len(refused) == 1 and refused[0].status == 409, results
            winner = next(result for result in results if isinstance(result, str))
            data = next(data for upload, data in uploads if upload.file_id == winner)
            assert_everywhere(cluster, alice, winner, data)
        assert len(alice.list()) == 6
        for number in range(6):
            folders = at_once(*[lambda server=server: at(alice, cluster, server).make_folder(f"a/b {number}/c")["id"]
                                for server in (0, 1)])
            assert len(set(folders)) == 1, folders
        versions = at_once(*[lambda n=number: at(alice, cluster, n % 2).upload_multipart("same", b"%d" % n)["file_id"]
                             for number in range(6)])
        assert len(set(versions)) == 1, versions
        items = alice.get(f"/files/{versions[0]}/versions").json()["items"]
        assert sorted(item["version"] for item in items) == [1, 2, 3, 4, 5, 6]


# --- who may report as a node -----------------------------------------------------------------------------------------


def test_unsigned_stale_and_altered_reports_of_nodes_are_refused_counted_and_change_nothing(cluster):
    def nodes():
        items = cluster.admin().get("/admin/nodes").json()["items"]
        return {node["node_id"]: (node["state"], node["url"], node["zone"]) for node in items}

    report = {"node_id": "node-1", "store_id": "11111111-1111-4111-8111-111111111111", "vault_id": "x", "zone": "z",
              "url": "http://127.0.0.1:1", "capacity": 1, "free": 1, "mounted": False, "catalog_seq": 1 << 60,
              "problem": "", "number": 1}
    body, path, key = json.dumps(report).encode(), "/internal/nodes", cluster_key(cluster.secret)

    def good(**change):
        return signature(**{"target": "api", "method": "POST", "path": path, "body": body, "key": key} | change)

    attacks = [("missing", None, body), ("malformed", "Bearer abc", body), ("malformed", "ChunkVault-HMAC time=1", body),
               ("forged", good(key=cluster_key("another secret of another cluster")), body),
               ("forged", good(target="node-1"), body), ("forged", good(method="PUT"), body),
               ("forged", good(path="/internal/node"), body),
               ("stale", good(at=time.time() - 3600), body), ("stale", good(at=time.time() + 3600), body),
               ("altered", good(), body.replace(b'"free": 1', b'"free": 2'))]
    with under_load(cluster):
        before = nodes()
        for number, (reason, authorization, sent) in enumerate(attacks):
            server = cluster.servers[number % 2]
            counted = metric(server, "chunkvault_internal_unauthorized_total", reason=reason)
            headers = {"Content-Type": "application/json"}
            if authorization:
                headers["Authorization"] = authorization
            refusal = requests.post(server.url + path, data=sent, headers=headers, timeout=10)
            assert refusal.status_code == 401, (reason, refusal.text)
            assert reason in problem(refusal)["detail"]
            assert metric(server, "chunkvault_internal_unauthorized_total", reason=reason) == counted + 1
        once = good()
        for reason in ("", "replayed"):
            answer = requests.post(cluster.servers[0].url + path, data=body, timeout=10,
                                   headers={"Content-Type": "application/json", "Authorization": once})
            # The first is genuine, and of another vault.
            assert answer.status_code == (401 if reason else 200) and reason in answer.text
        assert nodes() == before
        assert not cluster.admin().get("/admin/collection").json()["held"]
    cluster.await_health("ok", *cluster.nodes)


def test_a_report_that_is_sent_again_changes_nothing_also_by_way_of_another_server(cluster):
    def await_itself():
        def well():
            now = cluster.node_states()["node-1"]
            return now["state"] == "up" and not now["problem"] and now
        return cluster.until(well, "a node that is up by its own reports")

    node = await_itself()
    marker = json.loads((cluster.nodes[0].store / "vault.json").read_text())
    report = {"node_id": "node-1", "store_id": marker["store_id"], "vault_id": marker["vault_id"], "zone": node["zone"],
              "url": node["url"], "capacity": 1, "free": 1, "mounted": False, "catalog_seq": 0, "problem": "its last words",
              "stopping": True, "number": int(time.time() * 1e6) + 3_600_000_000}
    body, key = json.dumps(report).encode(), cluster_key(cluster.secret)

    def send(server, authorization):
        answer = requests.post(server.url + "/internal/nodes", data=body, timeout=10,
                               headers={"Content-Type": "application/json", "Authorization": authorization})
        assert answer.status_code == 200, answer.text
        return answer.json()

    first, second = cluster.servers
    once = signature("api", "POST", "/internal/nodes", body, key)
    with under_load(cluster):
        assert send(first, once)["state"] == "suspect"
        # The node is behind that number by an hour, and learns of it.
        await_itself()
        counted = metric(second, "chunkvault_internal_unauthorized_total", reason="outdated")
        for authorization in (once, signature("api", "POST", "/internal/nodes", body, key)):
            answer = send(second, authorization)
            assert answer["state"] == "outdated" and answer["number"] > report["number"]
        assert metric(second, "chunkvault_internal_unauthorized_total", reason="outdated") >= counted + 2
        assert cluster.node_states()["node-1"]["problem"] == ""
    cluster.await_health("ok", *cluster.nodes)


def test_a_report_with_an_address_that_is_none_is_refused_and_changes_nothing(cluster):
    vault = cluster.postgres.sql("SELECT vault_id FROM vault")
    report = {"node_id": "node-9", "store_id": "11111111-1111-4111-8111-111111111111", "vault_id": vault, "zone": "z",
              "capacity": 1, "free": 1, "mounted": False, "catalog_seq": 0, "problem": "", "number": 1}
    for url in ("", "nonsense", "https://node-9:8001", "http://node-9:0", "http://"):
        body = json.dumps(report | {"url": url}).encode()
        headers = {"Content-Type": "application/json",
                   "Authorization": signature("api", "POST", "/internal/nodes", body, cluster_key(cluster.secret))}
        refusal = requests.post(cluster.servers[0].url + "/internal/nodes", data=body, headers=headers, timeout=10)
        assert refusal.status_code == 400, (url, refusal.text)
        assert problem(refusal)["detail"].startswith("url: ")
    assert "node-9" not in cluster.node_states()
    cluster.await_health("ok", *cluster.nodes)


# --- from one server to a cluster -------------------------------------------------------------------------------------


def test_a_server_of_its_own_becomes_a_cluster_without_a_byte_moved(tmp_path, request):
    vault = Vault(tmp_path / "vault", CHUNK_SIZE=CHUNK_SIZE).start()
    alice = vault.user("alice")
    folder = alice.make_folder("films/old")["id"]
    contents = {}
    for number, size in enumerate((0, 1, 1000, CHUNK_SIZE, 5 * CHUNK_SIZE + 7)):
        data = chance.randbytes(size)
        contents[alice.upload_multipart(f"file {number}", data, folder_id=folder)["file_id"]] = data
    versions = [chance.randbytes(2 * CHUNK_SIZE + number) for number in range(3)]
    versioned = [alice.upload(f"key {number}", "versions", data)["file_id"] for number, data in enumerate(versions)]
    assert len(set(versioned)) == 1
    open_link = alice.share(versioned[0])["share_token"]
    locked_link = alice.share(next(iter(contents)), password="the link's own")["share_token"]
    begun_data = chance.randbytes(3 * CHUNK_SIZE)
    begun = alice.start_upload("begun", "begun", len(begun_data))
    begun.put(0, begun_data[:CHUNK_SIZE])
    listed = alice.list(folder_id=folder)
    vault.stop()

    stores = [vault.data / "stores" / f"store-{number}" for number in (1, 2, 3)]
    def inodes():
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for store in stores
                for path in (store / "chunks").glob("*/*")}
    before = inodes()
    assert len(before) >= 3 * 15

    with open_folder() as place:
        cluster = Cluster(place, nodes=0, CHUNK_SIZE=CHUNK_SIZE)
        cluster.secret_key = (vault.data / "secret_key").read_text().strip()
        request.node.vaults = types.SimpleNamespace(made=[vault])
        with cluster.postgres:
            url_file = tmp_path / "url"
            url_file.write_text(cluster.postgres.url + "\n")
            exported = subprocess.run([program_path("chunkvault-server"), "export", "--to-file", url_file],
                                      cwd=vault.folder, env={"DATA_DIR": str(vault.data)}, timeout=60, text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert exported.returncode == 0, exported.stdout
            for number, store in enumerate(stores, 1):
                assert f"NODE_ID=local-{number} STORAGE_PATH={store} chunkvault-storagenode" in exported.stdout
        for number, store in enumerate(stores, 1):
            cluster.new_node(number, path=store).settings["NODE_ID"] = f"local-{number}"
            cluster.nodes[-1].id = f"local-{number}"
        with cluster:
            show_logs_of(cluster, request)
            again = cluster.client(1)
            again.login("alice", PASSWORD)
            assert at(alice, cluster, 0).get("/me").json()["username"] == "alice", "the login of before is good"
            for server in (0, 1):
                user = at(again, cluster, server)
                assert [(item["id"], item["filename"]) for item in user.list(folder_id=folder)] == [
                    (item["id"], item["filename"]) for item in listed]
                for file_id, data in contents.items():
                    assert user.content(file_id) == data
                for number, data in enumerate(versions, 1):
                    answer = user.get(f"/files/{versioned[0]}/versions/{number}/download")
                    assert answer.content == data
                assert cluster.client(server).open_share(open_link).content == versions[-1]
                cluster.client(server).open_share(locked_link, expect=401)
                assert cluster.client(server).open_share(locked_link, "the link's own").content == b""
            upload = again.start_upload("begun", "begun", len(begun_data))
            chunks = split(begun_data, CHUNK_SIZE)
            assert upload.id == begun.id and upload.missing(chunks) == [1, 2]
            upload.send(chunks, [1, 2])
            assert again.content(upload.commit(chunks, begun_data)["file_id"]) == begun_data
            cluster.await_copies()
            for name in ("surplus", "rebalance", "unreferenced", "orphans", "scrub"):
                cluster.sweep(name)
            with under_load(cluster, collect=False):
                pass
            after = inodes()
            assert {path: after.get(path) for path in before} == before, "no chunk file was moved or written again"


def test_an_export_shows_no_password_in_the_list_of_processes(make_vault, tmp_path):
    vault = make_vault().start()
    vault.stop()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # so that the export goes on until it is ended
        url = f"postgresql://u:hidden@127.0.0.1:{silent.getsockname()[1]}/x"
        export = subprocess.Popen([program_path("chunkvault-server"), "export", "--to", url], cwd=vault.folder,
                                  env={"DATA_DIR": str(vault.data)}, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            silent.accept()[0].close()  # it has read its arguments by now
            arguments = Path(f"/proc/{export.pid}/cmdline").read_bytes()
            assert b"--to" in arguments and b"hidden" not in arguments
        finally:
            export.kill()
            export.wait()

    missing = subprocess.run([program_path("chunkvault-server"), "export", "--to-file", tmp_path / "nothing"],
                             cwd=vault.folder, env={"DATA_DIR": str(vault.data)}, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=60)
    assert missing.returncode == 1 and "nothing" in missing.stderr and missing.stderr.count("\n") == 1, missing.stderr
