"""Chromium, one for all tests of a process: a second one beside it would find the first one's event loop."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.integration.console.browser import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a process."""
    with chromium() as running:
        yield running
