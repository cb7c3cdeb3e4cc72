"""A person at a browser, and a line to the server that can be held up."""

import shutil
import time
from collections.abc import Callable, Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.conftest import PASSWORD

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES = {"light": (1440, 900), "dark": (1440, 900), "phone": (360, 740), "wide": (2560, 1200)}


class Reader:
    """A person at a browser. Every console message above a note fails the test."""

    def __init__(self, browser: Browser, base: str, *, look: str = "light", **context):
        width, height = SIZES[look]
        self.base = base
        self.complaints: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if look == "dark" else "light",
            **context,
        )
        self.page: Page = self.context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def log_in(self, name: str) -> "Reader":
        self.open("/accounts/login/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
        return self

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def grave_findings(self) -> list[str]:
        return self.findings("serious", "critical")

    def findings(self, *impacts: str, rules: Sequence[str] = ()) -> list[str]:
        """What axe complains of; without `impacts` everything but the minor, without `rules` by every rule."""
        # Not preloading: axe would copy imported style sheets into the page, which the security policy forbids.
        options = {"preload": False} | ({"runOnly": list(rules)} if rules else {})
        findings = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{finding['id']}: {finding['nodes'][0]['html']}"
            for finding in findings
            if finding["impact"] in (impacts or ("moderate", "serious", "critical"))
        ]


class Held:
    """Requests of a page that are answered only when the test says so."""

    def __init__(self, page: Page, is_meant: Callable[[Request], bool]) -> None:
        self.page = page
        self.routes: list[Route] = []
        page.route("**/orders/**", lambda route: self._take(route) if is_meant(route.request) else route.continue_())

    def _take(self, route: Route) -> None:
        self.routes.append(route)

    def wait(self) -> None:
        deadline = time.monotonic() + 15
        while not self.routes and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        assert self.routes

    def answer(self) -> None:
        """Let it go, and wait until the page has done with the answer whatever it does."""
        with self.page.expect_event("requestfinished", lambda request: request == self.routes[0].request):
            self.routes[0].continue_()
        self.page.evaluate("new Promise((done) => setTimeout(done, 100))")
