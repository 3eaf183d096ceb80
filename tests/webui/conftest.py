"""Fixtures of the tests in a browser: those of vaults.py, and the browser."""

import pytest
from browser import Browser
from vaults import *  # noqa: F403  fixtures


@pytest.fixture(scope="session")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser):
    """open_page(url, width=..., dark=...) opens it in a context of its own, which is closed after the test."""
    pages = []

    def open_page(url, **options):
        pages.append(browser.open(**options))
        return pages[-1].goto(url)

    yield open_page
    for page in pages:
        page.close()
