#!/usr/bin/python3
"""A cluster on this machine for trying things out: PostgreSQL, Redis, four storage nodes, two API servers and two
workers, all on loopback, with their data below the folder given. Runs until Ctrl-C. ./dev cluster is the way to call
it."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import stat
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from client import Client  # noqa: E402
from cluster import Cluster  # noqa: E402

NODES, SERVERS, WORKERS = 4, 2, 2
ADMIN_PASSWORD = "admin123"
# Patient as the defaults are, but quick to show what happens when a node is killed.
SETTINGS = {"SUSPECT_AFTER": "5s", "DOWN_AFTER": "30s", "SWEEP_INTERVAL": "10s", "NODE_BEAT": "1s", "BCRYPT_COST": 12,
            "LOGIN_LIMIT_ADDRESS": 100, "REGISTER_LIMIT_ADDRESS": 20, "REPAIR_RATE": "100M", "REBALANCE_RATE": "20M",
            "SCRUB_RATE": "50M", "READ_PATIENCE": "2s"}


class LastingCluster(Cluster):
    """Keeps ports and secrets in its folder, so that it comes back as it was."""

    def __init__(self, folder):
        super().__init__(folder, NODES, SERVERS, WORKERS, durable=True, **SETTINGS)
        kept = folder / "cluster.json"
        known = {"secret": self.secret, "secret_key": self.secret_key,
                 "servers": [8000, 8001] if self._free(8000, 8001) else self.server_ports}
        if kept.exists():
            kept.chmod(0o600)
            known |= json.loads(kept.read_text())
        with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(known, file)
        self.secret, self.secret_key, self.server_ports = known["secret"], known["secret_key"], known["servers"]

    @staticmethod
    def _free(*ports):
        for port in ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    return False
        return True

    def _server(self, number, port):
        server = super()._server(number, port)
        server.settings["ADMIN_PASSWORD"] = ADMIN_PASSWORD
        return server

    def last_words(self):
        """Why a program did not start, as it says itself; empty when none says."""
        for program in self.programs():
            if program.log.exists():
                last = program.log.read_text(errors="replace").rstrip().rpartition("\n")[2]
                if last.startswith(f"{program.name}: "):
                    return last
        return ""

    def end_of_killed(self):
        """Somebody who tries things out kills programs, also for good."""
        for program in self.programs():
            if program.running and program.process.poll() is not None:
                program.wait()


def closed_to_others(folder):
    """The folder on the way to this one that another user may not enter, or None."""
    for each in (folder, *folder.parents):
        if not each.stat().st_mode & stat.S_IXOTH:
            return each
    return None


def sign_in(url):
    """What sets the password of admin, or, when that was done before, just signs in."""
    is_first = Client(url).try_login("admin", ADMIN_PASSWORD)
    what = "Set the password of admin and keep a token:" if is_first else "Keep a token of admin (with your password):"
    body = (f'"password":"{ADMIN_PASSWORD}","new_password":"choose-a-good-one"' if is_first
            else '"password":"choose-a-good-one"')
    return (f"{what}\n    TOKEN=$(curl -sS {url}/auth/login -d '{{\"username\":\"admin\",{body}}}' | "
            """sed -n 's/.*"access_token":"\\([^"]*\\)".*/\\1/p'); [ "$TOKEN" ] && echo signed in || echo wrong password""")


def refuse(why):
    print(f"dev: {why}", file=sys.stderr)
    return 1


def main():
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return refuse(f"a cluster runs in {folder} already. Stop it first, with Ctrl-C where it was started.")
    if os.geteuid() == 0 and (closed := closed_to_others(folder)):
        return refuse(f"PostgreSQL does not run as root but as the user postgres, who may not enter {closed}. "
                      f"Move the source to a folder that everybody may enter, or run this as another user.")
    print(f"Starting PostgreSQL, Redis, {NODES} storage nodes, {SERVERS} API servers and {WORKERS} workers in {folder} ...",
          flush=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    cluster = LastingCluster(folder)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(cluster)
        except (AssertionError, RuntimeError) as problem:
            return refuse(f"the cluster does not start: {cluster.last_words() or problem}\n     Its logs are in {folder}.")
        first, second = cluster.servers
        print(f"""
A ChunkVault cluster is running   (data in {folder}, Ctrl-C stops it)

  API servers     {first.url}   {second.url}
  storage nodes   {'   '.join(f'{node.id} (pid {node.process.pid})' for node in cluster.nodes)}
  workers         {'   '.join(f'pid {worker.process.pid}, {worker.url}/metrics' for worker in cluster.workers)}

  {sign_in(first.url)}

  Upload to one server, list on the other:
    curl -sS -H "Authorization: Bearer $TOKEN" -F file=@README.md {first.url}/files/upload
    curl -sS -H "Authorization: Bearer $TOKEN" {second.url}/files

  Look at the nodes; kill one with kill -9 PID and look again (the next start of the cluster brings it back):
    curl -sS -H "Authorization: Bearer $TOKEN" {first.url}/admin/nodes
""", flush=True)
        ended.wait()
        print("Stopping ...", flush=True)
        cluster.end_of_killed()
    return 0


if __name__ == "__main__":
    sys.exit(main())
