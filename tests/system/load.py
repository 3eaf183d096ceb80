"""A mixed load that is interrupted, and the check of what it left."""

import random
import threading
import time

import requests
from client import sha256


class Load:
    """One user's changes, and what may be under each name when an answer is lost: the old state, the new one. None
    stands for no file."""

    def __init__(self, client, prefix, seed):
        self.client = client
        self.chunk_size = client.get("/").json()["chunk_size"]
        self.prefix = prefix
        self.random = random.Random(seed)
        self.possible = {}  # name -> contents that it may have
        self.ids = {}
        self.unexpected = None

    def run(self):
        try:
            while True:
                self.step()
        except requests.RequestException:
            pass  # the server was killed
        except Exception as failure:
            self.unexpected = failure

    def step(self):
        chosen = self.random.choice((self.form, self.resumable, self.resumable, self.batch, self.overwrite, self.trash))
        chosen()

    def data(self):
        chunk = self.chunk_size
        return self.random.randbytes(self.random.choice((0, 1, 1000, chunk, chunk + 1, 7 * chunk + 5)))

    def new_name(self):
        return f"{self.prefix}-{len(self.possible)}"

    def form(self):
        name, data = self.new_name(), self.data()
        self.possible[name] = [None, data]
        self.ids[name] = self.client.upload_multipart(name, data)["file_id"]
        self.possible[name] = [data]

    def resumable(self, name=None):
        data = self.data()
        name = name or self.new_name()
        self.possible[name] = [*self.possible.get(name, [None]), data]
        self.ids[name] = self.client.upload(f"{self.prefix}-{self.random.random()}", name, data, flights=2)["file_id"]
        self.possible[name] = [data]

    def batch(self):
        files = {}
        for _ in range(5):
            name = self.new_name()
            files[name] = self.random.randbytes(1000)
            self.possible[name] = [None, files[name]]
        listed = ",".join(f'{{"path":"{name}","size":1000,"hash":"{sha256(data)}"}}' for name, data in files.items())
        self.client.call("POST", "/files/batch", data=f'{{"files":[{listed}]}}\n'.encode() + b"".join(files.values()),
                         expect=200)
        for name, data in files.items():
            self.possible[name] = [data]

    def overwrite(self):
        if self.ids:
            self.resumable(self.random.choice(sorted(self.ids)))

    def trash(self):
        if self.ids:
            name = self.random.choice(sorted(self.ids))
            file_id = self.ids.pop(name)
            self.possible[name] = [*self.possible[name], None]
            self.client.delete(f"/files/{file_id}")
            self.possible[name] = [None]

    def check(self, client):
        assert self.unexpected is None, self.unexpected
        listed = {item["filename"]: item for item in client.list() if item["filename"].startswith(self.prefix + "-")}
        for name, contents in self.possible.items():
            if name in listed:
                assert client.content(listed[name]["id"]) in contents, f"{name} is not whole"
            else:
                assert None in contents, f"{name} was acknowledged and is lost"
        assert listed.keys() <= self.possible.keys()
        return listed


def interrupt(loads, after_s, kill):
    """Runs the loads at the same time and calls kill() in the middle of them."""
    threads = [threading.Thread(target=load.run) for load in loads]
    for thread in threads:
        thread.start()
    time.sleep(after_s)  # not a wait for anything: the point in the work at which it ends
    kill()
    for thread in threads:
        thread.join()
