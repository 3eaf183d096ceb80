"""Clients of a cluster that is being broken, and what they were promised. The record of acknowledgements lies here,
outside the servers: whatever was acknowledged must be there afterwards, whole, on every server."""

import contextlib
import dataclasses
import hashlib
import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from client import UnexpectedAnswer, split
from vault import PASSWORD

# What a client may be told while parts are down. Everything else is a broken promise. Who stores something may also hear
# that there is no room, or that what was begun is not there any more.
TOLERATED = {429, 502, 503, 504}
TOLERATED_UPLOADING = TOLERATED | {408, 409, 410, 425, 507}
LOGIN_AHEAD_S = 60  # before an access token ends
MOST_KEPT = 400  # violations
numbers = itertools.count(1)


@dataclasses.dataclass
class Attempt:
    """One file that a client tried to store."""

    user: int
    name: str
    sha256: str
    size: int
    file_id: str = ""
    acknowledged: bool = False
    deleting: bool = False  # asked to go: it may be there or not, until that is acknowledged
    deleted: bool = False


class Checker:
    """users: accounts, each with a thread of its own. Starts with start(), ends with stop(); verify() reads everything
    back. sizes: of files, in bytes, chosen evenly; those above the cluster's CHUNK_SIZE go up chunk by chunk and are
    resumed when the line breaks. repeat_share: of uploads whose bytes other uploads have too, so that chunks come again
    while they are collected. most_files: of a user, who deletes others for good then; None: no limit."""

    def __init__(self, cluster, users=3, seed=1, sizes=(0, 100, 5_000, 70_000, 300_000), read_share=0.4,
                 repeat_share=0.0, most_files=None):
        self.cluster = cluster
        self.seed = seed
        self.sizes = sizes
        self.read_share = read_share
        self.most_files = most_files
        self.repeat_share = repeat_share
        chance = random.Random(f"{seed}-repeated")
        self.repeated = [chance.randbytes(size) for size in sizes for _ in range(2)] if repeat_share else []
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.estranged = False
        self.attempts = []
        self.violations = []
        self.counts = {"operations": 0, "acknowledged": 0, "refused": 0, "retried": 0, "read": 0, "deleted": 0,
                       "checked": 0, "lost": 0}
        self.names = [f"checker-{seed}-{number}" for number in range(users)]
        self.clients = [cluster.user(name) for name in self.names]
        self.login_ends = [0] * users
        for number, client in enumerate(self.clients):
            self._login_again(number, client)
        self.threads = []

    # --- the record ---

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] += by

    def violation(self, text):
        with self.lock:
            if len(self.violations) < MOST_KEPT:
                self.violations.append(text)

    def acknowledged(self, user):
        """What the user has to find."""
        with self.lock:
            return [attempt for attempt in self.attempts
                    if attempt.user == user and attempt.acknowledged and not attempt.deleting]

    # --- working ---

    def start(self):
        for number in range(len(self.clients)):
            thread = threading.Thread(target=self._work, args=(number,), daemon=True)
            self.threads.append(thread)
            thread.start()
        return self

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def stop(self):
        self.end()
        assert not self.violations, self.violations[:20]

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        self.end()
        if kind is None:
            self.stop()

    def await_acknowledged(self, more, deadline_s=60):
        """Until so many more were acknowledged, and more files were read than may have been under way before."""
        self._await({"acknowledged": more, "read": len(self.clients) + 1}, deadline_s)

    def await_refused(self, deadline_s=60):
        """Until more was refused than may have been under way before."""
        self._await({"refused": len(self.clients) + 1}, deadline_s)

    def _await(self, more, deadline_s):
        wanted = {what: self.counts[what] + count for what, count in more.items()}
        deadline = time.monotonic() + deadline_s
        while any(self.counts[what] < count for what, count in wanted.items()):
            assert time.monotonic() < deadline, f"{self.counts} after {deadline_s} s; {self.violations[:5]}"
            assert all(thread.is_alive() for thread in self.threads), f"a user has ended; {self.violations[:5]}"
            time.sleep(0.05)

    @contextlib.contextmanager
    def not_known(self):
        """Meanwhile the servers have a database that knows none of these users: it must refuse them all."""
        self.estranged = True
        try:
            yield
        finally:
            self.estranged = False

    def _work(self, number):
        chance = random.Random(f"{self.seed}-{number}")
        serial = 0
        while not self.ending.is_set():
            server = chance.randrange(len(self.cluster.server_ports))
            client = self.clients[number].again(f"http://127.0.0.1:{self.cluster.server_ports[server]}")
            own = self.acknowledged(number)
            tolerated, estranged = TOLERATED, self.estranged
            self.count("operations")
            try:
                if time.monotonic() > self.login_ends[number]:
                    self._login_again(number, client)
                elif own and chance.random() < self.read_share:
                    self._read(client, chance.choice(own))
                elif self.most_files is not None and len(own) >= self.most_files:
                    self._delete(client, chance.choice(own))
                else:
                    serial += 1
                    tolerated = TOLERATED_UPLOADING
                    self._upload(client, chance, number, f"file-{serial}")
                if estranged and self.estranged:
                    self.violation(f"{self.names[number]} was served by a database that does not know this user")
            except UnexpectedAnswer as answer:
                if answer.status not in tolerated and not (answer.status == 401 and (estranged or self.estranged)):
                    self.violation(f"{self.names[number]}: {answer}")
                self.count("refused")
            except (requests.RequestException, OSError):
                self.count("refused")
            except Exception as fault:  # a user who ended unnoticed would be promised nothing more
                self.violation(f"{self.names[number]}: {fault!r}")
            finally:
                client.close()

    def _login_again(self, number, client):
        self.login_ends[number] = self._end_of_login(client.login(self.names[number], PASSWORD))
        self.clients[number].token = client.token

    @staticmethod
    def _end_of_login(answer):
        """When the next one is due."""
        return time.monotonic() + answer["expires_in"] - LOGIN_AHEAD_S

    def _upload(self, client, chance, user, name):
        if self.repeated and chance.random() < self.repeat_share:
            data = chance.choice(self.repeated)
        else:
            data = chance.randbytes(chance.choice(self.sizes))
        attempt = Attempt(user, name, hashlib.sha256(data).hexdigest(), len(data))
        with self.lock:
            self.attempts.append(attempt)
        if len(data) > 65536 or chance.random() < 0.3:
            answer = self._upload_resuming(client, f"{self.seed}-{user}-{name}", name, data)
        else:
            answer = client.upload_multipart(name, data)
        attempt.file_id = answer["file_id"]
        attempt.acknowledged = True
        self.count("acknowledged")

    def _upload_resuming(self, client, key, name, data, tries=30):
        """The walk of a client that does not give up: each try goes on where the one before was broken."""
        for attempt in range(tries):
            try:
                upload = client.start_upload(key, name, len(data))
                chunks = split(data, upload.chunk_size)
                for index in upload.missing(chunks):
                    upload.put(index, chunks[index])
                return upload.commit(chunks, data)
            except UnexpectedAnswer as answer:
                if answer.status not in TOLERATED_UPLOADING or self.ending.is_set():
                    raise
            except requests.RequestException:
                if self.ending.is_set():
                    raise
            self.count("retried")
            time.sleep(min(0.1 * (attempt + 1), 1))
            others = self.cluster.server_ports
            client = client.again(f"http://127.0.0.1:{others[attempt % len(others)]}")
        raise requests.ConnectionError("the upload did not get through")

    def _delete(self, client, attempt):
        attempt.deleting = True
        client.delete(f"/files/{attempt.file_id}")
        client.delete(f"/trash/{attempt.file_id}")
        attempt.deleted = True
        self.count("deleted")

    def _read(self, client, attempt):
        content = client.content(attempt.file_id)
        if hashlib.sha256(content).hexdigest() != attempt.sha256:
            self.violation(f"{attempt.name} of {self.names[attempt.user]} was served with other bytes")
        self.count("read")

    # --- the promise ---

    def verify(self, servers=None):
        """Every acknowledged file reads back from every server, and every listed file is whole. Raises what is lost."""
        lost = self.losses(servers)
        assert not lost, lost[:20]
        return self.counts

    def losses(self, servers=None):
        """What verify() raises, in words."""
        servers = range(len(self.cluster.servers)) if servers is None else servers
        asked = [(server, user) for server in servers for user in range(len(self.names))]
        with ThreadPoolExecutor(max_workers=4) as pool:
            found = pool.map(lambda pair: self._losses_of(*pair), asked)
            lost = [loss for losses in found for loss in losses]
        self.counts["lost"] = len(lost)
        return lost

    def _losses_of(self, server, user):
        name, lost, known = self.names[user], [], {}
        for attempt in self.attempts:
            if attempt.user == user:
                known.setdefault(attempt.name, []).append(attempt)
        client = self.cluster.client(server)
        client.login(name, PASSWORD)
        listed = {item["filename"]: item for item in client.list(limit=1000)}
        for attempt in self.acknowledged(user):
            if attempt.name not in listed:
                lost.append(f"{attempt.name} of {name} is not listed by server {server + 1}")
        for filename, item in listed.items():
            attempts = known.get(filename, [])
            if attempts and all(attempt.deleted for attempt in attempts):
                lost.append(f"{filename} of {name} was deleted, and is listed by server {server + 1}")
            try:
                digest = hashlib.sha256(client.content(item["id"])).hexdigest()
            except (UnexpectedAnswer, requests.RequestException) as problem:
                lost.append(f"{filename} of {name} cannot be read from server {server + 1}: {problem}")
                continue
            self.count("checked")
            if digest not in {attempt.sha256 for attempt in attempts}:
                lost.append(f"{filename} of {name} has bytes that nobody sent, from server {server + 1}")
        client.close()
        return lost


@contextlib.contextmanager
def under_load(cluster, before=10, after=10, users=2, collect=True):
    """Clients that work before, during and after what is done in the block. Afterwards everything that was acknowledged
    reads back from every server and has its copies on the disks. collect: and nothing else is there after collection; the
    servers of the cluster need a GC_AGE and a GC_GRACE of 0s for that."""
    with Checker(cluster, users=users, seed=next(numbers)) as checker:
        checker.await_acknowledged(before)
        yield checker
        checker.await_acknowledged(after)
    cluster.await_copies()
    counts = checker.verify()
    assert counts["acknowledged"] > 0 and counts["checked"] > 0
    if collect:
        cluster.await_no_orphans()
    cluster.await_files()
