"""A page in headless Chromium, driven by Playwright, for tests of HTML files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


needs_browser = pytest.mark.skipif(find_chromium() is None, reason="needs Chromium on the PATH")


class BrowserPage:
    """One page. `errors` collects uncaught exceptions and whatever is logged as an error."""

    def __init__(self, page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: Path) -> None:
        self.page.goto(path.as_uri())

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)

    def wait(self, condition: str, seconds: float = 15.0) -> None:
        # Playwright's own wait_for_function needs eval, which the report's Content-Security-Policy forbids.
        end = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            self.page.wait_for_timeout(30)


@contextmanager
def open_browser(width: int = 1280, height: int = 900, **options: Any) -> Iterator[BrowserPage]:
    """An empty page; `options` are those of Playwright's `new_page`."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        try:
            yield BrowserPage(browser.new_page(viewport={"width": width, "height": height}, **options))
        finally:
            browser.close()
