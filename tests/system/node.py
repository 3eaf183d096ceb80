"""A real chunkvault-storagenode, an API server that it reports to, and an independent client for it."""

import hashlib
import hmac
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from services import free_port
from vault import check_printed, sanitizer_options, server_program

CLUSTER_SECRET = "a secret of the cluster of these tests"
READY_DEADLINE_S = 60
STOP_DEADLINE_S = 60


def cluster_key(secret=CLUSTER_SECRET):
    """HKDF-SHA-256 with an empty salt and one block of output."""
    extracted = hmac.digest(bytes(32), secret.encode(), "sha256")
    return hmac.digest(extracted, b"chunkvault cluster requests v1\x01", "sha256")


def signature(target, method, path, body=b"", key=None, at=None):
    """The value of the Authorization header."""
    time_us, nonce = int((at or time.time()) * 1e6), secrets.token_hex(16)
    body_hash = hashlib.sha256(body).hexdigest()
    message = "\n".join(["chunkvault request v1", target, method, path, body_hash, str(time_us), nonce])
    value = hmac.new(key or cluster_key(), message.encode(), "sha256").hexdigest()
    return f"ChunkVault-HMAC time={time_us}, nonce={nonce}, body={body_hash}, signature={value}"


class FakeApi:
    """Answers POST /internal/nodes: with answer, or with the conflict that it is told. Keeps the reports."""

    def __init__(self):
        self.answer = {"vault_id": "the vault", "state": "joining", "catalog_seq": 7, "beat_ms": 100,
                       "time": "2026-01-01T00:00:00Z"}
        self.conflict = None
        self.reports, self.authorizations = [], []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer, kind = 404, {"detail": "no such path"}, "application/json"
                if self.path == "/internal/nodes":
                    api.authorizations.append(self.headers["Authorization"])
                    api.reports.append(json.loads(body))
                    status, answer = 200, api.answer
                    if api.conflict:
                        status, kind = 409, "application/problem+json"
                        answer = {"type": "urn:chunkvault:error:conflict", "title": "Conflict", "status": 409,
                                  "detail": api.conflict, "request_id": "x"}
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def await_report(self, wanted, what):
        """The first report from now on that is as wanted."""
        seen = len(self.reports)
        deadline = time.monotonic() + READY_DEADLINE_S
        while time.monotonic() < deadline:
            for report in self.reports[seen:]:
                if wanted(report):
                    return report
            time.sleep(0.02)
        raise AssertionError(f"no report {what}; the last one: {self.reports[-1:]}")

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class StorageNode:
    """folder: where its log is, and its store unless STORAGE_PATH says otherwise."""

    def __init__(self, folder, api_urls, **settings):
        self.folder = Path(folder)
        self.store = self.folder / "store"
        self.log = self.folder / "node.log"
        self.port = free_port()
        self.settings = {"NODE_ID": "node1", "HOST": "127.0.0.1", "PORT": self.port, "STORAGE_PATH": self.store,
                         "API_BASE_URL": ",".join(api_urls), "CLUSTER_SECRET": CLUSTER_SECRET, "NODE_BEAT": "100ms",
                         "ZONE": "cellar", "STORAGE_RESERVE": 0, **settings}
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def launch(self):
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        kept |= sanitizer_options()
        settings = {name: str(value) for name, value in self.settings.items() if value is not None}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([server_program().with_name("chunkvault-storagenode")], cwd=self.folder,
                                            env=kept | settings, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        return self

    def start(self):
        self.launch()
        self.await_health(200)
        return self

    def health(self):
        try:
            return requests.get(f"{self.url}/health", timeout=5).status_code
        except requests.RequestException:
            return None

    def await_health(self, status):
        deadline = time.monotonic() + READY_DEADLINE_S
        while self.health() != status:
            assert self.process.poll() is None, f"the node ended:\n{self.log_text()}"
            assert time.monotonic() < deadline, f"the node's health is {self.health()}, not {status}"
            time.sleep(0.02)

    def ask(self, method, path, body=b""):
        """A signed request."""
        headers = {"Authorization": signature(self.settings["NODE_ID"], method, path, body)}
        return requests.request(method, self.url + path, data=body, headers=headers, timeout=60)

    def put(self, data):
        return self.ask("PUT", f"/chunks/{hashlib.sha256(data).hexdigest()}?generation=1", data)

    def get(self, data):
        return self.ask("GET", f"/chunks/{hashlib.sha256(data).hexdigest()}?size={len(data)}")

    def metric(self, line):
        """The value of a line of /metrics, by its name and labels."""
        for text in requests.get(f"{self.url}/metrics", timeout=5).text.splitlines():
            if text.startswith(line + " "):
                return float(text.split()[-1])
        raise AssertionError(f"no metric {line}")

    def wait(self):
        """The exit code of a node that ends by itself."""
        code = self.process.wait(STOP_DEADLINE_S)
        self.process = None
        check_printed(self.log_text(), "the node's log")
        return code

    def stop(self):
        """SIGTERM; asserts a clean end. Does nothing when it is not running."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the node did not stop within {STOP_DEADLINE_S} s of SIGTERM") from None
        assert code == 0, f"the node ended with exit code {code} after SIGTERM"

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""
