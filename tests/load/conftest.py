"""Fixtures of the tests of load tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.server.chromium import CHROMIUM, MISSING, run_chromium


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """Return an empty page of Chromium, which runs JavaScript."""
    if CHROMIUM is None:
        pytest.fail(MISSING)
    with run_chromium() as browser:
        yield browser.new_page()
