"""The morning after 6 November 2025, walked through in a real browser on the real demo, in this order."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.person import CHROMIUM, Person

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="There is no Chromium on this computer."),
]

INCIDENT = Path(__file__).parents[2] / "tradingsite" / "incident" / "2025-11-06.json"
EXPECTED = json.loads(INCIDENT.read_text())["expected_after_backfill"]
SEVEN = {"ACGL", "DVN", "FTNT", "HST", "IBKR", "NVDA", "QCOM"}
A_RUN_MS = 20_000


def reconcile(page: Page) -> None:
    """Ask for a run and wait for its verdict, as a person sees it."""
    before = page.locator("#last-run").all_inner_texts()
    page.get_by_role("button", name="Reconcile now").click()
    if before:
        expect(page.locator("#last-run")).not_to_have_text(before[0], timeout=A_RUN_MS)
    else:
        expect(page.locator("#last-run")).to_be_visible(timeout=A_RUN_MS)
    expect(page.locator("#run-progress")).to_have_count(0, timeout=A_RUN_MS)


def test_a_trader_sees_the_page_and_no_button(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "trader") as trader:
        page = trader.open("/reconciliation/")
        expect(page.get_by_role("heading", level=1, name="Reconciliation")).to_be_visible()
        expect(page.locator("main button, main input[type=checkbox]")).to_have_count(0)
        assert trader.grave_findings() == []


def test_ops_find_seven_causes_with_what_follows_from_them(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "ops") as ops:
        page = ops.open("/reconciliation/")
        reconcile(page)
        expect(page.locator("#remaining")).to_contain_text("7 causes")
        causes = page.locator("article.cause")
        expect(causes).to_have_count(7)
        symbols = {text.split(":")[0] for text in causes.locator("h3").all_inner_texts()}
        assert symbols == SEVEN
        for cause in causes.all():
            cause.get_by_text("1 consequence of it").click()
            expect(cause.locator(".followers li")).to_contain_text("Position only")
        expect(page.locator("article.cause", has_text="QCOM")).to_contain_text("1,019.72")
        assert ops.grave_findings() == []


def test_a_trader_sees_the_causes_and_no_button(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "trader") as trader:
        page = trader.open("/reconciliation/")
        expect(page.locator("article.cause")).to_have_count(7)
        expect(page.locator("main button, main input[type=checkbox]")).to_have_count(0)


def test_cancel_changes_nothing_and_the_dialog_names_the_consequence(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "ops", color_scheme="dark") as ops:
        page = ops.open("/reconciliation/")
        page.locator("article.cause", has_text="QCOM").get_by_role("button", name="Backfill").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Backfill: Record our order buy 74 QCOM?")
        expect(dialog).to_contain_text("QCOM becomes an open position of 74 at 172.30, stop 158.52, target 199.87")
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_be_hidden()
        expect(page.locator("article.cause")).to_have_count(7)
        assert ops.grave_findings() == []


def test_all_are_approved_applied_and_verified_live(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "ops") as ops:
        page = ops.open("/reconciliation/")
        page.get_by_role("button", name="Approve all 7").click()
        page.get_by_role("dialog").get_by_role("button", name="Approve 7").click()
        expect(page.locator("tr[data-state=verified]")).to_have_count(7, timeout=A_RUN_MS)
        expect(page.locator("#remaining")).to_have_text("0 causes, $0.00 not in step")
        expect(page.locator("article.cause")).to_have_count(0)
        assert ops.grave_findings() == []
        page.get_by_role("link", name="Receipt").first.click()
        expect(page.locator("main")).to_contain_text("Receipt: applied and verified live.")
        expect(page.get_by_role("heading", name="Undo")).to_be_visible()
        assert ops.grave_findings() == []


def test_the_positions_are_those_of_the_record_to_the_cent(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "trader") as trader:
        page = trader.open("/positions/?status=open")
        head, *rows = trader.csv("/positions/?status=open&format=csv")
        assert len(rows) == EXPECTED["open_positions"] == 20
        found = {row["symbol"]: row for row in (dict(zip(head, row, strict=True)) for row in rows)}
        for wanted in EXPECTED["new_positions"]:
            row = found[wanted["symbol"]]
            assert Decimal(row["qty"]) == Decimal(wanted["qty"])
            assert Decimal(row["avg_entry_price"]) == Decimal(wanted["entry_price"])
            for name in ("stop_loss", "target", "total_risk"):
                assert Decimal(row[name]) == Decimal(wanted[name]), f"{name} of {wanted['symbol']}"
            line = page.locator("#positions tbody tr", has_text=wanted["symbol"])
            expect(line).to_contain_text(wanted["stop_loss"])
            expect(line).to_contain_text(f"{Decimal(wanted['total_risk']):,.2f}")
        total = sum(Decimal(found[wanted["symbol"]]["total_risk"]) for wanted in EXPECTED["new_positions"])
        assert total == Decimal(EXPECTED["total_risk_of_new_positions"]) == Decimal("3479.52")
        head, *closed = trader.csv("/positions/?status=closed&format=csv")
        assert sorted(row[head.index("symbol")] for row in closed) == EXPECTED["closed_positions"]


def test_the_next_run_is_in_sync_and_tells_the_story(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "ops") as ops:
        page = ops.open("/reconciliation/")
        reconcile(page)
        expect(page.locator("main .figures").first).to_contain_text("in sync")
        expect(page.locator("#remaining")).to_have_text("0 causes, $0.00 not in step")
        page.locator("#last-run").click()
        expect(page.locator("main")).to_contain_text("Completeness proof")
        expect(page.locator(".report")).to_contain_text("3,479.52")
        assert ops.grave_findings() == []


def test_a_batch_is_previewed_recorded_and_followed(browser: Browser, demo: dict[str, Any], tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.csv", tmp_path / "good.csv"
    bad.write_text("symbol,side,qty\nAAPL,buy,ten\n")
    good.write_text("symbol,side,qty,order_type,limit_price\nAAPL,buy,10,limit,1.25\n")
    with Person(browser, demo, "ops") as ops:
        page = ops.open("/batches/new/")
        assert ops.grave_findings() == []
        page.get_by_label("CSV or JSON file").set_input_files(bad)
        page.get_by_role("button", name="Check the file").click()
        expect(page.locator("main")).to_contain_text("nothing of this file is recorded")
        expect(page.get_by_role("row", name="2 qty expected a number")).to_be_visible()
        assert ops.grave_findings() == []
        page.get_by_label("CSV or JSON file").set_input_files(good)
        page.get_by_role("button", name="Check the file").click()
        expect(page.locator("main")).to_contain_text("Nothing is recorded yet")
        assert ops.grave_findings() == []
        page.get_by_role("button", name="Record 1 order").click()
        page.get_by_role("dialog").get_by_role("button", name="Record").click()
        expect(page.locator("#batch")).to_contain_text("1 of 1", timeout=A_RUN_MS)
        expect(page.locator("#batch")).to_contain_text("confirmed")
        assert ops.grave_findings() == []


def test_pages_fit_a_phone_and_are_accessible_there(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "ops") as ops:
        ops.page.set_viewport_size({"width": 360, "height": 740})
        for path in ("/reconciliation/", "/reconciliation/runs/", "/reconciliation/fixes/1/", "/batches/"):
            page = ops.open(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert ops.grave_findings() == []


def test_it_works_without_javascript(browser: Browser, demo: dict[str, Any]) -> None:
    with Person(browser, demo, "ops", java_script_enabled=False) as ops:
        page = ops.open("/reconciliation/fixes/1/")
        page.get_by_label("Why it is undone").fill("To see the way back")
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("main")).to_contain_text("Undone")
        page = ops.open("/reconciliation/")
        for _ in range(40):
            if page.locator("article.cause").count():
                break
            page.wait_for_timeout(500)
            page.reload()
        page.locator("article.cause").get_by_role("button", name="Backfill").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Approve 1 backfill?")
        page.get_by_role("button", name="Approve 1").click()
        expect(page.locator("main")).to_contain_text("Approved:")
        page = ops.open("/reconciliation/")
        expect(page.locator("tr[data-fix]")).not_to_have_count(0)
