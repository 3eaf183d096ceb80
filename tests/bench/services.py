"""What the benches run against: a release server on a fresh data folder, a cluster, and nginx on a folder of files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.support.services import Postgres, Redis, free_port  # noqa: E402

PASSWORD = "the password of the benches"
CHANGED_PASSWORD = PASSWORD + " again"
START_DEADLINE_S = 30
# Defaults but for what would measure something else.
SERVER_SETTINGS = {"LOG_REQUESTS": "false", "BCRYPT_COST": 4, "ADMIN_PASSWORD": PASSWORD,
                   "LOGIN_LIMIT_ADDRESS": 100_000, "LOGIN_LIMIT_ACCOUNT": 100_000, "REGISTER_LIMIT_ADDRESS": 100_000}


def wait_for(url, process):
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{url} does not come up: {process.args[0]}") from None
            time.sleep(0.05)


class Service:
    """A process on a free port of 127.0.0.1 that ends with the block it is used in. Its folder is removed then."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def launch(self, command, ready, environment=None):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_for(self.url + ready, self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder)


class Program(Service):
    """One of the product's programs."""

    def __init__(self, program, folder):
        super().__init__(folder)
        self.program = program

    def launch_with(self, settings, ready):
        self.launch([self.program], ready, {"PATH": os.environ["PATH"]} | {k: str(v) for k, v in settings.items()})

    def memory_peak(self):
        """Bytes, VmHWM."""
        return int(self._kernel_tells("status", "VmHWM").split()[0]) * 1024

    def written_bytes(self):
        """What the process has caused to be written to disks."""
        return int(self._kernel_tells("io", "write_bytes"))

    def _kernel_tells(self, file, name):
        for line in Path(f"/proc/{self.process.pid}/{file}").read_text().splitlines():
            if line.startswith(name + ":"):
                return line.split(":")[1]
        raise SystemExit(f"the kernel tells no {name}")


class Server(Program):
    """settings: environment variables, on top of SERVER_SETTINGS. One of a cluster is launched without being ready."""

    def __init__(self, program, folder, **settings):
        super().__init__(program, folder)
        self.token = None
        in_cluster = "DATABASE_URL" in settings
        self.launch_with({"DATA_DIR": "data", "PORT": self.port, **SERVER_SETTINGS, **settings},
                         "/health/live" if in_cluster else "/health/ready")
        if not in_cluster:
            self.log_in()

    def log_in(self):
        login = {"username": "admin", "password": PASSWORD, "new_password": CHANGED_PASSWORD}
        self.token = self.call("POST", "/auth/login", login)["access_token"]

    def nodes_ok(self):
        """How many storage nodes this server can use."""
        return list(self.call("GET", "/health", allowed=503)["storage_nodes"].values()).count("ok")

    def call(self, method, path, body=None, timeout_s=60, allowed=None):
        request = urllib.request.Request(self.url + path, method=method, data=body and json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == allowed:
                return json.loads(error.read())
            raise SystemExit(f"{method} {path} answered {error.code}: {error.read().decode()}") from None


class Cluster:
    """A durable PostgreSQL, Redis, storage nodes, API servers that know one session, and one worker, all of them ended
    and removed with the block it is used in. settings: environment variables of the API servers and the worker, the
    ones that a program does not know left out."""

    WORKER_SETTINGS = ("DOWN_AFTER", "REPAIR_RATE", "SCRUB_RATE", "SUSPECT_AFTER", "SWEEP_INTERVAL")

    def __init__(self, programs, folder, nodes=3, servers=1, **settings):
        self.stack = ExitStack()
        self.folder = folder
        folder.mkdir(parents=True)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, folder)
            self.postgres = stack.enter_context(Postgres(folder / "postgres", durable=True))
            redis = stack.enter_context(Redis(folder / "redis"))
            shared = {"DATABASE_URL": self.postgres.url, "REDIS_URL": redis.url, "CLUSTER_SECRET": "c" * 40}
            self.servers = [
                stack.enter_context(Server(programs / "chunkvault-server", folder / f"server-{number}",
                                           SECRET_KEY="k" * 40, **shared, **settings)) for number in range(servers)]
            self.nodes = [stack.enter_context(self._node(programs, number, nodes)) for number in range(nodes)]
            self.worker = stack.enter_context(Program(programs / "chunkvault-worker", folder / "worker"))
            self.worker.launch_with({"PORT": self.worker.port, **shared,
                                     **{k: v for k, v in settings.items() if k in self.WORKER_SETTINGS}}, "/health")
            for server in self.servers:
                wait_for(server.url + "/health/ready", server.process)
                self.until(lambda: server.nodes_ok() == nodes, "all nodes to be known")
            self.servers[0].log_in()
            for server in self.servers:
                server.token = self.servers[0].token
            self.stack = stack.pop_all()

    def _node(self, programs, number, nodes):
        node = Program(programs / "chunkvault-storagenode", self.folder / f"node-{number}")
        node.id = f"node-{number}"
        (node.folder / "store").mkdir()
        node.launch_with({"NODE_ID": node.id, "HOST": "127.0.0.1", "PORT": node.port, "NODE_URL": node.url,
                          "STORAGE_PATH": node.folder / "store", "ZONE": f"zone-{number}", "CLUSTER_SECRET": "c" * 40,
                          "API_BASE_URL": ",".join(server.url for server in self.servers)}, "/metrics")
        return node

    def __enter__(self):
        return self

    def __exit__(self, *details):
        return self.stack.__exit__(*details)

    def memory_peaks(self):
        """Bytes, of the largest of each kind of program."""
        return {"server": max(server.memory_peak() for server in self.servers),
                "node": max(node.memory_peak() for node in self.nodes), "worker": self.worker.memory_peak()}

    def sql(self, statement):
        """The first value of what it gives."""
        done = subprocess.run(["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", self.postgres.url, "-c", statement],
                              stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    @staticmethod
    def until(condition, what, deadline_s=600):
        deadline = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {deadline_s} s in vain for {what}")
            time.sleep(0.02)


class Nginx(Service):
    """Sends the files of root; a path below /list/ is answered with a JSON list of a folder."""

    CONFIG = """daemon off; worker_processes 2; pid nginx.pid; error_log stderr error;
user {user};
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type application/octet-stream;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        location = /ready {{ return 204; }}
        location /list/ {{ autoindex on; autoindex_format json; }}
    }}
}}
"""

    def __init__(self, folder):
        super().__init__(folder)
        self.root = folder / "root"
        self.root.mkdir()
        config = folder / "nginx.conf"
        user = "root" if os.geteuid() == 0 else "nobody"
        config.write_text(self.CONFIG.format(port=self.port, root=self.root, user=user))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.launch([nginx, "-p", folder, "-c", config, "-e", "stderr"], "/ready")
