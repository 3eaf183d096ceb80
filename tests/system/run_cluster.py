#!/usr/bin/python3
"""A cluster on this machine for trying things out: PostgreSQL, Redis, four storage nodes, two API servers and two
workers, all on loopback, with their data below the folder given. Runs until Ctrl-C. ./dev cluster is the way to call
it."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from cluster import Cluster  # noqa: E402
from services import free_port  # noqa: E402

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
        import socket
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


def main():
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Starting PostgreSQL, Redis, {NODES} storage nodes, {SERVERS} API servers and {WORKERS} workers in {folder} ...",
          flush=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    cluster = LastingCluster(folder)
    with cluster:
        first, second = cluster.servers
        print(f"""
A ChunkVault cluster is running   (data in {folder}, Ctrl-C stops it)

  API servers     {first.url}   {second.url}
  storage nodes   {'   '.join(f'{node.id} (pid {node.process.pid})' for node in cluster.nodes)}
  workers         {'   '.join(f'pid {worker.process.pid}, {worker.url}/metrics' for worker in cluster.workers)}

  Set the password of admin and keep a token:
    TOKEN=$(curl -s {first.url}/auth/login -d '{{"username":"admin","password":"{ADMIN_PASSWORD}","new_password":"choose-a-good-one"}}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')

  Upload to one server, list on the other:
    curl -s -H "Authorization: Bearer $TOKEN" -F file=@README.md {first.url}/files/upload
    curl -s -H "Authorization: Bearer $TOKEN" {second.url}/files

  Look at the nodes; kill one with kill -9 PID and look again:
    curl -s -H "Authorization: Bearer $TOKEN" {first.url}/admin/nodes
""", flush=True)
        ended.wait()
        print("Stopping ...", flush=True)


if __name__ == "__main__":
    sys.exit(main())
