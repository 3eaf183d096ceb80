"""What the benches run against: a release server on a fresh data folder, and nginx on a folder of files."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

PASSWORD = "the password of the benches"
START_DEADLINE_S = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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


class Server(Service):
    def __init__(self, program, folder):
        super().__init__(folder)
        settings = {"DATA_DIR": "data", "PORT": self.port, "LOG_REQUESTS": "false", "BCRYPT_COST": 4,
                    "ADMIN_PASSWORD": PASSWORD, "LOGIN_LIMIT_ADDRESS": 100_000,
                    "LOGIN_LIMIT_ACCOUNT": 100_000, "REGISTER_LIMIT_ADDRESS": 100_000}
        self.launch([program], "/health/ready", {"PATH": os.environ["PATH"]} | {k: str(v) for k, v in settings.items()})
        login = {"username": "admin", "password": PASSWORD, "new_password": PASSWORD + " again"}
        self.token = None
        self.token = self.call("POST", "/auth/login", login)["access_token"]

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=body and json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path} answered {error.code}: {error.read().decode()}") from None

    def memory_peak(self):
        """Bytes, VmHWM."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("the kernel tells no VmHWM")


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
