"""The pages in a real browser: accessible in both themes and on a phone, no console error, refreshing in peace."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from broker.models import Account
from orders.models import Order
from positions.models import Position
from tests.tradingsite.browsing import CHROMIUM, Held

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]


def pages_of_the_record() -> list[str]:
    rows = (Order.objects.get(symbol="QCOM"), Position.objects.get(symbol="QCOM"))
    paths = ["/", "/positions/", "/orders/", "/audit/", "/system/", "/orders/?symbol=NOPE"]
    return [*paths, *(row.get_absolute_url() for row in rows)]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_every_page_is_accessible(reader, record, look):
    person = reader(look=look)
    person.open("/accounts/login/")
    assert person.grave_findings() == []
    person.log_in("admin")
    for path in pages_of_the_record():
        person.open(path)
        assert person.grave_findings() == [], path


@pytest.mark.parametrize("look", ["phone", "wide"])
def test_every_page_fits_the_screen(reader, record, look):
    person = reader(look=look).log_in("admin")
    for path in pages_of_the_record():
        page = person.open(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"


def test_a_region_refreshes_itself_and_keeps_the_focus(reader, record):
    page = reader().log_in("trader").open("/positions/")
    link = page.locator("#positions a", has_text="QCOM")
    link.focus()
    expect(page.locator("#positions")).not_to_contain_text("+999.00")
    Position.objects.filter(symbol="QCOM").update(realized_pl="999")
    expect(page.locator("#positions")).to_contain_text("+999.00", timeout=15000)
    expect(link).to_be_focused()


def test_a_paused_page_asks_for_nothing_until_it_is_live_again(reader, record):
    page = reader().log_in("trader").open("/positions/")
    page.clock.install(time=timezone.now())
    page.reload()
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Paused")).to_have_attribute("aria-pressed", "true")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(12000)
    assert asked == []
    page.get_by_role("button", name="Paused").click()
    with page.expect_request("**/positions/", timeout=15000):
        page.clock.run_for(6000)


def test_figures_that_are_not_refreshed_turn_amber_and_say_their_age(reader, record):
    person = reader()
    page = person.log_in("trader").open("/positions/")
    page.clock.install(time=timezone.now())
    page.reload()
    page.get_by_role("button", name="Live").click()
    page.clock.run_for(25000)
    expect(page.locator("#stale-note")).to_contain_text("Refreshing is paused. Figures are")
    expect(page.locator("#positions")).to_have_class("stack is-stale")


def test_filters_sort_and_pages_change_the_address_and_back_returns(reader, record):
    page = reader().log_in("trader").open("/orders/")
    page.locator("#filter-q").fill("qcom")
    expect(page.locator("#orders tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=qcom"))
    page.locator("#orders thead").get_by_role("link", name="Quantity").click()
    expect(page.locator("#orders th[aria-sort=descending]")).to_have_text("Quantity")
    expect(page).to_have_url(re.compile("q=qcom.*sort=-qty"))
    page.go_back()
    expect(page).to_have_url(re.compile("q=qcom[^-]*$"))
    expect(page.locator("#orders th[aria-sort]")).to_have_text("Recorded")
    expect(page.locator("#filter-q")).to_have_value("qcom")
    expect(page.get_by_role("button", name="Live")).to_be_visible()


def test_an_answer_that_comes_late_does_not_bring_the_old_address_back(reader, record):
    """Who leaves the filter for a sort link asks twice: the field has changed, and the link was clicked."""
    page = reader().log_in("trader").open("/orders/")
    page.locator("#filter-q").fill("qcom")
    expect(page.locator("#orders tbody tr")).to_have_count(1)
    held = Held(page, lambda request: "q=qcom" in request.url and "sort=" not in request.url)
    page.locator("#orders thead").get_by_role("link", name="Quantity").click()
    expect(page.locator("#orders th[aria-sort=descending]")).to_have_text("Quantity")
    held.answer()
    expect(page.locator("#orders th[aria-sort=descending]")).to_have_text("Quantity")
    expect(page).to_have_url(re.compile("q=qcom.*sort=-qty"))


def test_a_refresh_under_way_does_not_swallow_the_filter(reader, record):
    page = reader().log_in("trader").open("/orders/")
    poll = Held(page, lambda request: request.url.endswith("/orders/"))
    poll.wait()
    Order.objects.filter(symbol="AAPL").update(status="canceled")  # the poll will bring something new
    chosen = Held(page, lambda request: "q=qcom" in request.url)
    page.locator("#filter-q").fill("qcom")
    chosen.wait()
    poll.answer()
    chosen.answer()
    expect(page.locator("#orders tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=qcom"))


def test_the_kill_switch_asks_first_and_escape_does_nothing(reader, record):
    page = reader().log_in("ops").open("/positions/")
    page.locator("#kill-switch > summary").click()
    page.get_by_label("Why", exact=True).fill("Strange fills")
    page.get_by_role("button", name="Stop sending").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Stop all sending for Sim (SIM)?")
    expect(dialog).to_contain_text("Orders already at Alpaca are not canceled.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert not Account.objects.get(slug="sim").sending_halted
    page.get_by_role("button", name="Stop sending").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop sending").click()
    expect(page.get_by_role("alert")).to_contain_text("Sending is halted for Sim.")
    assert Account.objects.get(slug="sim").sending_halted


def test_everybody_learns_at_once_that_sending_is_halted(reader, record):
    page = reader().log_in("trader").open("/orders/")
    expect(page.get_by_role("alert")).to_have_count(0)
    Account.objects.filter(slug="sim").update(sending_halted=True, halted_by="ops", halted_reason="Strange fills")
    expect(page.get_by_role("alert")).to_contain_text("Strange fills", timeout=15000)
    expect(page.locator("#strip")).to_contain_text("HALTED")


def test_the_theme_is_kept(reader, record):
    page = reader().log_in("trader").open("/")
    for theme in ("light", "dark"):
        page.locator("[data-theme-toggle]").click()
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(231, 236, 243)"


def test_after_log_out_elsewhere_a_refresh_leads_to_the_log_in(reader, record):
    person = reader()
    page = person.log_in("trader").open("/orders/")
    person.context.clear_cookies()
    page.wait_for_url("**/accounts/login/?next=**", timeout=15000)
    assert page.url.endswith("next=%2Forders%2F")


def test_everything_works_without_javascript(reader, record):
    person = reader(java_script_enabled=False)
    page = person.log_in("ops").open("/orders/")
    page.get_by_label("Symbol", exact=True).fill("QCOM")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#orders tbody tr")).to_have_count(1)
    page.locator("#kill-switch > summary").click()
    page.get_by_label("Why", exact=True).fill("No script")
    page.get_by_role("button", name="Stop sending").click()
    expect(page.get_by_role("alert")).to_contain_text("No script")


def test_keyboard_reaches_the_content_first(reader, record):
    page = reader().log_in("trader").open("/positions/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
