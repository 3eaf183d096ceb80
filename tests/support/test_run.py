"""tests/run.py counts right, whatever a suite does."""

import importlib.util
import os
import sys
import time
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("run", Path(__file__).parents[1] / "run.py")
run = importlib.util.module_from_spec(SPEC)
sys.modules["run"] = run
SPEC.loader.exec_module(run)

LOG = """\
[ RUN      ] Chunk.IsWhole
[       OK ] Chunk.IsWhole (0 ms)
[ RUN      ] Chunk.IsBroken
chunk_test.cpp:7: Failure
[  FAILED  ] Chunk.IsBroken (0 ms)
[ RUN      ] Chunk.IsElsewhere
[  SKIPPED ] Chunk.IsElsewhere (0 ms)
"""


def report(*tests):
    return {"testsuites": [{"name": "Chunk", "testsuite": list(tests)}]}


WHOLE = {"name": "IsWhole", "status": "RUN", "result": "COMPLETED"}
BROKEN = {"name": "IsBroken", "status": "RUN", "result": "COMPLETED", "failures": [{"failure": "chunk_test.cpp:7"}]}
ELSEWHERE = {"name": "IsElsewhere", "status": "RUN", "result": "SKIPPED"}
FILTERED = {"name": "IsNotAsked", "status": "NOTRUN", "result": "SUPPRESSED"}

JUNIT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"><failure message="m">text</failure></testcase>
<testcase name="c"><skipped/></testcase><testcase name="d"><error message="m">setup</error></testcase>
</testsuite></testsuites>"""

QT = """<testsuite><testcase name="initTestCase"/><testcase name="a(row)"/><testcase name="cleanupTestCase"/></testsuite>"""


def counts(outcome):
    return outcome.passed, outcome.failed, outcome.skipped


@pytest.mark.parametrize("how, report, log, ended, expected", [
    ("all kinds", report(WHOLE, BROKEN, ELSEWHERE, FILTERED), LOG, "ended with exit code 1", (1, 1, 1)),
    ("all passed", report(WHOLE, FILTERED), LOG, None, (1, 0, 0)),
    ("a leak found at exit", report(WHOLE), LOG, "ended with exit code 1", (1, 1, 0)),
    ("a crash in a test", None, LOG + "[ RUN      ] Chunk.Crashes\n", "ended by SIGSEGV", (1, 2, 1)),
    ("a crash before the first test", None, "", "ended by SIGSEGV", (0, 1, 0)),
    ("an exit inside a test", None, "[ RUN      ] Chunk.Exits\n", None, (0, 1, 0)),
    ("names that begin alike", None, "[ RUN      ] A.b/1\n[ RUN      ] A.b/10\n[       OK ] A.b/10 (0 ms)\n",
     "ended by SIGABRT", (1, 1, 0)),
])
def test_gtest_counts(how, report, log, ended, expected):
    assert counts(run.read_gtest(report, log, ended)) == expected


def test_a_failing_gtest_shows_what_it_printed():
    outcome = run.read_gtest(report(WHOLE, BROKEN), LOG, "ended with exit code 1")
    assert outcome.failures == [("Chunk.IsBroken", "chunk_test.cpp:7: Failure")]


@pytest.mark.parametrize("how, report, ended, expected", [
    ("all kinds", JUNIT, "ended with exit code 1", (1, 2, 1)),
    ("all passed", '<testsuites><testcase name="a"/></testsuites>', None, (1, 0, 0)),
    ("QtTest", QT, None, (1, 0, 0)),
    ("a bad exit code", '<testsuites><testcase name="a"/></testsuites>', "ended with exit code 3", (1, 1, 0)),
    ("no report", None, "ended by SIGKILL", (0, 1, 0)),
])
def test_pytest_counts(how, report, ended, expected):
    assert counts(run.read_junit(report, "", ended)) == expected


@pytest.fixture
def runner(tmp_path):
    with run.Runner("dev", tmp_path) as runner:
        yield runner


def shell(text, **more):
    return run.Suite("suite", set(), ["sh", "-c", text], kind="fuzz", **more)


@pytest.mark.parametrize("text, expected", [("exit 0", (1, 0, 0)), ("exit 3", (0, 1, 0)), ("kill -SEGV $$", (0, 1, 0))])
def test_an_exit_code_other_than_zero_is_a_failure(runner, text, expected):
    assert counts(runner.run(shell(text))) == expected


def test_a_suite_over_its_limit_is_ended_with_all_it_started(runner, monkeypatch):
    monkeypatch.setattr(run, "INTERRUPT_GRACE_S", 0.2)
    begin = time.monotonic()
    outcome = runner.run(shell("trap : INT; sleep 300 & while :; do wait; done", limit_s=0.2))
    assert counts(outcome) == (0, 1, 0)
    assert "limit" in outcome.failures[0][1]
    assert time.monotonic() - begin < 60
    assert run.end_strays(set()) == []


def test_a_build_with_sanitizers_has_more_patience(tmp_path):
    with run.Runner("asan", tmp_path) as runner:
        outcome = runner.run(shell("exec sleep 300", limit_s=0.4))
    assert "limit of 1 s" in outcome.failures[0][1]


def test_what_a_suite_leaves_running_is_found_and_ended(runner):
    assert counts(runner.run(shell("setsid sleep 4321 & exit 0"))) == (1, 0, 0)
    left = run.end_strays(set(), grace_s=0.2)
    assert left == ["sleep 4321"]
    assert run.end_strays(set()) == []


@pytest.mark.parametrize("label", ["postgres", "postgres_tls", "redis"])
def test_services_start_once_and_end_with_the_runner(tmp_path, label):
    with run.Runner("dev", tmp_path) as runner:
        runner.start_services({label, "files"})
        runner.start_services({label})
        (pid,) = runner.service_pids()
        assert run.end_strays(runner.service_pids(), grace_s=0) == []
        assert runner.environment[run.SERVICES[label][1]].startswith(label.split("_")[0])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
