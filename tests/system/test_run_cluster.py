"""./dev cluster: it starts, can be used, ends with Ctrl-C without leaving anything, and comes back as it was."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from client import Client
from cluster import open_folder
from program import await_gone, descendants, sanitizer_options
from services import free_port
from vault import PASSWORD

pytestmark = [pytest.mark.cluster]

PROGRAMS = {"chunkvault-serv": 2, "chunkvault-stor": 4, "chunkvault-work": 2}  # as the kernel cuts their names


@contextlib.contextmanager
def running(folder):
    """The process, in a group of its own as a shell gives it, and the addresses of its servers."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "CHUNKVAULT_BIN")}
    process = subprocess.Popen([sys.executable, Path(__file__).with_name("run_cluster.py"), folder],
                               env=kept | sanitizer_options(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        printed = ""
        while "/admin/nodes" not in printed:
            line = process.stdout.readline()
            printed += line
            assert line, printed
        yield process, re.search(r"API servers +(http\S+) +(http\S+)", printed).groups()
    finally:
        if process.poll() is None:
            for pid in [*descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def interrupt(process):
    """As Ctrl-C in a terminal does, which all processes of the group get."""
    started = descendants(process.pid)
    names = list(started.values())
    assert {name: names.count(name) for name in PROGRAMS} == PROGRAMS and "postgres" in names, started
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) == 0, process.stdout.read()
    await_gone(started)


def test_a_cluster_to_try_out_ends_with_ctrl_c_and_comes_back_with_its_files():
    with open_folder() as folder:
        kept = folder / "cluster.json"
        kept.write_text(json.dumps({"servers": [free_port(), free_port()]}))
        kept.chmod(0o644)
        data = os.urandom(300_000)
        with running(folder) as (process, (first, second)):
            alice = Client(first)
            alice.register("alice", PASSWORD)
            alice.login("alice", PASSWORD)
            file_id = alice.upload_multipart("film", data)["file_id"]
            share = alice.share(file_id)["share_token"]
            assert alice.again(second).content(file_id) == data
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
            known = json.loads(kept.read_text())
            assert len(known["secret_key"]) >= 32 and len(set(known["secret_key"])) > 4
            assert known["secret_key"] != known["secret"]
            interrupt(process)
        with running(folder) as (process, (first, second)):
            assert json.loads(kept.read_text()) == known
            again = Client(second)
            again.login("alice", PASSWORD)
            assert [item["id"] for item in again.list()] == [file_id]
            assert again.content(file_id) == data
            assert again.open_share(share).content == data, "links are good, so the key is the same"
            interrupt(process)
