"""A disk that loses its power, hangs, or cannot read, when a test says so."""

import os
import signal
import subprocess
import time
from pathlib import Path

DEADLINE_S = 60


class Disk:
    """A mounted powercut_fs."""

    def __init__(self, folder):
        assert os.path.exists("/dev/fuse"), "/dev/fuse is missing: the power cut tests need FUSE (modprobe fuse)"
        self.state, self.mount = folder / "state", folder / "mount"
        self.state.mkdir()
        self.mount.mkdir()
        self.process = None

    def on(self, *options):
        program = Path(__file__).with_name("powercut_fs.py")
        self.process = subprocess.Popen(["/usr/bin/python3", program, self.state, self.mount, *options])
        deadline = time.monotonic() + DEADLINE_S
        while not os.path.ismount(self.mount):
            assert self.process.poll() is None, "powercut_fs ended instead of mounting"
            assert time.monotonic() < deadline, "powercut_fs did not mount"
            time.sleep(0.02)

    def cut(self):
        subprocess.run(["umount", self.mount], check=True)
        assert self.process.wait(DEADLINE_S) == 0
        self.process = None

    def operations(self):
        """How many operations that change something the last life had, up to its cut."""
        return int((self.state.parent / "operations").read_text())

    def fail_reads(self, reason):
        """Chunk files cannot be opened or read, by the name of an errno, until read_again()."""
        (self.state.parent / "failing").write_text(reason)

    def read_again(self):
        (self.state.parent / "failing").unlink()

    def hang(self):
        """No operation comes to an end, until go_on()."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process is not None:
            self.go_on()
            subprocess.run(["umount", "-l", self.mount], check=False)
            self.process.wait(DEADLINE_S)
