"""Fixtures for tests that drive the real server: vaults, and bad networks in front of them. A folder's conftest.py
imports all of them."""

import random

import pytest
from operations import World
from proxy import Proxy
from vault import Vault

LOG_LINES_SHOWN = 60


class Vaults:
    """Makes vaults, and ends all of them."""

    def __init__(self, folder):
        self.folder = folder
        self.made = []

    def __call__(self, **settings):
        self.made.append(Vault(self.folder / f"vault{len(self.made) + 1}", **settings))
        return self.made[-1]

    def close(self):
        failures = []
        for vault in self.made:
            try:
                vault.stop()
            except AssertionError as failure:
                failures.append(str(failure))
        assert not failures, failures


@pytest.fixture
def make_vault(tmp_path, request):
    """make_vault(SETTING=value...) gives a vault that is not started yet; it is stopped after the test."""
    request.node.vaults = vaults = Vaults(tmp_path)
    yield vaults
    vaults.close()


@pytest.fixture
def vault(make_vault):
    """A running vault with nothing in it but the admin's account."""
    return make_vault().start()


@pytest.fixture(scope="module")
def module_vaults(tmp_path_factory):
    vaults = Vaults(tmp_path_factory.mktemp("module"))
    yield vaults
    vaults.close()


@pytest.fixture
def shared_vault(module_vaults, request):
    """One running vault for all tests of a file; each test makes users of its own."""
    if not module_vaults.made:
        # More stores than copies, so that one can be drained and one be taken away.
        module_vaults(STORAGE_PATHS=",".join(f"data/stores/store-{number}" for number in range(1, 6)))
    request.node.vaults = module_vaults
    vault = module_vaults.made[0]
    if vault.process is None:
        vault.start()
    return vault


@pytest.fixture
def world(shared_vault):
    """A new account of the shared vault."""
    return World(shared_vault)


@pytest.fixture
def guest(shared_vault):
    """Somebody without an account."""
    return shared_vault.client()


@pytest.fixture
def make_proxy():
    """make_proxy(vault) gives a Proxy in front of it; it is closed after the test."""
    made = []

    def make(vault):
        made.append(Proxy(vault.port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def random_bytes():
    """random_bytes(size) gives other bytes at each call, and the same ones in each run."""
    return random.Random(1).randbytes


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        for vault in getattr(getattr(item, "vaults", None), "made", []):
            lines = vault.log_text().splitlines()[-LOG_LINES_SHOWN:]
            # A section whose name begins so is written to the JUnit file, which is what tests/run.py shows.
            report.sections.append((f"Captured stdout: {vault.log.parent.name}/{vault.log.name}", "\n".join(lines)))
