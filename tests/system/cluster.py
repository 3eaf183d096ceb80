"""A whole cluster on loopback: PostgreSQL, Redis, storage nodes, API servers and workers, for tests that break some of
it."""

import contextlib
import hashlib
import json
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import requests
from client import Client, split
from mounted_disk import MountedDisk
from program import Program
from proxy import Proxy
from services import Postgres, Redis, free_port
from vault import ADMIN_PASSWORD, CHANGED_ADMIN_PASSWORD, PASSWORD, QUICK

# Quick enough for tests, and as far apart from each other as the defaults are.
BRISK = {"SUSPECT_AFTER": "1500ms", "DOWN_AFTER": "4s", "SWEEP_INTERVAL": "500ms", "NODE_BEAT": "300ms",
         "READ_PATIENCE": "500ms", "SCRUB_RATE": 0, "REPAIR_RATE": 0, "REBALANCE_RATE": 0, "JOB_LEASE": "2s"}
SERVER_SETTINGS = ("READ_PATIENCE", "CHUNK_SIZE", "WRITE_QUORUM", "REGISTRATION", "STALL_TIMEOUT", "STOP_TIMEOUT")
WORKER_SETTINGS = ("JOB_LEASE",)


@contextlib.contextmanager
def open_folder():
    """A temporary folder that PostgreSQL's own user may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="chunkvault-cluster-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Cluster:
    """folder: where everything is. lines: every node and server is reached by the others through a Proxy, its .line, so
    that the network between them can fail. settings: environment variables of servers and workers, on top of BRISK."""

    def __init__(self, folder, nodes=4, servers=2, workers=2, durable=False, lines=False, **settings):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stack = contextlib.ExitStack()
        self.settings = BRISK | settings
        self.secret, self.secret_key = secrets.token_hex(24), secrets.token_hex(24)
        self.postgres = Postgres(self.folder / "postgres", durable=durable)
        self.database = "postgres"
        self.redis = Redis(self.folder / "redis", password=secrets.token_hex(8))
        self.server_ports = [free_port() for _ in range(servers)]
        self.node_count, self.worker_count = nodes, workers
        self.lines = lines
        self.server_lines = {}
        self.nodes, self.servers, self.workers = [], [], []

    # --- parts ---

    def _shared(self):
        return {"DATABASE_URL": self.postgres.url, "REDIS_URL": self.redis.url, "CLUSTER_SECRET": self.secret,
                **self.settings}

    def line_to(self, port):
        """A new Proxy in front of a port, until the cluster is stopped."""
        return self.stack.enter_context(Proxy(port))

    def new_server(self, number):
        """One besides, that is not started yet, and which no client of a Checker uses."""
        return self._server(number, free_port())

    def _server(self, number, port):
        shared = {name: value for name, value in self._shared().items() if name not in WORKER_SETTINGS}
        settings = {**QUICK, **shared, "HOST": "127.0.0.1", "PORT": port, "SECRET_KEY": self.secret_key,
                    "ADMIN_PASSWORD": ADMIN_PASSWORD}
        return Program("chunkvault-server", self.folder / f"server-{number}", port, settings)

    def _worker(self, number):
        port = free_port()
        settings = {name: value for name, value in self._shared().items()
                    if name not in SERVER_SETTINGS and name != "NODE_BEAT"}
        return Program("chunkvault-worker", self.folder / f"worker-{number}", port,
                       settings | {"HOST": "127.0.0.1", "PORT": port}, ready="/health")

    def new_node(self, number, path=None, zone=None, **settings):
        """A node that is not started yet. path: of its store."""
        port = free_port()
        folder = self.folder / f"node-{number}"
        path = Path(path or folder / "store")
        path.mkdir(parents=True, exist_ok=True)
        line = self.line_to(port) if self.lines else None
        own = {"NODE_ID": f"node-{number}", "HOST": "127.0.0.1", "PORT": port, "STORAGE_PATH": path,
               "ZONE": zone or f"zone-{number}", "NODE_URL": line.url if line else f"http://127.0.0.1:{port}",
               "CLUSTER_SECRET": self.secret,
               "API_BASE_URL": ",".join(self.server_lines[other].url if self.lines else f"http://127.0.0.1:{other}"
                                        for other in self.server_ports),
               "STORAGE_RESERVE": "16M", "NODE_BEAT": self.settings["NODE_BEAT"]}
        node = Program("chunkvault-storagenode", folder, port, own | settings, ready="/health")
        node.line = line
        node.store = path
        node.id = own["NODE_ID"]
        self.nodes.append(node)
        return node

    # --- life ---

    def start(self):
        self.stack.enter_context(self.postgres)
        self.stack.enter_context(self.redis)
        self.launch()
        return self.await_ready()

    def launch(self):
        """Starts the programs, which find the database or wait for it."""
        self.servers = [self._server(number + 1, port) for number, port in enumerate(self.server_ports)]
        for server in self.servers:
            if self.lines:
                server.line = self.server_lines[server.port] = self.line_to(server.port)
            server.launch()
        for number in range(self.node_count):
            self.new_node(number + 1)
        for node in self.nodes:
            node.launch()
        self.workers = [self._worker(number + 1) for number in range(self.worker_count)]
        for worker in self.workers:
            worker.launch()

    def await_ready(self):
        for program in self.programs():
            program.await_ready()
        self.await_health("ok", *self.nodes)
        return self

    def programs(self):
        return [*self.servers, *self.nodes, *self.workers]

    @contextlib.contextmanager
    def partition(self, server, node):
        """Nothing passes between the two, in either direction, while both reach everybody else. Only with lines."""
        node.line.shut_out(server.process.pid)
        server.line.shut_out(node.process.pid)
        try:
            yield
        finally:
            node.line.let_in()
            server.line.let_in()

    def stop(self):
        """Ends everything, also what a test stopped or paused; asserts clean logs."""
        problems = []
        for program in [*self.workers, *self.servers, *self.nodes]:
            try:
                program.stop()
            except AssertionError as problem:
                problems.append(problem)
        self.stack.close()
        assert not problems, problems

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            for program in self.programs():
                if program.running:
                    program.kill()
            self.stack.close()
            raise

    def __exit__(self, kind, *_):
        if kind is None:
            return self.stop()
        for program in self.programs():
            if program.running:
                program.kill()
        self.stack.close()

    # --- clients ---

    def client(self, server=0):
        return Client(self.servers[server].url)

    def user(self, username="alice", password=PASSWORD, server=0):
        """A client that is registered and logged in."""
        client = self.client(server)
        client.register(username, password)
        client.login(username, password)
        return client

    def admin(self, server=0):
        client = self.client(server)
        if client.try_login("admin", CHANGED_ADMIN_PASSWORD) is None:
            client.login("admin", ADMIN_PASSWORD, new_password=CHANGED_ADMIN_PASSWORD)
        return client

    # --- waiting ---

    @staticmethod
    def until(condition, what, deadline_s=60):
        """Awaits a true value of condition, and gives it. Requests that fail meanwhile count as false."""
        deadline = time.monotonic() + deadline_s
        last = None
        while True:
            try:
                value = condition()
                if value:
                    return value
                last = value
            except (requests.RequestException, AssertionError) as problem:
                last = problem
            assert time.monotonic() < deadline, f"{what} did not come within {deadline_s} s; last: {last}"
            time.sleep(0.05)

    def node_states(self, server=0):
        return {node["node_id"]: node for node in self.admin(server).get("/admin/nodes").json()["items"]}

    def await_nodes(self, state, *nodes, deadline_s=60):
        admin = self.until(self.admin, "a login as admin")
        def all_so():
            states = {node["node_id"]: node["state"] for node in admin.get("/admin/nodes").json()["items"]}
            return all(states.get(node.id) == state for node in nodes)
        self.until(all_so, f"{state} of {[node.id for node in nodes]}", deadline_s)

    def await_health(self, status, *nodes, deadline_s=60):
        """Every server says so, and that these nodes are ok."""
        def healthy(server):
            health = self.client(server).call("GET", "/health").json()
            return health["status"] == status and all(health["storage_nodes"].get(node.id) == "ok" for node in nodes)
        for server in range(len(self.servers)):
            self.until(lambda: healthy(server), f"health {status} of server {server + 1}", deadline_s)

    def await_copies(self, deadline_s=120, jobs_deadline_s=300):
        """Every chunk has its copies, and no job waits: moving and removing chunks has time."""
        admin = self.admin()
        def whole():
            return admin.get("/admin/storage").json()["under_replicated"] == 0
        def idle():
            return whole() and admin.get("/admin/jobs").json()["length"] == 0
        try:
            self.until(whole, "three copies of everything", deadline_s)
            self.until(idle, "an end of all jobs", jobs_deadline_s)
        except AssertionError as late:
            short = self.sql(
                "SELECT k.id, encode(k.hash, 'hex'), k.state, k.generation, string_agg(s.node_id || ' ' || s.state || ' '"
                " || r.state, ', ' ORDER BY s.node_id) FROM chunks k LEFT JOIN replicas r ON r.chunk_id = k.id"
                " LEFT JOIN stores s ON s.id = r.store_id GROUP BY k.id"
                " HAVING SUM(CASE WHEN r.state = 'good' AND s.state = 'up' THEN 1 ELSE 0 END) < 3 ORDER BY k.id LIMIT 10")
            raise AssertionError(f"{late}; {admin.get('/admin/storage').json()}; {admin.get('/admin/jobs').json()};"
                                 f" chunks:\n{short}") from None

    def sql(self, statement):
        """Of the database that the servers use."""
        return self.postgres.sql(statement, self.database)

    def await_placed(self):
        """Until every copy lies where it is wanted, and none too many: nothing is left to be moved."""
        def so():
            reports = [self.sweep(name) for name in ("rebalance", "surplus")]
            return all(report["changed"] == 0 and not report["note"] for report in reports)
        self.await_copies()
        self.until(so, "nothing to be moved")

    def sweep(self, name, server=0):
        return self.admin(server).post(f"/admin/sweeps/{name}").json()

    # --- what is where ---

    def store_of(self, node):
        """The number of its store, as logs have it."""
        return int(self.sql(f"SELECT id FROM stores WHERE node_id = '{node.id}' AND state <> 'removed'"))

    def rows(self):
        """What the catalog says is on each node: node id -> hashes."""
        answer = self.sql(
            "SELECT s.node_id || ' ' || encode(k.hash, 'hex') FROM replicas r JOIN stores s ON s.id = r.store_id"
            " JOIN chunks k ON k.id = r.chunk_id WHERE r.state = 'good'")
        rows = {}
        for line in answer.splitlines():
            node, chunk = line.split()
            rows.setdefault(node, set()).add(chunk)
        return rows

    def unlike_the_catalog(self):
        """Where what a node has is not what the catalog says it has: one file for each good copy, and none besides. Node
        id -> what is wrong."""
        rows, found = self.rows(), {}
        for node in self.nodes:
            names, known = [path.name for path in chunk_files(node)], rows.get(node.id, set())
            hashes = [name.split(".")[0] for name in names]
            wrong = {"unknown files": [name for name in names if name.split(".")[0] not in known][:5],
                     "rows without a file": sorted(known - set(hashes))[:5],
                     "files of one chunk": [name for name in names if hashes.count(name.split(".")[0]) > 1][:5]}
            if any(wrong.values()):
                found[node.id] = wrong
        return found

    def await_no_orphans(self, deadline_s=60):
        """Collects until the nodes have the files that the catalog knows, and no others. With a GC_AGE and a GC_GRACE of
        0s, and while nobody writes."""
        assert self.servers[0].settings.get("GC_AGE") == "0s" and self.servers[0].settings.get("GC_GRACE") == "0s"
        admin = self.admin()
        differences = {}
        def tidy():
            reports = {name: admin.post(f"/admin/sweeps/{name}").json()
                       for name in ("uploads", "trash", "unreferenced", "orphans", "surplus")}
            self.await_copies()
            differences.clear()
            differences.update(self.unlike_the_catalog())
            differences.update(reports if differences else {})
            return not differences
        try:
            self.until(tidy, "files and rows that agree", deadline_s)
        except AssertionError as late:
            raise AssertionError(f"{late}: {differences}") from None

    def await_files(self, copies=3, deadline_s=60):
        """Until each chunk of a file is on so many nodes at least, and every chunk's file whole, by what is on the disks
        alone. Of copies that are being moved it may see neither, so it looks again; but a file that is damaged is found
        at once. While nobody writes."""
        def short():
            holders = {}
            for node in self.nodes:
                for path in chunk_files(node):
                    assert not is_damaged(path), f"{path} of {node.id} is damaged"
                    holders.setdefault(hash_of(path), set()).add(node.id)
            wanted = self.sql("SELECT DISTINCT encode(k.hash, 'hex') FROM chunks k JOIN content_chunks c"
                                       " ON c.chunk_id = k.id").splitlines()
            assert wanted, "there are no chunks"
            return {chunk: sorted(holders.get(chunk, ())) for chunk in wanted if len(holders.get(chunk, ())) < copies}
        deadline = time.monotonic() + deadline_s
        while found := short():
            assert time.monotonic() < deadline, f"fewer than {copies} copies: {dict(sorted(found.items())[:10])}"
            time.sleep(0.2)


class DisksCluster(Cluster):
    """Every node has a disk of its own, .disk, of disk_size as MountedDisk has it, and its line."""

    def __init__(self, folder, *arguments, disk_size="1g", **settings):
        super().__init__(folder, *arguments, lines=True, **settings)
        self.disk_size = disk_size

    def new_node(self, number, **settings):
        disk = self.stack.enter_context(MountedDisk(self.folder / f"disk-{number}", self.disk_size))
        node = super().new_node(number, path=disk.path, **settings)
        node.disk, node.store, node.wrapper = disk, disk.seen, disk.enter
        return node


@contextlib.contextmanager
def locked_owner(cluster, username):
    """Another transaction holds the owner's row; gives a function that tells whether somebody waits for it."""
    session = subprocess.Popen([*cluster.postgres.client_command("psql"), "-X", "-q", "-A", "-t"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        session.stdin.write(f"BEGIN;\nSELECT pg_backend_pid() FROM users WHERE username = '{username}' FOR UPDATE;\n")
        session.stdin.flush()
        holder = int(session.stdout.readline())
        yield lambda: int(cluster.postgres.sql(
            f"SELECT count(*) FROM pg_stat_activity WHERE {holder} = ANY(pg_blocking_pids(pid))")) > 0
    finally:
        session.stdin.close()
        session.wait(30)
        session.stdout.close()


def full_upload(client, name, data):
    """An upload to which only the commit is missing, and its chunks."""
    upload = client.start_upload(name, name, len(data))
    chunks = split(data, upload.chunk_size)
    upload.send(chunks, range(len(chunks)))
    return upload, chunks


def queue_key(cluster, stream="jobs"):
    """Of a stream of the queue: jobs has the urgent ones, later the others. Empty when Redis has none."""
    return next(iter(cluster.redis.ask("KEYS", f"chunkvault:*:{stream}").splitlines()), "")


def leased(cluster, pid, stream="jobs"):
    """The entries of the stream that the worker with this process id has."""
    key = queue_key(cluster, stream)
    words = cluster.redis.ask("XPENDING", key, "workers", "-", "+", "1000").splitlines() if key else []
    return {entry for entry, consumer in zip(words, words[1:]) if f"-{pid}-" in consumer}


FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def wrong_clock(offset):
    """Environment variables of a program whose clock is wrong: "+2d"."""
    assert FAKETIME, "libfaketime is missing; ./dev test installs it"
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": 1}


FOREIGN_VAULT = "00000000-0000-4000-8000-000000000000"


def give_to_another_vault(node):
    """Its disk says from now on that it belongs to FOREIGN_VAULT; gives what it said before."""
    marker = node.store / "vault.json"
    kept = marker.read_text()
    marker.write_text(json.dumps(json.loads(kept) | {"vault_id": FOREIGN_VAULT}))
    return kept


def events(program, event, *words, **fields):
    """What the program's log says of the event, as dictionaries: of lines that have all these words and fields."""
    found = []
    for line in program.log_text().splitlines():
        if f'"event":"{event}"' in line and all(word in line for word in words):
            told = json.loads(line)
            if fields.items() <= told.items():
                found.append(told)
    return found


def metric(program, name, **labels):
    """The sum over all series of the name that have these labels."""
    total = 0.0
    for line in requests.get(f"{program.url}/metrics", timeout=10).text.splitlines():
        series, _, value = line.rpartition(" ")
        if series.split("{")[0] == name and all(f'{label}="{text}"' in series for label, text in labels.items()):
            total += float(value)
    return total


def chunk_files(node):
    return sorted((node.store / "chunks").glob("*/*"))


def hash_of(path):
    return path.name.split(".")[0]


def hashes_of(node):
    return {hash_of(path) for path in chunk_files(node)}


def is_whole(path):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == hash_of(path)
    except FileNotFoundError:
        return False


def is_damaged(path):
    return path.exists() and not is_whole(path) and path.exists()
