"""One of the product's programs as a process of a test: started, watched, killed, stopped by its own process id."""

import collections
import os
import signal
import subprocess
import time
from pathlib import Path

import requests

READY_DEADLINE_S = 60
STOP_DEADLINE_S = 60
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def sanitizer_options():
    """For the environment of programs: how sanitizers report, as tests/run.py says."""
    return {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}


def check_printed(text, where):
    """Asserts that no sanitizer has reported anything in what a program printed. An exit code does not tell: a leak's
    is 1, as that of a start that is refused."""
    found = [report for report in SANITIZER_REPORTS if report in text]
    assert not found, f"in {where}: {found}"


def program_path(name):
    folder = os.environ.get("CHUNKVAULT_BIN") or Path(__file__).parents[2] / "build" / "dev" / "bin"
    return Path(folder) / name


def descendants(pid):
    """Of a process, by what the kernel tells: process id -> command."""
    children, found, waiting = collections.defaultdict(list), {}, [pid]
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = entry.read_text(errors="replace").rpartition(")")
        except OSError:
            continue
        children[int(rest.split()[1])].append((int(entry.parent.name), name.partition("(")[2]))
    while waiting:
        for child, name in children[waiting.pop()]:
            found[child] = name
            waiting.append(child)
    return found


def await_gone(processes, deadline_s=10):
    """Until none of these is there any more: process id -> command."""
    deadline = time.monotonic() + deadline_s
    while left := {pid: name for pid, name in processes.items() if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


class Program:
    """folder: its working folder, with its log. settings: environment variables; None leaves one out. ready: the path
    that answers 200 when it is ready. The port stays the same over restarts."""

    def __init__(self, name, folder, port, settings, ready="/health/ready", log="log"):
        self.name = name
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / log
        self.port = port
        self.settings = settings
        self.ready = ready
        self.process = None
        self.wrapper = []  # a command in front of the program's that keeps the process id: ["strace", "-D", "-f", ...]

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
            self.process = subprocess.Popen([*self.wrapper, program_path(self.name)], cwd=self.folder,
                                            env=kept | settings, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        return self

    def await_ready(self, deadline_s=READY_DEADLINE_S):
        deadline = time.monotonic() + deadline_s
        with requests.Session() as session:
            session.trust_env = False
            while True:
                code = self.process.poll()
                if code is not None:
                    self.process = None
                    raise AssertionError(f"{self.name} ended with exit code {code} instead of getting ready")
                try:
                    if session.get(f"{self.url}{self.ready}", timeout=5).status_code == 200:
                        return self
                except requests.RequestException:
                    pass
                assert time.monotonic() < deadline, f"{self.name} was not ready after {deadline_s} s"
                time.sleep(0.02)

    def start(self):
        """Starts the process and returns when it answers that it is ready."""
        return self.launch().await_ready()

    @property
    def running(self):
        return self.process is not None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """As a power cut of the process: SIGKILL."""
        self.process.kill()
        self.process.wait()
        self.process = None
        self.check_log()

    def wait(self, timeout_s=STOP_DEADLINE_S):
        """The exit code of a program that ends by itself."""
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
            raise AssertionError(f"{self.name} did not stop within {STOP_DEADLINE_S} s of SIGTERM") from None
        assert code == 0, f"{self.name} ended with exit code {code} after SIGTERM"

    def restart(self):
        self.stop()
        return self.start()

    def check_log(self):
        check_printed(self.log_text(), f"the log of {self.name}")

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def memory_peak_bytes(self):
        """VmHWM of the running process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel tells no VmHWM")

    def written_bytes(self):
        """What the running process has caused to be written to disks."""
        for line in Path(f"/proc/{self.process.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise AssertionError("the kernel tells no write_bytes")
