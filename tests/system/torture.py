#!/usr/bin/python3
"""A cluster of real processes, clients at work, and one fault after another that a seed chooses. What the clients were
promised is kept here, outside the servers, and checked at the end. ./dev torture is the way to call it.

No data may be lost by what is done here, because of how the faults that destroy data are laid: a disk is emptied, or
files are damaged, only after the repair of what was destroyed before has been awaited. An emptied disk takes one copy of
a chunk, and every acknowledged chunk has two. Files are damaged of chunks with three good copies only, and of each of
them two copies at most. So at most two copies of a chunk are destroyed before its repair was awaited, which is what
three copies promise to survive. All other faults make something unavailable, and take nothing away."""

import argparse
import contextlib
import dataclasses
import itertools
import random
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import requests

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent)]

from checker import Checker  # noqa: E402
from cluster import (  # noqa: E402
    FOREIGN_VAULT, DisksCluster, full_upload, give_to_another_vault, is_damaged, leased, locked_owner, metric, open_folder,
    wrong_clock)
from run import become_subreaper, end_strays  # noqa: E402
from vault import PASSWORD  # noqa: E402

NODES, SERVERS, WORKERS = 4, 2, 2
KINDS_NEEDED_AFTER_S = 300  # a run of this length that never injected a kind has failed
REPAIR_DEADLINE_S = 120
DRAIN_DEADLINE_S = 600  # its moves wait behind what clients have deleted
KEPT = HERE.parents[1] / "build" / "torture"  # the logs of a run that failed


@dataclasses.dataclass(frozen=True)
class Fault:
    """What the seed has chosen. node and other_node differ; each kind uses what it needs."""

    kind: str
    node: int
    other_node: int
    server: int
    worker: int
    hold_s: float
    seed: int

    def __str__(self):
        about = {"node": f"node-{self.node + 1}", "nodes": f"node-{self.node + 1} and node-{self.other_node + 1}",
                 "server": f"server {self.server + 1}", "worker": f"worker {self.worker + 1}",
                 "line": f"server {self.server + 1} and node-{self.node + 1}"}.get(KINDS[self.kind].about)
        return f"{self.kind} ({f'{about}, ' if about else ''}{self.hold_s:.1f} s)"


@dataclasses.dataclass(frozen=True)
class Kind:
    inject: object  # a generator of a Torture and a Fault: it injects, yields while the fault lasts, and lifts it
    about: str
    touches: frozenset  # two faults that overlap touch different things
    destroys: bool
    second: bool  # whether it may be the second one of two that overlap


KINDS = {}


def kind(name, about="", *, touches=(), destroys=False, second=False):
    def add(inject):
        touched = {"nodes": "node", "line": "node"}.get(about, about)
        KINDS[name] = Kind(inject, about, frozenset((touched, *touches)), destroys, second)
        return inject
    return add


def plan(seed):
    """Without end: one or two faults that overlap. Every kind comes once a round, in another order each time."""
    chance = random.Random(seed)

    def draw(name):
        node, other_node = chance.sample(range(NODES), 2)
        return Fault(name, node, other_node, chance.randrange(SERVERS), chance.randrange(WORKERS),
                     round(chance.choice((0.3, 1, 2, 5)) * chance.uniform(0.8, 1.2), 1), chance.getrandbits(32))

    while True:
        names = sorted(KINDS)
        chance.shuffle(names)
        for name in names:
            faults = [draw(name)]
            seconds = [other for other in sorted(KINDS)
                       if KINDS[other].second and not KINDS[other].touches & KINDS[name].touches]
            if seconds and chance.random() < 0.5:
                faults.append(draw(chance.choice(seconds)))
            yield faults


# --- the faults -------------------------------------------------------------------------------------------------------


@kind("node killed", "node")
def node_killed(run, fault):
    node = run.cluster.nodes[fault.node]
    node.kill()
    run.felt(fault)
    yield
    node.launch()


@kind("two nodes lost", "nodes")
def two_nodes_lost(run, fault):
    lost = [run.cluster.nodes[fault.node], run.cluster.nodes[fault.other_node]]
    for node in lost:
        node.kill()
    run.felt(fault)
    yield
    for node in lost:
        node.launch()


@kind("node hung", "node", second=True)
def node_hung(run, fault):
    node = run.cluster.nodes[fault.node]
    node.signal(signal.SIGSTOP)
    run.until(lambda: Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T",
              "a process that is stopped")
    run.felt(fault)
    yield
    node.signal(signal.SIGCONT)


@kind("node slow", "node", second=True)
def node_slow(run, fault):
    line = run.cluster.nodes[fault.node].line
    before = line.delayed
    line.slow(random.Random(fault.seed).choice((0.02, 0.2, 1)))
    yield
    line.slow(0)
    if line.delayed > before:
        run.felt(fault)


@kind("node full", "node")
def node_full(run, fault):
    node = run.cluster.nodes[fault.node]
    before = node.settings["STORAGE_RESERVE"]
    node.kill()
    node.settings["STORAGE_RESERVE"] = "1000000G"
    node.start()
    node.settings["STORAGE_RESERVE"] = before
    run.until(lambda: run.node(node)["free"] == 0, "a node that says that it is full")
    run.felt(fault)
    yield
    node.kill()
    node.launch()


@kind("disk emptied", "node", destroys=True)
def disk_emptied(run, fault):
    node = run.cluster.nodes[fault.node]
    marker = node.store / "vault.json"
    node.kill()
    before = marker.read_text()
    for entry in node.store.iterdir():  # it is where a disk is mounted
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    run.felt(fault)
    run.to_repair(lambda: marker.exists() and marker.read_text() != before)
    yield
    node.launch()


@kind("another vault's disk", "node")
def another_vaults_disk(run, fault):
    node = run.cluster.nodes[fault.node]
    node.kill()
    kept = give_to_another_vault(node)
    complaints = node.log_text().count(f"the store belongs to the vault {FOREIGN_VAULT[:8]}")
    node.launch()
    run.until(lambda: node.log_text().count(f"the store belongs to the vault {FOREIGN_VAULT[:8]}") > complaints,
              "a node that refuses the disk")
    run.felt(fault)
    yield
    node.kill()
    (node.store / "vault.json").write_text(kept)
    node.launch()


@kind("disk unmounted", "node")
def disk_unmounted(run, fault):
    node = run.cluster.nodes[fault.node]
    node.disk.unmount()
    complaints = node.log_text().count("store_unusable")
    run.until(lambda: node.log_text().count("store_unusable") > complaints, "a node that misses its disk")
    assert list(node.store.iterdir()) == [], "it wrote below the disk"
    run.felt(fault)
    yield
    assert list(node.store.iterdir()) == [], "it wrote below the disk"
    node.disk.mount()


@kind("node's clock wrong", "node", touches={"server"})
def nodes_clock_wrong(run, fault):
    node = run.cluster.nodes[fault.node]
    right = dict(node.settings)
    node.kill()
    node.settings |= wrong_clock(random.Random(fault.seed).choice(("-2d", "-10min", "+10min", "+2d")))
    node.start()
    node.settings = right
    run.until(lambda: metric(node, "chunkvault_node_unauthorized_total", reason="stale") > 0,
              "a request that is too old, or too young, for it")
    run.felt(fault)
    yield
    node.kill()
    node.launch()


def damage(run, fault, change):
    """Changes files of chunks that have three good copies: of each of them one or two."""
    chance = random.Random(fault.seed)
    nodes = {node.id: node for node in run.cluster.nodes}
    whole = run.cluster.postgres.sql(
        "SELECT k.id || ' ' || encode(k.hash, 'hex') || ' ' || string_agg(s.node_id, ' ' ORDER BY s.node_id)"
        " FROM chunks k JOIN replicas r ON r.chunk_id = k.id JOIN stores s ON s.id = r.store_id"
        " WHERE r.state = 'good' AND s.state = 'up' AND k.size > 1"
        " GROUP BY k.id, k.hash HAVING COUNT(*) >= 3 ORDER BY k.id").splitlines()
    damaged, rows = [], []
    for line in chance.sample(whole, min(6, len(whole))):
        row, chunk, *holders = line.split()
        rows.append(row)
        for holder in chance.sample(holders, chance.choice((1, 2))):
            for path in (nodes[holder].store / "chunks").glob(f"*/{chunk}*"):
                with contextlib.suppress(FileNotFoundError):  # collected meanwhile
                    content = bytearray(path.read_bytes())
                    change(content, chance)
                    path.write_bytes(content)
                    damaged.append(path)
    if damaged:
        run.felt(fault)

    def repaired():
        if not any(is_damaged(path) for path in damaged):
            return True
        # Their turn comes, as it does when SCRUB_DAYS have passed.
        run.cluster.postgres.sql(f"UPDATE replicas SET verified_at = 0 WHERE chunk_id IN ({','.join(rows)})")
        run.admin().post("/admin/sweeps/scrub")
        return False

    run.to_repair(repaired)


@kind("byte flipped", touches={"node"}, destroys=True)
def byte_flipped(run, fault):
    def flip(content, chance):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    damage(run, fault, flip)
    yield


@kind("file cut", touches={"node"}, destroys=True)
def file_cut(run, fault):
    def cut(content, chance):
        del content[chance.randrange(len(content)):]
    damage(run, fault, cut)
    yield


@kind("node drained and kept", "node", touches={"server", "postgres"})
def node_drained(run, fault):
    node = run.cluster.nodes[fault.node]
    run.until(lambda: run.admin().post(f"/admin/nodes/{node.id}/drain"), "a drain")
    assert run.node(node)["drain"] is not None
    run.felt(fault)
    yield
    run.until(lambda: run.admin().post(f"/admin/nodes/{node.id}/keep"), "the end of a drain")


@kind("a drain that ends", "node", touches={"server", "worker", "postgres", "redis"})
def drain_that_ends(run, fault):
    node = run.cluster.nodes[fault.node]
    run.until(lambda: run.admin().post(f"/admin/nodes/{node.id}/drain"), "a drain")
    run.cluster.until(lambda: run.node(node)["state"] == "drained", "the end of a drain", DRAIN_DEADLINE_S)
    # What was put there before is recorded late, and makes it draining again.
    run.until(lambda: run.node(node)["state"] == "drained" and node.id not in run.cluster.rows(), "a node without copies")
    assert run.admin().get(f"/admin/nodes/{node.id}/may-remove").json()["answer"] == "yes"
    run.felt(fault)
    yield
    run.until(lambda: run.admin().post(f"/admin/nodes/{node.id}/keep"), "a node that is kept")


@kind("server killed", "server", second=True)
def server_killed(run, fault):
    server = run.cluster.servers[fault.server]
    server.kill()
    run.felt(fault)
    yield
    server.launch()


@kind("worker killed", "worker", second=True)
def worker_killed(run, fault):
    worker = run.cluster.workers[fault.worker]
    worker.kill()
    run.felt(fault)
    yield
    worker.launch()


@kind("server killed in a commit", "server", touches={"node", "postgres", "redis"})
def server_killed_in_a_commit(run, fault):
    server, other = run.cluster.servers[fault.server], run.cluster.servers[(fault.server + 1) % SERVERS]
    name = f"torture-{len(run.committers)}"
    user = run.until(lambda: run.cluster.user(name, server=fault.server), "a user")
    run.committers.append(name)
    data = random.Random(fault.seed).randbytes(150_000)
    upload, chunks = full_upload(user, "file", data)
    answers = []

    def commit():
        with contextlib.suppress(requests.RequestException, OSError):
            answers.append(upload.by(user.again()).commit(chunks, data))

    with locked_owner(run.cluster, name) as somebody_waits:
        committing = threading.Thread(target=commit)
        committing.start()
        run.until(somebody_waits, "a commit that waits for its owner's row")
        server.kill()
        committing.join()
    assert not answers, "a commit was answered that waited"
    run.felt(fault)
    yield
    server.launch()
    elsewhere = user.again(other.url)
    done = run.until(lambda: upload.by(elsewhere).commit(chunks, data), "the commit at another server")
    assert [item["id"] for item in elsewhere.list()] == [done["file_id"]], "one commit gave more or less than one file"
    assert elsewhere.content(done["file_id"]) == data


@kind("worker killed with a job", "worker")
def worker_killed_with_a_job(run, fault):
    worker = run.cluster.workers[fault.worker]
    def has_a_job():
        """While it stands still, so that it keeps what it has."""
        worker.signal(signal.SIGSTOP)
        if any(leased(run.cluster, worker.process.pid, stream) for stream in ("jobs", "later")):
            return True
        worker.signal(signal.SIGCONT)
        return False
    run.until(has_a_job, "a worker with a job")
    had = {stream: leased(run.cluster, worker.process.pid, stream) for stream in ("jobs", "later")}
    pid = worker.process.pid
    worker.kill()
    run.felt(fault)
    yield
    run.until(lambda: not any(leased(run.cluster, pid, stream) & had[stream] for stream in had),
              "somebody else with the jobs of the dead worker")
    worker.launch()


@kind("server and node parted", "line", touches={"server"}, second=True)
def server_and_node_parted(run, fault):
    server, node = run.cluster.servers[fault.server], run.cluster.nodes[fault.node]
    before = node.line.turned_away + server.line.turned_away
    with run.cluster.partition(server, node):
        yield
    if node.line.turned_away + server.line.turned_away > before:
        run.felt(fault)


@kind("Redis flushed", "redis", second=True)
def redis_flushed(run, fault):
    run.cluster.redis.ask("FLUSHALL")
    run.felt(fault)
    yield


@kind("Redis stopped", "redis", second=True)
def redis_stopped(run, fault):
    run.cluster.redis.kill()
    run.felt(fault)
    yield
    run.cluster.redis.start()


@kind("Redis restarted", "redis", second=True)
def redis_restarted(run, fault):
    run.cluster.redis.stop()
    run.cluster.redis.start()
    run.felt(fault)
    yield


@kind("PostgreSQL restarted", "postgres", second=True)
def postgres_restarted(run, fault):
    postgres = run.cluster.postgres
    random.Random(fault.seed).choice((postgres.stop, postgres.crash))()
    run.felt(fault)
    yield
    postgres.start()


@kind("PostgreSQL's connections cut", "postgres", second=True)
def connections_cut(run, fault):
    if run.cluster.postgres.cut_connections() > 0:
        run.felt(fault)
    yield


# --- a run ------------------------------------------------------------------------------------------------------------


class Torture:
    """One run. cluster: with NODES, SERVERS, WORKERS, and lines. out: where lines go."""

    def __init__(self, cluster, checker, out=print):
        self.cluster = cluster
        self.checker = checker
        self.out = out
        self.begun = time.monotonic()
        self.injected = dict.fromkeys(KINDS, 0)
        self.repairs = []
        self.committers = []  # users of files whose commit was broken off
        self._admin = None
        # Its clients delete much at once, which would hold collection.
        cluster.admin().post("/admin/collection/allow")

    # --- what the faults use ---

    def felt(self, fault):
        self.injected[fault.kind] += 1

    def to_repair(self, repaired):
        """Something was destroyed: repaired() tells whether all of it is there again."""
        self.repairs.append(repaired)

    def admin(self):
        """A client of whichever server answers."""
        for server in range(SERVERS):
            try:
                if self._admin is None:
                    self._admin = self.cluster.admin(server)
                admin = self._admin.again(self.cluster.servers[server].url)
                if admin.call("GET", "/me").status_code == 200:
                    return admin
            except (requests.RequestException, AssertionError):
                pass
            self._admin = None
        raise AssertionError("no server lets the admin in")

    def node(self, node):
        """What the admin is told of it."""
        return self.admin().get(f"/admin/nodes/{node.id}").json()

    def until(self, condition, what):
        return self.cluster.until(condition, what)

    # --- the run ---

    def run(self, steps, seconds):
        """Until so many seconds have passed, and, in a long run, every kind has had its turn. An AssertionError says what
        did not come back by itself."""
        turns = set()
        for faults in steps:
            short = seconds < KINDS_NEEDED_AFTER_S
            if time.monotonic() - self.begun >= seconds and (short or turns == set(KINDS)):
                return
            turns |= {fault.kind for fault in faults}
            self.out(f"  {time.monotonic() - self.begun:6.1f} s  {', during it '.join(map(str, faults))}")
            self.inject(faults)

    def inject(self, faults):
        with contextlib.ExitStack() as lifted:
            for fault in faults:
                fault_itself = KINDS[fault.kind].inject(self, fault)
                next(fault_itself)
                lifted.callback(next, fault_itself, None)
            time.sleep(max(fault.hold_s for fault in faults))  # how long it lasts
        for program in self.cluster.programs():
            program.await_ready()
        repairs, self.repairs = self.repairs, []
        for repaired in repairs:
            self.cluster.until(repaired, f"repair after {faults[0]}", REPAIR_DEADLINE_S)
        if repairs:
            # Of what was there then. Clients go on, so there is always a chunk that has just two.
            last = self.cluster.postgres.sql("SELECT COALESCE(MAX(id), 0) FROM chunks")
            self.cluster.until(lambda: self.cluster.postgres.sql(
                "SELECT COUNT(*) FROM chunks k WHERE k.id <= " + last + " AND (SELECT COUNT(*) FROM replicas r JOIN stores s"
                " ON s.id = r.store_id WHERE r.chunk_id = k.id AND r.state = 'good' AND s.state = 'up') < 3"
                " AND EXISTS (SELECT 1 FROM content_chunks c WHERE c.chunk_id = k.id)") == "0",
                f"three copies of everything after {faults[0]}", REPAIR_DEADLINE_S)

    def settle(self):
        """All faults are lifted: everything comes back by itself, and the promises are kept. Gives what was not."""
        problems = []

        def hold(promise, *arguments):
            try:
                return promise(*arguments) or []
            except (AssertionError, requests.RequestException) as broken:
                return [str(broken)]

        problems += hold(self.cluster.await_health, "ok", *self.cluster.nodes)
        self.out(f"  {time.monotonic() - self.begun:6.1f} s  all faults lifted; waiting for three copies of everything")
        problems += hold(self.checker.await_acknowledged, 5)
        self.checker.end()
        problems += self.checker.violations
        problems += hold(self.cluster.await_copies, REPAIR_DEADLINE_S)
        self.out(f"  {time.monotonic() - self.begun:6.1f} s  reading everything from every server")
        problems += hold(self.checker.losses)
        problems += hold(self.lost_commits)
        self.out(f"  {time.monotonic() - self.begun:6.1f} s  collecting")
        problems += hold(self.cluster.await_no_orphans, REPAIR_DEADLINE_S)
        problems += hold(self.cluster.await_files)
        return problems


    def lost_commits(self):
        """Of the files whose commit was broken off and done at another server: what cannot be read."""
        for name in self.committers:
            for server in range(SERVERS):
                client = self.cluster.client(server)
                client.login(name, PASSWORD)
                for item in client.list():
                    assert len(client.content(item["id"])) == item["size"]


def shortcomings(counts, injected, seconds):
    """What makes a run worthless though nothing broke."""
    found = []
    if counts["acknowledged"] == 0:
        found.append("nothing was acknowledged")
    elif counts["checked"] == 0:
        found.append("nothing was read back")
    if not any(injected.values()):
        found.append("no fault was injected")
    if seconds >= KINDS_NEEDED_AFTER_S:
        found += [f"never injected: {name}" for name, number in injected.items() if number == 0]
    return found


def report(run, problems, command):
    print("\n  faults injected")
    for name, number in run.injected.items():
        print(f"    {name:30} {number:5}")
    counts = run.checker.counts
    print("\n  " + ", ".join(f"{name} {counts[name]}" for name in
                             ("operations", "acknowledged", "refused", "read", "deleted", "checked", "lost")))
    for problem in problems:
        print(f"  VIOLATION: {problem}\n             {command}")
    print(f"\n  {f'FAILED; do it again with {command}' if problems else 'nothing was lost'}", flush=True)


def keep_logs(cluster):
    shutil.rmtree(KEPT, ignore_errors=True)
    for service in [*cluster.programs(), cluster.postgres, cluster.redis]:
        if service.log.exists():
            (KEPT / service.folder.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(service.log, KEPT / service.folder.name)
    print(f"  the logs are in {KEPT}", flush=True)


def torture(seed, minutes):
    """True when every promise was kept."""
    seconds, command = minutes * 60, f"./dev torture --seed {seed} --minutes {minutes:g}"
    print(f"{command}\n  starting {NODES} storage nodes, {SERVERS} API servers and {WORKERS} workers", flush=True)
    with open_folder() as folder:
        cluster = DisksCluster(folder, NODES, SERVERS, WORKERS, durable=True, disk_size=None, CHUNK_SIZE="64K",
                               GC_AGE="0s", GC_GRACE="0s")
        problems, run = [], None
        try:
            with cluster:
                checker = Checker(cluster, users=4, seed=seed, sizes=(0, 100, 5_000, 70_000, 300_000, 1_000_000),
                                  repeat_share=0.2, most_files=60)
                run = Torture(cluster, checker, lambda line: print(line, flush=True))
                checker.start()
                try:
                    checker.await_acknowledged(5)
                    run.run(plan(seed), seconds)
                except (AssertionError, requests.RequestException, RuntimeError) as problem:
                    problems.append(f"at {time.monotonic() - run.begun:.1f} s: {problem}")
                    for program in cluster.programs():  # so that the rest can be judged
                        if not program.running:
                            program.launch()
                problems += run.settle()
                problems += shortcomings(checker.counts, run.injected, seconds)
        except AssertionError as unclean:
            if run is None:
                raise
            problems.append(f"the programs did not end well: {unclean}")
        report(run, problems, command)
        if problems:
            keep_logs(cluster)
        return not problems


def main():
    parser = argparse.ArgumentParser(prog="./dev torture", description="Random faults over a whole cluster.")
    parser.add_argument("--seed", type=int, default=None, help="chooses the faults; a random one when left out")
    parser.add_argument("--minutes", type=float, default=5, help="how long faults are injected (default 5)")
    parser.add_argument("--plan", type=int, metavar="N", help="only print the first N steps")
    options = parser.parse_args()
    if options.minutes <= 0:
        parser.error("--minutes must be more than 0")
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    if options.plan:
        for faults in itertools.islice(plan(seed), options.plan):
            print(", during it ".join(map(str, faults)))
        return 0
    def interrupted(*_):
        # Once: an impatient second Ctrl-C must not leave processes behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    become_subreaper()
    try:
        return 0 if torture(seed, options.minutes) else 1
    except KeyboardInterrupt:
        print("  interrupted", flush=True)
        return 130
    finally:
        end_strays(set(), grace_s=0)


if __name__ == "__main__":
    sys.exit(main())
