#!/usr/bin/python3
"""Runs the tests of a build and counts them. ./dev test builds first and is the way to call this.

Suites are the gtest and QtTest executables named in build/PRESET/tests.list, the fuzz targets named in
build/fuzz/fuzz.list, and the files tests/**/test_*.py. Each runs in a process group of its own with a time limit; what it prints goes to
build/PRESET/test-results/ and is shown only for tests that fail. PostgreSQL and Redis are started when a selected suite
asks for them by its label. Whatever a suite leaves running is ended and counts as a failure. The last line is always
"N passed, N failed, N skipped"."""

import argparse
import configparser
import ctypes
import dataclasses
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS / "support"))

from services import Postgres, Redis  # noqa: E402

SUITE_LIMIT_S = 600
PATIENCE = {"asan": 3, "tsan": 3}  # times the limit: how much slower such a build may be
OFFSCREEN = {"QT_QPA_PLATFORM": "offscreen"}  # windows of tests need no display
QT_FRAME = ("initTestCase", "cleanupTestCase")  # what QtTest reports beside the tests
INTERRUPT_GRACE_S = 10
STRAY_GRACE_S = 2
SHOWN_LINES = 120  # of one failing test
PYTHON = "/usr/bin/python3"
SERVICES = {"postgres": (Postgres, "CHUNKVAULT_TEST_POSTGRES"),
            "postgres_tls": (functools.partial(Postgres, tls=True), "CHUNKVAULT_TEST_POSTGRES_TLS"),
            "redis": (Redis, "CHUNKVAULT_TEST_REDIS")}


@dataclasses.dataclass
class Suite:
    name: str
    labels: set
    command: list
    kind: str = "gtest"  # gtest, qttest, pytest, fuzz
    limit_s: float = SUITE_LIMIT_S


@dataclasses.dataclass
class Outcome:
    """What a suite did. failures are (test, text) pairs; there may be fewer than failed tests, never more."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def fail(self, test, text):
        self.failed += 1
        self.failures.append((test, text))


# --- reading results --------------------------------------------------------------------------------------------------


def gtest_sections(log):
    """What each test printed, by the test's full name, from a gtest executable's output."""
    sections, name = {}, None
    for line in log.splitlines():
        if begin := re.search(r"\[ RUN      \] (\S+)", line):
            name = begin[1]
            sections[name] = []
        elif name and re.search(r"\[ *(OK|FAILED|SKIPPED) *\] " + re.escape(name), line):
            name = None
        elif name:
            sections[name].append(line)
    return {test: "\n".join(lines) for test, lines in sections.items()}


def read_gtest(report, log, how_it_ended):
    """report: the JSON document, or None when the executable did not get to write it. how_it_ended: None for exit
    code 0."""
    outcome = Outcome()
    sections = gtest_sections(log)
    if report is not None:
        for suite in report["testsuites"]:
            for test in suite["testsuite"]:
                if test["status"] != "RUN":
                    continue
                name = f"{suite['name']}.{test['name']}"
                if "failures" in test:
                    texts = "\n".join(failure["failure"] for failure in test["failures"])
                    outcome.fail(name, sections.get(name) or texts)
                elif test.get("result") == "SKIPPED":
                    outcome.skipped += 1
                else:
                    outcome.passed += 1
        if how_it_ended and not outcome.failed:
            outcome.fail("(the executable)", f"{how_it_ended}\n{log}")
        return outcome

    running = None
    for name, printed in sections.items():
        end = re.search(r"\[ *(OK|FAILED|SKIPPED) *\] " + re.escape(name) + r"(?![\w/])", log)
        if end is None:
            running = name
        elif end[1] == "OK":
            outcome.passed += 1
        elif end[1] == "SKIPPED":
            outcome.skipped += 1
        else:
            outcome.fail(name, printed)
    printed = sections.get(running, log)
    outcome.fail(running or "(the executable)", f"{how_it_ended or 'no report was written'}\n{printed}")
    return outcome


def read_junit(report, log, how_it_ended):
    """report: the XML text or None when pytest or QtTest did not get to write it. how_it_ended: None for exit code 0."""
    outcome = Outcome()
    if report is not None:
        for case in xml.etree.ElementTree.fromstring(report).iter("testcase"):
            name = case.get("name")
            bad = [child for child in case if child.tag in ("failure", "error")]
            if bad:
                printed = [child.text or "" for child in case if child.tag.startswith("system-")]
                outcome.fail(name, "\n".join([child.text or child.get("message", "") for child in bad] + printed))
            elif case.find("skipped") is not None:
                outcome.skipped += 1
            elif name not in QT_FRAME:
                outcome.passed += 1
    if report is None or (how_it_ended and not outcome.failed):
        outcome.fail("(the whole file)", f"{how_it_ended or 'no report was written'}\n{log}")
    return outcome


def read_fuzz(name, log, how_it_ended):
    if not how_it_ended:
        return Outcome(passed=1)
    outcome = Outcome()
    outcome.fail(name, f"{how_it_ended}\n{log}")
    return outcome


# --- processes --------------------------------------------------------------------------------------------------------


def become_subreaper():
    """Orphans of what runs below become children of this process, so that none is overlooked."""
    set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0)


def descendants(ignored_roots):
    """Process ids below this process, without those in ignored_roots and below them."""
    children = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append((int(entry.parent.name), fields[0]))
    found, waiting = {}, [os.getpid()]
    while waiting:
        for pid, state in children.get(waiting.pop(), []):
            if pid not in ignored_roots:
                found[pid] = state
                waiting.append(pid)
    return found


def end_strays(ignored_roots, grace_s=STRAY_GRACE_S):
    """Ends what is left running after a suite; the command lines of what did not end by itself."""
    deadline = time.monotonic() + grace_s
    while True:
        alive = descendants(ignored_roots)
        for pid, state in list(alive.items()):
            if state == "Z":
                del alive[pid]
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
        if not alive or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    lines = []
    for pid in alive:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            lines.append(" ".join(arguments).strip())
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    return lines


class Runner:
    """Runs suites one at a time, or several from threads; on leaving the context nothing that it started is alive."""

    def __init__(self, preset, build=None):
        self.preset = preset
        self.build = build or ROOT / "build" / preset
        self.results = self.build / "test-results"
        self.services = {}
        self.running = set()
        self.lock = threading.Lock()
        self.stopping = False
        self.folder = None
        self.environment = dict(os.environ)

    def __enter__(self):
        become_subreaper()
        shutil.rmtree(self.results, ignore_errors=True)
        self.results.mkdir(parents=True)
        self.folder = Path(tempfile.mkdtemp(prefix="chunkvault-tests-"))
        self.folder.chmod(0o755)  # PostgreSQL runs as another user below it
        temporary = self.folder / "tmp"
        temporary.mkdir()
        self.environment |= {
            "CHUNKVAULT_BIN": str(self.build / "bin"),
            "CHUNKVAULT_PRESET": self.preset,
            "CHUNKVAULT_RESULTS": str(self.results),
            "TMPDIR": str(temporary),
            "PYTHONDONTWRITEBYTECODE": "1",
            **OFFSCREEN,
            "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
            "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:suppressions='{TESTS}/support/tsan.supp'",
        }
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second Ctrl-C must not leave servers behind
        self.stopping = True
        with self.lock:
            for process in self.running:
                self._kill(process)
        for service in self.services.values():
            service.stop()
        end_strays(set(), grace_s=0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_services(self, labels):
        for label in sorted(SERVICES.keys() & labels - self.services.keys()):
            make, variable = SERVICES[label]
            self.services[label] = make(self.folder / label)
            self.environment[variable] = self.services[label].start().url

    def service_pids(self):
        return {service.process.pid for service in self.services.values() if service.process}

    def run(self, suite):
        begin = time.monotonic()
        base = self.results / suite.name.replace("/", "_")
        log, report = base.with_suffix(".log"), base.with_suffix(".json" if suite.kind == "gtest" else ".xml")
        command = list(suite.command)
        if suite.kind == "gtest":
            command.append(f"--gtest_output=json:{report}")
        elif suite.kind == "qttest":
            command[1:1] = ["-o", f"{report},junitxml", "-o", "-,txt"]
        elif suite.kind == "pytest":
            command.append(f"--junitxml={report}")
        how_it_ended = self._execute(command, log, suite.limit_s * PATIENCE.get(self.preset, 1))
        printed = log.read_text(errors="replace")
        if suite.kind == "gtest":
            outcome = read_gtest(self._json(report), printed, how_it_ended)
        elif suite.kind in ("qttest", "pytest"):
            outcome = read_junit(report.read_text() if report.exists() else None, printed, how_it_ended)
        else:
            outcome = read_fuzz(suite.name, printed, how_it_ended)
        outcome.seconds = time.monotonic() - begin
        return outcome

    @staticmethod
    def _json(path):
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return None

    def _execute(self, command, log, limit_s):
        """Runs to the end or the limit. None, or a sentence on how it went wrong."""
        with open(log, "wb") as output, self.lock:
            if self.stopping:
                return "not started"
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
            self.running.add(process)
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            # An interrupt first: pytest then says where it was and stops its fixtures.
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(INTERRUPT_GRACE_S)
            except subprocess.TimeoutExpired:
                pass
            self._kill(process)
            process.wait()
            return f"ended after its limit of {limit_s:.0f} s"
        finally:
            with self.lock:
                self.running.discard(process)
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}" if code else None

    @staticmethod
    def _kill(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


# --- selection --------------------------------------------------------------------------------------------------------


def read_list(path):
    """Lines "name label...", as {name: labels}."""
    if not path.exists():
        return {}
    return {words[0]: set(words[1:]) for words in map(str.split, path.read_text().splitlines()) if words}


def python_labels():
    config = configparser.ConfigParser()
    config.read(TESTS / "pytest.ini")
    markers = {line.split(":")[0].strip() for line in config["pytest"]["markers"].splitlines() if line.strip()}
    return markers | {file.relative_to(TESTS).parts[0] for file in TESTS.glob("*/**/test_*.py")}


def qt_functions(executable, words):
    """The arguments that pick the tests with one of the words in their names; None when none has."""
    if not words or any(word in Path(executable).name for word in words):
        return []
    listed = subprocess.run([executable, "-functions"], env=os.environ | OFFSCREEN, stdout=subprocess.PIPE,
                            stdin=subprocess.DEVNULL, text=True)
    functions = [line.removesuffix("()") for line in listed.stdout.split()]
    return [function for function in functions if any(word in function for word in words)] or None


def gtest_suites(executables, build, labels, words):
    suites = []
    for name, own in executables.items():
        if labels and not labels & own:
            continue
        command = [str(build / "bin" / name)]
        if "qt" in own:
            functions = qt_functions(command[0], words)
            if functions is not None:
                suites.append(Suite(name, own, command + functions, kind="qttest"))
            continue
        if words:
            command.append("--gtest_filter=" + ":".join(f"*{word}*" for word in words))
            listed = subprocess.run(command + ["--gtest_list_tests"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            if listed.returncode == 0 and not re.search(rb"^  ", listed.stdout, re.MULTILINE):
                continue
        suites.append(Suite(name, own, command))
    return suites


def pytest_suites(runner, where, labels, words):
    """One suite for each file with a selected test. A file that cannot be read stays in, so that it fails visibly."""
    if not list(where.glob("**/test_*.py")):
        return []
    base = [PYTHON, "-m", "pytest", "-q"]
    chosen = (["-m", " or ".join(sorted(labels))] if labels else []) + (["-k", " or ".join(words)] if words else [])
    selection = runner.results / "selection.json"
    subprocess.run(base + [str(where), "--collect-only", "--continue-on-collection-errors",
                           f"--write-selection={selection}", *chosen],
                   cwd=ROOT, env=runner.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    if selection.exists():
        found = {file: set(own) for file, own in json.loads(selection.read_text()).items()}
    else:
        found = {str(file): set() for file in where.glob("**/test_*.py")}
    return [Suite(str(Path(file).relative_to(TESTS)), own, [*base, file, *chosen], kind="pytest")
            for file, own in sorted(found.items())]


def fuzz_suites(seconds):
    build = ROOT / "build" / "fuzz"
    suites = []
    for target in read_list(build / "fuzz.list"):
        name = target.removeprefix("fuzz_")
        grown, kept, artifacts = build / "corpus" / name, TESTS / "fuzz" / "corpus" / name, build / "artifacts"
        for folder in (grown, artifacts):
            folder.mkdir(parents=True, exist_ok=True)
        command = [str(build / "bin" / target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
                   "-print_final_stats=1", f"-artifact_prefix={artifacts}/{name}-", str(grown)]
        if kept.is_dir():
            command.append(str(kept))
        suites.append(Suite(target, {"fuzz"}, command, kind="fuzz", limit_s=seconds + 120))
    return suites


# --- reporting --------------------------------------------------------------------------------------------------------


def shortened(text):
    lines = text.rstrip().splitlines()
    if len(lines) <= SHOWN_LINES:
        return lines
    head = SHOWN_LINES // 3
    tail = SHOWN_LINES - head
    return lines[:head] + [f"... {len(lines) - SHOWN_LINES} lines left out ..."] + lines[-tail:]


def summary(outcome):
    return f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"


def show(suite, outcome):
    verdict = "FAILED" if outcome.failed else "ok"
    counts = [f"{outcome.passed} passed"]
    counts += [f"{outcome.failed} failed"] if outcome.failed else []
    counts += [f"{outcome.skipped} skipped"] if outcome.skipped else []
    print(f"  {verdict:6}  {suite.name:44} {', '.join(counts):28} {outcome.seconds:7.1f} s")
    for test, text in outcome.failures:
        print(f"\n    --- {test}")
        for line in shortened(text):
            print(f"    {line}")
        print()
    sys.stdout.flush()


def parse(arguments):
    parser = argparse.ArgumentParser(description="Run the tests of a build.")
    parser.add_argument("--preset", default="dev")
    parser.add_argument("--quick", action="store_true", help="C++ tests without the label slow, and the style tests")
    parser.add_argument("--fuzz", type=int, metavar="SECONDS", help="run each fuzz target for so long")
    parser.add_argument("--picks", metavar="FOLDER",
                        help="run nothing; exit with 0 when one of the Python tests of this folder would be run")
    parser.add_argument("words", nargs="*", help="labels, or parts of test names")
    options = parser.parse_args(arguments)
    for word in options.words:
        if not re.fullmatch(r"[\w./-]+", word):
            parser.error(f"'{word}' is neither a label nor a part of a test's name")
    return options


def labels_and_words(options, known):
    return ({word for word in options.words if word in known}, [word for word in options.words if word not in known])


def picks(runner, options):
    """Needs no build."""
    labels, words = labels_and_words(options, {"fuzz"} | python_labels())
    return any(suite.name.startswith(f"{options.picks}/") for suite in pytest_suites(runner, TESTS, labels, words))


def select(runner, options, known):
    labels, words = labels_and_words(options, known)
    executables = read_list(runner.build / "tests.list")
    if options.quick:
        executables = {name: own for name, own in executables.items() if "slow" not in own}
        return gtest_suites(executables, runner.build, set(), []) + pytest_suites(runner, TESTS, {"style"}, [])
    suites = []
    if labels != {"fuzz"}:
        suites += gtest_suites(executables, runner.build, labels, words)
        # The other folders look at sources and at this program, the same in every build.
        where = TESTS if runner.preset == "dev" else TESTS / "system"
        suites += pytest_suites(runner, where, labels, words)
    if options.fuzz is not None and not words and (not labels or "fuzz" in labels):
        suites += fuzz_suites(options.fuzz)
    return suites


def run_all(runner, suites, total):
    runner.start_services(set().union(*(suite.labels for suite in suites)) if suites else set())
    failures = []

    def account(suite, outcome):
        show(suite, outcome)
        total.passed += outcome.passed
        total.failed += outcome.failed
        total.skipped += outcome.skipped
        failures.extend(f"{suite.name}: {test}" for test, _ in outcome.failures)

    for suite in suites:
        if suite.kind != "fuzz":
            outcome = runner.run(suite)
            for line in end_strays(runner.service_pids()):
                outcome.fail("(left running)", line)
            account(suite, outcome)
    fuzz = [suite for suite in suites if suite.kind == "fuzz"]
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            for suite, outcome in zip(fuzz, pool.map(runner.run, fuzz)):
                account(suite, outcome)
        except BaseException:
            runner.__exit__()
            raise
    if failures:
        print("\nFailed:")
        for line in failures:
            print(f"  {line}")


def main(arguments):
    options = parse(arguments)
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    total, code = Outcome(), 1
    try:
        with Runner(options.preset) as runner:
            if options.picks:
                return 0 if picks(runner, options) else 1
            known = {"fuzz"} | python_labels()
            known = known.union(*read_list(runner.build / "tests.list").values())
            suites = select(runner, options, known)
            run_all(runner, suites, total)
        if total.passed + total.failed + total.skipped == 0:
            print(f"No test matches: {' '.join(options.words) or '(everything)'}")
            print(f"Labels: {' '.join(sorted(known))}")
        else:
            code = 1 if total.failed else 0
    except KeyboardInterrupt:
        code = 130
        print("\nInterrupted.")
    finally:
        if not options.picks:
            print(summary(total), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
