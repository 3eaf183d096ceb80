#!/usr/bin/python3
"""powercut_fs.py STATE MOUNT [--lie | --cut-at N]: a file system in memory whose unmounting is a power cut.

At the start it has what the folder STATE has. When it is unmounted, STATE gets what a disk would have kept in the worst
case: a file's bytes as of the last fsync of that file, a folder's names as of the last fsync of that folder, and nothing
else. With --lie, fsync answers and keeps nothing. With --cut-at, the power goes before the Nth operation that changes
something: that one and all that follow fail, as on a disk that is not there. The file "operations" beside STATE tells
how many there were. While there is a file "failing" beside STATE, chunk files cannot be opened or read, for the reason
that it names: EIO, say."""

import errno
import os
import shutil
import stat
import sys
import time
from pathlib import Path

from fusepy import FUSE, FuseOSError, Operations

FREE_BLOCKS = 1 << 20  # of 4 KiB


class Node:
    def __init__(self, mode):
        self.mode = mode
        self.changed_at = time.time()


class File(Node):
    def __init__(self, data=b""):
        super().__init__(stat.S_IFREG | 0o600)
        self.data = bytearray(data)
        self.kept = bytes(data)

    def size(self):
        return len(self.data)

    def keep(self):
        self.kept = bytes(self.data)

    def save(self, path):
        path.write_bytes(self.kept)


class Folder(Node):
    def __init__(self):
        super().__init__(stat.S_IFDIR | 0o700)
        self.entries = {}
        self.kept = {}

    def size(self):
        return 0

    def keep(self):
        self.kept = dict(self.entries)

    def save(self, path):
        path.mkdir()
        for name, node in self.kept.items():
            node.save(path / name)


def load(path):
    if not path.is_dir():
        return File(path.read_bytes())
    folder = Folder()
    folder.entries = {entry.name: load(entry) for entry in path.iterdir()}
    folder.keep()
    return folder


CHANGES = {"create", "write", "truncate", "fsync", "fsyncdir", "mkdir", "unlink", "rmdir", "rename", "utimens"}


class PowerCut(Operations):
    def __init__(self, root, lie, cut_at, failing):
        self.root = root
        self.failing = failing
        self.lie = lie
        self.cut_at = cut_at
        self.operations = 0
        self.is_off = False
        self.handles = {}
        self.last_handle = 0

    def __call__(self, name, *arguments):
        if name in CHANGES and not self.is_off:
            self.operations += 1
            self.is_off = self.operations == self.cut_at
        if self.is_off and name not in ("init", "destroy", "release"):
            raise FuseOSError(errno.EIO)
        if name in ("open", "read") and "/chunks/" in arguments[0] and self.failing.exists():
            raise FuseOSError(getattr(errno, self.failing.read_text()))
        return super().__call__(name, *arguments)

    def find(self, path):
        node = self.root
        for name in filter(None, path.split("/")):
            node = node.entries.get(name) if isinstance(node, Folder) else None
            if node is None:
                raise FuseOSError(errno.ENOENT)
        return node

    def parent(self, path):
        above, _, name = path.rpartition("/")
        return self.find(above), name

    def node(self, path, handle):
        return self.handles.get(handle) or self.find(path)

    def handle(self, node):
        self.last_handle += 1
        self.handles[self.last_handle] = node
        return self.last_handle

    def add(self, path, node):
        folder, name = self.parent(path)
        if name in folder.entries:
            raise FuseOSError(errno.EEXIST)
        folder.entries[name] = node
        return node

    def getattr(self, path, fh=None):
        node = self.node(path, fh)
        return {"st_mode": node.mode, "st_nlink": 1, "st_size": node.size(), "st_uid": os.getuid(),
                "st_gid": os.getgid(), "st_mtime": node.changed_at, "st_atime": node.changed_at,
                "st_ctime": node.changed_at}

    def readdir(self, path, fh):
        return [".", "..", *self.find(path).entries]

    def open(self, path, flags):
        return self.handle(self.find(path))

    def create(self, path, mode, fi=None):
        return self.handle(self.add(path, File()))

    def release(self, path, fh):
        self.handles.pop(fh, None)

    def read(self, path, size, offset, fh):
        return bytes(self.node(path, fh).data[offset:offset + size])

    def write(self, path, data, offset, fh):
        node = self.node(path, fh)
        if len(node.data) < offset:
            node.data.extend(bytes(offset - len(node.data)))
        node.data[offset:offset + len(data)] = data
        node.changed_at = time.time()
        return len(data)

    def truncate(self, path, length, fh=None):
        node = self.node(path, fh)
        del node.data[length:]
        node.data.extend(bytes(length - len(node.data)))

    def fsync(self, path, datasync, fh):
        if not self.lie:
            self.node(path, fh).keep()

    def fsyncdir(self, path, datasync, fh):
        if not self.lie:
            self.find(path).keep()

    def mkdir(self, path, mode):
        self.add(path, Folder())

    def unlink(self, path):
        folder, name = self.parent(path)
        del folder.entries[name]

    def rmdir(self, path):
        if self.find(path).entries:
            raise FuseOSError(errno.ENOTEMPTY)
        self.unlink(path)

    def rename(self, old, new):
        source, old_name = self.parent(old)
        target, new_name = self.parent(new)
        target.entries[new_name] = source.entries.pop(old_name)

    def utimens(self, path, times=None):
        self.find(path).changed_at = times[1] if times else time.time()

    def chmod(self, path, mode):
        node = self.find(path)
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)

    def chown(self, path, uid, gid):
        pass

    def statfs(self, path):
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 2 * FREE_BLOCKS, "f_bfree": FREE_BLOCKS,
                "f_bavail": FREE_BLOCKS, "f_namemax": 255}


def main(state, mount, lie, cut_at):
    root = load(state)
    disk = PowerCut(root, lie, cut_at, state.parent / "failing")
    FUSE(disk, str(mount), foreground=True, nothreads=True, hard_remove=True, big_writes=True,
         fsname="chunkvault-powercut")
    shutil.rmtree(state)
    root.save(state)
    (state.parent / "operations").write_text(str(disk.operations))


if __name__ == "__main__":
    options = sys.argv[3:]
    main(Path(sys.argv[1]), Path(sys.argv[2]), "--lie" in options,
         int(options[options.index("--cut-at") + 1]) if "--cut-at" in options else None)
