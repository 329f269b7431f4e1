"""Chromium, one for all tests of a module: a second one beside it would find the first one's event loop."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.integration.console.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a module.

    While it is open the main thread has a running event loop, with which no test of another module reckons: a queue of
    jobs, for one, refuses to start beside it.
    """
    with chromium() as running:
        yield running
