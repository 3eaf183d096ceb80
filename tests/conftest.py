"""For all Python tests: the folder's name as a label, and the list of what is selected for tests/run.py."""

import json
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def folder_of(item):
    return item.path.relative_to(TESTS).parts[0]


def pytest_addoption(parser):
    parser.addoption("--write-selection", metavar="FILE",
                     help="write the files with selected tests and these tests' labels, as JSON {file: [label...]}")


def pytest_configure(config):
    config.unreadable_files = []
    for folder in TESTS.iterdir():
        if folder.is_dir():
            config.addinivalue_line("markers", f"{folder.name}: tests/{folder.name}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(folder_of(item))


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    report = (yield).get_result()
    if report.failed:
        collector.config.unreadable_files.append(collector.path)


def pytest_collection_finish(session):
    target = session.config.getoption("--write-selection")
    if target:
        selection = {str(path): [] for path in session.config.unreadable_files}
        for item in session.items:
            labels = selection.setdefault(str(item.path), [])
            labels += [mark.name for mark in item.iter_markers()]
        Path(target).write_text(json.dumps(selection))
