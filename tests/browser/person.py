"""A person at a browser, whose console must stay silent: that is also the proof of the content security policy."""

import os
import shutil
from types import TracebackType
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Person:
    """Logs in as somebody of the demo. Leaving the block fails the test for every complaint of the console."""

    def __init__(self, browser: Browser, demo: dict[str, Any], name: str, **context: Any) -> None:
        self.base = demo["url"].rstrip("/")
        self.name = name
        self.password = next(user["password"] for user in demo["users"] if user["username"] == name)
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport={"width": 1440, "height": 1000}, **context)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def __enter__(self) -> "Person":
        self.open("/accounts/login/")
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(self.password)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.context.close()
        if error is None:
            assert not self.complaints, self.complaints

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.text} at {self.page.url}")

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def csv(self, path: str) -> list[list[str]]:
        """The rows of a list as the file that the page hands out."""
        answer = self.context.request.get(self.base + path)
        assert answer.ok
        return [line.split(",") for line in answer.text().splitlines()]

    def grave_findings(self) -> list[str]:
        # Not preloading: axe would copy imported style sheets into the page, which the security policy forbids.
        findings = Axe().run(self.page, options={"preload": False}).response["violations"]
        return [
            f"{finding['id']} on {self.page.url}: {node['html']}"
            for finding in findings
            if finding["impact"] != "minor"
            for node in finding["nodes"]
        ]
