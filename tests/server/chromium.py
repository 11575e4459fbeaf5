"""The system's Chromium, for tests and screenshots of the pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "no chromium on the PATH (Debian: apt-get install chromium)"


@contextmanager
def run_chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # root in a container has no sandbox; the pages are trusted
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
