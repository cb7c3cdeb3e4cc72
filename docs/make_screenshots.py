"""Make the pictures of the README from a real demo: `make screenshots`.

The demo runs in a folder of its own and ends with this program.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "screenshots"
READY_WITHIN, A_RUN_MS = 90.0, 60_000
SOON = 90.0


@contextmanager
def demo(data_dir: Path) -> Iterator[dict[str, Any]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ALPACA")}
    command = [sys.executable, str(ROOT / "manage.py"), "demo", "--port", "0", "--data-dir", str(data_dir)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        facts = data_dir / "demo.json"
        deadline = time.monotonic() + READY_WITHIN
        while not facts.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The demo did not become ready; run `make demo` to see why.")
            time.sleep(0.2)
        yield json.loads(facts.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def log_in(browser: Browser, facts: dict[str, Any], *, dark: bool = False, width: int = 1360) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"{facts['url'].rstrip('/')}/accounts/login/")
    person = next(user for user in facts["users"] if user["username"] == "ops")
    page.get_by_label("Username").fill(person["username"])
    page.get_by_label("Password").fill(person["password"])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", level=1).wait_for()
    return page


def take(page: Page, facts: dict[str, Any], path: str, name: str, *, height: int | None = 900) -> None:
    """`height` None takes the whole page."""
    page.goto(facts["url"].rstrip("/") + path)
    page.wait_for_timeout(500)
    target = PICTURES / f"{name}.png"
    page.screenshot(path=target, full_page=height is None)
    sys.stdout.write(f"{target.relative_to(ROOT)}  {target.stat().st_size // 1024} KiB\n")


def wait_for(page: Page, facts: dict[str, Any], path: str, selector: str) -> None:
    """Runs and the market data that charts show come soon after the start, and not with it."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        page.goto(facts["url"].rstrip("/") + path)
        if page.locator(selector).count():
            return
        time.sleep(1)
    raise SystemExit(f"{path} did not show {selector} within {SOON:.0f} s.")


def approve_all(page: Page, facts: dict[str, Any]) -> None:
    page.goto(facts["url"].rstrip("/") + "/reconciliation/")
    page.get_by_role("button", name="Approve all 7").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve 7").click()
    page.locator("tr[data-state=verified]").nth(6).wait_for(timeout=A_RUN_MS)


def position_of(page: Page, facts: dict[str, Any], symbol: str) -> str:
    page.goto(f"{facts['url'].rstrip('/')}/positions/?symbol={symbol}")
    return str(page.locator("#positions tbody").get_by_role("link", name=symbol).first.get_attribute("href"))


def main() -> int:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.stderr.write("make screenshots: no Chromium is installed (Debian: apt install chromium).\n")
        return 2
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as facts, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        light = log_in(browser, facts)
        wait_for(light, facts, "/reconciliation/", "article.cause >> nth=6")
        take(light, facts, "/reconciliation/", "reconciliation")
        take(light, facts, "/", "overview-drift")
        approve_all(light, facts)
        take(light, facts, "/?span=year", "overview")
        take(light, facts, "/positions/?status=open", "positions")
        position = position_of(light, facts, "QCOM")
        wait_for(light, facts, position, "figure.chart svg")
        take(light, facts, position, "position")
        take(light, facts, "/protection/", "protection")
        dark = log_in(browser, facts, dark=True)
        take(dark, facts, position, "position-dark")
        phone = log_in(browser, facts, width=390)
        take(phone, facts, "/", "overview-phone")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
