"""The benches: a release server next to what the machine can do at best, in turns, in one run. Prints one table.

    run.py [--users-seconds S] [NAME...]    only the rows that have one of these words in their name"""

import argparse
import dataclasses
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from services import Cluster, Nginx, Server

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build"
BIN = BUILD / "release" / "bin"
FOLDER = BUILD / "bench"  # on the file system that holds the project

MIB = 1 << 20
LARGE = 256 * MIB
HUGE = 4096 * MIB
SMALL_FILES = 3000
ROUNDS = 3
WRK_S = 3
REPAIR_RATE = 40 << 20


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode:
        raise SystemExit(f"{Path(command[0]).name} ended with exit code {done.returncode}")
    return done.stdout


class Bench:
    """The services, started when a row first asks for them, and the tools."""

    def __init__(self, stack, users_s):
        self.stack = stack
        self.users_s = users_s
        self.seed = 0

    @cached_property
    def server(self):
        return self.fresh_server(self.stack)

    @cached_property
    def nginx(self):
        return self.stack.enter_context(Nginx(FOLDER / "nginx"))

    def fresh_server(self, stack):
        return stack.enter_context(Server(BIN / "chunkvault-server", FOLDER / f"server-{self.next_seed()}"))

    @cached_property
    def cluster(self):
        return self.fresh_cluster(self.stack, servers=2)

    def fresh_cluster(self, stack, **settings):
        return stack.enter_context(Cluster(BIN, FOLDER / f"cluster-{self.next_seed()}", **settings))

    def next_seed(self):
        self.seed += 1
        return self.seed

    def folder(self, path, server=None):
        return (server or self.server).call("POST", "/folders", {"path": path})["id"]

    def load(self, *arguments, server=None):
        server = server or self.server
        return json.loads(run(BIN / "load", server.port, server.token, *arguments))

    def upload(self, size, server=None):
        seed = self.next_seed()
        return self.load("upload", size, seed, f"upload-{seed}", server=server)

    def limits(self, verb, amount):
        """Bytes or files a second."""
        folder = FOLDER / "limits"
        arguments = [verb, amount] if verb == "hash" else [verb, folder, amount]
        try:
            return float(run(BIN / "limits", *arguments))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def users(self, count, seconds, size, *servers, page=0):
        first, *others = servers
        return self.load("users", count, seconds, size, self.next_seed(), page, *(other.port for other in others),
                         server=first)

    def download_from_nginx(self, path, size):
        return json.loads(run(BIN / "load", self.nginx.port, "", "download", path, size))["seconds"]

    def wrk(self, service, path, connections, paths=None):
        command = ["wrk", "-t2", f"-c{connections}", f"-d{WRK_S}s", "--latency"]
        if isinstance(service, Server):
            command += ["-H", f"Authorization: Bearer {service.token}"]
        environment = dict(os.environ)
        if paths:
            command += ["-s", HERE / "paths.lua"]
            environment["PATHS"] = str(paths)
        return Wrk(run(*command, service.url + path, env=environment))


class Wrk:
    def __init__(self, text):
        self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text).groups()
        self.p99_ms = float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
        self.errors = sum(int(count) for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
        for line in re.findall(r"Socket errors: (.*)", text):
            self.errors += sum(map(int, re.findall(r"\d+", line)))


# --- the rows ---------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Row:
    """What a row of the table says. at_least: whether value must be at least reach, or below it."""

    ours: str
    baseline: str
    value: float
    reach: float
    note: str = ""
    at_least: bool = True

    @property
    def reached(self):
        return self.value >= self.reach if self.at_least else self.value < self.reach


def in_turns(measure, rounds=ROUNDS):
    """measure() gives numbers, the first two ours and the baseline's. Their medians, and that of the ratios."""
    rows = [measure() for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*rows)], statistics.median(row[0] / row[1] for row in rows)


def mb_per_s(rate):
    return f"{rate / 1e6:.0f} MB/s"


def a_second(rate):
    return f"{rate:.0f}/s"


def upload_to(bench, server, reach):
    def measure():
        result = bench.upload(LARGE, server)
        return LARGE / result["seconds"], bench.limits("large", LARGE), LARGE / result["acknowledged_seconds"]

    (ours, limit, acknowledged), ratio = in_turns(measure)
    return Row(mb_per_s(ours), f"limits {mb_per_s(limit)}", ratio, reach, f"acknowledged at {mb_per_s(acknowledged)}")


def upload(bench):
    return upload_to(bench, bench.server, 0.8)


def tus(bench):
    """One connection, against the resumable interface with four."""
    def measure():
        seed = bench.next_seed()
        ours = bench.load("tus", LARGE, seed, f"tus-{seed}")
        return LARGE / ours["acknowledged_seconds"], LARGE / bench.upload(LARGE)["acknowledged_seconds"]

    (ours, resumable), ratio = in_turns(measure, 5)
    return Row(mb_per_s(ours), f"resumable {mb_per_s(resumable)}", ratio, 0.6, "both until acknowledged")


def download(bench):
    file = bench.upload(LARGE)["file_id"]
    (bench.nginx.root / "large").write_bytes(os.urandom(LARGE))

    def measure():
        ours = LARGE / bench.load("download", f"/files/{file}/download", LARGE)["seconds"]
        return ours, bench.limits("hash", LARGE), LARGE / bench.download_from_nginx("/large", LARGE)

    (ours, limit, nginx), ratio = in_turns(measure, 5)
    note = f"{ours / nginx:.2f} of nginx's {mb_per_s(nginx)}"
    return Row(mb_per_s(ours), f"SHA-256 {mb_per_s(limit)}", ratio, 0.6, note)


def zip_of_folder(bench):
    """A folder of four files against these files one after another, both to curl: it reads chunked coding."""
    server, files = bench.server, [bench.upload(LARGE)["file_id"] for _ in range(4)]
    folder = bench.folder("zip")
    for file in files:
        server.call("PATCH", f"/files/{file}", {"folder_id": folder})

    def taken(*paths):
        urls = [word for path in paths for word in ("-o", "/dev/null", server.url + path)]
        begin = time.monotonic()
        sizes = run("curl", "-sf", "-H", f"Authorization: Bearer {server.token}", "-w", "%{size_download}\\n", *urls)
        seconds = time.monotonic() - begin
        assert sum(map(int, sizes.split())) >= 4 * LARGE
        return 4 * LARGE / seconds

    def measure():
        return taken(f"/files/{folder}/zip"), taken(*(f"/files/{file}/download" for file in files))

    (ours, plain), ratio = in_turns(measure, 5)
    return Row(mb_per_s(ours), f"plain {mb_per_s(plain)}", ratio, 0.5)


def against_nginx(bench, path, nginx_path, connections, reach, paths=(None, None)):
    def measure():
        ours = bench.wrk(bench.server, path, connections, paths[0])
        nginx = bench.wrk(bench.nginx, nginx_path, connections, paths[1])
        return ours.rate, nginx.rate, ours.p99_ms, ours.errors + nginx.errors

    (ours, nginx, p99_ms, errors), ratio = in_turns(measure)
    return Row(a_second(ours), f"nginx {a_second(nginx)}", ratio if errors == 0 else 0, reach,
               f"p99 {p99_ms:.1f} ms, {errors:.0f} errors")


def folder_of_100(bench, server):
    folder = bench.folder("list of 100", server)
    bench.load("batch", folder, 100, bench.next_seed(), server=server)
    return f"/files?folder_id={folder}"


def list_100(bench):
    path = folder_of_100(bench, bench.server)
    page = json.dumps(bench.server.call("GET", path), separators=(",", ":"))
    (bench.nginx.root / "page").write_text(page)
    return against_nginx(bench, path, "/page", 100, 0.25)


def list_1000(bench):
    folder = bench.folder("list of 1000")
    seed = bench.next_seed()
    bench.load("batch", folder, 1000, seed)
    home = bench.nginx.root / "list" / "1000"
    home.mkdir(parents=True)
    for i in range(1000):
        (home / f"{seed}-{i}.bin").write_bytes(bytes(4096))
    return against_nginx(bench, f"/files?folder_id={folder}&limit=1000", "/list/1000/", 16, 1.5)


def small_files(bench, how, reach, server=None):
    folder = bench.folder(f"small by {how}", server)

    def measure():
        result = bench.load(how, folder, SMALL_FILES, bench.next_seed(), server=server)
        limit = bench.limits("small", SMALL_FILES)
        return SMALL_FILES / result["seconds"], limit, SMALL_FILES / result["acknowledged_seconds"]

    (ours, limit, acknowledged), ratio = in_turns(measure)
    return Row(a_second(ours), f"limits {a_second(limit)}", ratio, reach, f"acknowledged at {a_second(acknowledged)}")


def small_batch(bench):
    return small_files(bench, "batch", 0.8)


def small_single(bench):
    return small_files(bench, "form", 0.4)


def small_download(bench):
    folder = bench.folder("small to download")
    count = 1000
    bench.load("batch", folder, count, bench.next_seed())
    home = bench.nginx.root / "small"
    home.mkdir()
    ours, theirs = [], []
    for item in bench.server.call("GET", f"/files?folder_id={folder}&limit={count}")["items"]:
        ours.append(f"/files/{item['id']}/download\n")
        theirs.append(f"/small/{item['id']}\n")
        (home / item["id"]).write_bytes(os.urandom(4096))
    lists = FOLDER / "paths-ours", FOLDER / "paths-nginx"
    for path, lines in zip(lists, (ours, theirs)):
        path.write_text("".join(lines))
    return against_nginx(bench, "/", "/", 16, 0.1, lists)


def memory(bench, work, note):
    with ExitStack() as stack:
        server = bench.fresh_server(stack)
        before = server.memory_peak() / 1e6
        work(server)
        peak = server.memory_peak() / 1e6
    return Row(f"{peak:.0f} MB", f"at rest {before:.0f} MB", peak, 150, note, at_least=False)


def memory_4gib(bench):
    def work(server):
        file = bench.upload(HUGE, server)["file_id"]
        bench.load("download", f"/files/{file}/download", HUGE, server=server)

    return memory(bench, work, "VmHWM")


def memory_100_users(bench):
    return memory(bench, lambda server: bench.users(100, 10, 8 * MIB, server, page=1000), "VmHWM")


def idle_2000(bench):
    worst_ms = bench.load("idle", 2000, "/me")["seconds"] * 1000
    return Row(f"{worst_ms:.1f} ms", "", worst_ms, 50, "the slowest of 50", at_least=False)


# --- of the cluster ---

def cluster_upload(bench):
    return upload_to(bench, bench.cluster.servers[0], 0.6)


def cluster_download(bench):
    server = bench.cluster.servers[0]
    path, embedded = (f"/files/{bench.upload(LARGE, place)['file_id']}/download" for place in (server, bench.server))

    def measure():
        return (LARGE / bench.load("download", path, LARGE, server=server)["seconds"],
                LARGE / bench.load("download", embedded, LARGE)["seconds"])

    (ours, single), ratio = in_turns(measure, 5)
    return Row(mb_per_s(ours), f"embedded {mb_per_s(single)}", ratio, 0.5)


def cluster_small(bench):
    return small_files(bench, "form", 0.3, bench.cluster.servers[0])


def cluster_repair(bench):
    """From the moment a lost node is down until all its copies are made again, less what the throttle gives at once."""
    settings = {"REPAIR_RATE": REPAIR_RATE, "SUSPECT_AFTER": "5s", "DOWN_AFTER": "10s"}
    with ExitStack() as stack:
        cluster = bench.fresh_cluster(stack, nodes=4, **settings)
        server = cluster.servers[0]
        for _ in range(2):
            bench.upload(LARGE, server)
        lost = max(cluster.nodes, key=lambda node: on_node(cluster, node))
        size = on_node(cluster, lost)
        lost.process.kill()
        cluster.until(lambda: server.call("GET", f"/admin/nodes/{lost.id}")["state"] == "down", "the node to be down")
        begin = time.monotonic()
        cluster.until(lambda: server.call("GET", "/admin/storage")["under_replicated"] == 0, "all copies")
        rate = (size - REPAIR_RATE) / (time.monotonic() - begin)
    return Row(mb_per_s(rate), f"REPAIR_RATE {mb_per_s(REPAIR_RATE)}", rate / REPAIR_RATE, 0.9,
               f"{size / 1e6:.0f} MB on the lost node of four")


def on_node(cluster, node):
    return int(cluster.sql("SELECT COALESCE(SUM(c.size), 0) FROM replicas r JOIN chunks c ON c.id = r.chunk_id "
                           f"JOIN stores s ON s.id = r.store_id WHERE s.node_id = '{node.id}'"))


def cluster_scrub(bench):
    with ExitStack() as stack:
        cluster = bench.fresh_cluster(stack, SCRUB_RATE=0)
        server = cluster.servers[0]
        for _ in range(2):
            bench.upload(LARGE, server)
        copies = int(cluster.sql("SELECT COUNT(*) FROM replicas"))
        size = sum(on_node(cluster, node) for node in cluster.nodes)

        def measure():
            cluster.sql("UPDATE replicas SET verified_at = 0")
            begin = time.monotonic()
            report = server.call("POST", "/admin/sweeps/scrub", timeout_s=600)
            took = time.monotonic() - begin
            if (report["examined"], report["changed"], report["note"]) != (copies, 0, ""):
                raise SystemExit(f"{copies} good copies, but the scrub says {report}")
            return size / took, bench.limits("hash", LARGE)

        (ours, limit), ratio = in_turns(measure)
    return Row(mb_per_s(ours), f"SHA-256 {mb_per_s(limit)}", ratio, 0.5, f"{copies} copies on 3 nodes")


def cluster_users(bench):
    result = bench.users(100, bench.users_s, MIB, *bench.cluster.servers)
    times = ", ".join(f"{what.replace('_', ' ')} {took['p50']:.0f}/{took['p99']:.0f}"
                      for what, took in result["took_ms"].items())
    errors = result["errors"]
    p99_ms = result["took_ms"]["cached_list"]["p99"]
    note = f"{len(errors)} errors{': ' + errors[0] if errors else ''}; p50/p99 in ms: {times}; " \
           f"{result['rounds'] / result['seconds']:.0f} rounds a second"
    return Row(f"{p99_ms:.0f} ms", "", float("inf") if errors else p99_ms, 100, note, at_least=False)


def cluster_requests(bench, count):
    servers = bench.cluster.servers[:count]
    path = folder_of_100(bench, servers[0])

    def measure():
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda server: bench.wrk(server, path, 32), servers))
        return sum(one.rate for one in done), 1, max(one.p99_ms for one in done), sum(one.errors for one in done)

    (rate, _, p99_ms, errors), _ = in_turns(measure)
    return Row(a_second(rate), "", rate if errors == 0 else 0, 1000, f"p99 {p99_ms:.1f} ms, {errors:.0f} errors")


def cluster_one_server(bench):
    return cluster_requests(bench, 1)


def cluster_two_servers(bench):
    return cluster_requests(bench, 2)


def cluster_written(bench):
    nodes = bench.cluster.nodes
    sizes = 64 * MIB, LARGE
    before = sum(node.written_bytes() for node in nodes)
    for size in sizes:
        bench.upload(size, bench.cluster.servers[0])
    written = sum(node.written_bytes() for node in nodes) - before
    return Row(f"{written / 1e6:.0f} MB", f"payload {sum(sizes) / 1e6:.0f} MB", written / sum(sizes), 3.1,
               "write_bytes of three nodes", at_least=False)


def cluster_memory(bench):
    """Of what ran in the cluster so far; and alone it is enough too."""
    server = bench.cluster.servers[0]
    file = bench.upload(LARGE, server)["file_id"]
    bench.load("download", f"/files/{file}/download", LARGE, server=server)
    bench.users(100, 10, 8 * MIB, *bench.cluster.servers)
    peaks = {kind: peak / 1e6 for kind, peak in bench.cluster.memory_peaks().items()}
    largest = max(peaks.values())
    return Row(f"{largest:.0f} MB", "", largest, 150, ", ".join(f"{kind} {peak:.0f}" for kind, peak in peaks.items()),
               at_least=False)


ROWS = {
    "upload of 256 MiB, 4 in flight": upload,
    "tus upload of 256 MiB": tus,
    "download of 256 MiB": download,
    "zip of 1 GiB": zip_of_folder,
    "list of 100, 100 connections": list_100,
    "small files by batch": small_batch,
    "small files one a request, 16 connections": small_single,
    "small downloads, 16 connections": small_download,
    "list of 1000, 16 connections": list_1000,
    "memory through 4 GiB up and down": memory_4gib,
    "memory through 100 users at once": memory_100_users,
    "idle 2000 connections, a new request": idle_2000,
    "cluster: upload of 256 MiB, 4 in flight": cluster_upload,
    "cluster: download of 256 MiB": cluster_download,
    "cluster: small files one a request, 16 connections": cluster_small,
    "cluster: list of 100 through one server": cluster_one_server,
    "cluster: list of 100 through two servers": cluster_two_servers,
    "cluster: written by the nodes": cluster_written,
    "cluster: 100 users at once, cached list": cluster_users,
    "cluster: memory of each program": cluster_memory,
    "cluster: repair of a lost node": cluster_repair,
    "cluster: scrub": cluster_scrub,
}


def main():
    parser = argparse.ArgumentParser(usage="./dev bench [NAME...]", epilog="The rows: " + "; ".join(ROWS))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--users-seconds", type=float, default=60, help="how long the cluster's 100 users go on")
    arguments = parser.parse_args()
    names = arguments.names
    chosen = [name for name in ROWS if not names or any(word in name for word in names)]
    if not chosen:
        parser.error("no row has such a name")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print("| what | ChunkVault | baseline | ratio or value | reach | | also |\n|---|---|---|---|---|---|---|")
    with ExitStack() as stack:
        bench = Bench(stack, arguments.users_seconds)
        for name in chosen:
            row = ROWS[name](bench)
            sign = "≥" if row.at_least else "<"
            print(f"| {name} | {row.ours} | {row.baseline} | {row.value:.2f} | {sign} {row.reach} | "
                  f"{'yes' if row.reached else '**no**'} | {row.note} |", flush=True)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    sys.exit(main())
