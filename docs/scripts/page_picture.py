"""Makes docs/page.png: the ladder on a call's page, in a real Chromium, over calls of the tests.

Usage: python docs/scripts/page_picture.py
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import sync_playwright

from stream.api.ui.rendering import call_path
from tests.api.ui.browser.conftest import chromium, served
from tests.api.ui.stored_calls import key_of, stored

PICTURE = Path(__file__).resolve().parents[1] / "page.png"
WIDTH, HEIGHT = 1000, 900
TRACE = "gap-healed-by-a-poll"
"""A callback that never came, a request to the application, an alert."""


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        stored(Path(folder), datetime.now(UTC)) as archive,
        served(archive, {"api_tokens": ()}) as (url,),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(url + call_path(key_of(TRACE)))
        page.locator("section:has(svg.ladder)").screenshot(path=str(PICTURE))
        browser.close()


if __name__ == "__main__":
    main()
