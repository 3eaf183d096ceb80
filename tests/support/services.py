"""Private PostgreSQL and Redis servers for tests: on loopback, on a free port, with their files in a folder of the
caller's, ended by their own process id. They also end when the process that started them dies."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

START_DEADLINE_S = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """start() returns when the server answers; stop() when its process has ended. The port stays the same over
    restarts, and may be set before the first start."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.log = self.folder / "log"
        self.port = None
        self.process = None

    def start(self):
        deadline = time.monotonic() + START_DEADLINE_S
        kept = self.port is not None
        while True:
            if not kept:
                self.port = free_port()
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, start_new_session=True)
            while self.process.poll() is None and time.monotonic() < deadline:
                if self.ready():
                    return self
                time.sleep(0.02)
            self.stop()
            # Somebody else may have taken the port between the probe and the start.
            if time.monotonic() > deadline - START_DEADLINE_S / 2:
                raise RuntimeError(f"{type(self).__name__} did not start:\n{self.log.read_text(errors='replace')}")

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(START_DEADLINE_S)
        self.process = None

    def stop(self):
        if self.process is None:
            return
        for sign, wait_s in ((self.stop_signal, 15), (signal.SIGKILL, 15)):
            if self.process.poll() is None:
                self.process.send_signal(sign)
                try:
                    self.process.wait(wait_s)
                except subprocess.TimeoutExpired:
                    continue
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Postgres(Service):
    """durable=False leaves out fsync: for tests of what is stored, not of what survives a power cut. tls=True takes
    encrypted connections too, with a certificate that nobody knows."""

    stop_signal = signal.SIGINT

    def __init__(self, folder, durable=False, tls=False):
        super().__init__(folder)
        self.durable = durable
        self.tls = tls
        self.programs = self._programs()

    @property
    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        if not (self.folder / "data").exists():
            self._make([self.programs / "initdb", "-D", "data", "-U", "postgres", "--auth=trust", "--encoding=UTF8",
                        "--locale=C.UTF-8", "--no-sync"])
            if self.tls:
                self._make(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                            "/CN=localhost", "-keyout", "data/server.key", "-out", "data/server.crt"])
                os.chmod(self.folder / "data" / "server.key", 0o600)
        return super().start()

    def crash(self):
        """As a crash of all its processes: the next start recovers what was committed. Only with durable=True."""
        self.kill(signal.SIGQUIT)

    def client_command(self, program, database="postgres"):
        """psql, pg_dump and the like, with what says where the database is."""
        return [self.programs / program, "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]

    def sql(self, statement, database="postgres"):
        """What psql prints for it: a line a row, without padding."""
        asked = subprocess.run([*self.client_command("psql", database), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                                "-c", statement], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        if asked.returncode != 0:
            raise RuntimeError(f"{statement}: {asked.stderr}")
        return asked.stdout.strip()

    def cut_connections(self, database="postgres"):
        """Ends every connection of a client to the database; how many."""
        return int(self.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = "
                            f"'client backend' AND pid <> pg_backend_pid() AND datname = '{database}'"))

    def _make(self, command):
        made = subprocess.run(self._unprivileged() + command, cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if made.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{made.stdout.decode(errors='replace')}")

    def command(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
                    "max_connections": 200, "shared_buffers": "64MB", "log_min_messages": "warning"}
        if self.tls:
            settings["ssl"] = "on"
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        return self._unprivileged() + [self.programs / "postgres", "-D", "data"] + [
            part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def ready(self):
        # The eighth line of postmaster.pid is what pg_ctl waits for.
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    @staticmethod
    def _unprivileged():
        # PostgreSQL refuses to run as root.
        drop = ["--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        return ["setpriv", "--pdeathsig=INT", *drop, "--"]

    @staticmethod
    def _programs():
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
        if not found:
            raise RuntimeError("PostgreSQL's server is not installed (looked for /usr/lib/postgresql/*/bin/postgres)")
        return found[-1].parent


class Redis(Service):
    """password: what clients have to give; None for none."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder, password=None):
        super().__init__(folder)
        self.password = password

    @property
    def url(self):
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}"

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.folder / "redis-server"
        if not program.exists():
            # One executable that acts by its name. The package with the name redis-server adds only a system service.
            found = shutil.which("redis-server") or shutil.which("redis-check-rdb")
            if found is None:
                raise RuntimeError("Redis is not installed (looked for redis-server and redis-check-rdb)")
            program.symlink_to(os.path.realpath(found))
        return super().start()

    def ask(self, *words):
        """What redis-cli prints for the command."""
        password = ["-a", self.password, "--no-auth-warning"] if self.password else []
        asked = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "--raw", *password, *words],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if asked.returncode != 0:
            raise RuntimeError(f"{words[0]}: {asked.stdout}")
        return asked.stdout.strip()

    def command(self):
        return ["setpriv", "--pdeathsig=TERM", "--", self.folder / "redis-server", "--port", str(self.port), "--bind",
                "127.0.0.1", "--dir", str(self.folder), "--save", "", "--appendonly", "no", "--daemonize", "no",
                *(["--requirepass", self.password] if self.password else [])]

    def ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
