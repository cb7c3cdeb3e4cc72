"""Every page on the running demo as each person: it opens, axe finds nothing, it fits, and the console is silent."""

import re
from typing import Any
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.person import CHROMIUM, Person

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="There is no Chromium on this computer."),
]

PAGES = [
    "/",
    "/positions/",
    "/positions/?status=closed",
    "/positions/?q=NOSUCH",
    "/orders/",
    "/orders/?status=nosuch",
    "/batches/",
    "/reconciliation/",
    "/reconciliation/runs/",
    "/reconciliation/runs/1/",
    "/reconciliation/fixes/1/",
    "/reconciliation/kinds/",
    "/protection/",
    "/insight/",
    "/alerts/",
    "/alerts/?status=closed",
    "/alerts/deliveries/",
    "/reports/",
    "/audit/",
    "/audit/1/",
    "/system/",
    "/keyboard/",
]
FOR_OPS = ["/batches/new/", "/reconciliation/drifts/1/ignore/"]
ADMIN = [
    "/admin/",
    "/admin/positions/riskparameters/",
    "/admin/positions/riskparameters/add/",
    "/admin/reconciliation/backfillpolicy/add/",
    "/admin/reconciliation/ignorerule/add/",
    "/admin/django_q/schedule/",
    "/admin/auth/user/",
    "/admin/broker/account/",
    "/admin/audit/auditentry/",
    "/admin/alerts/channel/",
]
#: What one person sees in one look: each is of a kind with a page above.
FURTHER = [
    "/positions/cash/",
    "/positions/1/what-if/",
    "/reconciliation/?fields=all",
    "/reconciliation/runs/1/picture/",
]
FURTHER_ADMIN = [
    "/admin/positions/riskparameters/plan/1/",
    "/admin/reconciliation/backfillpolicy/",
    "/admin/reconciliation/ignorerule/",
    "/admin/broker/account/1/change/",
    "/admin/auth/user/add/",
]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light"},
    "wide": {"color_scheme": "light"},
}
SIZES = {"phone": {"width": 360, "height": 780}, "wide": {"width": 2560, "height": 1300}}


@pytest.fixture(scope="module")
def pages(browser: Browser, demo: dict[str, Any]) -> list[str]:
    """The fixed addresses, and one of each kind of row."""
    with Person(browser, demo, "ops") as ops:
        ops.open("/reconciliation/")
        expect(ops.page.locator("article.cause")).to_have_count(7, timeout=30_000)
        found = []
        for path, pattern in (("/positions/", r"^/positions/\d+/$"), ("/orders/", r"^/orders/\d+/$")):
            ops.open(path)
            links = ops.page.locator("main a").evaluate_all("all => all.map(link => link.getAttribute('href') || '')")
            found += [link for link in links if re.match(pattern, link)][:1]
        assert found, "the demo shows no position"
        return PAGES + found


def go_through(person: Person, paths: list[str], *, with_axe: bool = True) -> None:
    findings: list[str] = []
    for path in paths:
        answer = person.page.goto(person.base + path)
        assert answer is not None
        assert answer.status == 200, path
        assert urlparse(person.page.url).path == urlparse(path).path
        expect(person.page.locator("h1").first).to_be_visible()
        findings += person.grave_findings() if with_axe else []
        if not path.startswith("/admin/"):  # Django's own tables scroll sideways on a phone
            wide = person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is {wide} px too wide"
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("look", LOOKS)
def test_pages_of_ops(browser: Browser, demo: dict[str, Any], pages: list[str], look: str) -> None:
    with Person(browser, demo, "ops", **LOOKS[look]) as ops:
        if look in SIZES:
            ops.page.set_viewport_size(SIZES[look])  # type: ignore[arg-type]
        # Nothing that axe judges differs from "light" on a wide screen.
        go_through(ops, [*pages, *FOR_OPS], with_axe=look != "wide")


def test_pages_of_a_trader(browser: Browser, demo: dict[str, Any], pages: list[str]) -> None:
    with Person(browser, demo, "trader") as trader:
        go_through(trader, pages)


def test_pages_that_others_lead_to(browser: Browser, demo: dict[str, Any], pages: list[str]) -> None:
    with Person(browser, demo, "admin") as admin:
        go_through(admin, [*FURTHER, *FURTHER_ADMIN])
        admin.page.emulate_media(color_scheme="dark")
        admin.page.set_viewport_size({"width": 360, "height": 780})
        go_through(admin, FURTHER)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_pages_of_an_admin(browser: Browser, demo: dict[str, Any], pages: list[str], look: str) -> None:
    with Person(browser, demo, "admin", **LOOKS[look]) as admin:
        go_through(admin, ADMIN)
        if look == "light":
            go_through(admin, pages)


def test_without_javascript_every_page_still_shows(browser: Browser, demo: dict[str, Any], pages: list[str]) -> None:
    with Person(browser, demo, "ops", java_script_enabled=False) as ops:
        for path in [*pages, *FURTHER, *FOR_OPS]:
            ops.open(path)
            expect(ops.page.locator("h1").first).to_be_visible()


def test_logged_out_every_page_leads_to_the_log_in(browser: Browser, demo: dict[str, Any], pages: list[str]) -> None:
    context = browser.new_context()
    page = context.new_page()
    for path in [*pages, *FURTHER, *FOR_OPS, *ADMIN, *FURTHER_ADMIN]:
        page.goto(demo["url"].rstrip("/") + path)
        assert urlparse(page.url).path in {"/accounts/login/", "/admin/login/"}, path
    context.close()
