"""Acknowledged means durable: the order of system calls behind each answer, and power cuts in the middle of a load."""

import json
import random
import re
import subprocess
import time

import pytest
import requests
from client import sha256, split
from load import Load, interrupt

pytestmark = [pytest.mark.storage, pytest.mark.durability]

KIB = 1 << 10
CHUNK_SIZE = 64 * KIB
DEADLINE_S = 60


# --- the order of system calls ----------------------------------------------------------------------------------------

CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
FIRST_PATH = re.compile(r"^-?\w+<([^>]*)>")
RENAME = re.compile(r'^\w+<([^>]*)>, "([^"]*)", \w+<([^>]*)>, "([^"]*)"')
ANSWER = re.compile(r'"HTTP/1\.1 (\d\d\d) ')


def events_of(trace):
    """What happened on the disk and towards clients, in order, as (kind, path, path). Something that makes durable
    counts when it has ended, what has to be made durable and an answer when it begins."""
    events, begun = [], {}
    for line in trace:
        if resumed := RESUMED.match(line):
            name, arguments = begun.pop(resumed[1], (resumed[2], ""))
            begins, rest = False, resumed[3]
        elif call := CALL.match(line):
            name, arguments, begins, rest = call[2], call[3], True, call[3]
        else:
            continue
        ends = "<unfinished" not in line
        if begins and not ends:
            begun[call[1]] = (name, arguments)
        path = FIRST_PATH.match(arguments)
        if name in ("write", "pwrite64", "writev", "pwritev") and begins and path:
            events.append(("write", path[1], None))
        if name in ("write", "writev", "sendto", "sendmsg", "send") and begins and (answer := ANSWER.search(arguments)):
            events.append(("answer", answer[1], None))
        done = ends and rest.rstrip().endswith("= 0")
        if name in ("fsync", "fdatasync") and done and path:
            events.append(("sync", path[1], None))
        if name == "renameat" and done and (renamed := RENAME.match(arguments)):
            events.append(("rename", f"{renamed[1]}/{renamed[2]}", f"{renamed[3]}/{renamed[4]}"))
    return events


def index_of(events, kind, path, begin=0, end=None):
    """The last one in that range, or None."""
    for index in range((len(events) if end is None else end) - 1, begin - 1, -1):
        if events[index][:2] == (kind, path):
            return index
    return None


def durable_at(events, answered, name_end):
    """When the last of one store's steps for a chunk was done, or None."""
    for renamed in range(answered):
        kind, source, target = events[renamed]
        if kind != "rename" or not target.endswith(name_end):
            continue
        written = index_of(events, "write", source, 0, renamed)
        synced = index_of(events, "sync", source, 0, renamed)
        named = index_of(events, "sync", target.rpartition("/")[0], renamed, answered)
        if written is not None and synced is not None and named is not None and written < synced:
            return named
    return None


def complaints(trace, chunks, stores, quorum):
    """Why the first answer of success in the trace came too early; empty when it did not. The trace is of one request
    that stores these chunks."""
    events = events_of(trace)
    answered = next((index for index, event in enumerate(events) if event[0] == "answer" and event[1][0] == "2"), None)
    if answered is None:
        return ["there is no answer"]
    found, last = [], 0
    for chunk in chunks:
        digest = sha256(chunk)
        times = [durable_at(events, answered, f"/{store}/chunks/{digest[:2]}/{digest}") for store in stores]
        times = sorted(at for at in times if at is not None)
        if len(times) < quorum:
            found.append(f"chunk {digest} was durable on {len(times)} stores")
        else:
            last = max(last, times[quorum - 1])
    logs = {path for kind, path, _ in events if kind == "write" and path.endswith("/catalog.sqlite-wal")}
    written = [index for index, event in enumerate(events[:answered]) if event[0] == "write" and event[1] in logs]
    synced = [index for index, event in enumerate(events[:answered]) if event[0] == "sync" and event[1] in logs]
    if not any(last < at < sync for at in written for sync in synced):
        found.append("the database was not durable")
    return found


class Traced:
    """A vault under strace."""

    def __init__(self, make_vault, folder, inject=None, **settings):
        self.file = folder / "trace"
        # A build with AddressSanitizer looks for leaks at its end as a tracer of itself, which a traced process cannot.
        self.vault = make_vault(CHUNK_SIZE=CHUNK_SIZE, SWEEP_INTERVAL="24h", LSAN_OPTIONS="detect_leaks=0", **settings)
        self.vault.wrapper = ["strace", "-D", "-f", "-y", "-s", "64", "-o", str(self.file), "-e",
                              "trace=fsync,fdatasync,renameat,write,writev,pwrite64,pwritev,sendto,sendmsg",
                              "-e", "signal=none"] + (["-e", f"inject={inject}:retval=0"] if inject else [])
        self.vault.start()
        self.alice = self.vault.user()

    def of(self, request):
        """The lines of the trace that were written from just before the request to its answer."""
        begin = self.file.stat().st_size
        request()
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with open(self.file, "rb") as file:
                file.seek(begin)
                lines = file.read().decode(errors="replace").splitlines()
            if any(event[0] == "answer" for event in events_of(lines)):
                return lines
            assert time.monotonic() < deadline, "the answer is not in the trace"
            time.sleep(0.02)


STORES = ("store-1", "store-2", "store-3")


def by_form(alice, data):
    return lambda: alice.upload_multipart("file", data)


def by_batch(alice, data):
    parts = split(data, CHUNK_SIZE)
    files = [{"path": f"file{number}", "size": len(part), "hash": sha256(part)} for number, part in enumerate(parts)]
    body = json.dumps({"files": files}).encode() + b"\n" + data
    return lambda: alice.call("POST", "/files/batch", data=body, expect=200)


def by_chunk(alice, data):
    upload = alice.start_upload("key", "file", len(data))
    return lambda: upload.put(0, data)


@pytest.mark.parametrize("quorum", [2, 3])
@pytest.mark.parametrize("door, size", [(by_form, 3 * CHUNK_SIZE + 1), (by_batch, 3 * CHUNK_SIZE), (by_chunk, CHUNK_SIZE)],
                         ids=["form", "batch", "chunk"])
def test_no_answer_leaves_before_its_bytes_are_durable(make_vault, tmp_path, random_bytes, door, size, quorum):
    traced = Traced(make_vault, tmp_path, WRITE_QUORUM=quorum)
    data = random_bytes(size)
    trace = traced.of(door(traced.alice, data))
    assert complaints(trace, split(data, CHUNK_SIZE), STORES, quorum) == []


def test_no_commit_is_answered_before_the_database_is_durable(make_vault, tmp_path, random_bytes):
    traced = Traced(make_vault, tmp_path)
    data = random_bytes(2 * CHUNK_SIZE)
    chunks = split(data, CHUNK_SIZE)
    upload = traced.alice.start_upload("key", "file", len(data))
    upload.send(chunks, upload.missing(chunks))
    assert complaints(traced.of(lambda: upload.commit(chunks, data)), [], STORES, 2) == []


@pytest.mark.parametrize("call", ["fsync", "fdatasync"])
def test_a_server_that_leaves_out_a_sync_is_caught(make_vault, tmp_path, random_bytes, call):
    traced = Traced(make_vault, tmp_path, inject=call)
    data = random_bytes(CHUNK_SIZE)
    trace = [line for line in traced.of(by_form(traced.alice, data)) if "(INJECTED)" not in line]
    assert complaints(trace, [data], STORES, 2) != []


def test_each_sync_of_a_good_trace_is_needed(make_vault, tmp_path, random_bytes):
    traced = Traced(make_vault, tmp_path, WRITE_QUORUM=3)
    data = random_bytes(CHUNK_SIZE)
    trace = traced.of(by_chunk(traced.alice, data))
    assert complaints(trace, [data], STORES, 3) == []
    ends = [index for index, line in enumerate(trace) if re.search(r"\bf(data)?sync\b.*= 0$", line)]
    of_store = {index for index in ends if complaints(trace[:index] + trace[index + 1:], [data], STORES, 3) != []}
    assert len(of_store) >= 2 * len(STORES), "one for each file and one for each folder"
    log_free = [line for line in trace if not re.search(r"fdatasync", line)]
    assert complaints(log_free, [data], STORES, 3) == ["the database was not durable"]


# --- power cuts -------------------------------------------------------------------------------------------------------


def run_and_cut(vault, disk, alice, name, after_s):
    """One life of the machine: a load, and the power goes. The loads, for their check."""
    loads = [Load(alice.again(), f"{name}-{number}", seed=number) for number in range(2)]

    def cut():
        vault.kill()
        disk.cut()

    interrupt(loads, after_s, cut)
    return loads


def test_what_was_acknowledged_outlives_a_power_cut(make_vault, disk):
    vault = make_vault(DATA_DIR=disk.mount / "data", CHUNK_SIZE=CHUNK_SIZE)
    disk.on()
    vault.start()
    try:
        alice = vault.user()
        moment = random.Random(11)
        loads = []
        for number in range(6):
            loads += run_and_cut(vault, disk, alice, number, moment.uniform(0.1, 1.5))
            disk.on()
            vault.start()
            alice = alice.again()
            for load in loads:
                load.check(alice)
        assert sum(len(load.ids) for load in loads) > 10, "the load was too slow to show anything"
    finally:
        vault.stop()


def test_a_disk_that_only_pretends_to_sync_is_noticed_by_this_test(make_vault, disk):
    vault = make_vault(DATA_DIR=disk.mount / "data", CHUNK_SIZE=CHUNK_SIZE)
    disk.on()
    vault.start()
    alice = vault.user()
    vault.stop()
    disk.cut()
    disk.on("--lie")
    vault.start()
    loads = run_and_cut(vault, disk, alice, "lost", 1.5)
    assert any(load.ids for load in loads), "nothing was acknowledged"
    disk.on()
    vault.start()
    with pytest.raises((AssertionError, requests.RequestException)):
        for load in loads:
            load.check(alice.again())
    vault.stop()
