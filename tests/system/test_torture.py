"""./dev torture: what a seed chooses, a short run, what it must not overlook, and that it ends what it started."""

import itertools
import signal
import subprocess
import sys
import time
import types

import pytest
import torture
from checker import Checker
from cluster import DisksCluster, chunk_files, open_folder
from program import await_gone, descendants

SEED, SECONDS = 8, 15


def steps(seed, count=300):
    return list(itertools.islice(torture.plan(seed), count))


def test_the_same_seed_chooses_the_same_faults_and_another_seed_others():
    assert steps(5) == steps(5)
    assert len({str(steps(seed, 20)) for seed in range(50)}) == 50


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_comes_once_a_round_and_what_overlaps_has_nothing_in_common(seed):
    kinds = torture.KINDS
    chosen = steps(seed, 3 * len(kinds))
    firsts = [faults[0].kind for faults in chosen]
    for begin in range(0, len(firsts), len(kinds)):
        assert sorted(firsts[begin:begin + len(kinds)]) == sorted(kinds)
    assert {len(faults) for faults in chosen} == {1, 2}
    for faults in chosen:
        assert all(fault.node != fault.other_node for fault in faults)
        for second in faults[1:]:
            assert not kinds[second.kind].touches & kinds[faults[0].kind].touches
            assert not kinds[second.kind].destroys


GOOD = {"acknowledged": 5, "checked": 5}
FELT = {"a": 1, "b": 2}


@pytest.mark.parametrize("counts, injected, seconds, found", [
    (GOOD, FELT, 600, []),
    (GOOD, {"a": 1, "b": 0}, 299, []),
    (GOOD, {"a": 1, "b": 0}, 300, ["never injected: b"]),
    (GOOD, {"a": 0, "b": 0}, 30, ["no fault was injected"]),
    ({"acknowledged": 0, "checked": 0}, FELT, 30, ["nothing was acknowledged"]),
    ({"acknowledged": 5, "checked": 0}, FELT, 30, ["nothing was read back"]),
])
def test_a_run_that_shows_nothing_fails(counts, injected, seconds, found):
    assert torture.shortcomings(counts, injected, seconds) == found


@pytest.mark.parametrize("seconds, needed_after_s, kinds", [(0, 300, 0), (0, 0, len(torture.KINDS))])
def test_a_long_run_goes_on_until_every_kind_had_its_turn(monkeypatch, seconds, needed_after_s, kinds):
    monkeypatch.setattr(torture, "KINDS_NEEDED_AFTER_S", needed_after_s)
    run, injected = object.__new__(torture.Torture), set()
    run.begun, run.out = time.monotonic(), lambda line: None
    run.inject = lambda faults: injected.update(fault.kind for fault in faults)
    run.run(torture.plan(1), seconds)
    assert len(injected) == kinds


@pytest.fixture
def cluster(request):
    with open_folder() as folder, DisksCluster(folder, torture.NODES, torture.SERVERS, torture.WORKERS,
                                               disk_size=None, CHUNK_SIZE="64K", GC_AGE="0s",
                                               GC_GRACE="0s") as cluster:
        request.node.vaults = types.SimpleNamespace(made=cluster.programs())
        yield cluster


@pytest.mark.cluster
@pytest.mark.storage
def test_a_short_run_loses_nothing_and_would_see_a_loss(cluster, capsys):
    checker = Checker(cluster, seed=SEED, repeat_share=0.2, most_files=40)
    run = torture.Torture(cluster, checker)
    with checker:
        checker.await_acknowledged(5)
        run.run(torture.plan(SEED), SECONDS)
        assert run.settle() == []
    assert torture.shortcomings(checker.counts, run.injected, SECONDS) == []
    assert sum(run.injected.values()) > 2 and checker.counts["lost"] == 0

    one = max(chunk_files(cluster.nodes[0]), key=lambda path: path.stat().st_size).name
    for node in cluster.nodes:
        for path in chunk_files(node):
            if path.name == one:
                path.unlink()
    losses = checker.losses()
    assert losses and "cannot be read" in losses[0] and checker.counts["lost"] == len(losses)
    torture.report(run, losses, "./dev torture --seed 8")
    printed = capsys.readouterr().out
    assert f"VIOLATION: {losses[0]}\n             ./dev torture --seed 8\n" in printed and "FAILED" in printed


@pytest.mark.cluster
def test_what_it_started_ends_with_it_when_it_is_interrupted():
    program = subprocess.Popen([sys.executable, torture.__file__, "--seed", "1", "--minutes", "5"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        printed = ""
        while str(steps(1, 1)[0][0]) not in printed:
            line = program.stdout.readline()
            printed += line
            assert line, printed
        started = descendants(program.pid)
        assert {"chunkvault-serv", "chunkvault-stor", "chunkvault-work", "postgres"} <= set(started.values()), started
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == 130, program.stdout.read()
        await_gone(started)
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
