"""A real chunkvault-server on a data folder of its own, for tests that start, kill and restart it."""

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import requests
from client import Client
from services import free_port

ADMIN_PASSWORD = "the first admin password"
CHANGED_ADMIN_PASSWORD = "the second admin password"
PASSWORD = "correct horse battery"  # of every account that a test makes
QUICK = {"BCRYPT_COST": 4, "LOGIN_LIMIT_ADDRESS": 100_000, "REGISTER_LIMIT_ADDRESS": 100_000}
READY_DEADLINE_S = 60
STOP_DEADLINE_S = 60
SQL_DEADLINE_S = 30  # for the lock on the database
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def sanitizer_options():
    """For the environment of programs: how sanitizers report, as tests/run.py says."""
    return {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}


def check_printed(text, where):
    """Asserts that no sanitizer has reported anything in what a program printed. An exit code does not tell: a leak's
    is 1, as that of a start that is refused."""
    found = [report for report in SANITIZER_REPORTS if report in text]
    assert not found, f"in {where}: {found}"


def server_program():
    folder = os.environ.get("CHUNKVAULT_BIN") or Path(__file__).parents[2] / "build" / "dev" / "bin"
    return Path(folder) / "chunkvault-server"


class Vault:
    """folder: where its data and its log are. settings: environment variables, on top of DATA_DIR, HOST, PORT,
    ADMIN_PASSWORD and QUICK; None leaves one out. The port stays the same over restarts."""

    def __init__(self, folder, **settings):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.port = free_port()
        self.settings = {"DATA_DIR": self.data, "HOST": "127.0.0.1", "PORT": self.port,
                         "ADMIN_PASSWORD": ADMIN_PASSWORD, **QUICK, **settings}
        self.process = None
        self.wrapper = []  # a command in front of the server's that keeps the process id: ["strace", "-D", "-f", ...]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def launch(self):
        """Starts the process and returns at once."""
        assert self.process is None, "it is running already"
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        kept |= sanitizer_options()
        settings = {name: str(value) for name, value in self.settings.items() if value is not None}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.wrapper, server_program()], cwd=self.folder, env=kept | settings,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        return self

    def start(self):
        """Starts the process and returns when it answers that it is ready."""
        self.launch()
        deadline = time.monotonic() + READY_DEADLINE_S
        with requests.Session() as session:
            session.trust_env = False
            while True:
                code = self.process.poll()
                if code is not None:
                    self.process = None
                    raise AssertionError(f"the server ended with exit code {code} instead of getting ready")
                try:
                    if session.get(f"{self.url}/health/ready", timeout=5).status_code == 200:
                        return self
                except requests.RequestException:
                    pass
                assert time.monotonic() < deadline, f"the server was not ready after {READY_DEADLINE_S} s"
                time.sleep(0.02)

    def kill(self):
        """As a power cut of the process: SIGKILL."""
        self.process.kill()
        self.process.wait()
        self.process = None
        self.check_log()

    def wait(self, timeout_s=STOP_DEADLINE_S):
        """The exit code of a server that ends by itself."""
        code = self.process.wait(timeout_s)
        self.process = None
        self.check_log()
        return code

    def stop(self):
        """SIGTERM; asserts a clean end. Does nothing when it is not running."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop within {STOP_DEADLINE_S} s of SIGTERM") from None
        assert code == 0, f"the server ended with exit code {code} after SIGTERM"

    def restart(self):
        self.stop()
        return self.start()

    def check_log(self):
        check_printed(self.log_text(), "the server's log")

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def client(self, url=None):
        return Client(url or self.url)

    def user(self, username="alice", password=PASSWORD):
        """A client that is registered and logged in."""
        client = self.client()
        client.register(username, password)
        client.login(username, password)
        return client

    def admin(self):
        """A client that is logged in as admin, whose first password is changed at the first time."""
        client = self.client()
        if client.try_login("admin", CHANGED_ADMIN_PASSWORD) is None:
            client.login("admin", ADMIN_PASSWORD, new_password=CHANGED_ADMIN_PASSWORD)
        return client

    def sql(self, statement, *values):
        """Changes rows of the database, also while the server runs: to let time pass, say."""
        with closing(sqlite3.connect(self.data / "catalog.sqlite", timeout=SQL_DEADLINE_S)) as database, database:
            assert database.execute(statement, values).rowcount > 0, f"no row: {statement}"

    def memory_peak_bytes(self):
        """VmHWM of the running process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel tells no VmHWM")
