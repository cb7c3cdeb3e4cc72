"""One demo and one browser for the whole walk."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.person import CHROMIUM
from tests.tradingsite.installation import Installation
from tests.tradingsite.waiting import wait_for


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What demo.json says of a demo that is running and ready."""
    data_dir = tmp_path_factory.mktemp("browser") / "demo"
    data_dir.mkdir()
    installation = Installation(data_dir)
    process = installation.start("demo", "--port", "0")

    def facts() -> dict[str, Any] | None:
        assert process.poll() is None, installation.printed()
        path = data_dir / "demo.json"
        return json.loads(path.read_text()) if path.exists() else None

    try:
        yield wait_for(facts, within=90, what="demo.json")
    finally:
        process.terminate()
        process.wait(30)
        installation.clean_up()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on this computer.")
    # Playwright's loop runs in this thread, and Django refuses the ORM beside a running loop unless told so.
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()
