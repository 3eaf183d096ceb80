"""The benches: a release server next to what the machine can do at best, in turns, in one run. Prints one table.

    run.py [NAME...]    only the rows that have one of these words in their name"""

import argparse
import dataclasses
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from services import Nginx, Server

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


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode:
        raise SystemExit(f"{Path(command[0]).name} ended with exit code {done.returncode}")
    return done.stdout


class Bench:
    """The services, started when a row first asks for them, and the tools."""

    def __init__(self, stack):
        self.stack = stack
        self.seed = 0

    @cached_property
    def server(self):
        return self.fresh_server(self.stack)

    @cached_property
    def nginx(self):
        return self.stack.enter_context(Nginx(FOLDER / "nginx"))

    def fresh_server(self, stack):
        return stack.enter_context(Server(BIN / "chunkvault-server", FOLDER / f"server-{self.next_seed()}"))

    def next_seed(self):
        self.seed += 1
        return self.seed

    def folder(self, path):
        return self.server.call("POST", "/folders", {"path": path})["id"]

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

    def download_from_nginx(self, path, size):
        return json.loads(run(BIN / "load", self.nginx.port, "", "download", path, size))["seconds"]

    def wrk(self, service, path, connections, paths=None):
        command = ["wrk", "-t2", f"-c{connections}", f"-d{WRK_S}s", "--latency"]
        if service is not self.nginx:
            command += ["-H", f"Authorization: Bearer {self.server.token}"]
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


def upload(bench):
    def measure():
        result = bench.upload(LARGE)
        return LARGE / result["seconds"], bench.limits("large", LARGE), LARGE / result["acknowledged_seconds"]

    (ours, limit, acknowledged), ratio = in_turns(measure)
    return Row(mb_per_s(ours), f"limits {mb_per_s(limit)}", ratio, 0.8, f"acknowledged at {mb_per_s(acknowledged)}")


def download(bench):
    file = bench.upload(LARGE)["file_id"]
    (bench.nginx.root / "large").write_bytes(os.urandom(LARGE))

    def measure():
        ours = LARGE / bench.load("download", f"/files/{file}/download", LARGE)["seconds"]
        return ours, bench.limits("hash", LARGE), LARGE / bench.download_from_nginx("/large", LARGE)

    (ours, limit, nginx), ratio = in_turns(measure, 5)
    note = f"{ours / nginx:.2f} of nginx's {mb_per_s(nginx)}"
    return Row(mb_per_s(ours), f"SHA-256 {mb_per_s(limit)}", ratio, 0.6, note)


def against_nginx(bench, path, nginx_path, connections, reach, paths=(None, None)):
    def measure():
        ours = bench.wrk(bench.server, path, connections, paths[0])
        nginx = bench.wrk(bench.nginx, nginx_path, connections, paths[1])
        return ours.rate, nginx.rate, ours.p99_ms, ours.errors + nginx.errors

    (ours, nginx, p99_ms, errors), ratio = in_turns(measure)
    return Row(a_second(ours), f"nginx {a_second(nginx)}", ratio if errors == 0 else 0, reach,
               f"p99 {p99_ms:.1f} ms, {errors:.0f} errors")


def list_100(bench):
    folder = bench.folder("list of 100")
    bench.load("batch", folder, 100, bench.next_seed())
    path = f"/files?folder_id={folder}"
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


def small_files(bench, how, reach):
    folder = bench.folder(f"small by {how}")

    def measure():
        result = bench.load(how, folder, SMALL_FILES, bench.next_seed())
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
    return memory(bench, lambda server: bench.load("users", 100, 10, server=server), "VmHWM")


def idle_2000(bench):
    worst_ms = bench.load("idle", 2000, "/me")["seconds"] * 1000
    return Row(f"{worst_ms:.1f} ms", "", worst_ms, 50, "the slowest of 50", at_least=False)


ROWS = {
    "upload of 256 MiB, 4 in flight": upload,
    "download of 256 MiB": download,
    "list of 100, 100 connections": list_100,
    "small files by batch": small_batch,
    "small files one a request, 16 connections": small_single,
    "small downloads, 16 connections": small_download,
    "list of 1000, 16 connections": list_1000,
    "memory through 4 GiB up and down": memory_4gib,
    "memory through 100 users at once": memory_100_users,
    "idle 2000 connections, a new request": idle_2000,
}


def main():
    parser = argparse.ArgumentParser(usage="./dev bench [NAME...]", epilog="The rows: " + "; ".join(ROWS))
    parser.add_argument("names", nargs="*")
    names = parser.parse_args().names
    chosen = [name for name in ROWS if not names or any(word in name for word in names)]
    if not chosen:
        parser.error("no row has such a name")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print("| what | ChunkVault | baseline | ratio or value | reach | | also |\n|---|---|---|---|---|---|---|")
    with ExitStack() as stack:
        bench = Bench(stack)
        for name in chosen:
            row = ROWS[name](bench)
            sign = "≥" if row.at_least else "<"
            print(f"| {name} | {row.ours} | {row.baseline} | {row.value:.2f} | {sign} {row.reach} | "
                  f"{'yes' if row.reached else '**no**'} | {row.note} |", flush=True)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    sys.exit(main())
