"""Fixtures of the system tests: those of vaults.py, disks that lose power, and the services of the test run."""

import os

import pytest
from powercut_disk import Disk
from services import Postgres, Redis
from vaults import *  # noqa: F403  fixtures


@pytest.fixture
def disk(tmp_path):
    """A powercut_fs that is not mounted yet: on(), cut()."""
    disk = Disk(tmp_path)
    yield disk
    disk.close()


def service(kind, variable, folder):
    if os.environ.get(variable):
        yield os.environ[variable]
    else:  # pytest was called without tests/run.py
        with kind(folder) as running:
            yield running.url


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory):
    """Only for tests with the mark postgres."""
    yield from service(Postgres, "CHUNKVAULT_TEST_POSTGRES", tmp_path_factory.mktemp("postgres"))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """Only for tests with the mark redis."""
    yield from service(Redis, "CHUNKVAULT_TEST_REDIS", tmp_path_factory.mktemp("redis"))
