"""The power goes at one operation of the disk after another, from the first start to the last answer of an upload.

POWER_CUTS=all tries every one, which takes half an hour or so; otherwise it is a number of them, a third of them spread
over the first start and the others over what follows."""

import os
import shutil

import pytest
import requests
from client import split
from vault import PASSWORD

pytestmark = [pytest.mark.storage, pytest.mark.durability]

CHUNK_SIZE = 64 << 10
CUTS = os.environ.get("POWER_CUTS", "60")
LOST = (AssertionError, requests.RequestException)  # what a client or the start of a server meets when the power goes


class Life:
    """A user's first things in a new vault, and which of them were acknowledged."""

    def __init__(self, data, only_starts=False):
        self.only_starts = only_starts
        self.resumed, self.form = data[:2 * CHUNK_SIZE + 5], data[-1000:]
        self.acknowledged = []

    def live(self, vault):
        self.do(vault.start, "started")
        if self.only_starts:
            return
        alice = vault.client()
        self.do(lambda: alice.register("alice", PASSWORD), "registered")
        alice.login("alice", PASSWORD)
        self.do(lambda: self.resume(alice), "resumed")
        self.do(lambda: alice.upload_multipart("form", self.form), "form")

    def resume(self, alice):
        upload = alice.start_upload("key", "resumed", len(self.resumed), modified_at="2026-01-31T12:00:00Z")
        chunks = split(self.resumed, upload.chunk_size)
        if upload.answer["status"] == "open":
            upload.send(chunks, upload.missing(chunks), flights=1)
        return upload.commit(chunks, self.resumed)

    def do(self, what, name):
        what()
        self.acknowledged.append(name)

    def check(self, vault):
        vault.start()
        alice = vault.client()
        if "registered" not in self.acknowledged:
            alice.call("POST", "/auth/register", json={"username": "alice", "email": "alice@example.org",
                                                       "password": PASSWORD}, expect=(201, 409))
        alice.login("alice", PASSWORD)
        files = {item["filename"]: item["id"] for item in alice.list() if item["status"] == "completed"}
        for name, data in (("resumed", self.resumed), ("form", self.form)):
            assert name in files or name not in self.acknowledged, f"{name} was acknowledged and is lost"
            assert name not in files or alice.content(files[name]) == data
        # What was cut off goes on under its key, and gives one file.
        committed = self.resume(alice)
        assert alice.content(committed["file_id"]) == self.resumed
        assert [item["filename"] for item in alice.list()].count("resumed") == 1


def one_life(vault, disk, life, cut_at=None):
    """Ends with a power cut, at that operation or when all is done."""
    shutil.rmtree(disk.state)
    disk.state.mkdir()
    disk.on(*([] if cut_at is None else ["--cut-at", str(cut_at)]))
    try:
        life.live(vault)
    except LOST:
        assert cut_at is not None, "nothing was cut"
    finally:
        if vault.process is not None:
            vault.kill()
        disk.cut()
    return disk.operations()


def cut_points(start, total):
    if CUTS == "all":
        return range(1, total + 1)
    third = max(1, int(CUTS) // 3)
    return [*range(1, start, max(1, start // third)), *range(start, total + 1, max(1, (total - start) // (2 * third)))]


def test_whatever_was_acknowledged_outlives_a_power_cut_at_any_operation(make_vault, disk, random_bytes):
    data = random_bytes(3 * CHUNK_SIZE)
    vault = make_vault(DATA_DIR=disk.mount / "data", CHUNK_SIZE=CHUNK_SIZE)
    start = one_life(vault, disk, Life(data, only_starts=True))
    total = one_life(vault, disk, Life(data))
    reached = set()
    for number in cut_points(start, total):
        life = Life(data)
        one_life(vault, disk, life, number)
        reached.add(len(life.acknowledged))
        disk.on()
        try:
            life.check(vault)
        except LOST as failure:
            raise AssertionError(f"after a cut at operation {number} of {total}") from failure
        finally:
            if vault.process is not None:
                vault.kill()
            disk.cut()
    assert {0, 1, 2, 3} <= reached, "the cuts were not spread over the life"
