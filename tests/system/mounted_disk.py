"""A disk of a storage node's own that can be unmounted and mounted again, and filled if it has a size: a tmpfs, or a folder
that is bound, in a mount namespace, which ends with its processes and is seen by nobody else."""

import os
import subprocess
from pathlib import Path

DEADLINE_S = 30


class MountedDisk:
    """folder: where it is; the store's folder is .path there. size: of a tmpfs; None: it is a folder beside it, with the
    room that is there."""

    def __init__(self, folder, size="1g"):
        self.path = Path(folder) / "store"
        self.disk = Path(folder) / "disk"
        for made in (self.path, self.disk):
            made.mkdir(parents=True)
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        # Its own exec keeps the process id; what it prints tells that all is mounted.
        script = ('{ test -z "$1" || mount -t tmpfs -o size="$1" none "$2"; } && mkdir "$2/store" '
                  '&& mount --bind "$2/store" "$3" && echo ok && exec sleep infinity')
        self.holder = subprocess.Popen(["unshare", *user, "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                                        size or "", self.disk, self.path],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ok\n":
            self.close()
            raise AssertionError("a tmpfs cannot be mounted in a namespace: run the tests as root, or allow users to make "
                                 "namespaces (sysctl kernel.unprivileged_userns_clone=1)")
        self.enter = ["nsenter", f"--target={self.holder.pid}", "--mount",
                      *(["--user", "--preserve-credentials"] if user else []), "--"]

    @property
    def seen(self):
        """The store's folder, as those see it who are in the namespace."""
        return Path(f"/proc/{self.holder.pid}/root{self.path}")

    def fill(self, left_bytes):
        """Takes the room on it, but for so much."""
        room = os.statvfs(f"/proc/{self.holder.pid}/root{self.disk}")
        with open(self._filler, "wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, room.f_bavail * room.f_frsize - left_bytes)

    def empty(self):
        """Gives the room back."""
        self._filler.unlink()

    def unmount(self):
        """As when the disk is pulled out: what is open stays open, the folder below it is empty."""
        subprocess.run([*self.enter, "umount", "--lazy", self.path], check=True)

    def mount(self):
        subprocess.run([*self.enter, "mount", "--bind", self.disk / "store", self.path], check=True)

    @property
    def _filler(self):
        return Path(f"/proc/{self.holder.pid}/root{self.disk}/filler")

    def close(self):
        self.holder.kill()
        self.holder.wait(DEADLINE_S)
        self.holder.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
